//! `mount` and `swap_file`.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Security, edit};
use crate::resource::request::Request;

pub(super) const MOUNT: Definition = Definition {
    kind: Kind::new(
        "mount",
        &[Provides::everywhere("mount")],
        &["mount", "umount", "unmount", "remount", "enable", "disable"],
        &[
            Property::named("mount_point"),
            Property::string("device").required_for(&["mount", "enable"]),
            Property::string("device_type")
                .or(Default::String("device"))
                .one_of(&["device", "label", "uuid"]),
            // For other systems than Linux.
            Property::string("fsck_device").or(Default::String("-")),
            Property::string("fstype").or(Default::String("auto")),
            Property::list("options").or(Default::String("defaults")),
            Property::new("dump", &[Type::Integer, Type::Boolean]).or(Default::Integer(0)),
            Property::new("pass", &[Type::Integer, Type::Boolean]).or(Default::Integer(2)),
            Property::new("supports", &[Type::Hash, Type::Array]),
            Property::new("enabled", &[Type::Boolean]),
            Property::new("mounted", &[Type::Boolean]),
            Property::string("username"),
            Property::string("password").sensitive(),
            Property::string("domain"),
        ],
    ),
    run: mount,
};

pub(super) const SWAP_FILE: Definition = Definition {
    kind: Kind::new(
        "swap_file",
        &[Provides::everywhere("swap_file")],
        &["create", "remove"],
        &[
            Property::named("path"),
            Property::integer("size").required_for(&["create"]),
            Property::boolean("persist", false),
            Property::new("timeout", &[Type::Integer, Type::String]).or(Default::Integer(600)),
            Property::integer("swappiness"),
        ],
    ),
    run: swap_file,
};

const FSTAB: &str = "/etc/fstab";

/// A line of fstab(5).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    device: String,
    mount_point: String,
    fstype: String,
    options: Vec<String>,
    dump: u8,
    pass: u8,
}

/// In fstab(5) and in /proc blanks are written as octal codes.
fn escape(text: &str) -> String {
    text.replace('\\', "\\134")
        .replace(' ', "\\040")
        .replace('\t', "\\011")
}

pub(super) fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\134", "\\")
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.starts_with('#') {
            return None;
        }
        let mut fields = line.split_whitespace();
        let (device, mount_point) = (fields.next()?, fields.next()?);
        let (fstype, options) = (fields.next()?, fields.next().unwrap_or("defaults"));
        let mut digit = || fields.next().and_then(|field| field.parse().ok()).unwrap_or(0);
        Some(Self {
            device: unescape(device),
            mount_point: trimmed(&unescape(mount_point)),
            fstype: fstype.to_owned(),
            options: options.split(',').map(str::to_owned).collect(),
            dump: digit(),
            pass: digit(),
        })
    }

    fn line(&self) -> String {
        format!(
            "{} {} {} {} {} {}",
            escape(&self.device),
            escape(&self.mount_point),
            self.fstype,
            self.options.join(","),
            self.dump,
            self.pass
        )
    }

    /// Whether a line that is there does the same.
    fn is(&self, there: &Self) -> bool {
        let sorted = |entry: &Self| {
            let mut options = entry.options.clone();
            options.retain(|option| option != "defaults");
            options.sort();
            options
        };
        (
            &self.device,
            &self.mount_point,
            &self.fstype,
            self.dump,
            self.pass,
        ) == (
            &there.device,
            &there.mount_point,
            &there.fstype,
            there.dump,
            there.pass,
        ) && sorted(self) == sorted(there)
    }
}

fn trimmed(path: &str) -> String {
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        "/".to_owned()
    } else {
        path.to_owned()
    }
}

/// What is mounted where a request wants to mount something else. What mounts by itself when somebody looks is nothing
/// yet.
pub(super) fn stranger(act: &Act<'_>, request: &Request) -> Result<Option<String>, Failure> {
    let act = Act::new(
        request,
        &MOUNT.kind,
        "mount",
        act.machine,
        act.options,
        act.shared,
    );
    let entry = wanted(&act)?;
    let there = mounted(&act, &place(&act, &entry)).filter(|(_, kind)| kind != "autofs");
    Ok(there
        .filter(|_| !is_mounted(&act, &entry))
        .map(|(device, _)| device))
}

/// What the properties describe.
fn wanted(act: &Act<'_>) -> Result<Entry, Failure> {
    let device = act.text("device").unwrap_or_default();
    let device = match act.text("device_type").as_deref() {
        Some("label") => format!("LABEL={device}"),
        Some("uuid") => format!("UUID={device}"),
        _ => device,
    };
    let small = |name: &'static str| -> Result<u8, Failure> {
        if act
            .set(name)
            .is_some_and(|value| value == &serde_json::Value::Bool(false))
        {
            return Ok(0);
        }
        let number = act.number(name)?.unwrap_or(0);
        u8::try_from(number)
            .ok()
            .filter(|number| *number <= 9)
            .ok_or_else(|| Failure::invalid(name, format!("{number} is not from 0 to 9")))
    };
    let mut options = act.comma_list("options");
    if options.is_empty() {
        options.push("defaults".to_owned());
    }
    let fstype = act.need("fstype")?;
    if fstype.contains(char::is_whitespace)
        || options.iter().any(|option| option.contains(char::is_whitespace))
    {
        return Err(Failure::invalid(
            "options",
            "neither the type of a file system nor its options hold blanks",
        ));
    }
    Ok(Entry {
        device,
        mount_point: trimmed(&act.need("mount_point")?),
        fstype,
        options,
        dump: small("dump")?,
        pass: small("pass")?,
    })
}

/// The device that is mounted at a place: the last, if there are several above each other.
fn mounted(act: &Act<'_>, place: &str) -> Option<(String, String)> {
    let text = act.machine.read("/proc/self/mountinfo")?;
    text.lines().rev().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let point = unescape(before.split(' ').nth(4)?);
        let mut fields = after.split(' ');
        let (kind, device) = (fields.next()?, unescape(fields.next()?));
        (point == place).then(|| (device, kind.to_owned()))
    })
}

/// Where an entry is mounted, as the kernel calls it.
fn place(act: &Act<'_>, entry: &Entry) -> String {
    let place = act.machine.target(&entry.mount_point);
    act.machine.seen(&place).display().to_string()
}

/// Whether what is mounted is what is wanted. A name by label or UUID stands for the device that it leads to.
fn is_mounted(act: &Act<'_>, entry: &Entry) -> bool {
    let Some((device, kind)) = mounted(act, &place(act, entry)) else {
        return false;
    };
    let virtual_kinds = ["tmpfs", "proc", "sysfs", "devtmpfs", "overlay", "ramfs"];
    if virtual_kinds.contains(&kind.as_str()) && kind == entry.fstype {
        return true;
    }
    let binds = entry
        .options
        .iter()
        .any(|option| matches!(option.as_str(), "bind" | "rbind" | "loop"));
    let link = match entry.device.split_once('=') {
        Some(("LABEL", label)) => format!("/dev/disk/by-label/{label}"),
        Some(("UUID", uuid)) => format!("/dev/disk/by-uuid/{uuid}"),
        _ => entry.device.clone(),
    };
    let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
    // Without udev there are no links, but the device can be asked for what is on it.
    let target = match entry.device.split_once('=') {
        Some(("LABEL" | "UUID", _)) if !act.machine.exists(&link) => {
            let found = act
                .ask(&["findfs", &entry.device])
                .map(|output| output.text)
                .unwrap_or_default();
            act.machine.target(found.trim())
        }
        _ => act.machine.target(&link),
    };
    binds || same(&device, &entry.device) || target == act.machine.target(&device)
}

fn mount(act: &mut Act<'_>) -> Result<(), Failure> {
    let entry = wanted(act)?;
    let what = entry.mount_point.clone();
    match act.action {
        "enable" => enable(act, &entry),
        "disable" => {
            let text = act.machine.read(FSTAB).unwrap_or_default();
            let is_there = text
                .lines()
                .filter_map(Entry::parse)
                .any(|there| there.mount_point == what);
            if !is_there {
                return Ok(());
            }
            let path = act.machine.target(FSTAB);
            edit(act, &path, Security::default(), |text| {
                let kept = text
                    .lines()
                    .filter(|line| Entry::parse(line).is_none_or(|there| there.mount_point != what));
                kept.flat_map(|line| [line, "\n"]).collect()
            })?;
            reload(act)
        }
        "mount" => {
            act.need_live()?;
            if is_mounted(act, &entry) {
                return Ok(());
            }
            if !Path::new(&what).is_dir() && !Path::new(&what).is_file() {
                act.assume(Cause::NoFolder(what.clone().into()))?;
            }
            let is_local = entry.device.starts_with("/dev/");
            if is_local && !Path::new(&entry.device).exists() {
                let path = Path::new(&entry.device);
                act.assume(Cause::io("mount", path)(std::io::ErrorKind::NotFound.into()))?;
            }
            if act.will(format!("mount {} to {what}", entry.device)) {
                call_mount(act, &entry)?;
            }
            Ok(())
        }
        "remount" => {
            act.need_live()?;
            if mounted(act, &what).is_some() && act.will(format!("remount {} to {what}", entry.device)) {
                let options = format!("remount,{}", entry.options.join(","));
                act.call(&["mount", "-o", &options, &what])?;
            }
            Ok(())
        }
        _ => {
            act.need_live()?;
            if mounted(act, &what).is_some() && act.will(format!("unmount {what}")) {
                act.call(&["umount", &what])?;
            }
            Ok(())
        }
    }
}

fn call_mount(act: &mut Act<'_>, entry: &Entry) -> Result<(), Failure> {
    let mut words = vec!["mount", "-t", &entry.fstype];
    let options = entry.options.join(",");
    if options != "defaults" {
        words.extend(["-o", &options]);
    }
    words.extend([entry.device.as_str(), &entry.mount_point]);
    act.report.output = Some(act.call(&words)?);
    Ok(())
}

fn enable(act: &mut Act<'_>, entry: &Entry) -> Result<(), Failure> {
    let text = act.machine.read(FSTAB).unwrap_or_default();
    let there: Vec<_> = text
        .lines()
        .filter_map(Entry::parse)
        .filter(|there| there.mount_point == entry.mount_point)
        .collect();
    if there.len() == 1 && entry.is(&there[0]) {
        return Ok(());
    }
    let path = act.machine.target(FSTAB);
    edit(act, &path, Security::default(), |text| {
        let (mut new, mut done) = (String::new(), false);
        for line in text.lines() {
            let is_ours = Entry::parse(line).is_some_and(|there| there.mount_point == entry.mount_point);
            if is_ours && done {
                continue;
            }
            new.push_str(&if is_ours { entry.line() } else { line.to_owned() });
            new.push('\n');
            done |= is_ours;
        }
        if !done {
            new.push_str(&entry.line());
            new.push('\n');
        }
        new
    })?;
    reload(act)
}

/// systemd makes units of the lines of fstab, and would go on with the old ones.
fn reload(act: &mut Act<'_>) -> Result<(), Failure> {
    let useful = act.report.updated && !act.options.dry_run && act.machine.is_live();
    if useful && act.machine.exists("/run/systemd/system") && act.has("systemctl") {
        act.call(&["systemctl", "daemon-reload"])?;
    }
    Ok(())
}

fn swap_file(act: &mut Act<'_>) -> Result<(), Failure> {
    act.need_live()?;
    let path = act.path("path")?;
    let seen = path.display().to_string();
    let is_on = act
        .machine
        .read("/proc/swaps")
        .unwrap_or_default()
        .lines()
        .any(|line| line.split_whitespace().next().map(unescape).as_deref() == Some(seen.as_str()));
    let entry = Entry {
        device: seen.clone(),
        mount_point: "swap".to_owned(),
        fstype: "swap".to_owned(),
        options: vec!["defaults".to_owned()],
        dump: 0,
        pass: 0,
    };
    let fstab = act.machine.target(FSTAB);
    let is_ours = |line: &str| Entry::parse(line).is_some_and(|there| there.device == seen);
    if act.action == "remove" {
        if is_on && act.will(format!("turn off swap {seen}")) {
            act.call(&["swapoff", &seen])?;
        }
        edit(act, &fstab, Security::default(), |text| {
            text.lines()
                .filter(|line| !is_ours(line))
                .flat_map(|line| [line, "\n"])
                .collect()
        })?;
        if path.exists() && act.will(format!("remove swap file {seen}")) {
            fs::remove_file(&path).map_err(Cause::io("remove", &path))?;
        }
        return Ok(());
    }
    let size = act
        .number("size")?
        .and_then(|megabytes| u64::try_from(megabytes).ok());
    let size = size
        .filter(|size| *size > 0)
        .ok_or_else(|| Failure::invalid("size", "it must be a number of megabytes above 0"))?;
    if !is_on {
        let has_size = fs::metadata(&path).is_ok_and(|metadata| metadata.len() == size << 20);
        if !has_size && act.will(format!("create empty file at {seen}")) {
            make(act, &path, size)?;
            act.call(&["mkswap", "-f", &seen])?;
        }
        if act.will(format!("turn on swap {seen}")) {
            act.call(&["swapon", &seen])?;
        }
    }
    if act.flag("persist") {
        edit(act, &fstab, Security::default(), |text| {
            if text.lines().any(is_ours) {
                return text.to_owned();
            }
            format!("{text}{}\n", entry.line())
        })?;
    }
    if let Some(swappiness) = act.number("swappiness")? {
        super::system::set_sysctl(act, "vm.swappiness", &swappiness.to_string())?;
    }
    Ok(())
}

/// Writes zeros: a file with holes is no swap.
fn make(act: &Act<'_>, path: &Path, megabytes: u64) -> Result<(), Failure> {
    let failed = || Cause::io("write", path);
    let mut file = File::create(path).map_err(failed())?;
    file.set_permissions(fs::Permissions::from_mode(0o600))
        .map_err(failed())?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..megabytes {
        if act.options.stop.is_requested() {
            return Err(failed()(std::io::ErrorKind::Interrupted.into()).into());
        }
        file.write_all(&zeros).map_err(failed())?;
    }
    Ok(file.sync_all().map_err(failed())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_written() {
        let entry = Entry::parse("/dev/sdb1 /my\\040disk ext4 noatime,nofail 0 2").unwrap();
        assert_eq!(entry.mount_point, "/my disk");
        assert_eq!(entry.line(), "/dev/sdb1 /my\\040disk ext4 noatime,nofail 0 2");
        assert_eq!(Entry::parse("# /dev/sdb1 / ext4"), None);
        assert_eq!(Entry::parse("tmpfs /tmp/ tmpfs").unwrap().mount_point, "/tmp");
    }

    #[test]
    fn defaults_and_order_make_no_difference() {
        let line = |options: &str| Entry::parse(&format!("a:/b /c nfs {options} 0 0")).unwrap();
        assert!(line("defaults,rw,hard").is(&line("hard,rw")));
        assert!(!line("rw").is(&line("ro")));
    }
}
