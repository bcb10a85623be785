//! `etc`, `current_user`: the accounts of the machine itself. Formats: passwd(5), group(5).
//!
//! Ohai 16 does not report them unless it is told to, for a directory service may know ten thousands. Files do not, and
//! recipes read them: here they come by default.

use nix::unistd::geteuid;
use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["etc", "current_user"],
    on_demand: false,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let (Some(passwd), Some(group)) = (machine.read("/etc/passwd"), machine.read("/etc/group")) else {
        return;
    };
    let mut users = Map::new();
    for user in passwd.lines().filter_map(user) {
        if machine.is_live() && user.uid == geteuid().as_raw() && !facts.contains_key("current_user") {
            facts.insert("current_user".to_owned(), user.name.into());
        }
        // The first line of a name is the one that counts.
        users.entry(user.name).or_insert_with(|| {
            json!({
                "dir": user.home,
                "gid": user.gid,
                "uid": user.uid,
                "shell": user.shell,
                "gecos": user.gecos,
            })
        });
    }
    let groups: Map<String, Value> = group
        .lines()
        .filter_map(group_of)
        .map(|(name, gid, members)| (name.to_owned(), json!({"gid": gid, "members": members})))
        .collect();
    facts.insert("etc".to_owned(), json!({"passwd": users, "group": groups}));
}

/// The name of the group that `root` is in.
pub(super) fn root_group(machine: &Machine) -> Option<String> {
    let passwd = machine.read("/etc/passwd")?;
    let root = passwd
        .lines()
        .filter_map(user)
        .find(|user| user.name == "root")?
        .gid;
    let groups = machine.read("/etc/group")?;
    groups
        .lines()
        .filter_map(group_of)
        .find(|(_, gid, _)| *gid == root)
        .map(|(name, ..)| name.to_owned())
}

#[derive(Debug, PartialEq, Eq)]
struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    gecos: &'a str,
    home: &'a str,
    shell: &'a str,
}

/// `NAME:PASSWORD:UID:GID:GECOS:HOME:SHELL`
fn user(line: &str) -> Option<User<'_>> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, gecos, home, shell] = fields.as_slice() else {
        return None;
    };
    Some(User {
        name,
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        gecos,
        home,
        shell,
    })
}

/// `NAME:PASSWORD:GID:MEMBER,MEMBER`
fn group_of(line: &str) -> Option<(&str, u32, Vec<&str>)> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields.as_slice() else {
        return None;
    };
    let members = members.split(',').filter(|member| !member.is_empty()).collect();
    Some((name, gid.parse().ok()?, members))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn accounts_and_groups() {
        let (_root, machine) = machine(&[
            (
                "/etc/passwd",
                "root:x:0:7:root:/root:/bin/bash\n+::::::\nroot:x:1:1:again:/:/\nhpc:x:20001:20001:A B,,,:/shared/hpc:/bin/zsh\n",
            ),
            ("/etc/group", "wheel:x:7:root,hpc\n+:::\nempty:x:9:\n"),
        ]);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        assert_eq!(
            Value::from(facts),
            json!({"etc": {
                "passwd": {
                    "root": {"dir": "/root", "gid": 7, "uid": 0, "shell": "/bin/bash", "gecos": "root"},
                    "hpc": {"dir": "/shared/hpc", "gid": 20001, "uid": 20001, "shell": "/bin/zsh", "gecos": "A B,,,"},
                },
                "group": {
                    "wheel": {"gid": 7, "members": ["root", "hpc"]},
                    "empty": {"gid": 9, "members": []},
                },
            }})
        );
        assert_eq!(root_group(&machine).as_deref(), Some("wheel"));
    }
}
