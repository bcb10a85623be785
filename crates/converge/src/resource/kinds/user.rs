//! `user`.

use jiff::Timestamp;

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Kind, Property, Provides};
use crate::resource::error::{Cause, Failure};
use crate::resource::machine::Account;

pub(super) const USER: Definition = Definition {
    kind: Kind::new(
        "user",
        &[Provides::everywhere("user"), Provides::everywhere("linux_user")],
        &["create", "remove", "manage", "modify", "lock", "unlock"],
        &[
            Property::named("username"),
            Property::string("comment"),
            Property::string("home"),
            Property::string("shell"),
            Property::id("uid"),
            Property::id("gid").aliases(&["group"]),
            Property::string("password").sensitive(),
            Property::boolean("system", false),
            Property::boolean("manage_home", false),
            Property::boolean("non_unique", false),
            Property::boolean("force", false),
            Property::string("expire_date"),
            Property::id("inactive"),
            Property::string("full_name"),
            Property::string("salt"),
            Property::integer("iterations"),
        ],
    ),
    run,
};

/// What the recipe wants of the user, and what differs from it.
struct Wanted {
    /// Arguments of useradd(8) and usermod(8).
    arguments: Vec<String>,
    changes: Vec<String>,
}

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    act.need_live()?;
    let name = act.need("username")?;
    let now = act.machine.account(&name);
    match (act.action, now) {
        ("create", None) => create(act, &name),
        ("create" | "modify" | "manage", Some(now)) => alter(act, &name, &now),
        ("manage" | "remove", None) => Ok(()),
        ("remove", Some(_)) => {
            if act.will(format!("remove user {name}")) {
                let mut words = vec!["userdel"];
                if act.flag("manage_home") {
                    words.push("-r");
                }
                if act.flag("force") {
                    words.push("-f");
                }
                words.push(&name);
                act.call(&words)?;
            }
            Ok(())
        }
        ("lock" | "unlock", Some(_)) => lock(act, &name, act.action == "lock"),
        (_, None) => act.assume(Cause::NoUser(name)),
        (_, Some(_)) => Ok(()),
    }
}

/// Compares what is wanted with what is.
fn wanted(act: &mut Act<'_>, now: Option<&Account>) -> Result<Wanted, Failure> {
    let mut wanted = Wanted {
        arguments: Vec::new(),
        changes: Vec::new(),
    };
    let mut want = |flag: &str, what: &str, value: Option<String>, now: Option<String>| {
        let Some(value) = value else { return };
        if now.as_ref() == Some(&value) {
            return;
        }
        if let Some(now) = now {
            wanted
                .changes
                .push(format!("change {what} from {now} to {value}"));
        }
        wanted.arguments.extend([flag.to_owned(), value]);
    };
    let gid = match act.text("gid") {
        Some(group) => match act.machine.gid(&group) {
            Ok(gid) => Some(gid.to_string()),
            Err(cause) => {
                act.assume(cause)?;
                None
            }
        },
        None => None,
    };
    let get = |field: fn(&Account) -> String| now.map(field);
    want(
        "-c",
        "comment",
        act.text("comment"),
        get(|now| now.comment.clone()),
    );
    want("-d", "home", act.text("home"), get(|now| now.home.clone()));
    want("-s", "shell", act.text("shell"), get(|now| now.shell.clone()));
    want("-u", "uid", act.text("uid"), get(|now| now.uid.to_string()));
    want("-g", "gid", gid, get(|now| now.gid.to_string()));
    let aging = |number: usize| {
        now.and_then(|now| shadow(act, &now.name, number))
            .unwrap_or_default()
    };
    let known = |text: String| now.map(|_| text);
    want(
        "-e",
        "expire_date",
        act.text("expire_date"),
        known(date(&aging(EXPIRES))),
    );
    want("-f", "inactive", act.text("inactive"), known(aging(INACTIVE)));
    if let Some(password) = act.text("password") {
        let is = now.and_then(|now| shadow(act, &now.name, HASH));
        if is.as_ref() != Some(&password) {
            if now.is_some() {
                wanted.changes.push("change password".to_owned());
            }
            wanted.arguments.extend(["-p".to_owned(), password]);
        }
    }
    Ok(wanted)
}

/// Fields of shadow(5) behind the name, by their number.
const HASH: usize = 0;
const INACTIVE: usize = 5;
const EXPIRES: usize = 6;

fn shadow(act: &Act<'_>, name: &str, field: usize) -> Option<String> {
    let text = act.machine.read("/etc/shadow")?;
    let mut fields = text
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    fields.nth(field).map(str::to_owned)
}

/// Days since 1970 as a date; empty for none.
fn date(days: &str) -> String {
    let day = days.parse::<i64>().ok().and_then(|days| days.checked_mul(86_400));
    let time = day.and_then(|second| Timestamp::from_second(second).ok());
    time.map(|time| time.strftime("%Y-%m-%d").to_string())
        .unwrap_or_default()
}

fn create(act: &mut Act<'_>, name: &str) -> Result<(), Failure> {
    let wanted = wanted(act, None)?;
    if act.will(format!("create user {name}")) {
        let mut words = vec!["useradd".to_owned()];
        words.extend(wanted.arguments);
        if act.flag("system") {
            words.push("-r".to_owned());
        }
        if act.flag("non_unique") {
            words.push("-o".to_owned());
        }
        // A system's own default must not decide.
        words.push(if act.flag("manage_home") { "-m" } else { "-M" }.to_owned());
        words.push(name.to_owned());
        call(act, &words)?;
    }
    Ok(())
}

fn alter(act: &mut Act<'_>, name: &str, now: &Account) -> Result<(), Failure> {
    let wanted = wanted(act, Some(now))?;
    if wanted.arguments.is_empty() {
        return Ok(());
    }
    let mut sentences = vec![format!("alter user {name}")];
    sentences.extend(wanted.changes);
    if act.will_all(sentences) {
        let mut words = vec!["usermod".to_owned()];
        if act.flag("manage_home") && wanted.arguments.iter().any(|word| word == "-d") {
            words.push("-m".to_owned());
        }
        if act.flag("non_unique") {
            words.push("-o".to_owned());
        }
        words.extend(wanted.arguments);
        words.push(name.to_owned());
        call(act, &words)?;
    }
    Ok(())
}

/// Runs a program whose arguments may hold the hash of a password: errors name it without them.
fn call(act: &Act<'_>, words: &[String]) -> Result<(), Failure> {
    let program = words.first().map_or("", String::as_str);
    let command = words
        .iter()
        .skip(1)
        .fold(act.program(program), |command, word| command.arg(word));
    let name = words.last().map_or("", String::as_str);
    act.finish(command, &format!("{program} … {name}"))?
        .ok()
        .map(drop)
}

fn lock(act: &mut Act<'_>, name: &str, wanted: bool) -> Result<(), Failure> {
    let is_locked = shadow(act, name, HASH).is_some_and(|hash| hash.starts_with('!'));
    let verb = if wanted { "lock" } else { "unlock" };
    if is_locked != wanted && act.will(format!("{verb} user {name}")) {
        act.call(&["usermod", if wanted { "-L" } else { "-U" }, name])?;
    }
    Ok(())
}
