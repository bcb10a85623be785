//! The disks that a section means, what is on them, and who uses them.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use super::Section;
use crate::resource::act::Act;
use crate::resource::error::{Cause, Failure};
use crate::resource::machine::Machine;

/// Where Azure's rules for udev show data disks by their number: SCSI, then NVMe.
const BY_LUN: [&str; 2] = ["/dev/disk/azure/scsi1/lun", "/dev/disk/azure/data/by-lun/"];

/// The id, on the bus of Hyper-V, of the SCSI controller that data disks are on.
const DATA_CONTROLLER: &str = "f8b3781b-1e82-4818-a1c3-63d806ec15bb";

/// How NVMe controllers of Azure call themselves: that of remote disks, and those of local ones.
const REMOTE_NVME: &str = "MSFT NVMe Accelerator";
const LOCAL_NVME: &str = "Microsoft NVMe Direct Disk";

/// Where the local disks of a machine are, by Azure's rules for udev.
const LOCAL_DISKS: &str = "/dev/disk/azure/local/by-index";

/// The temporary disk, and the partition on it that images come with.
const TEMPORARY: [&str; 2] = ["/dev/disk/azure/resource-part1", "/dev/disk/azure/resource"];

/// Stands for all local disks in `devices`, and is the name of the section that needs none.
const EPHEMERAL: &str = "ephemeral";

/// What is on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holds {
    Nothing,
    /// A file system, as blkid(8) calls it.
    FileSystem(String),
    /// A part of an array or of a volume group, swap, or something else that is no file system.
    Part(String),
    Partitions,
}

impl std::fmt::Display for Holds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::FileSystem(kind) | Self::Part(kind) => f.write_str(kind),
            Self::Partitions => f.write_str("a table of partitions"),
        }
    }
}

/// The devices of a section, all of which are there.
pub(super) fn devices(act: &Act<'_>, section: &Section) -> Result<Vec<String>, Failure> {
    let mut devices = Vec::new();
    let mut named = section.list("devices");
    if named.is_empty() && !section.has("luns") && act.need("mount_name")? == EPHEMERAL {
        named.push(EPHEMERAL.to_owned());
    }
    for name in named {
        if name != EPHEMERAL {
            devices.push(name);
            continue;
        }
        let local = local_disks(act.machine);
        if local.is_empty() {
            let why = "this machine has no local disks (`ephemeral`)";
            return Err(Failure::invalid("configuration", why));
        }
        devices.extend(local);
    }
    for lun in section.list("luns") {
        let Ok(number) = lun.parse() else {
            let why = format!("`{lun}` is no number of a disk (`luns`)");
            return Err(Failure::invalid("configuration", why));
        };
        let device = by_lun(act.machine, number);
        devices.push(device.ok_or_else(|| {
            Failure::invalid("configuration", format!("there is no disk with the LUN {number}"))
        })?);
    }
    if devices.is_empty() {
        let why = "it names neither `devices` nor `luns`, and no `type` of a server";
        return Err(Failure::invalid("configuration", why));
    }
    let mut targets = Vec::new();
    for device in &devices {
        let target = act.machine.target(device);
        let is_device = || fs::metadata(&target).is_ok_and(|file| file.file_type().is_block_device());
        if !device.starts_with("/dev/") || !is_device() {
            let why = format!("there is no device `{device}`");
            return Err(Failure::invalid("configuration", why));
        }
        if targets.contains(&target) {
            let why = format!("the device `{device}` is named twice");
            return Err(Failure::invalid("configuration", why));
        }
        targets.push(target);
    }
    Ok(devices)
}

/// The disk with a number. Where udev has no rules of Azure, the kernel knows it all the same.
fn by_lun(machine: &Machine, lun: u32) -> Option<String> {
    let link = BY_LUN
        .into_iter()
        .map(|prefix| format!("{prefix}{lun}"))
        .find(|path| machine.exists(path));
    link.or_else(|| scsi_disk(machine, lun))
        .or_else(|| remote_nvme(machine, lun))
}

/// `/sys/class/block/sdc/device` leads to `…/f8b3781b-…/host1/target1:0:0/1:0:0:LUN`.
fn scsi_disk(machine: &Machine, lun: u32) -> Option<String> {
    names(machine, "/sys/class/block").into_iter().find_map(|name| {
        let place = machine.target(format!("/sys/class/block/{name}/device"));
        let on_controller = place
            .iter()
            .any(|part| part.to_string_lossy().eq_ignore_ascii_case(DATA_CONTROLLER));
        let number = place.file_name()?.to_str()?.rsplit(':').next()?.parse::<u32>();
        (on_controller && number == Ok(lun)).then(|| format!("/dev/{name}"))
    })
}

/// Remote disks are namespaces of one controller: the first is that of the system, data disks follow.
fn remote_nvme(machine: &Machine, lun: u32) -> Option<String> {
    let mut spaces = namespaces(machine, REMOTE_NVME).into_iter();
    spaces.find_map(|(name, number)| (number == lun.checked_add(2)?).then(|| format!("/dev/{name}")))
}

/// The names and numbers of the namespaces of controllers of a model: `nvme0n1`, 1.
fn namespaces(machine: &Machine, model: &str) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for name in names(machine, "/sys/class/block") {
        let Some((controller, _)) = name.strip_prefix("nvme").and_then(|rest| rest.split_once('n')) else {
            continue;
        };
        let read = |path: String| machine.read(&path).map(|text| text.trim().to_owned());
        // Partitions have no number of their own.
        let number = read(format!("/sys/class/block/{name}/nsid")).and_then(|text| text.parse().ok());
        let is_of_model = read(format!("/sys/class/nvme/nvme{controller}/model"))
            .is_some_and(|text| text.starts_with(model));
        if let Some(number) = number.filter(|_| is_of_model) {
            found.push((name, number));
        }
    }
    found.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
    found
}

/// The disks that go with the machine.
fn local_disks(machine: &Machine) -> Vec<String> {
    let mut links = names(machine, LOCAL_DISKS);
    links.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    if !links.is_empty() {
        return links
            .into_iter()
            .map(|name| format!("{LOCAL_DISKS}/{name}"))
            .collect();
    }
    let disks: Vec<_> = namespaces(machine, LOCAL_NVME)
        .into_iter()
        .map(|(name, _)| format!("/dev/{name}"))
        .collect();
    if !disks.is_empty() {
        return disks;
    }
    let temporary = TEMPORARY.into_iter().find(|path| machine.exists(path));
    temporary.map(str::to_owned).into_iter().collect()
}

/// The names in a folder; none when there is no such folder.
fn names(machine: &Machine, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(machine.target(folder))
        .into_iter()
        .flatten()
        .flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// What is on a device. Nothing is what only a device that nothing can be told of holds.
pub(super) fn holds(act: &Act<'_>, device: &str) -> Result<Holds, Failure> {
    let output = act.ask(&["blkid", "-p", "-o", "export", device])?;
    if output.ended == node::command::Ended::Exited(2) {
        return Ok(Holds::Nothing);
    }
    let text = output.ok()?;
    let find = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    Ok(match (find("TYPE"), find("USAGE"), find("PTTYPE")) {
        (Some(kind), Some("filesystem") | None, _) => Holds::FileSystem(kind.to_owned()),
        (Some(kind), _, _) => Holds::Part(kind.to_owned()),
        (None, _, Some(_)) => Holds::Partitions,
        // blkid knows it, but not by a type.
        (None, _, None) => Holds::Part("something unknown".to_owned()),
    })
}

/// The devices that the kernel made of another one: `md127` of `sdc`.
pub(super) fn holders(act: &Act<'_>, device: &str) -> Vec<String> {
    let target = act.machine.target(device);
    match target.file_name().and_then(|name| name.to_str()) {
        Some(name) => names(act.machine, &format!("/sys/class/block/{name}/holders")),
        None => Vec::new(),
    }
}

/// Fails if somebody uses a device, other than as what is mounted at `point`.
pub(super) fn need_idle(act: &Act<'_>, device: &str, point: Option<&Path>) -> Result<(), Failure> {
    let busy = |what: String| {
        let why = format!("the device `{device}` is in use: {what}; it is left as it is");
        Err(Failure::from(Cause::Invalid(why)))
    };
    let points = mount_points(act, device);
    if let Some(other) = points.first()
        && !points.iter().any(|one| Some(one.as_path()) == point)
    {
        return busy(format!("it is mounted at `{}`", other.display()));
    }
    if let Some(holder) = holders(act, device).first() {
        return busy(format!("`/dev/{holder}` is made of it"));
    }
    let target = act.machine.target(device);
    let swaps = act.machine.read("/proc/swaps").unwrap_or_default();
    let is_swap = |line: &str| {
        line.split_whitespace()
            .next()
            .is_some_and(|path| act.machine.target(path) == target)
    };
    if swaps.lines().skip(1).any(is_swap) {
        return busy("there is swap on it".to_owned());
    }
    Ok(())
}

/// Where a device is mounted.
fn mount_points(act: &Act<'_>, device: &str) -> Vec<PathBuf> {
    let target = act.machine.target(device);
    let Ok(file) = fs::metadata(&target) else {
        return Vec::new();
    };
    let number = format!("{}:{}", major(file.rdev()), minor(file.rdev()));
    let mounts = act.machine.read("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let fields: Vec<&str> = before.split(' ').collect();
        // Some file systems have a number of their own, but name the device.
        let source = after.split(' ').nth(1)?;
        let is_it = fields.get(2) == Some(&number.as_str()) || act.machine.target(source) == target;
        is_it.then(|| {
            PathBuf::from(super::super::mount::unescape(
                fields.get(4).copied().unwrap_or_default(),
            ))
        })
    });
    points.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn machine() -> (tempfile::TempDir, Machine) {
        let root = tempfile::tempdir().unwrap();
        let machine = Machine::at(root.path());
        (root, machine)
    }

    fn file(root: &tempfile::TempDir, path: &str, text: &str) {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a file of a test")]
        fs::write(path, text).unwrap();
    }

    #[test]
    fn disks_are_found_by_their_numbers_without_rules_of_udev() {
        let (root, machine) = machine();
        assert_eq!(by_lun(&machine, 0), None);
        let scsi = "sys/devices/vmbus/F8B3781B-1E82-4818-a1c3-63d806ec15bb/host1/target1:0:0";
        let system = "sys/devices/vmbus/f8b3781a-1e82-4818-a1c3-63d806ec15bb/host0/target0:0:0";
        for (place, name) in [
            (format!("{system}/0:0:0:0"), "sda"),
            (format!("{scsi}/1:0:0:0"), "sdc"),
            (format!("{scsi}/1:0:0:10"), "sdd"),
        ] {
            fs::create_dir_all(root.path().join(&place)).unwrap();
            fs::create_dir_all(root.path().join("sys/class/block").join(name)).unwrap();
            symlink(
                format!("/{place}"),
                root.path().join("sys/class/block").join(name).join("device"),
            )
            .unwrap();
        }
        assert_eq!(by_lun(&machine, 0).as_deref(), Some("/dev/sdc"));
        assert_eq!(by_lun(&machine, 10).as_deref(), Some("/dev/sdd"));
        assert_eq!(by_lun(&machine, 1), None);
        file(&root, "dev/disk/azure/scsi1/lun0", "");
        assert_eq!(by_lun(&machine, 0).as_deref(), Some("/dev/disk/azure/scsi1/lun0"));
    }

    #[test]
    fn namespaces_of_remote_and_local_controllers_are_told_apart() {
        let (root, machine) = machine();
        file(
            &root,
            "sys/class/nvme/nvme0/model",
            "MSFT NVMe Accelerator v1.0   \n",
        );
        file(
            &root,
            "sys/class/nvme/nvme1/model",
            "Microsoft NVMe Direct Disk v2\n",
        );
        file(
            &root,
            "sys/class/nvme/nvme2/model",
            "Microsoft NVMe Direct Disk v2\n",
        );
        for (name, number) in [
            ("nvme0n1", "1"),
            ("nvme0n2", "2"),
            ("nvme0n3", "5"),
            ("nvme1n1", "1"),
            ("nvme2n1", "1"),
        ] {
            file(&root, &format!("sys/class/block/{name}/nsid"), number);
        }
        file(&root, "sys/class/block/nvme0n1p1/partition", "1");
        assert_eq!(by_lun(&machine, 0).as_deref(), Some("/dev/nvme0n2"));
        assert_eq!(by_lun(&machine, 3).as_deref(), Some("/dev/nvme0n3"));
        assert_eq!(by_lun(&machine, 1), None);
        assert_eq!(local_disks(&machine), ["/dev/nvme1n1", "/dev/nvme2n1"]);
    }

    #[test]
    fn local_disks_are_those_of_the_machine() {
        let (root, machine) = machine();
        assert!(local_disks(&machine).is_empty());
        file(&root, "dev/disk/azure/resource", "");
        assert_eq!(local_disks(&machine), ["/dev/disk/azure/resource"]);
        file(&root, "dev/disk/azure/resource-part1", "");
        assert_eq!(local_disks(&machine), ["/dev/disk/azure/resource-part1"]);
        for number in [10, 2, 1] {
            file(&root, &format!("dev/disk/azure/local/by-index/{number}"), "");
        }
        let places = ["1", "2", "10"].map(|number| format!("{LOCAL_DISKS}/{number}"));
        assert_eq!(local_disks(&machine), places);
    }
}
