//! File systems on disks. Nothing that holds anything is ever written over.

use std::path::Path;

use super::devices::{Holds, devices, holds, need_idle};
use super::raid::left;
use super::{Section, need_program, raid, volume};
use crate::resource::act::Act;
use crate::resource::error::{Cause, Failure};

/// The file system of a section that names none.
const USUAL: &str = "ext4";

/// A file system on disks.
pub(super) struct Disk {
    /// None under dry run, when it is not there yet.
    pub(super) uuid: Option<String>,
    pub(super) fstype: String,
}

/// Makes sure that the disks of a section hold a file system, and that nobody else uses them. `named` is the kind of
/// file system that the section wants; without one, what is there is right.
pub(super) fn prepare(
    act: &mut Act<'_>,
    section: &Section,
    named: Option<String>,
    point: &str,
) -> Result<Disk, Failure> {
    if section.has("encryption") {
        let why = "encrypted mounts (`encryption`) are not supported";
        return Err(Cause::Unsupported(why.to_owned()).into());
    }
    let devices = devices(act, section)?;
    let target = match devices.as_slice() {
        _ if section.has("vg_name") || section.has("lv_name") => volume::volume(act, section, &devices)?,
        [device] => Some(device.clone()),
        _ => raid::array(act, section, &devices)?,
    };
    let wanted = named.clone().unwrap_or_else(|| USUAL.to_owned());
    let Some(target) = target else {
        let _ = act.will(format!("make {wanted} on {}", devices.join(" and ")));
        return Ok(Disk {
            uuid: None,
            fstype: wanted,
        });
    };
    let place = act.machine.target(point);
    let held = holds(act, &target)?;
    need_idle(act, &target, Some(Path::new(&place)))?;
    let fstype = match held {
        Holds::FileSystem(kind) if named.as_ref().is_none_or(|named| *named == kind) => kind,
        Holds::FileSystem(kind) => {
            let why = format!("`{target}` holds {kind} already, not {wanted}: it is left as it is");
            return Err(Cause::Invalid(why).into());
        }
        Holds::Nothing => {
            if !act.will(format!("make {wanted} on {target}")) {
                return Ok(Disk {
                    uuid: None,
                    fstype: wanted,
                });
            }
            make(act, &target, &wanted)?;
            wanted
        }
        other => return Err(left(&target, &other)),
    };
    let uuid = act.call(&["blkid", "-p", "-o", "value", "-s", "UUID", &target])?;
    let uuid = uuid.trim().to_owned();
    if uuid.is_empty() {
        return Err(Cause::Invalid(format!("the file system on `{target}` has no UUID")).into());
    }
    Ok(Disk {
        uuid: Some(uuid),
        fstype,
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
