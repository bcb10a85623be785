//! `ark` of the community: software that comes as an archive.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::Definition;
use super::archive::{extract, extract_whole, number};
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Content, Security, bring, mode_of, sum_of_file};
use crate::resource::http::{Fetch, shown};

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
            bring(act, &path, Content::Bytes(text.as_bytes()), open)?;
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
    extract_whole(act, &archive, folder, strip, security)
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
