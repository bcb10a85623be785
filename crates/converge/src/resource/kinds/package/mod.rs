//! Packages of all managers: what they have in common.
//!
//! A manager says what is installed and what could be, and installs and removes. What is to be done follows from that
//! here, for one package as for many.

mod apt;
mod dpkg;
mod gem;
mod pip;
mod rpm;
mod zypper;

use std::sync::PoisonError;
use std::time::Duration;

use serde_json::Value;

use super::Definition;
use super::execute::split;
use crate::resource::act::{Act, text_of};
use crate::resource::catalogue::{Default as Value_, Kind, Property, Provides, Required, Type};
use crate::resource::error::{Cause, Failure};

pub(crate) use dpkg::Cache;

const ACTIONS: &[&str] = &[
    "install", "upgrade", "remove", "purge", "lock", "unlock", "reconfig",
];

/// The properties of all kinds of packages, and those of one.
macro_rules! package_properties {
    ($($own:expr),* $(,)?) => {
        &[
            Property::list("package_name").or(Value_::Name),
            Property::list("version"),
            Property::list("options"),
            Property::string("source"),
            Property::id("timeout").or(Value_::Integer(900)),
            // Recipes name the provider here; the platform decides all the same.
            Property::new("provider", &[]),
            Property::list("arch").aliases(&["architecture"]),
            Property::boolean("allow_downgrade", true),
            Property::string("response_file"),
            Property::hash("response_file_variables"),
            Property::hash("environment"),
            // What `response_file` renders to, if it is a template of a cookbook.
            Property::string("response_content").internal(),
            $($own),*
        ]
    };
}

pub(super) const APT_PACKAGE: Definition = Definition {
    kind: Kind::new(
        "apt_package",
        &[
            Provides::everywhere("apt_package"),
            Provides::on("package", &["debian"]),
        ],
        ACTIONS,
        package_properties![
            Property::string("default_release"),
            Property::boolean("overwrite_config_files", false),
            // Names are never patterns here.
            Property::boolean("anchor_package_regex", false),
        ],
    )
    .body("response_content"),
    run: |act| {
        let is_file = act.text("source").is_some_and(|source| source.ends_with(".deb"));
        if is_file {
            run(act, &dpkg::Dpkg)
        } else {
            run(act, &apt::Apt)
        }
    },
};

pub(super) const DPKG_PACKAGE: Definition = Definition {
    kind: Kind::new(
        "dpkg_package",
        &[Provides::everywhere("dpkg_package")],
        ACTIONS,
        package_properties![],
    )
    .body("response_content"),
    run: |act| run(act, &dpkg::Dpkg),
};

pub(super) const DNF_PACKAGE: Definition = Definition {
    kind: Kind::new(
        "dnf_package",
        &[
            Provides::everywhere("dnf_package"),
            Provides::on("package", &["fedora"]),
            Provides::on("package", &["rhel"]).from(8),
            Provides::on("package", &["amazon"]).from(2022),
            // Recipes for old releases keep their names on new ones, where yum is dnf.
            Provides::on("yum_package", &["fedora"]),
            Provides::on("yum_package", &["rhel"]).from(8),
        ],
        ACTIONS,
        package_properties![Property::new("flush_cache", &[Type::Hash, Type::Array])],
    ),
    run: |act| run(act, &rpm::Rpm::new("dnf")),
};

pub(super) const YUM_PACKAGE: Definition = Definition {
    kind: Kind::new(
        "yum_package",
        &[
            Provides::everywhere("yum_package"),
            Provides::on("package", &["rhel"]).before(8),
            Provides::on("package", &["amazon"]).before(2022),
        ],
        ACTIONS,
        package_properties![
            Property::new("flush_cache", &[Type::Hash, Type::Array]),
            Property::string("yum_binary"),
        ],
    ),
    run: |act| run(act, &rpm::Rpm::new("yum")),
};

pub(super) const RPM_PACKAGE: Definition = Definition {
    kind: Kind::new(
        "rpm_package",
        &[Provides::everywhere("rpm_package")],
        ACTIONS,
        package_properties![],
    ),
    run: |act| run(act, &rpm::Rpm::new("rpm")),
};

pub(super) const ZYPPER_PACKAGE: Definition = Definition {
    kind: Kind::new(
        "zypper_package",
        &[
            Provides::everywhere("zypper_package"),
            Provides::on("package", &["suse"]),
        ],
        ACTIONS,
        package_properties![
            Property::boolean("gpg_check", true),
            Property::list("global_options"),
        ],
    ),
    run: |act| run(act, &zypper::Zypper),
};

pub(super) const GEM_PACKAGE: Definition = Definition {
    kind: Kind::new(
        "gem_package",
        &[Provides::everywhere("gem_package")],
        ACTIONS,
        package_properties![
            Property::string("gem_binary"),
            Property::boolean("clear_sources", false),
            Property::boolean("include_default_source", true),
        ],
    ),
    run: |act| run(act, &gem::Gem),
};

pub(super) const PYTHON_PACKAGE: Definition = Definition {
    kind: Kind::new(
        "python_package",
        &[
            Provides::everywhere("python_package"),
            Provides::everywhere("pip_package"),
        ],
        ACTIONS,
        package_properties![Property::string("python"), Property::string("virtualenv")],
    ),
    run: |act| run(act, &pip::Pip),
};

/// Gems for the program that evaluates recipes.
pub(super) const CHEF_GEM: Definition = Definition {
    kind: Kind::new(
        "chef_gem",
        &[Provides::everywhere("chef_gem")],
        ACTIONS,
        package_properties![
            Property::boolean("compile_time", false),
            Property::boolean("clear_sources", false),
            Property::boolean("include_default_source", true),
        ],
    ),
    run: |act| {
        let name = act.request.name.clone();
        act.warn(format!(
            "gem `{name}` is not installed: recipes are evaluated with Ruby's standard library alone"
        ));
        Ok(())
    },
};

/// One package that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    /// A version that it must have.
    pub(crate) version: Option<String>,
}

/// What a package manager can do. Names may be those that the manager knows: of a package, a file, or a capability.
pub(crate) trait Manager {
    /// The version that is installed.
    fn installed(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure>;

    /// The version that would be installed now; none when there is none.
    fn candidate(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure>;

    /// Whether an installed version is the one that is wanted.
    fn satisfies(&self, installed: &str, wanted: &str) -> bool {
        installed == wanted
    }

    /// Installs packages, or others of their versions.
    fn install(&self, act: &mut Act<'_>, packages: &[Wanted]) -> Result<(), Failure>;

    /// Brings packages to the newest version.
    fn upgrade(&self, act: &mut Act<'_>, packages: &[Wanted]) -> Result<(), Failure> {
        self.install(act, packages)
    }

    /// Removes packages; their configuration too, if `purge`.
    fn remove(&self, act: &mut Act<'_>, packages: &[Wanted], purge: bool) -> Result<(), Failure>;

    /// Whether there is something of a package that `purge` would remove.
    fn has_remains(&self, act: &Act<'_>, package: &Wanted) -> Result<bool, Failure> {
        Ok(self.installed(act, package)?.is_some())
    }

    /// Whether a package is kept at its version.
    fn is_locked(&self, _act: &Act<'_>, package: &Wanted) -> Result<bool, Failure> {
        Err(Cause::Unsupported(format!(
            "`{}` cannot be locked with this package manager",
            package.name
        ))
        .into())
    }

    /// Keeps a package at its version, or no longer.
    fn lock(&self, _act: &mut Act<'_>, package: &Wanted, _lock: bool) -> Result<(), Failure> {
        Err(Cause::Unsupported(format!(
            "`{}` cannot be locked with this package manager",
            package.name
        ))
        .into())
    }
}

/// How long the manager may take.
pub(crate) fn limit(act: &Act<'_>) -> Result<Duration, Failure> {
    let seconds = act
        .number("timeout")?
        .and_then(|seconds| u64::try_from(seconds).ok());
    Ok(Duration::from_secs(seconds.unwrap_or(900)))
}

/// Options of the recipe, as words.
pub(crate) fn options(act: &Act<'_>) -> Vec<String> {
    match act.value("options") {
        Some(Value::String(text)) => split(&text),
        Some(Value::Array(words)) => words.iter().filter_map(text_of).collect(),
        _ => Vec::new(),
    }
}

/// Runs the manager with words that may be of any kind.
pub(crate) fn call(act: &mut Act<'_>, words: &[String]) -> Result<(), Failure> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| Failure::missing("package_name"))?;
    let mut command = act.program(program).time_limit(limit(act)?);
    for argument in arguments {
        command = command.arg(argument);
    }
    for (name, value) in act.pairs("environment") {
        command = command.env(name, value);
    }
    let output = act.finish(command, &words.join(" "))?;
    // Whatever came of it, what was known of installed packages is old now.
    let mut cache = act.shared.packages.lock().unwrap_or_else(PoisonError::into_inner);
    *cache = Cache::default();
    drop(cache);
    act.report.output = Some(output.ok()?);
    Ok(())
}

fn wanted(act: &Act<'_>) -> Result<Vec<Wanted>, Failure> {
    let names = act.list("package_name");
    let versions = match act.value("version") {
        Some(Value::Array(versions)) => versions.iter().map(text_of).collect(),
        Some(value) => vec![text_of(&value)],
        None => Vec::new(),
    };
    if names.is_empty() {
        return Err(Failure::invalid("package_name", "it names no package"));
    }
    if versions.len() > 1 && versions.len() != names.len() {
        let why = format!(
            "there are {} packages and {} versions",
            names.len(),
            versions.len()
        );
        return Err(Failure::invalid("version", why));
    }
    let architectures = act.list("arch");
    let separator = match act.kind.name {
        "apt_package" | "dpkg_package" => ':',
        _ => '.',
    };
    let mut packages: Vec<Wanted> = Vec::new();
    for (number, mut name) in names.into_iter().enumerate() {
        let version = versions
            .get(number)
            .cloned()
            .flatten()
            .filter(|version| !version.is_empty());
        if name.is_empty() || name.starts_with('-') {
            return Err(Failure::invalid(
                "package_name",
                format!("`{name}` is no name of a package"),
            ));
        }
        // One architecture for all, or one for each.
        if let Some(architecture) = architectures
            .get(number)
            .or(architectures.first().filter(|_| architectures.len() == 1))
        {
            name = format!("{name}{separator}{architecture}");
        }
        let package = Wanted { name, version };
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    Ok(packages)
}

fn run(act: &mut Act<'_>, manager: &dyn Manager) -> Result<(), Failure> {
    act.need_live()?;
    debug_assert!(
        act.kind
            .properties
            .iter()
            .all(|property| property.required == Required::No)
    );
    let packages = wanted(act)?;
    match act.action {
        "install" | "upgrade" => install(act, manager, packages),
        "remove" | "purge" => remove(act, manager, packages),
        "lock" | "unlock" => {
            let lock = act.action == "lock";
            for package in packages {
                let verb = act.action;
                if manager.is_locked(act, &package)? != lock
                    && act.will(format!("{verb} package {}", package.name))
                {
                    manager.lock(act, &package, lock)?;
                }
            }
            Ok(())
        }
        _ => reconfigure(act, manager, packages),
    }
}

fn install(act: &mut Act<'_>, manager: &dyn Manager, packages: Vec<Wanted>) -> Result<(), Failure> {
    let (mut missing, mut sentences, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for mut package in packages {
        let installed = manager.installed(act, &package)?;
        let sentence = match (&installed, &package.version, act.action) {
            (Some(now), Some(version), _) if manager.satisfies(now, version) => continue,
            (Some(_), None, "install") => continue,
            (Some(now), Some(version), "install") => {
                format!(
                    "install version {version} of package {} ({now} is installed)",
                    package.name
                )
            }
            (_, Some(version), "install") => format!("install version {version} of package {}", package.name),
            (Some(now), version, _) => {
                let Some(newest) = version.clone().or(manager.candidate(act, &package)?) else {
                    continue;
                };
                if manager.satisfies(now, &newest) {
                    continue;
                }
                let from = now.clone();
                format!("upgrade package {} from {from} to {newest}", package.name)
            }
            (None, version, action) => {
                let Some(newest) = version.clone().or(manager.candidate(act, &package)?) else {
                    unknown.push(package.name);
                    continue;
                };
                if action == "upgrade" {
                    format!("upgrade package {} from uninstalled to {newest}", package.name)
                } else if newest.is_empty() {
                    format!("install package {}", package.name)
                } else {
                    format!("install version {newest} of package {}", package.name)
                }
            }
        };
        package.version = package.version.take().filter(|version| !version.is_empty());
        missing.push(package);
        sentences.push(sentence);
    }
    if !unknown.is_empty() {
        let why = format!("No candidate version available for {}", unknown.join(", "));
        act.assume(Cause::Package(why))?;
        for name in unknown {
            sentences.push(format!("install package {name}"));
        }
    }
    if sentences.is_empty() {
        return Ok(());
    }
    let upgrades = act.action == "upgrade";
    if act.will_all(sentences) {
        if upgrades {
            manager.upgrade(act, &missing)?;
        } else {
            manager.install(act, &missing)?;
        }
        for package in &missing {
            if manager.installed(act, package)?.is_none() {
                let why = format!(
                    "`{}` is not installed although the package manager said so",
                    package.name
                );
                return Err(Cause::Package(why).into());
            }
        }
    }
    Ok(())
}

fn remove(act: &mut Act<'_>, manager: &dyn Manager, packages: Vec<Wanted>) -> Result<(), Failure> {
    let purge = act.action == "purge";
    let mut there = Vec::new();
    for package in packages {
        let installed = manager.installed(act, &package)?;
        let goes = match (&installed, &package.version) {
            (Some(now), Some(version)) => manager.satisfies(now, version),
            (Some(_), None) => true,
            (None, _) => purge && manager.has_remains(act, &package)?,
        };
        if goes {
            there.push(package);
        }
    }
    let verb = act.action;
    let sentences = there
        .iter()
        .map(|package| format!("{verb} package {}", package.name));
    let sentences: Vec<_> = sentences.collect();
    if !sentences.is_empty() && act.will_all(sentences) {
        manager.remove(act, &there, purge)?;
    }
    Ok(())
}

/// Asks a package for its configuration again, with the answers of the recipe.
fn reconfigure(act: &mut Act<'_>, manager: &dyn Manager, packages: Vec<Wanted>) -> Result<(), Failure> {
    for package in packages {
        if manager.installed(act, &package)?.is_none() || !act.has("dpkg-reconfigure") {
            continue;
        }
        if act.will(format!("reconfigure package {}", package.name)) {
            dpkg::preseed(act)?;
            call(
                act,
                &[
                    "dpkg-reconfigure".to_owned(),
                    "-fnoninteractive".to_owned(),
                    package.name,
                ],
            )?;
        }
    }
    Ok(())
}
