//! Bringing the content of a file to what it should be.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use node::command::Ended;
use tempfile::NamedTempFile;

use super::{Security, backup, sha256, unified};
use crate::resource::act::Act;
use crate::resource::error::{Cause, Failure};
use crate::resource::programs::end;

/// What a file should hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    /// Whatever it holds; an empty file is made when there is none.
    Any,
    /// These bytes.
    Bytes(&'a [u8]),
    /// The bytes of another file, which may be large.
    Of(&'a Path),
}

impl Content<'_> {
    fn is(self, path: &Path, metadata: &Metadata) -> io::Result<bool> {
        match self {
            Self::Any => Ok(true),
            Self::Bytes(bytes) => Ok(metadata.len() == bytes.len() as u64 && fs::read(path)? == bytes),
            Self::Of(other) => Ok(fs::metadata(other)?.len() == metadata.len() && same(path, other)?),
        }
    }

    fn write(self, file: &mut File) -> io::Result<()> {
        match self {
            Self::Any => Ok(()),
            Self::Bytes(bytes) => file.write_all(bytes),
            Self::Of(other) => io::copy(&mut File::open(other)?, file).map(drop),
        }
    }

    fn bytes(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Any => Ok(Vec::new()),
            Self::Bytes(bytes) => Ok(bytes.to_vec()),
            Self::Of(other) => fs::read(other),
        }
    }
}

/// Whether two files hold the same.
fn same(a: &Path, b: &Path) -> io::Result<bool> {
    use std::io::{BufRead, BufReader};
    let (mut a, mut b) = (
        BufReader::with_capacity(1 << 16, File::open(a)?),
        BufReader::with_capacity(1 << 16, File::open(b)?),
    );
    loop {
        let (left, right) = (a.fill_buf()?, b.fill_buf()?);
        let length = left.len().min(right.len());
        if left[..length] != right[..length] {
            return Ok(false);
        }
        if length == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        a.consume(length);
        b.consume(length);
    }
}

/// What is at a path, in words; none when it is a file.
fn other_than_file(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_symlink() {
        Some("a symbolic link")
    } else {
        Some("a device, pipe or socket")
    }
}

/// The metadata of what is at a path, without following a link; none when there is nothing.
pub(crate) fn metadata(path: &Path) -> Result<Option<Metadata>, Failure> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(Cause::io("read", path)(error).into()),
    }
}

/// Brings the file of the properties `path`, `mode`, `owner` … to a content. With `keep` a file that is there stays
/// as it is (`create_if_missing`).
pub(crate) fn manage(act: &mut Act<'_>, content: Content<'_>, keep: bool) -> Result<(), Failure> {
    let path = act.path("path")?;
    let mut now = metadata(&path)?;
    let mut place = path.clone();
    let is_link = now.as_ref().is_some_and(|now| now.file_type().is_symlink());
    if is_link && !act.flag("manage_symlink_source") {
        // The file that the link leads to is meant, as with any program that writes to the path.
        place = act.machine.target(act.need("path")?);
        now = metadata(&place)?;
    }
    if keep && now.is_some() {
        return Ok(());
    }
    if let Some(folder) = place.parent()
        && !folder.is_dir()
    {
        act.assume(Cause::NoFolder(act.machine.seen(folder)))?;
    }
    let security = Security::of(act)?;
    let replaces_link = is_link && place == path && !matches!(content, Content::Any);
    let stays_link = is_link && place == path && !replaces_link;
    if let Some(what) = now.as_ref().and_then(other_than_file)
        && !replaces_link
        && !stays_link
    {
        if !act.flag("force_unlink") {
            return Err(Cause::Type {
                path: act.machine.seen(&place),
                what,
                wanted: "a file",
            }
            .into());
        }
        if act.will(format!("unlink {what} at {}", act.machine.seen(&place).display())) {
            let is_folder = now.as_ref().is_some_and(Metadata::is_dir);
            let removed = if is_folder {
                fs::remove_dir_all(&place)
            } else {
                fs::remove_file(&place)
            };
            removed.map_err(Cause::io("remove", &place))?;
        }
        now = None;
    }
    put(
        act,
        &place,
        now.filter(|_| !replaces_link).as_ref(),
        content,
        security,
    )
}

/// Brings the file at a place to a content, an owner and a mode.
pub(crate) fn bring(
    act: &mut Act<'_>,
    path: &Path,
    content: Content<'_>,
    security: Security,
) -> Result<(), Failure> {
    let now = metadata(path)?;
    if let Some(what) = now.as_ref().and_then(other_than_file) {
        let path = act.machine.seen(path);
        let wanted = "a file";
        return Err(Cause::Type { path, what, wanted }.into());
    }
    put(act, path, now.as_ref(), content, security)
}

/// Reads the text of a file, which may be missing, and brings it to what `change` makes of it.
pub(crate) fn edit(
    act: &mut Act<'_>,
    path: &Path,
    security: Security,
    change: impl FnOnce(&str) -> String,
) -> Result<(), Failure> {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map_err(|_| Cause::Invalid(format!("`{}` is no text", path.display())))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Cause::io("read", path)(error).into()),
    };
    let new = change(&text);
    if new == text {
        return Ok(());
    }
    bring(act, path, Content::Bytes(new.as_bytes()), security)
}

fn put(
    act: &mut Act<'_>,
    path: &Path,
    now: Option<&Metadata>,
    content: Content<'_>,
    security: Security,
) -> Result<(), Failure> {
    let seen = act.machine.seen(path);
    let is_same = match now {
        None => false,
        Some(now) if now.file_type().is_symlink() => true,
        Some(now) => content.is(path, now).map_err(Cause::io("read", path))?,
    };
    let mut sentences = Vec::new();
    if !is_same {
        let (old, new) = texts(path, now, content)?;
        sentences.push(match now {
            None => format!("create new file {}", seen.display()),
            Some(_) => {
                let (from, to) = (sum(path, None)?, sum(path, Some(content))?);
                format!("update content in file {} from {from} to {to}", seen.display())
            }
        });
        if !matches!(content, Content::Any) {
            let diff = if act.is_sensitive() {
                "(suppressed sensitive resource)".to_owned()
            } else {
                unified(&seen.display().to_string(), &old, &new)
            };
            act.report.diff.get_or_insert_default().push_str(&diff);
        }
    }
    sentences.extend(security.changes(act, now));
    if sentences.is_empty() {
        return Ok(());
    }
    if !act.will_all(sentences) {
        return Ok(());
    }
    if is_same {
        security.apply(path)?;
        return Ok(());
    }
    if now.is_some() {
        backup(act, path)?;
    }
    let in_place = act.kind.property("atomic_update").is_some() && !act.flag("atomic_update");
    write(act, path, now, content, security, in_place)?;
    restore_context(act, path)
}

/// Old and new content, as far as they can be shown.
fn texts(path: &Path, now: Option<&Metadata>, content: Content<'_>) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    const MOST: u64 = 11_000_000;
    if let Content::Of(other) = content {
        let length = fs::metadata(other).map_err(Cause::io("read", other))?.len();
        if length > MOST {
            return Ok((Vec::new(), vec![b' '; usize::try_from(MOST).unwrap_or_default()]));
        }
    }
    let old = match now {
        Some(now) if now.is_file() && now.len() <= MOST => fs::read(path).map_err(Cause::io("read", path))?,
        Some(now) if now.is_file() => vec![b' '; usize::try_from(MOST).unwrap_or_default()],
        _ => Vec::new(),
    };
    Ok((old, content.bytes().map_err(Cause::io("read", path))?))
}

/// The first digits of a checksum, as Chef shows them.
fn sum(path: &Path, content: Option<Content<'_>>) -> Result<String, Failure> {
    let mut sum = match content {
        None => sum_of_file(path)?,
        Some(Content::Of(other)) => sum_of_file(other)?,
        Some(content) => sha256(&content.bytes().map_err(Cause::io("read", path))?),
    };
    sum.truncate(6);
    Ok(sum)
}

/// The SHA-256 of a file.
pub(crate) fn sum_of_file(path: &Path) -> Result<String, Failure> {
    use sha2::{Digest, Sha256};
    use std::io::Read;
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(Cause::io("read", path))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut buffer).map_err(Cause::io("read", path))?;
        if length == 0 {
            return Ok(crate::files::hex(&hash.finalize()));
        }
        hash.update(&buffer[..length]);
    }
}

fn write(
    act: &Act<'_>,
    path: &Path,
    now: Option<&Metadata>,
    content: Content<'_>,
    security: Security,
    in_place: bool,
) -> Result<(), Failure> {
    let failed = || Cause::io("write", path);
    // Nobody but the owner reads it before it has its mode, unless it will be open to all anyway.
    let first = match (security.mode, now) {
        (None, None) => 0o666,
        _ => 0o600,
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut staged = tempfile::Builder::new()
        .prefix(".chef-")
        .permissions(Permissions::from_mode(first))
        .tempfile_in(folder)
        .map_err(failed())?;
    content.write(staged.as_file_mut()).map_err(failed())?;
    let has = staged.as_file().metadata().map_err(failed())?;
    let uid = security
        .uid
        .or(now.map(MetadataExt::uid))
        .filter(|uid| *uid != has.uid());
    let gid = security
        .gid
        .or(now.map(MetadataExt::gid))
        .filter(|gid| *gid != has.gid());
    if uid.is_some() || gid.is_some() {
        fchown(staged.as_file(), uid, gid).map_err(Cause::io("change the owner of", path))?;
    }
    let mode = security.mode.or(now.map(|now| now.mode() & 0o7777));
    if let Some(mode) = mode {
        staged
            .as_file()
            .set_permissions(Permissions::from_mode(mode))
            .map_err(Cause::io("change the mode of", path))?;
    }
    durable::failpoint::reached("staged");
    verify(act, staged.path())?;
    if in_place && now.is_some() {
        return overwrite(staged, path, security);
    }
    if now.is_some() {
        // On many file systems a power cut after a rename leaves neither the old content nor the new one.
        staged.as_file().sync_all().map_err(failed())?;
    }
    let mut written = act.shared.written.lock().unwrap_or_else(PoisonError::into_inner);
    written.entry(has.dev()).or_insert_with(|| folder.to_owned());
    drop(written);
    match staged.persist(path) {
        Ok(_) => {
            durable::failpoint::reached("in its place");
            Ok(())
        }
        // A file that is a mount of its own, as in containers, cannot be replaced.
        Err(error) if error.error.kind() == io::ErrorKind::ResourceBusy => {
            overwrite(error.file, path, security)
        }
        Err(error) => Err(failed()(error.error).into()),
    }
}

/// Writes into the file that is there.
fn overwrite(staged: NamedTempFile, path: &Path, security: Security) -> Result<(), Failure> {
    let mut file = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .map_err(Cause::io("write", path))?;
    let mut from = staged.reopen().map_err(Cause::io("write", path))?;
    io::copy(&mut from, &mut file).map_err(Cause::io("write", path))?;
    security.apply(path)
}

/// Has the checks of the property `verify` look at the new content before it takes its place: commands, and what has
/// a name of its own in Chef.
fn verify(act: &Act<'_>, staged: &Path) -> Result<(), Failure> {
    if act.kind.property("verify").is_none() {
        return Ok(());
    }
    for check in act.list("verify") {
        let refused = |ended, output: &str| Cause::Verification {
            command: check.clone(),
            ended,
            output: end(output, 4096),
        };
        if check == "json" {
            let bytes = fs::read(staged).map_err(Cause::io("read", staged))?;
            let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes);
            parsed.map_err(|error| refused(Ended::Exited(1), &error.to_string()))?;
            continue;
        }
        let staged = staged.display().to_string();
        let command = match check.as_str() {
            "yaml" => format!("python3 -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))' '{staged}'"),
            _ => check.replace("%{path}", &staged).replace("%{file}", &staged),
        };
        let command = act.program("sh").arg("-c").arg(command);
        let output = act.finish(command, &check)?;
        if !output.success() {
            return Err(refused(output.ended, &output.text).into());
        }
    }
    Ok(())
}

/// A new file has the security context of its folder under SELinux; it gets the one of its path.
fn restore_context(act: &Act<'_>, path: &Path) -> Result<(), Failure> {
    // A kernel has it from its start or not at all.
    let has_selinux = act
        .shared
        .selinux
        .get_or_init(|| act.machine.is_live() && act.machine.exists("/sys/fs/selinux/enforce"));
    if !has_selinux || !act.has("restorecon") {
        return Ok(());
    }
    let path = path.display().to_string();
    act.call(&["restorecon", &path]).map(drop)
}

/// Removes a file, and keeps a backup of it. Nothing to remove is fine.
pub(crate) fn remove(act: &mut Act<'_>, path: &PathBuf) -> Result<(), Failure> {
    let Some(now) = metadata(path)? else {
        return Ok(());
    };
    if now.is_dir()
        && !act
            .kind
            .property("force_unlink")
            .is_some_and(|_| act.flag("force_unlink"))
    {
        return Err(Cause::Type {
            path: act.machine.seen(path),
            what: "a directory",
            wanted: "a file",
        }
        .into());
    }
    if act.will(format!("delete file {}", act.machine.seen(path).display())) {
        if now.is_file() {
            backup(act, path)?;
        }
        let removed = if now.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        };
        removed.map_err(Cause::io("remove", path))?;
    }
    Ok(())
}
