//! Other hosts: `hostsfile_entry` of the community, and `ssh_known_hosts_entry`.

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Security, edit};

pub(super) const HOSTSFILE_ENTRY: Definition = Definition {
    kind: Kind::new(
        "hostsfile_entry",
        &[Provides::everywhere("hostsfile_entry")],
        &["create", "create_if_missing", "append", "update", "remove"],
        &[
            Property::named("ip_address"),
            Property::string("hostname").required_for(&["create", "create_if_missing", "append", "update"]),
            Property::list("aliases"),
            Property::string("comment"),
            Property::integer("priority"),
            Property::boolean("unique", false),
        ],
    ),
    run: hostsfile_entry,
};

pub(super) const SSH_KNOWN_HOSTS_ENTRY: Definition = Definition {
    kind: Kind::new(
        "ssh_known_hosts_entry",
        &[Provides::everywhere("ssh_known_hosts_entry")],
        &["create", "flush"],
        &[
            Property::named("host"),
            Property::string("key"),
            Property::string("key_type").or(Default::String("rsa")),
            Property::integer("port").or(Default::Integer(22)),
            Property::integer("timeout").or(Default::Integer(30)),
            Property::id("mode").or(Default::String("0644")),
            Property::id("owner").or(Default::String("root")),
            Property::id("group").or(Default::String("root")),
            Property::boolean("hash_entries", false),
            Property::new("file_location", &[Type::String]).or(Default::String("/etc/ssh/ssh_known_hosts")),
        ],
    ),
    run: ssh_known_hosts_entry,
};

/// The address and the names of a line of hosts(5); none when it has none.
fn fields(line: &str) -> Option<(&str, Vec<&str>)> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_whitespace();
    Some((words.next()?, words.collect()))
}

fn hostsfile_entry(act: &mut Act<'_>) -> Result<(), Failure> {
    let address = act.need("ip_address")?;
    if address.parse::<std::net::IpAddr>().is_err() {
        return Err(Failure::invalid(
            "ip_address",
            format!("`{address}` is no address"),
        ));
    }
    let path = act.machine.target("/etc/hosts");
    let text = act.machine.read("/etc/hosts").unwrap_or_default();
    let there = text
        .lines()
        .filter_map(fields)
        .find(|(known, _)| *known == address);
    let mut names: Vec<String> = act.text("hostname").into_iter().collect();
    names.extend(act.list("aliases"));
    match (act.action, &there) {
        ("create_if_missing", Some(_)) | ("update" | "remove", None) => return Ok(()),
        ("append", Some((_, known))) => {
            let mut all: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
            all.extend(names);
            names = all;
        }
        _ => {}
    }
    let mut seen = Vec::new();
    names.retain(|name| {
        let is_new = !seen.contains(name);
        seen.push(name.clone());
        is_new
    });
    let comment = act
        .text("comment")
        .map(|comment| format!(" # {comment}"))
        .unwrap_or_default();
    let line = format!("{address} {}{comment}", names.join(" "));
    let (removes, unique) = (act.action == "remove", act.flag("unique"));
    edit(act, &path, Security::default(), |text| {
        let (mut new, mut done) = (String::new(), false);
        for old in text.lines() {
            match fields(old) {
                Some((known, now)) if known == address => {
                    // The same, however its blanks are.
                    let is_same = now == names && old.contains('#') != comment.is_empty();
                    if !removes && !done {
                        new.push_str(if is_same { old } else { &line });
                        new.push('\n');
                    }
                    done = true;
                }
                // A name may stand for one address only, if that is wanted.
                Some((known, now))
                    if unique && !removes && now.iter().any(|name| seen.iter().any(|own| own == name)) =>
                {
                    let rest: Vec<_> = now
                        .into_iter()
                        .filter(|name| !seen.iter().any(|own| own == name))
                        .collect();
                    if !rest.is_empty() {
                        new.push_str(&format!("{known} {}\n", rest.join(" ")));
                    }
                }
                _ => {
                    new.push_str(old);
                    new.push('\n');
                }
            }
        }
        if !done && !removes {
            new.push_str(&line);
            new.push('\n');
        }
        new
    })
}

fn ssh_known_hosts_entry(act: &mut Act<'_>) -> Result<(), Failure> {
    let location = act.need("file_location")?;
    let path = act.machine.target(&location);
    if act.action == "flush" {
        return edit(act, &path, Security::default(), |text| {
            let mut lines: Vec<&str> = Vec::new();
            for line in text.lines() {
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
            lines.iter().flat_map(|line| [*line, "\n"]).collect()
        });
    }
    let host = act.need("host")?;
    if host.starts_with('-') || host.is_empty() || host.contains(char::is_whitespace) {
        return Err(Failure::invalid("host", format!("`{host}` is no name of a host")));
    }
    let (port, kind) = (act.number("port")?.unwrap_or(22), act.need("key_type")?);
    let shown = if port == 22 {
        host.clone()
    } else {
        format!("[{host}]:{port}")
    };
    let kind_name = match kind.as_str() {
        "rsa" | "dsa" => format!("ssh-{}", kind.replace("dsa", "dss")),
        "ed25519" => "ssh-ed25519".to_owned(),
        "ecdsa" => "ecdsa-sha2-nistp256".to_owned(),
        other => other.to_owned(),
    };
    let now = act.machine.read(&location).unwrap_or_default();
    let is_ours = |line: &str| {
        let mut words = line.split_whitespace();
        words
            .next()
            .is_some_and(|names| names.split(',').any(|name| name == shown))
            && words.next() == Some(&kind_name)
    };
    let line = match act.text("key") {
        // It may be the key alone, with its type, or the whole line.
        Some(key) => match key.split_whitespace().collect::<Vec<_>>().as_slice() {
            [key] => format!("{shown} {kind_name} {key}"),
            [kind, key] => format!("{shown} {kind} {key}"),
            words => words.join(" "),
        },
        // The host is asked once: a key that changes is a reason to look, not to believe.
        None if now.lines().any(is_ours) => return Ok(()),
        None => {
            let (seconds, port) = (act.number("timeout")?.unwrap_or(30).to_string(), port.to_string());
            let output = act.ask(&["ssh-keyscan", "-T", &seconds, "-t", &kind, "-p", &port, &host])?;
            let found = output.text.lines().find(|line| is_ours(line)).map(str::to_owned);
            match found {
                Some(line) => line,
                None => {
                    let why = format!("`{shown}` shows no key of the type {kind}");
                    act.assume(Cause::Invalid(why))?;
                    let _ = act.will(format!("add the key of {shown} to {location}"));
                    return Ok(());
                }
            }
        }
    };
    let security = Security::of(act)?;
    edit(act, &path, security, |text| {
        let (mut new, mut done) = (String::new(), false);
        for old in text.lines() {
            let is_it = is_ours(old);
            if !is_it || !done {
                new.push_str(if is_it { &line } else { old });
                new.push('\n');
            }
            done |= is_it;
        }
        if !done && !text.lines().any(|old| old == line) {
            new.push_str(&line);
            new.push('\n');
        }
        new
    })
}
