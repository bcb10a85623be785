//! `config/node.json`: what this node is and what it is configured to be, and how `jetpack config` shows it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use protocol::lookup;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value};

use crate::home::{GROUP, Home};
use crate::{python, seek};

mod assemble;

pub use assemble::{Credential, Facts, OVERRIDDEN, run_list};

/// No node has so much to say of itself. In bytes.
const MOST_BYTES: u64 = 64 << 20;

/// The node configuration, or a key of it, is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no file yet.
    #[error("the node configuration `{}` does not exist yet", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The user may not read it.
    #[error("permission to read `{}` is denied; root and members of the group `{GROUP}` may read it", path.display())]
    Denied {
        /// The file.
        path: PathBuf,
    },
    /// The system refused otherwise.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is far too large.
    #[error("the node configuration `{}` has more than {} MiB", path.display(), MOST_BYTES >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It ends in the middle.
    #[error("the node configuration `{}` is truncated", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// It is not UTF-8.
    #[error("the node configuration `{}` is not UTF-8 (byte {offset})", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The first byte that is not, from 0.
        offset: usize,
    },
    /// It is not a JSON object.
    #[error("the node configuration `{}` is not valid", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected.
        #[source]
        source: serde_json::Error,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] durable::Error),
    /// Nobody set the key.
    #[error("the key `{key}` was not found in the node configuration")]
    NotFound {
        /// As asked for.
        key: String,
    },
}

/// The merged data of the node. A password is among it, so that it is not shown whole.
#[derive(Clone, Default, PartialEq)]
pub struct NodeData(Map<String, Value>);

impl fmt::Debug for NodeData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeData of {} attributes", self.0.len())
    }
}

impl NodeData {
    /// Reads `config/node.json`.
    ///
    /// # Errors
    /// One kind for each thing that can be wrong with the file.
    pub fn load(home: &Home) -> Result<Self, ConfigError> {
        read(home, |text| serde_json::from_str(text).map(Self))
    }

    /// Reads one key of `config/node.json`, if it is there, and leaves out the rest. A fraction of the work of
    /// [`NodeData::load`].
    ///
    /// # Errors
    /// Those of [`NodeData::load`]: a file with a fault is one wherever the fault is.
    pub fn load_key(home: &Home, key: &str) -> Result<Self, ConfigError> {
        let found = read(home, |text| seek::seek(text, key))?;
        Ok(Self(
            found.map(|value| (key.to_owned(), value)).into_iter().collect(),
        ))
    }

    /// Replaces `config/node.json`, readable for root and the group of the node's data only. One that has the same
    /// content already is not touched.
    ///
    /// # Errors
    /// When it cannot be written; the old one is untouched then.
    pub fn save(&self, home: &Home) -> Result<(), ConfigError> {
        if Self::load(home).is_ok_and(|there| there == *self) {
            return Ok(());
        }
        Ok(durable::write_json(&home.node_json(), 0o640, &self.0)?)
    }

    /// The value at a dotted path.
    pub fn get(&self, key: &str) -> Option<&Value> {
        lookup(&self.0, key)
    }

    /// The text at a dotted path; none when it is no text.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// Whether a switch is on. Switches of templates come as booleans and as texts in any case.
    pub fn is_true(&self, key: &str, default: bool) -> bool {
        match self.get(key) {
            Some(Value::Bool(value)) => *value,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => default,
        }
    }

    /// The whole tree.
    pub fn tree(&self) -> &Map<String, Value> {
        &self.0
    }

    /// What `jetpack config [KEY [DEFAULT]]` prints, without the last line end: values as Python's
    /// `str()`, a section or the whole tree as sorted lines `dotted.key = value`, a default as given.
    ///
    /// # Errors
    /// [`ConfigError::NotFound`] when there is neither value nor default.
    pub fn text(&self, key: Option<&str>, default: Option<&str>) -> Result<String, ConfigError> {
        let Some(key) = key else {
            return Ok(dotted(None, &self.0));
        };
        match (self.get(key), default) {
            (Some(Value::Object(tree)), _) => Ok(dotted(Some(key), tree)),
            (Some(value), _) => Ok(python::str(value)),
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(ConfigError::NotFound { key: key.to_owned() }),
        }
    }

    /// What `jetpack config [KEY [DEFAULT]] --json` prints, without the last line end, indented by four: a
    /// tree bare, any other value, and a default, as `{"KEY": value}`.
    ///
    /// # Errors
    /// [`ConfigError::NotFound`] when there is neither value nor default.
    pub fn json(&self, key: Option<&str>, default: Option<&str>) -> Result<String, ConfigError> {
        let Some(key) = key else {
            return Ok(indented(&self.0));
        };
        let value = match (self.get(key), default) {
            (Some(Value::Object(tree)), _) => return Ok(indented(tree)),
            (Some(value), _) => value.clone(),
            (None, Some(default)) => Value::String(default.to_owned()),
            (None, None) => return Err(ConfigError::NotFound { key: key.to_owned() }),
        };
        Ok(indented(&Map::from_iter([(key.to_owned(), value)])))
    }
}

/// Reads the file and makes something of its text.
fn read<T>(home: &Home, parse: impl FnOnce(&str) -> serde_json::Result<T>) -> Result<T, ConfigError> {
    let path = home.node_json();
    let failed = |error: io::Error, path: PathBuf| match error.kind() {
        io::ErrorKind::NotFound => ConfigError::Missing { path },
        io::ErrorKind::PermissionDenied => ConfigError::Denied { path },
        _ => ConfigError::Read { path, source: error },
    };
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) => return Err(failed(error, path)),
    };
    let mut bytes = Vec::new();
    match file.metadata() {
        Ok(metadata) if metadata.len() > MOST_BYTES => return Err(ConfigError::TooLarge { path }),
        Ok(_) => {}
        Err(error) => return Err(failed(error, path)),
    }
    if let Err(error) = file.read_to_end(&mut bytes) {
        return Err(failed(error, path));
    }
    // Editors of other systems put a mark in front.
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            return Err(ConfigError::Encoding {
                path,
                offset: error.valid_up_to(),
            });
        }
    };
    parse(text).map_err(|error| {
        if error.is_eof() {
            ConfigError::Truncated { path }
        } else {
            ConfigError::Invalid { path, source: error }
        }
    })
}

impl From<Map<String, Value>> for NodeData {
    fn from(tree: Map<String, Value>) -> Self {
        Self(tree)
    }
}

fn dotted(prefix: Option<&str>, tree: &Map<String, Value>) -> String {
    let mut lines = Vec::new();
    collect(prefix, tree, &mut lines);
    lines.sort();
    let lines: Vec<_> = lines
        .into_iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    lines.join("\n")
}

fn collect(prefix: Option<&str>, tree: &Map<String, Value>, lines: &mut Vec<(String, String)>) {
    for (name, value) in tree {
        let key = prefix.map_or_else(|| name.clone(), |prefix| format!("{prefix}.{name}"));
        match value {
            Value::Object(below) if !below.is_empty() => collect(Some(&key), below, lines),
            // One line for each key, whatever the text.
            Value::String(text) if text.contains(['\n', '\r']) => lines.push((key, python::repr(value))),
            value => lines.push((key, python::str(value))),
        }
    }
}

fn indented(tree: &Map<String, Value>) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    // A tree of JSON values always has a JSON form, and it is UTF-8.
    let _ = tree.serialize(&mut serializer);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn data(value: Value) -> NodeData {
        NodeData(value.as_object().unwrap().clone())
    }

    fn sample() -> NodeData {
        data(json!({
            "hostname": "ip-0A",
            "roles": ["pbspro_server_role", "b"],
            "LAMMPS_VERSION": "2022",
            "cyclecloud": {
                "cluster": {"name": "demo", "start_count": 2},
                "hosts": {"standalone_dns": {"enabled": true}},
                "mounts": {},
                "cluster_init_specs": [{"project": "p", "version": "1.0.0"}],
            },
            "slurm": {"do_install": false, "note": "two\nlines", "zookeeper.connect": null},
        }))
    }

    fn with_file(bytes: &[u8]) -> ConfigError {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create().unwrap();
        durable::write(&home.node_json(), 0o640, bytes).unwrap();
        NodeData::load(&home).unwrap_err()
    }

    #[test]
    fn values_are_printed_as_scripts_expect() {
        let data = sample();
        for (key, default, expected) in [
            ("cyclecloud.cluster.name", None, "demo"),
            ("cyclecloud.cluster.start_count", None, "2"),
            ("cyclecloud.hosts.standalone_dns.enabled", None, "True"),
            ("slurm.do_install", Some("True"), "False"),
            ("slurm.zookeeper.connect", Some("x"), "None"),
            ("roles", None, "['pbspro_server_role', 'b']"),
            (
                "cyclecloud.cluster_init_specs",
                None,
                "[{'project': 'p', 'version': '1.0.0'}]",
            ),
            ("slurm.imex.enabled", Some("null"), "null"),
            ("pbspro.package", Some(""), ""),
            ("slurm.note", None, "two\nlines"),
            ("LAMMPS_VERSION", None, "2022"),
        ] {
            assert_eq!(data.text(Some(key), default).unwrap(), expected, "{key}");
        }
    }

    #[test]
    fn sections_are_sorted_dotted_lines() {
        let data = sample();
        assert_eq!(
            data.text(Some("slurm"), None).unwrap(),
            "slurm.do_install = False\nslurm.note = 'two\\nlines'\nslurm.zookeeper.connect = None"
        );
        assert_eq!(
            data.text(None, None).unwrap(),
            "LAMMPS_VERSION = 2022\n\
             cyclecloud.cluster.name = demo\n\
             cyclecloud.cluster.start_count = 2\n\
             cyclecloud.cluster_init_specs = [{'project': 'p', 'version': '1.0.0'}]\n\
             cyclecloud.hosts.standalone_dns.enabled = True\n\
             cyclecloud.mounts = {}\n\
             hostname = ip-0A\n\
             roles = ['pbspro_server_role', 'b']\n\
             slurm.do_install = False\n\
             slurm.note = 'two\\nlines'\n\
             slurm.zookeeper.connect = None"
        );
    }

    #[test]
    fn json_wraps_all_but_trees() {
        let data = sample();
        assert_eq!(
            data.json(Some("cyclecloud.hosts.standalone_dns.enabled"), None)
                .unwrap(),
            "{\n    \"cyclecloud.hosts.standalone_dns.enabled\": true\n}"
        );
        assert_eq!(
            data.json(Some("ef.limit"), Some("notfound")).unwrap(),
            "{\n    \"ef.limit\": \"notfound\"\n}"
        );
        assert_eq!(
            data.json(Some("cyclecloud.cluster"), None).unwrap(),
            "{\n    \"name\": \"demo\",\n    \"start_count\": 2\n}"
        );
        // Members of a list of objects stand 12 blanks deep.
        assert_eq!(
            data.json(Some("cyclecloud.cluster_init_specs"), None).unwrap(),
            "{\n    \"cyclecloud.cluster_init_specs\": [\n        {\n            \"project\": \"p\",\n            \
             \"version\": \"1.0.0\"\n        }\n    ]\n}"
        );
        assert!(
            data.json(None, None)
                .unwrap()
                .starts_with("{\n    \"hostname\": \"ip-0A\",")
        );
    }

    #[test]
    fn a_missing_key_is_named() {
        let expected = "the key `a.b` was not found in the node configuration";
        assert_eq!(
            sample().text(Some("a.b"), None).unwrap_err().to_string(),
            expected
        );
        assert_eq!(
            sample().json(Some("a.b"), None).unwrap_err().to_string(),
            expected
        );
    }

    #[test]
    fn each_fault_of_the_file_has_its_own_error() {
        let folder = tempfile::tempdir().unwrap();
        let missing = NodeData::load(&Home::at(folder.path())).unwrap_err();
        assert!(missing.to_string().ends_with("does not exist yet"), "{missing}");
        assert!(
            with_file(b"{\"a\": ")
                .to_string()
                .ends_with("node.json` is truncated")
        );
        assert!(with_file(b"").to_string().ends_with("is truncated"));
        assert!(
            with_file(b"{\"a\": \"\xff\"}")
                .to_string()
                .ends_with("is not UTF-8 (byte 7)")
        );
        assert!(with_file(b"[1]").to_string().ends_with("is not valid"));
        for text in ["{\"a\": 1", "{\"a\": 1, \"b\": [}", "[1]", ""] {
            let folder = tempfile::tempdir().unwrap();
            let home = Home::at(folder.path());
            home.create().unwrap();
            durable::write(&home.node_json(), 0o640, text.as_bytes()).unwrap();
            assert_eq!(
                NodeData::load_key(&home, "a").unwrap_err().to_string(),
                NodeData::load(&home).unwrap_err().to_string()
            );
        }
        let denied = ConfigError::Denied { path: "n".into() };
        assert!(denied.to_string().contains("group `cyclecloud`"), "{denied}");
    }

    #[test]
    fn a_file_with_the_same_content_is_not_touched() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create().unwrap();
        let data = data(json!({"a": 1}));
        data.save(&home).unwrap();
        let before = fs::metadata(home.node_json()).unwrap();
        assert_eq!(before.mode() & 0o777, 0o640);
        data.save(&home).unwrap();
        assert_eq!(fs::metadata(home.node_json()).unwrap().ino(), before.ino());
        assert!(NodeData::load(&home).unwrap() == data);
        NodeData::from(Map::from_iter([("a".to_owned(), json!(2))]))
            .save(&home)
            .unwrap();
        assert_eq!(NodeData::load(&home).unwrap().get("a"), Some(&json!(2)));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c]{1,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_reads_back_as_the_value(value in any_json()) {
            let data = data(json!({"k": value}));
            let shown: Value = serde_json::from_str(&data.json(Some("k"), None).unwrap()).unwrap();
            let expected = if value.is_object() { value } else { json!({"k": value}) };
            prop_assert_eq!(shown, expected);
        }

        #[test]
        fn every_line_of_the_tree_names_a_key_that_can_be_asked_for(value in any_json()) {
            let data = data(json!({"k": value}));
            for line in data.text(None, None).unwrap().lines() {
                let (key, _) = line.split_once(" = ").unwrap();
                prop_assert!(data.get(key).is_some(), "{}", key);
            }
        }
    }
}
