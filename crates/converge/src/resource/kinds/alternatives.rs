//! `alternatives`: which of several programs has a common name.

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Kind, Property, Provides};
use crate::resource::error::{Cause, Failure};

pub(super) const ALTERNATIVES: Definition = Definition {
    kind: Kind::new(
        "alternatives",
        &[Provides::everywhere("alternatives")],
        &["install", "auto", "refresh", "remove", "set"],
        &[
            Property::named("link_name"),
            Property::string("link"),
            Property::string("path").required_for(&["install", "set", "remove"]),
            Property::integer("priority").required_for(&["install"]),
        ],
    ),
    run,
};

/// What is known of the name.
#[derive(Debug, Default)]
struct Known {
    is_auto: bool,
    current: Option<String>,
    /// Paths with their priorities.
    choices: Vec<(String, i64)>,
}

/// Reads what both families of the program say: Debian's by fields, Red Hat's in sentences.
fn parse(text: &str) -> Known {
    let mut known = Known::default();
    for line in text.lines() {
        let line = line.trim();
        if let Some(path) = line.strip_prefix("Alternative:") {
            known.choices.push((path.trim().to_owned(), 0));
        } else if let Some(priority) = line.strip_prefix("Priority:") {
            if let Some(last) = known.choices.last_mut() {
                last.1 = priority.trim().parse().unwrap_or(0);
            }
        } else if let Some(status) = line.strip_prefix("Status:") {
            known.is_auto = status.trim() == "auto";
        } else if let Some(path) = line
            .strip_prefix("Value:")
            .or_else(|| line.strip_prefix("link currently points to"))
        {
            known.current = Some(path.trim().to_owned()).filter(|path| path != "none");
        } else if line.contains("status is auto") {
            known.is_auto = true;
        } else if let Some((path, rest)) = line.split_once(" - ")
            && let Some(priority) = rest
                .strip_prefix("priority ")
                .or_else(|| rest.split("priority ").nth(1))
        {
            known
                .choices
                .push((path.to_owned(), priority.trim().parse().unwrap_or(0)));
        }
    }
    known
}

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    act.need_live()?;
    let program = ["update-alternatives", "alternatives"]
        .into_iter()
        .find(|program| act.has(program));
    let Some(program) = program else {
        let why = "there is neither `update-alternatives` nor `alternatives` on this machine".to_owned();
        return act.assume(Cause::Unsupported(why));
    };
    let name = act.need("link_name")?;
    let (path, priority) = (
        act.text("path").unwrap_or_default(),
        act.number("priority")?.unwrap_or(0),
    );
    let verb = if program == "update-alternatives" && act.options.platform.family == "debian" {
        "--query"
    } else {
        "--display"
    };
    let output = act.ask(&[program, verb, &name])?;
    let known = if output.success() {
        parse(&output.text)
    } else {
        Known::default()
    };
    let is_known = known.choices.iter().find(|(known, _)| *known == path);
    match act.action {
        "install" => {
            if is_known.is_some_and(|(_, known)| *known == priority) {
                return Ok(());
            }
            if !act.machine.exists(&path) {
                act.assume(Cause::io("link to", path.as_ref())(
                    std::io::ErrorKind::NotFound.into(),
                ))?;
            }
            let link = act.text("link").unwrap_or_else(|| format!("/usr/bin/{name}"));
            if act.will(format!(
                "adding alternative {path} for {name} with the priority {priority}"
            )) {
                act.call(&[program, "--install", &link, &name, &path, &priority.to_string()])?;
            }
        }
        "remove" => {
            if is_known.is_some() && act.will(format!("removing alternative {path} of {name}")) {
                act.call(&[program, "--remove", &name, &path])?;
            }
        }
        "set" => {
            let is_set = known.current.as_ref() == Some(&path) && !known.is_auto;
            if is_set {
                return Ok(());
            }
            if is_known.is_none() {
                act.assume(Failure::invalid(
                    "path",
                    format!("`{path}` is no alternative for `{name}`"),
                ))?;
            }
            if act.will(format!("setting alternative {name} to {path}")) {
                act.call(&[program, "--set", &name, &path])?;
            }
        }
        "auto" => {
            if !known.is_auto
                && output.success()
                && act.will(format!("setting alternative {name} to auto mode"))
            {
                act.call(&[program, "--auto", &name])?;
            }
        }
        _ => {
            let is_there = known
                .current
                .as_ref()
                .is_some_and(|current| act.machine.exists(current));
            if !is_there && output.success() && act.will(format!("refreshing alternative {name}")) {
                act.call(&[program, "--auto", &name])?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_understood() {
        let debian = parse(
            "Name: editor\nLink: /usr/bin/editor\nStatus: auto\nBest: /bin/nano\nValue: /bin/nano\n\n\
             Alternative: /bin/ed\nPriority: -100\n\nAlternative: /bin/nano\nPriority: 40\n",
        );
        let red_hat = parse(
            "editor - status is auto.\n link currently points to /bin/nano\n/bin/ed - priority -100\n\
             /bin/nano - family x priority 40\nCurrent `best' version is /bin/nano.\n",
        );
        for known in [debian, red_hat] {
            assert!(known.is_auto);
            assert_eq!(known.current.as_deref(), Some("/bin/nano"));
            assert_eq!(
                known.choices,
                [("/bin/ed".to_owned(), -100), ("/bin/nano".to_owned(), 40)]
            );
        }
    }
}
