//! `filesystem`: what is mounted where, how full it is, and what the block devices carry; by device, by mount point
//! and by both.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

mod contents;
mod mounts;
mod usage;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["filesystem"],
    on_demand: false,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let mounts = mounts::read(machine);
    let mut pairs: Map<String, Value> = Map::new();
    if machine.is_live() {
        for (mount, usage) in usage::measure(&mounts) {
            let pair = pair(&mut pairs, &mount.device, &mount.point);
            usage.describe(pair);
        }
    }
    for mount in &mounts {
        let pair = pair(&mut pairs, &mount.device, &mount.point);
        pair["fs_type"] = mount.kind.as_str().into();
        pair["mount_options"] = mount.options.clone().into();
    }
    let mut mounted: HashMap<String, Vec<String>> = HashMap::new();
    for (name, pair) in &pairs {
        if let Some(device) = pair["device"].as_str() {
            mounted.entry(device.to_owned()).or_default().push(name.clone());
        }
    }
    for contents in contents::read(machine) {
        let names = mounted.entry(contents.device.clone()).or_insert_with(|| {
            let name = format!("{},", contents.device);
            pairs.insert(name.clone(), json!({"device": contents.device}));
            vec![name]
        });
        for pair in names {
            for (name, value) in [
                ("fs_type", &contents.kind),
                ("uuid", &contents.uuid),
                ("label", &contents.label),
            ] {
                if let Some(value) = value {
                    pairs[pair.as_str()][name] = value.as_str().into();
                }
            }
        }
    }
    if pairs.is_empty() {
        return;
    }
    let filesystem = json!({
        "by_device": view(&pairs, "device", "mount", "mounts"),
        "by_mountpoint": view(&pairs, "mount", "device", "devices"),
        "by_pair": pairs,
    });
    facts.insert("filesystem".to_owned(), filesystem);
}

fn pair<'a>(pairs: &'a mut Map<String, Value>, device: &str, point: &str) -> &'a mut Value {
    pairs
        .entry(format!("{device},{point}"))
        .or_insert_with(|| json!({"device": device, "mount": point}))
}

/// The pairs by one half, with a list of the other halves. Where several say different things of the same, the last
/// one does, as in Ohai.
fn view(pairs: &Map<String, Value>, by: &str, other: &str, others: &str) -> Value {
    let mut view = json!({});
    for pair in pairs.values() {
        let Some(name) = pair[by].as_str() else {
            continue;
        };
        let entry = &mut view[name];
        for (key, value) in pair.as_object().into_iter().flatten() {
            if key != by && key != other {
                entry[key] = value.clone();
            }
        }
        let found = pair.get(other).cloned();
        match entry[others].as_array_mut() {
            Some(list) => list.extend(found),
            None => entry[others] = found.into_iter().collect::<Vec<_>>().into(),
        }
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_lists_where_it_is_mounted() {
        let pairs = json!({
            "tmpfs,/run": {"device": "tmpfs", "mount": "/run", "kb_size": "1"},
            "tmpfs,/tmp": {"device": "tmpfs", "mount": "/tmp", "kb_size": "2"},
            "/dev/sdb,": {"device": "/dev/sdb"},
        });
        let pairs = pairs.as_object().unwrap();
        assert_eq!(
            view(pairs, "device", "mount", "mounts"),
            json!({"tmpfs": {"kb_size": "2", "mounts": ["/run", "/tmp"]}, "/dev/sdb": {"mounts": []}})
        );
        assert_eq!(
            view(pairs, "mount", "device", "devices"),
            json!({"/run": {"kb_size": "1", "devices": ["tmpfs"]}, "/tmp": {"kb_size": "2", "devices": ["tmpfs"]}})
        );
    }
}
