//! The plugins, one file each, named as in Ohai.

use serde_json::{Map, Value};

use crate::machine::Machine;

mod block_device;
mod command;
mod docker;
mod filesystem;
mod grub2;
mod interrupts;
mod ipc;
mod languages;
mod livepatch;
mod mdadm;
mod network;
mod os;
mod packages;
mod pci;
mod scsi;
mod sysconf;
mod systemd_paths;

/// One source of facts.
pub(crate) struct Plugin {
    /// The top-level attributes that it sets.
    pub(crate) provides: &'static [&'static str],
    /// Whether it runs only when it is asked for by name, for what it costs.
    pub(crate) on_demand: bool,
    /// Sets the attributes. A plugin whose source is not there sets nothing.
    pub(crate) collect: fn(&Machine, &mut Map<String, Value>),
}

/// In this order: a plugin may read what those before it have set.
pub(crate) const PLUGINS: &[Plugin] = &[
    os::PLUGIN,
    network::PLUGIN,
    block_device::PLUGIN,
    command::PLUGIN,
    filesystem::PLUGIN,
    docker::PLUGIN,
    grub2::PLUGIN,
    interrupts::PLUGIN,
    ipc::PLUGIN,
    languages::PLUGIN,
    livepatch::PLUGIN,
    mdadm::PLUGIN,
    packages::PLUGIN,
    pci::PLUGIN,
    scsi::PLUGIN,
    sysconf::PLUGIN,
    systemd_paths::PLUGIN,
];
