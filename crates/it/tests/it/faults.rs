//! A network that fails and programs that are killed, again and again, while fifty nodes have something to say: all of it arrives, in
//! order, once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use testkit::{Fault, Node, PATIENCE, Proxy, Site, kill_hard, wait_for};

const NODES: usize = 50;
const FAULTS: usize = 200;
/// Of the faults, so many kill a daemon, and so many the server.
const DAEMON_KILLS: usize = 30;
const SERVER_KILLS: usize = 10;
const WRITERS: usize = 8;
/// Pause between two faults.
const PACE: Duration = Duration::from_millis(100);

const TEMPLATE: &str = "[cluster demo]\n[[nodearray execute]]\nInitialCount = 50\nMaxCount = 50\n";

fn start(http: &Proxy, amqp: &Proxy) -> Site {
    let mut site = Site::initialised();
    site.write_settings(
        "cycle_server.toml",
        &format!(
            "url = \"http://{}\"\namqp_url = \"amqp://{}\"\nheartbeat_seconds = 2\n",
            http.address(),
            amqp.address()
        ),
    );
    site.start_at_free_ports();
    http.lead_to(site.http_address());
    amqp.lead_to(site.amqp_address());
    site.configure();
    site
}

/// The same sequence at each run: a failure can be looked at again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

#[test]
fn what_fifty_nodes_say_arrives_in_order_and_once_whatever_fails() {
    let (http, amqp) = (Proxy::start(), Proxy::start());
    let mut site = start(&http, &amqp);
    site.start_cluster("demo", TEMPLATE);
    wait_for("all nodes to be ready", || {
        let ready = site
            .records("demo")
            .iter()
            .filter(|record| record["Status"] == "Ready")
            .count();
        if ready == NODES {
            Ok(())
        } else {
            Err(ready.to_string())
        }
    });
    let nodes: Vec<Node> = (1..=NODES)
        .map(|number| site.node("demo", &format!("execute-{number}")))
        .collect();
    let written: Vec<AtomicUsize> = nodes.iter().map(|_| AtomicUsize::new(0)).collect();
    let is_over = AtomicBool::new(false);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (nodes, written, is_over) = (&nodes, &written, &is_over);
            scope.spawn(move || {
                // Each node has one writer: its messages have an order.
                let mut own = (writer..NODES).step_by(WRITERS).cycle();
                while !is_over.load(Ordering::SeqCst) {
                    let place = own.next().unwrap();
                    let number = written[place].load(Ordering::SeqCst);
                    let text = format!("node {} number {number}", place + 1);
                    nodes[place].jetpack(&["log", &text, "-p", "low"]).success();
                    written[place].fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut dice = Dice(1);
        let mut done = 0;
        while done < FAULTS {
            std::thread::sleep(PACE);
            let moment = Duration::from_millis(200 + dice.roll(800) as u64);
            let fault = match dice.roll(5) {
                0 => ("half-closed, to the server", Fault::HalfCloseUp),
                1 => ("half-closed, to the node", Fault::HalfCloseDown),
                2 => ("delayed", Fault::Delay(moment)),
                3 => ("swallowed", Fault::BlackHole(moment)),
                _ => ("cut", Fault::Cut),
            };
            // Kills are spread over the others.
            let kind = if done % (FAULTS / SERVER_KILLS) == FAULTS / SERVER_KILLS - 1 {
                site.kill();
                site.start();
                "server killed"
            } else if done % (FAULTS / DAEMON_KILLS) == 1
                && counts.get("daemon killed") != Some(&DAEMON_KILLS)
            {
                kill_hard(nodes[dice.roll(NODES)].daemon());
                "daemon killed"
            } else {
                // HTTPS steps in for AMQP, and its connections are short.
                let proxy = if dice.roll(4) == 0 { &http } else { &amqp };
                if !proxy.fail(dice.roll(1000), fault.1) {
                    continue;
                }
                fault.0
            };
            *counts.entry(kind).or_default() += 1;
            done += 1;
        }
        is_over.store(true, Ordering::SeqCst);
    });
    let took = began.elapsed();
    let said: usize = written.iter().map(|count| count.load(Ordering::SeqCst)).sum();
    let deadline = Instant::now() + 2 * PATIENCE;
    let stored = loop {
        let stored = stored(&site);
        let arrived: usize = stored.values().map(Vec::len).sum();
        if arrived >= said {
            break stored;
        }
        assert!(Instant::now() < deadline, "{arrived} of {said} messages arrived");
        std::thread::sleep(Duration::from_millis(250));
    };
    for (place, count) in written.iter().enumerate() {
        let expected: Vec<usize> = (0..count.load(Ordering::SeqCst)).collect();
        let empty = Vec::new();
        let arrived = stored.get(&(place + 1)).unwrap_or(&empty);
        assert_eq!(*arrived, expected, "node {}: each once, in order", place + 1);
    }
    println!(
        "{FAULTS} faults in {:.1} s: {counts:?}\n{said} messages of {NODES} nodes arrived once and in order; {} connections over AMQP, {} over HTTPS",
        took.as_secs_f64(),
        amqp.accepted(),
        http.accepted(),
    );
    assert_eq!(counts.values().sum::<usize>(), FAULTS);
    assert_eq!(counts["server killed"], SERVER_KILLS);
    assert_eq!(counts["daemon killed"], DAEMON_KILLS);
    assert!(said > 10 * NODES, "{said} messages are too few to show something");
}

/// The numbers of each node's messages, as the server has stored them.
fn stored(site: &Site) -> BTreeMap<usize, Vec<usize>> {
    let mut stored: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut after = 0;
    loop {
        let path = format!("/cloud/api/events?cluster=demo&after={after}&limit=1000");
        let events = site.request("GET", &path, None).json();
        let events = events.as_array().unwrap();
        let Some(last) = events.last() else { return stored };
        after = last["id"].as_i64().unwrap();
        for event in events {
            let message = event["message"].as_str().unwrap_or_default();
            let words: Vec<&str> = message.split(' ').collect();
            if let ["node", node, "number", number] = words[..] {
                let node = node.parse().unwrap();
                assert_eq!(
                    event["node"],
                    format!("execute-{node}"),
                    "nobody speaks for another"
                );
                stored.entry(node).or_default().push(number.parse().unwrap());
            }
        }
    }
}
