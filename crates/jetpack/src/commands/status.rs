//! `jetpack status`.

use clap::Args;
use std::fmt::Write as _;
use std::time::Duration;

use converge::{History, Ledger, Status};
use jiff::{SignedDuration, Timestamp};
use link::local::{self, Activity, DaemonStatus};
use link::outbox::Outbox;
use node::clock::{Clock, SystemClock};
use node::home::Home;
use node::settings::{IdentitySettings, Settings};
use protocol::{ConvergeStep, StepState};
use serde::Serialize;

use super::screen;
use crate::context;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How many converges before the last one are shown; `--json` has all.
const MOST_HISTORY: usize = 5;

/// How many scripts are shown; `--json` has all.
const MOST_SCRIPTS: usize = 10;

/// Everything that is shown, and what `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    node: Node,
    server: Server,
    /// None when jetpackd does not run.
    daemon: Option<DaemonStatus>,
    /// None before the first converge.
    converge: Option<Ledger>,
    /// The converges before that one, the newest first.
    history: Vec<Ledger>,
    outbox: Waiting,
}

#[derive(Debug, Serialize)]
struct Node {
    name: Option<String>,
    id: Option<String>,
    cluster: Option<String>,
    home: String,
}

#[derive(Debug, Serialize)]
struct Server {
    url: Option<String>,
}

#[derive(Debug, Serialize)]
struct Waiting {
    messages: usize,
}

/// Prints what this node is doing and why. Works without the daemon.
pub(crate) fn run(args: &StatusArgs) -> anyhow::Result<()> {
    let home = context::initialized_home()?;
    let settings = context::settings(&home)?;
    let report = observe(&home, settings)?;
    if args.json {
        return Ok(terminal::out(format_args!(
            "{}\n",
            serde_json::to_string_pretty(&report)?
        ))?);
    }
    Ok(terminal::out(text(&report, SystemClock.now()))?)
}

/// How this node stands now.
pub(super) fn observe(home: &Home, settings: Settings) -> anyhow::Result<Report> {
    let IdentitySettings {
        cluster_name,
        node_id,
        node_name,
        ..
    } = settings.identity;
    let daemon = match local::status(&home.jetpackd_socket()) {
        Ok(daemon) => Some(daemon),
        Err(local::Error::NotRunning) => None,
        Err(error) => {
            terminal::warn(terminal::chain(&error));
            None
        }
    };
    Ok(Report {
        node: Node {
            name: node_name,
            id: node_id,
            cluster: cluster_name,
            home: home.root().display().to_string(),
        },
        server: Server {
            url: settings.webserver,
        },
        daemon,
        converge: Ledger::observe(home)?,
        history: History::observe(home).converges,
        outbox: Waiting {
            messages: Outbox::new(home.outbox()).waiting()?.len(),
        },
    })
}

fn text(report: &Report, now: Timestamp) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name:<9} {value}");
    };
    let Node {
        name,
        id,
        cluster,
        home,
    } = &report.node;
    row(
        "node",
        match (name, id, cluster) {
            (Some(name), Some(id), Some(cluster)) => format!("{name} ({id}) of cluster {cluster}"),
            _ => "has not joined a cluster yet".to_owned(),
        },
    );
    row("home", home.clone());
    row("server", server(report, now));
    row("daemon", daemon(report.daemon.as_ref(), now));
    for (index, line) in converge(report, now).into_iter().enumerate() {
        row(if index == 0 { "converge" } else { "" }, line);
    }
    for (index, line) in history(&report.history, now).into_iter().enumerate() {
        row(if index == 0 { "before" } else { "" }, line);
    }
    row(
        "outbox",
        match report.outbox.messages {
            0 => "empty".to_owned(),
            1 => "1 message waits for the server".to_owned(),
            messages => format!("{messages} messages wait for the server"),
        },
    );
    text.lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn server(report: &Report, now: Timestamp) -> String {
    let Some(url) = &report.server.url else {
        return "not known: `jetpack initialize` says it".to_owned();
    };
    let Some(daemon) = &report.daemon else {
        return url.clone();
    };
    let Some(link) = &daemon.link else {
        return match &daemon.reason {
            Some(reason) if daemon.activity == Activity::Joining => format!("{url}, away: {reason}"),
            _ => url.clone(),
        };
    };
    let since = link
        .since
        .map(|since| format!(" for {}", length(now.duration_since(since))))
        .unwrap_or_default();
    match (&link.over, &link.refused, &link.last_error) {
        (Some(over), _, _) => format!("{url}, connected over {over}{since}"),
        (None, Some(refused), _) => format!("{url}, refused{since}: {refused}"),
        (None, None, Some(error)) => format!("{url}, away{since}: {error}"),
        (None, None, None) => format!("{url}, connecting"),
    }
}

fn daemon(daemon: Option<&DaemonStatus>, now: Timestamp) -> String {
    let Some(daemon) = daemon else {
        return "is not running: messages wait, nothing is retried".to_owned();
    };
    let activity = match daemon.activity {
        Activity::Joining => "is joining",
        Activity::Refused => "is refused by the server",
        Activity::Converging => "converges",
        Activity::Waiting => "waits to converge again",
        Activity::Idle => "is idle",
        Activity::Terminated => "was told to terminate",
    };
    let reason = daemon
        .reason
        .as_ref()
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    format!(
        "{activity}{reason}; process {}, up {}",
        daemon.pid,
        length(now.duration_since(daemon.started))
    )
}

fn converge(report: &Report, now: Timestamp) -> Vec<String> {
    let Some(ledger) = &report.converge else {
        return vec!["none yet".to_owned()];
    };
    let at = place(ledger);
    let attempt = if ledger.attempt > 1 {
        format!(", attempt {}", ledger.attempt)
    } else {
        String::new()
    };
    let ended = ledger
        .finished
        .map_or_else(|| "an unknown time ago".to_owned(), |at| ago(at, now));
    let mut lines = vec![match ledger.status {
        Status::Running => {
            let since = ledger
                .step_started
                .map(|since| format!(" for {}", length(now.duration_since(since))));
            format!(
                "running for {}{attempt}, at {at}{}",
                length(now.duration_since(ledger.started)),
                since.unwrap_or_default()
            )
        }
        Status::Ready => format!("ready, {ended}: {}", screen::timings(&ledger.timings)),
        Status::Failed => format!("failed {ended}{attempt}, at {at}"),
        Status::Stopped => format!("stopped {ended}{attempt}, at {at}"),
        Status::Interrupted => format!("interrupted{attempt}, at {at}"),
    }];
    if let Some(recipes) = &ledger.recipes {
        lines.push(format!("recipes: {recipes}"));
    }
    lines.extend(scripts(&ledger.steps));
    if let Some(failure) = &ledger.failure {
        lines.push(failure.message.clone());
        lines.extend(failure.output.lines().map(|line| format!("| {line}")));
        lines.extend(failure.recommendation.clone());
    }
    if let Some(next) = report
        .daemon
        .as_ref()
        .and_then(|daemon| daemon.next_attempt)
        .filter(|next| *next > now)
    {
        let what = match ledger.status {
            Status::Ready => "next converge",
            _ => "next attempt",
        };
        lines.push(format!("{what} in {}", length(next.duration_since(now))));
    }
    lines
}

/// The phase, and the script in it.
fn place(ledger: &Ledger) -> String {
    match &ledger.step {
        Some(step) => format!("{}: {step}", ledger.phase.as_str()),
        None => ledger.phase.as_str().to_owned(),
    }
}

/// The last scripts that have run, and how many have not.
fn scripts(steps: &[ConvergeStep]) -> Vec<String> {
    let mut lines: Vec<String> = steps
        .iter()
        .filter_map(|step| {
            let seconds = step.seconds?;
            Some(format!("{} {} in {seconds:.1} s", step.name, step.state.as_str()))
        })
        .collect();
    if lines.len() > MOST_SCRIPTS {
        let left_out = lines.len() - MOST_SCRIPTS;
        lines.drain(..left_out);
        lines.insert(0, format!("{left_out} scripts before these"));
    }
    for (state, word) in [
        (StepState::Skipped, "not run again"),
        (StepState::Planned, "to come"),
    ] {
        match steps.iter().filter(|step| step.state == state).count() {
            0 => {}
            1 => lines.push(format!("1 script {word}")),
            count => lines.push(format!("{count} scripts {word}")),
        }
    }
    lines
}

/// One line for each converge before the last one.
fn history(history: &[Ledger], now: Timestamp) -> Vec<String> {
    let lines = history.iter().take(MOST_HISTORY).map(|ledger| {
        let word = match ledger.status {
            Status::Ready => "ready",
            Status::Failed => "failed",
            Status::Stopped => "stopped",
            Status::Running | Status::Interrupted => "interrupted",
        };
        let at = match ledger.status {
            Status::Ready => String::new(),
            _ => format!(", at {}", place(ledger)),
        };
        let took = ledger.finished.map(|finished| {
            let took = finished.duration_since(ledger.started).as_secs_f64().max(0.0);
            format!(" after {took:.1} s")
        });
        format!(
            "{word}{}, started {}{}{at}",
            took.unwrap_or_default(),
            ago(ledger.started, now),
            mode(&ledger.mode)
        )
    });
    lines.collect()
}

fn mode(mode: &str) -> String {
    match mode {
        "" => String::new(),
        mode => format!(" ({mode})"),
    }
}

/// `12 s ago`.
fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", length(now.duration_since(then)))
}

fn length(duration: SignedDuration) -> String {
    let seconds = Duration::try_from(duration).unwrap_or_default().as_secs();
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5_999 => format!("{} min", seconds / 60),
        6_000..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(converge: serde_json::Value) -> Report {
        Report {
            node: Node {
                name: Some("head".to_owned()),
                id: Some("ab12".to_owned()),
                cluster: Some("demo".to_owned()),
                home: "/h".to_owned(),
            },
            server: Server {
                url: Some("http://127.0.0.1:8080".to_owned()),
            },
            daemon: None,
            converge: serde_json::from_value(converge).unwrap(),
            history: Vec::new(),
            outbox: Waiting { messages: 2 },
        }
    }

    #[test]
    fn a_failure_is_shown_with_script_exit_code_and_output() {
        let report = report(serde_json::json!({
            "version": 1, "status": "failed", "attempt": 3, "phase": "cluster-init",
            "step": "tools/default/scripts/020-bad.sh", "started": "2026-01-01T00:00:00Z",
            "finished": "2026-01-01T00:00:05Z",
            "failure": {"message": "failed to execute it (return code: 7)", "output": "one\ntwo"},
        }));
        assert_eq!(
            text(&report, "2026-01-01T00:00:10Z".parse().unwrap()),
            "node      head (ab12) of cluster demo\n\
             home      /h\n\
             server    http://127.0.0.1:8080\n\
             daemon    is not running: messages wait, nothing is retried\n\
             converge  failed 5 s ago, attempt 3, at cluster-init: tools/default/scripts/020-bad.sh\n\
             \u{20}         failed to execute it (return code: 7)\n\
             \u{20}         | one\n\
             \u{20}         | two\n\
             outbox    2 messages wait for the server\n"
        );
    }

    #[test]
    fn the_daemon_says_when_it_tries_again() {
        let mut report = report(serde_json::json!({
            "version": 1, "status": "failed", "attempt": 1, "phase": "sync",
            "started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:05Z",
        }));
        report.daemon = serde_json::from_value(serde_json::json!({
            "version": "0.1.0-0", "pid": 7, "started": "2026-01-01T00:00:00Z", "activity": "waiting",
            "next_attempt": "2026-01-01T00:00:30Z",
            "link": {"last_error": "connection refused", "since": "2026-01-01T00:00:04Z",
                     "delivered": 0, "returned": 0},
        }))
        .unwrap();
        let text = text(&report, "2026-01-01T00:00:10Z".parse().unwrap());
        assert!(text.contains("\n          next attempt in 20 s\n"), "{text}");
        assert!(
            text.contains("daemon    waits to converge again; process 7, up 10 s\n"),
            "{text}"
        );
        assert!(
            text.contains("http://127.0.0.1:8080, away for 6 s: connection refused\n"),
            "{text}"
        );
    }

    #[test]
    fn what_runs_what_has_run_and_what_was_before_is_shown() {
        let mut report = report(serde_json::json!({
            "version": 1, "status": "running", "attempt": 2, "phase": "cluster-init", "mode": "install",
            "step": "p/s/scripts/3.sh", "step_started": "2026-01-01T00:00:08Z", "started": "2026-01-01T00:00:00Z",
            "steps": [
                {"name": "p/s/scripts/1.sh", "state": "skipped"},
                {"name": "p/s/scripts/2.sh", "state": "succeeded", "seconds": 3.25},
                {"name": "p/s/scripts/3.sh", "state": "running"},
                {"name": "p/s/scripts/4.sh", "state": "planned"},
                {"name": "p/s/scripts/5.sh", "state": "planned"},
            ],
        }));
        report.history = serde_json::from_value(serde_json::json!([{
            "version": 1, "status": "failed", "attempt": 1, "phase": "sync", "mode": "install",
            "started": "2025-12-31T23:59:00Z", "finished": "2025-12-31T23:59:02.5Z",
        }]))
        .unwrap();
        let text = text(&report, "2026-01-01T00:00:10Z".parse().unwrap());
        assert!(
            text.contains(
                "converge  running for 10 s, attempt 2, at cluster-init: p/s/scripts/3.sh for 2 s\n\
                 \u{20}         p/s/scripts/2.sh succeeded in 3.2 s\n\
                 \u{20}         1 script not run again\n\
                 \u{20}         2 scripts to come\n\
                 before    failed after 2.5 s, started 70 s ago (install), at sync\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn of_many_scripts_the_last_are_shown() {
        let step = |number| ConvergeStep {
            name: format!("p/s/scripts/{number}.sh"),
            state: StepState::Succeeded,
            started: None,
            seconds: Some(1.0),
        };
        let lines = scripts(&(0..13).map(step).collect::<Vec<_>>());
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[0], "3 scripts before these");
        assert_eq!(lines[1], "p/s/scripts/3.sh succeeded in 1.0 s");
        assert_eq!(lines[10], "p/s/scripts/12.sh succeeded in 1.0 s");
    }

    #[test]
    fn times_are_short() {
        for (seconds, text) in [
            (5, "5 s"),
            (600, "10 min"),
            (7200, "2 h"),
            (400_000, "4 days"),
            (-3, "0 s"),
        ] {
            assert_eq!(length(SignedDuration::from_secs(seconds)), text);
        }
    }
}
