//! The standard library out of `ruby+stdlib.wasm`, where it is a folder that only Ruby itself can see.

use std::path::Path;

use sha2::{Digest, Sha256};
use wasmtime::Engine;

use super::freeze::boot;
use super::{BuildError, hex, kept, module};
use crate::engine;
use crate::library::Library;

/// What recipes have no use for: development, documentation, packages.
const LEFT_OUT: [&str; 15] = [
    "bundled_gems",
    "bundler",
    "debug",
    "did_you_mean",
    "error_highlight",
    "irb",
    "mkmf",
    "prism",
    "pstore_",
    "rdoc",
    "readline",
    "reline",
    "ruby_vm",
    "syntax_suggest",
    "un.rb",
];

/// Gems that were a part of the standard library when recipes began to use them.
const GEMS: [&str; 17] = [
    "abbrev-",
    "base64-",
    "benchmark-",
    "csv-",
    "drb-",
    "getoptlong-",
    "logger-",
    "matrix-",
    "mutex_m-",
    "observer-",
    "ostruct-",
    "prime-",
    "pstore-",
    "rexml-",
    "rinda-",
    "net-smtp-",
    "net-ftp-",
];

/// The parts of RubyGems that compare versions.
const OF_RUBYGEMS: [&str; 8] = [
    "rubygems/compatibility.rb",
    "rubygems/dependency.rb",
    "rubygems/deprecate.rb",
    "rubygems/errors.rb",
    "rubygems/platform.rb",
    "rubygems/requirement.rb",
    "rubygems/unknown_command_spell_checker.rb",
    "rubygems/version.rb",
];

/// Where the modules have Ruby's own files.
const EMBEDDED: &str = "/usr/local";

pub(super) fn library_of(wasm: &[u8], cache: &Path) -> Result<Vec<u8>, BuildError> {
    let mut hash = Sha256::new();
    hash.update(wasm);
    let all = kept(cache, &hex(&hash.finalize()), "pack", || dump(wasm, cache))?;
    let mut library = Vec::new();
    for (name, content) in Library::files(&all) {
        if let Some(place) = place(&name) {
            Library::append(&mut library, &place, content);
        }
    }
    if library.is_empty() {
        return Err(BuildError::Patch("it has no standard library".to_owned()));
    }
    Ok(library)
}

/// Everything below the embedded folder. Ruby writes it to a file.
fn dump(wasm: &[u8], cache: &Path) -> Result<Vec<u8>, BuildError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| BuildError::Io { path, source }
    };
    std::fs::create_dir_all(cache).map_err(io(cache))?;
    let cache = cache.canonicalize().map_err(io(cache))?;
    let file = cache.join(format!("stdlib.{}.part", std::process::id()));
    let engine = Engine::new(&engine::config()).map_err(BuildError::wasm("cannot set up the compiler"))?;
    let module = module(&engine, wasm, &cache)?;
    let mut vm = boot(&engine, &module, Library::default())?;
    vm.start(&["ruby", "--disable-gems", "-EUTF-8", "-e", "_=0"])
        .map_err(BuildError::wasm("cannot start Ruby"))?;
    let code = format!(
        r#"
        out = File.open({path:?}, "wb")
        walk = ->(folder) {{
          Dir.children(folder).sort.each {{ |name|
            path = File.join(folder, name)
            next walk.(path) if File.directory?(path)
            data, name = File.binread(path), path.delete_prefix("{EMBEDDED}/lib/ruby/")
            out.write([name.bytesize, data.bytesize].pack("VV"), name, data)
          }}
        }}
        walk.("{EMBEDDED}")
        out.close
        "#,
        path = file.display().to_string(),
    );
    vm.eval(&code)
        .map_err(|error| BuildError::Prelude(error.to_string()))?;
    let bytes = std::fs::read(&file).map_err(io(&file))?;
    std::fs::remove_file(&file).map_err(io(&file))?;
    Ok(bytes)
}

/// Where a file is in our library; none for what is left out.
fn place(name: &str) -> Option<String> {
    if let Some(gem) = name.strip_prefix("gems/") {
        let (_, rest) = gem.split_once("/gems/")?;
        let (gem, rest) = rest.split_once("/lib/")?;
        return GEMS
            .iter()
            .any(|wanted| gem.starts_with(wanted))
            .then(|| format!("lib/{rest}"));
    }
    let (version, rest) = name.split_once('/')?;
    if !version.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let rest = rest.strip_prefix("wasm32-wasi/").unwrap_or(rest);
    let wanted = if rest.starts_with("rubygems") {
        OF_RUBYGEMS.contains(&rest)
    } else {
        !LEFT_OUT.iter().any(|left_out| rest.starts_with(left_out))
    };
    wanted.then(|| format!("lib/{rest}"))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn files_have_one_folder() {
        assert_eq!(
            place("4.0.0/json/common.rb").as_deref(),
            Some("lib/json/common.rb")
        );
        assert_eq!(
            place("4.0.0/wasm32-wasi/rbconfig.rb").as_deref(),
            Some("lib/rbconfig.rb")
        );
        assert_eq!(
            place("gems/4.0.0/gems/csv-3.3.5/lib/csv.rb").as_deref(),
            Some("lib/csv.rb")
        );
        assert_eq!(place("4.0.0/irb.rb"), None);
        assert_eq!(place("4.0.0/rubygems/installer.rb"), None);
        assert_eq!(place("gems/4.0.0/gems/rake-13/lib/rake.rb"), None);
    }
}
