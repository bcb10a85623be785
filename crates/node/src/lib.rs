//! The machine from our side: home, settings, node.json, commands, locks, logs
