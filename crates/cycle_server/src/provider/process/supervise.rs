//! Starting daemons and keeping them alive.

use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::procfs::{HOME_VARIABLE, Process};
use super::record::{Record, Stage};
use super::{Condition, Inner, ProcessSettings, output};
use crate::provider::{MachineRequest, ProviderError};

const INITIALIZE_OUTPUT: &str = "initialize.out";
const DAEMON_OUTPUT: &str = "jetpackd.out";

/// How much of the output of `jetpack initialize` an error shows.
const SHOWN: u64 = 1024;

/// What a node inherits of the server's environment. The rest may be secret.
const INHERITED: [&str; 9] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "RUST_BACKTRACE",
];

/// A program of a node, in a process group of its own, with its output in a file.
fn command(program: &Path, home: &Path, folder: &Path, output: &str) -> Result<Command, ProviderError> {
    let file: File = durable::append(&folder.join(output), 0o640)?;
    let second = file.try_clone().map_err(super::folder_error("write", folder))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the server's one door to child processes"
    )]
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(
            INHERITED
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .env(HOME_VARIABLE, home)
        .current_dir(folder)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(second);
    Ok(command)
}

fn start(command: &mut Command, program: &Path) -> Result<Child, ProviderError> {
    command.spawn().map_err(|source| ProviderError::Start {
        program: program.to_owned(),
        source,
    })
}

/// `jetpack initialize`, bounded in time. Dropped, it is killed.
pub(super) async fn initialize(
    settings: &ProcessSettings,
    request: &MachineRequest,
    folder: &Path,
    home: &Path,
) -> Result<(), ProviderError> {
    let mut command = command(&settings.jetpack, home, folder, INITIALIZE_OUTPUT)?;
    command
        .args([
            "initialize",
            "--url",
            &request.url,
            "--userdata",
            &request.userdata,
        ])
        .kill_on_drop(true);
    if let Some(ca) = &request.ca {
        command.arg("--ca").arg(ca);
    }
    let mut child = start(&mut command, &settings.jetpack)?;
    let how = match tokio::time::timeout(settings.initialize_deadline, child.wait()).await {
        Ok(Ok(status)) if status.success() => return Ok(()),
        Ok(Ok(status)) => ended(status),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("did not end within {} s", settings.initialize_deadline.as_secs()),
    };
    let output = output::tail(&folder.join(INITIALIZE_OUTPUT), SHOWN).unwrap_or_default();
    let output = String::from_utf8_lossy(&output)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    Err(ProviderError::Initialize { how, output })
}

/// Keeps the daemon of a machine alive until it is cancelled. `running` is one to adopt.
pub(super) async fn run(
    inner: Arc<Inner>,
    node_id: String,
    running: Option<Process>,
    cancel: CancellationToken,
) {
    let settings = &inner.settings;
    let mut pause = settings.restart_initial;
    let mut running = running;
    loop {
        let since = Instant::now();
        let reason = tokio::select! {
            reason = live(&inner, &node_id, running.take()) => reason,
            () = cancel.cancelled() => return,
        };
        if since.elapsed() >= settings.healthy_after {
            pause = settings.restart_initial;
        }
        tracing::warn!(
            node = node_id,
            "the machine of node `{node_id}` ended: {reason}; unless it is taken away it starts again in {pause:?}"
        );
        let until = Instant::now() + pause;
        inner.set(&node_id, Condition::Dead { reason, until });
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = cancel.cancelled() => return,
        }
        pause = (pause * 2).min(settings.restart_max);
    }
}

/// One life of the daemon. Returns why it ended.
async fn live(inner: &Inner, node_id: &str, running: Option<Process>) -> String {
    let folder = inner.node_folder(node_id);
    let (mut child, process) = match running {
        Some(process) => (None, process),
        None => match launch(inner, node_id, &folder) {
            Ok((child, process)) => (Some(child), process),
            Err(error) => return terminal::chain(&error),
        },
    };
    let record = Record {
        process: Some(process),
        ..Record::new(Stage::Made)
    };
    if let Err(error) = record.save(&folder) {
        // It is found without the record, too: by its home and its program.
        tracing::warn!(
            node = node_id,
            error = terminal::chain(&error),
            "cannot write a record"
        );
    }
    inner.set(node_id, Condition::Running(process.pid));

    let output = folder.join(DAEMON_OUTPUT);
    let mut look = tokio::time::interval(inner.settings.check_interval);
    loop {
        tokio::select! {
            status = wait(&mut child) => return format!("jetpackd {status}"),
            _ = look.tick() => {}
        }
        if let Err(error) = output::cap(&output, inner.settings.output_limit) {
            tracing::debug!(node = node_id, %error, "cannot cap the output of jetpackd");
        }
        if child.is_none() && !process.is_alive() {
            return "jetpackd ended".to_owned();
        }
    }
}

fn launch(inner: &Inner, node_id: &str, folder: &Path) -> Result<(Child, Process), ProviderError> {
    let program = &inner.settings.jetpackd;
    let mut command = command(program, &inner.home(node_id), folder, DAEMON_OUTPUT)?;
    let mut child = start(&mut command, program)?;
    let process = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Process::now);
    match process {
        Some(process) => Ok((child, process)),
        None => {
            let how = match child.try_wait() {
                Ok(Some(status)) => ended(status),
                _ => "ended at once".to_owned(),
            };
            Err(ProviderError::Start {
                program: program.clone(),
                source: std::io::Error::other(how),
            })
        }
    }
}

/// How our own child ended; waits for ever for one that is not our child.
async fn wait(child: &mut Option<Child>) -> String {
    match child {
        None => std::future::pending().await,
        Some(child) => match child.wait().await {
            Ok(status) => ended(status),
            Err(error) => format!("cannot be waited for: {error}"),
        },
    }
}

fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
