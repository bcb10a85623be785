//! Applies requests.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::unistd::syncfs;
use node::clock::{Clock, SystemClock};
use node::command::{Stop, Tee};
use node::home::Home;
use serde_json::Value;

use super::act::Act;
use super::catalogue::{self, COMMON, Kind, Required, Type};
use super::error::{Cause, Failure, ResourceError};
use super::machine::Machine;
use super::request::{Report, Request};

/// Which distribution a machine runs, in Ohai's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Platform {
    /// `platform`: `ubuntu`.
    pub name: String,
    /// `platform_family`: `debian`.
    pub family: String,
    /// `platform_version`: `22.04`.
    pub version: String,
}

impl Platform {
    /// The first number of the version.
    pub fn major(&self) -> Option<u32> {
        self.version.split('.').next()?.parse().ok()
    }
}

/// How requests are applied.
#[derive(Clone)]
pub struct Options {
    /// Change nothing, and report what would be changed.
    pub dry_run: bool,
    /// Where files are kept that were replaced or removed, with their whole paths: Chef's `file_backup_path`.
    pub backup_folder: PathBuf,
    /// For downloads, and what is known of them: Chef's `file_cache_path`.
    pub cache_folder: PathBuf,
    /// How long a program may take that a recipe sets no limit for.
    pub time_limit: Duration,
    /// The machine's platform.
    pub platform: Platform,
    /// The time of day, for the names of backups.
    pub clock: Arc<dyn Clock>,
    /// Ends programs that run.
    pub stop: Stop,
    /// Sees the output of commands as it comes, if their recipe wants that (`live_stream`).
    pub live: Option<Tee>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("dry_run", &self.dry_run)
            .field("backup_folder", &self.backup_folder)
            .field("cache_folder", &self.cache_folder)
            .field("time_limit", &self.time_limit)
            .field("platform", &self.platform)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Those of a node: everything is kept in its home, and a program may take an hour.
    pub fn of(home: &Home, platform: Platform) -> Self {
        let folder = home.root().join("system/chef");
        Self {
            dry_run: false,
            backup_folder: folder.join("backup"),
            cache_folder: folder.join("cache"),
            time_limit: Duration::from_secs(3600),
            platform,
            clock: Arc::new(SystemClock),
            stop: Stop::new(),
            live: None,
        }
    }
}

/// What one request found out that others need not find out again.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// A folder on each file system that new files were written to, by its device.
    pub(crate) written: Mutex<BTreeMap<u64, PathBuf>>,
    /// Whether the kernel has SELinux.
    pub(crate) selinux: OnceLock<bool>,
    /// Which packages are installed.
    pub(crate) packages: Mutex<crate::resource::kinds::package::Cache>,
}

/// Applies requests to one machine.
#[derive(Debug)]
pub struct Runner {
    machine: Machine,
    options: Options,
    shared: Shared,
}

impl Runner {
    /// For a machine.
    pub fn new(machine: Machine, options: Options) -> Self {
        Self {
            machine,
            options,
            shared: Shared::default(),
        }
    }

    /// How requests are applied.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Does what is asked, if it is not so already.
    ///
    /// # Errors
    /// With the resource, the action, the property if one is to blame, and the cause. What was changed before stays so.
    pub fn run(&self, request: &Request) -> Result<Report, Box<ResourceError>> {
        perform(request, &self.machine, &self.options, &self.shared)
    }

    /// Flushes what was written to the disk, once and not file by file. To be called at the end of a run: until then
    /// a power cut takes new files. A file that is replaced is flushed at once: after a power cut it is the old one
    /// or the new one.
    ///
    /// # Errors
    /// The first file system that cannot be flushed.
    pub fn flush(&self) -> Result<(), durable::Error> {
        let mut written = self.shared.written.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in std::mem::take(&mut *written).into_values() {
            let failed = |source| durable::Error::Io {
                action: "write",
                path: folder.clone(),
                source,
            };
            match File::open(&folder) {
                Ok(open) => syncfs(open).map_err(|error| failed(error.into()))?,
                // A later resource has removed it, or unmounted what it was on, which flushes too.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }
}

/// Does what a request asks.
pub(crate) fn perform(
    request: &Request,
    machine: &Machine,
    options: &Options,
    shared: &Shared,
) -> Result<Report, Box<ResourceError>> {
    let Some(definition) = catalogue::definition(&request.kind, &options.platform) else {
        let names = catalogue::catalogue()
            .flat_map(|kind| kind.provides)
            .map(|provides| provides.name);
        let closest = catalogue::closest(&request.kind, names);
        let cause = if closest == Some(request.kind.as_str()) {
            let platform = match options.platform.name.as_str() {
                "" => "a platform that is not known",
                name => name,
            };
            Cause::Unsupported(format!("`{}` cannot be had on {platform}", request.kind))
        } else {
            Cause::UnknownKind { closest }
        };
        let action = request.action.as_deref().unwrap_or_default();
        return Err(error(request, action, Failure::from(cause)));
    };
    let kind = &definition.kind;
    let action = request.action.as_deref().unwrap_or(kind.default_action);
    if action == "nothing" {
        return Ok(Report::default());
    }
    let failed = |failure| error(request, action, failure);
    if !kind.actions.contains(&action) {
        let closest = catalogue::closest(action, kind.actions.iter().copied());
        return Err(failed(Failure::from(Cause::UnknownAction { closest })));
    }
    if let Err((property, cause)) = check(kind, action, request) {
        let mut error = failed(Failure::from(cause));
        error.property = Some(property);
        return Err(error);
    }
    let mut act = Act::new(request, kind, action, machine, options, shared);
    (definition.run)(&mut act).map_err(failed)?;
    Ok(act.into_report())
}

fn error(request: &Request, action: &str, failure: Failure) -> Box<ResourceError> {
    Box::new(ResourceError {
        resource: format!("{}[{}]", request.kind, request.name),
        action: action.to_owned(),
        property: failure.property.map(str::to_owned),
        cause: failure.cause,
    })
}

/// Whether all properties are known and have values that they take.
fn check(kind: &'static Kind, action: &str, request: &Request) -> Result<(), (String, Cause)> {
    for (name, value) in &request.properties {
        let Some(property) = kind.property(name) else {
            let names = kind.properties.iter().chain(COMMON);
            let closest = catalogue::closest(name, names.map(|property| property.name));
            return Err((name.clone(), Cause::UnknownProperty { closest }));
        };
        if value.is_null() {
            continue;
        }
        let fits = property.types.is_empty() || property.types.iter().any(|kind| is(*kind, value));
        if !fits {
            let types: Vec<_> = property.types.iter().map(|kind| article(*kind)).collect();
            let why = format!(
                "it must be {}, not {}",
                types.join(" or "),
                shown(value, property.sensitive)
            );
            return Err((name.clone(), Cause::Invalid(why)));
        }
        let of_list = || {
            value
                .as_array()
                .map_or(std::slice::from_ref(value), Vec::as_slice)
        };
        let allowed = |value: &Value| value.as_str().is_none_or(|text| property.one_of.contains(&text));
        if !property.one_of.is_empty() && !of_list().iter().all(allowed) {
            let why = format!(
                "it must be one of {}, not {}",
                property.one_of.join(", "),
                shown(value, property.sensitive)
            );
            return Err((name.clone(), Cause::Invalid(why)));
        }
    }
    let is_set = |property: &catalogue::Property| {
        let names = property.aliases.iter().chain([&property.name]);
        let mut values = names.filter_map(|name| request.properties.get(*name));
        values.any(|value| !value.is_null()) || (kind.body == Some(property.name) && request.body.is_some())
    };
    for property in kind.properties {
        let required = match property.required {
            Required::No => false,
            Required::Yes => true,
            Required::For(actions) => actions.contains(&action),
        };
        if required && !is_set(property) {
            return Err((property.name.to_owned(), Cause::Missing));
        }
    }
    Ok(())
}

fn is(kind: Type, value: &Value) -> bool {
    match kind {
        Type::String => value.is_string(),
        Type::Integer => value.is_i64() || value.is_u64(),
        Type::Float => value.is_number(),
        Type::Boolean => value.is_boolean(),
        Type::Array => value.is_array(),
        Type::Hash => value.is_object(),
        Type::Regexp => value.get("regexp").is_some(),
    }
}

fn article(kind: Type) -> &'static str {
    match kind {
        Type::String => "a string",
        Type::Integer => "an integer",
        Type::Float => "a number",
        Type::Boolean => "true or false",
        Type::Array => "an array",
        Type::Hash => "a hash",
        Type::Regexp => "a regular expression",
    }
}

fn shown(value: &Value, sensitive: bool) -> String {
    if sensitive {
        "what was given".to_owned()
    } else {
        value.to_string()
    }
}
