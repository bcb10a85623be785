//! The image of Ruby that evaluates recipes: `target/ruby/ARCHITECTURE.image`.
//!
//! Ruby comes from the package that `runtime/ruby` pins, fetched by npm, which checks it against its hash. The prelude is
//! `crates/recipe/ruby` and the catalogue of resources. What was made from the same things is not made again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use terminal::ResultExt;

/// The file of the prelude that loads the others.
const ENTRY: &str = "jetpack/boot.rb";

/// Makes the image, if it is not there.
pub(crate) fn make(root: &Path) -> anyhow::Result<()> {
    let folder = target(root).join("ruby");
    let architecture = std::env::consts::ARCH;
    let image = folder.join(format!("{architecture}.image"));
    let prelude = prelude(root)?;
    let lock = root.join("runtime/ruby/package-lock.json");
    let lock = fs::read(&lock).with_context(|| format!("cannot read `{}`", lock.display()))?;
    let stamp = stamp(&lock, &prelude)?;
    let stamp_file = image.with_extension("stamp");
    if image.is_file() && fs::read(&stamp_file).is_ok_and(|known| known == stamp) {
        return Ok(());
    }
    let package = fetch(root, &folder, &lock)?;
    let cache = folder.join("cache");
    let whole = read(&package.join("ruby+stdlib.wasm"))?;
    let stdlib = ruby::library_of(&whole, &cache)?;
    let source = ruby::Source {
        ruby: &read(&package.join("ruby.wasm"))?,
        stdlib: &stdlib,
        prelude: &prelude,
        entry: ENTRY,
        target: &format!("{architecture}-unknown-linux-gnu"),
        cache: &cache,
    };
    let bytes = ruby::build(&source)?;
    durable::write(&image, 0o644, &bytes)?;
    durable::write(&stamp_file, 0o644, &stamp)?;
    Ok(())
}

/// Cargo's folder for what it makes.
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The files of the prelude, in the order of their names, with the catalogue among them.
fn prelude(root: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let folder = root.join("crates/recipe/ruby");
    let mut files = Vec::new();
    collect(&folder, "jetpack", &mut files)?;
    files.sort();
    let kinds: Vec<_> = converge::resource::catalogue().collect();
    let catalogue = serde_json::to_vec(&kinds).context("cannot write the catalogue of resources")?;
    files.push(("jetpack/catalogue.json".to_owned(), catalogue));
    Ok(files)
}

fn collect(folder: &Path, name: &str, files: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let path = entry?.path();
        let own = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let name = format!("{name}/{own}");
        if path.is_dir() {
            collect(&path, &name, files)?;
        } else if own.ends_with(".rb") {
            files.push((name, read(&path)?));
        }
    }
    Ok(())
}

/// What the image is made from: the package, the prelude, and this program.
fn stamp(lock: &[u8], prelude: &[(String, Vec<u8>)]) -> anyhow::Result<Vec<u8>> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut hash = Sha256::new();
    hash.update(lock);
    hash.update(ruby::sources_digest(prelude));
    hash.update(read(&program)?);
    Ok(hash.finalize().to_vec())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// Fetches the package, if it is not there; the folder with its modules.
#[expect(clippy::disallowed_methods, reason = "a chore of the repository runs npm")]
fn fetch(root: &Path, folder: &Path, lock: &[u8]) -> anyhow::Result<PathBuf> {
    let npm = folder.join("npm");
    let modules = npm.join("node_modules/@ruby/4.0-wasm-wasi/dist");
    let stamp = npm.join("fetched");
    if fs::read(&stamp).is_ok_and(|known| known == lock) {
        return Ok(modules);
    }
    fs::create_dir_all(&npm).with_context(|| format!("cannot create `{}`", npm.display()))?;
    for name in ["package.json", "package-lock.json"] {
        let from = root.join("runtime/ruby").join(name);
        fs::copy(&from, npm.join(name)).with_context(|| format!("cannot copy `{}`", from.display()))?;
    }
    let hint = "install npm (Debian: `apt install npm`) and let it reach its registry; without recipes: \
                `cargo build --package jetpack --no-default-features`";
    let output = Command::new("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel",
            "error",
            "--prefix",
        ])
        .arg(&npm)
        .output()
        .context("cannot run npm, which fetches Ruby")
        .hint(hint)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let failed: anyhow::Result<()> = (|| bail!("npm cannot fetch Ruby: {said}"))();
        failed.hint(hint)?;
    }
    durable::write(&stamp, 0o644, lock)?;
    Ok(modules)
}
