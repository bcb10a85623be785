//! `git`.

use std::fs;
use std::path::Path;

use node::command::Command;

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::http::shown;
use crate::resource::programs::Output;

pub(super) const GIT: Definition = Definition {
    kind: Kind::new(
        "git",
        &[Provides::everywhere("git")],
        &["sync", "checkout", "export"],
        &[
            Property::named("destination"),
            Property::string("repository").aliases(&["repo"]).required(),
            Property::string("revision")
                .aliases(&["branch", "reference"])
                .or(Default::String("HEAD")),
            Property::string("remote").or(Default::String("origin")),
            Property::integer("depth"),
            Property::boolean("enable_submodules", false),
            Property::boolean("enable_checkout", true),
            Property::string("checkout_branch"),
            Property::hash("additional_remotes").or(Default::EmptyHash),
            Property::string("ssh_wrapper"),
            Property::id("user"),
            Property::id("group"),
            Property::hash("environment"),
            Property::new("timeout", &[Type::Integer, Type::String]),
            Property::new("ssl_verify", &[Type::Boolean]),
        ],
    ),
    run,
};

/// Runs git as the properties say: as which user, with which key.
fn git(act: &Act<'_>, folder: Option<&Path>, words: &[&str]) -> Result<Output, Failure> {
    let mut prefix = super::execute::identity(act)?;
    prefix.push("git".to_owned());
    let all: Vec<&str> = prefix
        .iter()
        .map(String::as_str)
        .chain(words.iter().copied())
        .collect();
    let mut command: Command = all[1..]
        .iter()
        .fold(act.program(all[0]), |command, word| command.arg(*word))
        // It must not ask, for there is nobody to answer.
        .env("GIT_TERMINAL_PROMPT", "0");
    if let Some(account) = act.text("user").and_then(|user| act.machine.account(&user)) {
        command = command.env("HOME", account.home).env("USER", account.name);
    }
    if let Some(wrapper) = act.text("ssh_wrapper") {
        command = command.env("GIT_SSH", wrapper);
    }
    if act.set("ssl_verify").is_some() && !act.flag("ssl_verify") {
        command = command.env("GIT_SSL_NO_VERIFY", "1");
    }
    for (name, value) in act.pairs("environment") {
        command = command.env(name, value);
    }
    if let Some(seconds) = act
        .number("timeout")?
        .and_then(|seconds| u64::try_from(seconds).ok())
    {
        command = command.time_limit(std::time::Duration::from_secs(seconds));
    }
    if let Some(folder) = folder {
        command = command.current_dir(folder);
    }
    // Addresses may hold passwords.
    let words: Vec<_> = words
        .iter()
        .map(|word| {
            if word.contains("://") {
                shown(word)
            } else {
                (*word).to_owned()
            }
        })
        .collect();
    act.finish(command, &format!("git {}", words.join(" ")))
}

fn is_hash(revision: &str) -> bool {
    revision.len() == 40 && revision.chars().all(|c| c.is_ascii_hexdigit())
}

/// The commit that the revision means in the repository.
fn remote_revision(act: &Act<'_>, repository: &str, revision: &str) -> Result<String, Failure> {
    if is_hash(revision) {
        return Ok(revision.to_owned());
    }
    let short = revision.strip_prefix("refs/").unwrap_or(revision);
    let pattern = format!("{short}*");
    let text = git(act, None, &["ls-remote", repository, &pattern])?.ok()?;
    let references: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('\t')).collect();
    let find = |name: String| {
        references
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(hash, _)| *hash)
    };
    let found = if revision == "HEAD" {
        find("HEAD".to_owned())
    } else {
        // What an annotated tag points to counts, not the tag.
        find(format!("refs/tags/{short}^{{}}"))
            .or_else(|| find(format!("refs/tags/{short}")))
            .or_else(|| find(format!("refs/heads/{short}")))
            .or_else(|| find(format!("refs/{short}^{{}}")))
            .or_else(|| find(format!("refs/{short}")))
    };
    let missing = || {
        let why = format!("there is no `{revision}` in `{}`", shown(repository));
        Failure::invalid("revision", why)
    };
    found.map(str::to_owned).ok_or_else(missing)
}

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    let place = act.path("destination")?;
    let seen = act.machine.seen(&place);
    let repository = act.need("repository")?;
    // A repository may be a folder of the machine.
    let source = if repository.starts_with('/') {
        act.machine.path(&repository).display().to_string()
    } else {
        repository.clone()
    };
    let revision = act.need("revision")?;
    if revision.starts_with('-') || source.starts_with('-') {
        return Err(Failure::invalid(
            "revision",
            "neither a repository nor a revision begins with `-`",
        ));
    }
    if !act.has("git") {
        return act.assume(Cause::Unsupported("there is no `git` on this machine".to_owned()));
    }
    if let Some(folder) = place.parent()
        && !folder.is_dir()
    {
        act.assume(Cause::NoFolder(act.machine.seen(folder)))?;
    }
    let is_empty = fs::read_dir(&place).map_or(true, |mut entries| entries.next().is_none());
    let has_repository = place.join(".git").exists();
    // The index is written last of all: without one a checkout was killed before its end.
    let is_whole = !act.flag("enable_checkout") || place.join(".git/index").exists();
    if act.action != "sync" && !is_empty && (!has_repository || is_whole) {
        return Ok(());
    }
    let lock = place.join(".git/index.lock");
    if has_repository && !is_whole && lock.exists() && !act.options.dry_run {
        fs::remove_file(&lock).map_err(Cause::io("remove", &lock))?;
    }
    if !is_empty && !has_repository {
        return Err(Cause::Invalid(format!(
            "`{}` holds something that is no repository",
            seen.display()
        ))
        .into());
    }
    let wanted = match remote_revision(act, &source, &revision) {
        Ok(wanted) => wanted,
        Err(failure) => {
            act.assume(failure)?;
            let _ = act.will(format!(
                "clone from {} into {}",
                shown(&repository),
                seen.display()
            ));
            return Ok(());
        }
    };
    if is_empty {
        let short = wanted.get(..7).unwrap_or(&wanted).to_owned();
        let sentences = vec![
            format!("clone from {} into {}", shown(&repository), seen.display()),
            format!("checkout ref {short} branch {revision}"),
        ];
        if act.will_all(sentences) {
            clone(act, &place, &source, &revision, &wanted)?;
            if act.action == "export" {
                let inside = place.join(".git");
                fs::remove_dir_all(&inside).map_err(Cause::io("remove", &inside))?;
            }
        }
        return if act.action == "export" {
            Ok(())
        } else {
            remotes(act, &place)
        };
    }
    let remote = act.need("remote")?;
    let url = git(
        act,
        Some(&place),
        &["config", "--get", &format!("remote.{remote}.url")],
    )?;
    if url.text.trim() != source && act.will(format!("set remote {remote} to {}", shown(&repository))) {
        let verb = if url.success() { "set-url" } else { "add" };
        git(act, Some(&place), &["remote", verb, &remote, &source])?.ok()?;
    }
    let now = git(act, Some(&place), &["rev-parse", "HEAD"])?;
    let now = if now.success() {
        now.text.trim().to_owned()
    } else {
        String::new()
    };
    if now != wanted || !is_whole {
        let sentence = format!(
            "fetch updates for {remote}, from {} to {}",
            now.get(..7).unwrap_or("nothing"),
            wanted.get(..7).unwrap_or(&wanted)
        );
        if act.will(sentence) {
            // Also from a clone that was made with a depth.
            git(act, Some(&place), &["fetch", "--tags", "--force", &remote])?.ok()?;
            let known = git(
                act,
                Some(&place),
                &["cat-file", "-e", &format!("{wanted}^{{commit}}")],
            )?;
            if !known.success() {
                git(act, Some(&place), &["fetch", &remote, &wanted])?.ok()?;
            }
            if act.flag("enable_checkout") || act.action == "export" {
                checkout(act, &place, &wanted)?;
            }
        }
    }
    if act.action == "export" {
        return unlink_repository(act, &place);
    }
    remotes(act, &place)
}

/// What is exported is files alone.
fn unlink_repository(act: &Act<'_>, place: &Path) -> Result<(), Failure> {
    let inside = place.join(".git");
    if act.options.dry_run || !inside.exists() {
        return Ok(());
    }
    Ok(fs::remove_dir_all(&inside).map_err(Cause::io("remove", &inside))?)
}

fn clone(act: &mut Act<'_>, place: &Path, source: &str, revision: &str, wanted: &str) -> Result<(), Failure> {
    let (remote, depth) = (
        act.need("remote")?,
        act.number("depth")?.map(|depth| depth.to_string()),
    );
    let place_text = place.display().to_string();
    let mut words = vec!["clone", "--no-checkout", "--origin", &remote];
    if let Some(depth) = &depth {
        words.extend(["--depth", depth]);
        if revision != "HEAD" && !is_hash(revision) {
            words.extend(["--branch", revision]);
        }
    }
    words.extend(["--", source, &place_text]);
    let result = git(act, None, &words)?.ok().and_then(|_| {
        if act.flag("enable_checkout") || act.action == "export" {
            checkout(act, place, wanted)?;
        }
        Ok(())
    });
    if result.is_err() && !place.join(".git/HEAD").exists() {
        // Half of a clone would be in the way the next time.
        let _ = fs::remove_dir_all(place.join(".git"));
    }
    result
}

fn checkout(act: &Act<'_>, place: &Path, wanted: &str) -> Result<(), Failure> {
    match act.text("checkout_branch") {
        Some(branch) => git(act, Some(place), &["checkout", "--force", "-B", &branch, wanted])?.ok()?,
        None => git(act, Some(place), &["reset", "--hard", wanted])?.ok()?,
    };
    if act.flag("enable_submodules") {
        git(act, Some(place), &["submodule", "sync"])?.ok()?;
        git(
            act,
            Some(place),
            &["submodule", "update", "--init", "--recursive"],
        )?
        .ok()?;
    }
    Ok(())
}

/// Remotes beside the one that is followed.
fn remotes(act: &mut Act<'_>, place: &Path) -> Result<(), Failure> {
    for (name, url) in act.pairs("additional_remotes") {
        let now = if place.join(".git").exists() {
            Some(git(
                act,
                Some(place),
                &["config", "--get", &format!("remote.{name}.url")],
            )?)
        } else {
            None
        };
        let is_so = now.as_ref().is_some_and(|now| now.text.trim() == url);
        if !is_so && act.will(format!("add remote {name} at {}", shown(&url))) {
            let verb = if now.is_some_and(|now| now.success()) {
                "set-url"
            } else {
                "add"
            };
            git(act, Some(place), &["remote", verb, &name, &url])?.ok()?;
        }
    }
    Ok(())
}
