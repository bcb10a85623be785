//! Projects: what an author writes, what a locker holds, and the way between.
//!
//! ```text
//! projects/P/V/manifest.json            what the version consists of; written last
//! projects/P/V/SPEC/cluster-init/…      files of the specs
//! projects/P/blobs/FILE                 blobs of the project, shared by its versions
//! blobs/P/FILE                          blobs that users add; they win over those of the project
//! ```

mod blobs;
mod build;
mod files;
mod ini;
mod manifest;
mod remote;
mod upload;
mod version;

pub use blobs::{DownloadError, Downloaded, download_blobs};
pub use build::{Build, BuildError, build};
pub use ini::{ConfigParameter, IniError, ProjectIni, Section, Spec};
pub use manifest::{BlobEntry, FileEntry, Manifest, SpecEntry};
pub use remote::{SpecFile, manifest_path, project_blob_path, spec_path, user_blob_path};
pub use upload::{Part, Progress, UploadReport, upload};
pub use version::compare_versions;
