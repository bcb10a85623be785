//! Disks: arrays, volumes and file systems on them. Nothing that holds anything is ever written over.

use std::fs;
use std::path::Path;

use super::{Section, need_program};
use crate::resource::act::Act;
use crate::resource::error::{Cause, Failure};

/// Where Azure's rules for udev show data disks by their number: SCSI, then NVMe.
const BY_LUN: [&str; 2] = ["/dev/disk/azure/scsi1/lun", "/dev/disk/azure/data/by-lun/"];

/// What is on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holds {
    Nothing,
    /// A file system, or a part of an array or a volume group, as blkid(8) calls it.
    Kind(String),
    Partitions,
}

/// Makes sure that the disks of a section hold a file system, and gives its UUID. None under dry run, when it is not
/// there yet.
pub(super) fn prepare(act: &mut Act<'_>, section: &Section, fstype: &str) -> Result<Option<String>, Failure> {
    if section.has("encryption") {
        let why = "encrypted mounts (`encryption`) are not supported";
        return Err(Cause::Unsupported(why.to_owned()).into());
    }
    let devices = devices(act, section)?;
    let volume = section.has("vg_name") || section.has("lv_name");
    let target = match (devices.as_slice(), volume) {
        ([device], false) => Some(device.clone()),
        (_, true) => volume_of(act, section, &devices)?,
        (_, false) => array(act, section, &devices)?,
    };
    let Some(target) = target else {
        let _ = act.will(format!("make {fstype} on {}", devices.join(" and ")));
        return Ok(None);
    };
    match holds(act, &target)? {
        Holds::Kind(kind) if kind == fstype => {}
        Holds::Kind(kind) => {
            let why = format!("`{target}` holds {kind} already, not {fstype}: it is left as it is");
            return Err(Cause::Invalid(why).into());
        }
        Holds::Partitions => {
            let why = format!("`{target}` holds a table of partitions: it is left as it is");
            return Err(Cause::Invalid(why).into());
        }
        Holds::Nothing => {
            if !act.will(format!("make {fstype} on {target}")) {
                return Ok(None);
            }
            make(act, &target, fstype)?;
        }
    }
    let uuid = act.call(&["blkid", "-p", "-o", "value", "-s", "UUID", &target])?;
    let uuid = uuid.trim().to_owned();
    if uuid.is_empty() {
        return Err(Cause::Invalid(format!("the file system on `{target}` has no UUID")).into());
    }
    Ok(Some(uuid))
}

fn devices(act: &mut Act<'_>, section: &Section) -> Result<Vec<String>, Failure> {
    let mut devices = section.list("devices");
    for lun in section.list("luns") {
        let path = BY_LUN
            .into_iter()
            .map(|prefix| format!("{prefix}{lun}"))
            .find(|path| act.machine.exists(path));
        match path {
            Some(path) => devices.push(path),
            None => {
                return Err(Failure::invalid(
                    "configuration",
                    format!("there is no disk with the LUN {lun}"),
                ));
            }
        }
    }
    if devices.is_empty() {
        let why = "it names neither `devices` nor `luns`, and no `type` of a server";
        return Err(Failure::invalid("configuration", why));
    }
    for device in &devices {
        if !device.starts_with("/dev/") || !Path::new(device).exists() {
            return Err(Failure::invalid(
                "configuration",
                format!("there is no device `{device}`"),
            ));
        }
    }
    Ok(devices)
}

fn holds(act: &Act<'_>, device: &str) -> Result<Holds, Failure> {
    let output = act.ask(&["blkid", "-p", "-o", "export", device])?;
    if output.ended == node::command::Ended::Exited(2) {
        return Ok(Holds::Nothing);
    }
    let text = output.ok()?;
    let find = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    Ok(match (find("TYPE"), find("PTTYPE")) {
        (Some(kind), _) => Holds::Kind(kind.to_owned()),
        (None, Some(_)) => Holds::Partitions,
        // blkid knows it, but not by a type.
        (None, None) => Holds::Kind("something unknown".to_owned()),
    })
}

fn make(act: &mut Act<'_>, device: &str, fstype: &str) -> Result<(), Failure> {
    let program = format!("mkfs.{fstype}");
    match fstype {
        "xfs" => need_program(act, &program, "xfsprogs", "xfsprogs")?,
        "btrfs" => need_program(act, &program, "btrfs-progs", "btrfs-progs")?,
        _ if !act.has(&program) => {
            return Err(Cause::Unsupported(format!("there is no `{program}` on this machine")).into());
        }
        _ => {}
    }
    // None of these writes over a file system that is mounted, and there is none of another kind: that was looked at.
    // Old releases of mkfs.ext4 ask about every disk without partitions, and nobody answers.
    let words = if fstype.starts_with("ext") {
        vec![program.as_str(), "-F", "-q", device]
    } else {
        vec![program.as_str(), device]
    };
    act.call(&words).map(drop)
}

/// The device that was made of another one, by the kernel's names: `md127` of `sdc`.
fn holder(act: &Act<'_>, device: &str, prefix: &str) -> Option<String> {
    let target = act.machine.target(device);
    let name = target.file_name()?.to_str()?;
    let folder = act.machine.path(format!("/sys/class/block/{name}/holders"));
    let names = fs::read_dir(folder).ok()?.flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find(|name| name.starts_with(prefix))
        .map(|name| format!("/dev/{name}"))
}

/// An array of several disks, through mdadm.
fn array(act: &mut Act<'_>, section: &Section, devices: &[String]) -> Result<Option<String>, Failure> {
    let name = act.need("mount_name")?;
    let level = section.text("raid_level").unwrap_or_else(|| "0".to_owned());
    if !matches!(level.as_str(), "0" | "1" | "4" | "5" | "6" | "10") {
        return Err(Failure::invalid(
            "configuration",
            format!("there is no RAID level {level}"),
        ));
    }
    need_program(act, "mdadm", "mdadm", "mdadm")?;
    let target = format!("/dev/md/{name}");
    let mut members = 0;
    for device in devices {
        match holds(act, device)? {
            Holds::Nothing => {}
            Holds::Kind(kind) if kind == "linux_raid_member" => members += 1,
            other => {
                let why = format!("`{device}` holds something already ({other:?}): it is left as it is");
                return Err(Cause::Invalid(why).into());
            }
        }
    }
    if members > 0 && members < devices.len() {
        let why = format!(
            "{members} of {} disks are parts of an array already, the others are empty",
            devices.len()
        );
        return Err(Cause::Invalid(why).into());
    }
    if let Some(known) = holder(act, &devices[0], "md") {
        return Ok(Some(known));
    }
    let count = format!("--raid-devices={}", devices.len());
    let level = format!("--level={level}");
    let listed: Vec<&str> = devices.iter().map(String::as_str).collect();
    let mut words = vec!["mdadm"];
    let sentence = if members > 0 {
        words.extend(["--assemble", &target]);
        format!("assemble the array {target}")
    } else {
        words.extend([
            "--create",
            &target,
            "--run",
            "--metadata=1.2",
            "--homehost=any",
            &level,
            &count,
        ]);
        format!("make the array {target} of {}", devices.join(" and "))
    };
    words.extend(listed);
    if !act.will(sentence) {
        return Ok(None);
    }
    act.call(&words)?;
    Ok(Some(holder(act, &devices[0], "md").unwrap_or(target)))
}

/// A logical volume over disks, through LVM.
fn volume_of(act: &mut Act<'_>, section: &Section, devices: &[String]) -> Result<Option<String>, Failure> {
    let name = act.need("mount_name")?;
    let group = section
        .text("vg_name")
        .unwrap_or_else(|| format!("cyclecloud-{name}"));
    let volume = section.text("lv_name").unwrap_or_else(|| name.clone());
    for name in [&group, &volume] {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        if name.starts_with('-') || !name.chars().all(plain) {
            return Err(Failure::invalid(
                "configuration",
                format!("`{name}` is no name of a volume"),
            ));
        }
    }
    need_program(act, "lvcreate", "lvm2", "lvm2")?;
    let target = format!("/dev/{group}/{volume}");
    if !act.has("lvcreate") {
        return Ok(None);
    }
    for device in devices {
        match holds(act, device)? {
            Holds::Nothing => {
                if act.will(format!("make a physical volume of {device}")) {
                    act.call(&["pvcreate", "--yes", device])?;
                }
            }
            Holds::Kind(kind) if kind == "LVM2_member" => {}
            other => {
                let why = format!("`{device}` holds something already ({other:?}): it is left as it is");
                return Err(Cause::Invalid(why).into());
            }
        }
    }
    if !act.ask(&["vgs", &group])?.success() && act.will(format!("make the volume group {group}")) {
        let mut words = vec!["vgcreate", &group];
        words.extend(devices.iter().map(String::as_str));
        act.call(&words)?;
    }
    let full = format!("{group}/{volume}");
    if act.ask(&["lvs", &full])?.success() {
        return Ok(Some(target));
    }
    if !act.will(format!("make the volume {full}")) {
        return Ok(None);
    }
    let stripes = devices.len().to_string();
    let mut words = vec!["lvcreate", "--yes", "--name", &volume];
    if devices.len() > 1 {
        words.extend(["--stripes", &stripes]);
    }
    let size = section.text("size");
    match &size {
        Some(size) if size.contains('%') => words.extend(["--extents", size]),
        Some(size) => words.extend(["--size", size]),
        None => words.extend(["--extents", "100%FREE"]),
    }
    words.push(&group);
    act.call(&words)?;
    Ok(Some(target))
}
