//! Users, names, time and the network.

use std::net::ToSocketAddrs;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use nix::sys::utsname::uname;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgid, getgroups, getpid, getppid, getuid};
use node::home::{GROUPS, LOCAL_TIME, USERS};
use serde_json::{Map, Value, json};

use super::{Answered, Refusal, text};

pub(super) fn answer(operation: &str, a: &Value) -> Answered {
    Ok(match operation {
        "boot" => boot(),
        "ids" => ids(),
        "user" => match a {
            Value::String(name) => user(User::from_name(name)),
            _ => user(User::from_uid(Uid::from_raw(id(a)?))),
        },
        "group" => match a {
            Value::String(name) => group(Group::from_name(name)),
            _ => group(Group::from_gid(Gid::from_raw(id(a)?))),
        },
        "users" => rows(USERS, |field| {
            [
                field(0),
                field(1),
                number(&field(2)),
                number(&field(3)),
                field(4),
                field(5),
                field(6),
            ]
            .to_vec()
        }),
        "groups" => rows(GROUPS, |field| {
            let members = field(3);
            let members = members
                .as_str()
                .unwrap_or_default()
                .split(',')
                .filter(|name| !name.is_empty());
            [
                field(0),
                field(1),
                number(&field(2)),
                members.map(str::to_owned).collect::<Vec<_>>().into(),
            ]
            .to_vec()
        }),
        "nproc" => std::thread::available_parallelism().map_or(1, usize::from).into(),
        "uname" => {
            let name = uname().map_err(|error| Refusal::system(error, "uname"))?;
            let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
            json!({
                "sysname": text(name.sysname()),
                "nodename": text(name.nodename()),
                "release": text(name.release()),
                "version": text(name.version()),
                "machine": text(name.machine()),
            })
        }
        "zone" => zone(a)?,
        "resolve" => {
            let name = text(a)?;
            let unknown = || {
                Refusal::new(
                    "SocketError",
                    format!("getaddrinfo: {name}: Name or service not known"),
                )
            };
            let address = (name, 0)
                .to_socket_addrs()
                .ok()
                .and_then(|mut found| found.next());
            address.ok_or_else(unknown)?.ip().to_string().into()
        }
        other => {
            return Err(Refusal::new(
                "NotImplementedError",
                format!("there is no operation `{other}`"),
            ));
        }
    }
    .into())
}

/// What is true for this process only.
fn boot() -> Value {
    let environment: Map<String, Value> = std::env::vars_os()
        .map(|(name, value)| {
            let value = value.to_string_lossy().into_owned();
            (name.to_string_lossy().into_owned(), value.into())
        })
        .collect();
    let folder = std::env::current_dir().ok();
    let folder = folder.and_then(|folder| folder.to_str().map(str::to_owned));
    let zone = local_zone();
    let at_first = zone.to_offset_info(Timestamp::UNIX_EPOCH);
    let is_utc = at_first.offset().seconds() == 0
        && at_first.abbreviation() == "UTC"
        && zone.following(Timestamp::UNIX_EPOCH).next().is_none();
    json!({
        "env": environment,
        "cwd": folder.unwrap_or_else(|| "/".to_owned()),
        "zone": if is_utc { "UTC" } else { "local" },
    })
}

fn ids() -> Value {
    let groups = getgroups().unwrap_or_default();
    json!({
        "pid": getpid().as_raw(),
        "ppid": getppid().as_raw(),
        "uid": getuid().as_raw(),
        "euid": geteuid().as_raw(),
        "gid": getgid().as_raw(),
        "egid": getegid().as_raw(),
        "groups": groups.iter().map(|group| group.as_raw()).collect::<Vec<_>>(),
    })
}

/// The zone of this machine. From its file, because for its name all zones there are would be listed: milliseconds.
fn local_zone() -> TimeZone {
    if std::env::var_os("TZ").is_some() {
        return TimeZone::system();
    }
    match std::fs::read(LOCAL_TIME) {
        Ok(bytes) => TimeZone::tzif("", &bytes).unwrap_or_else(|_| TimeZone::system()),
        // As the C library has it.
        Err(_) => TimeZone::UTC,
    }
}

/// `[name, seconds, whether they are local time]`: offset in seconds, name and whether it is summer.
fn zone(a: &Value) -> Result<Value, Refusal> {
    let zone = local_zone();
    let outside = |_| Refusal::new("RangeError", "the time is outside the years 1 to 9999");
    let mut time = Timestamp::from_second(a[1].as_i64().unwrap_or_default()).map_err(outside)?;
    if a[2] == true {
        let local: civil::DateTime = TimeZone::UTC.to_datetime(time);
        time = zone.to_timestamp(local).map_err(outside)?;
    }
    let info = zone.to_offset_info(time);
    Ok(json!([
        info.offset().seconds(),
        info.abbreviation(),
        info.dst().is_dst()
    ]))
}

fn id(value: &Value) -> Result<u32, Refusal> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| Refusal::argument(format!("`{value}` is no number of a user or group")))
}

fn user(found: nix::Result<Option<User>>) -> Value {
    match found.ok().flatten() {
        Some(user) => json!([
            user.name,
            user.passwd.to_string_lossy(),
            user.uid.as_raw(),
            user.gid.as_raw(),
            user.gecos.to_string_lossy(),
            user.dir,
            user.shell,
        ]),
        None => Value::Null,
    }
}

fn group(found: nix::Result<Option<Group>>) -> Value {
    match found.ok().flatten() {
        Some(group) => json!([
            group.name,
            group.passwd.to_string_lossy(),
            group.gid.as_raw(),
            group.mem
        ]),
        None => Value::Null,
    }
}

/// The rows of a file of users or groups.
fn rows(path: &str, row: impl Fn(&dyn Fn(usize) -> Value) -> Vec<Value>) -> Value {
    let lines = std::fs::read_to_string(path).unwrap_or_default();
    let rows = lines
        .lines()
        .filter(|line| !line.starts_with(['+', '-', '#']) && line.contains(':'));
    let rows = rows.map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        Value::Array(row(&|index| {
            fields.get(index).copied().unwrap_or_default().into()
        }))
    });
    rows.collect()
}

fn number(field: &Value) -> Value {
    field
        .as_str()
        .and_then(|text| text.parse::<u32>().ok())
        .unwrap_or_default()
        .into()
}

/// The number of a user that is given by name or number; none for `-1`.
pub(super) fn user_of(value: &Value) -> Result<Option<u32>, Refusal> {
    known(value, "user", |name| {
        User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
    })
}

/// As [`user_of`], for a group.
pub(super) fn group_of(value: &Value) -> Result<Option<u32>, Refusal> {
    known(value, "group", |name| {
        Group::from_name(name)
            .ok()
            .flatten()
            .map(|group| group.gid.as_raw())
    })
}

fn known(value: &Value, what: &str, find: impl Fn(&str) -> Option<u32>) -> Result<Option<u32>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_u64().and_then(|number| u32::try_from(number).ok())),
        other => {
            let name = text(other)?;
            let number = find(name).or_else(|| name.parse().ok());
            number
                .map(Some)
                .ok_or_else(|| Refusal::argument(format!("can't find {what} for {name}")))
        }
    }
}
