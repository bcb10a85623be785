//! Ruby as a WebAssembly module, in this process.
//!
//! The module is the one that the Ruby project publishes. At build time (feature `build`) it is patched, booted, given a
//! prelude, and frozen: code compiled ahead of time, memory as it was after the prelude, and the standard library make one
//! [`Image`]. At run time an image is mapped, never unpacked; a [`Vm`] on it is ready within milliseconds.
//!
//! Ruby has one door to the outside beside files: the [`Door`], to which it sends bytes and from which it gets bytes. Files
//! are those that the kernel shows, through the system interface in `wasi`; processes, users and modes are not part of that
//! interface, so a prelude has to ask for them through the door.
//!
//! The crate must not know what a recipe is.

#[cfg(feature = "build")]
mod build;
mod engine;
mod error;
mod host;
mod image;
mod library;
mod slab;
mod spill;
mod sys;
mod vm;
mod wasi;

#[cfg(feature = "build")]
pub use build::{BuildError, Source, build, library_of, sources_digest};
pub use error::{ImageError, Interrupt, RubyError};
pub use host::{Door, Stream};
pub use image::{Embedded, Image};
pub use library::Library;
pub use vm::{Limits, Vm};
