//! A tree of files in memory that cannot be written: Ruby's standard library.
//!
//! Packed it is a sequence of `{ u32 length of the name, u32 length of the data, name, data }`, numbers little-endian,
//! names with `/` and without one at their beginning.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// A tree of files.
#[derive(Debug, Default)]
pub struct Library {
    nodes: Vec<Node>,
    pack: Cow<'static, [u8]>,
}

#[derive(Debug)]
enum Node {
    Folder(BTreeMap<String, usize>),
    File { start: usize, length: usize },
}

impl Library {
    /// From its packed form. What is cut off at its end is left out.
    pub fn from_pack(pack: impl Into<Cow<'static, [u8]>>) -> Self {
        let pack = pack.into();
        let mut nodes = vec![Node::Folder(BTreeMap::new())];
        for (name, start, length) in entries(&pack) {
            insert(&mut nodes, &name, start, length);
        }
        Self { nodes, pack }
    }

    /// Names and contents of a packed tree.
    pub fn files(pack: &[u8]) -> impl Iterator<Item = (String, &[u8])> {
        entries(pack).map(|(name, start, length)| (name, &pack[start..start + length]))
    }

    /// Adds a file to a packed tree.
    pub fn append(pack: &mut Vec<u8>, name: &str, data: &[u8]) {
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        pack.extend(length(name.len()));
        pack.extend(length(data.len()));
        pack.extend(name.as_bytes());
        pack.extend(data);
    }

    /// The node at a path below another one; 0 is the root.
    pub(crate) fn find(&self, from: usize, path: &str) -> Option<usize> {
        let mut node = from;
        for step in path.split('/').filter(|step| !step.is_empty() && *step != ".") {
            match self.nodes.get(node)? {
                Node::Folder(children) => node = *children.get(step)?,
                Node::File { .. } => return None,
            }
        }
        Some(node)
    }

    pub(crate) fn is_folder(&self, node: usize) -> bool {
        matches!(self.nodes.get(node), Some(Node::Folder(_)))
    }

    pub(crate) fn data(&self, node: usize) -> &[u8] {
        match self.nodes.get(node) {
            Some(Node::File { start, length }) => &self.pack[*start..*start + *length],
            _ => &[],
        }
    }

    /// Names in a folder, and whether they are folders.
    pub(crate) fn children(&self, node: usize) -> impl Iterator<Item = (&str, bool)> {
        let children = match self.nodes.get(node) {
            Some(Node::Folder(children)) => Some(children),
            _ => None,
        };
        let children = children.into_iter().flatten();
        children.map(|(name, child)| (name.as_str(), self.is_folder(*child)))
    }
}

fn insert(nodes: &mut Vec<Node>, name: &str, start: usize, length: usize) {
    let steps: Vec<&str> = name.split('/').filter(|step| !step.is_empty()).collect();
    let mut node = 0;
    for (index, step) in steps.iter().enumerate() {
        let known = match &nodes[node] {
            Node::Folder(children) => children.get(*step).copied(),
            Node::File { .. } => return,
        };
        node = match known {
            Some(child) if index + 1 < steps.len() => child,
            _ => {
                let child = nodes.len();
                nodes.push(if index + 1 == steps.len() {
                    Node::File { start, length }
                } else {
                    Node::Folder(BTreeMap::new())
                });
                if let Node::Folder(children) = &mut nodes[node] {
                    children.insert((*step).to_owned(), child);
                }
                child
            }
        };
    }
}

fn entries(pack: &[u8]) -> impl Iterator<Item = (String, usize, usize)> {
    let number = |at: usize| {
        let bytes = pack.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let mut at = 0;
    std::iter::from_fn(move || {
        let (name, data) = (number(at)?, number(at + 4)?);
        let start = at + 8 + name;
        let text = String::from_utf8_lossy(pack.get(at + 8..start)?).into_owned();
        pack.get(start..start + data)?;
        at = start + data;
        Some((text, start, data))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_paths() {
        let mut pack = Vec::new();
        Library::append(&mut pack, "lib/json.rb", b"one");
        Library::append(&mut pack, "lib/json/ext.rb", b"two");
        Library::append(&mut pack, "lib/json.rb", b"newer");
        let library = Library::from_pack(pack);
        let lib = library.find(0, "/lib").unwrap();
        assert!(library.is_folder(lib));
        let names: Vec<_> = library.children(lib).collect();
        assert_eq!(names, [("json", true), ("json.rb", false)]);
        assert_eq!(library.data(library.find(lib, "json/ext.rb").unwrap()), b"two");
        assert_eq!(library.data(library.find(0, "lib/./json.rb").unwrap()), b"newer");
        assert_eq!(library.find(0, "lib/json.rb/x"), None);
    }

    #[test]
    fn a_pack_that_is_cut_off_holds_what_is_whole() {
        let mut pack = Vec::new();
        Library::append(&mut pack, "a", b"1");
        Library::append(&mut pack, "b", b"2");
        pack.pop();
        assert_eq!(
            Library::files(&pack).map(|(name, _)| name).collect::<Vec<_>>(),
            ["a"]
        );
    }
}
