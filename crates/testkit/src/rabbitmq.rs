//! A real RabbitMQ to test with: of Debian's package, but a node of its own with its own ports, folders and name service.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::http::{Answer, request};
use crate::process::Program;

/// Where Debian keeps the programs that do not change users before they start.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// It needs about six seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A RabbitMQ server with the management API and the user `guest`, stopped when dropped.
#[derive(Debug)]
pub struct RabbitMq {
    server: Child,
    names: Child,
    amqp: u16,
    management: u16,
    folder: TempDir,
}

impl RabbitMq {
    /// Starts it, and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed (`make tools`) or does not answer.
    pub fn start() -> Self {
        assert!(
            Path::new(SERVER).exists(),
            "`{SERVER}` is missing: run `make tools` first"
        );
        let folder = tempfile::tempdir().unwrap();
        let [epmd, dist, amqp, management] = free_ports();
        let at = |name: &str| folder.path().join(name);
        write(&at("enabled_plugins"), "[rabbitmq_management].\n");
        let configuration = format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n\
             disk_free_limit.absolute = 1MB\nlog.console = false\n"
        );
        write(&at("rabbitmq.conf"), &configuration);
        let mut names = Program::at(Path::new("/usr/bin/epmd"))
            .args(["-port", &epmd.to_string(), "-address", "127.0.0.1"])
            .into_command();
        let names = names
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Program::at(Path::new(SERVER))
            .env("HOME", folder.path())
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("jetpack-{amqp}@localhost"))
            .env("RABBITMQ_DIST_PORT", dist.to_string())
            .env("RABBITMQ_MNESIA_BASE", at("mnesia"))
            .env("RABBITMQ_LOG_BASE", at("log"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins"))
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"));
        let server = server
            .into_command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // The script starts the real server; both must go.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut rabbit = Self {
            server,
            names,
            amqp,
            management,
            folder,
        };
        rabbit.wait();
        rabbit
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(ended) = self.server.try_wait().unwrap() {
                panic!("RabbitMQ ended with {ended}:\n{}", self.log());
            }
            assert!(
                Instant::now() < deadline,
                "RabbitMQ does not answer:\n{}",
                self.log()
            );
            let is_open = |port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            if is_open(self.amqp) && is_open(self.management) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Port of AMQP.
    pub fn port(&self) -> u16 {
        self.amqp
    }

    /// `amqp://guest:guest@127.0.0.1:PORT/%2f`
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.amqp)
    }

    /// `http://127.0.0.1:PORT`, where the management API is.
    pub fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.management)
    }

    /// Asks the management API for a change, for instance `PUT`, `/api/vhosts/other`, `{}`.
    #[track_caller]
    pub fn manage(&self, method: &str, path: &str, body: &str) {
        let answer = self.ask(method, path, Some(body));
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
    }

    /// What the management API answers.
    pub fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let url = format!("{}{path}", self.management_url());
        let method = method.to_owned();
        let body = body.map(str::to_owned);
        // On a thread of its own: the test may be one of tokio's.
        let answer = thread::spawn(move || request(&method, &url, Some(("guest", "guest")), body.as_deref()));
        answer.join().unwrap()
    }

    /// The process of the server itself, for its memory; none when it cannot be found.
    pub fn pid(&self) -> Option<i32> {
        let group = i32::try_from(self.server.id()).unwrap();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|process| process.file_name().to_str()?.parse().ok())
            .find(|pid| {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                // PID (NAME) STATE PPID PGRP: the group is that of the script.
                let Some((name, rest)) = stat.rsplit_once(") ") else {
                    return false;
                };
                name.contains("(beam") && rest.split(' ').nth(2) == Some(group.to_string().as_str())
            })
    }

    fn log(&self) -> String {
        let logs = std::fs::read_dir(self.folder.path().join("log"))
            .into_iter()
            .flatten();
        logs.flatten()
            .map(|file| std::fs::read_to_string(file.path()).unwrap_or_default())
            .collect()
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.server.id()).unwrap());
        // Nothing of it is wanted any more.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.server.wait();
        let _ = self.names.kill();
        let _ = self.names.wait();
    }
}

fn write(path: &Path, text: &str) {
    #[expect(
        clippy::disallowed_methods,
        reason = "what a test writes needs no protection from power cuts"
    )]
    std::fs::write(path, text).unwrap();
}

/// Ports that nobody uses.
fn free_ports<const N: usize>() -> [u16; N] {
    // Held together, so that they differ.
    let held = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}
