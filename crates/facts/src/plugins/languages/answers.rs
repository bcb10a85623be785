//! What compilers and interpreters say when they are asked for their version.

use serde_json::{Map, Value, json};

/// Says what a Ruby is, a name and a value on each line.
pub(super) const RUBY: &str = r##"c = RbConfig::CONFIG
{ platform: RUBY_PLATFORM, version: RUBY_VERSION, release_date: RUBY_RELEASE_DATE,
  target: c["target"], target_cpu: c["target_cpu"], target_vendor: c["target_vendor"], target_os: c["target_os"],
  host: c["host"], host_cpu: c["host_cpu"], host_os: c["host_os"], host_vendor: c["host_vendor"],
  bin_dir: c["bindir"], ruby_bin: File.join(c["bindir"], c["ruby_install_name"]),
  gem_bin: File.join(c["bindir"], Gem.default_exec_format % "gem"), gems_dir: Gem.dir
}.each { |name, value| puts "#{name}=#{value}" }"##;

/// Says the versions of Erlang, of its runtime and of its interface to native code.
pub(super) const ERLANG: &str = r#"{ok, V} = file:read_file(filename:join([code:root_dir(), "releases", erlang:system_info(otp_release), "OTP_VERSION"])), io:format("~s,~s,~s", [string:trim(V), erlang:system_info(version), erlang:system_info(nif_version)]), halt()."#;

/// `3.11.7 (main, May  9 2026, 07:35:25) [GCC 12.2.0]`
pub(super) fn python(text: &str) -> Option<Value> {
    let words: Vec<_> = text.split_whitespace().collect();
    let mut python = json!({"version": words.first()?});
    if let [_, _, month, day, year, time, ..] = words.as_slice() {
        python["builddate"] = format!("{month} {day} {year} {}", time.trim_end_matches(')')).into();
    }
    Some(python)
}

pub(super) fn ruby(text: &str) -> Option<Value> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let ruby: Map<_, _> = pairs
        .filter(|(name, _)| !name.contains(' '))
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    ruby.contains_key("version").then(|| ruby.into())
}

/// `version='5.36.0';`
pub(super) fn perl(text: &str) -> Option<Value> {
    let perl: Map<_, _> = text
        .lines()
        .filter_map(|line| line.split_once("='"))
        .filter(|(name, _)| ["version", "archname"].contains(name))
        .filter_map(|(name, value)| Some((name.to_owned(), value.strip_suffix("';")?.into())))
        .collect();
    (!perl.is_empty()).then(|| perl.into())
}

pub(super) fn gcc(text: &str) -> Option<Value> {
    let mut gcc = Map::new();
    let fields = [
        ("Target: ", "target"),
        ("Configured with: ", "configured_with"),
        ("Thread model: ", "thread_model"),
    ];
    for line in text.lines() {
        if let Some((_, after)) = line.rsplit_once("version ") {
            let version = after.split_whitespace().next().unwrap_or_default();
            gcc.insert("description".to_owned(), line.into());
            gcc.insert("version".to_owned(), version.into());
        } else if let Some((value, name)) = fields
            .iter()
            .find_map(|(prefix, name)| Some((line.strip_prefix(prefix)?, *name)))
        {
            gcc.insert(name.to_owned(), value.into());
        }
    }
    (!gcc.is_empty()).then(|| gcc.into())
}

/// `GNU C Library (GNU libc) stable release version 2.34.`
pub(super) fn glibc(text: &str) -> Option<Value> {
    let description = text.lines().next()?;
    let is_version = |word: &&str| word.starts_with(|char: char| char.is_ascii_digit()) && word.contains('.');
    let version = description
        .split(|char: char| !char.is_ascii_digit() && char != '.')
        .find(is_version)?
        .trim_end_matches('.');
    Some(json!({"version": version, "description": description}))
}

/// `go version go1.21.0 linux/amd64`
pub(super) fn go(text: &str) -> Option<Value> {
    let version = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("go").filter(|rest| !rest.is_empty()))?;
    Some(json!({"version": version}))
}

/// `openjdk version "17.0.15" 2025-04-15`, a line of its runtime environment, one of its virtual machine.
pub(super) fn java(text: &str) -> Option<Value> {
    let mut java = Map::new();
    for line in text.lines() {
        if let Some((_, after)) = line
            .split_once("java version \"")
            .or_else(|| line.split_once("openjdk version \""))
        {
            let version = after.split('"').next().unwrap_or_default();
            java.insert("version".to_owned(), version.into());
        } else if let Some((name, build)) = line.split_once(" (build ") {
            let name = name.trim();
            let build = build.trim().trim_end_matches(')');
            let key = match name {
                name if name.contains("Runtime Environment") => "runtime",
                name if name.ends_with("Client VM")
                    || name.ends_with("Server VM")
                    || name.ends_with(" VM") =>
                {
                    "hotspot"
                }
                _ => continue,
            };
            java.insert(key.to_owned(), json!({"name": name, "build": build}));
        }
    }
    (!java.is_empty()).then(|| java.into())
}

/// `rustc 1.95.0 (…)`, `Lua 5.4.4  Copyright …`
pub(super) fn second_word(text: &str) -> Option<Value> {
    Some(json!({"version": text.split_whitespace().nth(1)?}))
}

/// `PHP 8.2.7 (cli) (built: Jun  9 2023 19:37:27) (NTS)`, then `Zend Engine v4.2.7, …`
pub(super) fn php(text: &str) -> Option<Value> {
    let mut php = Map::new();
    for line in text.lines().map(str::trim_start) {
        let word = |after: &str| {
            let rest = line.split_once(after)?.1;
            rest.split([',', ' ']).next().filter(|word| !word.is_empty())
        };
        if let Some(version) = line
            .strip_prefix("PHP ")
            .and_then(|rest| rest.split_whitespace().next())
        {
            php.insert("version".to_owned(), version.into());
            let built = line
                .split_once("built: ")
                .and_then(|(_, rest)| rest.split(')').next());
            php.insert("builddate".to_owned(), built.into());
        } else if let Some(version) = word("Zend Engine v") {
            php.insert("zend_engine_version".to_owned(), version.into());
        } else if let Some(version) = word("Zend OPcache v") {
            php.insert("zend_opcache_version".to_owned(), version.into());
        }
    }
    (!php.is_empty()).then(|| php.into())
}

/// `v20.20.2`
pub(super) fn node(text: &str) -> Option<Value> {
    Some(json!({"version": text.trim().strip_prefix('v')?}))
}

pub(super) fn erlang(text: &str) -> Option<Value> {
    let mut parts = text.trim().split(',');
    let (version, runtime, native) = (parts.next()?, parts.next()?, parts.next()?);
    Some(json!({"version": version, "erts_version": runtime, "nif_version": native}))
}

/// `Erlang (SMP,ASYNC_THREADS) (BEAM) emulator version 13.1.5`
pub(super) fn erlang_emulator(text: &str) -> Option<Map<String, Value>> {
    let mut parts = text.split(['(', ')']);
    let options: Vec<&str> = parts.nth(1)?.split(',').collect();
    let mut told = Map::new();
    told.insert("emulator".to_owned(), parts.nth(1)?.into());
    told.insert("options".to_owned(), options.into());
    Some(told)
}

/// A line `Elixir 1.14.0 (compiled with Erlang/OTP 24)`
pub(super) fn elixir(text: &str) -> Option<Value> {
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("Elixir "))?
        .split_whitespace()
        .next()?;
    Some(json!({"version": version}))
}

/// `Groovy Version: 2.4.21 JVM: 17.0.15 Vendor: Debian OS: Linux`
pub(super) fn groovy(text: &str) -> Option<Value> {
    let word = |after: &str| text.split_once(after)?.1.split_whitespace().next();
    Some(json!({"version": word("Groovy Version:")?, "jvm": word("JVM:")?}))
}

/// `Scala code runner version 2.11.12 -- Copyright …`
pub(super) fn scala(text: &str) -> Option<Value> {
    let version = text.split_once("version ")?.1.split_whitespace().next()?;
    Some(json!({"version": version}))
}

/// `Mono JIT compiler version 6.8.0.105 (Debian 6.8.0.105+dfsg-3.3 Thu Feb  2 10:30:00 UTC 2023)`
pub(super) fn mono(text: &str) -> Option<Value> {
    let words: Vec<_> = text.lines().next()?.split_whitespace().collect();
    let mut mono = json!({"version": words.get(4)?});
    if let Some(date) = words.get(7..13) {
        mono["builddate"] = date.join(" ").trim_end_matches(')').into();
    }
    Some(mono)
}

/// `The Glorious Glasgow Haskell Compilation System, version 9.0.2`, `Version 2.7.5, Git revision …`
pub(super) fn haskell(text: &str) -> Option<Value> {
    let description = text.lines().next()?;
    let words: Vec<_> = description.split_whitespace().collect();
    let after = |word: &str| {
        words
            .iter()
            .position(|other| *other == word)
            .and_then(|at| words.get(at + 1))
    };
    let version = after("Version").or(words.last())?.trim_end_matches(',');
    Some(json!({"version": version, "description": description}))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn interpreters_are_understood() {
        assert_eq!(
            Value::from(
                erlang_emulator("Erlang (SMP,ASYNC_THREADS) (BEAM) emulator version 13.1.5\n").unwrap()
            ),
            json!({"options": ["SMP", "ASYNC_THREADS"], "emulator": "BEAM"})
        );
        assert_eq!(
            python("3.11.7 (main, May  9 2026, 07:35:25) [GCC 12.2.0]\n").unwrap(),
            json!({"version": "3.11.7", "builddate": "May 9 2026, 07:35:25"})
        );
        assert_eq!(
            perl("version='5.36.0';\narchname='x86_64-linux-gnu-thread-multi';\n").unwrap(),
            json!({"version": "5.36.0", "archname": "x86_64-linux-gnu-thread-multi"})
        );
        let php_said = "PHP 8.2.7 (cli) (built: Jun  9 2023 19:37:27) (NTS)\nZend Engine v4.2.7, Copyright\n    with Zend OPcache v8.2.7, Copyright\n";
        assert_eq!(
            php(php_said).unwrap(),
            json!({"version": "8.2.7", "builddate": "Jun  9 2023 19:37:27", "zend_engine_version": "4.2.7", "zend_opcache_version": "8.2.7"})
        );
        assert_eq!(
            second_word("Lua 5.4.4  Copyright (C)").unwrap()["version"],
            "5.4.4"
        );
        assert_eq!(node("v20.20.2\n").unwrap()["version"], "20.20.2");
        assert_eq!(
            ruby("warning: a = b\nversion=3.1.2\nhost=x\n").unwrap(),
            json!({"version": "3.1.2", "host": "x"})
        );
    }

    #[test]
    fn compilers_are_understood() {
        let said = "Using built-in specs.\nTarget: x86_64-linux-gnu\nConfigured with: ../configure -v --with-pkgversion='D 12'\nThread model: posix\ngcc version 12.2.0 (Debian 12.2.0-14) \n";
        assert_eq!(
            gcc(said).unwrap(),
            json!({"target": "x86_64-linux-gnu", "configured_with": "../configure -v --with-pkgversion='D 12'",
                   "thread_model": "posix", "description": "gcc version 12.2.0 (Debian 12.2.0-14) ", "version": "12.2.0"})
        );
        assert_eq!(
            glibc("GNU C Library (GNU libc) stable release version 2.34.\nmore").unwrap()["version"],
            "2.34"
        );
        assert_eq!(
            go("go version go1.21.0 linux/amd64\n").unwrap()["version"],
            "1.21.0"
        );
        let said = "openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6-Debian)\nOpenJDK 64-Bit Server VM (build 17.0.15+6-Debian, mixed mode, sharing)\n";
        assert_eq!(
            java(said).unwrap(),
            json!({"version": "17.0.15",
                   "runtime": {"name": "OpenJDK Runtime Environment", "build": "17.0.15+6-Debian"},
                   "hotspot": {"name": "OpenJDK 64-Bit Server VM", "build": "17.0.15+6-Debian, mixed mode, sharing"}})
        );
        assert_eq!(
            haskell("Version 2.7.5, Git revision abc").unwrap()["version"],
            "2.7.5"
        );
        assert_eq!(
            mono("Mono JIT compiler version 6.8.0.105 (Debian 6.8.0+dfsg Thu Feb  2 10:30:00 UTC 2023)\n")
                .unwrap(),
            json!({"version": "6.8.0.105", "builddate": "Thu Feb 2 10:30:00 UTC 2023"})
        );
    }

    #[test]
    fn virtual_machines_of_languages_are_understood() {
        assert_eq!(
            erlang("25.2.3,13.1.5,2.16").unwrap(),
            json!({"version": "25.2.3", "erts_version": "13.1.5", "nif_version": "2.16"})
        );
        assert_eq!(
            elixir("Erlang/OTP 25\n\nElixir 1.14.0 (compiled)\n").unwrap()["version"],
            "1.14.0"
        );
        assert_eq!(
            groovy("Groovy Version: 2.4.21 JVM: 17.0.15 Vendor: Debian OS: Linux").unwrap(),
            json!({"version": "2.4.21", "jvm": "17.0.15"})
        );
        assert_eq!(
            scala("Scala code runner version 2.11.12 -- Copyright").unwrap()["version"],
            "2.11.12"
        );
    }

    proptest! {
        #[test]
        fn no_answer_makes_a_reader_panic(text in "(\\PC|[\\n \"'()=,.]|version ){0,60}") {
            for read in [python, ruby, perl, gcc, glibc, go, java, second_word, php, node, erlang, elixir, groovy, scala, mono, haskell] {
                let _ = read(&text);
            }
        }
    }
}
