//! Projects and blobs in object storage.
//!
//! A [`Locker`] is a tree of blobs: a folder (`file:///folder`), or a locker of an application server
//! (`https://host/lockers/NAME`). [`project`] knows what projects are: `project.ini`, the manifest,
//! building and uploading. Whatever is downloaded is checked while it comes and appears in one step.
//!
//! The crate must not know nodes, clusters or converges. It never starts a process and prints nothing.

mod access;
mod backend;
mod checksum;
mod error;
mod http;
pub mod path;
pub mod project;
mod store;

pub use access::{Access, Credential, Trust, TrustError, is_private};
pub use checksum::{Checksum, Digests};
pub use error::{Cause, Error};
pub use path::PathError;
pub use store::{Blob, Entry, Locker, Meta};
