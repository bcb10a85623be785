//! Which files of a spec a node takes, and how.

use std::path::Path;

use locker::project::SpecFile;
use sha2::{Digest, Sha256};

use crate::CHEF_FOLDER;
use crate::script::Kind;

/// The part of a spec whose content is that of its folder on the node.
const FOLDER: &str = "cluster-init/";

/// The files for the cluster-init tree and the recipes, with their paths below the spec's folder there.
///
/// Scripts of the shell are made executable whatever their author's file was: authors on Windows cannot
/// mark them, and a script in `scripts/` that is silently left out helps nobody.
pub(crate) fn of_cluster_init(files: Vec<SpecFile>) -> Vec<SpecFile> {
    let wanted = files.into_iter().filter_map(|mut file| {
        let below = file.path.strip_prefix(FOLDER).map(str::to_owned);
        match below {
            Some(path) => {
                file.executable |= Kind::of(&path) == Kind::Runs;
                file.path = path;
            }
            // Recipes stay where they are.
            None if file.path.strip_prefix(CHEF_FOLDER)?.starts_with('/') => {}
            None => return None,
        }
        Some(file)
    });
    wanted.collect()
}

/// Names the content of all files; none when a sum of one of them is not known, since it could change
/// unseen then.
pub(crate) fn digest(files: &[SpecFile]) -> Option<String> {
    let mut sorted: Vec<_> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hash = Sha256::new();
    for file in sorted {
        let sum = file.expected.sha256.as_ref().or(file.expected.md5.as_ref())?;
        // No path holds a control character.
        let line = format!(
            "{}\n{}\n{}\n",
            file.path,
            sum.to_ascii_lowercase(),
            file.executable
        );
        hash.update(line.as_bytes());
    }
    Some(hex(&hash.finalize()))
}

/// Whether all files are there, whatever they hold: what somebody changes by hand to find a fault
/// stays until the project changes.
pub(crate) fn all_there(files: &[SpecFile], folder: &Path) -> bool {
    files.iter().all(|file| folder.join(&file.path).is_file())
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use locker::Checksum;

    use super::*;

    fn file(path: &str, sum: Option<&str>) -> SpecFile {
        SpecFile {
            path: path.to_owned(),
            source: String::new(),
            expected: Checksum {
                sha256: sum.map(str::to_owned),
                ..Checksum::default()
            },
            executable: false,
        }
    }

    #[test]
    fn cluster_init_and_recipes_are_taken_and_shell_scripts_are_executable() {
        let files = of_cluster_init(vec![
            file("cluster-init/scripts/1.sh", None),
            file("cluster-init/scripts/helper.py", None),
            file("cluster-init/scripts/disabled/2.sh", None),
            file("cluster-init/files/x.sh", None),
            file("cluster-init/stages/install.sh", None),
            file("chef/site-cookbooks.zip", None),
            file("chefs/x", None),
            file("README", None),
        ]);
        let taken: Vec<_> = files.iter().map(|f| (f.path.as_str(), f.executable)).collect();
        assert_eq!(
            taken,
            [
                ("scripts/1.sh", true),
                ("scripts/helper.py", false),
                ("scripts/disabled/2.sh", false),
                ("files/x.sh", false),
                ("stages/install.sh", true),
                ("chef/site-cookbooks.zip", false),
            ]
        );
    }

    #[test]
    fn the_digest_changes_with_content_and_not_with_order() {
        let (a, b) = (file("a", Some("00")), file("b", Some("11")));
        let digest_of = |files: &[&SpecFile]| {
            let files: Vec<_> = files.iter().map(|file| (*file).clone()).collect();
            digest(&files)
        };
        assert_eq!(digest_of(&[&a, &b]), digest_of(&[&b, &a]));
        assert_ne!(digest_of(&[&a]), digest_of(&[&a, &b]));
        assert_ne!(digest_of(&[&a]), digest_of(&[&file("a", Some("01"))]));
        assert_eq!(digest_of(&[&a, &file("c", None)]), None);
    }
}
