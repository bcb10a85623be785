//! Everything that the compiler cannot check: mapping an image as code and as memory.
//!
//! The only module of the project with `unsafe` in it.
#![expect(
    unsafe_code,
    reason = "mapping files as code and memory has no safe interface"
)]

use std::ffi::c_void;
use std::fs::File;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::Arc;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};
use wasmtime::{CustomCodeMemory, Engine, LinearMemory, MemoryCreator, MemoryType, Module};

/// Size of a page of the machine, and what sections of an image are aligned to.
pub(crate) const PAGE: usize = 4096;
/// What a memory of 32-bit addresses can hold at most.
const ADDRESSES: usize = 1 << 32;

/// A part of a file that lies in the memory: `at` there, `from` and `length` in the file, all multiples of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) at: usize,
    pub(crate) from: u64,
    pub(crate) length: usize,
}

/// Maps a part of a file for reading, until the process ends. `from` must be a multiple of a page.
pub(crate) fn map(file: &File, from: u64, length: usize) -> Result<&'static [u8], String> {
    let size = NonZeroUsize::new(length).ok_or("an empty part")?;
    let from = i64::try_from(from).map_err(|error| error.to_string())?;
    // SAFETY: a new private mapping at an address that the kernel chooses touches no memory of ours.
    let start = unsafe {
        mmap(
            None,
            size,
            ProtFlags::PROT_READ,
            MapFlags::MAP_PRIVATE,
            file,
            from,
        )
    };
    let start = start.map_err(|error| error.to_string())?;
    // SAFETY: the mapping has `length` bytes, may be read, and is never unmapped. Its file is an executable or a file that is
    // replaced as a whole, never changed in place.
    Ok(unsafe { std::slice::from_raw_parts(start.as_ptr().cast::<u8>().cast_const(), length) })
}

/// The module in mapped compiled code, which is made executable where it lies.
pub(crate) fn module_in_place(engine: &Engine, code: &'static [u8]) -> wasmtime::Result<Module> {
    // SAFETY: the code was made by `build` and came with this executable, or from a file that only the owner of this
    // executable can write; wasmtime refuses code of another version or configuration. It is mapped until the process ends.
    unsafe { Module::deserialize_raw(engine, NonNull::from(code)) }
}

/// The module in compiled code of ours that was kept in a file.
#[cfg(feature = "build")]
pub(crate) fn module_copied(engine: &Engine, code: &[u8]) -> wasmtime::Result<Module> {
    // SAFETY: the code was compiled by `build` and kept in the target folder; wasmtime refuses code of another version.
    unsafe { Module::deserialize(engine, code) }
}

/// Makes mapped code executable where it lies.
pub(crate) struct CodeInPlace;

impl CustomCodeMemory for CodeInPlace {
    fn required_alignment(&self) -> usize {
        PAGE
    }

    fn publish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        let start = NonNull::new(start.cast_mut().cast::<c_void>());
        let start = start.ok_or_else(|| wasmtime::Error::msg("code at address 0"))?;
        // SAFETY: wasmtime calls this with the text section of code that it was given, which is mapped and holds nothing else.
        let done = unsafe { mprotect(start, length, ProtFlags::PROT_READ | ProtFlags::PROT_EXEC) };
        done.map_err(wasmtime::Error::from)
    }

    fn unpublish_executable(&self, _: *const u8, _: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}

/// Makes memories that begin as the runs of an image, each page copied when it is first written.
pub(crate) struct FrozenMemory {
    pub(crate) file: Arc<File>,
    pub(crate) runs: Vec<Run>,
}

// SAFETY: the memory is a reservation of at least what was asked for with its guard behind it, readable and writable up to its
// size, at one address until it is dropped. It is not filled with zeros where the image has pages: the module's own data was
// taken out of it and lies there.
unsafe impl MemoryCreator for FrozenMemory {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        _: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let text = |error: nix::Error| error.to_string();
        let capacity = reserved.unwrap_or(ADDRESSES);
        let size = NonZeroUsize::new(capacity + guard).ok_or("an empty memory")?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: as in `map`.
        let base = unsafe { mmap_anonymous(None, size, ProtFlags::PROT_NONE, flags) }.map_err(text)?;
        let memory = Memory {
            base,
            size: minimum,
            capacity,
            mapped: size.get(),
        };
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the reservation is ours alone and at least as long.
        unsafe { mprotect(base, minimum, access) }.map_err(text)?;
        for run in &self.runs {
            if run.at.checked_add(run.length).is_none_or(|end| end > minimum) {
                return Err("the image has pages behind the end of the memory".to_owned());
            }
            let length = NonZeroUsize::new(run.length).ok_or("an empty run")?;
            let address = NonZeroUsize::new(base.as_ptr() as usize + run.at);
            let from = i64::try_from(run.from).map_err(|error| error.to_string())?;
            let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
            // SAFETY: it replaces pages of the reservation, checked above, which nobody uses yet.
            unsafe { mmap(address, length, access, flags, &self.file, from) }.map_err(text)?;
        }
        Ok(Box::new(memory))
    }
}

struct Memory {
    base: NonNull<c_void>,
    size: usize,
    capacity: usize,
    mapped: usize,
}

// SAFETY: the mapping belongs to this value alone, and any thread may use it.
unsafe impl Send for Memory {}
// SAFETY: as above; `&Memory` gives out the address only.
unsafe impl Sync for Memory {}

// SAFETY: `as_ptr` is the start of a mapping of which `byte_size` bytes are accessible; it never moves.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        if size > self.capacity {
            return Err(wasmtime::Error::msg("the memory is full"));
        }
        if size > self.size {
            let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            // SAFETY: the pages from the old size to the new one are in the reservation, and nobody uses them yet.
            unsafe { mprotect(self.base.byte_add(self.size), size - self.size, access) }
                .map_err(wasmtime::Error::from)?;
            self.size = size;
        }
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr().cast()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: wasmtime drops a memory when nothing of the instance is in use any more.
        let _ = unsafe { munmap(self.base, self.mapped) };
    }
}
