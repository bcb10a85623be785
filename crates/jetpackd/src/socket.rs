//! The socket on which programs of this machine talk to the daemon.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use link::local::{DELIVER, DELIVER_PATIENCE, DeliveryState, STATUS};
use node::socket::with_short_name;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use crate::status::Status;

/// Longest question.
const MAX_LINE: u64 = 1024;
/// How long a question may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket file, which is removed with this.
pub(crate) struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    /// Listens. The caller holds the daemon's lock, so a file that is there is left over.
    pub(crate) fn bind(path: PathBuf) -> anyhow::Result<Self> {
        durable::remove(&path)?;
        let listener = with_short_name(&path, |name| UnixListener::bind(name))
            .with_context(|| format!("cannot listen at `{}`", path.display()))?;
        // Root and the group of the node's data.
        fs::set_permissions(&path, Permissions::from_mode(0o660))
            .with_context(|| format!("cannot set the permissions of `{}`", path.display()))?;
        Ok(Self { path, listener })
    }

    /// Answers until dropped.
    pub(crate) async fn serve(&self, status: &Status) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let status = status.clone();
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, &status).await {
                            tracing::debug!("a program did not wait for its answer: {error}");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!("cannot accept at `{}`: {error}", self.path.display());
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

async fn answer(stream: UnixStream, status: &Status) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(MAX_LINE));
    match timeout(PATIENCE, reader.read_line(&mut line)).await {
        Ok(result) => result?,
        Err(_) => return Err(io::ErrorKind::TimedOut.into()),
    };
    match line.trim() {
        DELIVER => {
            let delivery = match status.session() {
                Some(session) => session.deliver(DELIVER_PATIENCE).await,
                None => DeliveryState::Away.because(status.why_away()),
            };
            reply(writer, &delivery).await
        }
        STATUS => reply(writer, &status.report()).await,
        _ => {
            let known = serde_json::json!({"error": "unknown request", "known": [DELIVER, STATUS]});
            reply(writer, &known).await
        }
    }
}

async fn reply(mut writer: impl AsyncWriteExt + Unpin, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.shutdown().await
}
