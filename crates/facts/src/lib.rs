//! What the machine is: system properties in the schema of Ohai, and the metadata of its cloud.
//!
//! It reads files below a root and asks the kernel; it starts no process unless somebody asks for facts that need one.
//! It knows nothing of clusters or of a server.

mod collect;
mod machine;
mod plugins;
mod programs;

pub use collect::{Selection, attributes, collect, find, is_known};
pub use machine::Machine;
