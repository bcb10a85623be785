//! Projects and blobs in object storage.
//!
//! A [`Locker`] is a tree of blobs: a folder (`file:///folder`), a locker of an application server
//! (`https://host/lockers/NAME`), or object storage of Azure (`az://account/container`), S3 (`s3://bucket`) and GCS
//! (`gs://bucket`). [`project`] knows what projects are: `project.ini`, the manifest,
//! building and uploading. Whatever is downloaded is checked while it comes and appears in one step.
//!
//! The crate must not know nodes, clusters or converges. It never starts a process and prints nothing.

mod access;
pub mod archive;
mod backend;
mod cache;
mod checksum;
mod cloud;
mod download;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod http;
pub mod path;
pub mod project;
mod store;
mod transport;

pub use access::{Access, Credential, Trust, TrustError, is_private};
pub use cache::Cache;
pub use checksum::{Checksum, Digests};
pub use download::{Transfer, Watch};
pub use error::{Cause, Error};
pub use path::PathError;
pub use store::{Blob, Entry, Locker, Meta};
