//! The API over real connections.

mod access;
mod clusterlink;
mod clusters;
mod discoverable;
mod events;
mod lockers;
mod nodes;
mod reports;
mod sync;
mod users;
