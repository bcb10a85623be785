//! A Ruby that is ready to run, as one file.
//!
//! ```text
//! page 0    magic, then numbers of 64 bits, little-endian: (from, length) of code, library and table, then the digest of
//!           the sources
//! code      what the compiler made
//! runs      the pages of the memory that are not empty
//! library   the packed standard library
//! table     where the scratch memory is, and (at, from, length) of each run
//! ```
//!
//! All parts begin at a page, so that they can be mapped. Nothing is unpacked.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::{Engine, Module};

use crate::engine;
use crate::error::ImageError;
use crate::library::Library;
use crate::spill::Scratch;
use crate::sys::{self, FrozenMemory, PAGE, Run};

const MAGIC: &[u8; 8] = b"JPRUBY01";
/// Length of the digest of the sources.
const DIGEST: usize = 32;
const HEADER: usize = 8 + 6 * 8 + DIGEST;

/// The bytes of an image as a part of an executable, from the start of a page:
/// `static IMAGE: &Embedded<[u8]> = &Embedded(*include_bytes!(…));`
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Embedded<T: ?Sized>(pub T);

/// A Ruby that is ready to run.
#[derive(Debug, Clone)]
pub struct Image {
    path: PathBuf,
    file: Arc<File>,
    /// Where the image begins in the file.
    base: u64,
    code: (u64, usize),
    library: (u64, usize),
    runs: Vec<Run>,
    pub(crate) scratch: Scratch,
    digest: [u8; DIGEST],
}

impl Image {
    /// An image that is a file of its own.
    ///
    /// # Errors
    /// When it cannot be read, or is no image of this version.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let file = File::open(path).map_err(|source| ImageError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::at(path, file, 0)
    }

    /// An image that is a part of this executable. Its pages are read from the executable's file, which the kernel keeps open.
    ///
    /// # Errors
    /// When the kernel does not say where they are.
    pub fn embedded(image: &'static Embedded<[u8]>) -> Result<Self, ImageError> {
        let path = Path::new("/proc/self/exe");
        let failed = |source| ImageError::Read {
            path: path.to_owned(),
            source,
        };
        let base = offset_in_file(image.0.as_ptr() as usize).map_err(failed)?;
        let file = File::open(path).map_err(failed)?;
        Self::at(path, file, base)
    }

    fn at(path: &Path, file: File, base: u64) -> Result<Self, ImageError> {
        let read = |source| ImageError::Read {
            path: path.to_owned(),
            source,
        };
        let wrong = |reason: &str| ImageError::Format {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, base).map_err(read)?;
        if &header[..8] != MAGIC {
            return Err(wrong("it begins with something else"));
        }
        let numbers: Vec<u64> = header[8..HEADER - DIGEST].chunks_exact(8).map(number).collect();
        let part = |index: usize| -> Option<(u64, usize)> {
            Some((numbers[2 * index], usize::try_from(numbers[2 * index + 1]).ok()?))
        };
        let (Some(code), Some(library), Some(table)) = (part(0), part(1), part(2)) else {
            return Err(wrong("a part of it is too large"));
        };
        if table.1 > 1 << 20 || table.1 % 8 != 0 {
            return Err(wrong("its table is damaged"));
        }
        let mut bytes = vec![0; table.1];
        file.read_exact_at(&mut bytes, base + table.0).map_err(read)?;
        let numbers: Vec<u64> = bytes.chunks_exact(8).map(number).collect();
        let narrow = |value: u64| u32::try_from(value).map_err(|_| wrong("its table is damaged"));
        let [at, size, first, second, ref runs @ ..] = numbers[..] else {
            return Err(wrong("its table is damaged"));
        };
        let scratch = Scratch {
            at: narrow(at)?,
            size: narrow(size)?,
            fixed: [narrow(first)?, narrow(second)?],
        };
        let runs = runs.chunks_exact(3).map(|run| {
            Ok(Run {
                at: usize::try_from(run[0]).map_err(|_| wrong("its table is damaged"))?,
                from: base + run[1],
                length: usize::try_from(run[2]).map_err(|_| wrong("its table is damaged"))?,
            })
        });
        let mut digest = [0; DIGEST];
        digest.copy_from_slice(&header[HEADER - DIGEST..]);
        Ok(Self {
            path: path.to_owned(),
            runs: runs.collect::<Result<_, ImageError>>()?,
            file: Arc::new(file),
            base,
            code,
            library,
            scratch,
            digest,
        })
    }

    /// The SHA-256 of what it was made from, as [`crate::build`] was told.
    pub fn digest(&self) -> &[u8; DIGEST] {
        &self.digest
    }

    pub(crate) fn library(&self) -> Result<Library, ImageError> {
        let (from, length) = self.library;
        let pack = sys::map(&self.file, self.base + from, length).map_err(ImageError::Map)?;
        Ok(Library::from_pack(pack))
    }

    pub(crate) fn module(&self) -> Result<(Engine, Module), ImageError> {
        let (from, length) = self.code;
        let code = sys::map(&self.file, self.base + from, length).map_err(ImageError::Map)?;
        let wrong = |error: wasmtime::Error| ImageError::Format {
            path: self.path.clone(),
            reason: format!("{error:#}"),
        };
        let engine = engine::of_image(FrozenMemory {
            file: Arc::clone(&self.file),
            runs: self.runs.clone(),
        })
        .map_err(wrong)?;
        let module = sys::module_in_place(&engine, code).map_err(wrong)?;
        Ok((engine, module))
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Where the file of this executable holds what lies at an address (proc_pid_maps(5)).
fn offset_in_file(address: usize) -> io::Result<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let found = maps.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end, offset) = (hex(start)?, hex(end)?, hex(fields.nth(1)?)?);
        let address = address as u64;
        (start..end)
            .contains(&address)
            .then(|| offset + (address - start))
    });
    found.ok_or_else(|| io::Error::other("the executable is not mapped"))
}

/// What becomes an image.
#[cfg(feature = "build")]
pub(crate) struct Parts<'a> {
    pub(crate) code: &'a [u8],
    /// Pages that are not empty, with their address.
    pub(crate) runs: &'a [(usize, Vec<u8>)],
    pub(crate) library: &'a [u8],
    pub(crate) scratch: Scratch,
    pub(crate) digest: [u8; DIGEST],
}

#[cfg(feature = "build")]
impl Parts<'_> {
    /// The file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut file = vec![0; PAGE];
        let mut add = |bytes: &[u8]| {
            let from = file.len() as u64;
            file.extend_from_slice(bytes);
            file.resize(file.len().next_multiple_of(PAGE), 0);
            (from, bytes.len() as u64)
        };
        let code = add(self.code);
        let scratch = &self.scratch;
        let mut table: Vec<u64> = [scratch.at, scratch.size, scratch.fixed[0], scratch.fixed[1]]
            .map(u64::from)
            .to_vec();
        for (at, bytes) in self.runs {
            let (from, length) = add(bytes);
            table.extend([*at as u64, from, length]);
        }
        let library = add(self.library);
        let table: Vec<u8> = table.into_iter().flat_map(u64::to_le_bytes).collect();
        let table = add(&table);
        let numbers = [code, library, table]
            .into_iter()
            .flat_map(|(from, length)| [from, length]);
        let header: Vec<u8> = MAGIC
            .iter()
            .copied()
            .chain(numbers.flat_map(u64::to_le_bytes))
            .chain(self.digest)
            .collect();
        file[..header.len()].copy_from_slice(&header);
        file
    }
}

/// For the alignment of [`Embedded`], which must be a literal.
const _: () = assert!(align_of::<Embedded<[u8; 0]>>() == PAGE);
