//! Leaves in which `ohai` and our program legitimately differ, each with its reason. Everything else is equal.

use std::fmt;

/// What is known of the machine that both look at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setting {
    /// The first number of Ohai's version.
    pub(crate) ohai: u32,
    /// Whether the user may read the environment of process 1.
    pub(crate) reads_init: bool,
    /// Programs that Ohai asks and that are not there.
    pub(crate) lacks: Vec<String>,
}

impl Setting {
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self {
            ohai: 16,
            reads_init: true,
            lacks: Vec::new(),
        }
    }

    fn lacks(&self, program: &str) -> bool {
        self.lacks.iter().any(|name| name == program)
    }
}

/// How the leaves of an exception differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Only Ohai has them.
    Theirs,
    /// Only we have them.
    Ours,
    /// Both have them, with other values.
    Unlike,
    /// Any of these.
    Any,
    /// Numbers that only grow: Ohai's lies between two of ours.
    Counter,
    /// Numbers that come and go: Ohai's lies near ours, measured by what there is at most.
    Gauge(Whole),
}

/// How much a gauge can show at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Whole {
    /// This.
    Number(f64),
    /// What the leaf of this path says.
    At(&'static str),
    /// Twice what it shows, and some more when it shows little.
    Itself,
    /// What the leaf of this name in the same section says.
    Beside(&'static str),
}

/// Leaves that may differ.
pub(crate) struct Exception {
    /// Which.
    pub(crate) pattern: &'static str,
    /// How.
    pub(crate) kind: Kind,
    /// Where they may.
    when: fn(&Setting) -> bool,
    /// Whether they do wherever they may, or only where the machine has something of the kind.
    certain: bool,
    /// Why.
    pub(crate) reason: &'static str,
}

impl Exception {
    /// Whether it may be used here.
    pub(crate) fn applies(&self, setting: &Setting) -> bool {
        (self.when)(setting)
    }

    /// Whether it must be needed here; if it is not, it is stale.
    pub(crate) fn is_certain(&self, setting: &Setting) -> bool {
        self.certain && (self.when)(setting)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Theirs => "only ohai",
            Self::Ours => "only ours",
            Self::Unlike => "unlike",
            Self::Any => "any",
            Self::Counter => "counter",
            Self::Gauge(_) => "gauge",
        })
    }
}

const MEMORY: Kind = Kind::Gauge(Whole::At("memory/total"));

const GAUGE: Kind = Kind::Gauge(Whole::Itself);

/// What an exception is about moves all the time; it is compared, but not to the digit.
const MOMENT: &str = "of the moment";

/// Why Ohai 16 has no such leaves.
const LATER: &str = "what releases after 16 tell";

/// Why nothing is said of clouds here.
const CLOUD: &str = "what a cloud says over the network is compared elsewhere; null where there is none";
/// Why we know less of interfaces.
const ASKED: &str = "ethtool tells it, a child process for each interface and question";
/// Why Ohai knows less of interfaces.
const ETHTOOL: &str = "without ethtool Ohai does not ask";

const fn moving(pattern: &'static str, kind: Kind) -> Exception {
    may(pattern, kind, MOMENT)
}

/// Leaves that may differ anywhere.
const fn may(pattern: &'static str, kind: Kind, reason: &'static str) -> Exception {
    may_where(pattern, kind, |_| true, reason)
}

/// Leaves that may differ where this is so.
const fn may_where(
    pattern: &'static str,
    kind: Kind,
    when: fn(&Setting) -> bool,
    reason: &'static str,
) -> Exception {
    Exception {
        pattern,
        kind,
        when,
        certain: false,
        reason,
    }
}

/// Leaves that do differ where this is so, whatever the machine has.
const fn must(
    pattern: &'static str,
    kind: Kind,
    when: fn(&Setting) -> bool,
    reason: &'static str,
) -> Exception {
    Exception {
        certain: true,
        ..may_where(pattern, kind, when, reason)
    }
}

/// The list. Of several that fit a leaf the first that applies counts.
pub(crate) const EXCEPTIONS: &[Exception] = &[
    moving("ohai_time", Kind::Counter),
    moving("uptime", Kind::Counter),
    moving("uptime_seconds", Kind::Counter),
    moving("idletime", Kind::Counter),
    moving("idletime_seconds", Kind::Counter),
    moving("counters/network/interfaces/*/*/bytes", Kind::Counter),
    moving("counters/network/interfaces/*/*/packets", Kind::Counter),
    moving("counters/network/interfaces/*/*/drop", Kind::Counter),
    moving("interrupts/irq/*/events_by_cpu/*", Kind::Counter),
    moving("memory/free", MEMORY),
    moving("memory/available", MEMORY),
    moving("memory/buffers", MEMORY),
    moving("memory/cached", MEMORY),
    moving("memory/active", MEMORY),
    moving("memory/inactive", MEMORY),
    moving("memory/dirty", MEMORY),
    moving("memory/writeback", MEMORY),
    moving("memory/anon_pages", MEMORY),
    moving("memory/mapped", MEMORY),
    moving("memory/slab", MEMORY),
    moving("memory/slab_reclaimable", MEMORY),
    moving("memory/slab_unreclaim", MEMORY),
    moving("memory/page_tables", MEMORY),
    moving("memory/committed_as", MEMORY),
    moving("memory/vmalloc_used", MEMORY),
    moving("memory/swap/cached", MEMORY),
    moving("memory/swap/free", MEMORY),
    may_where(
        "cpu/*/mhz",
        Kind::Ours,
        |setting| setting.ohai >= 17,
        "lscpu, which later releases ask, tells it only of processors that change it",
    ),
    moving("cpu/*/mhz", Kind::Gauge(Whole::Number(10_000.0))),
    moving(
        "sysconf/_AVPHYS_PAGES",
        Kind::Gauge(Whole::At("sysconf/_PHYS_PAGES")),
    ),
    moving("filesystem/*/*/kb_used", Kind::Gauge(Whole::Beside("kb_size"))),
    moving(
        "filesystem/*/*/kb_available",
        Kind::Gauge(Whole::Beside("kb_size")),
    ),
    moving("filesystem/*/*/percent_used", Kind::Gauge(Whole::Number(100.0))),
    moving(
        "filesystem/*/*/inodes_used",
        Kind::Gauge(Whole::Beside("total_inodes")),
    ),
    moving(
        "filesystem/*/*/inodes_available",
        Kind::Gauge(Whole::Beside("total_inodes")),
    ),
    moving(
        "filesystem/*/*/inodes_percent_used",
        Kind::Gauge(Whole::Number(100.0)),
    ),
    must(
        "chef_packages/**",
        Kind::Theirs,
        |_| true,
        "where the gems of Ohai are",
    ),
    may("cloud/**", Kind::Any, CLOUD),
    may("azure/**", Kind::Any, CLOUD),
    may("ec2/**", Kind::Any, CLOUD),
    may("gce/**", Kind::Any, CLOUD),
    may("oci/**", Kind::Any, CLOUD),
    may("alibaba/**", Kind::Any, CLOUD),
    may("digital_ocean/**", Kind::Any, CLOUD),
    may("openstack/**", Kind::Any, CLOUD),
    may("rackspace/**", Kind::Any, CLOUD),
    may("scaleway/**", Kind::Any, CLOUD),
    may("linode/**", Kind::Any, CLOUD),
    may("softlayer/**", Kind::Any, CLOUD),
    may("eucalyptus/**", Kind::Any, CLOUD),
    may(
        "IPAddress",
        Kind::Theirs,
        "a slip of the network plugin: a library that is not loaded becomes an attribute",
    ),
    may_where(
        "virtualization/**",
        Kind::Any,
        |setting| !setting.reads_init,
        "the plugin gives up when the user may not read the environment of process 1; we tell the rest",
    ),
    may_where("cpu/*_cache", Kind::Ours, |setting| setting.ohai < 17, LATER),
    may_where(
        "cpu/vulnerability/*",
        Kind::Ours,
        |setting| setting.ohai < 17,
        LATER,
    ),
    must("cpu/**", Kind::Ours, |setting| setting.ohai < 17, LATER),
    may_where(
        "cpu/*/flags/*",
        Kind::Unlike,
        |setting| setting.ohai >= 17,
        "later releases sort them; ours are in the order of the kernel, as in Ohai 16",
    ),
    may(
        "fqdn",
        Kind::Unlike,
        "Ohai asks the name service, and waits for it; we read files",
    ),
    may("domain", Kind::Unlike, "follows from fqdn"),
    may_where(
        "network/interfaces/*/addresses/*/tags/**",
        Kind::Any,
        |setting| setting.ohai >= 17,
        "the plugin takes the words `proto kernel_ll` of a later `ip` for flags of the address",
    ),
    may("network/interfaces/*/driver_info/driver", Kind::Any, ETHTOOL),
    may("network/interfaces/*/ring_params/**", Kind::Theirs, ASKED),
    may("network/interfaces/*/channel_params/**", Kind::Theirs, ASKED),
    may("network/interfaces/*/coalesce_params/**", Kind::Theirs, ASKED),
    may("network/interfaces/*/pause_params/**", Kind::Theirs, ASKED),
    may("network/interfaces/*/offload_params/**", Kind::Theirs, ASKED),
    may("network/interfaces/*/driver_info/*", Kind::Theirs, ASKED),
    may("network/interfaces/*/auto_negotiation", Kind::Theirs, ASKED),
    may("network/interfaces/*/port", Kind::Theirs, ASKED),
    may("network/interfaces/*/transceiver", Kind::Theirs, ASKED),
    may("network/interfaces/*/mdi_x", Kind::Theirs, ASKED),
    may("network/interfaces/*/link_speed", Kind::Ours, ETHTOOL),
    may("network/interfaces/*/duplex", Kind::Ours, ETHTOOL),
    must(
        "pci/**",
        Kind::Ours,
        |setting| setting.lacks("lspci"),
        "without lspci Ohai knows no devices",
    ),
    must(
        "languages/python/*",
        Kind::Ours,
        |setting| setting.lacks("python") && !setting.lacks("python3"),
        "Ohai asks `python` only, which Debian calls python3",
    ),
    may_where(
        "languages/c/glibc/*",
        Kind::Ours,
        |setting| setting.ohai < 17,
        "releases after 16 ask ldd where the C library is not in /lib",
    ),
    may(
        "sysconf/LEVEL*_CACHE_*",
        Kind::Unlike,
        "the C library guesses from what the processor says, each release another way; we say what the kernel found",
    ),
    must(
        "sysctl/**",
        Kind::Ours,
        |setting| setting.lacks("sysctl"),
        "without sysctl Ohai knows no settings",
    ),
    must(
        "ipc/**",
        Kind::Ours,
        |setting| setting.lacks("ipcs"),
        "without ipcs Ohai knows no segments",
    ),
    may("sysctl/fs.dentry-state", GAUGE, MOMENT),
    may("sysctl/fs.file-nr", GAUGE, MOMENT),
    may("sysctl/fs.inode-nr", GAUGE, MOMENT),
    may("sysctl/fs.inode-state", GAUGE, MOMENT),
    may("sysctl/fs.aio-nr", GAUGE, MOMENT),
    may("sysctl/kernel.ns_last_pid", GAUGE, MOMENT),
    may("sysctl/kernel.pty.nr", GAUGE, MOMENT),
    may("sysctl/kernel.random.entropy_avail", GAUGE, MOMENT),
    may("sysctl/net.netfilter.nf_conntrack_count", GAUGE, MOMENT),
    must(
        "sysctl/kernel.random.uuid",
        Kind::Unlike,
        |setting| !setting.lacks("sysctl"),
        "another one each time",
    ),
    must(
        "scsi/**",
        Kind::Ours,
        |setting| setting.lacks("lsscsi"),
        "without lsscsi Ohai knows no devices",
    ),
];
