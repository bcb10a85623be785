//! The two brokers, each in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use broker::{Authentication, Authority, Broker, Permissions, Settings};
use testkit::{Program, RabbitMq};

use super::client::Client;

/// The argument with which this program is our broker: `serve-broker FOLDER`.
pub(crate) const SERVE: &str = "serve-broker";

/// A kind of queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Classic,
    Quorum,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }
}

/// A broker that runs.
pub(super) struct Peer {
    pub(super) port: u16,
    /// How long it took until it spoke.
    pub(super) started: Duration,
    running: Running,
}

enum Running {
    Ours(Child),
    RabbitMq(RabbitMq),
}

impl Peer {
    pub(super) fn ours(folder: &Path) -> anyhow::Result<Self> {
        let this = std::env::current_exe().context("cannot tell where this program is")?;
        let began = Instant::now();
        let mut child = Program::at(&this)
            .args([SERVE.as_ref(), folder.as_os_str()])
            .into_command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start our broker")?;
        let output = child.stdout.take().context("our broker has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim().parse().context("our broker does not say its port")?;
        Client::open(port)?;
        Ok(Self {
            port,
            started: began.elapsed(),
            running: Running::Ours(child),
        })
    }

    pub(super) fn rabbitmq() -> Self {
        let began = Instant::now();
        let rabbit = RabbitMq::start();
        Self {
            port: rabbit.port(),
            started: began.elapsed(),
            running: Running::RabbitMq(rabbit),
        }
    }

    /// KiB that its process holds in memory.
    pub(super) fn memory(&self) -> anyhow::Result<u64> {
        let pid = match &self.running {
            Running::Ours(child) => child.id().to_string(),
            Running::RabbitMq(rabbit) => rabbit.pid().context("RabbitMQ has no process")?.to_string(),
        };
        let path = format!("/proc/{pid}/status");
        let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kibibytes
            .and_then(|number| number.trim().parse().ok())
            .with_context(|| format!("`{path}` has no VmRSS"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Running::Ours(child) = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[derive(Debug)]
struct Everybody;

impl Authority for Everybody {
    fn authenticate<'a>(&'a self, _: &'a str, _: &'a [u8]) -> Authentication<'a> {
        Box::pin(std::future::ready(Some(Permissions::everything())))
    }
}

/// Is our broker, until it is killed.
pub(crate) fn serve(folder: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let broker = Broker::open(Settings::new(folder.join("log")), Arc::new(Everybody))?;
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        terminal::out(format_args!("{}\n", listener.local_addr()?.port()))?;
        broker.listen(listener, None).await;
        Ok(())
    })
}
