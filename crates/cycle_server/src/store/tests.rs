//! The store over several tables at once.

use jiff::{SignedDuration, Timestamp};
use protocol::MessageType;
use serde_json::json;

use super::{Consequences, Edited, EventQuery, Incoming, Node, Retention, Store, Userdata};
use crate::lifecycle::{begin_start, fixture, news, settle_terminated};
use crate::testing::envelope;

const NOW: Timestamp = fixture::NOW;

struct Kept {
    _folder: tempfile::TempDir,
    store: Store,
}

/// A store with a cluster and a node that starts.
async fn kept() -> Kept {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let mut node = fixture::node("head", false);
    begin_start(&mut node, NOW);
    let edited = store
        .edit_or_create_cluster(fixture::cluster(fixture::TEMPLATE), NOW, |edit, is_new| {
            assert!(is_new);
            edit.nodes.push(node);
            Ok::<_, ()>(())
        })
        .await
        .unwrap();
    assert!(matches!(edited, Edited::Done(())));
    Kept {
        _folder: folder,
        store,
    }
}

impl Kept {
    async fn head(&self) -> Node {
        self.store.nodes(Some("demo")).await.unwrap().remove(0)
    }

    async fn events(&self) -> usize {
        let query = EventQuery {
            cluster: None,
            after: Some(0),
            level: protocol::Level::Info,
            priority: protocol::Priority::Low,
            limit: 1000,
        };
        self.store.events(query).await.unwrap().len()
    }
}

fn note(node: &mut Node, _: &Incoming, then: &mut Consequences) {
    node.last_message = Some(NOW);
    then.events.push(news(
        node,
        NOW,
        protocol::Level::Info,
        protocol::Priority::Low,
        "x",
    ));
}

#[tokio::test]
async fn a_message_is_applied_once_for_each_node() {
    let kept = kept().await;
    let head = kept.head().await;
    let message = Incoming {
        node_id: head.id.clone(),
        envelope: envelope(&head, 1, MessageType::Custom, json!(1)),
    };
    let stranger = Incoming {
        node_id: "0".repeat(32),
        ..message.clone()
    };
    let batch = vec![message.clone(), message.clone(), stranger];
    let received = kept.store.receive(batch, NOW, note).await.unwrap();
    assert_eq!((received.new, received.repeated, received.orphaned), (1, 1, 1));
    let received = kept.store.receive(vec![message], NOW, note).await.unwrap();
    assert_eq!((received.new, received.repeated), (0, 1));
    assert_eq!(kept.events().await, 1);
    assert_eq!(kept.head().await.last_message, Some(NOW));
}

#[tokio::test]
async fn a_refused_edit_changes_nothing() {
    let kept = kept().await;
    let edited = kept
        .store
        .edit_cluster("demo", None, NOW, |edit| {
            edit.nodes.clear();
            edit.cluster.start_count = 9;
            Err::<(), _>("no")
        })
        .await
        .unwrap();
    assert!(matches!(edited, Edited::Refused("no")));
    kept.head().await;
    assert_eq!(kept.store.cluster("demo").await.unwrap().unwrap().start_count, 0);
}

#[tokio::test]
async fn a_userdata_id_is_known_as_ended_when_its_start_is_over() {
    let kept = kept().await;
    let head = kept.head().await;
    let first = head.userdata_id.clone().unwrap();
    assert!(matches!(
        kept.store.userdata("x").await.unwrap(),
        Userdata::Unknown
    ));
    assert!(matches!(
        kept.store.userdata(&first).await.unwrap(),
        Userdata::Of(_)
    ));
    let restart = |node: &mut Node, _: &mut Vec<super::NewEvent>| {
        settle_terminated(node);
        begin_start(node, NOW);
    };
    kept.store.edit_node(&head.id, NOW, restart).await.unwrap();
    assert!(matches!(
        kept.store.userdata(&first).await.unwrap(),
        Userdata::Ended
    ));
    let second = kept.head().await.userdata_id.unwrap();
    kept.store.remove_node(&head.id, NOW, Vec::new()).await.unwrap();
    assert!(matches!(
        kept.store.userdata(&second).await.unwrap(),
        Userdata::Ended
    ));
}

#[tokio::test]
async fn the_first_claim_stays() {
    let kept = kept().await;
    let id = kept.head().await.userdata_id.unwrap();
    for hash in ["first", "second"] {
        match kept.store.claim(&id, hash, None).await.unwrap() {
            Userdata::Of(node) => assert_eq!(node.claim.as_deref(), Some("first")),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_old_or_too_much_is_forgotten() {
    let kept = kept().await;
    let head = kept.head().await;
    for sequence in 0..5 {
        let message = Incoming {
            node_id: head.id.clone(),
            envelope: envelope(&head, sequence, MessageType::Custom, json!(1)),
        };
        kept.store.receive(vec![message], NOW, note).await.unwrap();
    }
    let keep_three = Retention {
        before: NOW,
        max_events: 3,
        max_messages: 3,
    };
    assert_eq!(kept.store.forget(keep_three).await.unwrap(), 4);
    assert_eq!(kept.events().await, 3);
    kept.store.remove_node(&head.id, NOW, Vec::new()).await.unwrap();
    let later = Retention {
        before: NOW.checked_add(SignedDuration::from_secs(1)).unwrap(),
        ..keep_three
    };
    kept.store.forget(later).await.unwrap();
    assert_eq!(kept.events().await, 0);
    let gone = kept.store.userdata(&head.userdata_id.unwrap()).await.unwrap();
    assert!(matches!(gone, Userdata::Unknown));
}

#[tokio::test]
async fn numbers_of_events_are_never_used_again() {
    let kept = kept().await;
    let head = kept.head().await;
    let event = || {
        vec![news(
            &head,
            NOW,
            protocol::Level::Info,
            protocol::Priority::Low,
            "x",
        )]
    };
    kept.store.add_events(event()).await.unwrap();
    let last = kept.store.last_event().await.unwrap();
    let all = Retention {
        before: Timestamp::MAX,
        max_events: 0,
        max_messages: 0,
    };
    kept.store.forget(all).await.unwrap();
    kept.store.add_events(event()).await.unwrap();
    assert!(kept.store.last_event().await.unwrap() > last);
}
