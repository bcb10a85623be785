//! Logical volumes over disks, through LVM.

use super::devices::{Holds, holds, need_idle};
use super::{Section, need_program, raid};
use crate::resource::act::Act;
use crate::resource::error::{Cause, Failure};

/// The volume that a section names, over its disks; none under dry run, when it is not there yet.
pub(super) fn volume(
    act: &mut Act<'_>,
    section: &Section,
    devices: &[String],
) -> Result<Option<String>, Failure> {
    let name = act.need("mount_name")?;
    let group = section
        .text("vg_name")
        .unwrap_or_else(|| format!("cyclecloud-{name}"));
    let volume = section.text("lv_name").unwrap_or_else(|| name.clone());
    for name in [&group, &volume] {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        if name.starts_with(['-', '.']) || !name.chars().all(plain) {
            let why = format!("`{name}` is no name of a volume");
            return Err(Failure::invalid("configuration", why));
        }
    }
    let layout = layout(section, devices)?;
    need_program(act, "lvcreate", "lvm2", "lvm2")?;
    let target = format!("/dev/{group}/{volume}");
    if !act.has("lvcreate") {
        // Under dry run the package is not there.
        return Ok(None);
    }
    let exists = act.ask(&["vgs", &group])?.success();
    for device in devices {
        match holds(act, device)? {
            Holds::Nothing if exists => {
                let why = format!("the volume group `{group}` is there already, without `{device}`");
                return Err(Cause::Invalid(why).into());
            }
            Holds::Nothing => {
                need_idle(act, device, None)?;
                if act.will(format!("make a physical volume of {device}")) {
                    act.call(&["pvcreate", "--yes", device])?;
                }
            }
            Holds::Part(kind) if kind == "LVM2_member" => {
                let of = act.call(&["pvs", "--noheadings", "-o", "vg_name", device])?;
                let of = of.trim();
                if of != group && (exists || !of.is_empty()) {
                    let of = if of.is_empty() { "no volume group" } else { of };
                    let why = format!("`{device}` is of {of}, not of `{group}`: it is left as it is");
                    return Err(Cause::Invalid(why).into());
                }
            }
            other => return Err(raid::left(device, &other)),
        }
    }
    if !exists && act.will(format!("make the volume group {group}")) {
        let mut words = vec!["vgcreate", group.as_str()];
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
    let mut words = vec!["lvcreate", "--yes", "--name", &volume];
    words.extend(layout.iter().map(String::as_str));
    let size = section.text("size").unwrap_or_else(|| "100%FREE".to_owned());
    words.extend([
        if size.contains('%') { "--extents" } else { "--size" },
        &size,
        &group,
    ]);
    act.call(&words)?;
    Ok(Some(target))
}

/// How the volume lies on the disks: the arguments of lvcreate(8).
fn layout(section: &Section, devices: &[String]) -> Result<Vec<String>, Failure> {
    if devices.len() < 2 {
        return Ok(Vec::new());
    }
    let (count, level) = (devices.len(), raid::level(section, devices)?);
    let words = match level {
        "0" => vec!["--stripes".to_owned(), count.to_string()],
        "1" => vec![
            "--type".to_owned(),
            "raid1".to_owned(),
            "--mirrors".to_owned(),
            (count - 1).to_string(),
        ],
        "10" if count % 2 == 0 && count >= 4 => {
            let stripes = (count / 2).to_string();
            ["--type", "raid10", "--mirrors", "1", "--stripes", &stripes]
                .map(str::to_owned)
                .into()
        }
        "10" => {
            let why = format!("RAID 10 of a logical volume needs 4, 6, 8 … disks, not {count}");
            return Err(Failure::invalid("configuration", why));
        }
        "6" if count < 5 => {
            let why = format!("RAID 6 of a logical volume needs at least 5 disks, not {count}");
            return Err(Failure::invalid("configuration", why));
        }
        level => {
            let spare = if level == "6" { 2 } else { 1 };
            vec![
                "--type".to_owned(),
                format!("raid{level}"),
                "--stripes".to_owned(),
                (count - spare).to_string(),
            ]
        }
    };
    Ok(words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(level: u8, disks: usize) -> String {
        let serde_json::Value::Object(map) = json!({ "raid_level": level }) else {
            unreachable!()
        };
        let devices: Vec<_> = (0..disks).map(|number| format!("/dev/sd{number}")).collect();
        match layout(&Section(map), &devices) {
            Ok(words) => words.join(" "),
            Err(failure) => failure.cause.to_string(),
        }
    }

    #[test]
    fn a_volume_lies_on_its_disks_as_its_level_says() {
        assert_eq!(words(5, 1), "");
        assert_eq!(words(0, 3), "--stripes 3");
        assert_eq!(words(1, 2), "--type raid1 --mirrors 1");
        assert_eq!(words(5, 4), "--type raid5 --stripes 3");
        assert_eq!(words(6, 5), "--type raid6 --stripes 3");
        assert_eq!(words(10, 4), "--type raid10 --mirrors 1 --stripes 2");
        assert_eq!(
            words(10, 5),
            "RAID 10 of a logical volume needs 4, 6, 8 … disks, not 5"
        );
        assert_eq!(words(5, 2), "RAID 5 needs at least 3 disks, not 2");
        assert_eq!(words(7, 2), "there is no RAID level 7");
    }
}
