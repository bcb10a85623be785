//! Projects made for one test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A project in the public form, in a scratch folder.
#[derive(Debug)]
pub struct Project {
    folder: PathBuf,
    blobs: Vec<String>,
    name: String,
}

impl Project {
    /// A project without anything in it.
    pub fn new(parent: &Path, name: &str) -> Self {
        let project = Self {
            folder: parent.join(name),
            blobs: Vec::new(),
            name: name.to_owned(),
        };
        fs::create_dir_all(&project.folder).unwrap();
        project.write_ini();
        project
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds or replaces a script of a spec. The first line is up to the caller.
    pub fn script(&mut self, spec: &str, name: &str, text: &str) -> &mut Self {
        self.file(&format!("specs/{spec}/cluster-init/scripts/{name}"), text, 0o755)
    }

    /// Adds or replaces a blob.
    pub fn blob(&mut self, name: &str, text: &str) -> &mut Self {
        if !self.blobs.iter().any(|blob| blob == name) {
            self.blobs.push(name.to_owned());
        }
        self.write_ini();
        self.file(&format!("blobs/{name}"), text, 0o644)
    }

    /// Adds or replaces any file.
    pub fn file(&mut self, path: &str, text: &str, mode: u32) -> &mut Self {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn write_ini(&self) {
        let blobs = self.blobs.join(", ");
        let blobs = if blobs.is_empty() {
            String::new()
        } else {
            format!("\n[blobs]\nFiles = {blobs}\n")
        };
        let ini = format!(
            "[project]\nname = {}\ntype = application\nversion = 1.0.0\n{blobs}",
            self.name
        );
        write(&self.folder.join("project.ini"), &ini);
    }
}

fn write(path: &Path, text: &str) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a scratch file of a test need not survive a power cut"
    )]
    fs::write(path, text).unwrap();
}
