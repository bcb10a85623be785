//! Where packages of Debian come from: `apt_repository`, `apt_update`, `apt_preference`.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::Definition;
use crate::resource::act::{Act, text_of};
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Content, Security, bring, remove};
use crate::resource::http::Fetch;

pub(super) const APT_REPOSITORY: Definition = Definition {
    kind: Kind::new(
        "apt_repository",
        &[Provides::everywhere("apt_repository")],
        &["add", "remove"],
        &[
            Property::named("repo_name"),
            Property::string("uri").required_for(&["add"]),
            Property::new("distribution", &[Type::String, Type::Boolean]),
            Property::list("components"),
            Property::string("arch"),
            Property::boolean("trusted", false),
            Property::boolean("deb_src", false),
            Property::string("keyserver").or(Default::String("keyserver.ubuntu.com")),
            Property::new("key", &[Type::String, Type::Array, Type::Boolean]),
            Property::new("key_proxy", &[Type::String, Type::Boolean]),
            Property::string("cookbook"),
            Property::boolean("cache_rebuild", true),
            Property::list("options"),
            Property::new("signed_by", &[Type::String, Type::Boolean]),
            // The bytes of `key`, if it is a file of a cookbook.
            Property::string("key_content").internal(),
        ],
    )
    .body("key_content"),
    run: apt_repository,
};

pub(super) const APT_UPDATE: Definition = Definition {
    kind: Kind::new(
        "apt_update",
        &[Provides::everywhere("apt_update")],
        &["periodic", "update"],
        &[Property::integer("frequency").or(Default::Integer(86_400))],
    )
    .repeats(),
    run: apt_update,
};

pub(super) const APT_PREFERENCE: Definition = Definition {
    kind: Kind::new(
        "apt_preference",
        &[Provides::everywhere("apt_preference")],
        &["add", "remove"],
        &[
            Property::named("package_name"),
            Property::string("glob"),
            Property::string("pin").required_for(&["add"]),
            Property::id("pin_priority").required_for(&["add"]),
        ],
    ),
    run: apt_preference,
};

/// Files of repositories are for all to read.
pub(super) const OPEN: Security = Security {
    mode: Some(0o644),
    uid: None,
    gid: None,
};

/// A name that is one of a file.
pub(super) fn file_name(act: &Act<'_>, property: &'static str) -> Result<String, Failure> {
    let name = act.need(property)?;
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(Failure::invalid(
            property,
            format!("`{name}` is no name of a file"),
        ));
    }
    Ok(name)
}

/// The name of the release, as repositories of Debian have it.
fn codename(act: &Act<'_>) -> Option<String> {
    let text = act.machine.read("/etc/os-release")?;
    let find = |key: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    let name = find("VERSION_CODENAME").or_else(|| find("UBUNTU_CODENAME"))?;
    Some(name.trim_matches('"').to_owned())
}

fn apt_repository(act: &mut Act<'_>) -> Result<(), Failure> {
    let name = file_name(act, "repo_name")?;
    let list = act.machine.path(format!("/etc/apt/sources.list.d/{name}.list"));
    if act.action == "remove" {
        remove(act, &list)?;
        for ending in ["asc", "gpg"] {
            let key = act.machine.path(format!("/etc/apt/keyrings/{name}.{ending}"));
            remove(act, &key)?;
        }
        return refresh(act, &name);
    }
    let uri = act.need("uri")?;
    let (uri, personal) = match uri.strip_prefix("ppa:") {
        Some(archive) => {
            let (owner, archive) = archive.split_once('/').unwrap_or((archive, "ppa"));
            (
                format!("http://ppa.launchpad.net/{owner}/{archive}/ubuntu"),
                Some((owner.to_owned(), archive.to_owned())),
            )
        }
        None => (uri, None),
    };
    let key = key(act, &name, personal.as_ref())?;
    let distribution = match act.value("distribution") {
        // It was said that there is none: the repository is flat.
        _ if act
            .request
            .properties
            .get("distribution")
            .is_some_and(Value::is_null) =>
        {
            None
        }
        Some(Value::Bool(_)) => None,
        Some(value) => text_of(&value),
        None => codename(act),
    };
    let mut components = act.list("components");
    if components.is_empty() && personal.is_some() {
        components.push("main".to_owned());
    }
    let mut options = Vec::new();
    if let Some(arch) = act.text("arch") {
        options.push(format!("arch={arch}"));
    }
    if act.flag("trusted") {
        options.push("trusted=yes".to_owned());
    }
    match (act.value("signed_by"), key) {
        (Some(Value::String(path)), _) => options.push(format!("signed-by={path}")),
        (Some(Value::Bool(false)), _) | (_, None) => {}
        (_, Some(path)) => options.push(format!("signed-by={path}")),
    }
    options.extend(act.list("options"));
    let options = if options.is_empty() {
        String::new()
    } else {
        format!("[{}] ", options.join(" "))
    };
    let mut words = vec![uri];
    words.extend(distribution);
    words.extend(components);
    let line = format!("{options}{}", words.join(" "));
    let mut text = format!("deb {line}\n");
    if act.flag("deb_src") {
        text.push_str(&format!("deb-src {line}\n"));
    }
    bring(act, &list, Content::Bytes(text.as_bytes()), OPEN)?;
    refresh(act, &name)
}

/// Brings the keys of the repository where apt finds them, and says where. One file, since apt-key is no more.
fn key(
    act: &mut Act<'_>,
    name: &str,
    personal: Option<&(String, String)>,
) -> Result<Option<String>, Failure> {
    if act.text("key_proxy").is_some_and(|proxy| proxy != "false") {
        act.warn("`key_proxy` is not used: keys come through the proxy that the environment names");
    }
    let mut keys = match act.value("key") {
        Some(Value::Bool(_)) => Vec::new(),
        _ => act.list("key"),
    };
    if let Some((owner, archive)) = personal
        && keys.is_empty()
    {
        let url = format!("https://launchpad.net/api/1.0/~{owner}/+archive/{archive}");
        let answer = match Fetch::get(&url).text(act) {
            Ok(answer) => answer,
            Err(cause) => {
                act.assume(cause)?;
                return Ok(None);
            }
        };
        let facts: Value = serde_json::from_str(&answer).unwrap_or_default();
        keys.extend(facts["signing_key_fingerprint"].as_str().map(str::to_owned));
    }
    if keys.is_empty() {
        return Ok(None);
    }
    // What is there is asked for again only when the recipe asks for something else.
    let marker = act.options.cache_folder.join(format!("apt-key-{name}"));
    let wanted = format!("{}\n", keys.join("\n"));
    for ending in ["asc", "gpg"] {
        let path = format!("/etc/apt/keyrings/{name}.{ending}");
        let is_remote = act.request.body.is_none() && keys.iter().all(|key| !key.starts_with('/'));
        if act.machine.exists(&path)
            && is_remote
            && fs::read_to_string(&marker).is_ok_and(|text| text == wanted)
        {
            return Ok(Some(path));
        }
    }
    let mut bytes = Vec::new();
    for key in &keys {
        match of_key(act, key) {
            Ok(found) => bytes.extend(found),
            Err(failure) => {
                act.assume(failure)?;
                return Ok(None);
            }
        }
    }
    let is_armored = bytes.starts_with(b"-----BEGIN");
    let path = format!(
        "/etc/apt/keyrings/{name}.{}",
        if is_armored { "asc" } else { "gpg" }
    );
    let place = act.machine.path(&path);
    if let Some(folder) = place.parent()
        && !act.options.dry_run
    {
        durable::create_folder(folder, 0o755)
            .map_err(|error| Cause::io("create", folder)(std::io::Error::other(error)))?;
        durable::create_folder(&act.options.cache_folder, 0o700)
            .map_err(|error| Cause::io("create", &act.options.cache_folder)(std::io::Error::other(error)))?;
    }
    bring(act, &place, Content::Bytes(&bytes), OPEN)?;
    if !act.options.dry_run && fs::read_to_string(&marker).ok().as_ref() != Some(&wanted) {
        durable::write_unflushed(&marker, 0o600, wanted.as_bytes())
            .map_err(|error| Cause::io("write", &marker)(std::io::Error::other(error)))?;
    }
    Ok(Some(path))
}

/// The bytes of one key: from an address, a file, a cookbook, or a server of keys.
fn of_key(act: &Act<'_>, key: &str) -> Result<Vec<u8>, Failure> {
    if let Some(body) = &act.request.body {
        return Ok(body.clone());
    }
    if key.contains("://") {
        return Ok(Fetch::get(key).bytes(act)?);
    }
    if key.starts_with('/') {
        let path = act.machine.path(key);
        return Ok(fs::read(&path).map_err(Cause::io("read", &path))?);
    }
    let id = key.trim_start_matches("0x");
    if id.len() < 8 || !id.chars().all(|c| c.is_ascii_hexdigit()) {
        let why = format!("`{key}` is neither an address nor a file nor the id of a key");
        return Err(Failure::invalid("key", why));
    }
    let server = act.need("keyserver")?;
    let server = server.rsplit("://").next().unwrap_or_default().to_owned();
    let server = server.split(':').next().unwrap_or_default();
    let url = format!("https://{server}/pks/lookup?op=get&options=mr&search=0x{id}");
    Ok(Fetch::get(&url).bytes(act)?)
}

/// Lets apt read the lists of one repository again if it has changed.
fn refresh(act: &mut Act<'_>, name: &str) -> Result<(), Failure> {
    let useful = act.report.updated && act.flag("cache_rebuild") && act.machine.is_live();
    if !useful || act.options.dry_run || !act.has("apt-get") {
        return Ok(());
    }
    let list = format!("Dir::Etc::sourcelist=sources.list.d/{name}.list");
    let mut words = vec!["apt-get", "-q", "update", "-o", "DPkg::Lock::Timeout=600"];
    if act.action == "add" {
        words.extend([
            "-o",
            &list,
            "-o",
            "Dir::Etc::sourceparts=-",
            "-o",
            "APT::Get::List-Cleanup=0",
        ]);
    }
    let output = act.ask(&words)?;
    act.report.output = Some(output.ok()?);
    Ok(())
}

/// When the lists were fetched last.
const STAMP: &str = "/var/lib/apt/periodic/update-success-stamp";

fn apt_update(act: &mut Act<'_>) -> Result<(), Failure> {
    act.need_live()?;
    if act.action == "periodic" {
        let frequency = act
            .number("frequency")?
            .and_then(|seconds| u64::try_from(seconds).ok());
        let frequency = Duration::from_secs(frequency.unwrap_or(86_400));
        let changed = |path: &str| {
            fs::metadata(act.machine.path(path))
                .and_then(|metadata| metadata.modified())
                .ok()
        };
        let last = [STAMP, "/var/lib/apt/lists/partial"]
            .into_iter()
            .filter_map(changed)
            .max();
        let has_lists = fs::read_dir(act.machine.path("/var/lib/apt/lists")).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().contains("Packages"))
            })
        });
        let now = u64::try_from(act.options.clock.now().as_second()).unwrap_or_default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
        let is_fresh = last.is_some_and(|last| now.duration_since(last).unwrap_or_default() < frequency);
        if is_fresh && has_lists {
            return Ok(());
        }
    }
    let how = if act.action == "periodic" {
        "update new lists of packages"
    } else {
        "force update new lists of packages"
    };
    if act.will(how) {
        act.report.output = Some(act.call(&["apt-get", "-q", "update", "-o", "DPkg::Lock::Timeout=600"])?);
        let stamp = act.machine.path(STAMP);
        if let Some(folder) = stamp.parent() {
            fs::create_dir_all(folder).map_err(Cause::io("create", folder))?;
        }
        durable::write_unflushed(&stamp, 0o644, b"")
            .map_err(|error| Cause::io("write", &stamp)(std::io::Error::other(error)))?;
    }
    Ok(())
}

fn apt_preference(act: &mut Act<'_>) -> Result<(), Failure> {
    let name = act
        .need("package_name")?
        .replace('.', "_")
        .replace('*', "wildcard");
    let path = act
        .machine
        .path(format!("/etc/apt/preferences.d/{}.pref", name.replace('/', "_")));
    if act.action == "remove" {
        return remove(act, &path);
    }
    let package = act.text("glob").map_or_else(|| act.need("package_name"), Ok)?;
    let (pin, priority) = (act.need("pin")?, act.need("pin_priority")?);
    let text = format!("Package: {package}\nPin: {pin}\nPin-Priority: {priority}\n");
    bring(act, &path, Content::Bytes(text.as_bytes()), OPEN)
}
