//! What is mounted: /proc/self/mountinfo (proc_pid_mountinfo(5)), or /proc/mounts where only that was recorded.

use std::collections::HashMap;

use crate::machine::Machine;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mount {
    /// Number of the device, `254:0`; empty if not told.
    pub(super) number: String,
    /// What of the file system is mounted: `/` for all of it.
    pub(super) part: String,
    pub(super) device: String,
    pub(super) point: String,
    pub(super) kind: String,
    pub(super) options: Vec<String>,
}

/// All mounts, in the order in which they were made.
pub(super) fn read(machine: &Machine) -> Vec<Mount> {
    let mut mounts: Vec<_> = match machine.read("/proc/self/mountinfo") {
        Some(text) => text.lines().filter_map(mountinfo).collect(),
        None => {
            let text = machine
                .read("/proc/mounts")
                .or_else(|| machine.read("/proc/self/mounts"));
            text.unwrap_or_default().lines().filter_map(plain).collect()
        }
    };
    for mount in &mut mounts {
        if mount.device == "/dev/root" {
            // The kernel's word for what its command line named; its number tells the name.
            let uevent = machine.read(&format!("/sys/dev/block/{}/uevent", mount.number));
            if let Some(name) = uevent
                .as_deref()
                .and_then(|text| text.lines().find_map(|line| line.strip_prefix("DEVNAME=")))
            {
                mount.device = format!("/dev/{name}");
            }
        }
    }
    let noted = machine.read("/run/mount/utab").unwrap_or_default();
    if noted.is_empty() {
        return mounts;
    }
    // Of several mounts at one place the last is the one that is seen.
    let last: HashMap<String, usize> = mounts
        .iter()
        .enumerate()
        .map(|(at, mount)| (mount.point.clone(), at))
        .collect();
    for (point, options) in noted.lines().filter_map(utab) {
        if let Some(mount) = last.get(&point).and_then(|at| mounts.get_mut(*at)) {
            mount.options.extend(options);
        }
    }
    mounts
}

/// `27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard`
fn mountinfo(line: &str) -> Option<Mount> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(2);
    let (number, part, point, own) = (mount.next()?, mount.next()?, mount.next()?, mount.next()?);
    let mut file_system = file_system.split(' ');
    let (kind, device) = (file_system.next()?, file_system.next()?);
    let shared = file_system.next().unwrap_or_default();
    Some(Mount {
        number: number.to_owned(),
        part: unescape(part),
        device: device_name(device),
        point: unescape(point),
        kind: unescape(kind),
        options: merge(own, shared),
    })
}

/// `/dev/vda / ext4 rw,relatime,discard 0 0`
fn plain(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ');
    let (device, point, kind, options) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(Mount {
        number: String::new(),
        part: "/".to_owned(),
        device: device_name(device),
        point: unescape(point),
        kind: unescape(kind),
        options: options.split(',').map(unescape).collect(),
    })
}

fn device_name(text: &str) -> String {
    match unescape(text) {
        name if name.is_empty() => "none".to_owned(),
        name => name,
    }
}

/// The options of a mount and those of its file system as one list, as mount(8) shows them: it may be written to if
/// both allow it.
fn merge(own: &str, shared: &str) -> Vec<String> {
    let access = |option: &&str| *option == "rw" || *option == "ro";
    let all = || {
        own.split(',')
            .chain(shared.split(','))
            .filter(|option| !option.is_empty())
    };
    let first = if all().any(|option| option == "ro") {
        "ro"
    } else {
        "rw"
    };
    std::iter::once(first)
        .chain(all().filter(|option| !access(option)))
        .map(unescape)
        .collect()
}

/// A line of what mount(8) notes of options that the kernel does not know:
/// `SRC=… TARGET=/mnt ROOT=/ OPTS=_netdev`.
fn utab(line: &str) -> Option<(String, Vec<String>)> {
    let field = |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name));
    let options = field("OPTS=")?;
    Some((
        unescape(field("TARGET=")?),
        options.split(',').map(unescape).collect(),
    ))
}

/// Spaces and the like are written as octal numbers: `\040`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let number = (first == b'\\')
            .then(|| tail.first_chunk::<3>())
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match number {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn options_of_mount_and_file_system_become_one_list() {
        let line =
            r"36 35 98:0 /sub /mnt/a\040b rw,noatime master:1 shared:2 - ext4 /dev/sdb1 ro,errors=continue";
        let mount = mountinfo(line).unwrap();
        assert_eq!(mount.point, "/mnt/a b");
        assert_eq!((mount.number.as_str(), mount.part.as_str()), ("98:0", "/sub"));
        assert_eq!(mount.options, ["ro", "noatime", "errors=continue"]);
        assert_eq!(
            mountinfo("22 27 0:21 / /proc rw - proc proc rw").unwrap().options,
            ["rw"]
        );
    }

    #[test]
    fn the_plain_list_and_notes_are_read_too() {
        let mount = plain("nas:/export /shared nfs4 rw,vers=4.1 0 0").unwrap();
        assert_eq!(
            (mount.device.as_str(), mount.kind.as_str()),
            ("nas:/export", "nfs4")
        );
        assert_eq!(mount.options, ["rw", "vers=4.1"]);
        let noted = utab("SRC=nas:/export TARGET=/shared ROOT=/ OPTS=_netdev,x-a=b");
        assert_eq!(
            noted,
            Some((
                "/shared".to_owned(),
                vec!["_netdev".to_owned(), "x-a=b".to_owned()]
            ))
        );
    }

    proptest! {
        #[test]
        fn no_line_makes_a_reader_panic(line in "(\\PC|[0-9/: ,=\\\\-]){0,120}") {
            let _ = mountinfo(&line);
            let _ = plain(&line);
            let _ = utab(&line);
        }

        #[test]
        fn what_is_not_escaped_stays(text in "[^\\\\]{0,40}") {
            prop_assert_eq!(unescape(&text), text);
        }
    }
}
