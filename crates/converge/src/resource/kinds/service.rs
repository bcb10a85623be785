//! `service`, of systemd and of System V's init.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::programs::Output;

pub(super) const SERVICE: Definition = Definition {
    kind: Kind::new(
        "service",
        &[Provides::everywhere("service")],
        &[
            "enable", "disable", "start", "stop", "restart", "reload", "mask", "unmask",
        ],
        &[
            Property::named("service_name"),
            Property::string("pattern"),
            Property::string("start_command"),
            Property::string("stop_command"),
            Property::string("restart_command"),
            Property::string("reload_command"),
            Property::string("status_command"),
            Property::string("init_command"),
            Property::new("supports", &[Type::Hash, Type::Array]).or(Default::EmptyHash),
            Property::new("options", &[Type::String, Type::Array]),
            // For init systems that are gone.
            Property::new("priority", &[Type::Integer, Type::String, Type::Hash]),
            Property::new("run_levels", &[Type::Array]),
            Property::integer("timeout").or(Default::Integer(900)),
            Property::hash("parameters"),
            Property::string("user"),
            Property::new("enabled", &[Type::Boolean]),
            Property::new("running", &[Type::Boolean]),
            Property::new("masked", &[Type::Boolean]),
        ],
    )
    .default_action("nothing"),
    run,
};

/// What holds services on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Init {
    Systemd,
    /// `systemctl` without a running systemd, as while an image is made: it can enable but not start.
    Offline,
    SystemV,
}

/// Where scripts of System V's init are.
fn script(act: &Act<'_>, name: &str) -> Option<PathBuf> {
    let folders = ["/etc/init.d", "/etc/rc.d/init.d"];
    folders
        .into_iter()
        .map(|folder| act.machine.path(format!("{folder}/{name}")))
        .find(|path| path.is_file())
}

fn init(act: &Act<'_>, name: &str) -> Result<Init, Failure> {
    if act.machine.exists("/run/systemd/system") && act.has("systemctl") {
        return Ok(Init::Systemd);
    }
    if script(act, name).is_some() || act.text("init_command").is_some() {
        return Ok(Init::SystemV);
    }
    if act.has("systemctl") {
        return Ok(Init::Offline);
    }
    Err(Cause::Service(format!(
        "there is neither systemd nor a script `/etc/init.d/{name}`"
    ))
    .into())
}

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    act.need_live()?;
    let name = act.need("service_name")?;
    let own = match act.action {
        "start" => act.text("start_command"),
        "stop" => act.text("stop_command"),
        "restart" => act.text("restart_command"),
        "reload" => act.text("reload_command"),
        _ => None,
    };
    let init = match init(act, &name) {
        Ok(init) => init,
        // Commands of the recipe need no init.
        Err(_) if own.is_some() => Init::SystemV,
        Err(failure) => return act.assume(failure),
    };
    let service = Service { name, init };
    let what = format!("service {}[{}]", act.kind.name, act.request.name);
    match act.action {
        "enable" | "disable" => service.enable(act, &what, act.action == "enable"),
        "mask" | "unmask" => service.mask(act, &what, act.action == "mask"),
        "start" | "stop" => {
            let wanted = act.action == "start";
            if service.is_running(act)? != wanted && act.will(format!("{} {what}", act.action)) {
                service.do_action(act, act.action, own)?;
            }
            Ok(())
        }
        "restart" => {
            if act.will(format!("restart {what}")) {
                service.do_action(act, "restart", own)?;
            }
            Ok(())
        }
        _ => {
            let running = service.is_running(act)?;
            if act.will(format!("reload {what}")) {
                // One that does not run reads its configuration when it starts.
                let action = if running || own.is_some() {
                    "reload"
                } else {
                    "start"
                };
                service.do_action(act, action, own)?;
            }
            Ok(())
        }
    }
}

struct Service {
    name: String,
    init: Init,
}

impl Service {
    fn limit(act: &Act<'_>) -> Result<Duration, Failure> {
        let seconds = act
            .number("timeout")?
            .and_then(|seconds| u64::try_from(seconds).ok());
        Ok(Duration::from_secs(seconds.unwrap_or(900)))
    }

    fn systemctl(&self, act: &Act<'_>, verb: &str) -> Result<Output, Failure> {
        let mut words = vec!["systemctl", "--no-pager", "--no-ask-password"];
        let machine = act.text("user").map(|user| format!("--machine={user}@"));
        if let Some(machine) = &machine {
            words.extend(["--user", machine]);
        }
        let options = act.list("options");
        words.extend(options.iter().map(String::as_str));
        words.extend([verb, &self.name]);
        act.ask_for(&words, Self::limit(act)?)
    }

    /// Runs a command of the recipe, else what the init has for it.
    fn do_action(&self, act: &mut Act<'_>, action: &str, own: Option<String>) -> Result<(), Failure> {
        let output = match (own, self.init) {
            (Some(command), _) => act.ask_for(&["sh", "-c", &command], Self::limit(act)?)?,
            (None, Init::Systemd) => self.systemctl(act, action)?,
            (None, Init::SystemV) => {
                let script = self.script(act)?;
                act.ask_for(&[&script, action], Self::limit(act)?)?
            }
            (None, Init::Offline) => {
                let why = format!(
                    "cannot {action} `{}`: systemd does not run on this machine",
                    self.name
                );
                return Err(Cause::Service(why).into());
            }
        };
        act.report.output = Some(output.ok()?);
        Ok(())
    }

    fn script(&self, act: &Act<'_>) -> Result<String, Failure> {
        if let Some(command) = act.text("init_command") {
            return Ok(command);
        }
        let script = script(act, &self.name);
        let missing = || Cause::Service(format!("there is no `/etc/init.d/{}`", self.name));
        Ok(script.ok_or_else(missing)?.display().to_string())
    }

    fn is_running(&self, act: &Act<'_>) -> Result<bool, Failure> {
        if let Some(command) = act.text("status_command") {
            return Ok(act.ask_for(&["sh", "-c", &command], Self::limit(act)?)?.success());
        }
        match self.init {
            Init::Systemd => {
                let state = self.state(act, "ActiveState")?;
                Ok(matches!(state.as_str(), "active" | "activating" | "reloading"))
            }
            Init::Offline => Ok(false),
            Init::SystemV => {
                let has_status = match act.value("supports") {
                    Some(Value::Object(map)) => {
                        map.get("status").is_none_or(|value| value == &Value::Bool(true))
                    }
                    Some(Value::Array(list)) => list.iter().any(|value| value == "status"),
                    _ => true,
                };
                if has_status && act.text("pattern").is_none() && self.script(act).is_ok() {
                    let script = self.script(act)?;
                    return Ok(act.ask_for(&[&script, "status"], Self::limit(act)?)?.success());
                }
                Ok(process_runs(
                    act,
                    &act.text("pattern").unwrap_or_else(|| self.name.clone()),
                ))
            }
        }
    }

    /// A property that systemd has of the unit; empty when there is no such unit.
    fn state(&self, act: &Act<'_>, property: &str) -> Result<String, Failure> {
        let asked = format!("--property={property}");
        let mut words = vec!["systemctl", "show", "--no-pager", &asked];
        let machine = act.text("user").map(|user| format!("--machine={user}@"));
        if let Some(machine) = &machine {
            words.extend(["--user", machine]);
        }
        words.push(&self.name);
        let text = act.call(&words)?;
        // Old releases cannot leave out the name.
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(property)?.strip_prefix('='));
        Ok(value.unwrap_or_default().trim().to_owned())
    }

    fn enable(&self, act: &mut Act<'_>, what: &str, wanted: bool) -> Result<(), Failure> {
        let verb = if wanted { "enable" } else { "disable" };
        if self.init == Init::SystemV {
            return self.enable_script(act, what, wanted);
        }
        let now = self.systemctl(act, "is-enabled")?;
        let state = now.text.lines().last().unwrap_or_default().trim().to_owned();
        if matches!(state.as_str(), "static" | "indirect" | "transient") {
            act.warn(format!(
                "`{}` is {state}: it can be neither enabled nor disabled",
                self.name
            ));
            return Ok(());
        }
        let is_enabled = now.success() && state != "alias";
        if is_enabled == wanted {
            return Ok(());
        }
        let missing = state.contains("No such file") || state == "not-found" || state.contains("not found");
        if missing && !wanted {
            return Ok(());
        }
        if act.will(format!("{verb} {what}")) {
            self.systemctl(act, verb)?.ok()?;
        }
        Ok(())
    }

    fn enable_script(&self, act: &mut Act<'_>, what: &str, wanted: bool) -> Result<(), Failure> {
        let starts = |level: char| {
            ["/etc", "/etc/rc.d"].into_iter().any(|folder| {
                let folder = act.machine.path(format!("{folder}/rc{level}.d"));
                let names = fs::read_dir(folder).into_iter().flatten().flatten();
                names
                    .filter_map(|entry| entry.file_name().into_string().ok())
                    .any(|name| name.starts_with('S') && name.get(3..) == Some(&self.name))
            })
        };
        let is_enabled = "2345".chars().any(starts);
        if is_enabled == wanted {
            return Ok(());
        }
        let verb = if wanted { "enable" } else { "disable" };
        if !act.will(format!("{verb} {what}")) {
            return Ok(());
        }
        if act.has("update-rc.d") {
            if wanted {
                act.call(&["update-rc.d", &self.name, "defaults"])?;
            }
            return act.call(&["update-rc.d", &self.name, verb]).map(drop);
        }
        if act.has("chkconfig") {
            let state = if wanted { "on" } else { "off" };
            return act.call(&["chkconfig", &self.name, state]).map(drop);
        }
        let why = format!(
            "cannot {verb} `{}`: there is neither update-rc.d nor chkconfig",
            self.name
        );
        Err(Cause::Service(why).into())
    }

    fn mask(&self, act: &mut Act<'_>, what: &str, wanted: bool) -> Result<(), Failure> {
        if self.init == Init::SystemV {
            let why = "only systemd can mask services".to_owned();
            return Err(Cause::Service(why).into());
        }
        let state = self.systemctl(act, "is-enabled")?.text;
        let is_masked = state.trim().starts_with("masked");
        let verb = if wanted { "mask" } else { "unmask" };
        if is_masked != wanted && act.will(format!("{verb} {what}")) {
            self.systemctl(act, verb)?.ok()?;
        }
        Ok(())
    }
}

/// Whether a process runs whose command line holds a text.
fn process_runs(act: &Act<'_>, pattern: &str) -> bool {
    let ours = std::process::id().to_string();
    let processes = fs::read_dir(act.machine.path("/proc"))
        .into_iter()
        .flatten()
        .flatten();
    processes
        .filter(|process| process.file_name().to_str().is_some_and(|name| name != ours))
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .any(|line| {
            String::from_utf8_lossy(&line)
                .replace('\0', " ")
                .contains(pattern)
        })
}
