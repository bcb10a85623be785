//! Files, folders and connections.

use std::ffi::CStr;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::dir::Dir;
use nix::fcntl::{AtFlags, FcntlArg, OFlag, fcntl, openat, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fstat, fstatat, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::sys::uio::{pread, pwrite};
use nix::unistd::{
    UnlinkatFlags, Whence, fdatasync, fsync, ftruncate, linkat, lseek, read, symlinkat, unlinkat, write,
};

use super::errno::Errno;
use super::guest::Bytes;
use super::{Handle, LIBRARY, TCP, Wasi};
use crate::host::Door;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(30);
/// All that may be done with a descriptor. The kernel decides what really may be done.
const ALL_RIGHTS: u64 = (1 << 30) - 1;

const BLOCK_DEVICE: u8 = 1;
const CHARACTER_DEVICE: u8 = 2;
const FOLDER: u8 = 3;
const FILE: u8 = 4;
const SOCKET: u8 = 6;
const SYMLINK: u8 = 7;

/// An entry of a folder.
#[derive(Debug)]
pub(super) struct Entry {
    inode: u64,
    kind: u8,
    name: Vec<u8>,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) look: u32,
    pub(super) how: u32,
    pub(super) rights: u64,
    pub(super) flags: u32,
}

fn kind_of(stat: &FileStat) -> u8 {
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFBLK => BLOCK_DEVICE,
        SFlag::S_IFCHR => CHARACTER_DEVICE,
        SFlag::S_IFDIR => FOLDER,
        SFlag::S_IFREG => FILE,
        SFlag::S_IFSOCK => SOCKET,
        SFlag::S_IFLNK => SYMLINK,
        _ => 0,
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> u64 {
    seconds
        .wrapping_mul(1_000_000_000)
        .wrapping_add(rest)
        .cast_unsigned()
}

fn put_stat(bytes: &mut Bytes<'_>, out: u32, stat: &FileStat) -> Result<(), Errno> {
    bytes.get_mut(out, 64)?.fill(0);
    bytes.put_u64(out, stat.st_dev)?;
    bytes.put_u64(out + 8, stat.st_ino)?;
    bytes.put(out + 16, &[kind_of(stat)])?;
    #[allow(
        clippy::useless_conversion,
        clippy::allow_attributes,
        reason = "the width differs between machines"
    )]
    bytes.put_u64(out + 24, stat.st_nlink.into())?;
    bytes.put_u64(out + 32, stat.st_size.cast_unsigned())?;
    bytes.put_u64(out + 40, nanoseconds(stat.st_atime, stat.st_atime_nsec))?;
    bytes.put_u64(out + 48, nanoseconds(stat.st_mtime, stat.st_mtime_nsec))?;
    bytes.put_u64(out + 56, nanoseconds(stat.st_ctime, stat.st_ctime_nsec))
}

impl Wasi {
    /// The node of the library that a path leads to: nothing when it leads elsewhere, an inner nothing when it is not there.
    fn in_library(&self, fd: u32, path: &CStr) -> Result<Option<Option<usize>>, Errno> {
        let text = path.to_str();
        match self.handles.get(fd as usize).and_then(Option::as_ref) {
            Some(Handle::Library { node, .. }) => {
                Ok(Some(self.library.find(*node, text.map_err(|_| Errno::INVAL)?)))
            }
            Some(Handle::Host { root: true, .. }) => {
                let below = text.ok().and_then(|text| text.strip_prefix(LIBRARY));
                let below = below.filter(|rest| rest.is_empty() || rest.starts_with('/'));
                Ok(below.map(|rest| self.library.find(0, rest)))
            }
            Some(_) => Ok(None),
            None => Err(Errno::BADF),
        }
    }

    /// Fails for what is in the library.
    fn writable(&self, fd: u32, path: &CStr) -> Result<(), Errno> {
        match self.in_library(fd, path)? {
            Some(_) => Err(Errno::ROFS),
            None => Ok(()),
        }
    }

    fn put_library_stat(&self, bytes: &mut Bytes<'_>, out: u32, node: usize) -> Result<(), Errno> {
        bytes.get_mut(out, 64)?.fill(0);
        bytes.put_u64(out, 0xfeed)?;
        bytes.put_u64(out + 8, node as u64 + 1)?;
        bytes.put(
            out + 16,
            &[if self.library.is_folder(node) {
                FOLDER
            } else {
                FILE
            }],
        )?;
        bytes.put_u64(out + 24, 1)?;
        bytes.put_u64(out + 32, self.library.data(node).len() as u64)
    }

    pub(super) fn open(&mut self, door: &dyn Door, fd: u32, path: &CStr, how: How) -> Result<u32, Errno> {
        let text = path.to_str().ok();
        if let Some(address) = text.and_then(|text| text.strip_prefix(TCP)) {
            let limit = door.remaining().unwrap_or(CONNECT).min(CONNECT);
            let fd = connect(address, limit.max(Duration::from_millis(1)))?;
            return Ok(self.add(Handle::Host {
                fd,
                root: false,
                listing: None,
            }));
        }
        if let Some(node) = self.in_library(fd, path)? {
            if how.how & 9 != 0 {
                return Err(Errno::ROFS);
            }
            let node = node.ok_or(Errno::NOENT)?;
            if how.how & 2 != 0 && !self.library.is_folder(node) {
                return Err(Errno::NOTDIR);
            }
            return Ok(self.add(Handle::Library { node, position: 0 }));
        }
        let fd = openat(
            self.fd(fd)?,
            path,
            open_flags(how),
            Mode::from_bits_truncate(0o666),
        )?;
        Ok(self.add(Handle::Host {
            fd,
            root: false,
            listing: None,
        }))
    }

    pub(super) fn read(
        &mut self,
        bytes: &mut Bytes<'_>,
        fd: u32,
        (buffers, count): (u32, u32),
        from: Option<u64>,
        out: u32,
    ) -> Result<(), Errno> {
        let mut total = 0;
        for (at, length) in bytes.buffers(buffers, count)? {
            if length == 0 {
                continue;
            }
            let buffer = bytes.get_mut(at, length)?;
            let from = from.map(|from| from + u64::from(total));
            let handle = self.handles.get_mut(fd as usize).and_then(Option::as_mut);
            let done = match handle.ok_or(Errno::BADF)? {
                Handle::Input => 0,
                Handle::Output(_) => return Err(Errno::BADF),
                Handle::Library { node, position } => {
                    let data = self.library.data(*node);
                    let start = usize::try_from(from.unwrap_or(*position)).unwrap_or(usize::MAX);
                    let data = data.get(start..).unwrap_or_default();
                    let done = data.len().min(buffer.len());
                    buffer[..done].copy_from_slice(&data[..done]);
                    if from.is_none() {
                        *position += done as u64;
                    }
                    done
                }
                Handle::Host { fd, .. } => match from {
                    None => read(&*fd, buffer)?,
                    Some(from) => pread(&*fd, buffer, from.cast_signed())?,
                },
            };
            total += u32::try_from(done).unwrap_or(u32::MAX);
            if done < length as usize {
                break;
            }
        }
        bytes.put_u32(out, total)
    }

    pub(super) fn write(
        &mut self,
        door: &mut dyn Door,
        bytes: &mut Bytes<'_>,
        fd: u32,
        (buffers, count): (u32, u32),
        from: Option<u64>,
        out: u32,
    ) -> Result<(), Errno> {
        let mut total = 0;
        for (at, length) in bytes.buffers(buffers, count)? {
            let buffer = bytes.get(at, length)?;
            let done = match self.handle(fd)? {
                Handle::Output(stream) => {
                    door.write(*stream, buffer);
                    buffer.len()
                }
                Handle::Host { fd, .. } => match from {
                    None => write(&*fd, buffer)?,
                    Some(from) => pwrite(&*fd, buffer, (from + u64::from(total)).cast_signed())?,
                },
                _ => return Err(Errno::BADF),
            };
            total += u32::try_from(done).unwrap_or(u32::MAX);
            if done < length as usize {
                break;
            }
        }
        bytes.put_u32(out, total)
    }

    pub(super) fn status(&mut self, bytes: &mut Bytes<'_>, fd: u32, out: u32) -> Result<(), Errno> {
        let (kind, flags) = match self.handle(fd)? {
            Handle::Input | Handle::Output(_) => (CHARACTER_DEVICE, 0),
            Handle::Library { node, .. } => {
                let node = *node;
                (
                    if self.library.is_folder(node) {
                        FOLDER
                    } else {
                        FILE
                    },
                    0,
                )
            }
            Handle::Host { fd, .. } => {
                let kind = kind_of(&fstat(&*fd)?);
                let flags = OFlag::from_bits_truncate(fcntl(&*fd, FcntlArg::F_GETFL)?);
                let append = u16::from(flags.contains(OFlag::O_APPEND));
                (
                    kind,
                    append | if flags.contains(OFlag::O_NONBLOCK) { 4 } else { 0 },
                )
            }
        };
        bytes.get_mut(out, 24)?.fill(0);
        bytes.put(out, &[kind])?;
        bytes.put(out + 2, &flags.to_le_bytes())?;
        bytes.put_u64(out + 8, ALL_RIGHTS)?;
        bytes.put_u64(out + 16, ALL_RIGHTS)
    }

    pub(super) fn set_flags(&self, fd: u32, flags: u32) -> Result<(), Errno> {
        let fd = self.fd(fd)?;
        let mut all = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL)?);
        all.set(OFlag::O_APPEND, flags & 1 != 0);
        all.set(OFlag::O_NONBLOCK, flags & 4 != 0);
        fcntl(fd, FcntlArg::F_SETFL(all))?;
        Ok(())
    }

    pub(super) fn sync(&self, fd: u32, only_data: bool) -> Result<(), Errno> {
        let fd = self.fd(fd)?;
        Ok(if only_data { fdatasync(fd) } else { fsync(fd) }?)
    }

    pub(super) fn truncate(&self, fd: u32, size: u64) -> Result<(), Errno> {
        Ok(ftruncate(self.fd(fd)?, size.cast_signed())?)
    }

    pub(super) fn stat_open(&mut self, bytes: &mut Bytes<'_>, fd: u32, out: u32) -> Result<(), Errno> {
        match self.handle(fd)? {
            Handle::Library { node, .. } => {
                let node = *node;
                self.put_library_stat(bytes, out, node)
            }
            Handle::Host { fd, .. } => put_stat(bytes, out, &fstat(&*fd)?),
            Handle::Input | Handle::Output(_) => {
                bytes.get_mut(out, 64)?.fill(0);
                bytes.put(out + 16, &[CHARACTER_DEVICE])
            }
        }
    }

    pub(super) fn stat(
        &self,
        bytes: &mut Bytes<'_>,
        fd: u32,
        flags: u32,
        (at, length): (u32, u32),
        out: u32,
    ) -> Result<(), Errno> {
        let path = bytes.path(at, length)?;
        if let Some(node) = self.in_library(fd, &path)? {
            return self.put_library_stat(bytes, out, node.ok_or(Errno::NOENT)?);
        }
        let flags = if flags & 1 == 0 {
            AtFlags::AT_SYMLINK_NOFOLLOW
        } else {
            AtFlags::empty()
        };
        put_stat(bytes, out, &fstatat(self.fd(fd)?, path.as_c_str(), flags)?)
    }

    pub(super) fn set_times(
        &self,
        fd: u32,
        follow: u32,
        path: &CStr,
        [accessed, modified]: [u64; 2],
        flags: u32,
    ) -> Result<(), Errno> {
        self.writable(fd, path)?;
        let time = |value: u64, set: u32, now: u32| {
            if flags & now != 0 {
                TimeSpec::UTIME_NOW
            } else if flags & set != 0 {
                TimeSpec::from_duration(Duration::from_nanos(value))
            } else {
                TimeSpec::UTIME_OMIT
            }
        };
        let follow = if follow & 1 == 0 {
            UtimensatFlags::NoFollowSymlink
        } else {
            UtimensatFlags::FollowSymlink
        };
        let (accessed, modified) = (time(accessed, 1, 2), time(modified, 4, 8));
        Ok(utimensat(self.fd(fd)?, path, &accessed, &modified, follow)?)
    }

    pub(super) fn seek(
        &mut self,
        bytes: &mut Bytes<'_>,
        fd: u32,
        offset: i64,
        whence: u32,
        out: u32,
    ) -> Result<(), Errno> {
        if let Handle::Library { node, position } = *self.handle(fd)? {
            let start = match whence {
                0 => 0,
                1 => position.cast_signed(),
                _ => i64::try_from(self.library.data(node).len()).unwrap_or(i64::MAX),
            };
            let wanted = u64::try_from(start.saturating_add(offset)).map_err(|_| Errno::INVAL)?;
            if let Handle::Library { position, .. } = self.handle(fd)? {
                *position = wanted;
            }
            return bytes.put_u64(out, wanted);
        }
        if let Handle::Input | Handle::Output(_) = self.handle(fd)? {
            return Err(Errno::SPIPE);
        }
        let whence = match whence {
            0 => Whence::SeekSet,
            1 => Whence::SeekCur,
            _ => Whence::SeekEnd,
        };
        let position = lseek(self.fd(fd)?, offset, whence)?;
        bytes.put_u64(out, position.cast_unsigned())
    }

    pub(super) fn list(
        &mut self,
        bytes: &mut Bytes<'_>,
        fd: u32,
        (at, length): (u32, u32),
        cookie: u64,
        out: u32,
    ) -> Result<(), Errno> {
        let of_library;
        let node = match self.handle(fd)? {
            Handle::Library { node, .. } => Some(*node),
            _ => None,
        };
        let entries = match (node, self.handle(fd)?) {
            (Some(node), _) => {
                let children = self.library.children(node);
                let entries = children.map(|(name, folder)| Entry {
                    inode: 1,
                    kind: if folder { FOLDER } else { FILE },
                    name: name.as_bytes().to_vec(),
                });
                of_library = entries.collect();
                &of_library
            }
            (None, Handle::Host { fd, listing, .. }) => {
                if cookie == 0 || listing.is_none() {
                    *listing = Some(entries_of(fd)?);
                }
                listing.get_or_insert_default()
            }
            _ => return Err(Errno::NOTDIR),
        };
        let mut listed: Vec<u8> = Vec::with_capacity(length as usize);
        let skipped = usize::try_from(cookie).unwrap_or(usize::MAX);
        for (index, entry) in entries.iter().enumerate().skip(skipped) {
            listed.extend((index as u64 + 1).to_le_bytes());
            listed.extend(entry.inode.to_le_bytes());
            listed.extend(u32::try_from(entry.name.len()).unwrap_or(u32::MAX).to_le_bytes());
            listed.extend([entry.kind, 0, 0, 0]);
            listed.extend(&entry.name);
            if listed.len() >= length as usize {
                break;
            }
        }
        listed.truncate(length as usize);
        bytes.put(at, &listed)?;
        bytes.put_u32(out, u32::try_from(listed.len()).unwrap_or(u32::MAX))
    }

    pub(super) fn create_folder(&self, fd: u32, path: &CStr) -> Result<(), Errno> {
        self.writable(fd, path)?;
        Ok(mkdirat(self.fd(fd)?, path, Mode::from_bits_truncate(0o777))?)
    }

    pub(super) fn remove(&self, fd: u32, path: &CStr, folder: bool) -> Result<(), Errno> {
        self.writable(fd, path)?;
        let flag = if folder {
            UnlinkatFlags::RemoveDir
        } else {
            UnlinkatFlags::NoRemoveDir
        };
        Ok(unlinkat(self.fd(fd)?, path, flag)?)
    }

    pub(super) fn rename(&self, fd: u32, path: &CStr, to: u32, new: &CStr) -> Result<(), Errno> {
        self.writable(fd, path)?;
        self.writable(to, new)?;
        Ok(renameat(self.fd(fd)?, path, self.fd(to)?, new)?)
    }

    pub(super) fn link(&self, fd: u32, follow: u32, path: &CStr, to: u32, new: &CStr) -> Result<(), Errno> {
        self.writable(fd, path)?;
        self.writable(to, new)?;
        let flags = if follow & 1 != 0 {
            AtFlags::AT_SYMLINK_FOLLOW
        } else {
            AtFlags::empty()
        };
        Ok(linkat(self.fd(fd)?, path, self.fd(to)?, new, flags)?)
    }

    pub(super) fn symlink(&self, target: &CStr, fd: u32, path: &CStr) -> Result<(), Errno> {
        self.writable(fd, path)?;
        Ok(symlinkat(target, self.fd(fd)?, path)?)
    }

    pub(super) fn read_link(
        &self,
        bytes: &mut Bytes<'_>,
        fd: u32,
        (at, length): (u32, u32),
        (to, size): (u32, u32),
        out: u32,
    ) -> Result<(), Errno> {
        let path = bytes.path(at, length)?;
        match self.in_library(fd, &path)? {
            Some(Some(_)) => return Err(Errno::INVAL),
            Some(None) => return Err(Errno::NOENT),
            None => {}
        }
        let target = readlinkat(self.fd(fd)?, path.as_c_str())?;
        let target = target.as_bytes();
        let target = &target[..target.len().min(size as usize)];
        bytes.put(to, target)?;
        bytes.put_u32(out, u32::try_from(target.len()).unwrap_or(u32::MAX))
    }
}

fn open_flags(
    How {
        look,
        how,
        rights,
        flags,
    }: How,
) -> OFlag {
    let reads = rights & (1 << 1 | 1 << 14) != 0;
    let writes = rights & (1 << 6 | 1 << 8 | 1 << 22) != 0;
    let mut all = match (how & 2 != 0, reads, writes) {
        (false, true, true) => OFlag::O_RDWR,
        (false, false, true) => OFlag::O_WRONLY,
        _ => OFlag::O_RDONLY,
    };
    all |= OFlag::O_CLOEXEC;
    let wanted = [
        (how & 1 != 0, OFlag::O_CREAT),
        (how & 2 != 0, OFlag::O_DIRECTORY),
        (how & 4 != 0, OFlag::O_EXCL),
        (how & 8 != 0, OFlag::O_TRUNC),
        (flags & 1 != 0, OFlag::O_APPEND),
        (flags & 2 != 0, OFlag::O_DSYNC),
        (flags & 4 != 0, OFlag::O_NONBLOCK),
        (flags & 24 != 0, OFlag::O_SYNC),
        (look & 1 == 0, OFlag::O_NOFOLLOW),
    ];
    for (_, flag) in wanted.into_iter().filter(|(wanted, _)| *wanted) {
        all |= flag;
    }
    all
}

fn entries_of(folder: &OwnedFd) -> Result<Vec<Entry>, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut folder = Dir::openat(folder, ".", flags, Mode::empty())?;
    let entries = folder.iter().map(|entry| {
        let entry = entry?;
        let kind = match entry.file_type() {
            Some(nix::dir::Type::BlockDevice) => BLOCK_DEVICE,
            Some(nix::dir::Type::CharacterDevice) => CHARACTER_DEVICE,
            Some(nix::dir::Type::Directory) => FOLDER,
            Some(nix::dir::Type::File) => FILE,
            Some(nix::dir::Type::Socket) => SOCKET,
            Some(nix::dir::Type::Symlink) => SYMLINK,
            _ => 0,
        };
        Ok(Entry {
            inode: entry.ino(),
            kind,
            name: entry.file_name().to_bytes().to_vec(),
        })
    });
    entries.collect()
}

fn connect(address: &str, limit: Duration) -> Result<OwnedFd, Errno> {
    let (host, port) = address.rsplit_once('/').ok_or(Errno::INVAL)?;
    let port: u16 = port.parse().map_err(|_| Errno::INVAL)?;
    let mut last = Errno::NOENT;
    for address in (host, port).to_socket_addrs().map_err(|_| Errno::NOENT)? {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) => return Ok(stream.into()),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}
