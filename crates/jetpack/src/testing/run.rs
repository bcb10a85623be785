//! Running the files of tests of a spec.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use converge::environment;
use node::clock::{Clock, SystemClock};
use node::command::{Command, Ended, Stop, Tee};
use node::home::Home;

use super::discover::{Kind, TestFile, files};
use super::results::Written;
use super::{Case, Outcome, Spec, SpecResult};

/// How much of the end of a file's output is kept for its results.
const TAIL_BYTES: usize = 64 << 10;

/// What all files of tests have in common.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) home: Home,
    /// Root of the cluster-init tree.
    pub(crate) root: PathBuf,
    /// Longest run of one file.
    pub(crate) time_limit: Duration,
    pub(crate) grace: Duration,
    pub(crate) stop: Stop,
}

/// Runs the tests of a spec and shows what they print. None when it has no tests, and when it was stopped before the first
/// result; a run that was stopped has the results up to then.
pub(crate) fn run_spec(run: &Run, spec: &Spec) -> anyhow::Result<Option<SpecResult>> {
    let folder = spec.folder(&run.root);
    let files = files(&folder).with_context(|| format!("cannot list the tests in `{}`", folder.display()))?;
    let started = SystemClock.now();
    let mut result = SpecResult {
        project: spec.project.clone(),
        spec: spec.spec.clone(),
        started,
        seconds: 0.0,
        cases: Vec::new(),
    };
    for file in &files {
        if run.stop.is_requested() {
            break;
        }
        terminal::out(format_args!("{}:{}: {}\n", spec.project, spec.spec, file.name))?;
        let (cases, duration) = run_file(run, spec, &folder, file)?;
        result.seconds += duration.as_secs_f64();
        result.cases.extend(cases);
    }
    Ok((!result.cases.is_empty()).then_some(result))
}

fn run_file(run: &Run, spec: &Spec, folder: &Path, file: &TestFile) -> anyhow::Result<(Vec<Case>, Duration)> {
    let scratch = tempfile::tempdir().context("cannot make a scratch folder")?;
    let results = scratch.path().join("results");
    durable::write(&results, 0o600, b"")?;
    let command = match file.kind {
        Kind::Program => Command::new(folder.join(&file.name)),
        // Nothing is left behind in the tree: it is compared with the project.
        Kind::Python => Command::new(run.home.embedded_bin().join("python"))
            .arg("-B")
            .arg("-m")
            .arg("jetpack._runner")
            .arg(&file.name)
            .arg(&results)
            .env("PYTHONUNBUFFERED", "1"),
    };
    let version = spec.version.as_deref();
    let command = environment(command, &run.home, &run.root, &spec.project, version, &spec.spec)
        .current_dir(folder)
        .time_limit(run.time_limit)
        .grace(run.grace)
        .tail_bytes(TAIL_BYTES)
        .tee(Tee::new(|output| {
            // A closed terminal does not end a test.
            let _ = terminal::out(String::from_utf8_lossy(output));
        }));
    let whole = |outcome, summary: String, details: String, seconds| Case {
        name: file.name.clone(),
        outcome,
        seconds,
        summary,
        details,
    };
    let outcome = match command.run(&run.stop) {
        Ok(outcome) => outcome,
        Err(error) => {
            let case = whole(Outcome::Error, terminal::chain(&error), String::new(), 0.0);
            return Ok((vec![case], Duration::ZERO));
        }
    };
    let (ended, seconds) = (outcome.ended, outcome.duration.as_secs_f64());
    let why = match ended {
        Ended::TimedOut | Ended::Unkillable => format!("{ended} after {} s", run.time_limit.as_secs()),
        ended => ended.to_string(),
    };
    let cases = match (file.kind, ended) {
        (Kind::Program, Ended::Stopped) => Vec::new(),
        (Kind::Program, Ended::Exited(0)) => {
            vec![whole(Outcome::Passed, String::new(), String::new(), seconds)]
        }
        (Kind::Program, Ended::Exited(_)) => vec![whole(Outcome::Failed, why, outcome.tail, seconds)],
        (Kind::Program, _) => vec![whole(Outcome::Error, why, outcome.tail, seconds)],
        (Kind::Python, ended) => {
            let mut written = Written::read(&results)
                .with_context(|| format!("cannot read the results of `{}`", file.name))?;
            match &written.done {
                Some(runner) if ended.success() && written.cases.is_empty() => {
                    terminal::note(format_args!("{} holds no tests for {runner}", file.name));
                }
                Some(_) if ended.success() => {}
                _ if ended == Ended::Stopped => {}
                // It crashed or hung: in a test, before the first one, or after the last one.
                _ => {
                    let spent: f64 = written.cases.iter().map(|case| case.seconds).sum();
                    let mut case = whole(Outcome::Error, why, outcome.tail, (seconds - spent).max(0.0));
                    if let Some(test) = written.at_work.take() {
                        case.name = test;
                    } else if written.done.is_some() {
                        case.summary.push_str(", after the last test");
                    } else {
                        case.summary.push_str(", outside of a test");
                    }
                    written.cases.push(case);
                }
            }
            written.cases
        }
    };
    Ok((cases, outcome.duration))
}
