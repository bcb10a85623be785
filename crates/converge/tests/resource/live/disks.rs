//! `cyclecloud.mounts` and `cyclecloud.exports`: file systems that last, disks that somebody uses, arrays, volumes, servers.
//!
//! The kernel of the test may have neither arrays nor logical volumes nor NFS. Stand-ins for mdadm(8), LVM, exportfs(8) and
//! mount.nfs(8) write down how they are called and leave on the disks what the real ones leave, so that the rest is real.

use std::path::Path;

use converge::resource::Request;
use serde_json::{Value, json};
use testkit::in_booted_machine;

use super::storage::Loop;
use super::{Live, said};

fn mount(name: &str, configuration: Value) -> Request {
    Request::new("cyclecloud_mount", name).with("configuration", configuration)
}

/// A program in front of those of the system.
fn program(name: &str, text: &str) {
    let path = format!("/usr/local/sbin/{name}");
    let text = format!("#!/bin/sh\necho \"${{0##*/}} $*\" >>/run/calls\n{text}");
    durable::write(Path::new(&path), 0o755, text.as_bytes()).unwrap();
}

fn calls() -> String {
    let calls = said("cat /run/calls");
    said("rm /run/calls");
    calls
}

#[test]
fn file_systems_last_and_are_taken_as_they_are() {
    if !in_booted_machine("live::disks::file_systems_last_and_are_taken_as_they_are") {
        return;
    }
    let live = Live::new();
    let disk = Loop::new("/var/tmp/xfs", 320);
    let wanted =
        json!({ "devices": [disk.0], "mountpoint": "/srv/scratch/", "type": "xfs", "options": ["noatime"] });
    live.law_of_changes(&mount("scratch", wanted));
    assert_eq!(said("findmnt -no FSTYPE /srv/scratch"), "xfs");
    said("echo kept >/srv/scratch/file");

    // The table alone brings it back, as it does at boot.
    said("umount /srv/scratch && mount -a");
    assert_eq!(said("cat /srv/scratch/file"), "kept");
    assert!(said("findmnt -no OPTIONS /srv/scratch").contains("noatime"));

    // Who names no kind of file system gets what is there.
    said("umount /srv/scratch && sed -i /scratch/d /etc/fstab");
    let any = json!({ "devices": [disk.0], "mountpoint": "/srv/any" });
    let (_, report) = live.law_of_changes(&mount("any", any));
    assert!(
        !report.changes.iter().any(|change| change.starts_with("make ")),
        "{report:?}"
    );
    assert_eq!(said("cat /srv/any/file"), "kept");
    assert!(said("cat /etc/fstab").contains(" /srv/any xfs defaults,nofail 0 0"));
}

#[test]
fn what_somebody_uses_is_refused() {
    if !in_booted_machine("live::disks::what_somebody_uses_is_refused") {
        return;
    }
    let live = Live::new();
    let refused =
        |name: &str, configuration: Value| live.run(&mount(name, configuration)).unwrap_err().to_string();
    let disk = Loop::new("/var/tmp/disk", 32);
    said(&format!("mkfs.ext4 -q {0} && mount {0} /mnt", disk.0));
    let table = said("cat /etc/fstab; findmnt -rno TARGET");
    let error = refused("data", json!({ "devices": [disk.0], "mountpoint": "/srv/data" }));
    assert_eq!(
        error,
        format!(
            "cyclecloud_mount[data] action mount: the device `{}` is in use: it is mounted at `/mnt`; it is left as it is",
            disk.0
        )
    );
    // Another disk does not go above it.
    let other = Loop::new("/var/tmp/other", 32);
    said(&format!("mkfs.ext4 -q {}", other.0));
    let error = refused("data", json!({ "devices": [other.0], "mountpoint": "/mnt" }));
    assert!(
        error.ends_with(&format!(
            "`{}` is mounted at `/mnt` already: it is left as it is",
            disk.0
        )),
        "{error}"
    );
    let error = refused("ram", json!({ "type": "tmpfs", "mountpoint": "/mnt" }));
    assert!(error.contains("is mounted at `/mnt` already"), "{error}");
    // Swap is a use as well, and so is being named twice.
    let swap = Loop::new("/var/tmp/swap", 32);
    said(&format!("mkswap -q {0}", swap.0));
    let error = refused("data", json!({ "devices": [swap.0], "mountpoint": "/srv/data" }));
    assert!(error.contains("holds swap already"), "{error}");
    let error = refused(
        "data",
        json!({ "devices": [swap.0, other.0], "mountpoint": "/srv/data" }),
    );
    assert!(error.contains("mdadm") || error.contains("holds"), "{error}");
    let error = refused(
        "data",
        json!({ "devices": [other.0, other.0], "mountpoint": "/srv/data" }),
    );
    assert!(error.contains("is named twice"), "{error}");
    let error = refused("data", json!({ "devices": [other.0, swap.0], "raid_level": 5 }));
    assert!(error.contains("RAID 5 needs at least 3 disks, not 2"), "{error}");
    let error = refused("ephemeral", json!({ "mountpoint": "/srv/data" }));
    assert!(error.contains("no local disks"), "{error}");
    assert_eq!(
        said("cat /etc/fstab; findmnt -rno TARGET"),
        table,
        "nothing was changed"
    );
    said("umount /mnt");
}

/// The first 256 bytes of what mdadm leaves on a member of an array: a superblock of version 1.2.
fn superblock() -> Vec<u8> {
    let mut block = vec![0_u8; 256];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &0xa92b_4efc_u32.to_le_bytes());
    put(4, &1_u32.to_le_bytes());
    put(16, &[7; 16]);
    put(92, &2_u32.to_le_bytes());
    put(144, &8_u64.to_le_bytes());
    let words = block
        .chunks(4)
        .map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap())));
    let sum: u64 = words.sum();
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    block[216..220].copy_from_slice(&u32::try_from(sum & 0xffff_ffff).unwrap().to_le_bytes());
    block
}

#[test]
fn arrays_are_made_once_and_known_at_boot() {
    if !in_booted_machine("live::disks::arrays_are_made_once_and_known_at_boot") {
        return;
    }
    let live = Live::new();
    let disks = ["a", "b", "c"].map(|name| Loop::new(&format!("/var/tmp/{name}"), 8));
    let array = Loop::new("/var/tmp/array", 32);
    durable::write(Path::new("/run/superblock"), 0o644, &superblock()).unwrap();
    program(
        "mdadm",
        &format!(
            "case $1 in
             --create)
                 echo \"$*\" | tr ' ' '\\n' | grep ^/dev/loop >/run/members
                 for disk in $(cat /run/members); do dd if=/run/superblock of=$disk bs=4096 seek=1 conv=notrunc status=none; done
                 mkdir -p /dev/md; ln -sfn {0} $2 ;;
             --assemble) ln -sfn {0} $2 ;;
             --detail)
                 case $2 in
                 --export) n=0; for disk in $(cat /run/members); do echo MD_DEVICE_dev_x$n\\_DEV=$disk; done ;;
                 --brief) echo \"ARRAY $3 metadata=1.2 name=any:data UUID=07070707:07070707:07070707:07070707\" ;;
                 esac ;;
             esac",
            array.0
        ),
    );
    said("mkdir -p /etc/mdadm && echo 'HOMEHOST <system>' >/etc/mdadm/mdadm.conf");
    let names: Vec<_> = disks.iter().map(|disk| disk.0.clone()).collect();
    let section = json!({ "devices": names, "mountpoint": "/srv/data", "raid_level": 5, "raid_device_symlink": "/dev/fast" });
    let (_, report) = live.law_of_changes(&mount("data", section.clone()));
    let list = names.join(" and ");
    assert_eq!(
        report.changes[0],
        format!("make the array /dev/md/data of {list} (RAID 5)")
    );
    assert!(calls().starts_with(&format!(
        "mdadm --create /dev/md/data --run --metadata=1.2 --homehost=any --level=5 --raid-devices=3 {}\n",
        names.join(" ")
    )));
    assert_eq!(
        said("cat /etc/mdadm/mdadm.conf"),
        "HOMEHOST <system>\nARRAY /dev/md/data metadata=1.2 name=any:data UUID=07070707:07070707:07070707:07070707"
    );
    assert_eq!(said("readlink -f /dev/fast"), array.0);
    assert_eq!(said("findmnt -no SOURCE /srv/data"), array.0);
    said("echo kept >/srv/data/file; umount /srv/data; rm /dev/md/data");

    // An array that does not run is put together and not made again.
    let report = live.run(&mount("data", section)).unwrap();
    assert_eq!(
        report.changes[0],
        format!("assemble the array /dev/md/data of {list}")
    );
    assert_eq!(said("cat /srv/data/file"), "kept");
    assert!(!calls().contains("--create"));

    // An array of others, half an array, and a disk with data.
    let error = live
        .run(&mount(
            "data",
            json!({ "devices": names[..2], "mountpoint": "/srv/data" }),
        ))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("is also made of `{}`", names[2])),
        "{error}"
    );
    let empty = Loop::new("/var/tmp/empty", 8);
    let error = live
        .run(&mount("x", json!({ "devices": [names[0], empty.0] })))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("1 of 2 disks are parts of an array already"),
        "{error}"
    );
    said(&format!("mkfs.ext4 -q {}", empty.0));
    let error = live
        .run(&mount("x", json!({ "devices": [names[0], empty.0] })))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("`{}` holds ext4 already: it is left as it is", empty.0)),
        "{error}"
    );
    assert!(!calls().contains("--create"));
    said("umount /srv/data");
}

/// What pvcreate leaves in the second sector of a disk.
fn label() -> Vec<u8> {
    let mut label = vec![0_u8; 512];
    label[..8].copy_from_slice(b"LABELONE");
    label[8..16].copy_from_slice(&1_u64.to_le_bytes());
    label[20..24].copy_from_slice(&32_u32.to_le_bytes());
    label[24..32].copy_from_slice(b"LVM2 001");
    label[32..64].copy_from_slice(&[b'x'; 32]);
    let mut sum = 0xf597_a6cf_u32;
    for byte in &label[20..] {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
        }
    }
    label[16..20].copy_from_slice(&sum.to_le_bytes());
    label
}

#[test]
fn volumes_are_made_once_over_their_disks() {
    if !in_booted_machine("live::disks::volumes_are_made_once_over_their_disks") {
        return;
    }
    let live = Live::new();
    let disks = ["a", "b"].map(|name| Loop::new(&format!("/var/tmp/{name}"), 8));
    let volume = Loop::new("/var/tmp/volume", 32);
    durable::write(Path::new("/run/label"), 0o644, &label()).unwrap();
    said("mkdir /run/groups");
    program(
        "pvcreate",
        "dd if=/run/label of=$2 bs=512 seek=1 conv=notrunc status=none",
    );
    program("pvs", "cat /run/groups/* 2>/dev/null || true");
    program("vgs", "[ -e /run/groups/$1 ]");
    program("vgcreate", "echo \"  $1\" >/run/groups/$1");
    program("lvs", "[ -e /dev/$1 ]");
    program(
        "lvcreate",
        &format!(
            "for group; do :; done; mkdir -p /dev/$group; ln -s {} /dev/$group/$3",
            volume.0
        ),
    );
    let names: Vec<_> = disks.iter().map(|disk| disk.0.clone()).collect();
    let section = json!({ "devices": names, "mountpoint": "/srv/data", "vg_name": "fast", "lv_name": "lv0", "raid_level": 1 });
    let (_, report) = live.law_of_changes(&mount("data", section.clone()));
    assert_eq!(
        report.changes[..5],
        [
            format!("make a physical volume of {}", names[0]),
            format!("make a physical volume of {}", names[1]),
            "make the volume group fast".to_owned(),
            "make the volume fast/lv0".to_owned(),
            "make ext4 on /dev/fast/lv0".to_owned(),
        ]
    );
    let calls = calls();
    assert!(
        calls.contains(&format!("\nvgcreate fast {}\n", names.join(" "))),
        "{calls}"
    );
    let made = "\nlvcreate --yes --name lv0 --type raid1 --mirrors 1 --extents 100%FREE fast\n";
    assert!(calls.contains(made), "{calls}");
    assert_eq!(said("findmnt -no SOURCE /srv/data"), volume.0);
    // A disk that came later, and one of another group.
    let more = Loop::new("/var/tmp/more", 8);
    let section =
        |group: &str| json!({ "devices": [more.0, names[0]], "vg_name": group, "mountpoint": "/srv/x" });
    let error = live.run(&mount("x", section("fast"))).unwrap_err().to_string();
    assert!(
        error.contains(&format!("is there already, without `{}`", more.0)),
        "{error}"
    );
    let section = json!({ "devices": names, "vg_name": "slow", "mountpoint": "/srv/x" });
    let error = live.run(&mount("x", section)).unwrap_err().to_string();
    assert!(error.contains("is of fast, not of `slow`"), "{error}");
    said("umount /srv/data");
}

#[test]
fn exports_and_what_others_mount_of_them() {
    if !in_booted_machine("live::disks::exports_and_what_others_mount_of_them") {
        return;
    }
    let live = Live::new();
    program("exportfs", "");
    // What it mounts is named as the real one names it.
    program("mount.nfs", "exec mount -t tmpfs \"$1\" \"$2\"");
    said(
        "ln -s /usr/local/sbin/mount.nfs /sbin/mount.nfs; \
         printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=true\\n[Install]\\nWantedBy=multi-user.target\\n' \
         >/etc/systemd/system/nfs-kernel-server.service; systemctl daemon-reload",
    );
    let export = |configuration: Value| {
        Request::new("cyclecloud_export", "shared").with("configuration", configuration)
    };
    let section = json!({ "type": "nfs", "export_path": "/srv/exports/shared", "owner": "nobody", "mode": "1777", "network": "10.0.0.0/8" });
    live.law(&export(section.clone()));
    assert_eq!(
        said("cat /etc/exports.d/cyclecloud-shared.exports"),
        "/srv/exports/shared 10.0.0.0/8(rw,sync,no_root_squash)"
    );
    assert_eq!(said("stat -c '%U %a' /srv/exports/shared"), "nobody 1777");
    assert_eq!(calls(), "exportfs -r");
    assert_eq!(
        said("systemctl is-enabled nfs-kernel-server; systemctl is-active nfs-kernel-server"),
        "enabled\nactive"
    );

    let client = mount(
        "shared",
        json!({ "type": "nfs", "mountpoint": "/srv/shared", "export_path": "/srv/exports/shared", "options": "hard" }),
    );
    live.law(&client.with("address", "10.0.0.4"));
    // mount(8) has an order of its own for the options.
    let called = calls();
    assert!(
        called.starts_with("mount.nfs 10.0.0.4:/srv/exports/shared /srv/shared -o rw,")
            && called.contains(",hard"),
        "{called}"
    );
    assert!(
        said("cat /etc/fstab")
            .contains("10.0.0.4:/srv/exports/shared /srv/shared nfs defaults,nofail,_netdev,hard 0 0")
    );
    said("umount /srv/shared && mount -a");
    assert_eq!(
        said("findmnt -no SOURCE /srv/shared"),
        "10.0.0.4:/srv/exports/shared"
    );

    // Who exports nothing any more says so to the server as well.
    let mut off = section;
    off["disabled"] = true.into();
    said("rm -f /run/calls");
    live.law(&export(off));
    assert_eq!(calls(), "exportfs -r");
    assert!(!Path::new("/etc/exports.d/cyclecloud-shared.exports").exists());
    said("umount /srv/shared");
}
