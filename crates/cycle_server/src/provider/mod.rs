//! Providers make machines, keep them and take them away.
//!
//! A provider knows machines, not nodes: it must not know clusters, states of nodes or the store.

mod machine;
mod process;

pub use machine::{Machine, MachineRequest, MachineStatus, Provider, ProviderError};
pub use process::{ProcessProvider, ProcessSettings};
