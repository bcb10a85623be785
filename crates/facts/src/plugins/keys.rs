//! `keys`: the public keys by which ssh knows the machine. Format: sshd_config(5), sshd(8).

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["keys"],
    on_demand: false,
    collect,
};

/// The kinds for which sshd has a key without being told.
const KINDS: [&str; 4] = ["dsa", "rsa", "ecdsa", "ed25519"];

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let mut ssh = Map::new();
    let config = machine.read("/etc/ssh/sshd_config").unwrap_or_default();
    for path in config.lines().filter_map(host_key) {
        if let Some(text) = machine.read(&format!("{path}.pub")) {
            add(&mut ssh, &text);
        }
    }
    for kind in KINDS {
        if ssh.contains_key(&format!("host_{kind}_public")) {
            continue;
        }
        if let Some(text) = machine.read(&format!("/etc/ssh/ssh_host_{kind}_key.pub")) {
            add(&mut ssh, &text);
        }
    }
    facts.insert("keys".to_owned(), json!({"ssh": ssh}));
}

/// The path of a line `HostKey PATH`.
fn host_key(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let key = words.next().filter(|word| line.starts_with(word))?;
    words.next().filter(|_| key.eq_ignore_ascii_case("hostkey"))
}

/// `TYPE KEY COMMENT`
fn add(ssh: &mut Map<String, Value>, text: &str) {
    let mut words = text.split_whitespace();
    let (Some(kind), Some(key)) = (words.next(), words.next()) else {
        return;
    };
    let name = match kind {
        "ssh-dss" => "dsa",
        "ssh-rsa" => "rsa",
        "ssh-ed25519" => "ed25519",
        _ if kind.starts_with("ecdsa") => "ecdsa",
        _ => return,
    };
    ssh.insert(format!("host_{name}_public"), key.into());
    if name == "ecdsa" {
        ssh.insert("host_ecdsa_type".to_owned(), kind.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn keys_of_the_configuration_come_before_those_of_the_usual_places() {
        let (_root, machine) = machine(&[
            (
                "/etc/ssh/sshd_config",
                "#HostKey /etc/ssh/no\nhostkey /srv/key\nHostKey /absent\nPort 22\n",
            ),
            ("/srv/key.pub", "ssh-rsa AAAAsrv root@n\n"),
            ("/etc/ssh/no.pub", "ssh-dss AAAAno x\n"),
            ("/etc/ssh/ssh_host_rsa_key.pub", "ssh-rsa AAAAusual x\n"),
            ("/etc/ssh/ssh_host_ecdsa_key.pub", "ecdsa-sha2-nistp256 AAAAe x\n"),
        ]);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        assert_eq!(
            facts["keys"],
            json!({"ssh": {
                "host_rsa_public": "AAAAsrv",
                "host_ecdsa_public": "AAAAe",
                "host_ecdsa_type": "ecdsa-sha2-nistp256",
            }})
        );
    }
}
