//! `sessions`: who is logged in, from the files of systemd-logind.

use serde_json::{Map, Value, json};

use super::Plugin;
use super::os_release::entries;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["sessions"],
    on_demand: false,
    collect,
};

const SESSIONS: &str = "/run/systemd/sessions";

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    if !machine.has_program("loginctl") {
        return;
    }
    let mut by_session = Map::new();
    let mut by_user: Map<String, Value> = Map::new();
    for session in machine.list(SESSIONS) {
        let Some(text) = machine.read(&format!("{SESSIONS}/{session}")) else {
            continue;
        };
        let find = |key: &str| {
            entries(&text)
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value)
        };
        let (Some(uid), Some(user)) = (find("UID"), find("USER")) else {
            continue;
        };
        let entry = json!({"session": session, "uid": uid, "user": user, "seat": find("SEAT")});
        if let Some(list) = by_user.entry(user).or_insert_with(|| json!([])).as_array_mut() {
            list.push(entry.clone());
        }
        by_session.insert(session, entry);
    }
    facts.insert(
        "sessions".to_owned(),
        json!({"by_session": by_session, "by_user": by_user}),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn two_sessions_of_one_user() {
        let (_root, machine) = machine(&[
            ("/usr/bin/loginctl", ""),
            (
                "/run/systemd/sessions/1",
                "# private\nUID=1000\nUSER=hpc\nACTIVE=1\nSEAT=seat0\n",
            ),
            ("/run/systemd/sessions/c2", "UID=1000\nUSER=hpc\n"),
            ("/run/systemd/sessions/c2.ref", ""),
        ]);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        let first = json!({"session": "1", "uid": "1000", "user": "hpc", "seat": "seat0"});
        let second = json!({"session": "c2", "uid": "1000", "user": "hpc", "seat": null});
        assert_eq!(
            facts["sessions"],
            json!({"by_session": {"1": first, "c2": second}, "by_user": {"hpc": [first, second]}})
        );
    }
}
