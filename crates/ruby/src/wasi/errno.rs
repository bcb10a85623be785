//! Numbers of errors as WASI has them (preview 1, `errno`).

use nix::errno::Errno as Host;

/// An error of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) u16);

impl Errno {
    pub(crate) const BADF: Self = Self(8);
    pub(crate) const FAULT: Self = Self(21);
    pub(crate) const INVAL: Self = Self(28);
    pub(crate) const NOENT: Self = Self(44);
    pub(crate) const NOTDIR: Self = Self(54);
    pub(crate) const ROFS: Self = Self(69);
    pub(crate) const SPIPE: Self = Self(70);
}

impl From<Host> for Errno {
    fn from(error: Host) -> Self {
        Self(match error {
            Host::E2BIG => 1,
            Host::EACCES => 2,
            Host::EAGAIN => 6,
            Host::EBADF => 8,
            Host::EBUSY => 10,
            Host::ECHILD => 12,
            Host::ECONNREFUSED => 14,
            Host::EDEADLK => 16,
            Host::EDOM => 18,
            Host::EDQUOT => 19,
            Host::EEXIST => 20,
            Host::EFAULT => 21,
            Host::EFBIG => 22,
            Host::EHOSTUNREACH => 23,
            Host::EILSEQ => 25,
            Host::EINTR => 27,
            Host::EINVAL => 28,
            Host::EISDIR => 31,
            Host::ELOOP => 32,
            Host::EMFILE => 33,
            Host::EMLINK => 34,
            Host::ENAMETOOLONG => 37,
            Host::ENFILE => 41,
            Host::ENODEV => 43,
            Host::ENOENT => 44,
            Host::ENOEXEC => 45,
            Host::ENOLCK => 46,
            Host::ENOMEM => 48,
            Host::ENOSPC => 51,
            Host::ENOSYS => 52,
            Host::ENOTDIR => 54,
            Host::ENOTEMPTY => 55,
            Host::EOPNOTSUPP => 58,
            Host::ENOTTY => 59,
            Host::ENXIO => 60,
            Host::EOVERFLOW => 61,
            Host::EPERM => 63,
            Host::EPIPE => 64,
            Host::ERANGE => 68,
            Host::EROFS => 69,
            Host::ESPIPE => 70,
            Host::ESRCH => 71,
            Host::ESTALE => 72,
            Host::ETIMEDOUT => 73,
            Host::ETXTBSY => 74,
            Host::EXDEV => 75,
            _ => 29,
        })
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Host::from_raw(number).into(),
            None if error.kind() == std::io::ErrorKind::TimedOut => Host::ETIMEDOUT.into(),
            None => Self(29),
        }
    }
}
