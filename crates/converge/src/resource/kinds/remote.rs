//! `remote_file` and `http_request`.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::Definition;
use crate::resource::act::{Act, text_of};
use crate::resource::catalogue::{Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Content, file_properties, manage, remove, sha256, sum_of_file};
use crate::resource::http::{Answer, Fetch, shown};

pub(super) const REMOTE_FILE: Definition = Definition {
    kind: Kind::new(
        "remote_file",
        &[Provides::everywhere("remote_file")],
        &["create", "create_if_missing", "delete", "touch"],
        file_properties![
            Property::list("source").required_for(&["create", "create_if_missing"]),
            Property::string("checksum"),
            Property::hash("headers"),
            Property::boolean("use_etag", true).aliases(&["use_etags"]),
            Property::boolean("use_last_modified", true),
            Property::new("use_conditional_get", &[Type::Boolean]),
            Property::hash("http_options"),
            Property::boolean("ftp_active_mode", false),
            Property::boolean("show_progress", false),
            Property::string("ssl_verify_mode").one_of(&["verify_none", "verify_peer"]),
            Property::string("remote_user"),
            Property::string("remote_domain"),
            Property::string("remote_password").sensitive(),
            Property::string("authentication"),
        ],
    ),
    run: remote_file,
};

pub(super) const HTTP_REQUEST: Definition = Definition {
    kind: Kind::new(
        "http_request",
        &[Provides::everywhere("http_request")],
        &["get", "delete", "head", "options", "patch", "post", "put"],
        &[
            Property::named("url"),
            Property::hash("headers"),
            Property::new("message", &[Type::String, Type::Hash, Type::Array]),
        ],
    )
    .repeats(),
    run: http_request,
};

/// What is known of a download: with it the server need not send again what is there.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    etag: Option<String>,
    last_modified: Option<String>,
    /// The SHA-256 of what came.
    sha256: String,
}

fn remote_file(act: &mut Act<'_>) -> Result<(), Failure> {
    let path = act.path("path")?;
    match act.action {
        "delete" => return remove(act, &path),
        "create_if_missing" if path.exists() => return Ok(()),
        "touch" => return manage(act, Content::Any, false),
        _ => {}
    }
    let place = act.machine.target(act.need("path")?);
    let checksum = act.text("checksum").map(|sum| sum.to_ascii_lowercase());
    if let Some(wanted) = &checksum
        && place.is_file()
        && sum_of_file(&place)? == *wanted
    {
        return manage(act, Content::Any, false);
    }
    let mut last = None;
    for source in act.list("source") {
        match fetch(act, &source, &place, checksum.as_deref()) {
            Ok(Fetched::Same) => return manage(act, Content::Any, false),
            Ok(Fetched::File(file)) => return manage(act, Content::Of(&file), false),
            Ok(Fetched::New(file, known)) => {
                manage(act, Content::Of(file.path()), false)?;
                durable::failpoint::reached("downloaded");
                return remember(act, &source, &known);
            }
            // The next source may be better.
            Err(failure) => last = Some(failure),
        }
    }
    match last {
        Some(failure) => {
            act.assume(failure)?;
            let _ = act.will(format!("create new file {}", act.machine.seen(&path).display()));
            Ok(())
        }
        None => Err(Failure::missing("source")),
    }
}

enum Fetched {
    /// It is what is there.
    Same,
    /// A file of this machine.
    File(PathBuf),
    /// A file that came.
    New(NamedTempFile, Known),
}

fn fetch(act: &Act<'_>, source: &str, place: &Path, checksum: Option<&str>) -> Result<Fetched, Failure> {
    let local = match source.strip_prefix("file://") {
        Some(rest) => Some(rest.trim_start_matches("localhost").to_owned()),
        None if source.starts_with('/') => Some(source.to_owned()),
        None => None,
    };
    if let Some(path) = local {
        let path = act.machine.path(unescape(&path));
        if !path.is_file() {
            return Err(Cause::io("read", &path)(std::io::ErrorKind::NotFound.into()).into());
        }
        check(source, &sum_of_file_if(checksum, &path)?, checksum)?;
        return Ok(Fetched::File(path));
    }
    if !source.starts_with("http://") && !source.starts_with("https://") {
        let why = format!("`{}` is neither http, https nor a file", shown(source));
        return Err(Failure::invalid("source", why));
    }
    let mut request = Fetch::get(source);
    request.headers = act.pairs("headers");
    request.anybody = act.text("ssl_verify_mode").as_deref() == Some("verify_none");
    let conditional = act.set("use_conditional_get").and_then(Value::as_bool);
    let known = durable::read_json::<Known>(&cache_file(act, source))
        .ok()
        .flatten();
    if let Some(known) = &known
        && checksum.is_none()
        && place.is_file()
        && sum_of_file(place)? == known.sha256
    {
        let wants = |name: &str| conditional.unwrap_or_else(|| act.flag(name));
        if let Some(etag) = known.etag.as_ref().filter(|_| wants("use_etag")) {
            request.headers.push(("If-None-Match".to_owned(), etag.clone()));
        }
        if let Some(time) = known
            .last_modified
            .as_ref()
            .filter(|_| wants("use_last_modified"))
        {
            request
                .headers
                .push(("If-Modified-Since".to_owned(), time.clone()));
        }
    }
    let mut file = temporary(act)?;
    let answer = request.save(act, file.as_file_mut())?;
    if answer.status == 304 {
        return Ok(Fetched::Same);
    }
    let sum = sum_of_file(file.path())?;
    check(source, &sum, checksum)?;
    let known = known_of(&answer, sum);
    Ok(Fetched::New(file, known))
}

fn known_of(answer: &Answer, sha256: String) -> Known {
    Known {
        etag: answer.header("etag"),
        last_modified: answer.header("last-modified"),
        sha256,
    }
}

fn sum_of_file_if(checksum: Option<&str>, path: &Path) -> Result<String, Failure> {
    match checksum {
        Some(_) => sum_of_file(path),
        None => Ok(String::new()),
    }
}

fn check(what: &str, found: &str, wanted: Option<&str>) -> Result<(), Failure> {
    match wanted {
        Some(wanted) if wanted != found => Err(Cause::Checksum {
            what: shown(what),
            found: found.to_owned(),
            wanted: wanted.to_owned(),
        }
        .into()),
        _ => Ok(()),
    }
}

/// Characters of an address that are written as `%20`.
fn unescape(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A place for a download: in the cache, where there is room for it, or where nothing of ours is changed.
fn temporary(act: &Act<'_>) -> Result<NamedTempFile, Failure> {
    let folder = if act.options.dry_run {
        std::env::temp_dir()
    } else {
        let folder = act.options.cache_folder.clone();
        fs::create_dir_all(&folder).map_err(Cause::io("create", &folder))?;
        folder
    };
    let file = tempfile::Builder::new().prefix(".download-").tempfile_in(&folder);
    Ok(file.map_err(Cause::io("write in", &folder))?)
}

fn cache_file(act: &Act<'_>, source: &str) -> PathBuf {
    let name = sha256(source.as_bytes());
    act.options
        .cache_folder
        .join("remote_file")
        .join(format!("{name}.json"))
}

fn remember(act: &Act<'_>, source: &str, known: &Known) -> Result<(), Failure> {
    if act.options.dry_run || (known.etag.is_none() && known.last_modified.is_none()) {
        return Ok(());
    }
    let path = cache_file(act, source);
    let failed = |error: durable::Error| Cause::io("write", &path)(std::io::Error::other(error));
    if let Some(folder) = path.parent() {
        durable::create_folder(folder, 0o700).map_err(failed)?;
    }
    let failed = |error: durable::Error| Cause::io("write", &path)(std::io::Error::other(error));
    Ok(durable::write_json_unflushed(&path, 0o600, known).map_err(failed)?)
}

fn http_request(act: &mut Act<'_>) -> Result<(), Failure> {
    let url = act.need("url")?;
    let name = act.action.to_ascii_uppercase();
    let method = Method::from_bytes(name.as_bytes()).unwrap_or(Method::GET);
    let mut request = Fetch {
        method,
        headers: act.pairs("headers"),
        ..Fetch::get(&url)
    };
    if matches!(act.action, "post" | "put" | "patch") {
        request = match act.value("message") {
            Some(value) if text_of(&value).is_none() => request.json(value.to_string()),
            value => Fetch {
                body: Some(value.as_ref().and_then(text_of).unwrap_or_default().into_bytes()),
                ..request
            },
        };
    }
    if act.will(format!("{name} to {}", shown(&url))) {
        let mut file = temporary(act)?;
        let answer = request.save(act, file.as_file_mut())?;
        act.report.body = Some(fs::read(file.path()).map_err(Cause::io("read", file.path()))?);
        act.report.result = json!({ "status": answer.status });
    }
    Ok(())
}
