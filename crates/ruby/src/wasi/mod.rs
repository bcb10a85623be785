//! The system interface of the module: WASI preview 1, for one trusted guest.
//!
//! Ruby sees the files of the machine exactly as the kernel shows them: each call is one `*at()` call of the system. The
//! ready-made host of wasmtime keeps a guest in a sandbox, in which absolute symbolic links and `/var/run` do not work. What
//! is hidden here is one folder, `/__ruby__`, where the standard library lies.

mod errno;
mod files;
mod guest;
mod wait;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use wasmtime::{Error, Linker, Result};

use crate::host::{Door, Guest, Host, Stream, memory};
use crate::library::Library;
use errno::Errno;
use guest::Bytes;

/// Where the standard library is, without the `/` in front of it.
const LIBRARY: &str = "__ruby__";
/// Connections: `/dev/tcp/HOST/PORT` opens one, as in a shell. Plain descriptors pass through Ruby's `IO` untouched.
const TCP: &str = "dev/tcp/";
const MODULE: &str = "wasi_snapshot_preview1";

/// `exit!`: the guest is over.
#[derive(Debug, thiserror::Error)]
#[error("exit with status {0}")]
pub(crate) struct Exit(pub(crate) i32);

#[derive(Debug)]
enum Handle {
    /// Nothing comes from it.
    Input,
    /// Goes to the door.
    Output(Stream),
    /// A file, folder or socket of the machine.
    Host {
        fd: OwnedFd,
        /// The one folder that is open from the start.
        root: bool,
        /// The listing while it is read.
        listing: Option<Vec<files::Entry>>,
    },
    /// A file or folder of the library.
    Library { node: usize, position: u64 },
}

/// Open files.
#[derive(Debug)]
pub(crate) struct Wasi {
    handles: Vec<Option<Handle>>,
    library: Library,
}

impl Wasi {
    pub(crate) fn new(library: Library) -> nix::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = Handle::Host {
            fd: open("/", flags, Mode::empty())?,
            root: true,
            listing: None,
        };
        let first = [
            Handle::Input,
            Handle::Output(Stream::Output),
            Handle::Output(Stream::Error),
            root,
        ];
        Ok(Self {
            handles: first.into_iter().map(Some).collect(),
            library,
        })
    }

    fn handle(&mut self, fd: u32) -> Result<&mut Handle, Errno> {
        let handle = self.handles.get_mut(fd as usize).and_then(Option::as_mut);
        handle.ok_or(Errno::BADF)
    }

    fn fd(&self, fd: u32) -> Result<BorrowedFd<'_>, Errno> {
        match self.handles.get(fd as usize).and_then(Option::as_ref) {
            Some(Handle::Host { fd, .. }) => Ok(fd.as_fd()),
            Some(_) => Err(Errno::INVAL),
            None => Err(Errno::BADF),
        }
    }

    fn add(&mut self, handle: Handle) -> u32 {
        let free = self
            .handles
            .iter()
            .skip(3)
            .position(Option::is_none)
            .map(|index| index + 3);
        let index = free.unwrap_or_else(|| {
            self.handles.push(None);
            self.handles.len() - 1
        });
        self.handles[index] = Some(handle);
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    fn close(&mut self, fd: u32) -> Result<(), Errno> {
        let handle = self.handles.get_mut(fd as usize).and_then(Option::take);
        handle.map(drop).ok_or(Errno::BADF)
    }

    fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        if to as usize >= self.handles.len() {
            return Err(Errno::BADF);
        }
        let handle = self.handles.get_mut(from as usize).and_then(Option::take);
        self.handles[to as usize] = Some(handle.ok_or(Errno::BADF)?);
        Ok(())
    }
}

/// Runs one call: gives it what it needs and makes its result a number.
fn run(
    mut guest: Guest<'_>,
    call: impl FnOnce(&mut Wasi, &mut dyn Door, &mut Bytes<'_>) -> Result<(), Errno>,
) -> Result<i32> {
    let memory = memory(&mut guest)?;
    let (bytes, host) = memory.data_and_store_mut(&mut guest);
    match call(&mut host.wasi, host.door.as_mut(), &mut Bytes(bytes)) {
        Ok(()) => Ok(0),
        Err(Errno(number)) => Ok(number.into()),
    }
}

/// Defines a call by its name, its arguments, and what it does.
macro_rules! call {
    ($linker:ident, $name:literal, |$wasi:ident, $door:ident, $bytes:ident $(, $argument:ident: $kind:ty)*| $body:expr) => {
        $linker.func_wrap(MODULE, $name, |guest: Guest<'_> $(, $argument: $kind)*| -> Result<i32> {
            run(guest, |$wasi, $door, $bytes| {
                let _ = (&$wasi, &$door, &$bytes);
                $body
            })
        })?;
    };
}

pub(crate) fn link(l: &mut Linker<Host>) -> Result<()> {
    // The environment is empty in an image, and set by the prelude when it boots.
    call!(l, "environ_get", |_w, _d, _b, _list: u32, _text: u32| Ok(()));
    call!(l, "environ_sizes_get", |_w, _d, b, count: u32, size: u32| {
        b.put_u32(count, 0)?;
        b.put_u32(size, 0)
    });
    call!(l, "clock_res_get", |_w, _d, b, _id: u32, out: u32| b
        .put_u64(out, 1));
    call!(l, "clock_time_get", |_w,
                                _d,
                                b,
                                id: u32,
                                _precision: u64,
                                out: u32| {
        b.put_u64(out, wait::clock(id)?)
    });
    call!(l, "poll_oneoff", |w,
                             d,
                             b,
                             wanted: u32,
                             events: u32,
                             count: u32,
                             out: u32| {
        w.poll(d, b, [wanted, events, count, out])
    });
    call!(l, "sched_yield", |_w, _d, _b| Ok(()));
    call!(l, "random_get", |_w, _d, b, at: u32, length: u32| {
        getrandom::fill(b.get_mut(at, length)?).map_err(|_| Errno(29))
    });
    l.func_wrap(MODULE, "proc_exit", |_: Guest<'_>, status: i32| -> Result<()> {
        Err(Error::new(Exit(status)))
    })?;
    descriptors(l)?;
    paths(l)
}

fn descriptors(l: &mut Linker<Host>) -> Result<()> {
    call!(l, "fd_advise", |_w,
                           _d,
                           _b,
                           _fd: u32,
                           _from: u64,
                           _length: u64,
                           _advice: u32| Ok(()));
    call!(l, "fd_close", |w, _d, _b, fd: u32| w.close(fd));
    call!(l, "fd_datasync", |w, _d, _b, fd: u32| w.sync(fd, true));
    call!(l, "fd_sync", |w, _d, _b, fd: u32| w.sync(fd, false));
    call!(l, "fd_fdstat_get", |w, _d, b, fd: u32, out: u32| w
        .status(b, fd, out));
    call!(l, "fd_fdstat_set_flags", |w, _d, _b, fd: u32, flags: u32| w
        .set_flags(fd, flags));
    call!(l, "fd_filestat_get", |w, _d, b, fd: u32, out: u32| w
        .stat_open(b, fd, out));
    call!(l, "fd_filestat_set_size", |w, _d, _b, fd: u32, size: u64| w
        .truncate(fd, size));
    call!(
        l,
        "fd_prestat_get",
        |w, _d, b, fd: u32, out: u32| match w.handle(fd)? {
            Handle::Host { root: true, .. } => {
                b.put_u32(out, 0)?;
                b.put_u32(out + 4, 1)
            }
            _ => Err(Errno::BADF),
        }
    );
    call!(
        l,
        "fd_prestat_dir_name",
        |w, _d, b, fd: u32, at: u32, _length: u32| match w.handle(fd)? {
            Handle::Host { root: true, .. } => b.put(at, b"/"),
            _ => Err(Errno::BADF),
        }
    );
    call!(l, "fd_read", |w,
                         _d,
                         b,
                         fd: u32,
                         buffers: u32,
                         count: u32,
                         out: u32| {
        w.read(b, fd, (buffers, count), None, out)
    });
    call!(l, "fd_pread", |w,
                          _d,
                          b,
                          fd: u32,
                          buffers: u32,
                          count: u32,
                          from: u64,
                          out: u32| {
        w.read(b, fd, (buffers, count), Some(from), out)
    });
    call!(l, "fd_write", |w,
                          d,
                          b,
                          fd: u32,
                          buffers: u32,
                          count: u32,
                          out: u32| {
        w.write(d, b, fd, (buffers, count), None, out)
    });
    call!(l, "fd_pwrite", |w,
                           d,
                           b,
                           fd: u32,
                           buffers: u32,
                           count: u32,
                           from: u64,
                           out: u32| {
        w.write(d, b, fd, (buffers, count), Some(from), out)
    });
    call!(l, "fd_readdir", |w,
                            _d,
                            b,
                            fd: u32,
                            at: u32,
                            length: u32,
                            cookie: u64,
                            out: u32| {
        w.list(b, fd, (at, length), cookie, out)
    });
    call!(l, "fd_renumber", |w, _d, _b, from: u32, to: u32| w
        .renumber(from, to));
    call!(l, "fd_seek", |w,
                         _d,
                         b,
                         fd: u32,
                         offset: i64,
                         whence: u32,
                         out: u32| {
        w.seek(b, fd, offset, whence, out)
    });
    call!(l, "fd_tell", |w, _d, b, fd: u32, out: u32| w
        .seek(b, fd, 0, 1, out));
    Ok(())
}

fn paths(l: &mut Linker<Host>) -> Result<()> {
    call!(
        l,
        "path_create_directory",
        |w, _d, b, fd: u32, at: u32, length: u32| w.create_folder(fd, &b.path(at, length)?)
    );
    call!(
        l,
        "path_filestat_get",
        |w, _d, b, fd: u32, flags: u32, at: u32, length: u32, out: u32| {
            w.stat(b, fd, flags, (at, length), out)
        }
    );
    call!(
        l,
        "path_filestat_set_times",
        |w, _d, b, fd: u32, follow: u32, at: u32, length: u32, accessed: u64, modified: u64, flags: u32| {
            w.set_times(fd, follow, &b.path(at, length)?, [accessed, modified], flags)
        }
    );
    call!(l, "path_link", |w,
                           _d,
                           b,
                           fd: u32,
                           follow: u32,
                           at: u32,
                           length: u32,
                           fd2: u32,
                           at2: u32,
                           length2: u32| {
        w.link(fd, follow, &b.path(at, length)?, fd2, &b.path(at2, length2)?)
    });
    call!(l, "path_open", |w,
                           d,
                           b,
                           fd: u32,
                           look: u32,
                           at: u32,
                           length: u32,
                           how: u32,
                           rights: u64,
                           _below: u64,
                           flags: u32,
                           out: u32| {
        let path = b.path(at, length)?;
        let opened = w.open(
            d,
            fd,
            &path,
            files::How {
                look,
                how,
                rights,
                flags,
            },
        )?;
        b.put_u32(out, opened)
    });
    call!(l, "path_readlink", |w,
                               _d,
                               b,
                               fd: u32,
                               at: u32,
                               length: u32,
                               to: u32,
                               size: u32,
                               out: u32| {
        w.read_link(b, fd, (at, length), (to, size), out)
    });
    call!(
        l,
        "path_remove_directory",
        |w, _d, b, fd: u32, at: u32, length: u32| w.remove(fd, &b.path(at, length)?, true)
    );
    call!(l, "path_rename", |w,
                             _d,
                             b,
                             fd: u32,
                             at: u32,
                             length: u32,
                             fd2: u32,
                             at2: u32,
                             length2: u32| {
        w.rename(fd, &b.path(at, length)?, fd2, &b.path(at2, length2)?)
    });
    call!(l, "path_symlink", |w,
                              _d,
                              b,
                              at: u32,
                              length: u32,
                              fd: u32,
                              at2: u32,
                              length2: u32| {
        w.symlink(&b.path(at, length)?, fd, &b.path(at2, length2)?)
    });
    call!(
        l,
        "path_unlink_file",
        |w, _d, b, fd: u32, at: u32, length: u32| w.remove(fd, &b.path(at, length)?, false)
    );
    Ok(())
}
