//! The pages that people read: clusters, one cluster, the event log.
//!
//! Rendered on the server and complete without a script; a small one keeps them up to date. The module reads
//! the store and changes nothing. It must not know accounts: whoever mounts [`pages`] puts the same check
//! before it as before the API. [`files`] need none.

mod assets;
mod converges;
mod handlers;
mod headers;
mod live;
mod view;

#[cfg(test)]
mod tests;

pub use assets::files;
pub use handlers::{Pages, pages};
