//! A server with its folder, its tools and its nodes.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::http::{Answer, request};
use crate::process::{Program, Run, alive};
use crate::wait::wait_for;

const ADMIN: &str = "admin";
const PASSWORD: &str = "a test's password";

/// A site: `cycle_server` with one folder, on free ports. Everything is stopped and removed when it is dropped.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    server: Option<Child>,
    http: String,
    amqp: String,
    /// Addresses of HTTP and AMQP, when others are told other ones.
    listens: Option<[SocketAddr; 2]>,
}

/// A node of provider `process`, seen from outside.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// Its name in the cluster.
    pub name: String,
    /// Its `CYCLECLOUD_HOME`.
    pub home: PathBuf,
    /// Its cluster-init tree.
    pub tree: PathBuf,
}

impl Site {
    /// An initialised site whose server runs and whose `cyclecloud` is configured.
    pub fn new() -> Self {
        let mut site = Self::initialised();
        site.start();
        site.configure();
        site
    }

    /// Configures `cyclecloud` for the server, which runs.
    #[track_caller]
    pub fn configure(&self) {
        self.cyclecloud(&[
            "initialize",
            "--batch",
            "--url",
            &self.http,
            "--username",
            ADMIN,
            "--password",
            PASSWORD,
        ])
        .success();
    }

    /// Writes a file of the administrator into the folder of the server.
    pub fn write_settings(&self, name: &str, text: &str) {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = File::options();
        let file = options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = file.open(self.server_folder().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// A site whose server was never started.
    pub fn initialised() -> Self {
        // Deeper than the address of a socket can name.
        let folder = tempfile::Builder::new()
            .prefix(&"a-deep-folder-".repeat(6))
            .tempdir()
            .unwrap();
        let site = Self {
            folder,
            server: None,
            http: String::new(),
            amqp: String::new(),
            listens: None,
        };
        Program::new("cycle_server")
            .args(["init".as_ref(), site.server_folder().as_os_str()])
            .args(["--admin", ADMIN, "--password-stdin"])
            .input(&format!("{PASSWORD}\n"))
            .run()
            .success();
        site
    }

    /// A scratch folder of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the server.
    pub fn server_folder(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// Starts the server: on free ports the first time, on the same ones later.
    ///
    /// # Panics
    /// With the server's log when it does not answer.
    #[track_caller]
    pub fn start(&mut self) {
        self.start_with_home(None);
    }

    /// [`Site::start`] of a site whose settings tell others to come to other addresses: of a proxy.
    ///
    /// # Panics
    /// As [`Site::start`].
    #[track_caller]
    pub fn start_at_free_ports(&mut self) {
        // Held together, so that they differ.
        let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [http, amqp] = held.map(|listener| listener.local_addr().unwrap());
        self.http = format!("http://{http}");
        self.amqp = format!("amqp://{amqp}");
        self.listens = Some([http, amqp]);
        self.start();
    }

    /// Where the server really listens for HTTP.
    #[track_caller]
    pub fn http_address(&self) -> SocketAddr {
        self.listens.expect("the site is behind a proxy")[0]
    }

    /// Where the server really listens for AMQP.
    #[track_caller]
    pub fn amqp_address(&self) -> SocketAddr {
        self.listens.expect("the site is behind a proxy")[1]
    }

    /// [`Site::start`] by somebody whose shell has this `CYCLECLOUD_HOME`.
    ///
    /// # Panics
    /// With the server's log when it does not answer.
    #[track_caller]
    pub fn start_with_home(&mut self, home: Option<&Path>) {
        assert!(self.server.is_none(), "the server runs already");
        let address = |url: &str| {
            url.split_once("://")
                .map_or("127.0.0.1:0".to_owned(), |(_, at)| at.to_owned())
        };
        let log = self.folder.path().join("server.log");
        let log_file = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = Program::new("cycle_server")
            .args(["run".as_ref(), "--dir".as_ref(), self.server_folder().as_os_str()])
            .args(["--http", &address(&self.http), "--amqp", &address(&self.amqp)])
            .into_command();
        let child = command
            .envs(home.map(|home| ("CYCLECLOUD_HOME", home)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log_file)
            .spawn()
            .unwrap();
        let pid = child.id();
        self.server = Some(child);
        let state = wait_for("the server to answer", || {
            let read_log = || fs::read_to_string(&log).unwrap_or_default();
            assert!(
                alive(i32::try_from(pid).unwrap()),
                "the server ended: {}",
                read_log()
            );
            let text =
                fs::read_to_string(self.server_folder().join("run/cycle_server.json")).unwrap_or_default();
            let state: Value = serde_json::from_str(&text).unwrap_or_default();
            // A killed server leaves the file of its life behind.
            if state["pid"] == pid {
                Ok(state)
            } else {
                Err(read_log())
            }
        });
        // A site behind a proxy is not where it says.
        if self.listens.is_none() {
            self.http = state["http"].as_str().unwrap().trim_end_matches('/').to_owned();
            self.amqp = state["amqp"].as_str().unwrap().trim_end_matches('/').to_owned();
        }
    }

    /// Stops the server as its administrator would, and with it its nodes.
    #[track_caller]
    pub fn stop(&mut self) {
        let mut child = self.server.take().expect("the server runs");
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success(), "the server ended with {status}: {}", self.log());
    }

    /// Ends the server as a power cut would. Its nodes go on.
    #[track_caller]
    pub fn kill(&mut self) {
        let mut child = self.server.take().expect("the server runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What the server wrote to stderr.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// URL of the server.
    pub fn url(&self) -> &str {
        &self.http
    }

    /// URL of the AMQP listener.
    pub fn amqp(&self) -> &str {
        &self.amqp
    }

    /// Name and password of the administrator.
    pub fn admin(&self) -> (&'static str, &'static str) {
        (ADMIN, PASSWORD)
    }

    /// Runs `cyclecloud` with the configuration of this site.
    pub fn cyclecloud(&self, args: &[&str]) -> Run {
        self.cyclecloud_in(self.folder.path(), args)
    }

    /// [`Site::cyclecloud`] in a folder.
    pub fn cyclecloud_in(&self, folder: &Path, args: &[&str]) -> Run {
        Program::new("cyclecloud")
            .env("CYCLECLOUD_CONFIG", self.folder.path().join("config.ini"))
            .env("HOME", self.folder.path())
            .folder(folder)
            .args(args)
            .run()
    }

    /// A request as the administrator.
    pub fn request(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        request(method, &format!("{}{path}", self.http), Some(self.admin()), body)
    }

    /// Imports a template under the name `cluster` and starts it.
    #[track_caller]
    pub fn start_cluster(&self, cluster: &str, template: &str) {
        let path = self.folder.path().join(format!("{cluster}.txt"));
        #[expect(
            clippy::disallowed_methods,
            reason = "a scratch file of a test need not survive a power cut"
        )]
        fs::write(&path, template).unwrap();
        self.cyclecloud(&["import_cluster", cluster, "-f", path.to_str().unwrap()])
            .success();
        self.cyclecloud(&["start_cluster", cluster]).success();
    }

    /// The records of the nodes of a cluster.
    #[track_caller]
    pub fn records(&self, cluster: &str) -> Vec<Value> {
        let run = self.cyclecloud(&["show_nodes", "-c", cluster, "--format", "json"]);
        serde_json::from_str(run.success()).unwrap()
    }

    /// Waits until a node has a status, and gives its record.
    #[track_caller]
    pub fn wait_status(&self, cluster: &str, node: &str, status: &str) -> Value {
        wait_for(&format!("`{node}` to be {status}"), || {
            let records = self.records(cluster);
            let record = records.iter().find(|record| record["Name"] == node);
            match record {
                Some(record) if record["Status"] == status => Ok(record.clone()),
                Some(record) => Err(format!("{record:#}\n{}", self.log())),
                None => Err(format!("there is no such node\n{}", self.log())),
            }
        })
    }

    /// A node by its name.
    #[track_caller]
    pub fn node(&self, cluster: &str, name: &str) -> Node {
        let records = self.records(cluster);
        let record = records
            .iter()
            .find(|record| record["Name"] == name)
            .unwrap_or_else(|| panic!("{records:#?}"));
        let id = record["NodeId"].as_str().unwrap().to_owned();
        let folder = self.server_folder().join("nodes").join(&id);
        Node {
            id,
            name: name.to_owned(),
            home: folder.join("jetpack"),
            tree: folder.join("cluster-init"),
        }
    }

    /// The texts of the events of a cluster, oldest first.
    #[track_caller]
    pub fn events(&self, cluster: &str) -> Vec<Value> {
        let answer = self.request(
            "GET",
            &format!("/cloud/api/events?cluster={cluster}&limit=10000"),
            None,
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json().as_array().unwrap().clone()
    }

    /// Waits until the event log holds a text, and gives the event.
    #[track_caller]
    pub fn wait_event(&self, cluster: &str, text: &str) -> Value {
        wait_for(&format!("an event with `{text}`"), || {
            let events = self.events(cluster);
            let found = events
                .iter()
                .find(|event| event["message"].as_str().is_some_and(|said| said.contains(text)));
            found
                .cloned()
                .ok_or_else(|| format!("{events:#?}\n{}", self.log()))
        })
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut child) = self.server.take() {
            let _ = kill(
                Pid::from_raw(i32::try_from(child.id()).unwrap_or(0)),
                Signal::SIGTERM,
            );
            let _ = child.wait();
        }
        // A test that killed its server, or failed while it was down, leaves nodes behind.
        for pid in processes_with(&self.server_folder()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Node {
    /// Runs `jetpack` on this node.
    pub fn jetpack(&self, args: &[&str]) -> Run {
        Program::new("jetpack")
            .env("CYCLECLOUD_HOME", &self.home)
            .args(args)
            .run()
    }

    /// The process of its daemon.
    #[track_caller]
    pub fn daemon(&self) -> i32 {
        wait_for(&format!("the daemon of `{}`", self.name), || {
            let found = processes_with(&self.home).into_iter().find(|pid| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "jetpackd")
            });
            found.ok_or("it does not run")
        })
    }

    /// All processes that belong to the node: those whose environment names its home.
    pub fn processes(&self) -> Vec<i32> {
        processes_with(&self.home)
    }

    /// Reads a file of its home; empty when there is none.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.home.join(path)).unwrap_or_default()
    }
}

/// The processes whose `CYCLECLOUD_HOME` is this folder or one below it.
fn processes_with(folder: &Path) -> Vec<i32> {
    let wanted = format!("CYCLECLOUD_HOME={}", folder.display());
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable.starts_with(wanted.as_bytes()))
                && alive(*pid)
        })
        .collect()
}
