//! `systemd_paths`: where files of a kind belong, as `systemd-path` says (file-hierarchy(7)). Of a list of folders
//! the first.

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["systemd_paths"],
    on_demand: false,
    collect,
};

/// Where they are on every machine with systemd.
const FIXED: &[(&str, &str)] = &[
    ("system-binaries", "/usr/bin"),
    ("system-include", "/usr/include"),
    ("system-library-private", "/usr/lib"),
    ("system-shared", "/usr/share"),
    ("system-configuration-factory", "/usr/share/factory/etc"),
    ("system-state-factory", "/usr/share/factory/var"),
    ("system-configuration", "/etc"),
    ("system-runtime", "/run"),
    ("system-runtime-logs", "/run/log"),
    ("system-state-private", "/var/lib"),
    ("system-state-logs", "/var/log"),
    ("system-state-cache", "/var/cache"),
    ("system-state-spool", "/var/spool"),
    ("search-binaries-default", "/usr/local/sbin"),
    ("search-configuration-factory", "/usr/local/share/factory/etc"),
    ("search-state-factory", "/usr/local/share/factory/var"),
    ("systemd-system-conf", "/etc/systemd/system"),
    ("systemd-user-unit", "/usr/lib/systemd/user"),
    ("systemd-user-conf", "/etc/systemd/user"),
    ("systemd-search-system-unit", "/etc/systemd/system.control"),
    ("systemd-user-generator", "/usr/lib/systemd/user-generators"),
    (
        "systemd-search-system-generator",
        "/run/systemd/system-generators",
    ),
    ("systemd-search-user-generator", "/run/systemd/user-generators"),
    ("tmpfiles", "/usr/lib/tmpfiles.d"),
    ("sysusers", "/usr/lib/sysusers.d"),
    ("sysctl", "/usr/lib/sysctl.d"),
    ("binfmt", "/usr/lib/binfmt.d"),
    ("modules-load", "/usr/lib/modules-load.d"),
    ("catalog", "/usr/lib/systemd/catalog"),
    ("systemd-search-network", "/etc/systemd/network"),
];

/// What later releases have beside: seen in 257, not in 252.
const FIXED_LATER: &[(&str, &str)] = &[
    (
        "systemd-system-environment-generator",
        "/usr/lib/systemd/system-environment-generators",
    ),
    (
        "systemd-user-environment-generator",
        "/usr/lib/systemd/user-environment-generators",
    ),
    (
        "systemd-search-system-environment-generator",
        "/run/systemd/system-environment-generators",
    ),
    (
        "systemd-search-user-environment-generator",
        "/run/systemd/user-environment-generators",
    ),
];
/// The first release that is known to have them.
const LATER: u32 = 257;

/// Where they are below the folder of systemd itself.
const OF_SYSTEMD: &[(&str, &str)] = &[
    ("systemd-util", ""),
    ("systemd-system-unit", "/system"),
    ("systemd-system-preset", "/system-preset"),
    ("systemd-user-preset", "/user-preset"),
    ("systemd-system-generator", "/system-generators"),
    ("systemd-sleep", "/system-sleep"),
    ("systemd-shutdown", "/system-shutdown"),
];

/// Where they are below the user's home, unless a variable says otherwise.
const OF_USER: &[(&str, Option<&str>, &str)] = &[
    ("user-shared", Some("XDG_DATA_HOME"), ".local/share"),
    ("user-configuration", Some("XDG_CONFIG_HOME"), ".config"),
    ("user-state-cache", Some("XDG_CACHE_HOME"), ".cache"),
    ("user-binaries", None, ".local/bin"),
    ("user-library-private", None, ".local/lib"),
    ("search-library-private", None, ".local/lib"),
    ("search-shared", Some("XDG_DATA_HOME"), ".local/share"),
    ("search-configuration", Some("XDG_CONFIG_HOME"), ".config"),
];

/// Folders that a desktop may name in a file, and what they are called there.
const OF_DESKTOP: &[(&str, &str)] = &[
    ("user-documents", "XDG_DOCUMENTS_DIR"),
    ("user-music", "XDG_MUSIC_DIR"),
    ("user-pictures", "XDG_PICTURES_DIR"),
    ("user-videos", "XDG_VIDEOS_DIR"),
    ("user-download", "XDG_DOWNLOAD_DIR"),
    ("user-public", "XDG_PUBLICSHARE_DIR"),
    ("user-templates", "XDG_TEMPLATES_DIR"),
    ("user-desktop", "XDG_DESKTOP_DIR"),
];

/// Half of the paths are those of the user who asks, so only a running machine has them.
fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    if !machine.is_live() || !machine.exists("/usr/bin/systemd-path") {
        return;
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    facts.insert("systemd_paths".to_owned(), paths(machine, &variable));
}

fn paths(machine: &Machine, variable: &impl Fn(&str) -> Option<String>) -> Value {
    let mut paths = json!({});
    for (name, path) in FIXED {
        paths[name] = (*path).into();
    }
    let later = release(machine).is_some_and(|release| release >= LATER);
    if later {
        for (name, path) in FIXED_LATER {
            paths[name] = (*path).into();
        }
    }
    let of_systemd = folder_of_systemd(machine);
    for (name, below) in OF_SYSTEMD {
        paths[name] = format!("{of_systemd}{below}").into();
    }
    let temporary = ["TMPDIR", "TEMP", "TMP"]
        .iter()
        .find_map(|name| variable(name).filter(|path| path.starts_with('/')));
    for (name, otherwise) in [("temporary", "/tmp"), ("temporary-large", "/var/tmp")] {
        paths[name] = temporary.as_deref().unwrap_or(otherwise).into();
    }
    if let Some(path) = variable("PATH") {
        paths["search-binaries"] = path.split(':').next().into();
    }
    if let Some(path) = variable("XDG_RUNTIME_DIR") {
        paths["user-runtime"] = path.into();
    }
    let multiarch = folder_of_architecture(machine);
    paths["system-library-arch"] = multiarch
        .map_or_else(|| "/usr/lib64".to_owned(), |name| format!("/usr/lib/{name}"))
        .into();
    let Some(home) = variable("HOME") else {
        return paths;
    };
    for (name, override_, below) in OF_USER {
        let path = override_
            .and_then(variable)
            .unwrap_or_else(|| format!("{home}/{below}"));
        paths[name] = path.into();
    }
    if later {
        let path = variable("XDG_STATE_HOME").unwrap_or_else(|| format!("{home}/.local/state"));
        paths["user-state-private"] = path.into();
    }
    let own = multiarch.unwrap_or("lib64");
    for name in ["user-library-arch", "search-library-arch"] {
        paths[name] = format!("{home}/.local/lib/{own}").into();
    }
    let configuration = paths["user-configuration"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    paths["systemd-search-user-unit"] = format!("{configuration}/systemd/user.control").into();
    paths["user"] = home.as_str().into();
    let named = machine
        .read(&format!("{configuration}/user-dirs.dirs"))
        .unwrap_or_default();
    for (name, key) in OF_DESKTOP {
        let otherwise = if *name == "user-desktop" {
            format!("{home}/Desktop")
        } else {
            home.clone()
        };
        paths[name] = desktop_folder(&named, key, &home).unwrap_or(otherwise).into();
    }
    paths
}

/// The release of systemd: the number of the library that its programs share, `libsystemd-shared-257.so` or, as
/// distributions number them, `libsystemd-shared-257.7-1.fc42.so`.
fn release(machine: &Machine) -> Option<u32> {
    let folders = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|name| format!("/usr/lib/{name}/systemd"))
        .into_iter()
        .chain(["/usr/lib/systemd", "/lib/systemd", "/usr/lib64/systemd"].map(str::to_owned));
    folders.flat_map(|folder| machine.list(&folder)).find_map(|name| {
        let rest = name.strip_prefix("libsystemd-shared-")?;
        let end = rest.find(|character: char| !character.is_ascii_digit())?;
        rest[..end].parse().ok()
    })
}

/// Debian's systemd was built for a separate /usr until 2024. Its package says where it lies.
fn folder_of_systemd(machine: &Machine) -> &'static str {
    let files = machine
        .read("/var/lib/dpkg/info/systemd.list")
        .unwrap_or_default();
    if files.lines().any(|file| file == "/lib/systemd/systemd") {
        "/lib/systemd"
    } else {
        "/usr/lib/systemd"
    }
}

/// Debian keeps libraries of each architecture in a folder of its own.
fn folder_of_architecture(machine: &Machine) -> Option<&'static str> {
    ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .into_iter()
        .find(|name| machine.exists(&format!("/usr/lib/{name}/libc.so.6")))
}

/// `XDG_MUSIC_DIR="$HOME/Music"`
fn desktop_folder(text: &str, key: &str, home: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
    let path = value.trim().trim_matches('"');
    match path.strip_prefix("$HOME") {
        Some("" | "/") => Some(home.to_owned()),
        Some(below) if below.starts_with('/') => Some(format!("{home}{below}")),
        _ => path.starts_with('/').then(|| path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn the_user_decides_about_some() {
        let variable = |name: &str| match name {
            "HOME" => Some("/home/ann".to_owned()),
            "XDG_CONFIG_HOME" => Some("/home/ann/conf".to_owned()),
            "PATH" => Some("/opt/bin:/bin".to_owned()),
            _ => None,
        };
        let paths = paths(&Machine::at("/nowhere"), &variable);
        assert_eq!(paths["user-configuration"], "/home/ann/conf");
        assert_eq!(
            paths["systemd-search-user-unit"],
            "/home/ann/conf/systemd/user.control"
        );
        assert_eq!(paths["search-binaries"], "/opt/bin");
        assert_eq!(paths["user-desktop"], "/home/ann/Desktop");
        assert_eq!(paths["user-music"], "/home/ann");
        assert_eq!(paths["system-library-arch"], "/usr/lib64");
        assert_eq!(paths["systemd-util"], "/usr/lib/systemd");
        assert_eq!(paths.get("user-runtime"), None);
    }

    #[test]
    fn later_releases_have_more() {
        let paths_of = |library: &str| {
            let (_root, machine) = machine(&[(library, "")]);
            paths(&machine, &|name| (name == "HOME").then(|| "/root".to_owned()))
        };
        let later = paths_of("/usr/lib/systemd/libsystemd-shared-257.7-1.fc42.so");
        assert_eq!(later["user-state-private"], "/root/.local/state");
        let earlier = paths_of("/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so");
        assert_eq!(
            later.as_object().unwrap().len(),
            earlier.as_object().unwrap().len() + 5
        );
    }

    #[test]
    fn folders_of_the_desktop_are_below_the_home_or_absolute() {
        let text = "# written by a tool\nXDG_MUSIC_DIR=\"$HOME/Music\"\nXDG_VIDEOS_DIR=\"/data/videos\"\nXDG_PICTURES_DIR=\"pics\"\n";
        assert_eq!(
            desktop_folder(text, "XDG_MUSIC_DIR", "/home/a").as_deref(),
            Some("/home/a/Music")
        );
        assert_eq!(
            desktop_folder(text, "XDG_VIDEOS_DIR", "/home/a").as_deref(),
            Some("/data/videos")
        );
        assert_eq!(desktop_folder(text, "XDG_PICTURES_DIR", "/home/a"), None);
    }
}
