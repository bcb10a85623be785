//! A server without a broker and without machines, for tests of the rooms around them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use locker::{Access, Locker};
use protocol::{Amqp, Command, Envelope, MessageType};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::{App, Reach, SharedApp};
use crate::auth::{Auth, hash_password};
use crate::clock::Clock;
use crate::inbox::{Post, PostError, Publication};
use crate::lockers::Lockers;
use crate::provider::{Machine, MachineRequest, MachineStatus, Provider, ProviderError};
use crate::reconcile::Board;
use crate::settings::Settings;
use crate::store::{AccountRecord, Node, Store};

/// Name and password of the administrator.
pub(crate) const ADMIN: (&str, &str) = ("admin", "a test's password");

/// A cluster with a standalone node and an array of two.
pub(crate) const TEMPLATE: &str = "
[cluster demo]
    [[node defaults]]
    MachineType = small
    [[node head]]
        [[[configuration]]]
        role = head
        [[[cluster-init tools:head]]]
    [[nodearray execute]]
    InitialCount = 2
    MaxCount = 4
        [[[cluster-init jobs:execute:1.0.0]]]
";

/// A clock that stands until somebody moves it.
#[derive(Debug)]
pub(crate) struct StandingClock(Mutex<Timestamp>);

impl StandingClock {
    pub(crate) fn forward(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now = now
            .saturating_add(jiff::SignedDuration::from_secs(seconds))
            .unwrap();
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A server under test.
pub(crate) struct Bench {
    pub(crate) app: SharedApp,
    /// What nodes had published over HTTPS.
    pub(crate) post: Arc<FakePost>,
    pub(crate) clock: Arc<StandingClock>,
    client: reqwest::Client,
    folder: TempDir,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The sentence of an error.
    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

impl Bench {
    /// A server on a free port with an administrator.
    pub(crate) async fn new() -> Self {
        Self::with_settings("").await
    }

    /// The same with this `cycle_server.toml`.
    pub(crate) async fn with_settings(text: &str) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        store
            .save_account(AccountRecord::new(
                ADMIN.0.to_owned(),
                hash_password(ADMIN.1).unwrap(),
                true,
            ))
            .await
            .unwrap();
        let locker = folder.path().join("locker");
        durable::create_folder(&locker, 0o700).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let file = folder.path().join(crate::settings::FILE);
        durable::write(&file, 0o600, text.as_bytes()).unwrap();
        let (settings, _) = Settings::load(folder.path(), None, None).unwrap();
        let clock = Arc::new(StandingClock(Mutex::new("2026-11-23T12:00:00Z".parse().unwrap())));
        let app = Arc::new(App {
            auth: Auth::new(store.clone()).unwrap(),
            store,
            lockers: Lockers::open(
                Locker::open(&format!("file://{}", locker.display()), &Access::default()).unwrap(),
                &settings,
            )
            .unwrap(),
            settings,
            clock: clock.clone(),
            reach: Reach {
                url: format!("http://{}", listener.local_addr().unwrap()),
                amqp: Amqp {
                    host: None,
                    port: 1,
                    tls: false,
                    vhost: "/".to_owned(),
                    ca: None,
                },
                ca: "a certificate".to_owned(),
                ca_file: folder.path().join("ca.pem"),
            },
            wake: Arc::new(Notify::new()),
            board: Board::default(),
            stopping: CancellationToken::new(),
            started: clock.now(),
        });
        let post = Arc::new(FakePost::default());
        let router = crate::api::router(app.clone(), post.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self {
            app,
            post,
            clock,
            client: reqwest::Client::new(),
            folder,
        }
    }

    /// A folder of the test.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client
            .request(method, format!("{}{path}", self.app.reach.url))
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    /// A call of the administrator.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.request(method, path).basic_auth(ADMIN.0, Some(ADMIN.1));
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        self.send(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub(crate) async fn import(&self, template: &str, force: bool) -> Answer {
        self.import_as("demo", template, force).await
    }

    pub(crate) async fn import_as(&self, name: &str, template: &str, force: bool) -> Answer {
        let encode = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02x}")).collect() };
        let body = format!("cluster={}&force={force}&file=demo.txt", encode(template));
        let request = self
            .request("POST", &format!("/cloud/api/import_cluster/{name}"))
            .basic_auth(ADMIN.0, Some(ADMIN.1))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        self.send(request).await
    }

    /// A GET of the administrator that follows no redirect.
    pub(crate) async fn unfollowed(&self, path: &str) -> Answer {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let request = client
            .build()
            .unwrap()
            .get(format!("{}{path}", self.app.reach.url));
        self.send(request.basic_auth(ADMIN.0, Some(ADMIN.1))).await
    }

    /// A cluster that runs: its nodes wait for machines.
    pub(crate) async fn started() -> Self {
        let bench = Self::new().await;
        bench.start(TEMPLATE).await;
        bench
    }

    /// Imports the cluster `demo` and starts it.
    pub(crate) async fn start(&self, template: &str) {
        self.start_cluster("demo", template).await;
    }

    /// Imports a cluster and starts it.
    pub(crate) async fn start_cluster(&self, name: &str, template: &str) {
        let bench = self;
        bench.import_as(name, template, false).await.expect(200);
        bench
            .call("POST", &format!("/cloud/actions/startcluster/{name}"), None)
            .await
            .expect(200);
        let machines = Arc::new(FakeProvider::default());
        let post = Arc::new(FakePost::default());
        // The first run makes the nodes; machines are begun, and that is ignored here.
        machines.hold(true);
        crate::reconcile::Reconcilers::new(bench.app.clone(), machines, post)
            .pass()
            .await;
    }

    pub(crate) async fn node(&self, name: &str) -> Node {
        let nodes = self.app.store.nodes(None).await.unwrap();
        nodes.into_iter().find(|node| node.name == name).unwrap()
    }

    /// A machine with this secret asks for the configuration of a node.
    pub(crate) async fn join(&self, name: &str, secret: &str) -> Answer {
        let id = self.node(name).await.userdata_id.unwrap();
        self.userdata(&id, secret).await
    }

    pub(crate) async fn userdata(&self, id: &str, secret: &str) -> Answer {
        let request = self
            .request("GET", &format!("/clusterlink/userdata/{id}"))
            .bearer_auth(secret);
        self.send(request).await
    }
}

/// The secret of a machine.
pub(crate) fn secret(digit: char) -> String {
    std::iter::repeat_n(digit, 64).collect()
}

/// A message of a node.
pub(crate) fn envelope(node: &Node, sequence: u64, kind: MessageType, data: Value) -> Envelope {
    Envelope {
        id: Uuid::now_v7(),
        sequence,
        cluster_name: String::new(),
        node_id: "somebody else".to_owned(),
        instance_id: String::new(),
        cluster_session_id: node.session_id.clone().unwrap_or_default(),
        timestamp: Timestamp::UNIX_EPOCH,
        kind,
        data,
    }
}

/// A provider whose machines exist in memory, and that fails when it is told to.
#[derive(Debug, Default)]
pub(crate) struct FakeProvider {
    inner: Mutex<Fake>,
}

#[derive(Debug, Default)]
struct Fake {
    machines: HashMap<String, MachineStatus>,
    requests: Vec<MachineRequest>,
    create_fails: HashMap<String, u32>,
    delete_fails: u32,
    holds: bool,
}

impl FakeProvider {
    /// The next so many machines of this node fail.
    pub(crate) fn fail_create(&self, node_id: &str, times: u32) {
        self.inner
            .lock()
            .unwrap()
            .create_fails
            .insert(node_id.to_owned(), times);
    }

    pub(crate) fn fail_delete(&self, times: u32) {
        self.inner.lock().unwrap().delete_fails = times;
    }

    /// Machines are begun and never come.
    pub(crate) fn hold(&self, holds: bool) {
        self.inner.lock().unwrap().holds = holds;
    }

    pub(crate) fn set(&self, node_id: &str, status: MachineStatus) {
        self.inner
            .lock()
            .unwrap()
            .machines
            .insert(node_id.to_owned(), status);
    }

    pub(crate) fn requests(&self) -> Vec<MachineRequest> {
        self.inner.lock().unwrap().requests.clone()
    }
}

impl Provider for FakeProvider {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn instance_id(&self, request: &MachineRequest) -> String {
        format!("fake-{}", &request.node_id[..8])
    }

    fn create(&self, request: MachineRequest) -> BoxFuture<'_, Result<(), ProviderError>> {
        let mut inner = self.inner.lock().unwrap();
        if inner.holds {
            return std::future::pending().boxed();
        }
        inner.requests.push(request.clone());
        if let Some(times) = inner.create_fails.get_mut(&request.node_id)
            && *times > 0
        {
            *times -= 1;
            let error = ProviderError::Initialize {
                how: "ended with exit code 1".to_owned(),
                output: "no room".to_owned(),
            };
            return std::future::ready(Err(error)).boxed();
        }
        if inner.machines.contains_key(&request.node_id) {
            return std::future::ready(Err(ProviderError::Exists(request.node_id))).boxed();
        }
        inner
            .machines
            .insert(request.node_id, MachineStatus::Running { pid: None });
        std::future::ready(Ok(())).boxed()
    }

    fn delete<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        let mut inner = self.inner.lock().unwrap();
        if inner.delete_fails > 0 {
            inner.delete_fails -= 1;
            let error = ProviderError::Unkillable {
                node_id: node_id.to_owned(),
                count: 1,
            };
            return std::future::ready(Err(error)).boxed();
        }
        inner.machines.remove(node_id);
        std::future::ready(Ok(())).boxed()
    }

    fn deallocate<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.set(node_id, MachineStatus::Stopped);
        std::future::ready(Ok(())).boxed()
    }

    fn start<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.set(node_id, MachineStatus::Running { pid: None });
        std::future::ready(Ok(())).boxed()
    }

    fn status(&self, node_id: &str) -> MachineStatus {
        let inner = self.inner.lock().unwrap();
        inner
            .machines
            .get(node_id)
            .cloned()
            .unwrap_or(MachineStatus::Gone)
    }

    fn machines(&self) -> Vec<Machine> {
        let inner = self.inner.lock().unwrap();
        inner
            .machines
            .iter()
            .map(|(node_id, status)| Machine {
                node_id: node_id.clone(),
                status: status.clone(),
            })
            .collect()
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

/// A post that keeps what it is given.
#[derive(Debug, Default)]
pub(crate) struct FakePost {
    sent: Mutex<Vec<(String, Command)>>,
    published: Mutex<Vec<Publication>>,
    is_away: Mutex<bool>,
}

impl FakePost {
    pub(crate) fn sent(&self) -> Vec<(String, Command)> {
        self.sent.lock().unwrap().clone()
    }

    /// The routing keys under which something was published.
    pub(crate) fn published(&self) -> Vec<String> {
        let published = self.published.lock().unwrap();
        published
            .iter()
            .map(|publication| publication.routing_key().to_owned())
            .collect()
    }

    pub(crate) fn go_away(&self, is_away: bool) {
        *self.is_away.lock().unwrap() = is_away;
    }

    fn answer(&self) -> BoxFuture<'static, Result<(), PostError>> {
        let is_away = *self.is_away.lock().unwrap();
        std::future::ready(if is_away { Err(PostError::Away) } else { Ok(()) }).boxed()
    }
}

impl Post for FakePost {
    fn open<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), PostError>> {
        self.answer()
    }

    fn send<'a>(&'a self, node_id: &'a str, command: Command) -> BoxFuture<'a, Result<(), PostError>> {
        self.sent.lock().unwrap().push((node_id.to_owned(), command));
        self.answer()
    }

    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), PostError>> {
        let answer = self.answer();
        if !*self.is_away.lock().unwrap() {
            self.published.lock().unwrap().push(publication);
        }
        answer
    }

    fn catch_up(&self) -> BoxFuture<'_, Result<(), PostError>> {
        std::future::ready(Ok(())).boxed()
    }

    fn follow(
        &self,
        _: Vec<String>,
    ) -> BoxFuture<'_, Result<tokio::sync::mpsc::Receiver<protocol::PassingMessage>, PostError>> {
        std::future::ready(Err(PostError::Away)).boxed()
    }

    fn admit<'a>(&'a self, _: &'a Node, _: &'a str) -> BoxFuture<'a, Result<(), PostError>> {
        std::future::ready(Ok(())).boxed()
    }

    fn close<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), PostError>> {
        self.answer()
    }
}
