//! One run of one program.
//!
//! The kernel tells a process what its children have used, all together. So each run has a parent of its own: this
//! program, started with [`ONCE`], which starts the program, waits and prints the figures.

use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

/// The first argument with which this program is the parent of one run.
pub(crate) const ONCE: &str = "--once";

/// A program to be measured. Its output is thrown away; a run that fails ends the comparison.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    /// What the table calls it.
    pub(crate) name: String,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

/// What one run took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// From the start of the process to its end.
    pub(crate) wall: Duration,
    /// In user mode and in the kernel, with all children that it waited for.
    pub(crate) cpu: Duration,
    /// The most memory that one of its processes held at a time, in KiB. Never less than what the parent holds, about
    /// 2.5 MB: the new process is a copy of it for a moment.
    pub(crate) peak: u64,
    /// Processes and threads that started on the whole machine meanwhile, without the program itself. The least of
    /// many runs is what the program starts; the rest is others' doing.
    pub(crate) forks: u64,
}

impl Contender {
    /// This program without arguments, in our environment.
    pub(crate) fn new(name: &str, program: impl Into<OsString>) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// With these further arguments.
    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With this variable in its environment.
    pub(crate) fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs it once.
    ///
    /// # Errors
    /// When it cannot be started or does not succeed; with what it said on stderr.
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark of processes starts processes"
    )]
    pub(crate) fn measure(&self) -> anyhow::Result<Sample> {
        let parent = std::env::current_exe().context("cannot tell where this program is")?;
        let output = Command::new(parent)
            .arg(ONCE)
            .arg(&self.program)
            .args(&self.args)
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start the parent of `{}`", self.name))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` did not succeed: {}", self.name, said.trim());
        }
        parse(&String::from_utf8_lossy(&output.stdout))
            .with_context(|| format!("the parent of `{}` printed no figures", self.name))
    }
}

/// Runs a program that prepares a measurement.
///
/// # Errors
/// When it cannot be started or does not succeed; with what it said on stderr.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark of processes starts processes"
)]
pub(crate) fn run_quietly(program: &str, args: &[&OsStr]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{program}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{program}` did not succeed: {}", said.trim());
    }
    Ok(())
}

/// The parent of one run: starts the command, waits and prints what it used.
///
/// # Errors
/// When it cannot be started or does not succeed.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark of processes starts processes"
)]
pub(crate) fn run_once(command: &[String]) -> anyhow::Result<()> {
    let [program, args @ ..] = command else {
        bail!("no program given");
    };
    let forks = forks()?;
    let start = Instant::now();
    let status = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{program}`"))?;
    let wall = start.elapsed();
    let forks = self::forks()?.saturating_sub(forks + 1);
    if !status.success() {
        bail!("`{program}` ended with {status}");
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot read what the process used")?;
    let micros = |time: TimeVal| time.num_microseconds();
    let cpu = micros(usage.user_time()) + micros(usage.system_time());
    terminal::out(format_args!(
        "{} {cpu} {} {forks}\n",
        wall.as_nanos(),
        usage.max_rss()
    ))?;
    Ok(())
}

fn parse(line: &str) -> Option<Sample> {
    let mut figures = line.split_whitespace().map(|word| word.parse().ok());
    let mut next = || figures.next().flatten();
    Some(Sample {
        wall: Duration::from_nanos(next()?),
        cpu: Duration::from_micros(next()?),
        peak: next()?,
        forks: next()?,
    })
}

/// How many processes and threads have started since the machine has.
fn forks() -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string("/proc/stat").context("cannot read `/proc/stat`")?;
    stat.lines()
        .find_map(|line| line.strip_prefix("processes ")?.trim().parse().ok())
        .context("`/proc/stat` does not say how many processes have started")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_the_parent_are_read_back() {
        let sample = parse("1500000 900 4096 2\n").unwrap();
        assert_eq!(sample.wall, Duration::from_micros(1500));
        assert_eq!(sample.cpu, Duration::from_micros(900));
        assert_eq!((sample.peak, sample.forks), (4096, 2));
        assert_eq!(parse("1 2 3"), None);
        assert_eq!(parse("1 2 3 x"), None);
    }
}
