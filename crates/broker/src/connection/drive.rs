//! The socket of a connection.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::handshake::{Agreed, Refused, shake};
use super::session::{Phase, Session, put_close};
use crate::codec::{next_frame, put_heartbeat};
use crate::engine::SessionId;
use crate::failure::{Code, Failure};
use crate::hub::{Hub, Vhosts};

/// Room for the next read: small for quiet clients, large for busy ones.
const READ_SMALL: usize = 2 * 1024;
const READ_LARGE: usize = 64 * 1024;

/// Who may end a connection from outside.
#[derive(Debug)]
pub(crate) struct Ends {
    /// The user is not welcome any more.
    pub(crate) user: CancellationToken,
    /// The broker shuts down.
    pub(crate) broker: CancellationToken,
}

impl Ends {
    async fn wait(&self) -> Failure {
        let text = tokio::select! {
            () = self.user.cancelled() => "the connections of this user were closed",
            () = self.broker.cancelled() => "broker forced connection closure with reason 'shutdown'",
        };
        Failure::connection(Code::ConnectionForced, text)
    }
}

/// Ends the engine's part whatever happens to the task.
struct Guard<'a> {
    hub: &'a Hub,
    session: SessionId,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.hub.close_session(self.session);
    }
}

/// Serves a connection to its end.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    vhosts: &Vhosts,
    number: u64,
    (peer, certificate): (&str, Option<Vec<u8>>),
    mut stream: S,
    ends: Ends,
) {
    let hub = &*vhosts.root;
    let mut input = BytesMut::with_capacity(READ_SMALL);
    let shaken = tokio::select! {
        _ = ends.wait() => return,
        shaken = timeout(
            hub.settings.handshake_timeout,
            shake(vhosts, number, certificate.as_deref(), &mut stream, &mut input),
        ) => shaken,
    };
    match shaken {
        Err(_) => tracing::debug!(peer, "the client did not open its connection in time"),
        Ok(Err(Refused::Gone)) => tracing::debug!(peer, "the client left before its connection was open"),
        Ok(Err(Refused::Told(failure))) => {
            tracing::info!(peer, %failure, "refused a connection");
            let _ = timeout(hub.settings.close_timeout, say_no(&mut stream, &failure)).await;
        }
        Ok(Ok(agreed)) => {
            tracing::debug!(peer, user = agreed.user, "connected");
            // Looked up before the connection was opened; vhosts do not go.
            let hub = vhosts.get(&agreed.vhost).unwrap_or(&vhosts.root);
            serve(hub, agreed, stream, input, &ends).await;
            tracing::debug!(peer, "disconnected");
        }
    }
}

/// Tells why, and reads on until the client closes: a socket closed with unread input would be reset, and the reason lost.
async fn say_no<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, failure: &Failure) -> std::io::Result<()> {
    let mut out = BytesMut::new();
    put_close(&mut out, failure, (0, 0));
    stream.write_all(&out).await?;
    stream.flush().await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    hub: &Hub,
    agreed: Agreed,
    stream: S,
    mut input: BytesMut,
    ends: &Ends,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (id, letters) = hub.open_session();
    let _guard = Guard { hub, session: id };
    let limit = agreed.frame_max;
    let heartbeat = agreed.heartbeat;
    let mut session = Session::new(hub, id, agreed, letters);
    let mut synced = hub.synced.clone();
    let mut blocked = hub.blocked.subscribe();
    let mut pulse = Pulse::new(heartbeat);
    let mut flushed = true;
    let mut close_by = None;
    let mut want = READ_SMALL;
    loop {
        let mut position = synced.borrow_and_update().position;
        session.settle(position);
        while session.may_read(position) {
            match next_frame(&mut input, limit) {
                Ok(Some(frame)) => {
                    session.take(frame);
                    session.renew_secret().await;
                    if session.keeps_waiting(position) {
                        position = synced.borrow_and_update().position;
                        session.settle(position);
                    }
                }
                Ok(None) => break,
                Err(failure) => {
                    session.fail(&failure, (0, 0));
                    // What follows cannot be understood any more, the client's answer included.
                    input.clear();
                    break;
                }
            }
        }
        blocked.borrow_and_update();
        session.tell_blocked();
        session.settle(position);
        if session.may_deliver() {
            session.read_letters(None, false);
        }
        if session.phase == Phase::Closing && close_by.is_none() {
            close_by = Some(Instant::now() + hub.settings.close_timeout);
        } else if session.phase == Phase::Done {
            break;
        }
        let may_read = session.may_read(position);
        if session.keeps_waiting(position) {
            pulse.heard();
        }
        if may_read && input.capacity() - input.len() < want / 2 {
            input.reserve(want);
        }
        let deadline = close_by.or_else(|| pulse.next());
        let may_deliver = session.may_deliver();
        let waits_for_log = session.waits_for_log(position);
        let open = session.phase == Phase::Open;
        tokio::select! {
            failure = ends.wait(), if open => session.fail(&failure, (0, 0)),
            read = reader.read_buf(&mut input), if may_read => match read {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    pulse.heard();
                    want = if count >= want / 2 { READ_LARGE } else { READ_SMALL };
                }
            },
            pushed = push(&mut writer, &mut session.out), if !session.out.is_empty() || !flushed => match pushed {
                Err(_) => break,
                Ok(true) => flushed = true,
                Ok(false) => {
                    pulse.said();
                    flushed = false;
                    if session.out.is_empty() {
                        // A burst must not keep its buffer for the rest of the connection.
                        session.out = BytesMut::new();
                    }
                }
            },
            changed = synced.changed(), if waits_for_log => if changed.is_err() {
                break;
            },
            _ = blocked.changed() => {}
            () = until(deadline), if deadline.is_some() => {
                if close_by.is_some() || pulse.is_dead() {
                    break;
                }
                if session.out.is_empty() {
                    put_heartbeat(&mut session.out);
                }
                pulse.said();
                if input.is_empty() {
                    input = BytesMut::new();
                }
            }
            letter = session.letters.recv(), if may_deliver => match letter {
                Some(letter) => session.read_letters(Some(letter), false),
                None => break,
            },
        }
    }
    hub.close_session(id);
    let last_words = async {
        writer.write_all_buf(&mut session.out).await?;
        writer.shutdown().await?;
        // A socket closed with unread input would be reset, and the last words lost.
        let mut rest = [0; 1024];
        while reader.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    if session.phase == Phase::Done {
        let _ = timeout(hub.settings.close_timeout, last_words).await;
    }
}

/// Writes some of `out`, or flushes when there is nothing to write; true when everything is out.
async fn push<W: AsyncWrite + Unpin>(writer: &mut W, out: &mut BytesMut) -> std::io::Result<bool> {
    if out.is_empty() {
        return writer.flush().await.map(|()| true);
    }
    match writer.write_buf(out).await? {
        0 => Err(std::io::ErrorKind::WriteZero.into()),
        _ => Ok(false),
    }
}

async fn until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        sleep_until(deadline).await;
    }
}

/// Heartbeats both ways.
struct Pulse {
    interval: Option<Duration>,
    heard: Instant,
    said: Instant,
}

impl Pulse {
    fn new(interval: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            interval,
            heard: now,
            said: now,
        }
    }

    fn heard(&mut self) {
        self.heard = Instant::now();
    }

    fn said(&mut self) {
        self.said = Instant::now();
    }

    /// When something is to be done.
    fn next(&self) -> Option<Instant> {
        self.interval
            .map(|interval| (self.said + interval / 2).min(self.heard + 2 * interval))
    }

    /// Nothing was heard for two intervals.
    fn is_dead(&self) -> bool {
        self.interval
            .is_some_and(|interval| self.heard.elapsed() >= 2 * interval)
    }
}
