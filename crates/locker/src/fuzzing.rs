//! What fuzzers in `fuzz/` run: archives, manifests and `project.ini` files of others. A test replays the seeds through the same
//! functions.

#![expect(
    clippy::expect_used,
    reason = "without its surroundings a fuzzer tests nothing"
)]

use std::fs;
use std::path::{Component, Path};

use tar::{Builder, EntryType, Header};

use crate::archive::unpack;
use crate::path;
use crate::project::{Manifest, ProjectIni};

/// Unpacks an archive: whatever it holds, it stays in its folder, and what cannot be unpacked leaves nothing.
///
/// # Panics
/// When that does not hold.
pub fn archive(bytes: &[u8]) {
    unpacked(bytes);
    let mended = mended(bytes);
    if mended != bytes {
        unpacked(&mended);
    }
}

/// The same with right checksums of headers, so that what is looked at is more than these.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            let mut header = Header::new_old();
            header.as_mut_bytes().copy_from_slice(block);
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
    }
    bytes
}

fn unpacked(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.tar");
    durable::write_unflushed(&file, 0o600, bytes).expect("a file");
    let place = folder.path().join("place");
    fs::create_dir(&place).expect("a folder");
    let dest = place.join("dest");
    let unpacked = unpack(&file, &dest);
    let there = names(&place);
    match unpacked {
        Ok(()) => {
            assert_eq!(there, ["dest"]);
            check_tree(&dest, &dest);
        }
        Err(error) => assert!(there.is_empty(), "left {there:?} after: {error:?}"),
    }
    let beside = names(folder.path());
    assert_eq!(beside, ["a.tar", "place"], "something landed outside");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder that can be read");
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Files, folders, and links that stay below `root`.
fn check_tree(root: &Path, folder: &Path) {
    for name in names(folder) {
        let path = folder.join(&name);
        let is = fs::symlink_metadata(&path).expect("an entry");
        if is.is_dir() {
            check_tree(root, &path);
        } else if is.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            let below = folder.strip_prefix(root).unwrap_or(folder);
            let mut depth = i32::try_from(below.components().count()).unwrap_or(i32::MAX);
            for step in target.components() {
                depth += match step {
                    Component::Normal(_) => 1,
                    Component::CurDir => 0,
                    _ => -1,
                };
                assert!(
                    depth >= 0 && target.is_relative(),
                    "{path:?} leads out, to {target:?}"
                );
            }
        } else {
            assert!(is.is_file(), "{path:?} is neither file nor folder nor link");
        }
    }
}

/// Reads a manifest and a `project.ini`: paths that are accepted stay below the folder that they are joined to.
///
/// # Panics
/// When that does not hold.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes)
        && manifest.check_paths().is_ok()
    {
        let blobs = manifest.blobs.iter().map(|blob| blob.path.as_str());
        let specs = manifest.specs.values();
        let files = specs.flat_map(|spec| spec.files.iter().flatten().map(|file| file.path.as_str()));
        let folder = Path::new("folder");
        for name in blobs.chain(files) {
            let joined = path::join(folder, name).expect("a path that was checked");
            let below = joined.strip_prefix(folder).expect("a path below its folder");
            let is_plain = below
                .components()
                .all(|step| matches!(step, Component::Normal(_)));
            assert!(is_plain, "`{name}` leads to {joined:?}");
        }
        let written = serde_json::to_vec(&manifest).expect("a manifest in JSON");
        let read: Manifest = serde_json::from_slice(&written).expect("the same manifest");
        assert_eq!(format!("{read:?}"), format!("{manifest:?}"));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let first = ProjectIni::parse(text, Path::new("project.ini"));
        let second = ProjectIni::parse(text, Path::new("project.ini"));
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
    }
}

/// Archives with what archives have.
pub fn archive_seeds() -> Vec<Vec<u8>> {
    let plain = [
        ("a/", EntryType::Directory, "", ""),
        ("a/b", EntryType::Regular, "", "text"),
        ("a/l", EntryType::Symlink, "b", ""),
        ("a/h", EntryType::Link, "a/b", ""),
    ];
    let bad = [
        ("../x", EntryType::Regular, "", "text"),
        ("/y", EntryType::Regular, "", ""),
        ("l", EntryType::Symlink, "../..", ""),
        ("l/z", EntryType::Regular, "", "text"),
        ("d", EntryType::Fifo, "", ""),
    ];
    let mut seeds = vec![pack(&plain)];
    seeds.extend(bad.iter().map(|entry| pack(std::slice::from_ref(entry))));
    seeds.push(pack(&bad[2..4]));
    seeds
}

fn pack(entries: &[(&str, EntryType, &str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, link, content) in entries {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder
            .append(&header, content.as_bytes())
            .expect("an archive in memory");
    }
    builder.into_inner().expect("an archive in memory")
}

/// A manifest, and a `project.ini`.
pub fn manifest_seeds() -> Vec<Vec<u8>> {
    let manifest = serde_json::json!({
        "name": "p", "version": "1.0.0",
        "blobs": [{"path": "a/b.tgz", "size": 3, "sha256": "00", "checksum": "00"}],
        "specs": {"default": {"files": [
            {"path": "cluster-init/scripts/1.sh", "sha256": "00", "size": 3, "executable": true}
        ]}},
    });
    let ini = "[project]\nname = p\nlabel = P\nversion = 1.0.0\ntype = scheduler\n\n\
               [blobs]\nfiles = a.tgz, b.tgz\n\n[spec default]\nrun_list = recipe[a], recipe[b]\n";
    vec![manifest.to_string().into_bytes(), ini.as_bytes().to_vec()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seeds_are_what_they_seem() {
        let seeds = manifest_seeds();
        let read: Manifest = serde_json::from_slice(&seeds[0]).unwrap();
        assert_eq!(read.blobs.len(), 1);
        ProjectIni::parse(std::str::from_utf8(&seeds[1]).unwrap(), Path::new("project.ini")).unwrap();
        seeds.iter().for_each(|seed| manifest(seed));
        let folder = tempfile::tempdir().unwrap();
        for (number, seed) in archive_seeds().iter().enumerate() {
            archive(seed);
            let file = folder.path().join("a.tar");
            durable::write_unflushed(&file, 0o600, seed).unwrap();
            let unpacked = unpack(&file, &folder.path().join(number.to_string()));
            // The file below what is a link in another one is only a file here.
            assert_eq!(
                unpacked.is_ok(),
                matches!(number, 0 | 4),
                "{number}: {unpacked:?}"
            );
        }
    }

    fn changed(mut bytes: Vec<u8>, changes: Vec<(prop::sample::Index, u8)>) -> Vec<u8> {
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn mutated_archives_stay_in_their_folder(
            seed in prop::sample::select(archive_seeds()),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            archive(&changed(seed, changes));
        }

        #[test]
        fn mutated_manifests_keep_their_promises(
            seed in prop::sample::select(manifest_seeds()),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            manifest(&changed(seed, changes));
        }
    }
}
