//! The machine as a whole, as far as files go.

use std::fs;
use std::os::unix::fs::symlink;

use converge::resource::Request;
use serde_json::json;

use crate::law::Scratch;

#[test]
fn a_name_stands_in_hostname_and_hosts() {
    let scratch = Scratch::new();
    scratch.write("/etc/hosts", "127.0.0.1 localhost\n10.0.0.9 other\n");
    let request = Request::new("hostname", "node-7.example.com").with("aliases", json!(["n7"]));
    scratch.law(&request);
    assert_eq!(scratch.read("/etc/hostname"), "node-7.example.com\n");
    assert_eq!(
        scratch.read("/etc/hosts"),
        "127.0.0.1 localhost\n10.0.0.9 other\n127.0.1.1 node-7.example.com node-7 n7\n"
    );
    scratch.law(&Request::new("hostname", "node-8").with("ipaddress", "10.0.0.9"));
    assert!(scratch.read("/etc/hosts").contains("\n10.0.0.9 node-8\n"));
    let error = scratch
        .run(&Request::new("hostname", "no_good-.-name"))
        .unwrap_err();
    assert_eq!(error.property.as_deref(), Some("hostname"), "{error}");
}

#[test]
fn a_time_zone_is_a_link() {
    let scratch = Scratch::new();
    for zone in ["Europe/Berlin", "UTC"] {
        scratch.write(&format!("/usr/share/zoneinfo/{zone}"), "TZif");
    }
    scratch.law(&Request::new("timezone", "Europe/Berlin"));
    let to = fs::read_link(scratch.path("/etc/localtime")).unwrap();
    assert_eq!(to.to_str(), Some("/usr/share/zoneinfo/Europe/Berlin"));
    assert_eq!(scratch.read("/etc/timezone"), "Europe/Berlin\n");
    scratch.law(&Request::new("timezone", "UTC"));
    for zone in ["Nowhere", "../../etc/passwd"] {
        let error = scratch.run(&Request::new("timezone", zone)).unwrap_err();
        assert_eq!(error.property.as_deref(), Some("timezone"), "{error}");
    }
}

#[test]
fn a_locale_is_a_file() {
    let scratch = Scratch::new();
    let request = Request::new("locale", "x").with("lang", "en_US.UTF-8");
    let request = request.with("lc_env", json!({ "LC_TIME": "de_DE.UTF-8" }));
    fs::create_dir_all(scratch.path("/etc/default")).unwrap();
    scratch.law(&request);
    assert_eq!(
        scratch.read("/etc/default/locale"),
        "LANG=en_US.UTF-8\nLC_TIME=de_DE.UTF-8\n"
    );
    scratch.write("/etc/default/locale", "LC_TIME=\"de_DE.utf8\"\nLANG=en_US.utf8\n");
    assert!(!scratch.run(&request).unwrap().updated, "it means the same");
    let bad = Request::new("locale", "x").with("lc_env", json!({ "PATH": "x" }));
    assert_eq!(scratch.run(&bad).unwrap_err().property.as_deref(), Some("lc_env"));
}

#[test]
fn a_setting_of_the_kernel_is_a_file() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("/etc/sysctl.d")).unwrap();
    for kind in ["sysctl", "sysctl_param"] {
        let key = format!("net.core.{kind}");
        let request = Request::new(kind, key.as_str())
            .with("value", json!([4096, "87380"]))
            .with("comment", "for big\nmessages");
        scratch.law(&request);
        let path = format!("/etc/sysctl.d/99-chef-{key}.conf");
        assert_eq!(
            scratch.read(&path),
            format!("# for big\n# messages\n{key} = 4096 87380\n")
        );
        scratch.law(&Request::new(kind, key).action("remove"));
    }
    let error = scratch
        .run(&Request::new("sysctl", "../x").with("value", 1))
        .unwrap_err();
    assert_eq!(error.property.as_deref(), Some("key"), "{error}");
    let error = scratch.run(&Request::new("sysctl", "vm.swappiness")).unwrap_err();
    assert_eq!(error.property.as_deref(), Some("value"), "{error}");
}

#[test]
fn modules_of_the_kernel_are_files() {
    let scratch = Scratch::new();
    for folder in ["/etc/modules-load.d", "/etc/modprobe.d"] {
        fs::create_dir_all(scratch.path(folder)).unwrap();
    }
    let module = |action: &str| Request::new("kernel_module", "dummy").action(action);
    scratch.law(&module("install").with("options", json!(["numdummies=2"])));
    assert_eq!(scratch.read("/etc/modules-load.d/dummy.conf"), "dummy\n");
    assert_eq!(
        scratch.read("/etc/modprobe.d/options_dummy.conf"),
        "options dummy numdummies=2\n"
    );
    scratch.law(&module("blacklist"));
    assert_eq!(
        scratch.read("/etc/modprobe.d/blacklist_dummy.conf"),
        "blacklist dummy\n"
    );
    scratch.law(&module("disable"));
    scratch.law(&module("uninstall"));
    assert!(!scratch.path("/etc/modules-load.d/dummy.conf").exists());
    assert!(scratch.run(&Request::new("kernel_module", "a/b")).is_err());
}

#[test]
fn the_state_of_selinux_is_a_line() {
    let scratch = Scratch::new();
    let state = |action: &str| Request::new("selinux_state", "x").action(action);
    assert!(!scratch.run(&state("disabled")).unwrap().updated);
    assert_eq!(
        scratch.run(&state("enforcing")).unwrap_err().cause.exception(),
        "Chef::Exceptions::UnsupportedPlatform"
    );
    scratch.write(
        "/etc/selinux/config",
        "# x\nSELINUX=enforcing\nSELINUXTYPE=targeted\n",
    );
    scratch.law(&state("permissive").with("policy", "minimum"));
    assert_eq!(
        scratch.read("/etc/selinux/config"),
        "# x\nSELINUX=permissive\nSELINUXTYPE=minimum\n"
    );
}

#[test]
fn mounts_stand_in_fstab() {
    let scratch = Scratch::new();
    scratch.write(
        "/etc/fstab",
        "# mine\nUUID=1 / ext4 defaults 0 1\nold:/x /shared nfs ro 0 0\n",
    );
    let mount = |action: &str| {
        Request::new("mount", "/shared")
            .action(action)
            .with("device", "server:/shared")
            .with("fstype", "nfs")
            .with("options", json!(["rw", "hard"]))
            .with("pass", 0)
    };
    scratch.law(&mount("enable"));
    assert_eq!(
        scratch.read("/etc/fstab"),
        "# mine\nUUID=1 / ext4 defaults 0 1\nserver:/shared /shared nfs rw,hard 0 0\n"
    );
    scratch.write("/etc/fstab", "server:/shared /shared nfs defaults,hard,rw 0 0\n");
    assert!(
        !scratch.run(&mount("enable")).unwrap().updated,
        "it means the same"
    );
    let label = Request::new("mount", "/my disk/")
        .action("enable")
        .with("device", "data");
    scratch.law(&label.with("device_type", "label"));
    assert!(
        scratch
            .read("/etc/fstab")
            .ends_with("LABEL=data /my\\040disk auto defaults 0 2\n")
    );
    scratch.law(&mount("disable"));
    assert_eq!(
        scratch.read("/etc/fstab"),
        "LABEL=data /my\\040disk auto defaults 0 2\n"
    );
    let bad = mount("enable").with("options", "a b");
    assert_eq!(
        scratch.run(&bad).unwrap_err().property.as_deref(),
        Some("options")
    );
    assert_eq!(
        scratch
            .run(&mount("enable").with("pass", 12))
            .unwrap_err()
            .property
            .as_deref(),
        Some("pass")
    );
    let missing = Request::new("mount", "/x").action("enable");
    assert_eq!(
        scratch.run(&missing).unwrap_err().property.as_deref(),
        Some("device")
    );
}

#[test]
fn fstab_may_be_behind_a_link() {
    let scratch = Scratch::new();
    scratch.write("/etc/real", "");
    symlink("real", scratch.path("/etc/fstab")).unwrap();
    scratch.law(
        &Request::new("mount", "/x")
            .action("enable")
            .with("device", "tmpfs")
            .with("fstype", "tmpfs"),
    );
    assert!(scratch.read("/etc/real").starts_with("tmpfs /x tmpfs"));
    assert!(scratch.path("/etc/fstab").is_symlink());
}

#[test]
fn some_resources_only_tell() {
    let scratch = Scratch::new();
    let report = scratch.run(&Request::new("notify_group", "all")).unwrap();
    assert!(report.updated);
    let report = scratch
        .run(&Request::new("ohai", "x").with("plugin", "etc"))
        .unwrap();
    assert_eq!(report.result, json!({ "reload": true, "plugin": "etc" }));
    let reboot = Request::new("reboot", "now")
        .action("request_reboot")
        .with("delay_mins", 5);
    assert_eq!(
        scratch.run(&reboot).unwrap().result,
        json!({ "reboot": "request_reboot", "reason": "Reboot by Chef Infra Client", "delay_mins": 5 })
    );
    assert!(scratch.runner(true).run(&reboot).unwrap().result.is_null());
    assert!(
        !scratch.run(&Request::new("reboot", "now")).unwrap().updated,
        "it does nothing by default"
    );
    assert!(!scratch.run(&Request::new("breakpoint", "x")).unwrap().updated);
    let gem = scratch.run(&Request::new("chef_gem", "x")).unwrap();
    assert_eq!((gem.updated, gem.warnings.len()), (false, 1));
}

#[test]
fn what_needs_the_running_system_says_so() {
    let scratch = Scratch::new();
    for kind in [
        "package",
        "service",
        "user",
        "group",
        "cron",
        "swap_file",
        "route",
        "apt_update",
    ] {
        let action = match kind {
            "service" => "start",
            "cron" | "swap_file" => "create",
            "package" => "install",
            "apt_update" => "update",
            "route" => "add",
            _ => "create",
        };
        let mut request = Request::new(kind, "x").action(action);
        if kind == "cron" {
            request = request.with("command", "x");
        }
        if kind == "swap_file" {
            request = request.with("size", 1);
        }
        let error = scratch.run(&request).unwrap_err();
        assert!(error.to_string().contains("needs the running system"), "{error}");
    }
}

#[test]
fn exports_stand_in_files_of_their_own() {
    let scratch = Scratch::new();
    let export = |configuration: serde_json::Value| {
        Request::new("cyclecloud_export", "shared").with("configuration", configuration)
    };
    let section = json!({ "type": "nfs", "export_path": "/shared", "network": "10.0.0.0/8", "options": "no_wdelay", "mode": "0755" });
    scratch.law(&export(section));
    let file = "/etc/exports.d/cyclecloud-shared.exports";
    assert_eq!(
        scratch.read(file),
        "/shared 10.0.0.0/8(rw,sync,no_root_squash,no_wdelay)\n"
    );
    assert_eq!(scratch.mode("/shared"), 0o755);
    let section =
        json!({ "export_path": "/shared", "writable": "false", "sync": false, "options": ["root_squash"] });
    scratch.law(&export(section));
    assert_eq!(scratch.read(file), "/shared *(ro,async,root_squash)\n");
    scratch.law(&export(json!({ "disabled": true })));
    assert!(!scratch.path(file).exists());
    for section in [
        json!({}),
        json!({ "export_path": "x" }),
        json!({ "type": "samba", "export_path": "/x" }),
    ] {
        let error = scratch.run(&export(section)).unwrap_err();
        assert_eq!(error.property.as_deref(), Some("configuration"), "{error}");
    }
}
