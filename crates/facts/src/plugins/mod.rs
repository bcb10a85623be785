//! The plugins, one file each, named as in Ohai.

use serde_json::{Map, Value};

use crate::machine::Machine;

mod block_device;
mod command;
mod cpu;
mod dmi;
mod docker;
mod filesystem;
mod grub2;
mod hostname;
mod hostnamectl;
mod interrupts;
mod ipc;
mod kernel;
mod keys;
mod languages;
mod livepatch;
mod lsb;
mod mdadm;
mod memory;
mod network;
mod os;
mod os_release;
mod packages;
mod pci;
mod platform;
mod scsi;
mod selinux;
mod sessions;
mod shard_seed;
mod small;
mod sysconf;
mod sysctl;
mod systemd_paths;
mod timezone;
mod uptime;
mod users;
mod virtualization;

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
    kernel::PLUGIN,
    platform::PLUGIN,
    os_release::PLUGIN,
    lsb::PLUGIN,
    hostname::PLUGIN,
    cpu::PLUGIN,
    memory::PLUGIN,
    uptime::PLUGIN,
    dmi::PLUGIN,
    virtualization::PLUGIN,
    hostnamectl::PLUGIN,
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
    small::PLUGIN,
    users::PLUGIN,
    sessions::PLUGIN,
    keys::PLUGIN,
    timezone::PLUGIN,
    shard_seed::PLUGIN,
    selinux::PLUGIN,
    sysctl::PLUGIN,
];
