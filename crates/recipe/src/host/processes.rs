//! Commands that code starts.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid};
use node::command::{Command, CommandError, Ended, Running};
use node::home::SHELL;
use ruby::Door;
use serde_json::{Value, json};

use super::system::{group_of, user_of};
use super::{Answered, Host, Refusal, Reply, text};

/// How much of each output of a command is kept.
const MOST: usize = 64 << 20;

impl Host {
    pub(super) fn processes(&mut self, operation: &str, a: &Value, input: &[u8]) -> Answered {
        match operation {
            "run" => self.run(a, input),
            "spawn" => self.spawn(a),
            "wait" => self.wait(a.as_i64().unwrap_or(-1)),
            "getpgid" => {
                let pid = Pid::from_raw(small(a));
                let group = getpgid(Some(pid)).map_err(|error| Refusal::system(error, "getpgid"))?;
                Ok(group.as_raw().into())
            }
            _ => {
                let signal = match small(&a[0]) {
                    0 => None,
                    number => Some(
                        Signal::try_from(number).map_err(|_| Refusal::argument("there is no such signal"))?,
                    ),
                };
                kill(Pid::from_raw(small(&a[1])), signal).map_err(|error| Refusal::system(error, "kill"))?;
                Ok(0.into())
            }
        }
    }

    fn run(&mut self, a: &Value, input: &[u8]) -> Answered {
        let mut command = command(a)?;
        let wanted = a["timeout"].as_f64().filter(|seconds| *seconds > 0.0);
        let wanted = wanted.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        // A command does not outlive the limit of all recipes.
        if let Some(limit) = wanted.into_iter().chain(self.remaining()).min() {
            command = command.time_limit(limit);
        }
        let output = command
            .output(input.to_vec(), MOST, &self.surroundings.stop)
            .map_err(refused)?;
        let (code, signal) = of(output.ended);
        let value = json!({
            "pid": output.pid,
            "code": code,
            "sig": signal,
            "timeout": output.ended == Ended::TimedOut,
            "out": output.stdout.len(),
            "err": output.stderr.len(),
        });
        let mut bytes = output.stdout;
        bytes.extend_from_slice(&output.stderr);
        if a["live"] == true {
            self.tell(&crate::event::Event::Output(&bytes));
        }
        Ok(Reply {
            value,
            bytes: Some(bytes),
        })
    }

    fn spawn(&mut self, a: &Value) -> Answered {
        let child = command(a)?.begin().map_err(refused)?;
        let pid = child.id();
        self.children.push(child);
        Ok(pid.into())
    }

    fn wait(&mut self, pid: i64) -> Answered {
        let wanted = |child: &Running| pid < 0 || i64::from(child.id()) == pid;
        let Some(index) = self.children.iter().position(wanted) else {
            return Err(Refusal::new("Errno::ECHILD", "there is no such child"));
        };
        let child = self.children.remove(index);
        let pid = child.id();
        let ended = child.wait(self.remaining(), &self.surroundings.stop);
        let (code, signal) = of(ended.map_err(refused)?);
        Ok(json!([pid, code, signal]).into())
    }
}

fn small(value: &Value) -> i32 {
    value
        .as_i64()
        .and_then(|number| i32::try_from(number).ok())
        .unwrap_or_default()
}

/// Exit code and signal.
fn of(ended: Ended) -> (Option<i32>, Option<i32>) {
    match ended {
        Ended::Exited(code) => (Some(code), None),
        Ended::Signaled(signal) => (None, Some(signal)),
        Ended::TimedOut | Ended::Stopped | Ended::Unkillable => (None, Some(Signal::SIGTERM as i32)),
    }
}

/// `{"cmd": text or words, "cwd", "env", "user", "group", "umask"}`.
fn command(a: &Value) -> Result<Command, Refusal> {
    let mut words: Vec<&str> = match &a["cmd"] {
        Value::String(line) => vec![SHELL, "-c", line],
        Value::Array(words) => words.iter().map(text).collect::<Result<_, _>>()?,
        _ => return Err(Refusal::argument("there is no command")),
    };
    let umask = match &a["umask"] {
        Value::Null => None,
        Value::Number(number) => Some(format!("{:o}", number.as_u64().unwrap_or_default())),
        other => Some(text(other)?.to_owned()),
    };
    let line = umask.map(|umask| format!("umask {umask} && exec \"$@\""));
    if let Some(line) = &line {
        words.splice(0..0, [SHELL, "-c", line, "sh"]);
    }
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| Refusal::argument("there is no command"))?;
    let mut command = Command::new(*program).identity(user_of(&a["user"])?, group_of(&a["group"])?);
    for argument in arguments {
        command = command.arg(*argument);
    }
    for (name, value) in a["env"].as_object().into_iter().flatten() {
        command = command.env(name, text(value)?);
    }
    if let Some(folder) = a["cwd"].as_str() {
        command = command.current_dir(folder);
    }
    Ok(command)
}

fn refused(error: CommandError) -> Refusal {
    let class = match &error {
        CommandError::NotFound { .. }
        | CommandError::NoFolder { .. }
        | CommandError::NoInterpreter { .. } => "Errno::ENOENT",
        CommandError::Denied { .. } => "Errno::EACCES",
        _ => "SystemCallError",
    };
    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
    Refusal::new(class, format!("{error}{}", source.unwrap_or_default()))
}
