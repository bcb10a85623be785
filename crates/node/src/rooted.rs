//! Paths of a machine whose files lie below a root: a recorded one, a scratch one, or this one.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// How many symbolic links one path may lead through, as in the kernel.
pub const MOST_LINKS: usize = 40;

/// Where a path of the machine leads to when all symbolic links are followed as on the machine itself: an absolute link of another
/// machine must not lead to a file of this one. Nothing of it need exist.
pub fn target(root: &Path, path: &Path) -> PathBuf {
    root.join(follow(root, steps(path)))
}

/// Where a path of the machine is: as [`target`], but the last step is not followed.
pub fn place(root: &Path, path: &Path) -> PathBuf {
    let mut rest = steps(path);
    if rest.is_empty() {
        return root.to_owned();
    }
    let last = rest.remove(0);
    root.join(follow(root, rest)).join(last)
}

fn follow(root: &Path, mut rest: Vec<PathBuf>) -> PathBuf {
    let mut done = PathBuf::new();
    let mut links = 0;
    while let Some(step) = rest.pop() {
        if step == Path::new("..") {
            done.pop();
            continue;
        }
        match fs::read_link(root.join(&done).join(&step)) {
            Ok(target) if links < MOST_LINKS => {
                links += 1;
                if target.is_absolute() {
                    done.clear();
                }
                rest.extend(steps(&target));
            }
            _ => done.push(step),
        }
    }
    done
}

/// The steps of a path, the first one last.
fn steps(path: &Path) -> Vec<PathBuf> {
    path.components()
        .rev()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(PathBuf::from(name)),
            Component::ParentDir => Some(PathBuf::from("..")),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_stay_below_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        symlink("/etc", root.join("abs")).unwrap();
        symlink("../../..", root.join("up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let at = |path: &str| root.join(path);
        assert_eq!(target(root, Path::new("/abs/passwd")), at("etc/passwd"));
        assert_eq!(target(root, Path::new("/up/x")), at("x"));
        assert_eq!(target(root, Path::new("/../../x")), at("x"));
        assert_eq!(target(root, Path::new("/abs")), at("etc"));
        assert_eq!(place(root, Path::new("/abs")), at("abs"));
        assert_eq!(place(root, Path::new("/abs/../abs")), at("abs"));
        assert_eq!(place(root, Path::new("/")), root);
        // It ends, wherever.
        assert!(target(root, Path::new("/loop/x")).starts_with(root));
    }
}
