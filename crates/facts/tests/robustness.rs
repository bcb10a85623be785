//! What `/proc`, `/sys` and `/etc` should never hold, and sometimes do: garbage, nothing, far too much. Whatever it is,
//! the facts of everything else are told.

#![expect(clippy::unwrap_used, reason = "a failure is a failed test, also in helpers")]

mod recording;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use facts::{Machine, Selection, collect};
use nix::sys::stat::Mode;
use proptest::prelude::*;
use proptest::sample::Index;
use recording::{ON_DEMAND, unpack, write};
use serde_json::{Map, Value};

/// The recordings, from small to large.
const RECORDINGS: [&str; 4] = [
    "sles-15-kvm",
    "ubuntu-22.04-azure",
    "rhel-9",
    "almalinux-8-azure-hpc",
];

fn facts_of(root: &Path) -> Map<String, Value> {
    let machine = Machine::at(root);
    let mut facts = collect(&machine, Selection::Default);
    let named: Vec<String> = ON_DEMAND
        .iter()
        .chain(&["languages", "packages", "docker", "sysctl"])
        .map(|name| (*name).to_owned())
        .collect();
    facts.extend(collect(&machine, Selection::Attributes(&named)));
    facts
}

/// What a file is replaced by.
#[derive(Debug, Clone)]
enum Damage {
    Gone,
    Empty,
    Bytes(Vec<u8>),
    /// Its first part only.
    Cut(Index),
    /// The same with every number far too large, negative, or no number.
    Numbers(&'static str),
    /// The same with other bytes in some places.
    Changed(Vec<(Index, u8)>),
    /// All its lines many times.
    Repeated(usize),
    Folder,
    LinkToItself,
    Pipe,
    /// It may be long: this many bytes, all zero.
    Huge(u64),
}

fn damage() -> impl Strategy<Value = Damage> {
    let text = "(\\PC|[0-9a-f:,. =/\\[\\]\\n\\t-]){0,200}";
    prop_oneof![
        Just(Damage::Gone),
        Just(Damage::Empty),
        prop::collection::vec(any::<u8>(), 0..400).prop_map(Damage::Bytes),
        text.prop_map(|text| Damage::Bytes(text.into_bytes())),
        any::<Index>().prop_map(Damage::Cut),
        prop::sample::select(vec![
            "18446744073709551615",
            "99999999999999999999999999",
            "-1",
            "0",
            "4294967296",
            "1e309",
            "x",
            "",
        ])
        .prop_map(Damage::Numbers),
        prop::collection::vec((any::<Index>(), any::<u8>()), 1..20).prop_map(Damage::Changed),
        (2_usize..200).prop_map(Damage::Repeated),
        Just(Damage::Folder),
        Just(Damage::LinkToItself),
        Just(Damage::Pipe),
    ]
}

impl Damage {
    fn apply(&self, path: &Path, healthy: &[u8]) {
        fs::remove_file(path).unwrap();
        match self {
            Self::Gone => {}
            Self::Empty => write(path, ""),
            Self::Bytes(bytes) => write(path, bytes),
            Self::Cut(at) => write(path, &healthy[..at.index(healthy.len() + 1)]),
            Self::Numbers(number) => {
                let text = String::from_utf8_lossy(healthy);
                let mut replaced = String::new();
                for part in text.split_inclusive(|character: char| !character.is_ascii_digit()) {
                    let rest = part.trim_start_matches(|character: char| character.is_ascii_digit());
                    if rest.len() < part.len() {
                        replaced.push_str(number);
                    }
                    replaced.push_str(rest);
                }
                write(path, replaced);
            }
            Self::Changed(changes) => {
                let mut bytes = healthy.to_vec();
                for (at, byte) in changes {
                    if !bytes.is_empty() {
                        let at = at.index(bytes.len());
                        bytes[at] = *byte;
                    }
                }
                write(path, bytes);
            }
            Self::Repeated(times) => write(path, healthy.repeat(*times)),
            Self::Folder => fs::create_dir(path).unwrap(),
            Self::LinkToItself => symlink(path.file_name().unwrap(), path).unwrap(),
            Self::Pipe => nix::unistd::mkfifo(path, Mode::S_IRUSR).unwrap(),
            Self::Huge(bytes) => fs::File::create(path).unwrap().set_len(*bytes).unwrap(),
        }
    }
}

/// The files of a recording that are no links, and what is in them.
fn files(name: &str, root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    unpack(name, root)
        .into_iter()
        .filter(|path| !path.is_symlink())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_damage_stops_the_rest(
        recording in prop::sample::select(RECORDINGS.to_vec()),
        damages in prop::collection::vec((any::<Index>(), damage()), 1..12),
    ) {
        let root = tempfile::tempdir().unwrap();
        let files = files(recording, root.path());
        let mut damaged = Vec::new();
        for (index, damage) in &damages {
            let (path, healthy) = index.get(&files);
            if !damaged.contains(path) {
                damage.apply(path, healthy);
                damaged.push(path.clone());
            }
        }
        let facts = facts_of(root.path());
        prop_assert_eq!(&facts["os"], "linux");
    }
}

/// One after the other, for in the property each is rare.
#[test]
fn each_file_may_be_absent_endless_or_full_of_absurd_numbers() {
    let root = tempfile::tempdir().unwrap();
    let files = files("ubuntu-22.04-azure", root.path());
    let healthy = facts_of(root.path());
    for (path, bytes) in &files {
        for damage in [
            Damage::Gone,
            Damage::Pipe,
            Damage::Numbers("99999999999999999999"),
        ] {
            damage.apply(path, bytes);
            assert_eq!(
                facts_of(root.path())["os"],
                "linux",
                "{}: {damage:?}",
                path.display()
            );
            if !matches!(damage, Damage::Gone) {
                fs::remove_file(path).unwrap();
            }
            write(path, bytes);
        }
    }
    let mut after = facts_of(root.path());
    after["ohai_time"] = healthy["ohai_time"].clone();
    assert_eq!(after, healthy);
}

/// The kernel's files end soon; another's need not. What is read of them fits into memory.
#[test]
fn files_without_end_are_read_in_part() {
    for name in [
        "proc/meminfo",
        "proc/cpuinfo",
        "proc/mounts",
        "proc/net/route",
        "etc/passwd",
        "etc/os-release",
    ] {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Damage::Huge(1 << 42).apply_to_new(&path);
        facts_of(root.path());
    }
}

impl Damage {
    fn apply_to_new(&self, path: &Path) {
        write(path, "");
        self.apply(path, b"");
    }
}

#[test]
fn names_that_are_not_utf8_are_passed_over() {
    let root = tempfile::tempdir().unwrap();
    unpack("rhel-9", root.path());
    let folders = [
        "sys/class/net",
        "sys/block",
        "sys/class/block",
        "dev/disk/by-uuid",
        "proc/sys",
    ]
    .map(|folder| root.path().join(folder));
    for folder in &folders {
        fs::create_dir_all(folder).unwrap();
    }
    let healthy = facts_of(root.path());
    for folder in &folders {
        write(&folder.join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "1\n");
    }
    let mut facts = facts_of(root.path());
    facts["ohai_time"] = healthy["ohai_time"].clone();
    assert_eq!(facts, healthy);
}

#[test]
fn folders_that_lead_back_to_themselves_end() {
    let root = tempfile::tempdir().unwrap();
    for folder in [
        "proc/sys",
        "sys/class/net",
        "sys/block",
        "sys/bus/pci/devices",
        "sys/devices/system/cpu",
    ] {
        let folder = root.path().join(folder);
        fs::create_dir_all(&folder).unwrap();
        for number in 0..20 {
            symlink(".", folder.join(format!("cpu{number}"))).unwrap();
            symlink("..", folder.join(format!("up{number}"))).unwrap();
        }
    }
    assert_eq!(facts_of(root.path())["os"], "linux");
}

/// As in a host of containers. The readers of the network have such a test of their own.
#[test]
fn ten_thousand_mounts() {
    const MANY: usize = 10_000;
    /// Each is mounted many times.
    const DEVICES: usize = 50;
    let root = tempfile::tempdir().unwrap();
    for folder in ["proc/self", "run/mount", "dev/disk/by-uuid"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    for number in 0..DEVICES {
        let device = format!("dm-{number}");
        let folder = root.path().join("sys/class/block").join(&device);
        fs::create_dir_all(&folder).unwrap();
        write(&folder.join("dev"), format!("254:{number}\n"));
        symlink(
            format!("../../{device}"),
            root.path().join(format!("dev/disk/by-uuid/uuid-{number}")),
        )
        .unwrap();
    }
    let (mut mounts, mut noted) = (String::new(), String::new());
    for number in 0..MANY {
        let device = number % DEVICES;
        mounts += &format!("{number} 1 254:{device} / /data/{number} rw - ext4 /dev/dm-{device} rw\n");
        noted += &format!("SRC=x TARGET=/data/{number} ROOT=/ OPTS=_netdev\n");
    }
    write(&root.path().join("proc/self/mountinfo"), mounts);
    write(&root.path().join("run/mount/utab"), noted);

    let facts = collect(&Machine::at(root.path()), Selection::Default);
    let by_device = &facts["filesystem"]["by_device"];
    assert_eq!(by_device.as_object().unwrap().len(), DEVICES);
    assert_eq!(
        by_device["/dev/dm-7"]["mounts"].as_array().unwrap().len(),
        MANY / DEVICES
    );
    let mounted = &facts["filesystem"]["by_mountpoint"];
    assert_eq!(mounted.as_object().unwrap().len(), MANY);
    assert_eq!(mounted["/data/9999"]["uuid"], "uuid-49");
    assert_eq!(mounted["/data/9999"]["mount_options"][1], "_netdev");
}
