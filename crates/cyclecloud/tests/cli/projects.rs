//! Projects and lockers.

use serde_json::json;

use crate::site::Site;

#[test]
fn a_new_project_has_the_public_form() {
    let site = Site::new();
    let run = site.run(&["project", "init", "demo"]);
    let folder = site.path("demo").canonicalize().unwrap();
    assert_eq!(
        run.success(),
        format!("Project 'demo' initialized in {}\n", folder.display())
    );
    assert_eq!(
        site.read("demo/project.ini"),
        "[project]\nname = demo\nlabel = demo\ntype = application\nversion = 1.0.0\n"
    );
    for path in ["scripts/README.txt", "files/README.txt", "tests/README.txt"] {
        assert!(
            folder.join("specs/default/cluster-init").join(path).is_file(),
            "{path}"
        );
    }
    assert!(folder.join("blobs").is_dir() && folder.join("templates").is_dir());

    let again = site.run(&["project", "init", "demo"]);
    assert_eq!(
        again.failure(),
        format!("Error: `{}` is there already\n", folder.display())
    );
    let bad = site.run(&["project", "init", "../x"]);
    assert!(
        bad.failure().starts_with("Error: project `../x`"),
        "{}",
        bad.stderr
    );
}

#[test]
fn a_project_is_described_from_anywhere_within_it() {
    let site = Site::new();
    site.run(&["project", "init", "demo"]).success();
    let folder = site.path("demo");
    let within = folder.join("specs/default");
    let run = site.run_in(&within, &["project", "add_spec", "execute"], "");
    assert_eq!(run.success(), "Spec 'execute' added to project 'demo'\n");
    let again = site.run_in(&within, &["project", "add_spec", "execute"], "");
    assert!(
        again
            .failure()
            .starts_with("Error: there is a spec `execute` already"),
        "{}",
        again.stderr
    );
    site.run_in(&within, &["project", "default_locker", "one", "--global"], "")
        .success();
    let run = site.run_in(&within, &["project", "default_locker", "local"], "");
    assert_eq!(run.success(), "Default locker: local\n");
    assert_eq!(
        site.run_in(&within, &["project", "info"], "").success(),
        format!(
            "Name: demo\nLabel: demo\nType: application\nVersion: 1.0.0\nFolder: {}\nSpecs: default, execute\n\
             Default locker: local\n",
            folder.canonicalize().unwrap().display()
        )
    );
    let outside = site.run(&["project", "info"]);
    assert!(
        outside.failure().contains("there is no `project.ini` in "),
        "{}",
        outside.stderr
    );
    let new = site.run(&["project", "init", "other"]);
    assert!(
        new.success().ends_with("\nDefault locker: one\n"),
        "{}",
        new.stdout
    );
}

#[test]
fn a_project_is_uploaded_to_the_server_that_we_know() {
    let site = Site::new();
    site.run(&["project", "init", "demo"]).success();
    let folder = site.path("demo");
    site.write(
        "demo/project.ini",
        "[project]\nname = demo\nversion = 1.2.0\n[blobs]\nFiles = b.tgz\n",
    );

    site.expect_lockers();
    let missing = site.run_in(&folder, &["project", "upload"], "");
    assert!(
        missing.failure().contains("lists blobs that are not in "),
        "{}",
        missing.stderr
    );
    assert!(missing.stderr.contains("`b.tgz`\nHint: "), "{}", missing.stderr);

    site.write("demo/blobs/b.tgz", "blob");
    let target = format!("{}/lockers/local/projects/demo", site.url());
    let said =
        format!("Uploading to {target}/1.2.0 (100%)\nUploading to {target}/blobs (100%)\nUpload complete!\n");
    for args in [
        &["project", "upload"][..],
        &["project", "upload", "local", "--force"],
    ] {
        site.expect_lockers();
        assert_eq!(site.run_in(&folder, args, "").success(), said);
    }
    assert_eq!(site.read("locker/projects/demo/blobs/b.tgz"), "blob");
    assert!(
        site.path("locker/projects/demo/1.2.0/default/cluster-init/scripts/README.txt")
            .is_file()
    );
    assert!(
        site.read("locker/projects/demo/1.2.0/manifest.json")
            .contains("\"sha256\"")
    );

    site.expect_lockers();
    site.run_in(&folder, &["project", "upload", "--project-version", "1.3.0"], "")
        .success();
    assert!(site.path("locker/projects/demo/1.3.0/manifest.json").is_file());
    let run = site.run_in(&folder, &["project", "build", "--build-dir", "out"], "");
    let built = folder.canonicalize().unwrap();
    assert!(run.success().starts_with("Built "), "{}", run.stdout);
    assert!(built.join("out/demo/1.2.0/manifest.json").is_file());
}

#[test]
fn the_locker_must_be_clear() {
    let site = Site::new();
    site.run(&["project", "init", "demo"]).success();
    let folder = site.path("demo");
    let two = json!([{"Name": "a", "Url": "http://x/lockers/a"}, {"Name": "b", "Url": "http://x/lockers/b"}]);
    site.expect("GET /lockers", 200, two.clone());
    let run = site.run_in(&folder, &["project", "upload"], "");
    assert_eq!(
        run.failure(),
        "Error: there is more than one locker and none is the default\n\
         Hint: the lockers of this server are: `a`, `b`; choose one with `cyclecloud project default_locker`\n"
    );
    site.expect("GET /lockers", 200, two);
    let run = site.run_in(&folder, &["project", "upload", "c"], "");
    assert_eq!(
        run.failure(),
        "Error: there is no locker `c`\nHint: the lockers of this server are: `a`, `b`\n"
    );
    // Our password does not go to wherever the server says.
    site.expect(
        "GET /lockers",
        200,
        json!([{"Name": "a", "Url": "http://127.0.0.1:1/elsewhere"}]),
    );
    let run = site.run_in(&folder, &["project", "upload"], "");
    assert!(
        run.failure().contains("is not below the server's address"),
        "{}",
        run.stderr
    );
}

#[test]
fn lockers_are_listed_with_their_places() {
    let site = Site::new();
    site.expect(
        "GET /lockers",
        200,
        json!([{"Name": "local", "Url": "http://x/lockers/local"}]),
    );
    assert_eq!(
        site.run(&["locker", "list"]).success(),
        "local (http://x/lockers/local)\n"
    );
}

#[test]
fn a_wrong_project_ini_is_told_with_its_line() {
    let site = Site::new();
    site.write("demo/project.ini", "[project]\nname = demo\n[[x]\n");
    let run = site.run_in(&site.path("demo"), &["project", "build"], "");
    let file = site.path("demo").canonicalize().unwrap().join("project.ini");
    assert_eq!(
        run.failure(),
        format!(
            "Error: {}:3: `[[x]` has 2 opening and 1 closing brackets\n",
            file.display()
        )
    );
}
