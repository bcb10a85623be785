//! `archive_file`, and unpacking archives.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::Security;

pub(super) const ARCHIVE_FILE: Definition = Definition {
    kind: Kind::new(
        "archive_file",
        &[
            Provides::everywhere("archive_file"),
            Provides::everywhere("libarchive_file"),
        ],
        &["extract"],
        &[
            Property::named("path").aliases(&["source"]),
            Property::string("destination")
                .aliases(&["extract_to"])
                .required(),
            Property::id("owner").aliases(&["user"]),
            Property::id("group"),
            Property::id("mode").or(Default::String("755")),
            Property::new("options", &[Type::Array, Type::String]),
            Property::new("overwrite", &[Type::Boolean, Type::String]).or(Default::Boolean(false)),
            Property::integer("strip_components").or(Default::Integer(0)),
        ],
    ),
    run: archive_file,
};

/// What an archive holds.
enum Entry<'a> {
    Folder,
    File {
        mode: u32,
        read: &'a mut dyn Read,
    },
    Symlink(PathBuf),
    /// Another name of an entry, below the same folder.
    Hard(PathBuf),
}

/// The path of an entry without its first steps. None for what is stripped away; an error for one that would leave the
/// folder.
fn inside(path: &Path, strip: usize) -> Result<Option<PathBuf>, Failure> {
    let mut steps = Vec::new();
    for step in path.components() {
        match step {
            Component::Normal(name) => steps.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                return Err(Cause::Invalid(format!(
                    "the entry `{}` leads out of the archive",
                    path.display()
                ))
                .into());
            }
        }
    }
    let rest: PathBuf = steps.iter().skip(strip).collect();
    Ok((steps.len() > strip).then_some(rest))
}

/// The stream of an archive, whatever it is packed with. What only a program can unpack is unpacked by it first.
fn open(act: &Act<'_>, path: &Path) -> Result<Box<dyn Read>, Failure> {
    let failed = || Cause::io("read", path);
    let mut magic = [0; 6];
    let length = File::open(path)
        .and_then(|mut file| file.read(&mut magic))
        .map_err(failed())?;
    let magic = &magic[..length];
    let file = File::open(path).map_err(failed())?;
    let program = match magic {
        [0x1f, 0x8b, ..] => return Ok(Box::new(MultiGzDecoder::new(io::BufReader::new(file)))),
        [b'B', b'Z', b'h', ..] => "bzip2",
        [0xfd, b'7', b'z', b'X', b'Z', 0] => "xz",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        _ => return Ok(Box::new(io::BufReader::new(file))),
    };
    if !act.has(program) {
        let why = format!(
            "`{}` is packed with {program}, which is not on this machine",
            path.display()
        );
        return Err(Cause::Unsupported(why).into());
    }
    let unpacked = tempfile::NamedTempFile::new().map_err(Cause::io("write in", &std::env::temp_dir()))?;
    let (from, to) = (path.display().to_string(), unpacked.path().display().to_string());
    act.call(&[
        "sh",
        "-c",
        "exec \"$0\" -dc -- \"$1\" >\"$2\"",
        program,
        &from,
        &to,
    ])?;
    // The file is open, so it stays until it is read.
    let file = unpacked.reopen().map_err(Cause::io("read", unpacked.path()))?;
    Ok(Box::new(io::BufReader::new(file)))
}

/// Goes through the entries of an archive.
fn each(
    act: &Act<'_>,
    path: &Path,
    strip: usize,
    mut see: impl FnMut(&Path, Entry<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failed = || Cause::io("read", path);
    let mut magic = [0; 4];
    let length = File::open(path)
        .and_then(|mut file| file.read(&mut magic))
        .map_err(failed())?;
    if &magic[..length] == b"PK\x03\x04" {
        let file = File::open(path).map_err(failed())?;
        let broken =
            |error: zip::result::ZipError| Cause::Invalid(format!("`{}` is broken: {error}", path.display()));
        let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
        for number in 0..archive.len() {
            let mut entry = archive.by_index(number).map_err(broken)?;
            let name = PathBuf::from(entry.name().map_err(broken)?.into_owned());
            let Some(name) = inside(&name, strip)? else {
                continue;
            };
            let mode = entry.unix_mode().unwrap_or(0o644) & 0o7777;
            if entry.is_dir() {
                see(&name, Entry::Folder)?;
            } else if entry.is_symlink() {
                let mut to = String::new();
                entry.read_to_string(&mut to).map_err(failed())?;
                see(&name, Entry::Symlink(to.into()))?;
            } else {
                see(
                    &name,
                    Entry::File {
                        mode,
                        read: &mut entry,
                    },
                )?;
            }
        }
        return Ok(());
    }
    let mut archive = tar::Archive::new(open(act, path)?);
    let broken = |error: io::Error| {
        Cause::Invalid(format!(
            "`{}` is no archive that can be read: {error}",
            path.display()
        ))
    };
    let mut count = 0;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        count += 1;
        let name = entry.path().map_err(broken)?.into_owned();
        let Some(name) = inside(&name, strip)? else {
            continue;
        };
        let link = entry
            .link_name()
            .map_err(broken)?
            .map(std::borrow::Cow::into_owned);
        let mode = entry.header().mode().unwrap_or(0o644) & 0o7777;
        match (entry.header().entry_type(), link) {
            (tar::EntryType::Directory, _) => see(&name, Entry::Folder)?,
            (tar::EntryType::Symlink, Some(to)) => see(&name, Entry::Symlink(to))?,
            (tar::EntryType::Link, Some(to)) => {
                if let Some(to) = inside(&to, strip)? {
                    see(&name, Entry::Hard(to))?;
                }
            }
            (kind, _) if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() => {
                see(
                    &name,
                    Entry::File {
                        mode,
                        read: &mut entry,
                    },
                )?;
            }
            // Devices have no place in what recipes unpack.
            _ => {}
        }
    }
    if count == 0 {
        return Err(Cause::Invalid(format!("`{}` holds nothing, or is no archive", path.display())).into());
    }
    Ok(())
}

/// Whether a file holds what is read.
fn holds(path: &Path, read: &mut dyn Read) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Ok(file) if file.metadata()?.is_file() => file,
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let (mut ours, mut theirs) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let length = read.read(&mut theirs)?;
        if length == 0 {
            return Ok(file.read(&mut ours[..1])? == 0);
        }
        if file.read_exact(&mut ours[..length]).is_err() || ours[..length] != theirs[..length] {
            return Ok(false);
        }
    }
}

/// Whether the folder lacks something of the archive, or has it otherwise.
fn differs(act: &Act<'_>, path: &Path, folder: &Path, strip: usize) -> Result<bool, Failure> {
    let mut differs = false;
    each(act, path, strip, |name, entry| {
        let place = folder.join(name);
        differs |= match entry {
            Entry::Folder => !place.is_dir(),
            Entry::File { read, .. } => !holds(&place, read).map_err(Cause::io("read", &place))?,
            Entry::Symlink(to) => fs::read_link(&place).ok() != Some(to),
            Entry::Hard(_) => !place.exists(),
        };
        Ok(())
    })?;
    Ok(differs)
}

/// No entry goes through a link that another one has made.
fn no_link_above(folder: &Path, place: &Path) -> Result<(), Failure> {
    let above = place
        .ancestors()
        .skip(1)
        .take_while(|above| above.starts_with(folder) && *above != folder);
    for above in above {
        if above.is_symlink() {
            return Err(Cause::Invalid(format!(
                "an entry of the archive goes through the link `{}`",
                above.display()
            ))
            .into());
        }
    }
    Ok(())
}

/// Unpacks an archive into a folder.
pub(super) fn extract(
    act: &Act<'_>,
    path: &Path,
    folder: &Path,
    strip: usize,
    security: Security,
) -> Result<(), Failure> {
    let owner = Security {
        mode: None,
        ..security
    };
    each(act, path, strip, |name, entry| {
        if act.options.stop.is_requested() {
            return Err(Cause::io("unpack", path)(io::ErrorKind::Interrupted.into()).into());
        }
        let place = folder.join(name);
        no_link_above(folder, &place)?;
        if let Some(above) = place.parent() {
            fs::create_dir_all(above).map_err(Cause::io("create", above))?;
        }
        let failed = || Cause::io("write", &place);
        match entry {
            Entry::Folder => {
                if place.is_symlink() {
                    fs::remove_file(&place).map_err(failed())?;
                }
                fs::create_dir_all(&place).map_err(failed())?;
            }
            Entry::File { mode, read } => {
                let above = place.parent().unwrap_or(folder);
                let mut file = tempfile::Builder::new()
                    .prefix(".chef-")
                    .tempfile_in(above)
                    .map_err(failed())?;
                io::copy(read, file.as_file_mut()).map_err(failed())?;
                file.as_file()
                    .set_permissions(fs::Permissions::from_mode(mode & 0o777))
                    .map_err(failed())?;
                file.persist(&place).map_err(|error| failed()(error.error))?;
            }
            Entry::Symlink(to) => {
                if place.symlink_metadata().is_ok() {
                    fs::remove_file(&place).map_err(failed())?;
                }
                symlink(&to, &place).map_err(failed())?;
            }
            Entry::Hard(to) => {
                let from = folder.join(to);
                no_link_above(folder, &from)?;
                if place.symlink_metadata().is_ok() {
                    fs::remove_file(&place).map_err(failed())?;
                }
                fs::hard_link(&from, &place).map_err(failed())?;
            }
        }
        owner.apply(&place)
    })
}

pub(super) fn number(act: &Act<'_>, name: &'static str) -> Result<usize, Failure> {
    let number = act.number(name)?.unwrap_or(0);
    usize::try_from(number).map_err(|_| Failure::invalid(name, format!("{number} is below 0")))
}

fn archive_file(act: &mut Act<'_>) -> Result<(), Failure> {
    let path = act.path("path")?;
    let folder = act.path("destination")?;
    let strip = number(act, "strip_components")?;
    let security = Security::of(act)?;
    if !path.is_file() {
        act.assume(Cause::io("read", &path)(io::ErrorKind::NotFound.into()))?;
        let _ = act.will(format!(
            "extract {} to {}",
            act.machine.seen(&path).display(),
            act.machine.seen(&folder).display()
        ));
        return Ok(());
    }
    let exists = folder.is_dir();
    let overwrites = match act.value("overwrite") {
        Some(Value::Bool(overwrites)) => overwrites,
        Some(Value::String(text)) => text == "auto" || text == "true",
        _ => false,
    };
    let (from, to) = (act.machine.seen(&path), act.machine.seen(&folder));
    let sentence = format!("extract {} to {}", from.display(), to.display());
    if exists {
        if overwrites && differs(act, &path, &folder, strip)? && act.will(sentence) {
            extract(act, &path, &folder, strip, security)?;
        }
        return Ok(());
    }
    if folder.symlink_metadata().is_ok() {
        return Err(Cause::Type {
            path: to,
            what: "no directory",
            wanted: "a directory",
        }
        .into());
    }
    let mut sentences = vec![format!("create new directory {}", to.display())];
    sentences.extend(security.changes(act, None));
    sentences.push(sentence);
    if act.will_all(sentences) {
        extract_whole(act, &path, &folder, strip, security)?;
    }
    Ok(())
}

/// Unpacks an archive into a folder that appears with all that is in it: half of it would look like all of it the next
/// time. An empty folder may be there.
pub(super) fn extract_whole(
    act: &Act<'_>,
    path: &Path,
    folder: &Path,
    strip: usize,
    security: Security,
) -> Result<(), Failure> {
    let above = folder.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(above).map_err(Cause::io("create", above))?;
    let scratch = tempfile::Builder::new()
        .prefix(".chef-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(above)
        .map_err(Cause::io("create a folder in", above))?;
    extract(act, path, scratch.path(), strip, security)?;
    security.apply(scratch.path())?;
    durable::failpoint::reached("unpacked");
    match fs::rename(scratch.path(), folder) {
        Ok(()) => {
            // It has another name now, and nothing is to be removed.
            let _ = scratch.keep();
            Ok(())
        }
        // A folder that something is mounted on cannot be replaced.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            extract(act, path, folder, strip, security)
        }
        Err(error) => Err(Cause::io("create", folder)(error).into()),
    }
}
