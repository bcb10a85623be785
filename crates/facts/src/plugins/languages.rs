//! `languages`: which compilers and interpreters are in the `PATH`, and their versions, as each says itself.

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;
use crate::programs;

mod answers;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["languages"],
    on_demand: true,
    collect,
};

/// A language, the program that is asked with its arguments, and how its answer is read.
type Language = (
    &'static str,
    &'static str,
    &'static [&'static str],
    fn(&str) -> Option<Value>,
);

/// Of several lines of one language the first that answers counts.
const LANGUAGES: &[Language] = &[
    (
        "python",
        "python",
        &["-c", "import sys; print(sys.version)"],
        answers::python,
    ),
    (
        "python",
        "python3",
        &["-c", "import sys; print(sys.version)"],
        answers::python,
    ),
    (
        "ruby",
        "ruby",
        &["-rrbconfig", "-rrubygems", "-e", answers::RUBY],
        answers::ruby,
    ),
    ("perl", "perl", &["-V:version", "-V:archname"], answers::perl),
    ("go", "go", &["version"], answers::go),
    ("java", "java", &["-mx64m", "-version"], answers::java),
    ("rust", "rustc", &["--version"], answers::second_word),
    ("php", "php", &["-v"], answers::php),
    ("nodejs", "node", &["-v"], answers::node),
    ("lua", "lua", &["-v"], answers::second_word),
    (
        "erlang",
        "erl",
        &["-noshell", "-eval", answers::ERLANG],
        answers::erlang,
    ),
    ("elixir", "elixir", &["-v"], answers::elixir),
    ("groovy", "groovy", &["-v"], answers::groovy),
    ("scala", "scala", &["-version"], answers::scala),
    ("mono", "mono", &["-V"], answers::mono),
];

/// The tools of Haskell, each a part of its own.
const HASKELL: [&str; 4] = ["ghc", "ghci", "cabal", "stack"];

/// Where the C library is a program that tells its version.
const C_LIBRARIES: [&str; 2] = ["/lib/libc.so.6", "/lib64/libc.so.6"];

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let mut languages = Map::new();
    let mut c = Map::new();
    if let Some(gcc) = programs::say(machine, "gcc", &["-v"])
        .as_deref()
        .and_then(answers::gcc)
    {
        c.insert("gcc".to_owned(), gcc);
    }
    let library = C_LIBRARIES.iter().find_map(|path| {
        let file = machine.exists(path).then(|| machine.path(path))?;
        answers::glibc(&programs::say(machine, file.to_str()?, &[])?)
    });
    // Debian has it elsewhere; releases of Ohai after 16 ask this.
    let library = library.or_else(|| answers::glibc(&programs::say(machine, "ldd", &["--version"])?));
    c.extend(library.map(|library| ("glibc".to_owned(), library)));
    if !c.is_empty() {
        languages.insert("c".to_owned(), c.into());
    }
    for (language, program, args, read) in LANGUAGES {
        if !languages.contains_key(*language)
            && let Some(answer) = programs::say(machine, program, args).as_deref().and_then(read)
        {
            languages.insert((*language).to_owned(), answer);
        }
    }
    if let Some(Value::Object(erlang)) = languages.get_mut("erlang")
        && let Some(emulator) = programs::say(machine, "erl", &["+V"])
            .as_deref()
            .and_then(answers::erlang_emulator)
    {
        erlang.extend(emulator);
    }
    let mut haskell = json!({});
    for tool in HASKELL {
        if let Some(answer) = programs::say(machine, tool, &["--version"])
            .as_deref()
            .and_then(answers::haskell)
        {
            haskell[tool] = answer;
        }
    }
    if haskell != json!({}) {
        languages.insert("haskell".to_owned(), haskell);
    }
    facts.insert("languages".to_owned(), languages.into());
}
