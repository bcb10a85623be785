//! Archives as services pack them, and archives that mean no good.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use super::*;

struct Entry<'a> {
    name: &'a str,
    kind: EntryType,
    link: &'a str,
    content: &'a str,
    mode: u32,
}

fn entry<'a>(name: &'a str, kind: EntryType, link: &'a str) -> Entry<'a> {
    Entry {
        name,
        kind,
        link,
        content: "",
        mode: 0o644,
    }
}

fn file<'a>(name: &'a str, content: &'a str) -> Entry<'a> {
    Entry {
        content,
        ..entry(name, EntryType::Regular, "")
    }
}

/// The names are written as they are: the builder of the library would refuse the bad ones.
fn pack(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for entry in entries {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        old.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        builder.append(&header, entry.content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// Unpacks as `dest` in a folder of its own.
fn unpacked(bytes: &[u8]) -> (tempfile::TempDir, Result<(), ArchiveError>) {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("a.tar.gz");
    File::create(&archive).unwrap().write_all(bytes).unwrap();
    let result = unpack(&archive, &folder.path().join("dest"));
    (folder, result)
}

#[track_caller]
fn refused(entries: &[Entry<'_>], words: &str) {
    let (folder, result) = unpacked(&pack(entries));
    let error = result.unwrap_err();
    let text = match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    assert!(text.contains(words) && text.contains("a.tar.gz"), "{text}");
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["a.tar.gz"], "nothing is left");
}

#[test]
fn the_one_folder_of_an_archive_is_the_folder() {
    let script = Entry {
        mode: 0o775,
        ..file("demo-1.0/specs/x.sh", "#!/bin/sh\n")
    };
    let (folder, result) = unpacked(&pack(&[
        entry("pax_global_header", EntryType::XGlobalHeader, ""),
        entry("demo-1.0/", EntryType::Directory, ""),
        file("demo-1.0/project.ini", "[project]\n"),
        script,
        entry("demo-1.0/specs/link", EntryType::Symlink, "../project.ini"),
        entry("demo-1.0/copy", EntryType::Link, "demo-1.0/project.ini"),
    ]));
    result.unwrap();
    let dest = folder.path().join("dest");
    assert_eq!(
        fs::read_to_string(dest.join("specs/link")).unwrap(),
        "[project]\n"
    );
    assert_eq!(fs::read_to_string(dest.join("copy")).unwrap(), "[project]\n");
    let mode = |path: &str| fs::metadata(dest.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("specs/x.sh"), mode("project.ini")), (0o755, 0o644));
}

#[test]
fn many_things_at_the_top_are_the_folder_themselves() {
    let (folder, result) = unpacked(&pack(&[file("./a", "1"), file("./b/c", "2")]));
    result.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("dest/b/c")).unwrap(), "2");
}

#[test]
fn entries_that_leave_the_folder_are_refused() {
    for name in ["../x", "a/../../x", "/etc/x", "a//b", "a\\..\\x"] {
        refused(
            &[file("fine", ""), file(name, "x")],
            "cannot be unpacked: the path",
        );
        refused(&[entry(name, EntryType::Directory, "")], "the path");
        refused(&[entry(name, EntryType::Symlink, "fine")], "the path");
    }
}

#[test]
fn links_that_lead_out_are_refused() {
    for (name, target) in [
        ("link", "/etc/passwd"),
        ("link", ".."),
        ("a/link", "../../x"),
        ("a/link", "b/../../x"),
        ("link", ""),
    ] {
        refused(
            &[entry(name, EntryType::Symlink, target)],
            "is a link out of the archive",
        );
    }
    // Over another link up and out: where `b/..` is depends on where `b` leads.
    refused(
        &[
            entry("top/", EntryType::Directory, ""),
            entry("x/y/b", EntryType::Symlink, "../../top"),
            entry("x/y/a", EntryType::Symlink, "b/../.."),
        ],
        "is a link out",
    );
    refused(&[entry("x", EntryType::Link, "../etc/passwd")], "the path");
    refused(
        &[entry("x", EntryType::Link, "none")],
        "which is no file before it",
    );
    refused(
        &[
            entry("s", EntryType::Symlink, "fine"),
            entry("x", EntryType::Link, "s"),
        ],
        "which is no file before it",
    );
}

#[test]
fn nothing_is_written_through_a_link_or_over_a_file() {
    refused(
        &[
            entry("d", EntryType::Symlink, "e"),
            file("e/a", ""),
            file("d/x", "x"),
        ],
        "is below a link",
    );
    refused(&[file("x", "1"), file("x", "2")], "is there twice");
    refused(
        &[file("x", "1"), entry("x/", EntryType::Directory, "")],
        "is there twice",
    );
}

#[test]
fn devices_pipes_and_unknown_things_are_refused() {
    refused(&[entry("x", EntryType::Char, "")], "`x` of");
    refused(&[entry("x", EntryType::Block, "")], "is a device file");
    refused(&[entry("x", EntryType::Fifo, "")], "is a named pipe");
    refused(&[entry("x", EntryType::new(b'Z'), "")], "which is not known");
}

#[test]
fn what_is_no_archive_or_only_half_of_one_is_refused() {
    let whole = pack(&[file("x", &"text ".repeat(10_000))]);
    for bytes in [
        &b"<html>not found</html>"[..],
        b"",
        &whole[..whole.len() / 2],
        &[0x1f, 0x8b, 1],
    ] {
        let (folder, result) = unpacked(bytes);
        let error = result.unwrap_err();
        assert!(matches!(error, ArchiveError::Broken { .. }), "{error:?}");
        assert!(!folder.path().join("dest").exists());
    }
}

#[test]
fn a_folder_that_holds_something_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, dest) = (folder.path().join("a.tar.gz"), folder.path().join("dest"));
    File::create(&archive)
        .unwrap()
        .write_all(&pack(&[file("x", "1")]))
        .unwrap();
    fs::create_dir(&dest).unwrap();
    unpack(&archive, &dest).unwrap();
    assert!(matches!(unpack(&archive, &dest), Err(ArchiveError::Io { .. })));
    assert_eq!(fs::read_to_string(dest.join("x")).unwrap(), "1");
}
