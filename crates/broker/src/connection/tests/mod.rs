//! Sessions against a model of a broker: random clients, and after each step what they hear and what the broker keeps.

mod client;
mod model;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use self::client::{Client, Heard};
use self::model::{Model, Reply};
use self::steps::{Answered, Method, QUEUES, Step, step};
use crate::authority::Authority;
use crate::fuzzing::Guest;
use crate::hub::Hub;
use crate::server::open_vhost;
use crate::settings::{Clock, Settings};

fn open(folder: &std::path::Path) -> Arc<Hub> {
    let authority: Arc<dyn Authority> = Arc::new(Guest);
    let settings = Settings {
        segment_size: 4096,
        clock: Clock::new(|| Duration::from_secs(1_000_000)),
        ..Settings::new(folder)
    };
    open_vhost(settings, &authority).unwrap()
}

/// Brings what a step needs, unless it is a blunt one: its channel, its queue and its exchange.
fn prepared(model: &Model, step: &Step) -> Vec<Step> {
    let with = |method| Step {
        method,
        ..step.clone()
    };
    let mut steps = Vec::new();
    if !step.blunt {
        let needs_channel = !matches!(step.method, Method::Open | Method::CloseConnection);
        if needs_channel && !model.is_open(step.client, step.channel) {
            steps.push(with(Method::Open));
        }
        let (queue, exchange) = step.method.wants();
        if let Some(queue) = queue.filter(|queue| !model.queues.contains_key(queue)) {
            steps.push(with(Method::Declare {
                queue,
                durable: queue == "one",
                exclusive: false,
                auto_delete: false,
                passive: false,
            }));
        }
        if let Some(exchange) = exchange.filter(|exchange| !exchange.is_empty() && !model.exists(exchange)) {
            steps.push(with(Method::DeclareExchange {
                exchange,
                kind: "topic",
                durable: true,
                auto_delete: false,
                passive: false,
            }));
        }
    }
    steps.push(step.clone());
    steps
}

/// Does a step in the broker and in the model.
fn take(
    hub: &Hub,
    clients: &mut [Client<'_>; 2],
    model: &mut Model,
    step: &Step,
) -> Result<(), TestCaseError> {
    let tag = match &step.method {
        Method::Answer { which, .. } => match (which, model.tags(step.client, step.channel)) {
            (Some(which), tags) if !tags.is_empty() => tags[usize::from(*which) * tags.len() / 65_536],
            (Some(_), _) => 0,
            (None, tags) => tags.last().map_or(1, |last| last + 1),
        },
        _ => 0,
    };
    let expected = model.apply(step, tag);
    let number = model.published;
    clients[step.client].send(step, tag, number);
    let early = clients[step.client].hear();
    if expected.waits {
        let last = expected.replies.last().cloned().map(Heard::Reply);
        let said = last.is_some_and(|last| early.contains(&last));
        prop_assert!(!said, "said before the disk was safe: {:?}", expected.replies);
    }
    let mut replies = Vec::new();
    let mut deliveries = Vec::new();
    let mut cancelled = BTreeSet::new();
    let mut early = Some(early);
    // What one client gives back may go to the other, and the other way round.
    for _ in 0..2 {
        for (who, client) in clients.iter_mut().enumerate() {
            client.settle();
            let mut heard = if who == step.client {
                early.take().unwrap_or_default()
            } else {
                Vec::new()
            };
            heard.extend(client.hear());
            for heard in heard {
                match heard {
                    Heard::Reply(reply) => {
                        prop_assert_eq!(who, step.client, "{:?} was not asked for", reply);
                        replies.push(reply);
                    }
                    Heard::Delivery(mut delivery) => {
                        let asked = matches!(&step.method, Method::Consume { consumer, .. }
                            if (who, delivery.channel, delivery.consumer.as_str())
                                == (step.client, step.channel, consumer));
                        prop_assert!(!asked || !replies.is_empty(), "a delivery before the answer");
                        delivery.client = who;
                        deliveries.push(delivery);
                    }
                    Heard::Cancelled(channel, tag) => {
                        cancelled.insert((who, channel, tag));
                    }
                }
            }
        }
    }
    prop_assert_eq!(&replies, &expected.replies);
    let expected_cancelled: BTreeSet<_> = expected
        .cancelled
        .iter()
        .map(|(who, channel, tag)| (*who, *channel, (*tag).to_owned()))
        .collect();
    prop_assert_eq!(cancelled, expected_cancelled);
    model.take_deliveries(&deliveries).map_err(TestCaseError::fail)?;
    match replies.last() {
        Some(Reply::ChannelClosed(_)) => clients[step.client].agree(step.channel),
        Some(Reply::ConnectionClosed(_) | Reply::Plain(10, 51)) => clients[step.client].reconnect(),
        _ => {}
    }
    hub.with(|engine| engine.check_invariants());
    let kept: BTreeMap<String, usize> = hub
        .status("/")
        .queues
        .into_iter()
        .map(|queue| (queue.name, queue.ready))
        .collect();
    let queues = model.queues.iter();
    let expected = queues
        .map(|(name, queue)| ((*name).to_owned(), queue.ready.len()))
        .collect();
    prop_assert_eq!(kept, expected);
    Ok(())
}

/// What a client finds in the queues, taken out without an acknowledgement.
fn emptied(client: &mut Client<'_>) -> BTreeMap<&'static str, Vec<u64>> {
    let mut found = BTreeMap::new();
    for queue in QUEUES {
        let mut step = Step {
            client: 0,
            channel: 1,
            method: Method::Open,
            blunt: false,
        };
        let mut ask = |method| {
            step.method = method;
            client.send(&step, 0, 0);
            client.settle();
            match client.hear().pop() {
                Some(Heard::Reply(reply)) => reply,
                other => panic!("{other:?} is no answer"),
            }
        };
        ask(Method::Open);
        loop {
            match ask(Method::Get { queue, no_ack: true }) {
                Reply::Got {
                    redelivered, number, ..
                } => {
                    assert!(redelivered, "nobody knows whether {number} was seen");
                    found.entry(queue).or_insert_with(Vec::new).push(number);
                }
                Reply::Plain(60, 72) => {
                    found.entry(queue).or_default();
                    ask(Method::Close);
                    break;
                }
                Reply::ChannelClosed(404) => {
                    client.agree(1);
                    break;
                }
                other => panic!("{other:?} is no answer to a get"),
            }
        }
    }
    found
}

/// As many cases as `PROPTEST_CASES` says, or so many that they take a second or two.
fn config() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(64),
    }
}

/// Does all steps, and restarts the broker without a farewell.
fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let hub = open(folder.path());
    let mut model = Model::new();
    {
        let mut clients = [Client::new(&hub), Client::new(&hub)];
        for step in steps {
            for step in prepared(&model, step) {
                take(&hub, &mut clients, &mut model, &step)
                    .map_err(|error| TestCaseError::fail(format!("{step:?}: {error}")))?;
            }
        }
        // Nobody says good-bye: what is out comes back.
        hub.close_log();
    }
    drop(hub);
    let hub = open(folder.path());
    prop_assert_eq!(emptied(&mut Client::new(&hub)), model.lasting());
    hub.close_log();
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn clients_hear_what_the_model_says(steps in prop::collection::vec(step(), 1..100)) {
        run(&steps)?;
    }
}

/// What the consumer before it has not acknowledged does not count for one that has its name.
#[test]
fn a_consumer_under_an_old_name_gets_no_more_than_it_may_have() {
    let publish = || Method::Publish {
        exchange: "",
        key: "one",
        mandatory: false,
        persistent: false,
    };
    let consume = || Method::Consume {
        queue: "one",
        consumer: "first",
        no_ack: false,
        exclusive: false,
    };
    let methods = [
        Method::Qos {
            count: 1,
            global: false,
        },
        consume(),
        publish(),
        publish(),
        publish(),
        Method::Cancel { consumer: "first" },
        consume(),
        Method::Answer {
            which: Some(0),
            multiple: false,
            how: Answered::Ack,
        },
    ];
    let steps = methods.map(|method| Step {
        client: 0,
        channel: 1,
        method,
        blunt: false,
    });
    run(&steps).unwrap();
}
