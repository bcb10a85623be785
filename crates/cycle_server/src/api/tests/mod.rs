//! The API over real connections.

mod access;
mod clusterlink;
mod clusters;
mod discoverable;
mod events;
mod lockers;
mod nodes;
mod renewal;
mod reports;
mod sync;
mod usage;
mod users;
