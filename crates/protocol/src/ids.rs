//! Rules for names that become parts of paths, URLs and routing keys.

/// Longest name of a cluster, node, project, spec or locker, in bytes.
const MAX_NAME: usize = 128;

/// A name that could leave its folder, or that no one could read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{name}` {problem}")]
pub struct IdError {
    what: String,
    name: String,
    problem: &'static str,
}

/// Checks the name of a cluster, node, project, spec, version or locker. `what` names the kind in
/// the error.
///
/// Allowed are letters, digits, `.`, `_`, `-`, `+` and, within the name, blanks; not allowed are the
/// names `.` and `..` and those that start with a dot or a dash.
///
/// # Errors
/// Says what is wrong with the name: empty, too long, or a character that would be unsafe in a
/// path, a URL or a routing key.
pub fn check_name(what: &str, name: &str) -> Result<(), IdError> {
    let problem = if name.is_empty() {
        "is empty"
    } else if name.len() > MAX_NAME {
        "is longer than 128 bytes"
    } else if name.starts_with(['.', '-']) {
        "starts with a dot or a dash"
    } else if name.starts_with(' ') || name.ends_with(' ') {
        "starts or ends with a blank"
    } else if !name.chars().all(|c| c.is_alphanumeric() || " ._-+".contains(c)) {
        "has a character other than letters, digits, blanks and `._-+`"
    } else {
        return Ok(());
    };
    Err(IdError {
        what: what.to_owned(),
        name: name.to_owned(),
        problem,
    })
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn ordinary_names_pass() {
        for name in [
            "demo",
            "execute-1",
            "My Cluster",
            "1.0.0",
            "azure-storage",
            "größe",
        ] {
            check_name("cluster", name).unwrap();
        }
    }

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        for name in [
            "", ".", "..", "../x", "a/b", "a\\b", "-rf", "a\nb", " a", "a*", "a#",
        ] {
            check_name("cluster", name).unwrap_err();
        }
    }

    #[test]
    fn the_error_names_the_kind_and_the_name() {
        assert_eq!(
            check_name("project", "").unwrap_err().to_string(),
            "project `` is empty"
        );
    }
}
