//! The one door to child processes.
//!
//! A [`Command`] is a program with its arguments, never a line for a shell. It runs in a process group of
//! its own, so that it can be ended with everything that it started; it may have a deadline; and its output,
//! standard output and standard error in the order in which they come, goes to a file of bounded size.
//! [`Command::run`] waits for the end, [`Command::start`] is for programs on `tokio`.

mod background;
mod capped;
mod capture;
mod error;
mod group;
mod output;
mod process;
mod run;
mod stop;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub use background::Background;
pub use capture::Tee;
pub use error::CommandError;
pub use output::{Output, Running};
pub use process::Process;
pub use run::Outcome;
pub use stop::Stop;

use capture::Capture;

/// Variables by which systemd talks to the one process that it started; no business of its children.
const SYSTEMD_VARIABLES: [&str; 8] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
];

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal that we did not send.
    Signaled(i32),
    /// We ended it at its deadline.
    TimedOut,
    /// We ended it because we were told to stop.
    Stopped,
    /// It outlived even SIGKILL, as a process does that waits for a disk or a file server that is gone. We
    /// stopped waiting for it.
    Unkillable,
}

impl Ended {
    /// The one good end.
    pub fn success(self) -> bool {
        self == Self::Exited(0)
    }

    fn from_status(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Signaled(signal),
            (None, None) => Self::Unkillable,
        }
    }
}

impl std::fmt::Display for Ended {
    /// `return code: 3`, `killed by SIGSEGV`, `time limit reached` …
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "return code: {code}"),
            Self::Signaled(number) => match nix::sys::signal::Signal::try_from(*number) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {number}"),
            },
            Self::TimedOut => f.write_str("time limit reached"),
            Self::Stopped => f.write_str("stopped"),
            Self::Unkillable => f.write_str("time limit reached; it cannot be killed"),
        }
    }
}

type TellProcess = dyn Fn(&Process) + Send + Sync;

#[derive(Clone)]
struct OnStart(Arc<TellProcess>);

impl std::fmt::Debug for OnStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnStart")
    }
}

/// A program to run.
#[derive(Debug, Clone)]
pub struct Command {
    program: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    cwd: Option<PathBuf>,
    time_limit: Option<Duration>,
    grace: Duration,
    log: Option<(PathBuf, u64)>,
    tail_bytes: usize,
    tee: Option<Tee>,
    on_start: Option<OnStart>,
    inherit_output: bool,
    identity: (Option<u32>, Option<u32>),
}

impl Command {
    /// A program by its path, or by a name to be found in `PATH`. It gets an empty environment, no input, 10
    /// seconds to end when told to, and no other limit of time.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            time_limit: None,
            grace: Duration::from_secs(10),
            log: None,
            tail_bytes: 4096,
            tee: None,
            on_start: None,
            inherit_output: false,
            identity: (None, None),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Gives it our own environment, without the variables that systemd meant for us alone.
    pub fn inherit_environment(mut self) -> Self {
        let ours = std::env::vars_os();
        self.env
            .extend(ours.filter(|(name, _)| !SYSTEMD_VARIABLES.contains(&name.to_string_lossy().as_ref())));
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The value of a variable that it will get.
    pub fn get_env(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.env.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// The folder that it starts in.
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cwd = Some(folder.into());
        self
    }

    /// Ends it, with all its process group, when it runs longer.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// How long it has between SIGTERM and SIGKILL.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Writes its output to `path`, anew, and keeps at most about `max_bytes` of it: the beginning and the
    /// end, with a line between them that says how much is missing.
    pub fn log(mut self, path: impl Into<PathBuf>, max_bytes: u64) -> Self {
        self.log = Some((path.into(), max_bytes));
        self
    }

    /// How much of the end of its output is kept for error messages. Default 4 KiB.
    pub fn tail_bytes(mut self, bytes: usize) -> Self {
        self.tail_bytes = bytes;
        self
    }

    /// Shows its output, as it comes, to somebody else too.
    pub fn tee(mut self, tee: Tee) -> Self {
        self.tee = Some(tee);
        self
    }

    /// Lets it write to our own standard output and standard error, as a part of ourselves. Nothing of it is captured.
    pub fn inherit_output(mut self) -> Self {
        self.inherit_output = true;
        self
    }

    /// Runs it as this user and this group, by their numbers. Only root may.
    pub fn identity(mut self, user: Option<u32>, group: Option<u32>) -> Self {
        self.identity = (user, group);
        self
    }

    /// Tells which process it became, before [`Command::run`] waits for it.
    pub fn on_start(mut self, tell: impl Fn(&Process) + Send + Sync + 'static) -> Self {
        self.on_start = Some(OnStart(Arc::new(tell)));
        self
    }

    /// A command of the standard library with everything but its output.
    fn prepare(&self, program: &OsStr, args: &[&OsStr]) -> std::process::Command {
        use std::os::unix::process::CommandExt;
        #[expect(clippy::disallowed_methods, reason = "this is the one door")]
        let mut command = std::process::Command::new(program);
        command
            .args(args)
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null())
            .process_group(0);
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        if let Some(group) = self.identity.1 {
            command.gid(group);
        }
        if let Some(user) = self.identity.0 {
            command.uid(user);
        }
        command
    }

    /// Starts the program through `spawn`, its output captured.
    fn spawn<C>(
        &self,
        spawn: impl Fn(std::process::Command) -> std::io::Result<C>,
    ) -> Result<(C, Arc<Capture>), CommandError> {
        let (capture, output) = Capture::open(self)?;
        let child = self.launch(
            |command| {
                if self.inherit_output {
                    command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
                } else {
                    command.stdout(output.try_clone()?).stderr(output.try_clone()?);
                }
                Ok(())
            },
            spawn,
        )?;
        Ok((child, capture))
    }

    /// Starts the program with its streams as `connect` says, as a script of the shell if the system does not know what it is.
    fn launch<C>(
        &self,
        connect: impl Fn(&mut std::process::Command) -> std::io::Result<()>,
        spawn: impl Fn(std::process::Command) -> std::io::Result<C>,
    ) -> Result<C, CommandError> {
        let attempt = |program: &OsStr, args: &[&OsStr]| {
            retry_while_busy(|| {
                let mut command = self.prepare(program, args);
                connect(&mut command)?;
                spawn(command)
            })
        };
        let program = self.program.as_os_str();
        let result = match attempt(program, &[]) {
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOEXEC) => {
                attempt(OsStr::new(crate::home::SHELL), &[program])
            }
            result => result,
        };
        result.map_err(|source| CommandError::spawn(&self.program, self.cwd.as_deref(), source))
    }

    fn spawn_std(&self) -> Result<(Child, Arc<Capture>), CommandError> {
        self.spawn(|mut command| command.spawn())
    }
}

/// A program that was just written may still look open for writing in another thread's child, which is
/// between its fork and its exec. That passes within moments.
fn retry_while_busy<C>(attempt: impl Fn() -> std::io::Result<C>) -> std::io::Result<C> {
    for _ in 0..50 {
        match attempt() {
            Err(error) if error.raw_os_error() == Some(nix::libc::ETXTBSY) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
    attempt()
}
