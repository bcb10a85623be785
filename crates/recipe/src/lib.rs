//! Chef recipes: real Ruby evaluates them, `converge` applies what they declare.
//!
//! An [`Engine`] is one Ruby for one converge: it is given a [`Plan`], runs the recipes, and later the blocks that these have
//! deferred. Ruby's code is in the folder `ruby` of this crate; it is loaded when the image is made (`cargo xtask ruby`), so
//! that a node neither parses nor compiles it. What happens is told to an [`Observer`]: [`ClientLog`] writes it down as
//! `chef-client` does, [`Summary`] counts it.
//!
//! The crate touches the machine through `converge` and `node`. It must not know that a server exists: who
//! knows the other nodes of the cluster is a [`Cluster`] to it.

mod client_log;
mod cluster;
mod engine;
mod error;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod host;
mod image;
mod plan;
mod summary;

pub use client_log::ClientLog;
pub use cluster::{Alone, Attributes, Cluster, ClusterError};
pub use engine::Engine;
pub use error::{Failure, RecipeError};
pub use event::{Event, Level, Observer};
pub use image::image;
pub use plan::{CollectFacts, Limits, Plan, Reboot, Surroundings};
pub use summary::{Slow, Summary};
