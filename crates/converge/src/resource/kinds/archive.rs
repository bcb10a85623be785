//! `archive_file`, and `ark` of the community.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::{Definition, directory};
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Security, mode_of, sum_of_file};
use crate::resource::http::{Fetch, shown};

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

pub(super) const ARK: Definition = Definition {
    kind: Kind::new(
        "ark",
        &[Provides::everywhere("ark")],
        &[
            "install",
            "put",
            "dump",
            "unzip",
            "cherry_pick",
            "setup_py",
            "install_with_make",
            "configure",
        ],
        &[
            Property::string("url").required(),
            Property::string("version"),
            Property::string("checksum"),
            Property::string("path"),
            Property::string("home_dir"),
            Property::string("prefix_root").or(Default::String("/usr/local")),
            Property::string("prefix_home").or(Default::String("/usr/local")),
            Property::string("prefix_bin").or(Default::String("/usr/local/bin")),
            Property::new("has_binaries", &[Type::Array]).or(Default::EmptyArray),
            Property::string("creates"),
            Property::boolean("append_env_path", false),
            Property::integer("strip_components").or(Default::Integer(1)),
            Property::new("strip_leading_dir", &[Type::Boolean]),
            Property::id("owner").or(Default::String("root")),
            Property::id("group"),
            Property::id("mode").or(Default::String("0755")),
            Property::string("extension"),
            Property::list("autoconf_opts"),
            Property::list("make_opts"),
            Property::hash("environment"),
            Property::integer("backup"),
        ],
    ),
    run: ark,
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
fn extract(
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

fn number(act: &Act<'_>, name: &'static str) -> Result<usize, Failure> {
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
    let extracts = !exists || (overwrites && differs(act, &path, &folder, strip)?);
    if !exists {
        directory::make(act, &folder, security, true)?;
    }
    let (from, to) = (act.machine.seen(&path), act.machine.seen(&folder));
    if extracts && act.will(format!("extract {} to {}", from.display(), to.display())) {
        extract(act, &path, &folder, strip, security)?;
    }
    Ok(())
}

/// Fetches an archive of software and unpacks it: `install` into `PREFIX/NAME-VERSION` with links to it, `put` into
/// `PATH/NAME`, `dump` and `unzip` into `PATH`, `cherry_pick` takes one file of it.
fn ark(act: &mut Act<'_>) -> Result<(), Failure> {
    let name = act.request.name.clone();
    if name.contains('/') || name.starts_with('.') || name.is_empty() {
        return Err(Cause::Invalid(format!("`{name}` is no name of a folder")).into());
    }
    let version = act.text("version").unwrap_or_else(|| "1".to_owned());
    let prefix = act.need("prefix_root")?;
    let place = match act.action {
        "put" => format!("{}/{name}", act.text("path").unwrap_or(prefix)),
        "dump" | "unzip" | "cherry_pick" => act.text("path").ok_or_else(|| Failure::missing("path"))?,
        _ => act.text("path").map_or_else(
            || format!("{prefix}/{name}-{version}"),
            |path| format!("{path}/{name}-{version}"),
        ),
    };
    let folder = act.machine.path(&place);
    let done = match (act.action, act.text("creates")) {
        ("dump" | "unzip" | "cherry_pick", Some(creates)) => folder.join(creates).exists(),
        ("dump" | "unzip" | "cherry_pick", None) => return Err(Failure::missing("creates")),
        (_, Some(creates)) if creates.starts_with('/') => act.machine.path(creates).exists(),
        // An empty folder is what a broken attempt leaves.
        _ => fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()),
    };
    let security = Security {
        mode: mode_of(act, "mode")?,
        ..Security::of(act)?
    };
    if !done {
        let url = act.need("url")?;
        let sentences = vec![
            format!("fetch {}", shown(&url)),
            format!("unpack it into {place}"),
        ];
        if act.will_all(sentences) {
            unpack(act, &url, &folder, security)?;
        }
    }
    if matches!(act.action, "dump" | "unzip" | "cherry_pick" | "put") {
        return Ok(());
    }
    if act.action == "install" || act.action == "install_with_make" {
        let home = act.text("home_dir").map_or_else(
            || Ok::<_, Failure>(format!("{}/{name}", act.need("prefix_home")?)),
            Ok,
        )?;
        link(act, &home, &place)?;
        for binary in act.list("has_binaries") {
            let file = Path::new(&binary)
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let at = format!("{}/{file}", act.need("prefix_bin")?);
            link(act, &at, &format!("{home}/{binary}"))?;
        }
        if act.flag("append_env_path") {
            let path = act.machine.path(format!("/etc/profile.d/{name}.sh"));
            let text = format!("export PATH=$PATH:{home}/bin\n");
            let open = Security {
                mode: Some(0o755),
                ..Security::default()
            };
            crate::resource::files::bring(
                act,
                &path,
                crate::resource::files::Content::Bytes(text.as_bytes()),
                open,
            )?;
        }
    }
    if done {
        return Ok(());
    }
    let steps: &[&str] = match act.action {
        "setup_py" => &["python3 setup.py install"],
        "install_with_make" => &["./configure", "make", "make install"],
        "configure" => &["./configure"],
        _ => &[],
    };
    for step in steps {
        let more = match *step {
            "./configure" => act.list("autoconf_opts"),
            "make" | "make install" => act.list("make_opts"),
            _ => Vec::new(),
        };
        let line = format!("{step} {}", more.join(" "));
        if act.will(format!("execute {}", line.trim())) {
            let mut command = act.program("sh").arg("-c").arg(&line).current_dir(&folder);
            for (name, value) in act.pairs("environment") {
                command = command.env(name, value);
            }
            act.finish(command, line.trim())?.ok()?;
        }
    }
    Ok(())
}

fn unpack(act: &mut Act<'_>, url: &str, folder: &Path, security: Security) -> Result<(), Failure> {
    let cache = act.options.cache_folder.clone();
    fs::create_dir_all(&cache).map_err(Cause::io("create", &cache))?;
    let mut file = tempfile::Builder::new()
        .prefix(".download-")
        .tempfile_in(&cache)
        .map_err(Cause::io("write in", &cache))?;
    let local = url
        .strip_prefix("file://")
        .or_else(|| url.starts_with('/').then_some(url));
    let archive = match local {
        Some(path) => act.machine.path(path),
        None => {
            Fetch::get(url).save(act, file.as_file_mut())?;
            file.path().to_owned()
        }
    };
    if let Some(wanted) = act.text("checksum") {
        let found = sum_of_file(&archive)?;
        if !found.eq_ignore_ascii_case(&wanted) {
            let what = shown(url);
            return Err(Cause::Checksum { what, found, wanted }.into());
        }
    }
    let mut strip = number(act, "strip_components")?;
    if act.set("strip_leading_dir").is_some() && !act.flag("strip_leading_dir") {
        strip = 0;
    }
    if act.action == "dump" || act.action == "unzip" || act.action == "cherry_pick" {
        let only = act.text("creates").filter(|_| act.action == "cherry_pick");
        let scratch = tempfile::tempdir_in(&cache).map_err(Cause::io("write in", &cache))?;
        fs::create_dir_all(folder).map_err(Cause::io("create", folder))?;
        return match only {
            None => extract(act, &archive, folder, 0, security),
            Some(wanted) => {
                extract(act, &archive, scratch.path(), 0, security)?;
                let name = Path::new(&wanted).file_name().unwrap_or_default().to_owned();
                let found = find(scratch.path(), Path::new(&wanted));
                let missing = || Cause::Invalid(format!("there is no `{wanted}` in the archive"));
                let found = found.ok_or_else(missing)?;
                let place = folder.join(name);
                fs::copy(&found, &place)
                    .map(drop)
                    .map_err(Cause::io("write", &place))?;
                security.apply(&place)
            }
        };
    }
    fs::create_dir_all(folder).map_err(Cause::io("create", folder))?;
    if let Err(failure) = extract(act, &archive, folder, strip, security) {
        // Half of it would look like all of it the next time.
        let _ = fs::remove_dir_all(folder);
        return Err(failure);
    }
    security.apply(folder)
}

/// A file in a folder by the end of its path.
fn find(folder: &Path, wanted: &Path) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            if let Some(found) = find(&path, wanted) {
                return Some(found);
            }
        } else if path.ends_with(wanted) {
            return Some(path);
        }
    }
    None
}

fn link(act: &mut Act<'_>, at: &str, to: &str) -> Result<(), Failure> {
    let path = act.machine.path(at);
    if fs::read_link(&path).is_ok_and(|now| now == Path::new(to)) {
        return Ok(());
    }
    if path.is_dir() && !path.is_symlink() {
        return Err(Cause::Type {
            path: at.into(),
            what: "a directory",
            wanted: "a link",
        }
        .into());
    }
    if act.will(format!("create symlink at {at} to {to}")) {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Cause::io("create", folder))?;
        }
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).map_err(Cause::io("remove", &path))?;
        }
        symlink(to, &path).map_err(Cause::io("create a link at", &path))?;
    }
    Ok(())
}
