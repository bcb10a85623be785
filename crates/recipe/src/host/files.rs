//! Modes, owners and permissions, of which WASI knows nothing.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat, mkdirat, mode_t, umask};
use nix::unistd::{AccessFlags, Gid, Uid, faccessat, fchownat, mkfifo};
use serde_json::{Value, json};

use super::system::{group_of, user_of};
use super::{Answered, Refusal, text};

pub(super) fn answer(operation: &str, a: &Value) -> Answered {
    if let "stat" | "lstat" = operation {
        return stat(text(a)?, operation == "stat");
    }
    if operation == "umask" {
        let before = umask(a.as_u64().map_or(Mode::empty(), mode));
        if a.is_null() {
            umask(before);
        }
        return Ok(before.bits().into());
    }
    let path = text(&a[0])?;
    let bits = |default| mode(a[1].as_u64().unwrap_or(default));
    let done = match operation {
        "access" => {
            let wanted =
                AccessFlags::from_bits_truncate(i32::try_from(a[1].as_i64().unwrap_or(0)).unwrap_or(0));
            return Ok(faccessat(AT_FDCWD, path, wanted, AtFlags::AT_EACCESS)
                .is_ok()
                .into());
        }
        "chmod" => fchmodat(AT_FDCWD, path, bits(0), FchmodatFlags::FollowSymlink),
        "chown" => {
            let flags = if a[3] == true {
                AtFlags::empty()
            } else {
                AtFlags::AT_SYMLINK_NOFOLLOW
            };
            let (user, group) = (user_of(&a[1])?, group_of(&a[2])?);
            fchownat(
                AT_FDCWD,
                path,
                user.map(Uid::from_raw),
                group.map(Gid::from_raw),
                flags,
            )
        }
        "mkfifo" => mkfifo(path, bits(0o666)),
        "mkdir" => mkdirat(AT_FDCWD, path, bits(0o777)),
        _ => {
            let mut flags = OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            flags.set(OFlag::O_EXCL, a[2] == true);
            open(path, flags, bits(0o666)).map(drop)
        }
    };
    done.map_err(|error| Refusal::system(error, path))?;
    Ok(0.into())
}

fn mode(bits: u64) -> Mode {
    Mode::from_bits_truncate(mode_t::try_from(bits & 0o7777).unwrap_or_default())
}

fn stat(path: &str, follow: bool) -> Answered {
    let flags = if follow {
        AtFlags::empty()
    } else {
        AtFlags::AT_SYMLINK_NOFOLLOW
    };
    let stat = fstatat(AT_FDCWD, path, flags).map_err(|error: Errno| Refusal::system(error, path))?;
    let kind = match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => "file",
        SFlag::S_IFDIR => "directory",
        SFlag::S_IFLNK => "link",
        SFlag::S_IFCHR => "characterSpecial",
        SFlag::S_IFBLK => "blockSpecial",
        SFlag::S_IFIFO => "fifo",
        SFlag::S_IFSOCK => "socket",
        _ => "unknown",
    };
    let facts = (
        stat.st_mode,
        stat.st_uid,
        stat.st_gid,
        stat.st_blksize,
        stat.st_blocks,
        stat.st_rdev,
    );
    Ok(json!([facts.0, facts.1, facts.2, facts.3, facts.4, facts.5, kind]).into())
}
