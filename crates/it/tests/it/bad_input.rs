//! Wrong command lines, wrong files, wrong folders: a clear error, and nothing changed.

use testkit::{Program, Site, run};

#[test]
fn a_template_with_an_error_is_refused_whole_with_its_place() {
    let site = Site::new();
    let path = site.folder().join("broken.txt");
    let cases = [
        ("[cluster demo]\n[[node head]\n", "broken.txt:2:"),
        (
            "[cluster demo]\n[[node head]]\nMachineType = $Size\n",
            "broken.txt:3:",
        ),
        (
            "[cluster demo]\n[[node head]]\nExtends = nobody\n",
            "broken.txt:3:",
        ),
        (
            "[cluster demo]\n[[node head]]\n  Count := ifThenElse(true, 1, Nothing)\n",
            "broken.txt:3:",
        ),
    ];
    for (text, place) in cases {
        #[expect(
            clippy::disallowed_methods,
            reason = "a scratch file of a test need not survive a power cut"
        )]
        std::fs::write(&path, text).unwrap();
        let run = site.cyclecloud(&["import_cluster", "demo", "-f", path.to_str().unwrap()]);
        assert!(run.failure().contains(place), "{place} in {run:?}");
        assert_eq!(
            site.request("GET", "/clusters/demo/status", None).status,
            404,
            "nothing is half imported"
        );
    }
}

#[test]
fn a_folder_is_initialised_once() {
    let site = Site::initialised();
    let folder = site.server_folder();
    let before = std::fs::read(folder.join("store.db")).unwrap();
    let again = run("cycle_server", &["init", folder.to_str().unwrap()]);
    assert!(again.failure().contains(folder.to_str().unwrap()), "{again:?}");
    assert_eq!(
        std::fs::read(folder.join("store.db")).unwrap(),
        before,
        "nothing is changed"
    );
    let none = run(
        "cycle_server",
        &["run", "--dir", site.folder().join("none").to_str().unwrap()],
    );
    assert!(none.failure().contains("none"), "{none:?}");
}

#[test]
fn a_taken_port_and_a_second_server_are_named() {
    let site = Site::new();
    let taken = site.url().strip_prefix("http://").unwrap();
    let other = Site::initialised();
    let folder = other.server_folder();
    let run_other = |http: &str| {
        Program::new("cycle_server")
            .args([
                "run",
                "--dir",
                folder.to_str().unwrap(),
                "--http",
                http,
                "--amqp",
                "127.0.0.1:0",
            ])
            .run()
    };
    let error = run_other(taken);
    assert!(error.failure().contains(taken), "{error:?}");
    let second = run(
        "cycle_server",
        &[
            "run",
            "--dir",
            site.server_folder().to_str().unwrap(),
            "--http",
            "127.0.0.1:0",
            "--amqp",
            "127.0.0.1:0",
        ],
    );
    assert!(
        second.failure().contains(site.server_folder().to_str().unwrap()),
        "{second:?}"
    );
}

#[test]
fn wrong_passwords_and_absent_clusters_are_named() {
    let site = Site::new();
    let wrong = site.cyclecloud(&[
        "initialize",
        "--batch",
        "--force",
        "--url",
        site.url(),
        "--username",
        "admin",
        "--password",
        "wrong",
    ]);
    wrong.failure();
    // The configuration that worked is still there.
    let absent = site.cyclecloud(&["start_cluster", "nothing"]);
    assert!(absent.failure().contains("nothing"), "{absent:?}");
    let usage = site.cyclecloud(&["start_cluster"]);
    assert_eq!(usage.code, Some(2), "{usage:?}");
}
