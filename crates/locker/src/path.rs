//! Rules for the names of blobs and files: whatever a name says, it stays in its folder.

use std::path::{Path, PathBuf};

/// Longest path in a locker, in bytes.
const MAX_PATH: usize = 1024;
/// Longest step of a path, in bytes: what file systems take.
const MAX_STEP: usize = 255;

/// A name that could leave its folder, or that no storage takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path `{}` {problem}", .path.escape_debug())]
pub struct PathError {
    path: String,
    problem: &'static str,
}

impl PathError {
    pub(crate) fn new(path: &str, problem: &'static str) -> Self {
        Self {
            path: path.to_owned(),
            problem,
        }
    }
}

/// Checks a path within a locker, an archive or a project: steps joined by `/`, relative.
///
/// # Errors
/// Says what is wrong: empty, absolute, an empty step, `.` or `..`, a control character, a
/// backslash (a step on Windows), too long, or a name that file lockers keep for uploads under way
/// (`#` and digits at the end).
pub fn check(path: &str) -> Result<(), PathError> {
    let problem = if path.is_empty() {
        "is empty"
    } else if path.starts_with('/') {
        "is absolute"
    } else if path.len() > MAX_PATH {
        "is longer than 1024 bytes"
    } else {
        match path.split('/').find_map(step_problem) {
            Some(problem) => problem,
            None => return Ok(()),
        }
    };
    Err(PathError::new(path, problem))
}

/// Joins a checked relative path to a folder.
///
/// # Errors
/// As [`check`].
pub fn join(folder: &Path, path: &str) -> Result<PathBuf, PathError> {
    check(path)?;
    Ok(path
        .split('/')
        .fold(folder.to_owned(), |folder, step| folder.join(step)))
}

fn step_problem(step: &str) -> Option<&'static str> {
    if step.is_empty() {
        Some("has an empty step")
    } else if step == "." || step == ".." {
        Some("has a step `.` or `..`")
    } else if step.len() > MAX_STEP {
        Some("has a step longer than 255 bytes")
    } else if step.chars().any(char::is_control) {
        Some("has a control character")
    } else if step.contains('\\') {
        Some("has a backslash")
    } else if is_staging_name(step) {
        Some("ends with `#` and digits, which file lockers keep for uploads under way")
    } else {
        None
    }
}

fn is_staging_name(step: &str) -> bool {
    step.rsplit_once('#')
        .is_some_and(|(_, digits)| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in [
            "projects/demo/1.0.0/manifest.json",
            "blobs/demo/symphony/xyz.tgz",
            "a b/ü~#x/..hidden",
            "x#",
            "c#-lib",
        ] {
            check(path).unwrap();
        }
    }

    #[test]
    fn paths_that_leave_their_folder_are_refused_and_named() {
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/..",
            ".",
            "a/./b",
            "a//b",
            "a/",
            "a\\..\\b",
            "a\nb",
            "a\0b",
            "a\u{85}b",
            "blob#1",
        ] {
            let error = check(path).unwrap_err().to_string();
            assert!(error.contains(&path.escape_debug().to_string()), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        check(&"x".repeat(256)).unwrap_err();
        check(&["x"; 600].join("/")).unwrap_err();
    }

    proptest! {
        #[test]
        fn a_joined_path_is_always_below_its_folder(path in "[a./\\\\#1~ \u{0}-\u{1f}]{0,12}") {
            if let Ok(joined) = join(Path::new("/top"), &path) {
                prop_assert!(joined.starts_with("/top"));
                prop_assert!(joined.components().all(|c| !matches!(c, std::path::Component::ParentDir)));
                prop_assert_ne!(joined, PathBuf::from("/top"));
            }
        }
    }
}
