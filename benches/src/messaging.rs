//! Our broker against RabbitMQ: the same client, the same frames, in turns, on the loopback interface.
//!
//! Classic queues are RabbitMQ's on one machine, quorum queues those that a site should use. All messages are durable, of 1 KB, and
//! confirmed.

mod client;
mod peers;

use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use terminal::Table;

use self::client::Client;
use self::peers::{Kind, Peer};
pub(crate) use self::peers::{SERVE, serve};
use crate::statistics::typical;

/// Connections, unconfirmed messages of each, and messages of each.
const LOADS: [(usize, usize, usize); 6] = [
    (1, 1, 400),
    (1, 100, 8000),
    (10, 1, 200),
    (10, 100, 1500),
    (100, 1, 50),
    (100, 100, 300),
];
const ROUNDS: usize = 3;
/// One message each so often, to see how long it takes to its consumer.
const STEADY: Duration = Duration::from_millis(10);
const STEADY_MESSAGES: usize = 300;
/// Connections that do nothing, each with a durable queue.
const IDLE: [usize; 2] = [1000, 5000];

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Tables and verdicts.
    pub(crate) text: String,
    /// Goals that were not reached.
    pub(crate) missed: Vec<String>,
}

impl Figures {
    fn table(&mut self, title: &str, table: &Table) {
        self.text.push_str(&format!("{title}\n{table}"));
    }

    fn goal(&mut self, text: String, reached: bool) {
        let verdict = if reached { "reached" } else { "MISSED " };
        self.text.push_str(&format!("{verdict}  {text}\n"));
        if !reached {
            self.missed.push(text);
        }
    }
}

/// Measures everything; some minutes.
pub(crate) fn run(scratch: &Path) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let (ours, rabbit) = (Peer::ours(scratch)?, Peer::rabbitmq());
    let started = [ours.started, rabbit.started];
    throughput(&ours, &rabbit, &mut figures)?;
    latency(&ours, &rabbit, &mut figures)?;
    memory(&ours, &rabbit, &mut figures)?;
    let mut table = Table::new(["BROKER", "READY AFTER"]);
    table.row(["ours".to_owned(), milliseconds(started[0])]);
    table.row(["RabbitMQ".to_owned(), milliseconds(started[1])]);
    figures.table("From the start to the first frame", &table);
    figures.goal(
        format!(
            "ours is ready after {}, goal at most 50 ms",
            milliseconds(started[0])
        ),
        started[0] <= Duration::from_millis(50),
    );
    Ok(figures)
}

fn throughput(ours: &Peer, rabbit: &Peer, figures: &mut Figures) -> anyhow::Result<()> {
    let mut table = Table::new([
        "CONNECTIONS",
        "WINDOW",
        "OURS/S",
        "NOISE",
        "CLASSIC/S",
        "NOISE",
        "QUORUM/S",
        "NOISE",
        "OURS/CLASSIC",
        "OURS/QUORUM",
    ]);
    let mut verdicts = Vec::new();
    for (connections, window, count) in LOADS {
        let mut rates = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (place, (peer, kind)) in contenders(ours, rabbit).into_iter().enumerate() {
                rates[place].push(publish(peer, kind, connections, window, count)?);
            }
        }
        let rates = rates.map(|rates| typical(&rates));
        let [Some(own), Some(classic), Some(quorum)] = rates else {
            bail!("nothing was measured");
        };
        let mut row = vec![connections.to_string(), window.to_string()];
        for rate in [own, classic, quorum] {
            row.push(format!("{:.0}", rate.median));
            row.push(format!("±{:.0}%", rate.noise * 100.0));
        }
        row.push(format!("{:.1}", own.median / classic.median));
        row.push(format!("{:.1}", own.median / quorum.median));
        table.row(row);
        let ratio = own.median / quorum.median;
        verdicts.push((
            format!(
                "{connections} connections, window {window}: ours / quorum = {ratio:.1}, goal at least 2"
            ),
            ratio >= 2.0,
        ));
    }
    figures.table("Confirmed messages a second, durable, of 1 KB", &table);
    for (text, reached) in verdicts {
        figures.goal(text, reached);
    }
    Ok(())
}

fn contenders<'a>(ours: &'a Peer, rabbit: &'a Peer) -> [(&'a Peer, Kind); 3] {
    [
        (ours, Kind::Classic),
        (rabbit, Kind::Classic),
        (rabbit, Kind::Quorum),
    ]
}

/// Confirmed messages a second of all connections together, each into a queue of its own.
fn publish(peer: &Peer, kind: Kind, connections: usize, window: usize, count: usize) -> anyhow::Result<f64> {
    let clients = (0..connections).map(|number| {
        let mut client = Client::open(peer.port)?;
        let queue = format!("bench.{}.{number}", kind.name());
        client.declare(&queue, kind)?;
        client.purge(&queue)?;
        Ok((client, queue))
    });
    let clients: Vec<(Client, String)> = clients.collect::<anyhow::Result<_>>()?;
    let barrier = Barrier::new(connections + 1);
    thread::scope(|scope| {
        let running: Vec<_> = clients
            .into_iter()
            .map(|(mut client, queue)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    client.publish(&queue, count, window)?;
                    client.purge(&queue)
                })
            })
            .collect();
        barrier.wait();
        let began = Instant::now();
        for one in running {
            one.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok((connections * count) as f64 / began.elapsed().as_secs_f64())
    })
}

fn latency(ours: &Peer, rabbit: &Peer, figures: &mut Figures) -> anyhow::Result<()> {
    let mut table = Table::new(["BROKER", "P50", "NOISE", "P99", "NOISE"]);
    let mut tails = Vec::new();
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (place, (peer, kind)) in contenders(ours, rabbit).into_iter().enumerate() {
            times[place].push(steady(peer, kind)?);
        }
    }
    for (name, times) in ["ours", "RabbitMQ, classic", "RabbitMQ, quorum"]
        .into_iter()
        .zip(&times)
    {
        let of = |share: usize| {
            let each: Vec<f64> = times
                .iter()
                .map(|sorted| sorted[(sorted.len() - 1) * share / 100].as_secs_f64())
                .collect();
            typical(&each).context("nothing was measured")
        };
        let (half, tail) = (of(50)?, of(99)?);
        let shown = |seconds: f64| milliseconds(Duration::from_secs_f64(seconds));
        let noise = |noise: f64| format!("±{:.0}%", noise * 100.0);
        table.row([
            name.to_owned(),
            shown(half.median),
            noise(half.noise),
            shown(tail.median),
            noise(tail.noise),
        ]);
        tails.push(tail.median);
    }
    figures.table("From publish to consumer, 100 messages a second", &table);
    figures.goal(
        format!(
            "p99 of RabbitMQ's classic queues / ours = {:.1}, goal more than 1",
            tails[1] / tails[0]
        ),
        tails[1] > tails[0],
    );
    Ok(())
}

/// Times from publish to consumer, sorted.
fn steady(peer: &Peer, kind: Kind) -> anyhow::Result<Vec<Duration>> {
    let queue = format!("bench.steady.{}", kind.name());
    let (mut publisher, mut consumer) = (Client::open(peer.port)?, Client::open(peer.port)?);
    publisher.declare(&queue, kind)?;
    publisher.purge(&queue)?;
    consumer.consume(&queue)?;
    thread::scope(|scope| {
        let receiving = scope.spawn(move || {
            let arrivals = (0..STEADY_MESSAGES).map(|_| consumer.delivery().map(|()| Instant::now()));
            arrivals.collect::<anyhow::Result<Vec<_>>>()
        });
        let mut sent = Vec::with_capacity(STEADY_MESSAGES);
        for _ in 0..STEADY_MESSAGES {
            sent.push(Instant::now());
            publisher.publish(&queue, 1, 1)?;
            thread::sleep(STEADY);
        }
        let arrived = receiving
            .join()
            .map_err(|_| anyhow::anyhow!("the consumer panicked"))??;
        let mut times: Vec<Duration> = sent
            .into_iter()
            .zip(arrived)
            .map(|(sent, arrived)| arrived.saturating_duration_since(sent))
            .collect();
        times.sort_unstable();
        Ok(times)
    })
}

fn memory(ours: &Peer, rabbit: &Peer, figures: &mut Figures) -> anyhow::Result<()> {
    let mut table = Table::new(["CONNECTIONS", "OURS EACH", "RABBITMQ EACH", "RABBITMQ/OURS"]);
    let mut worst = 0.0_f64;
    for count in IDLE {
        let (own, other) = (idle(ours, count)?, idle(rabbit, count)?);
        worst = worst.max(own);
        table.row([
            count.to_string(),
            format!("{own:.1} KiB"),
            format!("{other:.1} KiB"),
            format!("{:.1}", other / own),
        ]);
    }
    figures.table(
        "Memory of a connection that does nothing, with its durable queue",
        &table,
    );
    figures.goal(
        format!("ours needs {worst:.1} KiB for each, goal at most 16 KiB"),
        worst <= 16.0,
    );
    Ok(())
}

/// KiB of memory for each of so many connections.
fn idle(peer: &Peer, count: usize) -> anyhow::Result<f64> {
    const SETTLE: Duration = Duration::from_secs(2);
    let before = peer.memory()?;
    let mut clients = Vec::with_capacity(count);
    for number in 0..count {
        let mut client = Client::open(peer.port)?;
        client.declare(&format!("idle.{count}.{number}"), Kind::Classic)?;
        clients.push(client);
    }
    thread::sleep(SETTLE);
    let after = peer.memory()?;
    for (number, client) in clients.iter_mut().enumerate() {
        client.delete(&format!("idle.{count}.{number}"))?;
    }
    Ok((after.saturating_sub(before)) as f64 / count as f64)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
