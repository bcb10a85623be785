//! `jetpack converge` against `rsync` of the same files, and against its scripts run by hand.
//!
//! Ours waits for the disk where `rsync` and a shell do not, so a disk that others keep busy is measured too. With
//! `TMPDIR=/dev/shm` all files are in memory, and only the programs are compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::comparison::{Comparison, Goal, Measure};
use crate::process::Contender;
use crate::{ours, store};

const PROJECTS: usize = 5;
const FILES: usize = 200;
const SCRIPTS: u32 = 100;
/// Sizes of the blobs whose memory is compared.
const SMALL: usize = 1 << 20;
const LARGE: usize = 256 << 20;

const DO_NOTHING: &str = "#!/bin/sh\nexit 0\n";

/// A home that has joined a server which is away, with projects in a store on the loopback interface.
struct Node {
    home: PathBuf,
    tree: PathBuf,
}

impl Node {
    /// `projects` are folders of projects.
    fn new(scratch: &Path, name: &str, projects: &[PathBuf]) -> anyhow::Result<Self> {
        let folder = scratch.join(name);
        fs::create_dir(&folder)?;
        // The author's loop makes exactly such a home; only its locker is a folder.
        #[expect(
            clippy::disallowed_methods,
            reason = "a benchmark of processes starts processes"
        )]
        let mut command = Command::new(ours("jetpack")?);
        command
            .args(["converge", "--dry-run", "--keep"])
            .env("TMPDIR", &folder);
        for project in projects {
            command.arg("--project").arg(project);
        }
        let output = command
            .stdin(Stdio::null())
            .output()
            .context("cannot start jetpack")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let kept = said
            .lines()
            .find_map(|line| line.strip_prefix("kept in `")?.strip_suffix('`'));
        let (true, Some(kept)) = (output.status.success(), kept) else {
            bail!("cannot make a home: {}", said.trim());
        };
        let home = Path::new(kept).join("jetpack");
        let store = store::serve(&home.join("system/locker"))?;
        let configuration = home.join("run/configuration.json");
        let text = fs::read_to_string(&configuration)?;
        let text = text.replace(
            &format!("file://{}/system/locker", home.display()),
            &format!("http://{store}/lockers/local"),
        );
        durable::write(&configuration, 0o640, text.as_bytes())?;
        Ok(Self {
            tree: Path::new(kept).join("cluster-init"),
            home,
        })
    }

    /// Converges after `before`, a line for the shell.
    fn converge(&self, name: &str, before: &str, args: &str) -> anyhow::Result<Contender> {
        let program = ours("jetpack")?;
        let line = format!("{before}; exec '{}' converge {args}", program.display());
        Ok(Contender::new(name, "sh")
            .args(["-c", &line])
            .env("CYCLECLOUD_HOME", &self.home))
    }

    /// Makes the next converge the first one.
    fn forget(&self) -> String {
        format!(
            "rm -rf '{}' '{}/run/cluster-init'",
            self.tree.display(),
            self.home.display()
        )
    }
}

/// All that is compared.
pub(crate) fn comparisons(scratch: &Path) -> anyhow::Result<Vec<Comparison>> {
    let source = scratch.join("source");
    let projects: Vec<_> = (1..=PROJECTS)
        .map(|number| source.join(format!("p{number}")))
        .collect();
    for (number, project) in projects.iter().enumerate() {
        write_project(project)?;
        for file in 0..FILES {
            let path = project.join(format!("specs/default/cluster-init/files/f{file:03}"));
            // From 1 to 20 KB, as such files are.
            write(
                &path,
                0o644,
                &vec![b'a' + (file % 26) as u8; 1000 + (file * 97 + number) % 19_000],
            )?;
        }
    }
    write(
        &projects[0].join("specs/default/cluster-init/scripts/1.sh"),
        0o755,
        DO_NOTHING.as_bytes(),
    )?;
    let files = Node::new(scratch, "files", &projects)?;

    let many = scratch.join("many");
    write_project(&many)?;
    for number in 0..SCRIPTS {
        let path = many.join(format!("specs/default/cluster-init/scripts/{number:03}.sh"));
        write(&path, 0o755, DO_NOTHING.as_bytes())?;
    }
    let scripts = Node::new(scratch, "scripts", std::slice::from_ref(&many))?;

    let mut blobs = Vec::new();
    for (name, size) in [("small", SMALL), ("large", LARGE)] {
        let project = scratch.join(name);
        write_project(&project)?;
        write(
            &project.join("specs/default/cluster-init/files/blob"),
            0o644,
            &vec![7; size],
        )?;
        blobs.push(Node::new(scratch, &format!("node-{name}"), &[project])?);
    }

    let copy = scratch.join("copy");
    let rsync = |before: String| {
        let line = format!(
            "{before}; exec rsync -a '{}/' '{}'",
            source.display(),
            copy.display()
        );
        Contender::new("rsync -a", "sh").args(["-c", &line])
    };
    let by_hand = format!(
        "cd '{}/specs/default/cluster-init/scripts' && for script in *.sh; do ./$script || exit 1; done",
        many.display()
    );
    Ok(vec![
        Comparison {
            title: format!(
                "To the end of the first script: {PROJECTS} projects of {FILES} files, nothing here yet"
            ),
            ours: files.converge("jetpack converge", &files.forget(), "")?,
            peers: vec![rsync(format!("rm -rf '{}'", copy.display()))],
            goals: vec![Goal::Ratio {
                peer: "rsync -a",
                measure: Measure::Wall,
                at_least: 0.4,
            }],
        },
        Comparison {
            title: format!("To the end of the first script: {PROJECTS} projects of {FILES} files, all here"),
            ours: files.converge(
                "jetpack converge",
                &format!(
                    "rm -f '{}/.run/p1/default/scripts/1.sh.run'",
                    files.tree.display()
                ),
                "",
            )?,
            peers: vec![rsync("true".to_owned())],
            goals: vec![Goal::Ratio {
                peer: "rsync -a",
                measure: Measure::Wall,
                at_least: 0.5,
            }],
        },
        Comparison {
            title: format!("{SCRIPTS} scripts that do nothing"),
            ours: scripts.converge("jetpack converge", "true", "--rerun-scripts")?,
            peers: vec![Contender::new("by hand", "sh").args(["-c", &by_hand])],
            goals: vec![Goal::Overhead {
                peer: "by hand",
                things: SCRIPTS,
                at_most: Duration::from_millis(5),
            }],
        },
        Comparison {
            title: format!(
                "A file of {} MB to download, and one of {} MB",
                LARGE >> 20,
                SMALL >> 20
            ),
            ours: blobs[1].converge("large", &blobs[1].forget(), "")?,
            peers: vec![blobs[0].converge("small", &blobs[0].forget(), "")?],
            goals: vec![Goal::Ratio {
                peer: "small",
                measure: Measure::Peak,
                at_least: 0.8,
            }],
        },
    ])
}

fn write_project(folder: &Path) -> anyhow::Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let text = format!("[project]\nname = {name}\nversion = 1.0.0\n");
    write(&folder.join("project.ini"), 0o644, text.as_bytes())
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        durable::create_folder(folder, 0o755)?;
    }
    Ok(durable::write_unflushed(path, mode, bytes)?)
}
