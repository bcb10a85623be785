//! A broker in a process of its own, killed at random moments.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use lapin::options::*;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel};

use crate::support::{DEADLINE, Running, settings};

/// Set in the child: the folder to serve.
const SERVE: &str = "BROKER_TEST_SERVE";
const ROUNDS: usize = 20;
/// How long a client has to notice that its broker is dead.
const AFTER_DEATH: Duration = Duration::from_secs(1);

/// Kills the child whatever happens.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(dir: &Path) -> (Server, String) {
    let address = dir.join("address");
    let _ = std::fs::remove_file(&address);
    #[expect(clippy::disallowed_methods, reason = "the test needs a process to kill")]
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::what_is_confirmed_survives_kill"])
        .env(SERVE, dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server(child);
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Ok(address) = std::fs::read_to_string(&address) {
            return (server, address);
        }
        assert!(Instant::now() < deadline, "the child did not start");
        std::thread::sleep(Duration::from_millis(2));
    }
}

async fn serve(dir: &Path) {
    let mut settings = settings(&dir.join("log"));
    // Small, so that segments change and are dropped all the time.
    settings.segment_size = 16 * 1024;
    let running = Running::with(settings, crate::support::Users::guest()).await;
    let address = running.address.to_string();
    durable::write(&dir.join("address"), 0o600, address.as_bytes()).unwrap();
    std::future::pending::<()>().await;
}

/// What the client knows.
#[derive(Default)]
struct Known {
    next: u64,
    /// Confirmed, and not answered by an acknowledgement.
    confirmed: BTreeSet<u64>,
    /// Acknowledged; may come back.
    acknowledged: BTreeSet<u64>,
    /// Acknowledged before a publish that was confirmed; must not come back.
    gone: BTreeSet<u64>,
}

async fn connect(address: &str) -> (lapin::Connection, Channel) {
    let uri = format!("amqp://guest:guest@{address}/%2f");
    let connection = lapin::Connection::connect(&uri, lapin::ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .queue_declare("q".into(), QueueDeclareOptions::durable(), FieldTable::default())
        .await
        .unwrap();
    (connection, channel)
}

fn number(body: &[u8]) -> u64 {
    u64::from_be_bytes(body[..8].try_into().unwrap())
}

/// Everything in the queue is what it must be.
async fn verify(channel: &Channel, known: &Known) {
    let mut there = Vec::new();
    while let Some(message) = channel
        .basic_get("q".into(), BasicGetOptions::default())
        .await
        .unwrap()
    {
        there.push(number(&message.data));
    }
    assert!(
        there.is_sorted_by(|one, other| one < other),
        "order, and nothing twice: {there:?}"
    );
    let there: BTreeSet<u64> = there.into_iter().collect();
    let lost: Vec<_> = known.confirmed.difference(&there).collect();
    assert!(lost.is_empty(), "confirmed and lost: {lost:?}");
    let back: Vec<_> = known.gone.intersection(&there).collect();
    assert!(back.is_empty(), "acknowledged and back: {back:?}");
    assert!(
        there.last().is_none_or(|last| *last < known.next),
        "never published"
    );
}

/// Publishes and acknowledges until the broker is dead.
async fn work(channel: &Channel, known: &mut Known) -> lapin::Result<()> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    loop {
        let before = known.acknowledged.clone();
        let mut waiting = Vec::new();
        for _ in 0..8 {
            let mut body = known.next.to_be_bytes().to_vec();
            body.resize(200 + known.next as usize % 300, b'x');
            let properties = BasicProperties::default().with_delivery_mode(2);
            let sent = known.next;
            known.next += 1;
            let confirm = channel
                .basic_publish(
                    "".into(),
                    "q".into(),
                    BasicPublishOptions::default(),
                    &body,
                    properties,
                )
                .await?;
            waiting.push((sent, confirm));
        }
        for _ in 0..7 {
            if let Some(message) = channel.basic_get("q".into(), BasicGetOptions::default()).await? {
                let got = number(&message.data);
                known.confirmed.remove(&got);
                known.acknowledged.insert(got);
                message.ack(BasicAckOptions::default()).await?;
            }
        }
        for (sent, confirm) in waiting {
            assert!(confirm.await?.is_ack());
            if !known.acknowledged.contains(&sent) {
                known.confirmed.insert(sent);
            }
        }
        known.gone.extend(before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_confirmed_survives_kill() {
    if let Some(dir) = std::env::var_os(SERVE) {
        return serve(Path::new(&dir)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut known = Known::default();
    let mut noticed = 0;
    for _ in 0..ROUNDS {
        let (mut server, address) = spawn(folder.path());
        let (connection, channel) = connect(&address).await;
        verify(&channel, &known).await;
        channel.close(200, "".into()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let random = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
        let killer = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20 + random)).await;
            server.0.kill().unwrap();
            server.0.wait().unwrap();
        });
        tokio::select! {
            ended = work(&channel, &mut known) => {
                assert!(ended.is_err());
                noticed += 1;
            }
            // A client may wait for ever for an answer that died on its way: it is the broker that is tested.
            () = async {
                killer.await.unwrap();
                tokio::time::sleep(AFTER_DEATH).await;
            } => {}
        }
    }
    assert!(
        noticed > ROUNDS / 2,
        "clients notice the end of a broker: {noticed} of {ROUNDS}"
    );
    assert!(
        known.gone.len() > ROUNDS * 10,
        "too little was done: {}",
        known.gone.len()
    );
    let (_server, address) = spawn(folder.path());
    let (_connection, channel) = connect(&address).await;
    verify(&channel, &known).await;
    let size: u64 = std::fs::read_dir(folder.path().join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let live = 400 * (known.confirmed.len() as u64 + 100);
    assert!(
        size < 2 * live + 8 * 16 * 1024,
        "the log does not grow for ever: {size} for {live}"
    );
}
