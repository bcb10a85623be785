//! Users, groups, their commands, files and tables of cron.

use std::path::Path;

use converge::resource::{Cause, Request};
use serde_json::json;
use testkit::in_booted_machine;

use super::{Live, request, said};

#[test]
fn users_and_groups() {
    if !in_booted_machine("live::users::users_and_groups") {
        return;
    }
    let live = Live::new();
    let group = |action: &str| request("group", "crew", action);
    let report = live.law(&group("create").with("gid", 4321));
    assert_eq!(report.changes, ["create group crew"]);
    let user = |name: &str| {
        request("user", name, "create")
            .with("gid", "crew")
            .with("shell", "/bin/bash")
            .with("manage_home", true)
    };
    let report = live.law(
        &user("jo")
            .with("uid", 4444)
            .with("comment", "Jo")
            .with("password", "$6$x$y"),
    );
    assert_eq!(report.changes, ["create user jo"]);
    assert_eq!(said("getent passwd jo"), "jo:x:4444:4321:Jo:/home/jo:/bin/bash");
    assert!(Path::new("/home/jo").is_dir());
    live.nothing(&user("jo"));
    let report = live.law(
        &user("jo")
            .with("shell", "/bin/sh")
            .with("home", "/srv/jo")
            .with("password", "$6$x$z"),
    );
    assert_eq!(
        report.changes,
        [
            "alter user jo",
            "change home from /home/jo to /srv/jo",
            "change shell from /bin/bash to /bin/sh",
            "change password"
        ]
    );
    assert!(Path::new("/srv/jo").is_dir() && !Path::new("/home/jo").exists());
    let limited = user("jo").with("expire_date", "2030-01-31").with("inactive", 7);
    let limited = limited.with("shell", "/bin/sh").with("home", "/srv/jo");
    live.law(&limited);
    assert!(
        said("chage -l jo").contains("Account expires\t\t\t\t\t\t: Jan 31, 2030"),
        "{}",
        said("chage -l jo")
    );
    live.law(&request("user", "jo", "lock"));
    assert!(said("grep ^jo: /etc/shadow").contains(":!$6$x$z:"));
    live.law(&request("user", "jo", "unlock"));
    live.law(
        &request("user", "daemon-user", "create")
            .with("system", true)
            .with("shell", "/usr/sbin/nologin"),
    );
    assert!(said("id -u daemon-user").parse::<u32>().unwrap() < 1000);

    live.law(&group("modify").with("members", json!(["jo", "daemon-user"])));
    assert_eq!(said("getent group crew"), "crew:x:4321:jo,daemon-user");
    live.nothing(&group("manage").with("members", "jo").with("append", true));
    live.law(
        &group("manage")
            .with("excluded_members", "jo")
            .with("append", true),
    );
    live.law(&group("create").with("members", "jo"));
    assert_eq!(said("getent group crew"), "crew:x:4321:jo");
    assert!(matches!(
        live.fails(&group("create").with("members", "nobody-here")),
        Cause::NoUser(_)
    ));
    assert!(matches!(
        live.fails(&request("group", "none", "modify")),
        Cause::NoGroup(_)
    ));
    live.nothing(&request("group", "none", "manage"));
    assert!(matches!(
        live.fails(&request("user", "x", "create").with("gid", "no-such-group")),
        Cause::NoGroup(_)
    ));

    // Commands and files of that user.
    let id = Request::new("execute", "id").with("command", "id -un; id -gn; pwd; echo $HOME");
    let report = live
        .run(&id.with("user", "jo").with("cwd", "/srv/jo").with("login", true))
        .unwrap();
    assert_eq!(report.output.unwrap(), "jo\ncrew\n/srv/jo\n/srv/jo\n");
    let script = Request::new("bash", "x").with("code", "id -un; id -gn; umask");
    let script = script
        .with("user", "jo")
        .with("group", "cron")
        .with("umask", "027");
    let cause = live.fails(&script.clone().with("group", "no-such-group"));
    assert!(matches!(cause, Cause::NoGroup(_)), "{cause}");
    let report = live.run(&script.with("group", "users")).unwrap();
    assert_eq!(report.output.unwrap(), "jo\nusers\n0027\n");
    live.law(
        &Request::new("file", "/srv/x")
            .with("owner", "jo")
            .with("group", 4321)
            .with("mode", "4750"),
    );
    assert_eq!(said("stat -c '%U %G %a' /srv/x"), "jo crew 4750");
    live.law(&Request::new("file", "/srv/x").with("content", "new"));
    assert_eq!(said("stat -c '%U %G %a' /srv/x"), "jo crew 4750");

    live.law(&request("user", "jo", "remove").with("manage_home", true));
    assert!(!Path::new("/srv/jo").exists());
    live.law(&group("remove"));
}

#[test]
fn tables_of_cron() {
    if !in_booted_machine("live::users::tables_of_cron") {
        return;
    }
    let live = Live::new();
    said("echo '1 2 3 4 5 mine' | crontab -");
    let cron = |action: &str| request("cron", "clean up", action);
    let entry = cron("create")
        .with("minute", "*/5")
        .with("hour", 3)
        .with("command", "/bin/clean")
        .with("mailto", "jo");
    let report = live.law(&entry);
    assert_eq!(report.changes, ["add crontab entry for cron[clean up]"]);
    let table = "1 2 3 4 5 mine\n# Chef Name: clean up\nMAILTO=jo\n*/5 3 * * * /bin/clean";
    assert_eq!(said("crontab -l"), table);
    let entry = cron("create")
        .with("time", "reboot")
        .with("command", "/bin/clean");
    let report = live.law(&entry.with("environment", json!({ "A": "b" })));
    assert!(report.diff.unwrap().contains("-*/5 3 * * * /bin/clean\n"));
    assert_eq!(
        said("crontab -l"),
        "1 2 3 4 5 mine\n# Chef Name: clean up\nA=b\n@reboot /bin/clean"
    );
    live.law(&cron("delete"));
    assert_eq!(said("crontab -l"), "1 2 3 4 5 mine");
    let cause = live.fails(&cron("create").with("minute", 60).with("command", "x"));
    assert!(cause.to_string().contains("`60` is not from 0 to 59"), "{cause}");
}

#[test]
fn repositories_of_a_user() {
    if !in_booted_machine("live::users::repositories_of_a_user") {
        return;
    }
    let live = Live::new();
    live.law(&request("user", "jo", "create").with("manage_home", true));
    said(
        "git init -q -b main /srv/repo; cd /srv/repo; echo 1 >f; git add f; \
          git -c user.name=x -c user.email=x@example.com commit -qm one; chown -R jo /srv/repo",
    );
    let git = Request::new("git", "/home/jo/app")
        .with("repository", "/srv/repo")
        .with("user", "jo");
    live.law(&git);
    assert_eq!(said("stat -c %U /home/jo/app/f"), "jo");
}
