//! The pages as files of the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use terminal::ResultExt;

use crate::programs::{programs, tree};
use crate::{man, markdown, resources};

/// The folders of the pages. Whatever else is in them is no page any more.
const FOLDERS: [&str; 2] = [MAN, MARKDOWN];
const MAN: &str = "docs/man";
const MARKDOWN: &str = "docs/reference";

/// All pages, by their paths in the repository.
pub(crate) type Pages = BTreeMap<PathBuf, Vec<u8>>;

/// What the programs say now.
pub(crate) fn pages() -> Pages {
    let mut pages = Pages::new();
    for program in programs() {
        let name = format!("{}.md", program.get_name());
        pages.insert(Path::new(MARKDOWN).join(name), markdown::page(&program).into());
        for command in tree(&program) {
            let (name, text) = man::page(command);
            pages.insert(Path::new(MAN).join(name), text);
        }
    }
    pages.insert(Path::new(MARKDOWN).join("resources.md"), resources::page().into());
    pages
}

/// Writes the pages that changed, and removes those of commands that are gone.
///
/// # Errors
/// When a file cannot be written or removed.
pub(crate) fn write(root: &Path, pages: &Pages) -> anyhow::Result<()> {
    for folder in FOLDERS {
        durable::create_folder(&root.join(folder), 0o755)?;
    }
    for path in stale(root, pages)? {
        match pages.get(&path) {
            Some(text) => durable::write(&root.join(&path), 0o644, text)?,
            None => durable::remove(&root.join(&path))?,
        }
        terminal::out(format_args!("{}\n", path.display()))?;
    }
    Ok(())
}

/// Compares the files with the pages.
///
/// # Errors
/// Names every file that is not as it should be.
pub(crate) fn check(root: &Path, pages: &Pages) -> anyhow::Result<()> {
    let stale: Vec<String> = stale(root, pages)?
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    let error: anyhow::Result<()> = (|| bail!("not what the programs say: {}", stale.join(", ")))();
    error.hint("`cargo xtask generate` writes them anew")
}

/// The files that are missing, other than they should be, or too many.
fn stale(root: &Path, pages: &Pages) -> anyhow::Result<Vec<PathBuf>> {
    let mut stale: Vec<PathBuf> = Vec::new();
    for (path, text) in pages {
        if fs::read(root.join(path)).ok().as_ref() != Some(text) {
            stale.push(path.clone());
        }
    }
    for folder in FOLDERS {
        let entries = match fs::read_dir(root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read `{folder}`")),
        };
        for entry in entries {
            let path = Path::new(folder).join(entry?.file_name());
            if !pages.contains_key(&path) {
                stale.push(path);
            }
        }
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_the_repository_are_what_the_programs_say() {
        if let Err(error) = check(&crate::repository(), &pages()) {
            panic!("{error}; `cargo xtask generate` writes them anew");
        }
    }

    #[test]
    fn pages_are_written_once_and_old_ones_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (root, path) = (folder.path(), PathBuf::from("docs/man/a.1"));
        let pages = Pages::from([(path.clone(), b"text".to_vec())]);
        assert!(check(root, &pages).is_err());
        write(root, &pages).unwrap();
        check(root, &pages).unwrap();
        let error = check(root, &Pages::new()).unwrap_err().to_string();
        assert_eq!(error, "not what the programs say: `docs/man/a.1`");
        write(root, &Pages::new()).unwrap();
        assert!(!root.join(path).exists());
    }
}
