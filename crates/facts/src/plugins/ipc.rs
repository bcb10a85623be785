//! `ipc`: segments of shared memory of System V, from /proc/sysvipc/shm (proc_sysvipc(5)).

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["ipc"],
    on_demand: true,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let Some(text) = machine.read("/proc/sysvipc/shm") else {
        return;
    };
    let passwd = machine.read("/etc/passwd").unwrap_or_default();
    let segments: Map<_, _> = text.lines().filter_map(|line| segment(line, &passwd)).collect();
    facts.insert("ipc".to_owned(), json!({"shm": segments}));
}

/// Columns: key, number, permissions, size, makers, attached, owner …
fn segment(line: &str, passwd: &str) -> Option<(String, Value)> {
    const REMOVED: u32 = 0o1000;
    const LOCKED: u32 = 0o2000;
    let fields: Vec<_> = line.split_whitespace().collect();
    let &[key, number, mode, size, _, _, attached, owner, ..] = fields.as_slice() else {
        return None;
    };
    let key: i32 = key.parse().ok()?;
    let mode = u32::from_str_radix(mode, 8).ok()?;
    let marks = [(REMOVED, "dest"), (LOCKED, "locked")];
    let status = marks
        .iter()
        .find(|(bit, _)| mode & bit != 0)
        .map_or("", |(_, name)| name);
    let segment = json!({
        "key": format!("{key:#010x}"),
        "owner": user(passwd, owner),
        "perms": format!("{:o}", mode & 0o777),
        "bytes": size.parse::<u64>().ok()?,
        "nattch": attached.parse::<u64>().ok()?,
        "status": status,
    });
    Some((number.to_owned(), segment))
}

/// The name of a user by number, or the number.
fn user<'a>(passwd: &'a str, number: &'a str) -> &'a str {
    passwd
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == number).then_some(name)
        })
        .unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_segment_is_described() {
        let line = "      1234          3  1600                4096  100  101      2   998     0   998     0 1 2 3 0 0";
        let (number, segment) =
            segment(line, "root:x:0:0::/root:/bin/sh\nslurm:x:998:998::/:/bin/false\n").unwrap();
        assert_eq!(number, "3");
        assert_eq!(
            segment,
            json!({"key": "0x000004d2", "owner": "slurm", "perms": "600", "bytes": 4096, "nattch": 2, "status": "dest"})
        );
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(line in "(\\PC|[0-9 :-]){0,80}") {
            let _ = segment(&line, &line);
        }
    }
}
