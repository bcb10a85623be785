//! `sysconf`: limits and options of the system, as `getconf -a` lists them: what the kernel tells, and what is fixed
//! in the GNU C library. What is undefined is null.

use nix::sys::statvfs::{Statvfs, statvfs};
use nix::unistd::{SysconfVar, sysconf};
use serde_json::{Map, Value};

use super::Plugin;
use crate::machine::Machine;

mod constants;
mod libc;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["sysconf"],
    on_demand: false,
    collect,
};

/// Whose programs are loaded by one of these has the GNU C library.
const LOADERS: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];

/// The releases of the C library that tell other things than those before: the number of processors under a second
/// name (seen in 2.41, not in 2.36), and nothing of how the first cache of instructions is laid out.
const WITH_PROCESSORS: libc::Version = (2, 41);
const WITHOUT_LAYOUT: libc::Version = (2, 33);

/// The limits are those of a process, so there are none without a running kernel.
fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    if !machine.is_live() || !LOADERS.iter().any(|path| machine.exists(path)) {
        return;
    }
    let mut values: Map<String, Value> = Map::new();
    let mut set = |name: &str, value: Value| {
        values.insert(name.to_owned(), value);
    };
    for name in constants::POSIX_2008 {
        set(name, 200_809.into());
    }
    for name in constants::UNDEFINED {
        set(name, Value::Null);
    }
    for name in constants::COMPILER_64 {
        set(
            name,
            if cfg!(target_arch = "x86_64") {
                "-m64".into()
            } else {
                Value::Null
            },
        );
    }
    for (name, number) in constants::NUMBERS {
        set(name, (*number).into());
    }
    for (name, text) in constants::TEXTS {
        set(name, (*text).into());
    }
    set("ULONG_MAX", u64::MAX.into());
    set("CHAR_MIN", std::ffi::c_char::MIN.into());
    set("CHAR_MAX", std::ffi::c_char::MAX.into());
    set(
        "PTHREAD_STACK_MIN",
        if cfg!(target_arch = "x86_64") {
            16_384
        } else {
            131_072
        }
        .into(),
    );

    let limits = machine.read("/proc/self/limits").unwrap_or_default();
    let arguments =
        limit(&limits, "Max stack size").map_or(i64::MAX as u64 / 2, |stack| (stack / 4).max(131_072));
    let groups = number(machine, "/proc/sys/kernel/ngroups_max");
    let (processes, files) = (limit(&limits, "Max processes"), limit(&limits, "Max open files"));
    for (name, value) in [
        ("ARG_MAX", Some(arguments)),
        ("CHILD_MAX", processes),
        ("OPEN_MAX", files),
        ("NGROUPS_MAX", groups),
    ] {
        set(name, value.into());
        set(&format!("_POSIX_{name}"), value.into());
    }
    set("SIGQUEUE_MAX", limit(&limits, "Max pending signals").into());

    let page = sysconf(SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|size| u64::try_from(size).ok());
    let memory = machine.read("/proc/meminfo").unwrap_or_default();
    let pages = |name: &str| Some(kilobytes(&memory, name)? * 1024 / page.filter(|page| *page != 0)?);
    set("PAGESIZE", page.into());
    set("PAGE_SIZE", page.into());
    set("_PHYS_PAGES", pages("MemTotal").into());
    set("_AVPHYS_PAGES", pages("MemFree").into());
    let processors = |file: &str| {
        machine
            .read_value(&format!("/sys/devices/system/cpu/{file}"))
            .map(|list| count(&list))
    };
    set("_NPROCESSORS_CONF", processors("present").into());
    set("_NPROCESSORS_ONLN", processors("online").into());

    set_of_root(machine, statvfs("/").ok(), &mut set);
    let libc = libc::version(machine);
    set_caches(machine, libc, &mut set);
    if let Some((major, minor)) = libc {
        set("GNU_LIBC_VERSION", format!("glibc {major}.{minor}").into());
        set("GNU_LIBPTHREAD_VERSION", format!("NPTL {major}.{minor}").into());
    }
    if libc.is_some_and(|version| version >= WITH_PROCESSORS) {
        set("NPROCESSORS_CONF", processors("present").into());
        set("NPROCESSORS_ONLN", processors("online").into());
    }
    facts.insert("sysconf".to_owned(), values.into());
}

/// What depends on the file system of the root folder.
fn set_of_root(machine: &Machine, root: Option<Statvfs>, set: &mut impl FnMut(&str, Value)) {
    let mounts = machine.read("/proc/mounts").unwrap_or_default();
    let kind = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            (fields.next()? == "/").then(|| fields.next())?
        })
        .next_back();
    let links: u64 = match kind {
        Some("ext4") => 65_000,
        Some("ext2" | "ext3" | "f2fs") => 32_000,
        Some("xfs") => 2_147_483_647,
        _ => 127,
    };
    let names = root.map(|root| root.name_max());
    for (name, value) in [("LINK_MAX", Some(links)), ("NAME_MAX", names)] {
        set(name, value.into());
        set(&format!("_POSIX_{name}"), value.into());
    }
    let large = matches!(
        kind,
        Some("ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "f2fs" | "reiserfs" | "jfs")
    );
    set("FILESIZEBITS", if large { 64 } else { 32 }.into());
    let (fragment, block) = root.map_or((None, None), |root| {
        (Some(root.fragment_size()), Some(root.block_size()))
    });
    set("POSIX_ALLOC_SIZE_MIN", fragment.into());
    set("POSIX_REC_XFER_ALIGN", fragment.into());
    set("POSIX_REC_MIN_XFER_SIZE", block.into());
}

/// The caches of the first processor, sizes in bytes. The kernel knows what it was told; the C library asks the
/// processor itself, and knows less of some.
fn set_caches(machine: &Machine, libc: Option<libc::Version>, set: &mut impl FnMut(&str, Value)) {
    const CACHES: &str = "/sys/devices/system/cpu/cpu0/cache";
    for name in [
        "LEVEL1_ICACHE",
        "LEVEL1_DCACHE",
        "LEVEL2_CACHE",
        "LEVEL3_CACHE",
        "LEVEL4_CACHE",
    ] {
        for what in ["SIZE", "ASSOC", "LINESIZE"] {
            set(&format!("{name}_{what}"), Value::Null);
        }
    }
    for cache in machine
        .list(CACHES)
        .iter()
        .filter(|name| name.starts_with("index"))
    {
        let value = |file: &str| machine.read_value(&format!("{CACHES}/{cache}/{file}"));
        let name = match (value("level").as_deref(), value("type").as_deref()) {
            (Some("1"), Some("Instruction")) => "LEVEL1_ICACHE".to_owned(),
            (Some("1"), Some("Data")) => "LEVEL1_DCACHE".to_owned(),
            (Some(level @ ("2" | "3" | "4")), _) => format!("LEVEL{level}_CACHE"),
            _ => continue,
        };
        let number = |file: &str| value(file)?.parse::<u64>().ok();
        let size = value("size").and_then(|size| size.strip_suffix('K')?.parse::<u64>().ok());
        set(
            &format!("{name}_SIZE"),
            size.map(|size| size.saturating_mul(1024)).into(),
        );
        set(&format!("{name}_ASSOC"), number("ways_of_associativity").into());
        set(&format!("{name}_LINESIZE"), number("coherency_line_size").into());
    }
    if libc.is_some_and(|version| version >= WITHOUT_LAYOUT) {
        set("LEVEL1_ICACHE_ASSOC", Value::Null);
    }
}

fn number(machine: &Machine, path: &str) -> Option<u64> {
    machine.read_value(path)?.parse().ok()
}

/// A limit of /proc/self/limits that we have now; none if there is none.
fn limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// `MemTotal:       24684096 kB`
fn kilobytes(memory: &str, name: &str) -> Option<u64> {
    let value = memory
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let number: u64 = value.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024).map(|_| number)
}

/// How many numbers a list such as `0-3,8` has.
fn count(list: &str) -> u64 {
    list.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            last.checked_sub(first)?.checked_add(1)
        })
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_and_lists_are_read() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax stack size            8388608              unlimited            bytes\nMax processes             unlimited            unlimited            processes\n";
        assert_eq!(limit(limits, "Max stack size"), Some(8_388_608));
        assert_eq!(limit(limits, "Max processes"), None);
        assert_eq!(count("0-3,8"), 5);
        assert_eq!(
            kilobytes("MemTotal:       24684096 kB\n", "MemTotal"),
            Some(24_684_096)
        );
    }

    #[test]
    fn no_name_stands_in_two_lists() {
        let mut names: Vec<_> = constants::POSIX_2008
            .iter()
            .chain(constants::UNDEFINED)
            .chain(constants::COMPILER_64)
            .chain(constants::NUMBERS.iter().map(|(name, _)| name))
            .chain(constants::TEXTS.iter().map(|(name, _)| name))
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in "(Max|MemTotal:)?(\\PC|[0-9 ,-]){0,60}") {
            let _ = limit(&text, "Max");
            let _ = kilobytes(&text, "MemTotal");
            let _ = count(&text);
        }
    }
}
