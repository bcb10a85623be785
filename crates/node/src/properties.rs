//! `config/properties.json`: what the machine and its cluster are in a few words, for scripts that want neither node.json
//! nor facts, and whatever else somebody wrote there.
//!
//! The file is the bare tree, since other software reads it. What Jetpack itself put into it, and what the server was
//! told last, stands in `run/properties.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use durable::Recovered;
use protocol::lookup;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::clock::{Clock, Deadline};
use crate::config::NodeData;
use crate::home::Home;
use crate::lock::{Lock, LockError};
use crate::random::hex;

const VERSION: u32 = 1;
/// Longest key, in bytes.
const MAX_KEY: usize = 255;
/// Most steps of a key.
const MAX_DEPTH: usize = 32;
/// Largest file, in bytes: the whole tree goes to the server in one message.
const MAX_BYTES: usize = 256 * 1024;
/// How long another program may take to change them.
const PATIENCE: Duration = Duration::from_secs(10);

/// The properties cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] durable::Error),
    /// Another program changes them and does not end.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No property can be called so.
    #[error("the key `{}` {problem}", key.escape_debug())]
    Key {
        /// As given.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The path goes through a value.
    #[error("cannot set `{key}`: `{value}` is a value and no section")]
    InTheWay {
        /// As given.
        key: String,
        /// The key of the value.
        value: String,
    },
    /// There is too much.
    #[error("the properties of this node would be larger than {} KiB with `{key}`", MAX_BYTES / 1024)]
    Full {
        /// The key that was one too many.
        key: String,
    },
}

/// What Jetpack did with the properties.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// What Jetpack writes under each key, after the value that it takes the place of: which of the two the tree holds
    /// depends on when the power failed.
    filled: BTreeMap<String, Vec<Value>>,
    /// What the server was told last.
    sent: Option<Sent>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    /// As whom: another node on this machine has told nothing yet.
    node_id: String,
    /// SHA-256 of the tree.
    digest: String,
}

/// What Jetpack knows itself: each key, and where node.json has its value.
const KNOWN: [(&str, &str); 11] = [
    ("os.id", "os_release.id"),
    ("os.id_like", "os_release.id_like"),
    // The number alone, for scripts to compare with; both names are in use.
    ("os.version", "os_release.version_id"),
    ("os.version_id", "os_release.version_id"),
    ("azure.vm_size", "azure.metadata.compute.vmSize"),
    ("azure.subscription_id", "azure.metadata.compute.subscriptionId"),
    ("cyclecloud.url", "cyclecloud.config.web_server"),
    ("cyclecloud.cluster", "cyclecloud.cluster.name"),
    ("cyclecloud.owner", "cyclecloud.cluster.user.name"),
    ("vm.hostname", "cyclecloud.instance.hostname"),
    ("vm.ipv4", "cyclecloud.instance.ipv4"),
];

/// What Jetpack knows itself, for [`Properties::fill`].
pub fn known(data: &NodeData) -> Vec<(&'static str, Value)> {
    let found = KNOWN.iter().filter_map(|(key, from)| {
        let value = match data.get(from)? {
            // A list in facts is a list of words for scripts, as in os-release(5).
            Value::Array(words) => {
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                words.join(" ").into()
            }
            value => value.clone(),
        };
        Some((*key, value))
    });
    found.collect()
}

/// Reads the properties, without keeping others from changing them. There are none before the node was initialized.
///
/// # Errors
/// [`Error::File`] when the file cannot be read or is not a JSON object.
pub fn load(home: &Home) -> Result<Map<String, Value>, Error> {
    Ok(durable::read_json(&home.properties())?.unwrap_or_default())
}

/// The properties, held against other programs until this is dropped. What was changed is written by
/// [`Properties::save`] only.
#[derive(Debug)]
pub struct Properties {
    path: PathBuf,
    state_path: PathBuf,
    tree: Map<String, Value>,
    saved: Option<Map<String, Value>>,
    state: Stored,
    saved_state: Stored,
    /// For people: files that could not be understood, and where they were moved to.
    pub warnings: Vec<String>,
    _lock: Lock,
}

impl Properties {
    /// Reads them and keeps others from changing them meanwhile. A file that cannot be understood is moved aside.
    ///
    /// # Errors
    /// [`Error::Lock`] when another program does not end, [`Error::File`] when a file can be neither read nor moved.
    pub fn open(home: &Home, clock: &dyn Clock) -> Result<Self, Error> {
        let patience = Deadline::after(clock, PATIENCE);
        let lock = Lock::wait(
            &home.properties_lock(),
            "changing the properties",
            clock,
            &patience,
        )?;
        let mut warnings = Vec::new();
        let saved: Option<Map<String, Value>> = recover(home.properties(), &mut warnings)?;
        let state: Stored = recover(home.properties_state(), &mut warnings)?.unwrap_or_default();
        Ok(Self {
            path: home.properties(),
            state_path: home.properties_state(),
            tree: saved.clone().unwrap_or_default(),
            saved,
            saved_state: state.clone(),
            state,
            warnings,
            _lock: lock,
        })
    }

    /// All of them.
    pub fn tree(&self) -> &Map<String, Value> {
        &self.tree
    }

    /// The value at a dotted path.
    pub fn get(&self, key: &str) -> Option<&Value> {
        lookup(&self.tree, key)
    }

    /// Sets the value at a dotted path. The sections above it are made; a value there is not overwritten.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::InTheWay`] and [`Error::Full`]; nothing has changed then.
    pub fn set(&mut self, key: &str, value: Value) -> Result<(), Error> {
        check_key(key)?;
        let mut tree = self.tree.clone();
        put(&mut tree, key, value).map_err(|value| Error::InTheWay {
            key: key.to_owned(),
            value,
        })?;
        if serde_json::to_vec_pretty(&tree).map_or(0, |bytes| bytes.len()) > MAX_BYTES {
            return Err(Error::Full { key: key.to_owned() });
        }
        self.tree = tree;
        Ok(())
    }

    /// Writes down what Jetpack knows itself. A key whose value somebody else has set keeps that value.
    pub fn fill(&mut self, known: &[(&str, Value)]) {
        for (key, value) in known {
            let there = self.get(key).cloned();
            let filled = self.state.filled.get(*key);
            let known_to_us = there
                .as_ref()
                .is_none_or(|there| filled.is_some_and(|filled| filled.contains(there)));
            if there.as_ref() == Some(value) {
                if !known_to_us {
                    self.state.filled.insert((*key).to_owned(), vec![value.clone()]);
                }
            // What does not fit is somebody else's too: a value where we want a section, or a tree that is full.
            } else if known_to_us && self.set(key, value.clone()).is_ok() {
                let filled = there.into_iter().chain([value.clone()]).collect();
                self.state.filled.insert((*key).to_owned(), filled);
            }
        }
    }

    /// Writes what has changed. Nothing to write is success, and leaves the file as it is.
    ///
    /// # Errors
    /// [`Error::File`]; the old file is untouched then.
    pub fn save(&mut self) -> Result<(), Error> {
        // First what is about to be written: after a crash between the two, our own values must not pass for others'.
        self.save_state()?;
        if self.saved.as_ref() != Some(&self.tree) {
            durable::write_json(&self.path, 0o640, &self.tree)?;
            self.saved = Some(self.tree.clone());
        }
        Ok(())
    }

    /// Whether the server knows these properties of this node already.
    pub fn is_sent(&self, node_id: &str) -> bool {
        self.state.sent.as_ref() == Some(&self.sent(node_id))
    }

    /// Writes down that the server was told, or will be: the message is in the outbox.
    ///
    /// # Errors
    /// [`Error::File`]; the server is told once more then.
    pub fn mark_sent(&mut self, node_id: &str) -> Result<(), Error> {
        self.state.sent = Some(self.sent(node_id));
        self.save_state()
    }

    fn sent(&self, node_id: &str) -> Sent {
        let text = serde_json::to_vec(&self.tree).unwrap_or_default();
        Sent {
            node_id: node_id.to_owned(),
            digest: hex(&Sha256::digest(text)),
        }
    }

    fn save_state(&mut self) -> Result<(), Error> {
        if self.state != self.saved_state {
            self.state.version = VERSION;
            durable::write_json(&self.state_path, 0o640, &self.state)?;
            self.saved_state = self.state.clone();
        }
        Ok(())
    }
}

fn recover<T: serde::de::DeserializeOwned>(
    path: PathBuf,
    warnings: &mut Vec<String>,
) -> Result<Option<T>, Error> {
    Ok(match durable::recover_json(&path)? {
        Recovered::Read(value) => Some(value),
        Recovered::Absent => None,
        Recovered::MovedAside { to, error } => {
            warnings.push(format!(
                "{}; it was moved to `{}`",
                crate::trace::chain(&error),
                to.display()
            ));
            None
        }
    })
}

fn check_key(key: &str) -> Result<(), Error> {
    let problem = if key.is_empty() {
        "is empty"
    } else if key.len() > MAX_KEY {
        "is longer than 255 bytes"
    } else if key.split('.').any(|step| step.trim().is_empty()) {
        "has an empty step"
    } else if key.split('.').count() > MAX_DEPTH {
        "has more than 32 steps"
    } else if key.chars().any(char::is_control) {
        "has a control character"
    } else {
        return Ok(());
    };
    Err(Error::Key {
        key: key.to_owned(),
        problem,
    })
}

/// Sets a value where [`lookup`] will find it. Returns the key of a value that is in the way.
fn put(tree: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), String> {
    if tree.contains_key(path) {
        tree.insert(path.to_owned(), value);
        return Ok(());
    }
    // Like a look-up, the longest run of steps that is a section.
    let section = path
        .rmatch_indices('.')
        .map(|(dot, _)| dot)
        .find(|dot| tree.get(&path[..*dot]).is_some_and(Value::is_object));
    let (head, rest) = match (section, path.split_once('.')) {
        (Some(dot), _) => (&path[..dot], &path[dot + 1..]),
        (None, Some(steps)) => steps,
        (None, None) => {
            tree.insert(path.to_owned(), value);
            return Ok(());
        }
    };
    match tree.entry(head).or_insert_with(|| Value::Object(Map::new())) {
        Value::Object(below) => put(below, rest, value).map_err(|blocked| format!("{head}.{blocked}")),
        _ => Err(head.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use serde_json::json;

    use super::*;
    use crate::clock::SystemClock;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create().unwrap();
        (folder, home)
    }

    fn open(home: &Home) -> Properties {
        Properties::open(home, &SystemClock).unwrap()
    }

    fn set(home: &Home, key: &str, value: Value) {
        let mut properties = open(home);
        properties.set(key, value).unwrap();
        properties.save().unwrap();
    }

    fn fill(home: &Home, known: &[(&str, Value)]) {
        let mut properties = open(home);
        properties.fill(known);
        properties.save().unwrap();
    }

    #[test]
    fn what_is_set_is_read_by_others_at_its_path() {
        let (_folder, home) = home();
        assert!(load(&home).unwrap().is_empty());
        set(&home, "site.rack", json!("r12"));
        set(&home, "site.slots", json!([1, 2]));
        set(&home, "site.rack", json!("r13"));
        let text = fs::read_to_string(home.properties()).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, json!({"site": {"rack": "r13", "slots": [1, 2]}}));
        assert_eq!(Value::from(load(&home).unwrap()), read);
        assert_eq!(fs::metadata(home.properties()).unwrap().mode() & 0o777, 0o640);
        assert_eq!(open(&home).get("site.rack"), Some(&json!("r13")));
    }

    #[test]
    fn keys_that_hold_dots_are_found_again_after_they_were_set() {
        let (_folder, home) = home();
        durable::write(
            &home.properties(),
            0o640,
            br#"{"a.b": 1, "c": {"d.e": {"f": 2}}, "g.h": 0}"#,
        )
        .unwrap();
        for key in ["a.b", "c.d.e.f", "c.d.e.x", "g.h.i"] {
            set(&home, key, json!("new"));
            assert_eq!(open(&home).get(key), Some(&json!("new")), "{key}");
        }
        assert_eq!(
            Value::from(load(&home).unwrap()),
            json!({"a.b": "new", "c": {"d.e": {"f": "new", "x": "new"}}, "g.h": 0, "g": {"h": {"i": "new"}}})
        );
    }

    #[test]
    fn a_key_that_cannot_be_set_is_named_and_changes_nothing() {
        let (_folder, home) = home();
        set(&home, "os.id", json!("debian"));
        let mut properties = open(&home);
        for (key, value, expected) in [
            ("", json!(1), "the key `` is empty".to_owned()),
            ("a..b", json!(1), "the key `a..b` has an empty step".to_owned()),
            (".a", json!(1), "the key `.a` has an empty step".to_owned()),
            (
                "a\nb",
                json!(1),
                "the key `a\\nb` has a control character".to_owned(),
            ),
            (
                "os.id.x.y",
                json!(1),
                "cannot set `os.id.x.y`: `os.id` is a value and no section".to_owned(),
            ),
            (
                "big",
                json!("x".repeat(MAX_BYTES)),
                "the properties of this node would be larger than 256 KiB with `big`".to_owned(),
            ),
        ] {
            assert_eq!(properties.set(key, value).unwrap_err().to_string(), expected);
        }
        properties.set(&"x".repeat(256), json!(1)).unwrap_err();
        properties.set(&vec!["x"; 33].join("."), json!(1)).unwrap_err();
        assert_eq!(properties.tree(), &load(&home).unwrap());
    }

    #[test]
    fn what_jetpack_knows_follows_the_machine_and_what_others_set_stays() {
        let (_folder, home) = home();
        set(&home, "cyclecloud.owner", json!("mine"));
        let known = |name: &str| {
            [
                ("vm.hostname", json!(name)),
                ("cyclecloud.owner", json!("server's")),
                ("cyclecloud.cluster", json!("demo")),
            ]
        };
        fill(&home, &known("n1"));
        fill(&home, &known("n2"));
        assert_eq!(
            Value::from(load(&home).unwrap()),
            json!({"cyclecloud": {"owner": "mine", "cluster": "demo"}, "vm": {"hostname": "n2"}})
        );
        set(&home, "vm.hostname", json!("a name by hand"));
        fill(&home, &known("n3"));
        assert_eq!(open(&home).get("vm.hostname"), Some(&json!("a name by hand")));
    }

    #[test]
    fn what_jetpack_knows_is_in_node_json() {
        let tree = json!({
            "os_release": {"id": "almalinux", "id_like": ["rhel", "centos"], "version_id": "8.10"},
            "azure": {"metadata": {"compute": {"vmSize": "Standard_HB120rs_v3"}}},
            "cyclecloud": {"cluster": {"name": "demo"}, "instance": {"ipv4": "10.0.0.4"}},
        });
        let (_folder, home) = home();
        fill(&home, &known(&tree.as_object().unwrap().clone().into()));
        assert_eq!(
            Value::from(load(&home).unwrap()),
            json!({
                "os": {"id": "almalinux", "id_like": "rhel centos", "version": "8.10", "version_id": "8.10"},
                "azure": {"vm_size": "Standard_HB120rs_v3"},
                "cyclecloud": {"cluster": "demo"},
                "vm": {"ipv4": "10.0.0.4"},
            })
        );
    }

    #[test]
    fn what_has_not_changed_is_not_written() {
        let (_folder, home) = home();
        set(&home, "a", json!(1));
        fill(&home, &[("b", json!(2))]);
        let before = fs::metadata(home.properties()).unwrap().ino();
        set(&home, "a", json!(1));
        fill(&home, &[("b", json!(2))]);
        assert_eq!(fs::metadata(home.properties()).unwrap().ino(), before);
    }

    #[test]
    fn a_power_cut_between_the_two_files_makes_no_value_somebody_elses() {
        let (_folder, home) = home();
        fill(&home, &[("vm.hostname", json!("n1"))]);
        let (tree, state) = (home.properties(), home.properties_state());
        let old = fs::read(&tree).unwrap();
        fill(&home, &[("vm.hostname", json!("n2"))]);
        assert!(fs::read_to_string(&state).unwrap().contains("n2"));
        durable::write(&tree, 0o640, &old).unwrap();
        fill(&home, &[("vm.hostname", json!("n3"))]);
        assert_eq!(open(&home).get("vm.hostname"), Some(&json!("n3")));
    }

    #[test]
    fn programs_that_set_at_the_same_time_lose_nothing() {
        let (_folder, home) = home();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let home = &home;
                scope.spawn(move || set(home, &format!("thread.n{number}"), json!(number)));
            }
        });
        let tree = load(&home).unwrap();
        assert_eq!(tree["thread"].as_object().unwrap().len(), 8);
    }

    #[test]
    fn the_server_is_told_of_each_change_once_and_by_each_node() {
        let (_folder, home) = home();
        let mut properties = open(&home);
        properties.set("a", json!(1)).unwrap();
        properties.save().unwrap();
        assert!(!properties.is_sent("n1"));
        properties.mark_sent("n1").unwrap();
        drop(properties);
        let mut properties = open(&home);
        assert!(properties.is_sent("n1"));
        assert!(
            !properties.is_sent("n2"),
            "the home was taken over by another node"
        );
        properties.set("a", json!(2)).unwrap();
        assert!(!properties.is_sent("n1"));
    }

    #[test]
    fn a_damaged_file_is_moved_aside_when_it_is_changed_and_told_when_it_is_read() {
        let (_folder, home) = home();
        durable::write(&home.properties(), 0o640, b"{\"half").unwrap();
        let error = load(&home).unwrap_err().to_string();
        assert!(error.contains("properties.json` is not valid"), "{error}");
        let properties = open(&home);
        assert!(
            properties.warnings[0].contains("properties.json.broken"),
            "{:?}",
            properties.warnings
        );
        assert!(properties.tree().is_empty());
    }
}
