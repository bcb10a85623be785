//! What the block devices carry: kind, UUID and label of file systems, as udev found them out.

use std::collections::HashMap;
use std::path::Path;

use crate::machine::Machine;

const BLOCK: &str = "/sys/class/block";
/// Memory used as a disk; nobody lists these.
const RAM_MAJOR: &str = "1";

/// What is on a block device. What is not known, and there may be nothing, is none.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Contents {
    pub(super) device: String,
    pub(super) kind: Option<String>,
    pub(super) uuid: Option<String>,
    pub(super) label: Option<String>,
}

/// All block devices and partitions but memory and loops around nothing.
pub(super) fn read(machine: &Machine) -> Vec<Contents> {
    let uuids = links(machine, "/dev/disk/by-uuid");
    let labels = links(machine, "/dev/disk/by-label");
    let mut all = Vec::new();
    for name in machine.list(BLOCK) {
        let folder = format!("{BLOCK}/{name}");
        let Some(number) = machine.read_value(&format!("{folder}/dev")) else {
            continue;
        };
        let idle_loop = name.starts_with("loop")
            && machine.read_value(&format!("{folder}/size")).as_deref() == Some("0")
            && !machine.exists(&format!("{folder}/loop/backing_file"));
        if idle_loop || number.split(':').next() == Some(RAM_MAJOR) {
            continue;
        }
        let database = machine
            .read(&format!("/run/udev/data/b{number}"))
            .unwrap_or_default();
        let property = |wanted: &str| udev_property(&database, wanted);
        let linked = |links: &HashMap<String, String>| links.get(&name).map(|link| unescape(link));
        all.push(Contents {
            device: device(machine, &folder, &name),
            kind: property("ID_FS_TYPE"),
            uuid: property("ID_FS_UUID_ENC")
                .map(|text| unescape(&text))
                .or_else(|| linked(&uuids)),
            label: property("ID_FS_LABEL_ENC")
                .map(|text| unescape(&text))
                .or_else(|| linked(&labels)),
        });
    }
    all
}

/// The file of a device. Those of the device mapper have names of their own.
fn device(machine: &Machine, folder: &str, name: &str) -> String {
    match machine.read_value(&format!("{folder}/dm/name")) {
        Some(mapped) => format!("/dev/mapper/{mapped}"),
        // A slash cannot stand in the name of a folder.
        None => format!("/dev/{}", name.replace('!', "/")),
    }
}

/// A property of a device in the database of udev, whose lines are like `E:ID_FS_TYPE=ext4`.
fn udev_property(database: &str, wanted: &str) -> Option<String> {
    let value = database
        .lines()
        .find_map(|line| line.strip_prefix("E:")?.strip_prefix(wanted)?.strip_prefix('='))?;
    (!value.is_empty()).then(|| value.to_owned())
}

/// Devices, and the first of the names of links that lead to each.
fn links(machine: &Machine, folder: &str) -> HashMap<String, String> {
    let target = |name: &str| {
        let path = machine.link(&format!("{folder}/{name}"))?;
        Some(Path::new(&path).file_name()?.to_str()?.to_owned())
    };
    let mut links = HashMap::new();
    for name in machine.list(folder) {
        if let Some(target) = target(&name) {
            links.entry(target).or_insert(name);
        }
    }
    links
}

/// Bytes that are not safe in a name are written as `\x20`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        bytes.extend(rest[..at].bytes());
        let number = rest
            .get(at + 2..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let next = if let Some(byte) = number {
            bytes.push(byte);
            at + 4
        } else {
            bytes.extend(b"\\x");
            at + 2
        };
        rest = &rest[next..];
    }
    bytes.extend(rest.bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn properties_of_udev_are_found() {
        let database = "S:disk/by-uuid/1\nW:3\nE:ID_FS_TYPE=xfs\nE:ID_FS_LABEL=my_disk\nE:ID_FS_LABEL_ENC=my\\x20disk\nE:ID_FS_UUID=\n";
        assert_eq!(udev_property(database, "ID_FS_TYPE").as_deref(), Some("xfs"));
        assert_eq!(udev_property(database, "ID_FS_UUID"), None);
        let label = udev_property(database, "ID_FS_LABEL_ENC").unwrap();
        assert_eq!(unescape(&label), "my disk");
    }

    proptest! {
        #[test]
        fn any_text_can_be_unescaped(text in "(\\PC|\\\\x){0,40}") {
            let _ = unescape(&text);
            let _ = udev_property(&text, "ID_FS_TYPE");
        }
    }
}
