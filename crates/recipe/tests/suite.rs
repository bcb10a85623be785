//! Small recipes with what has to come of them: the files in `tests/recipes`.
//!
//! A file holds cases. `### NAME` begins one; what follows is the recipe `t::default`, in which `DIR` is a folder of its own.
//! Lines that begin with `#` and a mark say what else there is, and what is expected:
//!
//! ```text
//! #@ PATH          what follows is another file: `cookbooks/t/attributes/default.rb`
//! #list ITEMS      the run list; `recipe[t]` without
//! #normal JSON     attributes of the node
//! #dry             under dry run
//! #platform        with the cookbooks and roles that every node has
//! #nodes JSON      the other nodes of the cluster
//! #once            applied twice it changes something twice
//! #= EVENT         the next thing that happens: `file[DIR/a] create: updated`; all of them, if there is one
//! #? EVENT         this happens some time
//! #- EVENT         this never happens
//! #> PATH TEXT     a file and its whole content, with `\n` for line ends
//! #x PATH          no such file
//! #< LINE          the next line of output; all of them, if there is one
//! #! TEXT          it fails, and the error has this in it
//! #~ TEXT          the log has this in it
//! ```

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be set up is a failed test"
)]

mod harness;

use std::fs;
use std::path::Path;

use harness::{Outcome, Try};

#[derive(Default)]
struct Case {
    name: String,
    files: Vec<(String, String)>,
    list: Vec<String>,
    normal: Option<String>,
    dry: bool,
    platform: bool,
    nodes: Option<String>,
    once: bool,
    marks: Vec<(char, String)>,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            cases.push(Case {
                name: name.to_owned(),
                files: vec![("cookbooks/t/recipes/default.rb".to_owned(), String::new())],
                ..Case::default()
            });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(path) = line.strip_prefix("#@ ") {
            case.files.push((path.to_owned(), String::new()));
        } else if let Some(list) = line.strip_prefix("#list ") {
            case.list = list.split(',').map(|item| item.trim().to_owned()).collect();
        } else if let Some(json) = line.strip_prefix("#normal ") {
            case.normal = Some(json.to_owned());
        } else if line == "#dry" {
            case.dry = true;
        } else if line == "#platform" {
            case.platform = true;
        } else if let Some(json) = line.strip_prefix("#nodes ") {
            case.nodes = Some(json.to_owned());
        } else if line == "#once" {
            case.once = true;
        } else if let Some((mark, rest)) = mark(line) {
            case.marks.push((mark, rest.to_owned()));
        } else {
            let (_, content) = case.files.last_mut().unwrap();
            content.push_str(line);
            content.push('\n');
        }
    }
    // The blank line before the next case is nobody's.
    for (_, content) in cases.iter_mut().flat_map(|case| &mut case.files) {
        let end = content.trim_end_matches('\n').len();
        content.truncate(end);
        if !content.is_empty() {
            content.push('\n');
        }
    }
    cases
}

fn mark(line: &str) -> Option<(char, &str)> {
    let mut rest = line.strip_prefix('#')?.chars();
    let mark = rest.next()?;
    let text = rest.as_str();
    let known = "=?-<>x!~".contains(mark) && (text.is_empty() || text.starts_with(' '));
    known.then(|| (mark, text.strip_prefix(' ').unwrap_or(text)))
}

fn run(case: &Case) -> Result<(), String> {
    let mut ruby = Try::new();
    let folder = ruby.folder.path().display().to_string();
    for (path, content) in &case.files {
        ruby.file(path, &content.replace("DIR", &folder));
    }
    if case.platform {
        let ours = |name: &str| Path::new("/__ruby__/jetpack").join(name);
        ruby.plan.cookbook_path.insert(0, ours("cookbooks"));
        ruby.plan.role_path.insert(0, ours("roles"));
    }
    if let Some(nodes) = &case.nodes {
        let nodes =
            serde_json::from_str(&nodes.replace("DIR", &folder)).map_err(|error| error.to_string())?;
        ruby.cluster = std::sync::Arc::new(recipe::Alone::with(nodes));
    }
    if let Some(json) = &case.normal {
        let value: serde_json::Value =
            serde_json::from_str(&json.replace("DIR", &folder)).map_err(|error| error.to_string())?;
        ruby.plan.normal = value.as_object().unwrap().clone();
    }
    ruby.plan.dry_run = case.dry;
    let list: Vec<&str> = match &case.list[..] {
        [] => vec!["recipe[t]"],
        list => list.iter().map(String::as_str).collect(),
    };
    let outcome = ruby.run(&list);
    check(case, &outcome, &folder)?;
    let repeats = [
        "execute[",
        "bash[",
        "sh[",
        "script[",
        "ruby_block[",
        "notify_group[",
        "log[",
        "ohai[",
        "reboot[",
        "http_request[",
    ];
    if outcome.result.is_ok() && !case.dry && !case.once {
        let again = ruby.run(&list);
        let changed = again.events.iter().find(|event| {
            event.ends_with(": updated") && !repeats.iter().any(|kind| event.starts_with(kind))
        });
        if let Some(event) = changed {
            return Err(format!("applied twice, the second time: {event}"));
        }
    }
    Ok(())
}

fn check(case: &Case, outcome: &Outcome, folder: &str) -> Result<(), String> {
    let told = format!(
        "\nresult: {:?}\nevents: {:#?}\noutput: {}",
        outcome.result.as_ref().map_err(ToString::to_string),
        outcome.events,
        outcome.output
    );
    let expected = |wanted: char| -> Vec<String> {
        let marks = case.marks.iter().filter(|(mark, _)| *mark == wanted);
        marks.map(|(_, text)| text.replace("DIR", folder)).collect()
    };
    let errors = expected('!');
    match &outcome.result {
        Err(error) if errors.is_empty() => return Err(format!("it fails: {error}{told}")),
        Ok(()) if !errors.is_empty() => return Err(format!("it does not fail{told}")),
        Err(error) => {
            let text = error.to_string();
            if let Some(missing) = errors.iter().find(|wanted| !text.contains(*wanted)) {
                return Err(format!("the error has no `{missing}`: {text}{told}"));
            }
        }
        Ok(()) => {}
    }
    let is_message = |event: &&String| {
        ["Debug: ", "Info: ", "Warn: ", "Error: "]
            .iter()
            .any(|level| event.starts_with(level))
    };
    let events: Vec<&String> = outcome.events.iter().filter(|event| !is_message(event)).collect();
    let all = expected('=');
    if !all.is_empty() && events != all.iter().collect::<Vec<_>>() {
        return Err(format!("expected events {all:#?}{told}"));
    }
    for event in expected('?') {
        if !outcome.events.contains(&event) {
            return Err(format!("there is no `{event}`{told}"));
        }
    }
    for event in expected('-') {
        if outcome.events.contains(&event) {
            return Err(format!("there is `{event}`{told}"));
        }
    }
    let lines = expected('<');
    if !lines.is_empty() && outcome.output.lines().collect::<Vec<_>>() != lines {
        return Err(format!("expected output {lines:#?}{told}"));
    }
    for text in expected('~') {
        if !outcome.log.contains(&text) {
            return Err(format!("the log has no `{text}`: {}", outcome.log));
        }
    }
    for file in expected('>') {
        let (path, content) = file.split_once(' ').unwrap_or((&file, ""));
        let found = fs::read_to_string(Path::new(folder).join(path));
        let found = found.map_err(|error| format!("`{path}`: {error}{told}"))?;
        let content = content.replace("\\n", "\n");
        if found != content {
            return Err(format!("`{path}` is {found:?}, not {content:?}{told}"));
        }
    }
    for path in expected('x') {
        if Path::new(folder).join(&path).symlink_metadata().is_ok() {
            return Err(format!("`{path}` is there{told}"));
        }
    }
    Ok(())
}

#[test]
fn recipes_do_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let only = std::env::var("JETPACK_TEST_RECIPE").unwrap_or_default();
    let (mut failures, mut count) = (Vec::new(), 0);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        for case in cases(&text) {
            let title = format!("{name}: {}", case.name);
            if !title.contains(&only) {
                continue;
            }
            count += 1;
            if let Err(error) = run(&case) {
                failures.push(format!("--- {title}\n{error}"));
            }
        }
    }
    println!("{count} recipes");
    assert!(
        failures.is_empty(),
        "{} of {count} fail\n{}",
        failures.len(),
        failures.join("\n")
    );
}
