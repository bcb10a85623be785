//! Nodes to be measured, and what they converge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::process::Contender;
use crate::{ours, store};

/// A home that has joined a server which is away, with projects in a store on the loopback interface.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) home: PathBuf,
    pub(crate) tree: PathBuf,
}

impl Node {
    /// `projects` are folders of projects.
    pub(crate) fn new(scratch: &Path, name: &str, projects: &[PathBuf]) -> anyhow::Result<Self> {
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
    pub(crate) fn converge(&self, name: &str, before: &str, args: &str) -> anyhow::Result<Contender> {
        let program = ours("jetpack")?;
        let line = format!("{before}; exec '{}' converge {args}", program.display());
        Ok(Contender::new(name, "sh")
            .args(["-c", &line])
            .env("CYCLECLOUD_HOME", &self.home))
    }

    /// Makes the next converge the first one.
    pub(crate) fn forget(&self) -> String {
        format!(
            "rm -rf '{}' '{}/run/cluster-init'",
            self.tree.display(),
            self.home.display()
        )
    }
}

/// Writes the `project.ini` of a folder.
pub(crate) fn write_project(folder: &Path) -> anyhow::Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let text = format!("[project]\nname = {name}\nversion = 1.0.0\n");
    write(&folder.join("project.ini"), 0o644, text.as_bytes())
}

/// Writes a file and the folders above it.
pub(crate) fn write(path: &Path, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        durable::create_folder(folder, 0o755)?;
    }
    Ok(durable::write_unflushed(path, mode, bytes)?)
}
