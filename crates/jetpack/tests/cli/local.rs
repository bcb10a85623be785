//! `jetpack converge --project`: the author's own loop.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::home::Home;

/// A project in a scratch folder.
pub(crate) struct Project {
    pub(crate) home: Home,
}

impl Project {
    pub(crate) fn new() -> Self {
        let project = Self { home: Home::new() };
        project.file(
            "project.ini",
            "[project]\nname = tools\nversion = 1.2.0\n[blobs]\nFiles = data.txt\n",
        );
        project.file("blobs/data.txt", "the blob\n");
        project
    }

    pub(crate) fn file(&self, path: &str, text: &str) -> &Self {
        self.home.write(&format!("../project/{path}"), text);
        self
    }

    pub(crate) fn script(&self, spec: &str, name: &str, text: &str) -> &Self {
        self.file(&format!("specs/{spec}/cluster-init/scripts/{name}"), text)
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().parent().unwrap().join("project")
    }

    pub(crate) fn converge(&self, args: &[&str]) -> crate::home::Run {
        self.home.run(&self.args(args))
    }

    fn args<'a>(&self, args: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["converge", "--project", "project"];
        all.extend(args);
        all
    }
}

#[test]
fn a_project_runs_from_its_folder_with_configuration_and_blobs() {
    let project = Project::new();
    project
        .script(
            "default",
            "010-a.sh",
            "#!/bin/sh\njetpack config slurm.version\njetpack config cyclecloud.cluster.name\n\
             jetpack config slurm.cores\ncat ../files/x\njetpack download data.txt\ncat data.txt\necho $CYCLECLOUD_PROJECT_VERSION\n\
             echo $CYCLECLOUD_HOME >$CYCLECLOUD_SPEC_PATH/../../../where\n",
        )
        .script("execute", "020-b.sh", "#!/bin/sh\nexit 1\n")
        .file("specs/default/cluster-init/files/x", "content of x\n");
    let run = project.converge(&[
        "--config",
        "slurm.version=23.11.1",
        "--config",
        "slurm.cores=4",
        "--keep",
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.stdout
            .contains("23.11.1\nlocal\n4\ncontent of x\nthe blob\n1.2.0\ntools/default/scripts/010-a.sh ran successfully in "),
        "{run:?}"
    );
    assert!(
        run.stdout
            .lines()
            .last()
            .unwrap()
            .starts_with("ready: configure "),
        "{run:?}"
    );
    let kept = run.stderr.lines().last().unwrap();
    let kept = Path::new(kept.strip_prefix("kept in `").unwrap().strip_suffix('`').unwrap());
    assert!(
        kept.join("jetpack/logs/cluster-init/tools/default/scripts/010-a.sh.out")
            .exists()
    );
    fs::remove_dir_all(kept).unwrap();
    assert!(
        !project.folder().join("build").exists(),
        "nothing is put into the project"
    );
    assert!(
        !project.home.path().join("run").exists(),
        "the machine's own home is left alone"
    );
}

#[test]
fn the_home_is_gone_afterwards_also_after_a_failure() {
    let project = Project::new();
    project.script(
        "default",
        "1.sh",
        "#!/bin/sh\necho $CYCLECLOUD_HOME\necho no disk >&2\nexit 7\n",
    );
    let run = project.converge(&[]);
    assert_eq!(run.code, 1, "{run:?}");
    let home = run
        .stdout
        .lines()
        .find(|line| line.ends_with("/jetpack"))
        .unwrap();
    assert!(!Path::new(home).exists());
    assert!(
        run.stdout
            .contains("\nno disk\ntools/default/scripts/1.sh return code: 7 after "),
        "{run:?}"
    );
    assert!(
        run.stderr
            .ends_with("1.sh` in project `tools` (return code: 7)\n"),
        "{run:?}"
    );
}

#[test]
fn a_dry_run_says_what_would_run() {
    let project = Project::new();
    project
        .script("default", "1.sh", "#!/bin/sh\ntrue\n")
        .script("default", "2.bat", "exit\r\n")
        .script("other", "1.sh", "#!/bin/sh\ntrue\n")
        .file("specs/default/cluster-init/stages/activate.sh", "#!/bin/sh\n");
    let run = project.converge(&["--dry-run", "--spec", "other", "--spec", "tools:default"]);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (
            0,
            "tools:other 1.2.0: new, 1 file\n\
             tools:default 1.2.0: new, 3 files\n\
             run  tools/other/scripts/1.sh\n\
             run  tools/default/scripts/1.sh\n\
             skip tools/default/scripts/2.bat: is for Windows and is left out\n\
             run  tools/default/stages/activate.sh\n\
             3 scripts would run\n",
            ""
        )
    );
}

#[test]
fn what_is_wrong_is_named() {
    let project = Project::new();
    project
        .script("one", "1.sh", "#!/bin/sh\n")
        .script("two", "1.sh", "#!/bin/sh\n");
    for (args, error) in [
        (
            &["--project", "project"][..],
            "Error: project `tools` has several specs: `one`, `two`\nHint: say which with --spec\n",
        ),
        (
            &["--project", "project", "--spec", "three"],
            "Error: there is no spec `three`; there are `tools:one`, `tools:two`\n",
        ),
        (
            &["--project", "."],
            "Error: `.` is no project: it has no `project.ini`\nHint: `cyclecloud project init` makes a project\n",
        ),
        (
            &["--project", "project", "--spec", "one", "--config", "x"],
            "Error: `x` is not of the form KEY=VALUE\n",
        ),
    ] {
        let args: Vec<_> = ["converge"].iter().chain(args).copied().collect();
        let run = project.home.run(&args);
        assert_eq!(
            (run.code, run.stdout.as_str(), run.stderr.as_str()),
            (1, "", error),
            "{args:?}"
        );
    }
    project.file(
        "project.ini",
        "[project]\nname = tools\nversion = 1.2.0\n[blobs]\nFiles = missing.tgz\n",
    );
    let run = project.converge(&[]);
    assert!(run.stderr.contains("`missing.tgz`"), "{run:?}");
    project.file("project.ini", "[project\n");
    let run = project.converge(&[]);
    assert!(run.code == 1 && run.stderr.contains("project.ini"), "{run:?}");
}

/// What the sandbox must not let out, written by a script to the machine's own places.
const TRACES: [&str; 2] = ["/etc/jetpack-sandbox-test", "/usr/local/jetpack-sandbox-test"];

#[test]
fn a_sandbox_shows_the_machine_and_keeps_what_is_done_to_it() {
    let project = Project::new();
    let write: String = TRACES
        .iter()
        .map(|path| format!("echo x >{path}\ncat {path}\n"))
        .collect();
    project.script(
        "default",
        "1.sh",
        &format!("#!/bin/sh\n{write}hostname sandboxed\necho \"home $CYCLECLOUD_HOME\"\npwd\necho $$\nls -d /dev/sd* /dev/vd* 2>/dev/null\njetpack config a.b\n"),
    );
    let hostname = nix_hostname();
    let run = project.converge(&["--sandbox", "--config", "a.b=c"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.stdout
            .contains("\nx\nx\nhome /opt/cycle/jetpack\n/mnt/cluster-init/tools/default/scripts\n"),
        "{run:?}"
    );
    assert!(
        run.stdout.contains("\nc\ntools/default/scripts/1.sh ran"),
        "no disks: {run:?}"
    );
    for path in TRACES {
        assert!(!Path::new(path).exists(), "{path}");
    }
    assert_eq!(nix_hostname(), hostname);

    project.script("default", "1.sh", "#!/bin/sh\nexit 3\n");
    let run = project.converge(&["--sandbox"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(
        run.stderr,
        "Error: failed to execute cluster-init script `/mnt/cluster-init/tools/default/scripts/1.sh` in project `tools` \
         (return code: 3)\n"
    );
}

fn nix_hostname() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap()
}

#[test]
fn nothing_of_a_sandbox_outlives_a_kill() {
    let project = Project::new();
    let mark = format!("JETPACK_SANDBOX_TEST={}", std::process::id());
    project.script(
        "default",
        "1.sh",
        &format!(
            "#!/bin/sh\nexport {mark}\necho x >{}\nsetsid sleep 600 &\nsleep 600\n",
            TRACES[0]
        ),
    );
    let args = project.args(&["--sandbox"]);
    let mut child = project
        .home
        .command(project.folder().parent().unwrap(), &args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait("both processes of the script run", || marked(&mark) >= 2);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    wait("all of them are gone", || marked(&mark) == 0);
    assert!(!Path::new(TRACES[0]).exists());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("lowerdir=/,upperdir=/mnt/upper"), "{mounts}");
}

/// How many processes have this in their environment.
fn marked(mark: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let environments = processes.filter_map(|process| fs::read(process.path().join("environ")).ok());
    environments
        .filter(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == mark.as_bytes())
        })
        .count()
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
