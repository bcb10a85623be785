//! The guest's memory, as calls of the system interface use it.

use std::ffi::CString;

use super::errno::Errno;

/// The guest's memory. Every access is checked.
pub(crate) struct Bytes<'a>(pub(crate) &'a mut [u8]);

impl Bytes<'_> {
    pub(crate) fn get(&self, at: u32, length: u32) -> Result<&[u8], Errno> {
        let range = at as usize..at as usize + length as usize;
        self.0.get(range).ok_or(Errno::FAULT)
    }

    pub(crate) fn get_mut(&mut self, at: u32, length: u32) -> Result<&mut [u8], Errno> {
        let range = at as usize..at as usize + length as usize;
        self.0.get_mut(range).ok_or(Errno::FAULT)
    }

    pub(crate) fn byte(&self, at: u32) -> Result<u8, Errno> {
        Ok(self.get(at, 1)?[0])
    }

    pub(crate) fn u32(&self, at: u32) -> Result<u32, Errno> {
        let bytes = self.get(at, 4)?.try_into().map_err(|_| Errno::FAULT)?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub(crate) fn u64(&self, at: u32) -> Result<u64, Errno> {
        let bytes = self.get(at, 8)?.try_into().map_err(|_| Errno::FAULT)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(crate) fn put(&mut self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        let length = u32::try_from(bytes.len()).map_err(|_| Errno::FAULT)?;
        self.get_mut(at, length)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn put_u32(&mut self, at: u32, value: u32) -> Result<(), Errno> {
        self.put(at, &value.to_le_bytes())
    }

    pub(crate) fn put_u64(&mut self, at: u32, value: u64) -> Result<(), Errno> {
        self.put(at, &value.to_le_bytes())
    }

    pub(crate) fn path(&self, at: u32, length: u32) -> Result<CString, Errno> {
        CString::new(self.get(at, length)?).map_err(|_| Errno::INVAL)
    }

    /// The address and length of each piece of a list of buffers.
    pub(crate) fn buffers(&self, at: u32, count: u32) -> Result<Vec<(u32, u32)>, Errno> {
        (0..count)
            .map(|index| Ok((self.u32(at + index * 8)?, self.u32(at + index * 8 + 4)?)))
            .collect()
    }
}
