//! What recipes declare, made so on this machine: Chef's resources.
//!
//! Whoever evaluates recipes gets the [`catalogue()`] - which kinds of resources there are, with their actions and
//! properties - and hands one [`Request`] at a time to the [`Runner`]: a kind, a name, one action, and the properties
//! as JSON, all lazy values and guards already evaluated. The [`Report`] says what was changed, in the sentences that
//! readers of Chef's log know. The names, defaults and behaviour are those that Chef Infra 18 documents.
//!
//! The law of all kinds: applied twice, the second time changes nothing, unless the kind is a command by nature;
//! with [`Options::dry_run`] nothing changes at all, and the report says what would.

mod act;
mod catalogue;
mod error;
mod exchange;
mod files;
mod http;
mod kinds;
mod machine;
mod programs;
mod request;
mod runner;

pub use catalogue::{Default as PropertyDefault, Kind, Property, Provides, Required, Type, catalogue, find};
pub use error::{Cause, ResourceError};
pub use exchange::{Answer, Certificates, Exchange, ExchangeError};
pub use machine::Machine;
pub use request::{Report, Request};
pub use runner::{Options, Platform, Runner};
