//! Resources, the log, and what the run is to do.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use converge::resource::Request;
use serde_json::{Map, Value, json};

use super::{Answered, Host, Refusal, Reply, text};
use crate::cluster::Pretended;
use crate::event::{Event, Level};
use crate::plan::Reboot;

impl Host {
    pub(super) fn chef(&mut self, operation: &str, a: &Value, bytes: Option<&[u8]>) -> Answered {
        match operation {
            "apply" => return self.apply(a, bytes),
            "config" => {
                let plan = serde_json::to_value(&self.plan);
                return plan
                    .map(Reply::from)
                    .map_err(|error| Refusal::argument(error.to_string()));
            }
            "facts" => return Ok(Value::Object((self.surroundings.facts.0)()).into()),
            "cluster_nodes" => return self.cluster_nodes(a),
            "store_discoverable" => self.store_discoverable(a)?,
            "dump_node" => self.dump_node(a)?,
            "file" => self.at(text(a)?),
            "quiet" => self.quiet = a == true,
            "log" => self.tell(&Event::Message(Level::named(text(&a[0])?), text(&a[1])?)),
            "phase" => self.tell(&Event::Phase(text(a)?)),
            _ => self.note(operation, a)?,
        }
        Ok(Value::Null.into())
    }

    /// Keeps what a `reboot` asks for. What there is to do for others than it goes through.
    fn reboot(&self, result: Value) -> Value {
        let Some(action) = result["reboot"].as_str() else {
            return result;
        };
        let mut wanted = self.shared.reboot.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = result["reason"].as_str().unwrap_or_default().to_owned();
        if action == "cancel" {
            *wanted = None;
        } else if self.surroundings.reboots {
            *wanted = Some(Reboot {
                reason,
                delay_minutes: result["delay_mins"].as_u64().unwrap_or_default(),
                at_once: action == "reboot_now",
            });
        } else {
            let text = format!("no reboot ({reason}): this machine is not the node's own");
            self.tell(&Event::Message(Level::Warn, &text));
            return Value::Null;
        }
        result
    }

    /// `[role, recipe]`.
    fn cluster_nodes(&self, a: &Value) -> Answered {
        let (role, recipe) = (a[0].as_str(), a[1].as_str());
        let cluster = self.surroundings.cluster.as_ref();
        let nodes = match &self.pretended {
            Some(own) => Pretended { cluster, own }.search(role, recipe),
            None => cluster.search(role, recipe),
        };
        let nodes = nodes.map_err(|error| {
            let message = format!(
                "the nodes of the cluster cannot be asked for: {}",
                node::trace::chain(&error)
            );
            Refusal::new("RuntimeError", message)
        })?;
        Ok(Value::Array(nodes.into_iter().map(Value::Object).collect()).into())
    }

    fn store_discoverable(&mut self, attributes: &Value) -> Result<(), Refusal> {
        let attributes = attributes.as_object().cloned();
        let attributes = attributes.ok_or_else(|| Refusal::argument("attributes of a node are a Hash"))?;
        if self.plan.dry_run {
            self.pretended = Some(attributes);
            return Ok(());
        }
        self.surroundings.cluster.store(attributes).map_err(|error| {
            let message = format!(
                "the node cannot be made discoverable: {}",
                node::trace::chain(&error)
            );
            Refusal::new("RuntimeError", message)
        })
    }

    /// Writes the attributes of the node for `jetpack config`, with the mode that the file has.
    fn dump_node(&self, attributes: &Value) -> Result<(), Refusal> {
        let path = self.plan.config.get("node_json").and_then(Value::as_str);
        let Some(path) = path.filter(|_| !self.plan.dry_run).map(Path::new) else {
            return Ok(());
        };
        let mode = std::fs::metadata(path).map_or(0o640, |file| file.permissions().mode() & 0o7777);
        let failed = |error: durable::Error| Refusal::new("RuntimeError", error.to_string());
        durable::write_json(path, mode, attributes).map_err(failed)
    }

    /// What resources that act in Ruby have to say: `[depth, resource, …]`.
    fn note(&self, operation: &str, a: &Value) -> Result<(), Refusal> {
        let depth = depth_of(&a[0])?;
        if operation == "change" {
            let lines = a[1].as_array().into_iter().flatten();
            let lines: Vec<String> = lines
                .map(|line| line.as_str().map_or(line.to_string(), str::to_owned))
                .collect();
            self.tell(&Event::Change { depth, lines: &lines });
            return Ok(());
        }
        let resource = text(&a[1])?;
        match operation {
            "begin" => {
                self.at(&format!("{resource} ({})", a[3].as_str().unwrap_or("?")));
                self.tell(&Event::Begun {
                    depth,
                    resource,
                    action: text(&a[2])?,
                    recipe: text(&a[4])?,
                });
            }
            "end" => self.tell(&Event::Ended {
                depth,
                resource,
                action: text(&a[2])?,
                updated: a[3] == true,
                duration: duration_of(&a[4])?,
            }),
            "skipped" => self.tell(&Event::Skipped {
                depth,
                resource,
                action: text(&a[2])?,
                why: text(&a[3])?,
                recipe: text(&a[4])?,
            }),
            "retry" => self.tell(&Event::Retried {
                depth,
                resource,
                attempt: a[2].as_u64().unwrap_or_default(),
                retries: a[3].as_u64().unwrap_or_default(),
                message: text(&a[4])?,
            }),
            _ => self.tell(&Event::Ignored {
                depth,
                resource,
                action: text(&a[2])?,
                message: text(&a[3])?,
            }),
        }
        Ok(())
    }

    /// `[kind, name, action, properties, depth, dry run, resource, line, recipe]`.
    fn apply(&mut self, a: &Value, bytes: Option<&[u8]>) -> Answered {
        let (kind, name, action) = (text(&a[0])?, text(&a[1])?, text(&a[2])?);
        let (resource, line, recipe) = (text(&a[6])?, a[7].as_str().unwrap_or("?"), text(&a[8])?);
        let depth = depth_of(&a[4])?;
        self.at(&format!("{resource} ({line})"));
        let request = Request {
            kind: kind.to_owned(),
            name: name.to_owned(),
            action: Some(action.to_owned()),
            properties: a[3].as_object().cloned().unwrap_or_else(Map::new),
            body: bytes.map(<[u8]>::to_vec),
        };
        let runner = if a[5] == true {
            &self.pretender
        } else {
            &self.runner
        };
        let started = Instant::now();
        let report = runner.run(&request).map_err(|error| {
            // What failed has its line in the log, too.
            self.tell(&Event::Begun {
                depth,
                recipe,
                resource,
                action,
            });
            let property = error.property.as_ref().map(|name| format!("property `{name}`: "));
            let message = format!("{}{}", property.unwrap_or_default(), error.cause);
            Refusal::new(error.cause.exception(), message)
        })?;
        self.tell(&Event::Applied {
            depth,
            recipe,
            resource,
            action,
            report: &report,
            duration: started.elapsed(),
        });
        let result = self.reboot(report.result);
        let value = json!({ "updated": report.updated, "result": result });
        Ok(Reply {
            value,
            bytes: report.body,
        })
    }
}

/// How deep resources may stand in each other: more than Ruby's stack carries. The log indents by it.
const DEEPEST: u64 = 10_000;

fn depth_of(value: &Value) -> Result<usize, Refusal> {
    let depth = value.as_u64().filter(|depth| *depth <= DEEPEST);
    let depth = depth.and_then(|depth| usize::try_from(depth).ok());
    depth.ok_or_else(|| Refusal::argument(format!("`{value}` is no depth of a resource")))
}

/// Seconds with a fraction.
fn duration_of(value: &Value) -> Result<Duration, Refusal> {
    let duration = value
        .as_f64()
        .map(Duration::try_from_secs_f64)
        .and_then(Result::ok);
    duration.ok_or_else(|| Refusal::argument(format!("`{value}` is no duration")))
}
