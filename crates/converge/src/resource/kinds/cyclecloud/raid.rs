//! Arrays of several disks, through mdadm(8).

use super::devices::{Holds, holders, holds, need_idle};
use super::{Section, need_program};
use crate::resource::act::Act;
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Security, edit};
use crate::resource::request::Request;

/// The levels, with the number of disks that each needs.
const LEVELS: [(&str, usize); 6] = [("0", 2), ("1", 2), ("4", 3), ("5", 3), ("6", 4), ("10", 2)];

/// The level of a section, which its disks must suffice for.
pub(super) fn level(section: &Section, devices: &[String]) -> Result<&'static str, Failure> {
    let wanted = section.text("raid_level").unwrap_or_else(|| "0".to_owned());
    let Some((level, least)) = LEVELS.into_iter().find(|(level, _)| *level == wanted) else {
        let why = format!("there is no RAID level {wanted}");
        return Err(Failure::invalid("configuration", why));
    };
    if devices.len() < least {
        let why = format!("RAID {level} needs at least {least} disks, not {}", devices.len());
        return Err(Failure::invalid("configuration", why));
    }
    Ok(level)
}

/// The array of these disks; none under dry run, when it is not there yet.
pub(super) fn array(
    act: &mut Act<'_>,
    section: &Section,
    devices: &[String],
) -> Result<Option<String>, Failure> {
    let name = act.need("mount_name")?;
    let level = level(section, devices)?;
    need_program(act, "mdadm", "mdadm", "mdadm")?;
    let target = format!("/dev/md/{name}");
    let mut members = 0;
    for device in devices {
        match holds(act, device)? {
            Holds::Nothing => need_idle(act, device, None)?,
            Holds::Part(kind) if kind == "linux_raid_member" => members += 1,
            other => return Err(left(device, &other)),
        }
    }
    if members > 0 && members < devices.len() {
        let count = devices.len();
        let why = format!("{members} of {count} disks are parts of an array already, the others are empty");
        return Err(Cause::Invalid(why).into());
    }
    let known = if members == 0 {
        None
    } else {
        running(act, &target, devices)?
    };
    let array = match known {
        Some(known) => known,
        None => {
            let (sentence, words) = making(&target, level, devices, members > 0);
            if !act.will(sentence) {
                return Ok(None);
            }
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            act.call(&words)?;
            target
        }
    };
    keep(act, &array)?;
    if let Some(link) = section.text("raid_device_symlink") {
        act.apply(&Request::new("link", link.as_str()).with("to", array.as_str()))?;
    }
    Ok(Some(array))
}

pub(super) fn left(device: &str, holds: &Holds) -> Failure {
    Cause::Invalid(format!("`{device}` holds {holds} already: it is left as it is")).into()
}

/// The sentence, and the command that makes the array or puts together the one that there is.
fn making(target: &str, level: &str, devices: &[String], exists: bool) -> (String, Vec<String>) {
    let list = devices.join(" and ");
    let (sentence, words) = if exists {
        (
            format!("assemble the array {target} of {list}"),
            vec!["mdadm".to_owned(), "--assemble".to_owned(), target.to_owned()],
        )
    } else {
        let options = [
            "mdadm",
            "--create",
            target,
            "--run",
            "--metadata=1.2",
            // The array keeps its name on a machine with another name.
            "--homehost=any",
        ];
        let mut words: Vec<String> = options.map(str::to_owned).into();
        words.push(format!("--level={level}"));
        words.push(format!("--raid-devices={}", devices.len()));
        (format!("make the array {target} of {list} (RAID {level})"), words)
    };
    (
        sentence,
        words.into_iter().chain(devices.iter().cloned()).collect(),
    )
}

/// The array that runs on the disks, whatever it is called.
fn running(act: &Act<'_>, target: &str, devices: &[String]) -> Result<Option<String>, Failure> {
    let of_kernel = holders(act, &devices[0])
        .into_iter()
        .find(|name| name.starts_with("md"))
        .map(|name| format!("/dev/{name}"));
    let Some(array) = of_kernel.or_else(|| act.machine.exists(target).then(|| target.to_owned())) else {
        return Ok(None);
    };
    let text = act.call(&["mdadm", "--detail", "--export", &array])?;
    let ours: Vec<_> = devices.iter().map(|device| act.machine.target(device)).collect();
    let stranger = text
        .lines()
        .filter(|line| line.starts_with("MD_DEVICE_"))
        .filter_map(|line| line.split_once("_DEV=").map(|(_, path)| path.trim_matches('\'')))
        .find(|path| !ours.contains(&act.machine.target(path)));
    match stranger {
        None => Ok(Some(array)),
        Some(stranger) => {
            let why =
                format!("the array `{array}` is also made of `{stranger}`, which the mount does not name");
            Err(Cause::Invalid(why).into())
        }
    }
}

/// Keeps the array in the file by which it is put together at boot.
fn keep(act: &mut Act<'_>, array: &str) -> Result<(), Failure> {
    let brief = act.call(&["mdadm", "--detail", "--brief", array])?;
    let Some(line) = brief.lines().find(|line| line.starts_with("ARRAY ")) else {
        return Ok(());
    };
    let uuid = line.split_whitespace().find(|word| word.starts_with("UUID="));
    let file = if act.options.platform.family == "debian" {
        "/etc/mdadm/mdadm.conf"
    } else {
        "/etc/mdadm.conf"
    };
    let path = act.machine.target(file);
    edit(act, &path, Security::default(), |text| {
        let is_there =
            |old: &str| old.starts_with("ARRAY ") && old.split_whitespace().any(|word| Some(word) == uuid);
        if text.lines().any(is_there) {
            return text.to_owned();
        }
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        format!("{text}{end}{line}\n")
    })
}
