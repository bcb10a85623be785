//! Stacks that Ruby unwinds, kept where there is room for them.
//!
//! Every `rescue`, `ensure` and collection of garbage unwinds the native stack into a buffer of 24 KiB that was fixed when
//! Ruby was compiled; some 70 nested blocks are more than that. The patched module asks here instead (`build::patch`): the
//! stack is unwound into a scratch memory of some MiB, and what does not fit into Ruby's own buffer is kept on this side.
//! The hook has four operations, one for each function of Asyncify's interface.

use std::collections::HashMap;

/// How much of stacks is kept on this side.
const MOST_KEPT: usize = 256 << 20;
/// The scratch memory begins with the two addresses that Asyncify wants.
const HEAD: u32 = 16;

/// Where the scratch memory is, and Ruby's own buffers that have a fixed address: those of its collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Scratch {
    pub(crate) at: u32,
    pub(crate) size: u32,
    pub(crate) fixed: [u32; 2],
}

/// The stacks of one machine.
#[derive(Debug, Default)]
pub(crate) struct Spill {
    scratch: Scratch,
    current: u32,
    /// Where the data of a buffer starts, and how much fits in.
    buffers: HashMap<u32, (u32, u32)>,
    /// The contents that did not fit.
    over: HashMap<u32, Vec<u8>>,
    /// Buffer and length of what lies in the scratch memory now.
    fresh: Option<(u32, u32)>,
    length: u32,
    kept: usize,
}

impl Spill {
    pub(crate) fn new(scratch: Scratch) -> Self {
        Self {
            scratch,
            ..Self::default()
        }
    }

    /// Answers one call of the patched functions.
    pub(crate) fn hook(
        &mut self,
        memory: &mut [u8],
        operation: u32,
        buffer: u32,
    ) -> Result<u32, &'static str> {
        if self.scratch.at == 0 {
            return Err("there is no scratch memory");
        }
        match operation {
            0 => self.start_unwind(memory, buffer),
            1 => self.stop_unwind(memory),
            2 => self.start_rewind(memory, buffer),
            _ => self.stop_rewind(memory),
        }
    }

    fn data(&self) -> u32 {
        self.scratch.at + HEAD
    }

    fn end(&self) -> u32 {
        self.scratch.at + self.scratch.size
    }

    fn of_current(&self) -> Result<(u32, u32), &'static str> {
        let known = self.buffers.get(&self.current).copied();
        known.ok_or("a stack that was never unwound")
    }

    fn start_unwind(&mut self, memory: &mut [u8], buffer: u32) -> Result<u32, &'static str> {
        self.current = buffer;
        let (start, end) = (word(memory, buffer)?, word(memory, buffer.wrapping_add(4))?);
        self.buffers.insert(buffer, (start, end.wrapping_sub(start)));
        set(memory, self.scratch.at, self.data())?;
        set(memory, self.scratch.at + 4, self.end())?;
        Ok(self.scratch.at)
    }

    fn stop_unwind(&mut self, memory: &mut [u8]) -> Result<u32, &'static str> {
        let (data, top) = (self.data(), word(memory, self.scratch.at)?);
        if top > self.end() || top < data {
            return Err("the stack is too deep");
        }
        let length = top - data;
        let (start, capacity) = self.of_current()?;
        if length <= capacity {
            copy(memory, data, start, length)?;
            if let Some(old) = self.over.remove(&self.current) {
                self.kept -= old.len();
            }
        } else {
            let bytes = slice(memory, data, length)?.to_vec();
            self.kept += bytes.len();
            if let Some(old) = self.over.insert(self.current, bytes) {
                self.kept -= old.len();
            }
            if self.kept > MOST_KEPT {
                self.forget(length)?;
            }
        }
        set(memory, self.current, start.wrapping_add(length))?;
        self.fresh = Some((self.current, length));
        Ok(0)
    }

    /// Forgets what was kept of deeper stacks than this one: their frames are long gone.
    fn forget(&mut self, length: u32) -> Result<(), &'static str> {
        self.over.retain(|_, bytes| bytes.len() <= length as usize);
        self.kept = self.over.values().map(Vec::len).sum();
        if self.kept > MOST_KEPT {
            return Err("the stack is too deep");
        }
        Ok(())
    }

    fn start_rewind(&mut self, memory: &mut [u8], buffer: u32) -> Result<u32, &'static str> {
        self.current = buffer;
        let (start, capacity) = self.of_current()?;
        let length = word(memory, buffer)?.wrapping_sub(start);
        let data = self.data();
        if self.fresh != Some((buffer, length)) {
            if length <= capacity {
                copy(memory, start, data, length)?;
            } else {
                let kept = self
                    .over
                    .get(&buffer)
                    .filter(|bytes| bytes.len() == length as usize);
                let kept = kept.ok_or("a stack that was forgotten")?;
                slice_mut(memory, data, length)?.copy_from_slice(kept);
            }
        }
        self.fresh = None;
        self.length = length;
        set(memory, self.scratch.at, data.wrapping_add(length))?;
        set(memory, self.scratch.at + 4, self.end())?;
        Ok(self.scratch.at)
    }

    fn stop_rewind(&mut self, memory: &mut [u8]) -> Result<u32, &'static str> {
        let (start, capacity) = self.of_current()?;
        if self.length > capacity && self.scratch.fixed.contains(&self.current) {
            // The buffer of the collector, which marks everything between its two addresses.
            let data = self.data();
            set(memory, self.current, data)?;
            set(memory, self.current + 4, data + self.length)?;
        } else {
            set(memory, self.current, start)?;
        }
        Ok(0)
    }
}

const OUTSIDE: &str = "an address outside the memory";

fn slice(memory: &[u8], at: u32, length: u32) -> Result<&[u8], &'static str> {
    memory
        .get(at as usize..at as usize + length as usize)
        .ok_or(OUTSIDE)
}

fn slice_mut(memory: &mut [u8], at: u32, length: u32) -> Result<&mut [u8], &'static str> {
    memory
        .get_mut(at as usize..at as usize + length as usize)
        .ok_or(OUTSIDE)
}

fn word(memory: &[u8], at: u32) -> Result<u32, &'static str> {
    let bytes = slice(memory, at, 4)?;
    Ok(bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

fn set(memory: &mut [u8], at: u32, value: u32) -> Result<(), &'static str> {
    slice_mut(memory, at, 4)?.copy_from_slice(&value.to_le_bytes());
    Ok(())
}

fn copy(memory: &mut [u8], from: u32, to: u32, length: u32) -> Result<(), &'static str> {
    slice(memory, from, length)?;
    slice(memory, to, length)?;
    memory.copy_within(from as usize..(from + length) as usize, to as usize);
    Ok(())
}
