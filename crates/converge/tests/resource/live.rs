//! What needs a running system: each test in a booted container of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use converge::resource::{Cause, Machine, Options, Platform, Report, Request, ResourceError, Runner};
use node::command::{Command, Stop};
use node::home::Home;
use serde_json::json;
use testkit::in_booted_machine;

/// The machine, and the law as it can be tested on one that lives: what resources change stands in these folders.
struct Live {
    home: tempfile::TempDir,
}

const WATCHED: [&str; 6] = [
    "/etc",
    "/home",
    "/srv",
    "/usr/local",
    "/var/lib/dpkg",
    "/var/spool/cron",
];

impl Live {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn runner(&self, dry_run: bool) -> Runner {
        let platform = Platform {
            name: "debian".to_owned(),
            family: "debian".to_owned(),
            version: "12".to_owned(),
        };
        let options = Options {
            dry_run,
            time_limit: Duration::from_secs(60),
            ..Options::of(&Home::at(self.home.path()), platform)
        };
        Runner::new(Machine::this(), options)
    }

    fn run(&self, request: &Request) -> Result<Report, Box<ResourceError>> {
        self.runner(false).run(request)
    }

    fn fails(&self, request: &Request) -> Cause {
        match self.run(request) {
            Ok(report) => panic!("{request:?} succeeded: {report:?}"),
            Err(error) => error.cause,
        }
    }

    fn law(&self, request: &Request) -> Report {
        let (would, first) = self.law_of_changes(request);
        assert_eq!(would.changes, first.changes);
        first
    }

    /// The law for what cannot be told in the same words before: the UUID of a file system that is not made yet.
    fn law_of_changes(&self, request: &Request) -> (Report, Report) {
        let before = state();
        let would = self
            .runner(true)
            .run(request)
            .unwrap_or_else(|error| panic!("dry run: {error}"));
        same(&before, &state(), &format!("a dry run of {request:?}"));
        let first = self.run(request).unwrap_or_else(|error| panic!("{error}"));
        assert!(first.updated, "{request:?} did nothing");
        assert!(would.updated, "{request:?} would do nothing");
        let after = state();
        let second = self
            .run(request)
            .unwrap_or_else(|error| panic!("second time: {error}"));
        assert_eq!(second.changes, [""; 0], "the second time of {request:?}");
        same(&after, &state(), &format!("the second time of {request:?}"));
        (would, first)
    }

    fn nothing(&self, request: &Request) {
        let report = self.run(request).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.changes, [""; 0], "{request:?}");
    }
}

fn state() -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(folder: &Path, state: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                walk(&path, state);
            }
            let content = if kind.is_file() {
                fs::read(&path).unwrap_or_default()
            } else {
                fs::read_link(&path)
                    .map(|to| to.display().to_string().into_bytes())
                    .unwrap_or_default()
            };
            state.insert(path, content);
        }
    }
    let mut state = BTreeMap::new();
    for folder in WATCHED {
        walk(Path::new(folder), &mut state);
    }
    state
}

fn same(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>, what: &str) {
    let changed: Vec<_> = after
        .iter()
        .filter(|(path, content)| before.get(*path) != Some(content))
        .map(|(path, _)| path)
        .chain(before.keys().filter(|path| !after.contains_key(*path)))
        .collect();
    assert!(changed.is_empty(), "{what} changed {changed:?}");
}

/// What a command says; it must succeed.
fn said(line: &str) -> String {
    let outcome = Command::new("sh")
        .inherit_environment()
        .arg("-c")
        .arg(line)
        .tail_bytes(1 << 16)
        .run(&Stop::new())
        .unwrap();
    assert!(outcome.ended.success(), "{line}: {}", outcome.tail);
    outcome.tail.trim().to_owned()
}

fn holds(line: &str) -> bool {
    let command = Command::new("sh").inherit_environment().arg("-c").arg(line);
    command.run(&Stop::new()).unwrap().ended.success()
}

fn request(kind: &str, name: &str, action: &str) -> Request {
    Request::new(kind, name).action(action)
}

#[test]
fn services_of_systemd() {
    if !in_booted_machine("live::services_of_systemd") {
        return;
    }
    let live = Live::new();
    let unit = request("systemd_unit", "demo", "create").with(
        "content",
        json!({
            "Unit": { "Description": "A demonstration" },
            "Service": { "ExecStart": "/bin/sleep infinity", "Environment": ["A=1", "B=2"] },
            "Install": { "WantedBy": "multi-user.target" },
        }),
    );
    let report = live.law(&unit);
    assert!(report.diff.unwrap().contains("+Environment = B=2\n"));
    assert_eq!(
        said("systemctl show --value -p Description demo"),
        "A demonstration"
    );

    let service = |action: &str| request("service", "demo", action);
    let report = live.law(&service("enable"));
    assert_eq!(report.changes, ["enable service service[demo]"]);
    assert!(holds("systemctl is-enabled -q demo"));
    live.law(&service("start"));
    assert!(holds("systemctl is-active -q demo"));
    let pid = said("systemctl show --value -p MainPID demo");
    assert!(live.run(&service("restart")).unwrap().updated);
    assert_ne!(said("systemctl show --value -p MainPID demo"), pid);
    assert!(live.runner(true).run(&service("restart")).unwrap().updated);
    live.law(&service("stop"));
    assert!(!holds("systemctl is-active -q demo"));
    live.law(&service("disable"));
    live.law(&request("service", "cron", "stop"));
    live.law(&request("service", "cron", "mask"));
    assert!(matches!(
        live.fails(&request("service", "cron", "start")),
        Cause::Failed { .. }
    ));
    live.law(&request("service", "cron", "unmask"));

    live.law(&request("systemd_unit", "demo.service", "enable"));
    live.law(&request("systemd_unit", "demo.service", "start"));
    assert!(holds("systemctl is-active -q demo"));
    live.law(&request("systemd_unit", "demo.service", "stop"));
    let bad = unit.clone().with("content", "[Service]\nExecStart=relative\n");
    assert!(matches!(live.fails(&bad), Cause::Verification { .. }));
    assert!(
        fs::read_to_string("/etc/systemd/system/demo.service")
            .unwrap()
            .contains("infinity")
    );
    live.law(&request("systemd_unit", "demo.service", "disable"));
    live.law(&request("systemd_unit", "demo.service", "delete"));

    // One that is not there: nothing to stop or to disable, but it cannot be started.
    live.nothing(&request("service", "no-such-thing", "stop"));
    live.nothing(&request("service", "no-such-thing", "disable"));
    let cause = live.fails(&request("service", "no-such-thing", "start"));
    assert!(cause.to_string().contains("no-such-thing"), "{cause}");
    let report = live
        .run(&request("service", "systemd-journald", "enable"))
        .unwrap();
    assert!(!report.updated && report.warnings.len() == 1, "{report:?}");
    live.nothing(&Request::new("service", "demo"));
}

#[test]
fn services_with_commands_of_their_own() {
    if !in_booted_machine("live::services_with_commands_of_their_own") {
        return;
    }
    let live = Live::new();
    let service = |action: &str| {
        request("service", "own", action)
            .with("start_command", "touch /srv/runs")
            .with("stop_command", "rm /srv/runs")
            .with("status_command", "test -e /srv/runs")
    };
    live.law(&service("start"));
    assert!(Path::new("/srv/runs").exists());
    live.law(&service("stop"));
    assert!(!Path::new("/srv/runs").exists());
}

#[test]
fn users_and_groups() {
    if !in_booted_machine("live::users_and_groups") {
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
    if !in_booted_machine("live::tables_of_cron") {
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

/// Makes packages `demo` of some versions and a repository of them in `/srv/repository`.
fn repository(versions: &[&str]) {
    let mut index = String::new();
    for version in versions {
        let folder = format!("/srv/repository/demo-{version}");
        let control = format!(
            "Package: demo\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.com>\n\
             Provides: demonstration\nDescription: a demonstration\n"
        );
        fs::create_dir_all(format!("{folder}/DEBIAN")).unwrap();
        fs::create_dir_all(format!("{folder}/etc")).unwrap();
        durable::write(
            Path::new(&format!("{folder}/DEBIAN/control")),
            0o644,
            control.as_bytes(),
        )
        .unwrap();
        durable::write(
            Path::new(&format!("{folder}/DEBIAN/conffiles")),
            0o644,
            b"/etc/demo.conf\n",
        )
        .unwrap();
        durable::write(
            Path::new(&format!("{folder}/etc/demo.conf")),
            0o644,
            version.as_bytes(),
        )
        .unwrap();
        let file = format!("/srv/repository/demo_{version}_all.deb");
        said(&format!("dpkg-deb --root-owner-group -b {folder} {file}"));
        let (size, sum) = (
            said(&format!("stat -c %s {file}")),
            said(&format!("sha256sum {file}")),
        );
        let sum = sum.split(' ').next().unwrap();
        index.push_str(&format!(
            "{control}Filename: ./demo_{version}_all.deb\nSize: {size}\nSHA256: {sum}\n\n"
        ));
        fs::remove_dir_all(folder).unwrap();
    }
    durable::write(Path::new("/srv/repository/Packages"), 0o644, index.as_bytes()).unwrap();
}

#[test]
fn packages_of_debian() {
    if !in_booted_machine("live::packages_of_debian") {
        return;
    }
    let live = Live::new();
    said("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*");
    repository(&["1.0", "1.1", "2.0"]);
    let repository = request("apt_repository", "local", "add")
        .with("uri", "file:/srv/repository")
        .with("distribution", "./")
        .with("trusted", true);
    live.law(&repository);
    assert_eq!(
        fs::read_to_string("/etc/apt/sources.list.d/local.list").unwrap(),
        "deb [trusted=yes] file:/srv/repository ./\n"
    );

    let package = |action: &str| request("package", "demo", action);
    let report = live.law(&package("install").with("version", "1.0"));
    assert_eq!(report.changes, ["install version 1.0 of package demo"]);
    live.nothing(&package("install"));
    live.nothing(&request("package", "demonstration", "install"));
    let report = live.law(&package("upgrade"));
    assert_eq!(report.changes, ["upgrade package demo from 1.0 to 2.0"]);
    live.law(&package("install").with("version", "1.1"));
    assert_eq!(said("dpkg-query -W -f '${Version}' demo"), "1.1");
    live.law(&package("lock"));
    assert_eq!(said("apt-mark showhold"), "demo");
    live.law(&package("unlock"));
    durable::write(Path::new("/etc/demo.conf"), 0o644, b"mine").unwrap();
    live.law(&package("remove"));
    assert!(Path::new("/etc/demo.conf").exists());
    live.law(&package("purge"));
    assert!(!Path::new("/etc/demo.conf").exists());

    // A file of a package, also through the general name.
    let file = "/srv/repository/demo_1.0_all.deb";
    live.law(&request("dpkg_package", "demo", "install").with("source", file));
    live.law(
        &request("apt_package", "demo", "install")
            .with("source", "/srv/repository/demo_1.1_all.deb")
            .with("version", "1.1"),
    );
    live.law(&request("dpkg_package", "demo", "purge"));
    live.law(
        &request("package", "anything", "install")
            .with("package_name", json!(["demo"]))
            .with("options", "--no-install-recommends"),
    );
    let cause = live.fails(&request("package", "no-such-package", "install"));
    assert_eq!(
        cause.to_string(),
        "No candidate version available for no-such-package"
    );
    assert_eq!(cause.exception(), "Chef::Exceptions::Package");
    let cause = live.fails(&package("install").with("version", "9.9"));
    assert!(cause.to_string().contains("9.9"), "{cause}");
    assert!(
        live.runner(true)
            .run(&request("package", "no-such-package", "install"))
            .unwrap()
            .updated
    );
    live.law(&request("apt_repository", "local", "remove"));
}

#[test]
fn mounts_and_kernel_settings() {
    if !in_booted_machine("live::mounts_and_kernel_settings") {
        return;
    }
    let live = Live::new();
    let mount = |action: &str| {
        request("mount", "/srv/ram", action)
            .with("device", "tmpfs")
            .with("fstype", "tmpfs")
            .with("options", "size=1m,noexec")
            .with("pass", 0)
    };
    let cause = live.fails(&mount("mount"));
    assert!(matches!(cause, Cause::NoFolder(_)), "{cause}");
    live.law(&Request::new("directory", "/srv/ram"));
    let report = live.law(&mount("mount"));
    assert_eq!(report.changes, ["mount tmpfs to /srv/ram"]);
    assert!(said("findmnt -no OPTIONS /srv/ram").contains("noexec"));
    live.law(&mount("enable"));
    assert!(said("cat /etc/fstab").contains("tmpfs /srv/ram tmpfs size=1m,noexec 0 0"));
    assert_eq!(
        said("systemctl show -p FragmentPath --value srv-ram.mount"),
        "/run/systemd/generator/srv-ram.mount"
    );
    assert!(
        live.run(&mount("remount").with("options", "size=2m"))
            .unwrap()
            .updated
    );
    assert!(said("findmnt -no OPTIONS /srv/ram").contains("size=2048k"));
    live.law(&mount("umount"));
    live.law(&mount("disable"));
    live.nothing(&mount("unmount"));
    let missing = request("mount", "/srv/ram", "mount").with("device", "/dev/no-such-disk");
    let cause = live.fails(&missing);
    assert!(cause.to_string().contains("/dev/no-such-disk"), "{cause}");

    // Another folder, seen at a second place.
    live.law(&Request::new("directory", "/srv/again"));
    let bind = |action: &str| {
        request("mount", "/srv/again", action)
            .with("device", "/etc")
            .with("fstype", "none")
            .with("options", "bind")
    };
    live.law(&bind("mount"));
    assert!(Path::new("/srv/again/passwd").exists());
    live.law(&bind("umount"));

    let setting = |value: i64| Request::new("sysctl", "net.ipv4.ip_default_ttl").with("value", value);
    live.law(&setting(77));
    assert_eq!(said("cat /proc/sys/net/ipv4/ip_default_ttl"), "77");
    said("echo 64 >/proc/sys/net/ipv4/ip_default_ttl");
    let report = live.law(&setting(77));
    assert_eq!(report.changes, ["set net.ipv4.ip_default_ttl to 77"]);
    live.law(&Request::new("sysctl", "net.ipv4.ip_local_port_range").with("value", json!([20000, 60000])));
    let cause = live.fails(&Request::new("sysctl", "no.such.key").with("value", 1));
    assert_eq!(cause.exception(), "Errno::ENOENT");
    let ignored = Request::new("sysctl", "no.such.key")
        .with("value", 1)
        .with("ignore_error", true);
    assert_eq!(live.run(&ignored).unwrap().warnings.len(), 1);

    let route = |action: &str| request("route", "10.9.0.0/16", action).with("device", "lo");
    live.law(&route("add"));
    assert!(said("ip route").contains("10.9.0.0/16 dev lo"));
    live.law(&route("delete"));
    assert!(live.run(&request("route", "nowhere", "add")).is_err());
}

#[test]
fn files_to_swap_to() {
    if !in_booted_machine("live::files_to_swap_to") {
        return;
    }
    let live = Live::new();
    // Where there can be one: not on what is above other file systems.
    let disk = Loop::new("/var/tmp/disk", 32);
    said(&format!("mkfs.ext4 -q {0} && mount {0} /srv", disk.0));
    let swap = |action: &str| request("swap_file", "/srv/swap file", action);
    let request = swap("create").with("size", 4).with("persist", true);
    live.law(&request);
    assert_eq!(said("stat -c '%a %s' '/srv/swap file'"), "600 4194304");
    assert!(said("cat /proc/swaps").contains("/srv/swap\\040file"));
    assert!(said("cat /etc/fstab").contains("/srv/swap\\040file swap swap defaults 0 0"));
    live.law(&swap("remove"));
    assert!(!Path::new("/srv/swap file").exists());
    assert!(!said("cat /etc/fstab").contains("swap"));
    let cause = live.fails(&swap("create").with("size", 0));
    assert!(cause.to_string().contains("above 0"), "{cause}");
}

#[test]
fn names_times_and_languages() {
    if !in_booted_machine("live::names_times_and_languages") {
        return;
    }
    let live = Live::new();
    let report = live.law(&Request::new("hostname", "node-7.example.com"));
    assert!(
        report
            .changes
            .contains(&"set hostname to node-7.example.com".to_owned()),
        "{report:?}"
    );
    assert_eq!(said("cat /proc/sys/kernel/hostname"), "node-7.example.com");
    assert_eq!(
        said("hostname -f 2>/dev/null || getent hosts node-7 | awk '{print $2}'"),
        "node-7.example.com"
    );
    live.law(&Request::new("timezone", "Asia/Tokyo"));
    assert_eq!(said("date -d @0 +%H"), "09");
    live.law(&Request::new("locale", "x").with("lang", "de_DE.UTF-8"));
    assert!(said("locale -a").contains("de_DE.utf8"));
    assert_eq!(said("cat /etc/default/locale"), "LANG=de_DE.UTF-8");
}

#[test]
fn repositories_of_a_user() {
    if !in_booted_machine("live::repositories_of_a_user") {
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

#[test]
fn lists_of_packages() {
    if !in_booted_machine("live::lists_of_packages") {
        return;
    }
    let live = Live::new();
    said("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*; rm -rf /var/lib/apt/lists");
    repository(&["1.0"]);
    durable::write(
        Path::new("/etc/apt/sources.list"),
        0o644,
        b"deb [trusted=yes] file:/srv/repository ./\n",
    )
    .unwrap();
    live.law(&request("apt_update", "daily", "periodic"));
    assert!(said("apt-cache policy demo").contains("Candidate: 1.0"));
    assert!(live.run(&request("apt_update", "now", "update")).unwrap().updated);
    live.law(
        &request("apt_preference", "demo", "add")
            .with("pin", "version 1.0")
            .with("pin_priority", 1001),
    );
}

/// A device on a file: the kernel has some that a container may use.
struct Loop(String);

impl Loop {
    fn new(file: &str, megabytes: u32) -> Self {
        said(&format!(
            "truncate -s {megabytes}M {file}; [ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237; \
             for n in $(seq 0 31); do [ -e /dev/loop$n ] || mknod /dev/loop$n b 7 $n; done"
        ));
        Self(said(&format!("losetup --find --show {file}")))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let line = format!("umount -A {0}; losetup -d {0}", self.0);
        let command = Command::new("sh").inherit_environment().arg("-c").arg(line);
        let _ = command.run(&Stop::new());
    }
}

#[test]
fn mounts_of_a_configuration() {
    if !in_booted_machine("live::mounts_of_a_configuration") {
        return;
    }
    let live = Live::new();
    let mount = |name: &str, configuration: serde_json::Value| {
        Request::new("cyclecloud_mount", name).with("configuration", configuration)
    };
    let ram = mount(
        "ram",
        json!({ "type": "tmpfs", "mountpoint": "/srv/ram", "size": "1m", "permissions": "1777" }),
    );
    live.law(&ram);
    assert!(said("findmnt -no FSTYPE,SIZE /srv/ram").starts_with("tmpfs"));
    assert_eq!(said("stat -c %a /srv/ram"), "1777");
    assert!(said("cat /etc/fstab").contains("tmpfs /srv/ram tmpfs defaults,nofail,size=1m 0 0"));
    live.law(&ram.clone().action("umount"));
    live.nothing(&mount("off", json!({ "type": "nfs", "disabled": "true" })));

    let disk = Loop::new("/var/tmp/disk", 32);
    let data = json!({ "devices": [disk.0], "mountpoint": "/srv/data", "fs_type": "ext4", "owner": "nobody", "options": "noatime" });
    let (_, report) = live.law_of_changes(&mount("data", data.clone()));
    assert!(
        report.changes.contains(&format!("make ext4 on {}", disk.0)),
        "{report:?}"
    );
    let uuid = said(&format!("blkid -p -o value -s UUID {}", disk.0));
    assert!(
        said("cat /etc/fstab").contains(&format!("UUID={uuid} /srv/data ext4 defaults,nofail,noatime 0 0"))
    );
    said("echo kept >/srv/data/file");
    assert_eq!(said("stat -c %U /srv/data"), "nobody");
    // After a boot it is mounted again and not made again.
    said("umount /srv/data");
    let report = live.run(&mount("data", data)).unwrap();
    assert_eq!(report.changes, [format!("mount UUID={uuid} to /srv/data")]);
    assert_eq!(said("cat /srv/data/file"), "kept");
    // What holds something else stays.
    let other = json!({ "devices": disk.0, "mountpoint": "/srv/other", "fs_type": "xfs" });
    let cause = live.fails(&mount("other", other));
    assert!(cause.to_string().contains("holds ext4 already"), "{cause}");
    assert_eq!(said("cat /srv/data/file"), "kept");
    let parts = Loop::new("/var/tmp/parts", 8);
    // One partition, as in a master boot record.
    said(&format!(
        "printf '\\000\\000\\000\\000\\203\\000\\000\\000\\001\\000\\000\\000\\000\\020\\000\\000' | \
         dd of={0} bs=1 seek=446 conv=notrunc status=none; \
         printf '\\125\\252' | dd of={0} bs=1 seek=510 conv=notrunc status=none",
        parts.0
    ));
    let cause = live.fails(&mount(
        "parts",
        json!({ "devices": [parts.0], "mountpoint": "/srv/parts" }),
    ));
    assert!(cause.to_string().contains("a table of partitions"), "{cause}");

    // What a server exports, as far as it can be told without one.
    let shared = mount(
        "shared",
        json!({ "type": "nfs", "mountpoint": "/shared", "export_path": "/mnt/exports" }),
    );
    let report = live
        .runner(true)
        .run(&shared.with("address", "10.0.0.4"))
        .unwrap();
    assert_eq!(
        report.changes.last().unwrap(),
        "mount 10.0.0.4:/mnt/exports to /shared"
    );
    let cause = live.fails(&mount("x", json!({ "luns": [7] })));
    assert!(cause.to_string().contains("no disk with the LUN 7"), "{cause}");
    let cause = live.fails(&mount("x", json!({ "type": "nfs", "export_path": "/x" })));
    assert!(cause.to_string().contains("no `address`"), "{cause}");
    let cause = live.fails(&mount("x", json!({ "devices": ["/etc/passwd"] })));
    assert!(cause.to_string().contains("no device `/etc/passwd`"), "{cause}");
    let cause = live.fails(&mount(
        "x",
        json!({ "devices": ["/dev/null"], "encryption": { "bits": 256 } }),
    ));
    assert_eq!(cause.exception(), "Chef::Exceptions::UnsupportedPlatform");
    let cause = live.fails(&mount(
        "x",
        json!({ "type": "lustre", "address": "10.0.0.4", "export_path": "tcp:/l" }),
    ));
    assert!(cause.to_string().contains("mount.lustre"), "{cause}");
}

/// Makes packages `demo` of RPM of some versions and a repository of them in `/srv/rpms`.
fn repository_of_rpms(versions: &[&str]) {
    for version in versions {
        let spec = format!(
            "Name: demo\nVersion: {version}\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n\
             Provides: demonstration = {version}\n%description\nx\n%install\nmkdir -p %{{buildroot}}/opt\n\
             echo {version} >%{{buildroot}}/opt/demo\n%files\n/opt/demo\n"
        );
        durable::write(Path::new("/srv/demo.spec"), 0o644, spec.as_bytes()).unwrap();
        said(
            "rpmbuild --quiet -bb --define '_topdir /srv/build' --define '_rpmdir /srv/rpms' /srv/demo.spec",
        );
    }
    said("createrepo_c -q /srv/rpms");
}

#[test]
fn packages_of_red_hat() {
    if !in_booted_machine("live::packages_of_red_hat") {
        return;
    }
    let live = Live::new();
    repository_of_rpms(&["1.9", "1.10", "2.0"]);
    said("rm -f /etc/yum.repos.d/*; mkdir -p /etc/yum.repos.d");
    let repository = Request::new("yum_repository", "local")
        .with("baseurl", "file:///srv/rpms")
        .with("gpgcheck", false);
    live.law(&repository);
    for kind in ["dnf_package", "yum_package"] {
        let package = |action: &str| request(kind, "demo", action);
        let report = live.law(&package("install").with("version", "1.10"));
        assert_eq!(report.changes, ["install version 1.10 of package demo"]);
        assert_eq!(said("rpm -q demo"), "demo-1.10-1.noarch");
        live.nothing(&package("install"));
        live.nothing(&request(kind, "demonstration", "install"));
        live.nothing(&package("install").with("version", "1.10-1"));
        let report = live.law(&package("upgrade"));
        assert_eq!(report.changes, ["upgrade package demo from 1.10-1 to 2.0-1"]);
        live.law(&package("install").with("version", "1.9"));
        assert_eq!(said("rpm -q demo"), "demo-1.9-1.noarch");
        live.law(&package("remove"));
        live.law(&request(kind, "demonstration", "install"));
        live.law(&package("purge"));
        let cause = live.fails(&request(kind, "no-such-package", "install"));
        assert_eq!(
            cause.to_string(),
            "No candidate version available for no-such-package"
        );
        live.law(&request(kind, "x", "install").with("source", "/srv/rpms/noarch/demo-1.9-1.noarch.rpm"));
        live.law(&request(kind, "/srv/rpms/noarch/demo-2.0-1.noarch.rpm", "install").with("version", "2.0"));
        live.law(&package("remove"));
    }
    let file = |version: &str| {
        let path = format!("/srv/rpms/noarch/demo-{version}-1.noarch.rpm");
        request("rpm_package", "demo", "install").with("source", path)
    };
    // What belongs to Debian is not in the database of RPM.
    let nodeps = json!(["--nodeps"]);
    live.law(&file("1.9").with("options", nodeps.clone()));
    live.law(&file("2.0").with("version", "2.0").with("options", nodeps.clone()));
    live.law(&request("rpm_package", "demo", "remove").with("options", nodeps));
    live.law(&request("yum_repository", "local", "remove"));
}

#[test]
fn packages_of_languages() {
    if !in_booted_machine("live::packages_of_languages") {
        return;
    }
    let live = Live::new();
    said("python3 -m venv /srv/venv; mkdir -p /srv/py/demo_pkg; touch /srv/py/demo_pkg/__init__.py");
    for version in ["1.0", "2.0"] {
        let project =
            format!("[metadata]\nname = demo-pkg\nversion = {version}\n[options]\npackages = demo_pkg\n");
        durable::write(Path::new("/srv/py/setup.cfg"), 0o644, project.as_bytes()).unwrap();
        durable::write(
            Path::new("/srv/py/setup.py"),
            0o644,
            b"import setuptools\nsetuptools.setup()\n",
        )
        .unwrap();
        said("cd /srv/py && /srv/venv/bin/python setup.py -q sdist -d /srv/wheels 2>&1");
    }
    let pip = |action: &str| {
        request("python_package", "demo_pkg", action)
            .with("virtualenv", "/srv/venv")
            .with(
                "options",
                "--no-index --no-build-isolation --find-links /srv/wheels",
            )
    };
    live.law(&pip("install").with("version", "1.0"));
    live.nothing(&pip("install"));
    live.law(&pip("upgrade"));
    assert!(said("/srv/venv/bin/pip list --format=freeze").contains("demo-pkg==2.0"));
    let gone = request("pip_package", "demo-pkg", "remove").with("virtualenv", "/srv/venv");
    live.law(&gone);

    for version in ["1.0", "2.0"] {
        let spec = format!(
            "Gem::Specification.new {{ |s| s.name = 'demo'; s.version = '{version}'; s.summary = 'x'; \
             s.author = 'x'; s.files = [] }}\n"
        );
        durable::write(Path::new("/srv/demo.gemspec"), 0o644, spec.as_bytes()).unwrap();
        said(&format!(
            "cd /srv && gem build -q demo.gemspec -o demo-{version}.gem 2>&1"
        ));
    }
    let gem = |action: &str, version: &str| {
        request("gem_package", "demo", action)
            .with("source", format!("/srv/demo-{version}.gem"))
            .with("options", "--local")
    };
    live.law(&gem("install", "1.0"));
    live.law(&gem("install", "2.0").with("version", "2.0"));
    assert!(said("gem list --local --exact demo").contains("demo (2.0, 1.0)"));
    live.law(&request("gem_package", "demo", "remove").with("version", "1.0"));
    live.law(&request("gem_package", "demo", "remove"));
}

#[test]
fn services_of_system_v() {
    if !in_booted_machine("live::services_of_system_v") {
        return;
    }
    let live = Live::new();
    // As on a machine whose first process is not systemd.
    said("mount -t tmpfs tmpfs /run/systemd/system 2>/dev/null || true");
    let script = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: demo\n# Required-Start:\n# Required-Stop:\n\
                  # Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\n\
                  case $1 in start) touch /srv/runs;; stop) rm -f /srv/runs;; status) test -e /srv/runs;; \
                  restart) touch /srv/restarted;; esac\n";
    durable::write(Path::new("/etc/init.d/demo"), 0o755, script.as_bytes()).unwrap();
    said(
        "umount /run/systemd/system; mkdir -p /srv/hidden; mount --bind /srv/hidden /run/systemd; ! test -e /run/systemd/system",
    );
    let service = |action: &str| request("service", "demo", action);
    live.law(&service("enable"));
    assert!(holds("ls /etc/rc3.d/S*demo"));
    live.law(&service("start"));
    assert!(live.run(&service("restart")).unwrap().updated);
    assert!(Path::new("/srv/restarted").exists());
    live.law(&service("stop"));
    live.law(&service("disable"));
    assert!(matches!(live.fails(&service("mask")), Cause::Service(_)));
    said("umount /run/systemd");
}

#[test]
fn one_of_several_programs() {
    if !in_booted_machine("live::one_of_several_programs") {
        return;
    }
    let live = Live::new();
    said("cp /bin/true /usr/local/bin/one; cp /bin/false /usr/local/bin/two");
    let choice = |action: &str, path: &str| request("alternatives", "choice", action).with("path", path);
    live.law(&choice("install", "/usr/local/bin/one").with("priority", 10));
    live.law(&choice("install", "/usr/local/bin/two").with("priority", 20));
    assert_eq!(said("readlink -f /usr/bin/choice"), "/usr/local/bin/two");
    live.law(&choice("set", "/usr/local/bin/one"));
    assert_eq!(said("readlink -f /usr/bin/choice"), "/usr/local/bin/one");
    live.law(&request("alternatives", "choice", "auto"));
    live.law(&choice("remove", "/usr/local/bin/two"));
    assert_eq!(said("readlink -f /usr/bin/choice"), "/usr/local/bin/one");
    let cause = live.fails(&choice("set", "/usr/local/bin/three"));
    assert!(cause.to_string().contains("no alternative"), "{cause}");
    let report = live
        .run(&Request::new("chef_sleep", "1").with("seconds", 0))
        .unwrap();
    assert_eq!(report.changes, ["sleep 0 seconds"]);
}
