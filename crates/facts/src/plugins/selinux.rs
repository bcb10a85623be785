//! `selinux`: whether the kernel labels and what it enforces, as `sestatus` prints it.

use serde_json::{Map, Value, json};

use super::Plugin;
use super::os_release::entries;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["selinux"],
    on_demand: false,
    collect,
};

const KERNEL: &str = "/sys/fs/selinux";
const CONFIG: &str = "/etc/selinux/config";

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    if !machine.has_program("sestatus") {
        return;
    }
    let (mut status, mut booleans, mut processes) = (Map::new(), Map::new(), Map::new());
    let flag = |file: &str| machine.read_value(&format!("{KERNEL}/{file}"));
    if let Some(enforce) = flag("enforce") {
        let config = machine.read(CONFIG).unwrap_or_default();
        let find = |key: &str| {
            entries(&config)
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value)
        };
        let is = |file: &str, value: &str, yes: &str, no: &str| {
            flag(file).map(|text| (if text == value { yes } else { no }).to_owned())
        };
        let fields = [
            ("selinux_status", Some("enabled".to_owned())),
            ("selinuxfs_mount", Some(KERNEL.to_owned())),
            ("selinux_root_directory", Some("/etc/selinux".to_owned())),
            ("loaded_policy_name", find("SELINUXTYPE")),
            (
                "current_mode",
                Some((if enforce == "1" { "enforcing" } else { "permissive" }).to_owned()),
            ),
            ("mode_from_config_file", find("SELINUX")),
            ("policy_mls_status", is("mls", "1", "enabled", "disabled")),
            (
                "policy_deny_unknown_status",
                is("deny_unknown", "0", "allowed", "denied"),
            ),
            (
                "memory_protection_checking",
                is("checkreqprot", "0", "actual (secure)", "requested (insecure)"),
            ),
            ("max_kernel_policy_version", flag("policyvers")),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                status.insert(name.to_owned(), value.into());
            }
        }
        for name in machine.list(&format!("{KERNEL}/booleans")) {
            // What is and what will be after the next commit.
            let state = flag(&format!("booleans/{name}")).unwrap_or_default();
            let on = state.starts_with('1');
            booleans.insert(name, (if on { "on" } else { "off" }).into());
        }
        for (name, path) in [
            ("current_context", "/proc/self/attr/current"),
            ("init_context", "/proc/1/attr/current"),
        ] {
            if let Some(context) = machine.read(path) {
                processes.insert(name.to_owned(), context.trim_end_matches(['\0', '\n']).into());
            }
        }
    } else {
        status.insert("selinux_status".to_owned(), "disabled".into());
    }
    facts.insert(
        "selinux".to_owned(),
        json!({
            "status": status,
            "policy_booleans": booleans,
            "process_contexts": processes,
            "file_contexts": {},
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    fn selinux(files: &[(&str, &str)]) -> Option<Value> {
        let (_root, machine) = machine(files);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        facts.remove("selinux")
    }

    #[test]
    fn an_enforcing_machine() {
        let facts = selinux(&[
            ("/usr/sbin/sestatus", ""),
            (
                "/etc/selinux/config",
                "# file\nSELINUX=permissive\nSELINUXTYPE=targeted\n",
            ),
            ("/sys/fs/selinux/enforce", "1"),
            ("/sys/fs/selinux/mls", "1"),
            ("/sys/fs/selinux/deny_unknown", "0"),
            ("/sys/fs/selinux/checkreqprot", "0"),
            ("/sys/fs/selinux/policyvers", "33"),
            ("/sys/fs/selinux/booleans/use_nfs_home_dirs", "1 1"),
            ("/sys/fs/selinux/booleans/use_samba_home_dirs", "0 1"),
            ("/proc/1/attr/current", "system_u:system_r:init_t:s0\0"),
        ])
        .unwrap();
        assert_eq!(facts["status"]["current_mode"], "enforcing");
        assert_eq!(facts["status"]["mode_from_config_file"], "permissive");
        assert_eq!(facts["status"]["memory_protection_checking"], "actual (secure)");
        assert_eq!(
            facts["policy_booleans"],
            json!({"use_nfs_home_dirs": "on", "use_samba_home_dirs": "off"})
        );
        assert_eq!(
            facts["process_contexts"],
            json!({"init_context": "system_u:system_r:init_t:s0"})
        );
    }

    #[test]
    fn off_and_not_there() {
        let facts = selinux(&[("/usr/sbin/sestatus", "")]).unwrap();
        assert_eq!(facts["status"], json!({"selinux_status": "disabled"}));
        assert_eq!(selinux(&[]), None);
    }
}
