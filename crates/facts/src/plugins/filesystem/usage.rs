//! How full file systems are, by the rules of `df -P`: which of several mounts of one file system counts, which are
//! too special to count, and what is rounded up.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use serde_json::Value;

use super::mounts::Mount;

/// A file server that is gone never answers. Whoever asks it waits in the kernel, so that is a thread of its own.
const REMOTE_PATIENCE: Duration = Duration::from_secs(2);
/// How many servers are asked at once.
const MOST_THREADS: usize = 32;

/// Sizes of one file system in units of its blocks.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    block: u64,
    blocks: u64,
    free: u64,
    available: u64,
    inodes: u64,
    inodes_free: u64,
}

impl Usage {
    fn of(point: &str) -> Option<Self> {
        let stat = statvfs(point).ok()?;
        Some(Self {
            block: stat.fragment_size(),
            blocks: stat.blocks(),
            free: stat.blocks_free(),
            available: stat.blocks_available(),
            inodes: stat.files(),
            inodes_free: stat.files_free(),
        })
    }

    /// Adds the figures. A file system that does not count blocks or inodes has none of them.
    pub(super) fn describe(&self, pair: &mut Value) {
        let used = self.blocks.saturating_sub(self.free);
        if let Some(percent) = percent(used, self.available) {
            pair["kb_size"] = self.kilobytes(self.blocks).into();
            pair["kb_used"] = self.kilobytes(used).into();
            pair["kb_available"] = self.kilobytes(self.available).into();
            pair["percent_used"] = percent.into();
        }
        let used = self.inodes.saturating_sub(self.inodes_free);
        if let Some(percent) = percent(used, self.inodes_free) {
            pair["total_inodes"] = self.inodes.to_string().into();
            pair["inodes_used"] = used.to_string().into();
            pair["inodes_available"] = self.inodes_free.to_string().into();
            pair["inodes_percent_used"] = percent.into();
        }
    }

    fn kilobytes(&self, blocks: u64) -> String {
        let bytes = u128::from(blocks) * u128::from(self.block);
        bytes.div_ceil(1024).to_string()
    }
}

/// How much of what may be used is used, rounded up: what is kept for root is no part of it.
fn percent(used: u64, available: u64) -> Option<String> {
    let whole = u128::from(used) + u128::from(available);
    let percent = (u128::from(used) * 100).checked_add(whole.checked_sub(1)?)? / whole;
    Some(format!("{percent}%"))
}

/// Measures the file systems of a running machine, each once, in the order of the mounts.
pub(super) fn measure(mounts: &[Mount]) -> Vec<(&Mount, Usage)> {
    let identified = mounts.iter().filter(|mount| !is_dummy(mount)).map(|mount| {
        let number = if is_remote(mount) {
            None
        } else {
            fs::metadata(&mount.point).ok()
        };
        let identity = number.map_or_else(|| mount.number.clone(), |stat| stat.dev().to_string());
        (mount, identity)
    });
    let chosen = one_per_device(identified);
    let (remote, local): (Vec<_>, Vec<_>) =
        (0..chosen.len()).partition(|at| chosen.get(*at).is_some_and(|mount| is_remote(mount)));
    let mut measured: Vec<_> = local
        .into_iter()
        .filter_map(|at| Some((at, Usage::of(&chosen.get(at)?.point)?)))
        .collect();
    measured.extend(measure_remote(
        remote
            .into_iter()
            .filter_map(|at| Some((at, chosen.get(at)?.point.clone())))
            .collect(),
    ));
    measured.retain(|(_, usage)| usage.blocks != 0);
    measured.sort_by_key(|(at, _)| *at);
    measured
        .into_iter()
        .filter_map(|(at, usage)| Some((*chosen.get(at)?, usage)))
        .collect()
}

/// Asks the servers of remote file systems, many at once. Who has not answered when our patience ends is left out;
/// the threads that still wait end with the process. The numbers come back with the answers.
fn measure_remote(points: Vec<(usize, String)>) -> Vec<(usize, Usage)> {
    let (sender, answers) = channel();
    let threads = points.len().min(MOST_THREADS);
    let waiting = Arc::new(Mutex::new(points));
    for _ in 0..threads {
        let (sender, waiting) = (sender.clone(), Arc::clone(&waiting));
        let asked = thread::Builder::new().stack_size(64 * 1024).spawn(move || {
            let next = || waiting.lock().ok()?.pop();
            while let Some((number, point)) = next() {
                if let Some(usage) = Usage::of(&point)
                    && sender.send((number, usage)).is_err()
                {
                    break;
                }
            }
        });
        if asked.is_err() {
            break;
        }
    }
    drop(sender);
    let mut measured = Vec::new();
    while let Ok(answer) = answers.recv_timeout(REMOTE_PATIENCE) {
        measured.push(answer);
    }
    measured
}

/// File systems that hold no files of anybody.
fn is_dummy(mount: &Mount) -> bool {
    const KINDS: [&str; 13] = [
        "autofs",
        "proc",
        "subfs",
        "debugfs",
        "devpts",
        "fusectl",
        "fuse.portal",
        "mqueue",
        "rpc_pipefs",
        "sysfs",
        "devfs",
        "kernfs",
        "ignore",
    ];
    KINDS.contains(&mount.kind.as_str()) || mount.kind == "none"
}

/// File systems of which another machine must be asked.
fn is_remote(mount: &Mount) -> bool {
    const KINDS: [&str; 16] = [
        "acfs",
        "afs",
        "auristorfs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fhgfs",
        "fuse.sshfs",
        "gpfs",
        "lustre",
        "nfs",
        "nfs4",
        "ocfs2",
        "smb3",
        "smbfs",
    ];
    mount.device.contains(':') || KINDS.contains(&mount.kind.as_str())
}

/// Of several mounts of one file system the one that shows most of it; of remote ones each that another name was
/// used for.
fn one_per_device<'a>(mounts: impl Iterator<Item = (&'a Mount, String)>) -> Vec<&'a Mount> {
    let mut chosen: Vec<&Mount> = Vec::new();
    let mut first: HashMap<String, usize> = HashMap::new();
    for (mount, identity) in mounts {
        let seen = first.get(&identity).and_then(|at| chosen.get_mut(*at));
        let Some(seen) = seen else {
            first.insert(identity, chosen.len());
            chosen.push(mount);
            continue;
        };
        if is_remote(mount) && is_remote(seen) && mount.device != seen.device {
            chosen.push(mount);
        } else if better(mount, seen) {
            *seen = mount;
        }
    }
    chosen
}

/// A real device rather than a word, a place nearer to the root, a later mount over the same place.
fn better(mount: &Mount, seen: &Mount) -> bool {
    let real = |mount: &Mount| mount.device.contains('/');
    (real(mount) && !real(seen))
        || (mount.point.len() < seen.point.len() && mount.part.len() <= seen.part.len())
        || (mount.device != seen.device && mount.point == seen.point)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn mount(device: &str, point: &str) -> Mount {
        Mount {
            number: String::new(),
            part: "/".to_owned(),
            device: device.to_owned(),
            point: point.to_owned(),
            kind: "ext4".to_owned(),
            options: Vec::new(),
        }
    }

    #[test]
    fn figures_are_rounded_up_as_df_does() {
        let usage = Usage {
            block: 512,
            blocks: 1001,
            free: 500,
            available: 400,
            inodes: 0,
            inodes_free: 0,
        };
        let mut pair = json!({});
        usage.describe(&mut pair);
        assert_eq!(
            pair,
            json!({"kb_size": "501", "kb_used": "251", "kb_available": "200", "percent_used": "56%"})
        );
    }

    #[test]
    fn a_bind_mount_does_not_count_beside_its_origin() {
        let mut bound = mount("/dev/sda1", "/b");
        bound.part = "/home/somebody".to_owned();
        let whole = mount("/dev/sda1", "/data");
        let other = mount("/dev/sdb1", "/scratch");
        let all = [
            (&whole, "1".to_owned()),
            (&bound, "1".to_owned()),
            (&other, "2".to_owned()),
        ];
        assert_eq!(one_per_device(all.into_iter()), [&whole, &other]);
        let nearer = mount("/dev/sda1", "/d");
        let all = [(&whole, "1".to_owned()), (&nearer, "1".to_owned())];
        assert_eq!(one_per_device(all.into_iter()), [&nearer]);
    }

    #[test]
    fn two_exports_of_one_server_count_both() {
        let (a, b) = (mount("nas:/a", "/a"), mount("nas:/b", "/b"));
        let all = [(&a, "1".to_owned()), (&b, "1".to_owned())];
        assert_eq!(one_per_device(all.into_iter()).len(), 2);
    }

    #[test]
    fn what_is_remote_is_asked_too() {
        let folder: PathBuf = std::env::temp_dir();
        let point = folder.to_str().unwrap();
        let mount = mount("nas:/a", point);
        let measured = measure_remote(vec![(7, mount.point.clone())]);
        assert_eq!(measured.len(), 1);
        assert!(measured[0].1.blocks > 0);
    }

    proptest! {
        #[test]
        fn any_figures_can_be_described(
            block in any::<u64>(), blocks in any::<u64>(), free in any::<u64>(), available in any::<u64>()
        ) {
            let usage = Usage { block, blocks, free, available, inodes: blocks, inodes_free: free };
            usage.describe(&mut json!({}));
        }
    }
}
