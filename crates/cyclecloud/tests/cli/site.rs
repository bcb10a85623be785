//! A server with a script, and the program configured for it.

use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use locker::{Access, Locker};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// `admin:secret`
const CREDENTIAL: &str = "Basic YWRtaW46c2VjcmV0";

/// One call that the program must make, and the answer.
struct Step {
    call: String,
    status: u16,
    body: String,
}

struct Script {
    steps: VecDeque<Step>,
    surprises: Vec<String>,
    bodies: Vec<String>,
    locker: Locker,
}

type Shared = Arc<Mutex<Script>>;

/// A folder for the program, and a server that follows a script. Calls below `/lockers/local/` are served from a folder
/// and need no script.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    address: SocketAddr,
    script: Shared,
    runtime: tokio::runtime::Runtime,
}

/// What a run of the program left.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    /// With a configuration file for the user `admin`.
    pub(crate) fn new() -> Self {
        let site = Self::without_configuration();
        let text = format!(
            "[cyclecloud]\nurl = {}\nusername = admin\npassword = secret\n",
            site.url()
        );
        site.write("config.ini", &text);
        site
    }

    pub(crate) fn without_configuration() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("locker");
        std::fs::create_dir(&store).unwrap();
        let locker = Locker::open(&format!("file://{}", store.display()), &Access::default()).unwrap();
        let script = Arc::new(Mutex::new(Script {
            steps: VecDeque::new(),
            surprises: Vec::new(),
            bodies: Vec::new(),
            locker,
        }));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        runtime.spawn(async { axum::serve(listener, router).await });
        Self {
            folder,
            address,
            script,
            runtime,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Another server, as long as the site is there; its URL.
    pub(crate) fn serve(&self, router: Router) -> String {
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        self.runtime.spawn(async { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        durable::write(&path, 0o600, text.as_bytes()).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    /// The next call must be `METHOD PATH?QUERY`; the answer is JSON.
    pub(crate) fn expect(&self, call: &str, status: u16, body: Value) -> &Self {
        self.expect_text(call, status, &body.to_string())
    }

    pub(crate) fn expect_text(&self, call: &str, status: u16, body: &str) -> &Self {
        self.script.lock().unwrap().steps.push_back(Step {
            call: call.to_owned(),
            status,
            body: body.to_owned(),
        });
        self
    }

    pub(crate) fn expect_lockers(&self) -> &Self {
        let local = json!({"Name": "local", "Url": "https://the.name.the.server/gives.itself/lockers/local"});
        self.expect("GET /lockers", 200, json!([local]))
    }

    /// The bodies of the calls so far.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.script.lock().unwrap().bodies.clone()
    }

    /// Runs the program to its end; the script must be over then.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_in(self.folder.path(), args, "")
    }

    #[track_caller]
    pub(crate) fn run_in(&self, folder: &Path, args: &[&str], input: &str) -> Run {
        let mut child = self
            .command(folder, args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that asks nothing may be gone by now.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let run = Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        self.check(&run.stderr);
        run
    }

    /// The program, to be started.
    pub(crate) fn command(&self, folder: &Path, args: &[&str]) -> Command {
        #[expect(
            clippy::disallowed_methods,
            reason = "the test starts the program that it tests"
        )]
        let mut command = Command::new(env!("CARGO_BIN_EXE_cyclecloud"));
        command
            .args(args)
            .current_dir(folder)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("TZ", "UTC")
            .env("CYCLECLOUD_CONFIG", self.path("config.ini"));
        command
    }

    /// Fails the test when a call was made that was not expected, or one was not made.
    #[track_caller]
    pub(crate) fn check(&self, context: &str) {
        let script = self.script.lock().unwrap();
        assert!(
            script.surprises.is_empty(),
            "unexpected: {:#?}\n{context}",
            script.surprises
        );
        let left: Vec<_> = script.steps.iter().map(|step| &step.call).collect();
        assert!(left.is_empty(), "not called: {left:#?}\n{context}");
    }
}

impl Run {
    /// It succeeded and said nothing on stderr.
    #[track_caller]
    pub(crate) fn success(&self) -> &str {
        assert_eq!(
            (self.code, self.stderr.as_str()),
            (Some(0), ""),
            "{}",
            self.stdout
        );
        &self.stdout
    }

    /// It failed, and said nothing on stdout.
    #[track_caller]
    pub(crate) fn failure(&self) -> &str {
        assert_eq!(
            (self.code, self.stdout.as_str()),
            (Some(1), ""),
            "{}",
            self.stderr
        );
        &self.stderr
    }
}

async fn answer(State(script): State<Shared>, request: Request) -> Response {
    let path = request.uri().path_and_query().unwrap().to_string();
    let call = format!("{} {path}", request.method());
    if request
        .headers()
        .get(header::AUTHORIZATION)
        .is_none_or(|given| given != CREDENTIAL)
    {
        return refuse(StatusCode::UNAUTHORIZED, "user or password is wrong");
    }
    if let Some(path) = path.strip_prefix("/lockers/local/") {
        let locker = script.lock().unwrap().locker.clone();
        return store(locker, path.to_owned(), request).await;
    }
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let mut script = script.lock().unwrap();
    match script.steps.pop_front() {
        Some(step) if step.call == call => {
            script.bodies.push(String::from_utf8(body.to_vec()).unwrap());
            (StatusCode::from_u16(step.status).unwrap(), step.body).into_response()
        }
        other => {
            let wanted = other.map_or("nothing".to_owned(), |step| step.call);
            script.surprises.push(format!("{call} instead of {wanted}"));
            refuse(StatusCode::IM_A_TEAPOT, "the test did not expect this")
        }
    }
}

/// The locker of the server.
async fn store(locker: Locker, path: String, request: Request) -> Response {
    if let Some(prefix) = path.strip_prefix("?list=") {
        let entries = locker.list(&prefix.replace("%2F", "/")).await.unwrap();
        return serde_json::to_string(&entries).unwrap().into_response();
    }
    if request.method() == "PUT" {
        let stored = locker
            .put_stream(&path, request.into_body().into_data_stream())
            .await;
        stored.unwrap();
        return StatusCode::CREATED.into_response();
    }
    if request.method() == "DELETE" {
        return match locker.delete(&path).await {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(error) => refuse(StatusCode::NOT_FOUND, &error.to_string()),
        };
    }
    match locker.read(&path, None).await {
        Ok(blob) => {
            let length = [(header::CONTENT_LENGTH, blob.meta.size.to_string())];
            (length, Body::from_stream(blob.stream)).into_response()
        }
        Err(error) => refuse(StatusCode::NOT_FOUND, &error.to_string()),
    }
}

fn refuse(status: StatusCode, sentence: &str) -> Response {
    (status, json!({ "error": sentence }).to_string()).into_response()
}
