//! A whole connection, from before the protocol header to the end of the log.

#![expect(
    clippy::expect_used,
    reason = "without its surroundings a fuzzer tests nothing"
)]

use std::sync::Arc;
use std::time::Duration;

use amq_protocol::frame::parse_frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::seeds::handshake;
use crate::authority::{Authentication, Authority, Permissions};
use crate::connection::{Ends, run};
use crate::hub::{Hub, Vhosts};
use crate::server::open_vhost;
use crate::settings::{Clock, Settings};

/// Lets `guest` in, with the password `guest`.
#[derive(Debug)]
pub(crate) struct Guest;

impl Authority for Guest {
    fn authenticate<'a>(&'a self, user: &'a str, password: &'a [u8]) -> Authentication<'a> {
        let known = user == "guest" && password == b"guest";
        Box::pin(std::future::ready(known.then(Permissions::everything)))
    }
}

/// Serves a client that sends these bytes, and leaves: what it hears are frames, the state of the broker is whole, and the log
/// brings back what was in it. An odd first byte stands for a handshake before the others; it is not sent.
///
/// # Panics
/// When that does not hold.
pub fn connection(bytes: &[u8]) {
    let (opened, bytes) = match bytes.split_first() {
        Some((first, rest)) => (first % 2 == 1, rest),
        None => (false, bytes),
    };
    let mut sent = if opened { handshake() } else { Vec::new() };
    sent.extend_from_slice(bytes);
    let folder = tempfile::tempdir().expect("a folder");
    let settings = || Settings {
        segment_size: 4096,
        max_body: 1 << 16,
        disk_free_limit: 0,
        refusal_delay: Duration::ZERO,
        clock: Clock::new(|| Duration::from_secs(1_000_000)),
        ..Settings::new(folder.path())
    };
    let authority: Arc<dyn Authority> = Arc::new(Guest);
    let hub = open_vhost(settings(), &authority).expect("a log");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let heard = runtime.block_on(talk(&hub, &sent));
    check_frames(&heard);
    let (messages, bindings) = hub.with(|engine| {
        engine.check_invariants();
        (engine.logged_messages(), engine.logged_bindings())
    });
    for queue in hub.status("/").queues {
        assert_eq!((queue.unacked, queue.consumers), (0, 0), "of `{}`", queue.name);
    }
    hub.close_log();
    drop(hub);
    let hub = open_vhost(settings(), &authority).expect("the same log");
    hub.with(|engine| {
        engine.check_invariants();
        assert_eq!(engine.logged_messages(), messages, "messages after a restart");
        assert_eq!(engine.logged_bindings(), bindings, "bindings after a restart");
    });
    hub.close_log();
}

/// What a client hears that sends these bytes, and leaves once it hears nothing more.
async fn talk(hub: &Arc<Hub>, sent: &[u8]) -> Vec<u8> {
    let vhosts = Vhosts {
        root: Arc::clone(hub),
        others: std::collections::BTreeMap::new(),
    };
    let ends = Ends {
        user: CancellationToken::new(),
        broker: CancellationToken::new(),
    };
    let (client, server) = tokio::io::duplex(1 << 16);
    let (mut reader, mut writer) = tokio::io::split(client);
    let says = async {
        // The broker may have closed the connection meanwhile.
        let _ = writer.write_all(sent).await;
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        let _ = writer.shutdown().await;
    };
    let mut heard = Vec::new();
    let hears = reader.read_to_end(&mut heard);
    let served = run(&vhosts, 1, ("a client", None), server, ends);
    let (_, read, ()) = tokio::join!(says, hears, served);
    read.expect("an open pipe");
    heard
}

/// The client may be gone before the last frame is out, but every frame that is whole can be read.
fn check_frames(mut heard: &[u8]) {
    const HEADER: &[u8] = b"AMQP\0\0\x09\x01";
    if heard.starts_with(HEADER) {
        assert_eq!(heard, HEADER, "nothing follows the protocol header of a refusal");
        return;
    }
    while let Some(head) = heard.first_chunk::<7>() {
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let Some((frame, rest)) = heard.split_at_checked(size + 8) else {
            return;
        };
        let read = parse_frame(frame);
        assert!(
            matches!(read, Ok(([], _))),
            "not a frame: {:?}",
            frame.get(..64.min(frame.len()))
        );
        heard = rest;
    }
}
