//! The machine as a whole: `hostname`, `timezone`, `locale`, `sysctl`, `kernel_module`, `selinux_state`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Content, Security, bring, edit, remove};

pub(super) const HOSTNAME: Definition = Definition {
    kind: Kind::new(
        "hostname",
        &[Provides::everywhere("hostname")],
        &["set"],
        &[
            Property::named("hostname"),
            Property::string("fqdn"),
            Property::string("ipaddress"),
            Property::new("aliases", &[Type::Array]),
            Property::boolean("compile_time", true),
            Property::boolean("windows_reboot", true),
            Property::string("domain_user"),
            Property::string("domain_password").sensitive(),
        ],
    ),
    run: hostname,
};

pub(super) const TIMEZONE: Definition = Definition {
    kind: Kind::new(
        "timezone",
        &[Provides::everywhere("timezone")],
        &["set"],
        &[Property::named("timezone")],
    ),
    run: timezone,
};

pub(super) const LOCALE: Definition = Definition {
    kind: Kind::new(
        "locale",
        &[Provides::everywhere("locale")],
        &["update"],
        &[
            Property::string("lang").or(Default::String("en_US.utf8")),
            Property::hash("lc_env").or(Default::EmptyHash),
            Property::string("lc_all"),
        ],
    ),
    run: locale,
};

pub(super) const SYSCTL: Definition = Definition {
    kind: Kind::new(
        "sysctl",
        &[
            Provides::everywhere("sysctl"),
            Provides::everywhere("sysctl_param"),
        ],
        &["apply", "remove"],
        &[
            Property::named("key"),
            Property::new(
                "value",
                &[
                    Type::String,
                    Type::Integer,
                    Type::Float,
                    Type::Array,
                    Type::Boolean,
                ],
            )
            .required_for(&["apply"]),
            Property::boolean("ignore_error", false),
            Property::list("comment"),
            Property::string("conf_dir").or(Default::String("/etc/sysctl.d")),
        ],
    ),
    run: sysctl,
};

pub(super) const KERNEL_MODULE: Definition = Definition {
    kind: Kind::new(
        "kernel_module",
        &[Provides::everywhere("kernel_module")],
        &["install", "uninstall", "blacklist", "disable", "load", "unload"],
        &[
            Property::named("modname"),
            Property::new("options", &[Type::Array]),
            Property::string("load_dir").or(Default::String("/etc/modules-load.d")),
            Property::string("unload_dir").or(Default::String("/etc/modprobe.d")),
        ],
    ),
    run: kernel_module,
};

pub(super) const SELINUX_STATE: Definition = Definition {
    kind: Kind::new(
        "selinux_state",
        &[Provides::everywhere("selinux_state")],
        &["disabled", "enforcing", "permissive"],
        &[
            Property::string("config_file").or(Default::String("/etc/selinux/config")),
            Property::boolean("persistent", true),
            Property::string("policy").one_of(&["default", "minimum", "mls", "src", "strict", "targeted"]),
            Property::boolean("automatic_reboot", false),
        ],
    )
    .default_action("enforcing"),
    run: selinux_state,
};

const OPEN: Security = Security {
    mode: Some(0o644),
    uid: None,
    gid: None,
};

/// A name that can be one of a file.
fn plain(act: &Act<'_>, property: &'static str) -> Result<String, Failure> {
    let name = act.need(property)?;
    if name.is_empty() || name.contains(['/', '\n', ' ']) || name.starts_with('.') {
        return Err(Failure::invalid(
            property,
            format!("`{name}` is no name of a file"),
        ));
    }
    Ok(name)
}

fn hostname(act: &mut Act<'_>) -> Result<(), Failure> {
    let name = plain(act, "hostname")?;
    let short = name.split('.').next().unwrap_or_default().to_owned();
    let valid = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    if !name.split('.').all(valid) || name.len() > 253 {
        return Err(Failure::invalid(
            "hostname",
            format!("`{name}` is no name of a host"),
        ));
    }
    let hosts = act.machine.target("/etc/hosts");
    let mut names = Vec::new();
    let full = act.text("fqdn").unwrap_or_else(|| name.clone());
    names.push(full.clone());
    if full != short {
        names.push(short.clone());
    }
    names.extend(act.list("aliases"));
    names.dedup();
    let address = act.text("ipaddress").unwrap_or_else(|| {
        // Where nothing is said the machine must know itself without its network.
        "127.0.1.1".to_owned()
    });
    let line = format!("{address} {}", names.join(" "));
    edit(act, &hosts, Security::default(), |text| {
        let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let (mut new, mut done) = (String::new(), false);
        for old in text.lines() {
            let words = fields(old);
            let is_ours = words.first() == Some(&address) && !address.starts_with("127.0.0.");
            match (is_ours, done) {
                (true, true) => continue,
                (true, false) if words == fields(&line) => new.push_str(old),
                (true, false) => new.push_str(&line),
                (false, _) => new.push_str(old),
            }
            done |= is_ours;
            new.push('\n');
        }
        if !done {
            new.push_str(&line);
            new.push('\n');
        }
        new
    })?;
    let file = act.machine.target("/etc/hostname");
    let text = format!("{name}\n");
    let has = act
        .machine
        .read("/etc/hostname")
        .map(|text| text.trim().to_owned());
    let is_named = !act.machine.is_live()
        || act
            .machine
            .read("/proc/sys/kernel/hostname")
            .is_some_and(|now| now.trim() == name);
    let differs = has.as_deref() != Some(&name) || !is_named;
    if act.machine.is_live() && act.machine.exists("/run/systemd/system") && act.has("hostnamectl") {
        if !differs || !act.will(format!("set hostname to {name}")) {
            return Ok(());
        }
        let words = ["hostnamectl", "set-hostname", "--static", "--transient", &name];
        if act.ask(&words)?.success() {
            return Ok(());
        }
        // Without D-Bus it has nobody to ask; what it does can be done without it.
    }
    if has.as_deref() != Some(&name) {
        bring(act, &file, Content::Bytes(text.as_bytes()), OPEN)?;
    }
    if !is_named && act.will(format!("set hostname to {name}")) {
        nix::unistd::sethostname(&name)
            .map_err(|error| Cause::io("set", Path::new("hostname"))(error.into()))?;
    }
    Ok(())
}

fn timezone(act: &mut Act<'_>) -> Result<(), Failure> {
    let zone = act.need("timezone")?;
    let file = format!("/usr/share/zoneinfo/{zone}");
    if zone.contains("..") || zone.starts_with('/') {
        return Err(Failure::invalid("timezone", format!("`{zone}` is no time zone")));
    }
    if !act.machine.target(&file).is_file() {
        let why = format!("there is no time zone `{zone}` in `/usr/share/zoneinfo`");
        act.assume(Failure::invalid("timezone", why))?;
    }
    let link = act.machine.path("/etc/localtime");
    let now = fs::read_link(&link).ok();
    let now = now
        .as_deref()
        .and_then(Path::to_str)
        .and_then(|to| to.split_once("zoneinfo/"));
    let is_linked = now.is_some_and(|(_, now)| now == zone);
    if !is_linked && act.will(format!("set timezone to {zone}")) {
        let folder = link.parent().unwrap_or(Path::new("/"));
        let scratch = tempfile::Builder::new()
            .prefix(".chef-")
            .tempdir_in(folder)
            .map_err(Cause::io("create a link in", folder))?;
        let new = scratch.path().join("localtime");
        symlink(&file, &new)
            .and_then(|()| fs::rename(&new, &link))
            .map_err(Cause::io("create a link at", &link))?;
    }
    // Debian's own file, which its packages read.
    let own = act.machine.target("/etc/timezone");
    if act.options.platform.family == "debian" || own.is_file() {
        bring(act, &own, Content::Bytes(format!("{zone}\n").as_bytes()), OPEN)?;
    }
    Ok(())
}

fn locale(act: &mut Act<'_>) -> Result<(), Failure> {
    let lang = act.need("lang")?;
    let mut values = vec![("LANG".to_owned(), lang.clone())];
    for (name, value) in act.pairs("lc_env") {
        if !name.starts_with("LC_") {
            return Err(Failure::invalid(
                "lc_env",
                format!("`{name}` is no variable of a locale"),
            ));
        }
        values.push((name, value));
    }
    if let Some(value) = act.text("lc_all") {
        values.push(("LC_ALL".to_owned(), value));
    }
    if act.machine.is_live() && act.has("locale-gen") {
        generate(act, &values)?;
    }
    let path = if act.options.platform.family == "debian" {
        "/etc/default/locale"
    } else {
        "/etc/locale.conf"
    };
    let text: String = values
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    // Locales have several names; a file that means the same stays.
    let normal = |text: &str| {
        let mut lines: Vec<_> = text
            .lines()
            .map(|line| line.replace('"', "").to_lowercase().replace("utf-8", "utf8"))
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        lines.sort();
        lines
    };
    if act
        .machine
        .read(path)
        .is_some_and(|now| normal(&now) == normal(&text))
    {
        return Ok(());
    }
    let place = act.machine.target(path);
    bring(act, &place, Content::Bytes(text.as_bytes()), OPEN)
}

/// Makes the locales that are missing, as Debian wants it.
fn generate(act: &mut Act<'_>, values: &[(String, String)]) -> Result<(), Failure> {
    let normal = |name: &str| name.to_lowercase().replace("utf-8", "utf8");
    let there = act.call(&["locale", "-a"])?;
    for (_, wanted) in values {
        let is_there = there.lines().any(|name| normal(name) == normal(wanted));
        if is_there || matches!(wanted.as_str(), "C" | "POSIX") {
            continue;
        }
        let (language, charset) = wanted.split_once('.').unwrap_or((wanted.as_str(), "UTF-8"));
        let charset = if normal(charset) == "utf8" {
            "UTF-8"
        } else {
            charset
        };
        let supported = format!("{language}.{charset} {charset}");
        let known = act.machine.read("/usr/share/i18n/SUPPORTED").unwrap_or_default();
        let line = if known.lines().any(|line| line == supported) {
            supported
        } else {
            format!("{language} {charset}")
        };
        let file = act.machine.target("/etc/locale.gen");
        edit(act, &file, Security::default(), |text| {
            if text.lines().any(|there| there == line) {
                return text.to_owned();
            }
            let commented = format!("# {line}");
            let mut found = false;
            let mut new: String = text
                .lines()
                .flat_map(|there| {
                    let is_it = there.trim_end() == commented;
                    found |= is_it;
                    [
                        if is_it { line.clone() } else { there.to_owned() },
                        "\n".to_owned(),
                    ]
                })
                .collect();
            if !found {
                new.push_str(&line);
                new.push('\n');
            }
            new
        })?;
        if act.will(format!("generate locale {wanted}")) {
            act.call(&["locale-gen"])?;
        }
    }
    Ok(())
}

/// A key as a path of `/proc/sys`. In a name with slashes dots are part of it.
fn key_path(key: &str) -> String {
    let below = if key.contains('/') {
        key.to_owned()
    } else {
        key.replace('.', "/")
    };
    format!("/proc/sys/{below}")
}

/// What the kernel says, with one blank between numbers.
fn current(act: &Act<'_>, key: &str) -> Option<String> {
    let text = act.machine.read(&key_path(key))?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Tells the kernel.
pub(super) fn set_sysctl(act: &mut Act<'_>, key: &str, value: &str) -> Result<(), Failure> {
    if current(act, key).as_deref() != Some(value) && act.will(format!("set {key} to {value}")) {
        act.call(&["sysctl", "-w", &format!("{key}={value}")])?;
    }
    Ok(())
}

fn sysctl(act: &mut Act<'_>) -> Result<(), Failure> {
    let key = act.need("key")?;
    if key.contains("..") || key.contains(char::is_whitespace) || key.starts_with('/') {
        return Err(Failure::invalid(
            "key",
            format!("`{key}` is no key of the kernel"),
        ));
    }
    let name = key.replace('/', ".");
    let folder = act.need("conf_dir")?;
    let path = act.machine.path(format!("{folder}/99-chef-{name}.conf"));
    if act.action == "remove" {
        return remove(act, &path);
    }
    let value = match act.value("value") {
        Some(Value::Array(_)) => act.list("value").join(" "),
        Some(Value::Bool(flag)) => u8::from(flag).to_string(),
        _ => act.need("value")?,
    };
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = String::new();
    for comment in act.list("comment") {
        text.extend(comment.lines().flat_map(|line| ["# ", line, "\n"]));
    }
    text.push_str(&format!("{name} = {value}\n"));
    if act.machine.is_live() && current(act, &key).as_deref() != Some(&value) {
        let exists = act.machine.exists(&key_path(&key));
        if !exists && !act.flag("ignore_error") {
            let path = key_path(&key);
            act.assume(Cause::io("write", Path::new(&path))(
                std::io::ErrorKind::NotFound.into(),
            ))?;
        }
        if act.will(format!("set {name} to {value}")) {
            let output = act.ask(&["sysctl", "-w", &format!("{key}={value}")])?;
            if !output.success() {
                let failure = output.failure();
                if !act.flag("ignore_error") {
                    return Err(failure.into());
                }
                act.warn(failure.to_string());
            }
        }
    }
    bring(act, &path, Content::Bytes(text.as_bytes()), OPEN)
}

fn kernel_module(act: &mut Act<'_>) -> Result<(), Failure> {
    let name = plain(act, "modname")?;
    let (load, unload) = (act.need("load_dir")?, act.need("unload_dir")?);
    let options = act.machine.path(format!("{unload}/options_{name}.conf"));
    let at_boot = act.machine.path(format!("{load}/{name}.conf"));
    let blocked = act.machine.path(format!("{unload}/blacklist_{name}.conf"));
    let loaded = || {
        let text = act.machine.read("/proc/modules").unwrap_or_default();
        let wanted = name.replace('-', "_");
        text.lines()
            .any(|line| line.split(' ').next() == Some(wanted.as_str()))
            || act.machine.exists(&format!("/sys/module/{wanted}"))
    };
    let is_loaded = loaded();
    let write =
        |act: &mut Act<'_>, path: &Path, text: &str| bring(act, path, Content::Bytes(text.as_bytes()), OPEN);
    match act.action {
        "install" => {
            let words = act.list("options");
            if !words.is_empty() {
                write(act, &options, &format!("options {name} {}\n", words.join(" ")))?;
            }
            write(act, &at_boot, &format!("{name}\n"))?;
            set_loaded(act, &name, is_loaded, true)
        }
        "uninstall" => {
            for path in [&at_boot, &blocked, &options] {
                remove(act, path)?;
            }
            set_loaded(act, &name, is_loaded, false)
        }
        "blacklist" => {
            write(act, &blocked, &format!("blacklist {name}\n"))?;
            set_loaded(act, &name, is_loaded, false)
        }
        "disable" => {
            let path = act.machine.path(format!("{unload}/disable_{name}.conf"));
            write(act, &path, &format!("install {name} /bin/false\n"))
        }
        "load" => {
            act.need_live()?;
            set_loaded(act, &name, is_loaded, true)
        }
        _ => {
            act.need_live()?;
            set_loaded(act, &name, is_loaded, false)
        }
    }
}

fn set_loaded(act: &mut Act<'_>, name: &str, is: bool, wanted: bool) -> Result<(), Failure> {
    if !act.machine.is_live() || is == wanted {
        return Ok(());
    }
    let verb = if wanted { "load" } else { "unload" };
    if act.will(format!("{verb} kernel module {name}")) {
        let words: &[&str] = if wanted {
            &["modprobe", name]
        } else {
            &["modprobe", "-r", name]
        };
        act.call(words)?;
    }
    Ok(())
}

fn selinux_state(act: &mut Act<'_>) -> Result<(), Failure> {
    let state = act.action;
    let config = act.need("config_file")?;
    if !act.machine.exists(&config) && !act.machine.exists("/sys/fs/selinux/enforce") {
        if state == "disabled" {
            return Ok(());
        }
        let why = "SELinux is not installed on this machine".to_owned();
        return act.assume(Cause::Unsupported(why));
    }
    if act.machine.is_live() {
        let now = act.machine.read("/sys/fs/selinux/enforce");
        let enforces = now.as_deref().map(|text| text.trim() == "1");
        let wanted = state == "enforcing";
        if enforces == Some(!wanted) {
            let name = if wanted { "enforcing" } else { "permissive" };
            if act.will(format!("set SELinux to {name}")) {
                act.call(&["setenforce", if wanted { "1" } else { "0" }])?;
            }
        }
        if enforces.is_none() && state != "disabled" {
            act.warn("SELinux is disabled: the state takes effect with the next boot");
        }
    }
    if !act.flag("persistent") {
        return Ok(());
    }
    let policy = act.text("policy");
    let path = act.machine.target(&config);
    edit(act, &path, Security::default(), |text| {
        let mut has = (false, policy.is_none());
        let mut new: String = text
            .lines()
            .flat_map(|line| {
                let line = if line.starts_with("SELINUX=") {
                    has.0 = true;
                    format!("SELINUX={state}")
                } else if let Some(policy) = policy.as_ref().filter(|_| line.starts_with("SELINUXTYPE=")) {
                    has.1 = true;
                    format!("SELINUXTYPE={policy}")
                } else {
                    line.to_owned()
                };
                [line, "\n".to_owned()]
            })
            .collect();
        if !has.0 {
            new.push_str(&format!("SELINUX={state}\n"));
        }
        if let Some(policy) = policy.as_ref().filter(|_| !has.1) {
            new.push_str(&format!("SELINUXTYPE={policy}\n"));
        }
        new
    })
}
