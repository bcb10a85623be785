//! What the machine is: system properties in the schema of Ohai, and the metadata of its cloud.
//!
//! It reads files below a root and asks the kernel; it starts no process unless somebody asks for facts that need one.
//! Only [`metadata`] uses the network, and only the link of the machine.
//! It knows nothing of clusters or of a server.

mod collect;
mod machine;
pub mod metadata;
mod node_facts;
mod plugins;
mod programs;

pub use collect::{Selection, attributes, collect, find, is_known};
pub use machine::Machine;
pub use node_facts::{Freshness, node_facts};
