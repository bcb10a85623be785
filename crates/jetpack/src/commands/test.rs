//! `jetpack test`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use node::command::Stop;
use node::config::NodeData;
use node::duration::{self, DurationError, Unit};
use node::home::Home;
use node::host;
use node::settings::Settings;
use protocol::MessageType;

use crate::context;
use crate::deliver::send;
use crate::testing::{Case, Outcome, Run, Spec, SpecResult, document, run_spec, specs};

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Only the tests of this project
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<String>,

    /// Only the tests of specs with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) spec: Option<String>,

    /// Also write the results to this file, in JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit_xml: Option<PathBuf>,

    /// Longest run of one file of tests: seconds, or like 5m
    #[arg(long, value_name = "TIME", default_value = "30m", allow_negative_numbers = true, value_parser = time_limit)]
    pub(crate) timeout: Duration,
}

fn time_limit(text: &str) -> Result<Duration, DurationError> {
    duration::parse(text, Unit::Seconds)
}

/// The same without `--timeout`, for tests that nobody started by hand.
const TIME_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Runs the tests and tells the server; an error when one of them did not pass.
pub(crate) fn run(args: &TestArgs) -> anyhow::Result<()> {
    let home = context::initialized_home()?;
    let settings = context::settings(&home)?;
    let data = NodeData::load(&home)?;
    let specs = specs(&data, args.project.as_deref(), args.spec.as_deref())?;
    let junit = args.junit_xml.as_deref().map(writable).transpose()?;
    if let Err(error) = node::python_package::install(&home) {
        // Somebody who may not write there runs what is there.
        terminal::warn(format_args!(
            "the node's Python is not complete: {}",
            terminal::chain(&error)
        ));
    }
    let run = new_run(&home, &settings, args.timeout, Stop::new());
    let (results, stopped) = context::with_runtime(async {
        context::stop_on_signal(&run.stop)?;
        run_all(run, specs).await
    })?;
    if let Some(path) = &junit {
        let document = document(&results, host::short_hostname().as_deref())
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        durable::write(path, 0o644, &document)?;
    }
    summary(&results, stopped)
}

/// What a cluster in test mode does once a node is ready: runs all its tests, as `jetpack test` does.
pub(crate) async fn in_test_mode(
    home: &Home,
    settings: &Settings,
    data: &NodeData,
    stop: &Stop,
) -> anyhow::Result<()> {
    let specs = specs(data, None, None)?;
    let run = new_run(home, settings, TIME_LIMIT, stop.clone());
    let (results, stopped) = run_all(run, specs).await?;
    summary(&results, stopped)
}

fn new_run(home: &Home, settings: &Settings, time_limit: Duration, stop: Stop) -> Run {
    Run {
        home: home.clone(),
        root: settings.converge.cluster_init_root.clone(),
        time_limit,
        grace: settings.converge.script_grace,
        stop,
    }
}

/// Runs the tests of the specs until all have run or somebody says stop. Only specs whose tests all ran are reported.
async fn run_all(run: Run, specs: Vec<Spec>) -> anyhow::Result<(Vec<SpecResult>, bool)> {
    let work = move || -> anyhow::Result<(Vec<SpecResult>, bool)> {
        let mut results = Vec::new();
        for spec in &specs {
            let result = run_spec(&run, spec)?;
            let stopped = run.stop.is_requested();
            if let Some(result) = result {
                if !stopped {
                    send(MessageType::Test, &result.report())?;
                }
                results.push(result);
            }
            if stopped {
                return Ok((results, true));
            }
        }
        Ok((results, false))
    };
    tokio::task::spawn_blocking(work)
        .await
        .context("the tests were not run")?
}

/// Prints what became of the tests.
fn summary(results: &[SpecResult], stopped: bool) -> anyhow::Result<()> {
    if !results.is_empty() {
        terminal::out("\n")?;
    }
    for result in results {
        terminal::out(format_args!(
            "{}:{}: {} passed, {} failed, {} errors, {} skipped in {:.1} s\n",
            result.project,
            result.spec,
            result.count(Outcome::Passed),
            result.count(Outcome::Failed),
            result.count(Outcome::Error),
            result.count(Outcome::Skipped),
            result.seconds
        ))?;
        for case in result.cases.iter().filter(|case| case.outcome != Outcome::Passed) {
            terminal::out(format_args!("  {}\n", line(case)))?;
        }
    }
    if stopped {
        bail!("stopped; the results above are not complete");
    }
    let cases = || results.iter().flat_map(|result| &result.cases);
    match (cases().filter(|case| case.is_bad()).count(), cases().count()) {
        (0, 0) => {
            terminal::note("there are no tests");
            Ok(())
        }
        (0, _) => Ok(()),
        (1, all) => bail!("1 of {all} tests did not pass"),
        (bad, all) => bail!("{bad} of {all} tests did not pass"),
    }
}

fn line(case: &Case) -> String {
    let word = match case.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "FAILED",
        Outcome::Error => "ERROR",
        Outcome::Skipped => "skipped",
    };
    let why = if case.summary.is_empty() { "" } else { ": " };
    format!("{word} {}{why}{}", case.name, case.summary)
}

/// The path of a file whose folder is there, so that a typing error is told before the tests run and not after.
fn writable(path: &Path) -> anyhow::Result<PathBuf> {
    let path = std::path::absolute(path).with_context(|| format!("`{}` is no file", path.display()))?;
    let folder = path.parent().unwrap_or(&path);
    if !folder.is_dir() {
        bail!("the folder `{}` does not exist", folder.display());
    }
    if path.is_dir() {
        bail!("`{}` is a folder", path.display());
    }
    Ok(path)
}
