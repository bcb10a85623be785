//! The engine against a simple model, and its log against the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use amq_protocol::types::{AMQPValue, FieldTable};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::failure::Code;
use crate::store::{Journal, recover};

/// Small, so that a few messages fill it.
const SEGMENT: u64 = 600;

fn engine(dir: &Path) -> Engine {
    let recovered = recover(dir, usize::MAX).unwrap();
    let journal = Journal::open(dir, SEGMENT, recovered.position, &recovered.segments).unwrap();
    let limits = Limits {
        // Every body leaves the memory as soon as it may.
        page_at: 0,
        ..Limits::default()
    };
    let mut engine = Engine::new(journal, limits);
    engine.restore(recovered, 1000);
    engine
}

fn declare(engine: &mut Engine, session: SessionId, name: &str) {
    declare_with(engine, session, name, &FieldTable::default());
}

fn declare_with(engine: &mut Engine, session: SessionId, name: &str, arguments: &FieldTable) {
    let wanted = Declaration {
        name,
        named_here: false,
        durable: true,
        exclusive: false,
        auto_delete: false,
        arguments,
    };
    engine.declare_queue(session, &wanted, 1000).unwrap();
}

fn publish(engine: &mut Engine, exchange: &str, key: &str, persistent: bool, body: &[u8]) {
    let publication = Publication {
        exchange,
        key,
        headers: None,
        persistent,
        ttl: None,
        properties: Bytes::from_static(&[0, 0]),
        body: Bytes::copy_from_slice(body),
    };
    engine.publish(publication, 1000).unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Publish {
        persistent: bool,
        both: bool,
    },
    Get {
        queue: usize,
    },
    Answer {
        which: prop::sample::Index,
        answer: Answer,
        multiple: bool,
    },
    Purge {
        queue: usize,
    },
    CloseChannel,
    Redeclare {
        queue: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prop::bool::weighted(0.8), any::<bool>()).prop_map(|(persistent, both)| Step::Publish { persistent, both }),
        5 => (0usize..2).prop_map(|queue| Step::Get { queue }),
        4 => (
            any::<prop::sample::Index>(),
            prop::sample::select(vec![Answer::Drop, Answer::PutBack]),
            any::<bool>(),
        )
            .prop_map(|(which, answer, multiple)| Step::Answer { which, answer, multiple }),
        1 => (0usize..2).prop_map(|queue| Step::Purge { queue }),
        1 => Just(Step::CloseChannel),
        1 => (0usize..2).prop_map(|queue| Step::Redeclare { queue }),
    ]
}

/// The numbers in each queue by name, and which of them survive a restart.
#[derive(Default)]
struct Model {
    ready: [BTreeSet<u32>; 2],
    /// By delivery tag.
    unacked: BTreeMap<u64, (usize, u32)>,
    transient: BTreeSet<u32>,
}

const NAMES: [&str; 2] = ["one", "two"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn queues_follow_the_model_and_survive_a_restart(steps in prop::collection::vec(step(), 1..120)) {
        let folder = tempfile::tempdir().unwrap();
        let mut engine = engine(folder.path());
        let session = engine.open_session();
        engine.open_channel(session, 1).unwrap();
        for name in NAMES {
            declare(&mut engine, session, name);
        }
        for name in NAMES {
            engine.bind_queue(session, name, "amq.fanout", "", &FieldTable::default()).unwrap();
        }
        let mut model = Model::default();
        let mut number = 0u32;
        for step in steps {
            match step {
                Step::Publish { persistent, both } => {
                    let body = [number.to_be_bytes().as_slice(), &[0; 60]].concat();
                    if both {
                        publish(&mut engine, "amq.fanout", "", persistent, &body);
                        model.ready[1].insert(number);
                    } else {
                        publish(&mut engine, "", NAMES[0], persistent, &body);
                    }
                    model.ready[0].insert(number);
                    if !persistent {
                        model.transient.insert(number);
                    }
                    number += 1;
                }
                Step::Get { queue } => {
                    let got = engine.get(session, 1, NAMES[queue], false, 1000).unwrap();
                    let expected = model.ready[queue].pop_first();
                    let number = got.as_ref().map(|got| u32::from_be_bytes(got.body[..4].try_into().unwrap()));
                    prop_assert_eq!(number, expected);
                    if let (Some(got), Some(number)) = (got, expected) {
                        prop_assert_eq!(got.left, model.ready[queue].len());
                        model.unacked.insert(got.tag, (queue, number));
                    }
                }
                Step::Answer { which, answer, multiple } => {
                    if model.unacked.is_empty() {
                        let refused = engine.answer(session, 1, 1_000_000, multiple, answer, 1000).unwrap_err();
                        prop_assert_eq!(refused.code, Code::PreconditionFailed);
                        continue;
                    }
                    let tag = *which.get(&model.unacked.keys().copied().collect::<Vec<_>>());
                    engine.answer(session, 1, tag, multiple, answer, 1000).unwrap();
                    let answered: Vec<u64> = model
                        .unacked
                        .keys()
                        .copied()
                        .filter(|other| *other == tag || multiple && *other < tag)
                        .collect();
                    for tag in answered {
                        if let Some((queue, number)) = model.unacked.remove(&tag)
                            && answer == Answer::PutBack
                        {
                            model.ready[queue].insert(number);
                        }
                    }
                }
                Step::Purge { queue } => {
                    let count = engine.purge(session, NAMES[queue], 1000).unwrap();
                    prop_assert_eq!(count, model.ready[queue].len());
                    model.ready[queue].clear();
                }
                Step::CloseChannel => {
                    engine.close_channel(session, 1, 1000);
                    engine.open_channel(session, 1).unwrap();
                    for (queue, number) in std::mem::take(&mut model.unacked).into_values() {
                        model.ready[queue].insert(number);
                    }
                }
                Step::Redeclare { queue } => {
                    let (count, _) = engine.delete_queue(session, NAMES[queue], (false, false), 1000).unwrap();
                    prop_assert_eq!(count, model.ready[queue].len());
                    declare(&mut engine, session, NAMES[queue]);
                    engine.bind_queue(session, NAMES[queue], "amq.fanout", "", &FieldTable::default()).unwrap();
                    model.ready[queue].clear();
                    // Their tags stay outstanding, but the messages are gone.
                    let gone: Vec<u64> = model
                        .unacked
                        .iter()
                        .filter(|(_, (other, _))| *other == queue)
                        .map(|(tag, _)| *tag)
                        .collect();
                    for tag in gone {
                        engine.answer(session, 1, tag, false, Answer::PutBack, 1000).unwrap();
                        model.unacked.remove(&tag);
                    }
                }
            }
        }
        // A restart without a farewell: what is unacknowledged comes back, what is transient does not.
        engine.journal().close();
        drop(engine);
        let mut engine = self::engine(folder.path());
        let session = engine.open_session();
        engine.open_channel(session, 1).unwrap();
        for (queue, number) in model.unacked.into_values() {
            model.ready[queue].insert(number);
        }
        for (queue, name) in NAMES.into_iter().enumerate() {
            let mut there = Vec::new();
            while let Some(got) = engine.get(session, 1, name, true, 1000).unwrap() {
                prop_assert!(got.redelivered);
                there.push(u32::from_be_bytes(got.body[..4].try_into().unwrap()));
            }
            let expected: Vec<u32> = model.ready[queue].difference(&model.transient).copied().collect();
            prop_assert_eq!(there, expected, "{}", name);
        }
        prop_assert_eq!(engine.memory(), 0, "everything is given back");
    }
}

#[test]
fn consumers_take_turns_and_windows_hold_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = engine(folder.path());
    engine.limits.window = 1000;
    let (one, two) = (engine.open_session(), engine.open_session());
    declare(&mut engine, one, "q");
    for session in [one, two] {
        engine.open_channel(session, 1).unwrap();
        engine
            .consume(session, 1, "q", "tag", (true, false), &FieldTable::default())
            .unwrap();
    }
    for _ in 0..10 {
        publish(&mut engine, "", "q", false, &[0; 400]);
    }
    let receivers = |engine: &mut Engine| -> Vec<SessionId> {
        engine.take_effects().iter().map(Effect::session).collect()
    };
    // Two fit each window.
    assert_eq!(receivers(&mut engine), [one, two, one, two]);
    engine.drained(two, 2 * Engine::cost(400, 2), 1000);
    assert_eq!(receivers(&mut engine), [two, two]);
    engine.close_session(two, 1000);
    engine.drained(one, 2 * Engine::cost(400, 2), 1000);
    assert_eq!(receivers(&mut engine), [one, one]);
}

#[test]
fn a_dead_letter_that_cannot_be_read_stays_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut engine = engine(&log);
    let session = engine.open_session();
    engine.open_channel(session, 1).unwrap();
    declare(&mut engine, session, "dead");
    let mut arguments = FieldTable::default();
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(10));
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    arguments.insert(
        "x-dead-letter-routing-key".into(),
        AMQPValue::LongString("dead".into()),
    );
    declare_with(&mut engine, session, "q", &arguments);
    publish(&mut engine, "", "q", true, b"precious");
    let position = engine.journal().position();
    while engine.synced.borrow().position < position {
        std::thread::yield_now();
    }
    engine.tick(1005);
    let ready = |engine: &Engine| {
        let mut ready = BTreeMap::new();
        engine.each_queue(|name, count, _, _, _| {
            ready.insert(name.to_owned(), count);
        });
        (ready["q"], ready["dead"])
    };
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&log, &elsewhere).unwrap();
    engine.tick(2000);
    assert_eq!(ready(&engine), (1, 0), "it is in its place");
    std::fs::rename(&elsewhere, &log).unwrap();
    engine.tick(3000);
    assert_eq!(ready(&engine), (0, 1));
    let got = engine.get(session, 1, "dead", true, 3000).unwrap().unwrap();
    assert_eq!(&*got.body, b"precious");
}
