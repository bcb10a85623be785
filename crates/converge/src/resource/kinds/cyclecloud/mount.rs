//! `cyclecloud_mount`: one section of `cyclecloud.mounts`.

use std::path::Path;

use super::{Section, disks, need_program};
use crate::resource::act::Act;
use crate::resource::catalogue::{Kind, Property, Provides};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::Security;
use crate::resource::kinds::{Definition, mount as plain};
use crate::resource::request::Request;

pub(in crate::resource::kinds) const MOUNT: Definition = Definition {
    kind: Kind::new(
        "cyclecloud_mount",
        &[Provides::everywhere("cyclecloud_mount")],
        &["mount", "umount"],
        &[
            Property::named("mount_name"),
            Property::hash("configuration").required(),
            // The host that exports, if the section names none: whoever knows the cluster finds it.
            Property::string("address"),
        ],
    ),
    run,
};

/// A machine must boot when a server or a disk is gone.
const OPTIONS: [&str; 2] = ["defaults", "nofail"];

/// Types of file systems that are the kernel's, not of a disk or a server.
const VIRTUAL: [&str; 2] = ["tmpfs", "ramfs"];

/// What `type` may be when disks are meant, besides nothing.
const LOCAL: [&str; 7] = ["local", "disk", "volume", "ext3", "ext4", "xfs", "btrfs"];

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    act.need_live()?;
    let section = Section::of(act);
    if section.flag("disabled", false) {
        return Ok(());
    }
    let kind = section.text("type").unwrap_or_default().to_ascii_lowercase();
    let point = mount_point(act, &section, &kind)?;
    if act.action == "umount" {
        for action in ["umount", "disable"] {
            act.apply(&Request::new("mount", point.as_str()).action(action))?;
        }
        return Ok(());
    }
    let mut options: Vec<String> = OPTIONS.map(str::to_owned).into();
    let (device, fstype, device_type) = if VIRTUAL.contains(&kind.as_str()) {
        if let Some(size) = section.text("size") {
            options.push(format!("size={size}"));
        }
        (kind.clone(), kind.clone(), "device")
    } else if kind.is_empty()
        || LOCAL.contains(&kind.as_str())
        || section.has("devices")
        || section.has("luns")
    {
        let named = section.text("fs_type").map(|named| named.to_ascii_lowercase());
        let named = named.or_else(|| Some(kind.clone()).filter(|kind| LOCAL[3..].contains(&kind.as_str())));
        let disk = disks::prepare(act, &section, named, &point)?;
        // Under dry run there may be no file system yet.
        let uuid = disk.uuid.unwrap_or_else(|| "to be made".to_owned());
        (uuid, disk.fstype, "uuid")
    } else {
        options.push("_netdev".to_owned());
        (remote(act, &section, &kind, &point)?, kind.clone(), "device")
    };
    options.extend(
        section
            .list("options")
            .into_iter()
            .filter(|option| option != "defaults"),
    );
    let mount = Request::new("mount", point.as_str())
        .with("device", device.as_str())
        .with("device_type", device_type)
        .with("fstype", fstype.as_str())
        .with("options", options)
        .with("pass", 0);
    need_free(act, &mount, &point)?;
    let folder = Request::new("directory", point.as_str()).with("recursive", true);
    if !Path::new(&point).is_dir() {
        act.apply(&folder)?;
    }
    for action in ["enable", "mount"] {
        act.apply(&mount.clone().action(action))?;
    }
    owners(act, &section, &point)
}

/// Fails if something else is mounted there: whoever works in it would lose it from sight.
fn need_free(act: &Act<'_>, mount: &Request, point: &str) -> Result<(), Failure> {
    match plain::stranger(act, mount)? {
        None => Ok(()),
        Some(device) => {
            let why = format!("`{device}` is mounted at `{point}` already: it is left as it is");
            Err(Cause::Invalid(why).into())
        }
    }
}

fn mount_point(act: &Act<'_>, section: &Section, kind: &str) -> Result<String, Failure> {
    let name = act.need("mount_name")?;
    let point = section.text("mountpoint").or_else(|| {
        section
            .text("export_path")
            .filter(|_| matches!(kind, "nfs" | "nfs4"))
    });
    let point = point.unwrap_or_else(|| format!("/media/{name}"));
    if !point.starts_with('/') {
        let why = format!("the mount point `{point}` is not an absolute path");
        return Err(Failure::invalid("configuration", why));
    }
    Ok(point)
}

/// What a server exports, as mount(8) wants it, with the program that mounts it.
fn remote(act: &mut Act<'_>, section: &Section, kind: &str, point: &str) -> Result<String, Failure> {
    let address = section.text("address").or_else(|| act.text("address"));
    let Some(address) = address else {
        let why = "it has no `address`, and no host of the cluster that exports it is known";
        return Err(Failure::invalid("configuration", why));
    };
    let path = section.text("export_path").unwrap_or_else(|| point.to_owned());
    match kind {
        "nfs" | "nfs4" => need_program(act, "mount.nfs", "nfs-common", "nfs-utils")?,
        "cifs" => need_program(act, "mount.cifs", "cifs-utils", "cifs-utils")?,
        _ => {
            let helper = format!("mount.{kind}");
            let known = act.machine.read("/proc/filesystems").unwrap_or_default();
            let is_known = known
                .lines()
                .any(|line| line.split_whitespace().last() == Some(kind));
            if !is_known && !act.has(&helper) {
                let why = format!("this machine can mount no `{kind}`: there is no `{helper}`");
                act.assume(Cause::Unsupported(why))?;
            }
        }
    }
    Ok(match kind {
        "cifs" => format!("//{address}/{}", path.trim_start_matches('/')),
        // With the network that leads there: `10.0.0.4@tcp:/lustrefs`.
        "lustre" if !path.starts_with('/') => format!("{address}@{path}"),
        "lustre" => format!("{address}@tcp:{path}"),
        _ => format!("{address}:{path}"),
    })
}

/// The owner and mode of what is mounted.
fn owners(act: &mut Act<'_>, section: &Section, point: &str) -> Result<(), Failure> {
    let Some(security) = section.security(act, ["permissions", "mode"])? else {
        return Ok(());
    };
    if security != Security::default() && Path::new(point).is_dir() {
        security.bring(act, Path::new(point))?;
    }
    Ok(())
}
