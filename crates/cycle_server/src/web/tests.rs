//! The pages over HTTP, from a real store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use protocol::{Level, Priority};
use tokio_util::sync::CancellationToken;

use super::{Pages, files, pages};
use crate::clock::Clock;
use crate::store::{Cluster, NewEvent, Node, State, Status, Store, TargetState};

const HOSTILE: &str = "<script>alert('x')</script> & \"quoted\"";

#[derive(Debug)]
struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() - seconds).unwrap()
}

fn cluster(name: &str, state: Option<State>) -> Cluster {
    Cluster {
        name: name.to_owned(),
        id: format!("id-{name}"),
        definition: Arc::default(),
        template: "".into(),
        parameters: Arc::default(),
        owner: "admin".to_owned(),
        state,
        target_state: state.map(|_| TargetState::Started),
        start_count: 1,
        start_pending: false,
        active_arrays: Vec::new(),
        created: ago(90_000),
        autoscale: crate::store::Autoscaling::default(),
        replacements: Default::default(),
        test_mode: false,
        remove_pending: false,
    }
}

fn node(cluster: &str, name: &str, status: Status) -> Node {
    let template = name
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end_matches('-');
    let on = !matches!(status, Status::Off | Status::Terminated);
    serde_json::from_value(serde_json::json!({
        "id": format!("{cluster}-{name}"), "cluster": cluster, "name": name, "template": template,
        "array": template != name, "machine_type": "local", "created": ago(20_000),
        "target_state": TargetState::Started, "state": State::Started, "status": status,
        "started": on.then(|| ago(4_000)),
        "hostname": on.then(|| format!("{cluster}-{name}")),
        "private_ip": on.then_some("10.20.0.7"),
    }))
    .unwrap()
}

fn event(
    cluster: Option<&str>,
    node: Option<&str>,
    level: Level,
    priority: Priority,
    message: &str,
) -> NewEvent {
    NewEvent {
        time: ago(60),
        cluster: cluster.map(str::to_owned),
        node: node.map(str::to_owned),
        level,
        priority,
        category: "log",
        message: message.to_owned(),
    }
}

struct Site {
    _folder: tempfile::TempDir,
    store: Store,
    stopping: CancellationToken,
    url: String,
    client: reqwest::Client,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let stopping = CancellationToken::new();
        let router: axum::Router = pages(Pages {
            store: store.clone(),
            clock: Arc::new(At(now())),
            stopping: stopping.clone(),
        })
        .merge(files());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        // Another test of this process may have installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        Self {
            _folder: folder,
            store,
            stopping,
            url,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    async fn add(&self, cluster: Cluster, nodes: Vec<Node>, events: Vec<NewEvent>) {
        self.store
            .edit_or_create_cluster(cluster, now(), move |edit, _| {
                edit.nodes = nodes;
                edit.events = events;
                Ok::<(), ()>(())
            })
            .await
            .unwrap();
    }

    async fn answer(&self, path: &str) -> reqwest::Response {
        self.client
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap()
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.answer(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        answer.text().await.unwrap()
    }
}

/// The words of a page, without its markup.
fn words(page: &str) -> String {
    let mut words = String::new();
    let mut rest = page;
    while let Some((text, tag)) = rest.split_once('<') {
        words.push_str(text);
        words.push(' ');
        rest = tag.split_once('>').map_or("", |(_, rest)| rest);
    }
    words.push_str(rest);
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_list_names_every_cluster_and_counts_its_nodes() {
    let site = Site::new().await;
    assert!(words(&site.page("/").await).contains("No cluster yet."));
    let nodes = vec![
        node("my grid", "scheduler", Status::Ready),
        node("my grid", "execute-1", Status::Ready),
        node("my grid", "execute-2", Status::Failed),
    ];
    site.add(cluster("my grid", Some(State::Started)), nodes, vec![])
        .await;
    site.add(cluster("new", None), vec![], vec![]).await;
    let page = site.page("/").await;
    assert!(
        page.contains(r#"<a class="name" href="/c/my%20grid">my grid</a>"#),
        "{page}"
    );
    let words = words(&page);
    assert!(words.contains("my grid Started 3 2 Ready 1 Failed"), "{words}");
    assert!(words.contains("new Never started 0 none"), "{words}");
    assert_eq!(site.answer("/c/my%20grid").await.status(), 200);
}

#[tokio::test]
async fn a_cluster_shows_its_nodes_and_why_one_failed() {
    let site = Site::new().await;
    let failed = Node {
        status_message: Some(
            "demo/execute/scripts/010-pull.sh failed, exit code 3\ncurl: (7) no route\nline 2".into(),
        ),
        phase: Some("cluster-init, attempt 4".into()),
        ..node("grid", "execute-10", Status::Failed)
    };
    let silent = Node {
        unreachable: true,
        ..node("grid", "execute-2", Status::Ready)
    };
    let nodes = vec![
        failed,
        silent,
        node("grid", "scheduler", Status::Ready),
        node("grid", "login", Status::Off),
    ];
    site.add(cluster("grid", Some(State::Started)), nodes, vec![])
        .await;
    let page = site.page("/c/grid").await;
    let text = words(&page);
    assert!(
        text.contains("scheduler Ready grid-scheduler 10.20.0.7 1 h 6 min"),
        "{text}"
    );
    assert!(
        text.contains("execute-10 execute Failed cluster-init, attempt 4 grid-execute-10 10.20.0.7 1 h 6 min demo/execute/scripts/010-pull.sh failed, exit code 3 curl: (7) no route line 2"),
        "{text}"
    );
    assert!(page.contains(
        "<pre tabindex=\"0\" aria-label=\"Last output of execute-10\">curl: (7) no route\nline 2</pre>"
    ));
    assert!(text.contains("Unreachable: no message for three heartbeats"));
    let place = |name: &str| page.find(&format!(">{name}</a>")).unwrap();
    assert!(place("login") < place("scheduler"), "standalone nodes first");
    assert!(place("scheduler") < place("execute-2") && place("execute-2") < place("execute-10"));
    assert!(
        page.contains(r#"<span class="status bad">Failed</span>"#),
        "a colour and a word"
    );
}

#[tokio::test]
async fn logs_show_medium_and_above_unless_asked() {
    let site = Site::new().await;
    let grid = |priority, message| event(Some("grid"), Some("n-1"), Level::Warn, priority, message);
    let events = vec![
        grid(Priority::Low, "the low one"),
        grid(Priority::Medium, "the medium one"),
        grid(Priority::High, "the high one"),
        event(None, None, Level::Info, Priority::Medium, "the site's own"),
    ];
    site.add(cluster("grid", None), vec![], events).await;
    for (path, expected) in [
        ("/c/grid", [false, true, true, false]),
        ("/c/grid?priority=low", [true, true, true, false]),
        ("/c/grid?priority=high", [false, false, true, false]),
        ("/c/grid?priority=nonsense", [false, true, true, false]),
        ("/events", [false, true, true, true]),
        ("/events?priority=low", [true, true, true, true]),
        ("/", [false, true, true, true]),
    ] {
        let page = site.page(path).await;
        let shown = [
            "the low one",
            "the medium one",
            "the high one",
            "the site&#39;s own",
        ]
        .map(|text| page.contains(text));
        assert_eq!(shown, expected, "{path}");
    }
    let page = site.page("/events?priority=high").await;
    assert!(page.contains(r#"<a href="/events?priority=high" aria-current="true">High only</a>"#));
    let page = site.page("/c/grid").await;
    assert!(
        page.find("the high one") < page.find("the medium one"),
        "the newest first"
    );
}

#[tokio::test]
async fn what_nodes_say_is_never_markup() {
    let site = Site::new().await;
    let failed = Node {
        status_message: Some(format!("{HOSTILE}\n{HOSTILE}")),
        machine_message: Some(HOSTILE.into()),
        phase: Some(HOSTILE.into()),
        hostname: Some(HOSTILE.into()),
        private_ip: Some(HOSTILE.into()),
        template: HOSTILE.into(),
        ..node("grid", HOSTILE, Status::Failed)
    };
    let events = vec![event(
        Some(HOSTILE),
        Some(HOSTILE),
        Level::Error,
        Priority::High,
        HOSTILE,
    )];
    site.add(cluster("grid", None), vec![failed], events).await;
    site.add(cluster(HOSTILE, None), vec![], vec![]).await;
    for path in ["/", "/c/grid", "/events"] {
        let page = site.page(path).await;
        assert_eq!(page.matches("<script").count(), 1, "only our own: {page}");
        assert!(
            !page.contains("\"quoted\"") && page.contains("&#60;script&#62;"),
            "{page}"
        );
    }
    let answer = site.answer("/c/%3Cscript%3Enone").await;
    assert_eq!(answer.status(), 404);
    let page = answer.text().await.unwrap();
    assert!(page.contains("named “&#60;script&#62;none”"), "{page}");
}

#[tokio::test]
async fn browsers_are_told_to_allow_nothing_foreign() {
    let site = Site::new().await;
    for path in ["/", "/events", "/c/none", "/static/page.js", "/static/none"] {
        let answer = site.answer(path).await;
        let headers = answer.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
            "{path}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["referrer-policy"], "no-referrer");
    }
    for path in ["/", "/events"] {
        let page = site.page(path).await;
        assert!(!page.contains(" style=") && !page.contains("<style") && !page.contains(" onclick="));
    }
}

#[tokio::test]
async fn pages_are_whole_without_a_script_and_their_parts_exist() {
    let site = Site::new().await;
    site.add(
        cluster("grid", None),
        vec![node("grid", "n", Status::Ready)],
        vec![],
    )
    .await;
    for path in ["/", "/c/grid", "/events"] {
        let page = site.page(path).await;
        assert!(page.contains(r#"<noscript><meta http-equiv="refresh" content="5"></noscript>"#));
        assert!(page.contains(r#"<html lang="en">"#) && page.contains("<main id=\"content\">"));
        // Every live part can be found again by its id.
        for part in page
            .split("data-live")
            .collect::<Vec<_>>()
            .split_last()
            .unwrap()
            .1
        {
            let tag = part.rsplit('<').next().unwrap();
            assert!(tag.contains(" id=\""), "{path}: {tag}");
        }
        for file in page
            .split("\"/static/")
            .skip(1)
            .filter_map(|rest| rest.split(['"', '#']).next())
        {
            let answer = site.answer(&format!("/static/{file}")).await;
            assert_eq!(answer.status(), 200, "{file}");
            assert!(!answer.bytes().await.unwrap().is_empty());
        }
    }
    assert_eq!(
        site.answer("/static/page.css").await.headers()["content-type"],
        "text/css; charset=utf-8"
    );
}

#[tokio::test]
async fn a_change_is_told_to_open_pages_and_a_stop_ends_the_stream() {
    let site = Site::new().await;
    let mut stream = site.answer("/changes").await.bytes_stream();
    site.add(cluster("grid", None), vec![], vec![]).await;
    let deadline = Duration::from_secs(20);
    let news = tokio::time::timeout(deadline, stream.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(news.starts_with(b"data: "), "{news:?}");
    site.stopping.cancel();
    let end = tokio::time::timeout(deadline, async { while let Some(Ok(_)) = stream.next().await {} }).await;
    assert!(end.is_ok(), "the stream ends");
}
