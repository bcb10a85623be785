//! What a fuzzer in `fuzz/` runs: what Ruby may send through its door. A test replays the seeds through the same function.

#![expect(
    clippy::expect_used,
    reason = "without its surroundings a fuzzer tests nothing"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use converge::resource::{Machine, Options, Platform};
use node::clock::SystemClock;
use node::command::Stop;
use node::home::Home;
use ruby::Door;
use serde_json::{Map, Value, json};

use crate::engine::Shared;
use crate::host::Host;
use crate::{Alone, ClientLog, CollectFacts, Limits, Plan, Summary, Surroundings};

/// Operations that change nothing outside of the run, whatever they are given.
const HARMLESS: [&str; 30] = [
    "access",
    "apply",
    "begin",
    "boot",
    "change",
    "cluster_nodes",
    "config",
    "dump_node",
    "end",
    "facts",
    "file",
    "getpgid",
    "group",
    "groups",
    "ids",
    "ignored",
    "log",
    "lstat",
    "nproc",
    "phase",
    "quiet",
    "retry",
    "skipped",
    "stat",
    "store_discoverable",
    "uname",
    "user",
    "users",
    "wait",
    "zone",
];

/// Kinds of resources that look at files only, so that no program of this machine is asked and nothing is downloaded.
const KINDS: [&str; 19] = [
    "add_to_list",
    "append_if_no_line",
    "archive_file",
    "cookbook_file",
    "cron_d",
    "delete_from_list",
    "delete_lines",
    "directory",
    "file",
    "filter_lines",
    "hostsfile_entry",
    "link",
    "log",
    "replace_or_add",
    "ssh_known_hosts_entry",
    "swap_file",
    "template",
    "user_ulimit",
    "yum_repository",
];

/// The machine that requests are about: a folder, the same for all.
static ROOT: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/hosts", "127.0.0.1 localhost\n"),
        ("etc/cron.d/job", "* * * * * root true\n"),
        ("srv/a", "one\ntwo\n"),
    ] {
        let path = folder.path().join(path);
        durable::create_folder(path.parent().unwrap_or(&path), 0o755).expect("a folder");
        durable::write_unflushed(&path, 0o644, text.as_bytes()).expect("a file");
    }
    folder
});

/// Sends requests, one a line, through a door to a machine that is a scratch folder: each gets an answer in the form that Ruby
/// reads, and a dry run changes nothing.
///
/// # Panics
/// When that does not hold.
pub fn door(bytes: &[u8]) {
    let root = ROOT.path();
    let before = listed(root);
    let mut host = host(root);
    for request in bytes.split(|byte| *byte == b'\n') {
        if !is_harmless(request) {
            continue;
        }
        let answer = host.call(request);
        let json = answer.split(|byte| *byte == 0).next().unwrap_or_default();
        let value: Value = serde_json::from_slice(json).expect("an answer in JSON");
        let keys: Vec<&str> = value
            .as_object()
            .into_iter()
            .flat_map(|object| object.keys().map(String::as_str))
            .collect();
        match keys[..] {
            ["r"] => {}
            ["e"] => assert!(
                value["e"][0].is_string() && value["e"][1].is_string(),
                "no exception: {value}"
            ),
            _ => panic_with(&value),
        }
    }
    drop(host);
    assert_eq!(listed(root), before, "a dry run changed something");
}

fn panic_with(value: &Value) {
    assert!(value.is_null(), "neither a value nor an exception: {value}");
}

/// Whether a request may be sent: what is no request may.
fn is_harmless(request: &[u8]) -> bool {
    let json = request.split(|byte| *byte == 0).next().unwrap_or_default();
    let Ok((operation, arguments)) = serde_json::from_slice::<(String, Value)>(json) else {
        return true;
    };
    let is_known = HARMLESS.contains(&operation.as_str());
    let kind = arguments[0].as_str();
    is_known && (operation != "apply" || kind.is_none_or(|kind| KINDS.contains(&kind)))
}

fn host(root: &Path) -> Host {
    let platform = Platform {
        name: "ubuntu".to_owned(),
        family: "debian".to_owned(),
        version: "22.04".to_owned(),
    };
    let surroundings = Surroundings {
        machine: Machine::at(root),
        options: Options::of(&Home::at(root.join("home")), platform),
        cluster: Arc::new(Alone::default()),
        facts: CollectFacts(Arc::new(Map::new)),
        reboots: false,
        stop: Stop::new(),
        limits: Limits::default(),
    };
    let plan = Plan {
        node_name: "node1".to_owned(),
        automatic: Map::from_iter([("platform".to_owned(), json!("ubuntu"))]),
        dry_run: true,
        ..Plan::default()
    };
    let log = ClientLog::new(std::io::sink(), Arc::new(SystemClock));
    let shared = Shared {
        observer: Mutex::new(Box::new((Summary::default(), log))),
        at: Mutex::new(None),
        reboot: Mutex::new(None),
    };
    Host::new(plan, surroundings, Arc::new(shared), Arc::new(Mutex::new(None)))
}

/// Everything below a folder, with its size.
fn listed(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut all = Vec::new();
    let mut next = vec![folder.to_owned()];
    while let Some(folder) = next.pop() {
        let entries = std::fs::read_dir(&folder).expect("a folder that can be read");
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            let is = std::fs::symlink_metadata(&path).expect("an entry");
            if is.is_dir() {
                next.push(path.clone());
            }
            all.push((path, if is.is_dir() { 0 } else { is.len() }));
        }
    }
    all.sort();
    all
}

/// Requests as the prelude sends them.
pub fn door_seeds() -> Vec<Vec<u8>> {
    let apply = |kind: &str, name: &str, action: &str, properties: Value| {
        let resource = format!("{kind}[{name}]");
        json!([
            "apply",
            [
                kind,
                name,
                action,
                properties,
                1,
                true,
                resource,
                "/c/recipes/default.rb:1",
                "c::default"
            ]
        ])
        .to_string()
        .into_bytes()
    };
    let mut content = apply(
        "file",
        "/srv/a",
        "create",
        json!({"mode": "0644", "owner": "root"}),
    );
    content.extend(b"\0three");
    let mut seeds = vec![
        content,
        apply("file", "/srv/../etc/hosts", "delete", json!({"backup": 2})),
        apply(
            "directory",
            "/srv/b/c",
            "create",
            json!({"recursive": true, "mode": 493}),
        ),
        apply("link", "/srv/l", "create", json!({"to": "/srv/a"})),
        apply(
            "template",
            "/srv/t",
            "create",
            json!({"sensitive": true, "content": "made"}),
        ),
        apply("cron_d", "job", "create", json!({"hour": "1", "command": "true"})),
        apply(
            "hostsfile_entry",
            "10.0.0.4",
            "create",
            json!({"hostname": "node1", "aliases": ["n1"]}),
        ),
        apply(
            "append_if_no_line",
            "a",
            "edit",
            json!({"path": "/srv/a", "line": "three"}),
        ),
        apply(
            "replace_or_add",
            "a",
            "edit",
            json!({"path": "/srv/a", "pattern": "^t.*$", "line": "2"}),
        ),
        apply(
            "delete_lines",
            "a",
            "edit",
            json!({"path": "/srv/a", "pattern": "one"}),
        ),
        apply(
            "add_to_list",
            "a",
            "edit",
            json!({"path": "/srv/a", "pattern": "one", "delim": [","], "entry": "x"}),
        ),
        apply(
            "yum_repository",
            "r",
            "create",
            json!({"baseurl": "http://h/r", "gpgcheck": false}),
        ),
        apply(
            "user_ulimit",
            "alice",
            "create",
            json!({"filehandle_limit": 8192}),
        ),
    ];
    for request in [
        json!(["stat", "/etc/passwd"]),
        json!(["access", ["/etc", 4]]),
        json!(["user", "root"]),
        json!(["group", 0]),
        json!(["zone", [null, 1_700_000_000, true]]),
        json!(["log", ["info", "a\nmessage"]]),
        json!(["begin", [1, "file[x]", "create", "x", "c::default"]]),
        json!(["change", [2, ["- a", "+ b"]]]),
        json!(["end", [1, "file[x]", "create", true, 0.5]]),
        json!(["skipped", [0, "file[x]", "create", "not_if", "c::default"]]),
        json!(["retry", [0, "file[x]", 1, 2, "it failed"]]),
        json!(["ignored", [0, "file[x]", "create", "it failed"]]),
        json!(["quiet", true]),
        json!(["config", null]),
        json!(["facts", null]),
        json!(["dump_node", {"a": 1}]),
        json!(["store_discoverable", {"ipaddress": "10.0.0.4"}]),
        json!(["cluster_nodes", [null, "c::default"]]),
    ] {
        seeds.push(request.to_string().into_bytes());
    }
    seeds.push(seeds.join(&b'\n'));
    seeds.push(b"no JSON".to_vec());
    seeds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seeds_get_answers_and_are_understood() {
        let mut host = host(ROOT.path());
        let mut refused = Vec::new();
        for seed in door_seeds() {
            door(&seed);
            let line = seed.split(|byte| *byte == b'\n').next().unwrap();
            let answer = String::from_utf8(host.call(line)).unwrap();
            if seed.starts_with(b"[") && !answer.starts_with("{\"r\":") {
                refused.push(format!("{}: {answer}", String::from_utf8_lossy(line)));
            }
        }
        assert!(refused.is_empty(), "{refused:#?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn mutated_requests_get_answers(
            seed in prop::sample::select(door_seeds()),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let mut bytes = seed;
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            door(&bytes);
        }
    }
}
