//! The rules by which clusters and nodes change: pure functions over records.
//!
//! What is asked for (import, start, create, terminate, retry), what nodes say and what providers do each
//! have their function here. The module must not know HTTP, AMQP, SQL or providers, and reads no clock.

mod autoscale;
mod create;
mod import;
mod limits;
mod manage;
mod message;
mod news;
mod node;
mod reports;
mod shutdown;
mod start;
mod targets;
mod users;

#[cfg(test)]
pub(crate) mod fixture;

pub use create::{Total, create_nodes, scale};
pub use import::{ImportRefusal, import};
pub use limits::{Capacity, Limit, MachineType, Machines, capacity};
pub use manage::{Action, Chosen, manage, retry};
pub use message::apply;
pub use news::news;
pub use node::{
    begin_deallocate, begin_resume, begin_start, begin_terminate, keep_machine_failure, machine_is_there,
    settle_deallocated, settle_terminated,
};
pub use start::{remove, settle, start, start_in_mode, terminate};
pub use targets::{Target, targets};
pub use users::{check_uid, check_user_name, digest, fingerprint, public_key, users_of};

/// Why a request cannot be carried out. Its text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);
