//! Exchanges, queues, consumers and what is outstanding: the whole behaviour of the broker without a socket.
//!
//! [`Engine`] is a plain value. A connection calls it with what a client asked; the answer is the return value, and
//! what other connections must hear is collected as [`Effect`]s. Time is an argument.

mod arguments;
mod bindings;
mod compaction;
mod consume;
mod death;
mod delivery;
mod exchange;
mod headers;
#[cfg(any(test, feature = "fuzzing"))]
mod invariants;
mod message;
mod paging;
mod publish;
mod queue;
mod queues;
mod state;
mod topic;

#[cfg(test)]
mod tests;

pub(crate) use consume::Answer;
pub(crate) use exchange::Kind;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use invariants::read_arguments;
pub(crate) use publish::Publication;
pub(crate) use queues::{Declaration, Declared};
pub(crate) use state::{Effect, Engine, Limits, SessionId};
