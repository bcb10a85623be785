//! The project that the current folder belongs to.

use std::path::PathBuf;

use anyhow::Context;
use locker::project::ProjectIni;
use terminal::ResultExt;

/// A project on its author's machine.
#[derive(Debug)]
pub(crate) struct Workplace {
    pub(crate) folder: PathBuf,
    pub(crate) ini: ProjectIni,
}

impl Workplace {
    /// Finds `project.ini` here or in a folder above.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("there is no current folder")?;
        let folder = here
            .ancestors()
            .find(|folder| folder.join("project.ini").is_file())
            .with_context(|| format!("there is no `project.ini` in `{}` nor above it", here.display()))
            .hint("change to the folder of a project, or make one with `cyclecloud project init NAME`")?;
        let ini = ProjectIni::read(&folder.join("project.ini"))?;
        Ok(Self {
            folder: folder.to_owned(),
            ini,
        })
    }
}
