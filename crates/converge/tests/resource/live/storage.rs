//! Mounts, disks, swap.

use std::path::Path;

use converge::resource::{Cause, Request};
use node::command::{Command, Stop};
use serde_json::json;
use testkit::in_booted_machine;

use super::{Live, request, said};

#[test]
fn mounts_and_kernel_settings() {
    if !in_booted_machine("live::storage::mounts_and_kernel_settings") {
        return;
    }
    let live = Live::new();
    let mount = |action: &str| {
        request("mount", "/srv/ram", action)
            .with("device", "tmpfs")
            .with("fstype", "tmpfs")
            .with("options", "size=1m,noexec")
            .with("pass", 0)
    };
    let cause = live.fails(&mount("mount"));
    assert!(matches!(cause, Cause::NoFolder(_)), "{cause}");
    live.law(&Request::new("directory", "/srv/ram"));
    let report = live.law(&mount("mount"));
    assert_eq!(report.changes, ["mount tmpfs to /srv/ram"]);
    assert!(said("findmnt -no OPTIONS /srv/ram").contains("noexec"));
    live.law(&mount("enable"));
    assert!(said("cat /etc/fstab").contains("tmpfs /srv/ram tmpfs size=1m,noexec 0 0"));
    assert_eq!(
        said("systemctl show -p FragmentPath --value srv-ram.mount"),
        "/run/systemd/generator/srv-ram.mount"
    );
    assert!(
        live.run(&mount("remount").with("options", "size=2m"))
            .unwrap()
            .updated
    );
    assert!(said("findmnt -no OPTIONS /srv/ram").contains("size=2048k"));
    live.law(&mount("umount"));
    live.law(&mount("disable"));
    live.nothing(&mount("unmount"));
    let missing = request("mount", "/srv/ram", "mount").with("device", "/dev/no-such-disk");
    let cause = live.fails(&missing);
    assert!(cause.to_string().contains("/dev/no-such-disk"), "{cause}");

    // Another folder, seen at a second place.
    live.law(&Request::new("directory", "/srv/again"));
    let bind = |action: &str| {
        request("mount", "/srv/again", action)
            .with("device", "/etc")
            .with("fstype", "none")
            .with("options", "bind")
    };
    live.law(&bind("mount"));
    assert!(Path::new("/srv/again/passwd").exists());
    live.law(&bind("umount"));

    let setting = |value: i64| Request::new("sysctl", "net.ipv4.ip_default_ttl").with("value", value);
    live.law(&setting(77));
    assert_eq!(said("cat /proc/sys/net/ipv4/ip_default_ttl"), "77");
    said("echo 64 >/proc/sys/net/ipv4/ip_default_ttl");
    let report = live.law(&setting(77));
    assert_eq!(report.changes, ["set net.ipv4.ip_default_ttl to 77"]);
    live.law(&Request::new("sysctl", "net.ipv4.ip_local_port_range").with("value", json!([20000, 60000])));
    let cause = live.fails(&Request::new("sysctl", "no.such.key").with("value", 1));
    assert_eq!(cause.exception(), "Errno::ENOENT");
    let ignored = Request::new("sysctl", "no.such.key")
        .with("value", 1)
        .with("ignore_error", true);
    assert_eq!(live.run(&ignored).unwrap().warnings.len(), 1);

    let route = |action: &str| request("route", "10.9.0.0/16", action).with("device", "lo");
    live.law(&route("add"));
    assert!(said("ip route").contains("10.9.0.0/16 dev lo"));
    live.law(&route("delete"));
    assert!(live.run(&request("route", "nowhere", "add")).is_err());
}

#[test]
fn files_to_swap_to() {
    if !in_booted_machine("live::storage::files_to_swap_to") {
        return;
    }
    let live = Live::new();
    // Where there can be one: not on what is above other file systems.
    let disk = Loop::new("/var/tmp/disk", 32);
    said(&format!("mkfs.ext4 -q {0} && mount {0} /srv", disk.0));
    let swap = |action: &str| request("swap_file", "/srv/swap file", action);
    let request = swap("create").with("size", 4).with("persist", true);
    live.law(&request);
    assert_eq!(said("stat -c '%a %s' '/srv/swap file'"), "600 4194304");
    assert!(said("cat /proc/swaps").contains("/srv/swap\\040file"));
    assert!(said("cat /etc/fstab").contains("/srv/swap\\040file swap swap defaults 0 0"));
    live.law(&swap("remove"));
    assert!(!Path::new("/srv/swap file").exists());
    assert!(!said("cat /etc/fstab").contains("swap"));
    let cause = live.fails(&swap("create").with("size", 0));
    assert!(cause.to_string().contains("above 0"), "{cause}");
}

/// A device on a file: the kernel has some that a container may use.
pub(super) struct Loop(pub(super) String);

impl Loop {
    pub(super) fn new(file: &str, megabytes: u32) -> Self {
        said(&format!(
            "truncate -s {megabytes}M {file}; [ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237; \
             for n in $(seq 0 31); do [ -e /dev/loop$n ] || mknod /dev/loop$n b 7 $n; done"
        ));
        Self(said(&format!("losetup --find --show {file}")))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let line = format!("umount -A {0}; losetup -d {0}", self.0);
        let command = Command::new("sh").inherit_environment().arg("-c").arg(line);
        let _ = command.run(&Stop::new());
    }
}

#[test]
fn mounts_of_a_configuration() {
    if !in_booted_machine("live::storage::mounts_of_a_configuration") {
        return;
    }
    let live = Live::new();
    let mount = |name: &str, configuration: serde_json::Value| {
        Request::new("cyclecloud_mount", name).with("configuration", configuration)
    };
    let ram = mount(
        "ram",
        json!({ "type": "tmpfs", "mountpoint": "/srv/ram", "size": "1m", "permissions": "1777" }),
    );
    live.law(&ram);
    assert!(said("findmnt -no FSTYPE,SIZE /srv/ram").starts_with("tmpfs"));
    assert_eq!(said("stat -c %a /srv/ram"), "1777");
    assert!(said("cat /etc/fstab").contains("tmpfs /srv/ram tmpfs defaults,nofail,size=1m 0 0"));
    live.law(&ram.clone().action("umount"));
    live.nothing(&mount("off", json!({ "type": "nfs", "disabled": "true" })));

    let disk = Loop::new("/var/tmp/disk", 32);
    let data = json!({ "devices": [disk.0], "mountpoint": "/srv/data", "fs_type": "ext4", "owner": "nobody", "options": "noatime" });
    let (_, report) = live.law_of_changes(&mount("data", data.clone()));
    assert!(
        report.changes.contains(&format!("make ext4 on {}", disk.0)),
        "{report:?}"
    );
    let uuid = said(&format!("blkid -p -o value -s UUID {}", disk.0));
    assert!(
        said("cat /etc/fstab").contains(&format!("UUID={uuid} /srv/data ext4 defaults,nofail,noatime 0 0"))
    );
    said("echo kept >/srv/data/file");
    assert_eq!(said("stat -c %U /srv/data"), "nobody");
    // After a boot it is mounted again and not made again.
    said("umount /srv/data");
    let report = live.run(&mount("data", data)).unwrap();
    assert_eq!(report.changes, [format!("mount UUID={uuid} to /srv/data")]);
    assert_eq!(said("cat /srv/data/file"), "kept");
    // What holds something else stays.
    said("umount /srv/data");
    let other = json!({ "devices": disk.0, "mountpoint": "/srv/other", "fs_type": "xfs" });
    let cause = live.fails(&mount("other", other));
    assert!(cause.to_string().contains("holds ext4 already"), "{cause}");
    said("mount /srv/data");
    assert_eq!(said("cat /srv/data/file"), "kept");
    let parts = Loop::new("/var/tmp/parts", 8);
    // One partition, as in a master boot record.
    said(&format!(
        "printf '\\000\\000\\000\\000\\203\\000\\000\\000\\001\\000\\000\\000\\000\\020\\000\\000' | \
         dd of={0} bs=1 seek=446 conv=notrunc status=none; \
         printf '\\125\\252' | dd of={0} bs=1 seek=510 conv=notrunc status=none",
        parts.0
    ));
    let cause = live.fails(&mount(
        "parts",
        json!({ "devices": [parts.0], "mountpoint": "/srv/parts" }),
    ));
    assert!(cause.to_string().contains("a table of partitions"), "{cause}");

    // What a server exports, as far as it can be told without one.
    let shared = mount(
        "shared",
        json!({ "type": "nfs", "mountpoint": "/shared", "export_path": "/mnt/exports" }),
    );
    let report = live
        .runner(true)
        .run(&shared.with("address", "10.0.0.4"))
        .unwrap();
    assert_eq!(
        report.changes.last().unwrap(),
        "mount 10.0.0.4:/mnt/exports to /shared"
    );
    let cause = live.fails(&mount("x", json!({ "luns": [7] })));
    assert!(cause.to_string().contains("no disk with the LUN 7"), "{cause}");
    let cause = live.fails(&mount("x", json!({ "type": "nfs", "export_path": "/x" })));
    assert!(cause.to_string().contains("no `address`"), "{cause}");
    let cause = live.fails(&mount("x", json!({ "devices": ["/etc/passwd"] })));
    assert!(cause.to_string().contains("no device `/etc/passwd`"), "{cause}");
    let cause = live.fails(&mount(
        "x",
        json!({ "devices": ["/dev/null"], "encryption": { "bits": 256 } }),
    ));
    assert_eq!(cause.exception(), "Chef::Exceptions::UnsupportedPlatform");
    let cause = live.fails(&mount(
        "x",
        json!({ "type": "lustre", "address": "10.0.0.4", "export_path": "tcp:/l" }),
    ));
    assert!(cause.to_string().contains("mount.lustre"), "{cause}");
}
