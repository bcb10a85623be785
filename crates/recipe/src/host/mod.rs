//! The other side of Ruby's door: what Ruby asks, answered.
//!
//! A request is JSON `[operation, arguments]`, and after a NUL bytes that are no JSON. An answer is `{"r": value}`, with bytes
//! after a NUL if there are some, or `{"e": [class, message]}`: the exception that Ruby raises then. Nothing in here calls
//! Ruby.

mod chef;
mod files;
mod network;
mod processes;
mod system;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use converge::resource::{Options, Runner};
use ruby::{Door, Interrupt, Stream};
use serde_json::{Value, json};

use crate::cluster::Attributes;
use crate::engine::Shared;
use crate::event::Event;
use crate::plan::{Plan, Surroundings};

/// An exception that Ruby raises: its class, and what it says.
#[derive(Debug)]
pub(crate) struct Refusal {
    class: String,
    message: String,
}

impl Refusal {
    fn new(class: &str, message: impl Into<String>) -> Self {
        Self {
            class: class.to_owned(),
            message: message.into(),
        }
    }

    fn argument(message: impl Into<String>) -> Self {
        Self::new("ArgumentError", message)
    }

    fn system(error: nix::errno::Errno, what: &str) -> Self {
        Self::new(&format!("Errno::{error:?}"), what)
    }
}

/// A value, and bytes beside it.
pub(crate) struct Reply {
    value: Value,
    bytes: Option<Vec<u8>>,
}

impl<T: Into<Value>> From<T> for Reply {
    fn from(value: T) -> Self {
        Self {
            value: value.into(),
            bytes: None,
        }
    }
}

type Answered = Result<Reply, Refusal>;

/// Answers Ruby.
pub(crate) struct Host {
    plan: Plan,
    surroundings: Surroundings,
    runner: Runner,
    /// Says what would be changed.
    pretender: Runner,
    shared: Arc<Shared>,
    deadline: Arc<Mutex<Option<Instant>>>,
    children: Vec<node::command::Running>,
    /// What others would get to know of this node, under dry run.
    pretended: Option<Attributes>,
    /// Nobody is told what is only tried.
    quiet: bool,
}

impl Host {
    pub(crate) fn new(
        plan: Plan,
        surroundings: Surroundings,
        shared: Arc<Shared>,
        deadline: Arc<Mutex<Option<Instant>>>,
    ) -> Self {
        let with = |dry_run| {
            let options = Options {
                dry_run,
                stop: surroundings.stop.clone(),
                ..surroundings.options.clone()
            };
            Runner::new(surroundings.machine.clone(), options)
        };
        Self {
            runner: with(plan.dry_run),
            pretender: with(true),
            plan,
            surroundings,
            shared,
            deadline,
            children: Vec::new(),
            pretended: None,
            quiet: false,
        }
    }

    fn tell(&self, event: &Event<'_>) {
        if !self.quiet {
            self.shared.tell(event);
        }
    }

    fn at(&self, what: &str) {
        let mut at = self.shared.at.lock().unwrap_or_else(PoisonError::into_inner);
        at.get_or_insert_default().replace_range(.., what);
    }

    fn answer(&mut self, operation: &str, arguments: &Value, bytes: Option<&[u8]>) -> Answered {
        match operation {
            "apply" | "begin" | "end" | "change" | "skipped" | "retry" | "ignored" | "quiet" | "phase"
            | "log" | "file" | "config" | "cluster_nodes" | "store_discoverable" | "facts" | "dump_node" => {
                self.chef(operation, arguments, bytes)
            }
            "stat" | "lstat" | "access" | "chmod" | "chown" | "mkfifo" | "umask" | "create" | "mkdir" => {
                files::answer(operation, arguments)
            }
            "run" | "spawn" | "wait" | "kill" | "getpgid" => {
                self.processes(operation, arguments, bytes.unwrap_or_default())
            }
            "https" => self.https(arguments, bytes.unwrap_or_default()),
            _ => system::answer(operation, arguments),
        }
    }
}

impl Drop for Host {
    /// What the run has written is on the disk when it ends, however it ends.
    fn drop(&mut self) {
        if let Err(error) = self.runner.flush() {
            tracing::error!(
                error = node::trace::chain(&error),
                "what recipes wrote may not survive a power cut"
            );
        }
    }
}

impl Door for Host {
    fn call(&mut self, request: &[u8]) -> Vec<u8> {
        let (json, bytes) = match request.iter().position(|byte| *byte == 0) {
            Some(end) => (&request[..end], Some(&request[end + 1..])),
            None => (request, None),
        };
        let answered = match serde_json::from_slice::<(String, Value)>(json) {
            Ok((operation, arguments)) => self.answer(&operation, &arguments, bytes),
            Err(error) => Err(Refusal::argument(format!("the request is not valid: {error}"))),
        };
        match answered {
            Ok(Reply { value, bytes }) => {
                let mut answer = Vec::with_capacity(64);
                answer.extend_from_slice(b"{\"r\":");
                // Nothing of ours has keys that are no strings.
                let _ = serde_json::to_writer(&mut answer, &value);
                answer.push(b'}');
                if let Some(bytes) = bytes {
                    answer.push(0);
                    answer.extend_from_slice(&bytes);
                }
                answer
            }
            Err(Refusal { class, message }) => json!({ "e": [class, message] }).to_string().into_bytes(),
        }
    }

    fn write(&mut self, _: Stream, bytes: &[u8]) {
        self.tell(&Event::Output(bytes));
    }

    fn interrupt(&mut self) -> Option<Interrupt> {
        if self.surroundings.stop.is_requested() {
            return Some(Interrupt::Stop);
        }
        (self.remaining() == Some(Duration::ZERO)).then_some(Interrupt::TimeLimit)
    }

    fn remaining(&self) -> Option<Duration> {
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

/// The text of an argument.
fn text(value: &Value) -> Result<&str, Refusal> {
    let text = value.as_str();
    text.ok_or_else(|| Refusal::argument(format!("`{value}` is no text")))
}
