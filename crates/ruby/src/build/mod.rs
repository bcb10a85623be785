//! Making an image: at build time only.
//!
//! What takes long, compiling, is kept by its content in a folder of the caller, so that a changed prelude costs a second.

mod asyncify;
mod freeze;
mod split;
mod stdlib;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, Error, Module};

use crate::engine;
use crate::image::Parts;
use crate::library::Library;
use crate::sys;

/// What an image is made from.
#[derive(Debug)]
pub struct Source<'a> {
    /// `ruby.wasm` of the package.
    pub ruby: &'a [u8],
    /// The standard library, packed, from [`library_of`].
    pub stdlib: &'a [u8],
    /// The prelude: names below `/__ruby__` and contents.
    pub prelude: &'a [(String, Vec<u8>)],
    /// The file of the prelude that is loaded before Ruby is frozen. It loads the others.
    pub entry: &'a str,
    /// The architecture, whose oldest machines are what is compiled for: `x86_64-unknown-linux-gnu`.
    pub target: &'a str,
    /// Where compiled code is kept.
    pub cache: &'a Path,
}

/// An image that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The module is not of the form that the patches are for: it is of another version.
    #[error("cannot patch this `ruby.wasm`: {0}")]
    Patch(String),
    /// The compiler, or the machine, failed.
    #[error("{what}: {error:#}")]
    Wasm {
        /// What was done.
        what: &'static str,
        /// What went wrong.
        error: Error,
    },
    /// Ruby does not take the prelude.
    #[error("the prelude fails: {0}")]
    Prelude(String),
    /// A file cannot be read or written.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl BuildError {
    fn wasm(what: &'static str) -> impl FnOnce(Error) -> Self {
        move |error| Self::Wasm { what, error }
    }
}

/// The SHA-256 of a prelude, which its image carries.
pub fn sources_digest(prelude: &[(String, Vec<u8>)]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (name, content) in prelude {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    hash.finalize().into()
}

/// Makes an image.
///
/// # Errors
/// When the module is not the one that we know, when the prelude fails, and when the cache cannot be written.
pub fn build(source: &Source<'_>) -> Result<Vec<u8>, BuildError> {
    let frozen = freeze::freeze(source)?;
    let split = split::split(&frozen.module).map_err(BuildError::Patch)?;
    let mut config = engine::config();
    config
        .target(source.target)
        .map_err(BuildError::wasm("unknown target"))?;
    let engine = Engine::new(&config).map_err(BuildError::wasm("cannot set up the compiler"))?;
    let code = compile(&engine, &split.code, source.cache)?;
    let mut library = source.stdlib.to_vec();
    for (name, content) in source.prelude {
        Library::append(&mut library, name, content);
    }
    let parts = Parts {
        code: &code,
        runs: &split.runs,
        library: &library,
        scratch: frozen.scratch,
        digest: sources_digest(source.prelude),
    };
    Ok(parts.to_bytes())
}

/// The standard library, packed, out of `ruby+stdlib.wasm`. What recipes cannot use is left out.
///
/// # Errors
/// As [`build`].
pub fn library_of(module: &[u8], cache: &Path) -> Result<Vec<u8>, BuildError> {
    stdlib::library_of(module, cache)
}

/// Compiled code of a module, from the cache if it is there.
fn compile(engine: &Engine, module: &[u8], cache: &Path) -> Result<Vec<u8>, BuildError> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut compiler = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compiler);
    let mut hash = Sha256::new();
    hash.update(compiler.finish().to_le_bytes());
    hash.update(module);
    kept(cache, &hex(&hash.finalize()), "cwasm", || {
        let code = engine.precompile_module(module);
        code.map_err(BuildError::wasm("cannot compile Ruby"))
    })
}

fn module(engine: &Engine, wasm: &[u8], cache: &Path) -> Result<Module, BuildError> {
    let code = compile(engine, wasm, cache)?;
    sys::module_copied(engine, &code).map_err(BuildError::wasm("cannot load compiled code"))
}

/// A file of the cache, made when it is not there.
fn kept(
    cache: &Path,
    key: &str,
    kind: &str,
    make: impl FnOnce() -> Result<Vec<u8>, BuildError>,
) -> Result<Vec<u8>, BuildError> {
    let path = cache.join(format!("{key}.{kind}"));
    if let Ok(bytes) = std::fs::read(&path) {
        return Ok(bytes);
    }
    let bytes = make()?;
    let io = |source| BuildError::Io {
        path: path.clone(),
        source,
    };
    std::fs::create_dir_all(cache).map_err(io)?;
    let part = path.with_extension(format!("{}.part", std::process::id()));
    #[expect(
        clippy::disallowed_methods,
        reason = "a cache in the target folder; it is renamed when it is whole"
    )]
    std::fs::write(&part, &bytes).map_err(io)?;
    std::fs::rename(&part, &path).map_err(io)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
