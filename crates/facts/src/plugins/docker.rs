//! `docker`: what the Docker service says of itself.

use serde_json::{Map, Value, json};

use super::{Plugin, virtualization};
use crate::machine::Machine;
use crate::programs;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["docker"],
    on_demand: true,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    // Ohai asks only where it is known that there is Docker, and has a section there also when nobody answers.
    if !virtualization::knows(machine, "docker") {
        return;
    }
    let said = programs::say(machine, "docker", &["info", "--format", "{{json .}}"]);
    let info = said.and_then(|text| info(&text));
    facts.insert(
        "docker".to_owned(),
        info.map_or_else(|| json!({}), |info| describe(&info)),
    );
}

/// Warnings may stand before the answer.
fn info(text: &str) -> Option<Value> {
    text.lines()
        .rev()
        .find_map(|line| serde_json::from_str(line).ok())
        .filter(Value::is_object)
}

fn describe(info: &Value) -> Value {
    let version = info["ServerVersion"].as_str();
    json!({
        "version_string": version,
        "version": version.and_then(|version| version.split('-').next()),
        "runtimes": info["Runtimes"],
        "root_dir": info["DockerRootDir"],
        "containers": {
            "total": info["Containers"],
            "running": info["ContainersRunning"],
            "paused": info["ContainersPaused"],
            "stopped": info["ContainersStopped"],
        },
        "plugins": info["Plugins"],
        "networking": {
            "ipv4_forwarding": info["IPv4Forwarding"],
            "bridge_nf_iptables": info["BridgeNfIptables"],
            "bridge_nf_ipv6_iptables": info["BridgeNfIp6tables"],
        },
        "swarm": info["Swarm"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_put_in_order() {
        let text = "WARNING: No swap limit support\n{\"ServerVersion\":\"24.0.5-ce\",\"Containers\":3,\"ContainersRunning\":1}\n";
        let docker = describe(&info(text).unwrap());
        assert_eq!(docker["version"], "24.0.5");
        assert_eq!(docker["version_string"], "24.0.5-ce");
        assert_eq!(docker["containers"]["total"], 3);
        assert_eq!(docker["swarm"], Value::Null);
        assert_eq!(info("Cannot connect to the Docker daemon"), None);
    }
}
