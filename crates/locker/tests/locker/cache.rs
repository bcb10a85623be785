//! Content that was downloaded before.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use locker::project::SpecFile;
use locker::{Access, Cache, Checksum, Error, Locker};
use sha2::{Digest, Sha256};

struct Site {
    folder: tempfile::TempDir,
    locker: Locker,
}

fn site(limit: u64) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("locker");
    std::fs::create_dir(&store).unwrap();
    let url = format!("file://{}", store.display());
    let locker = Locker::open(&url, &Access::default()).unwrap();
    let locker = locker.with_cache(Cache::new(folder.path().join("cache"), limit));
    Site { folder, locker }
}

fn sum(text: &str) -> Checksum {
    let sum = Sha256::digest(text);
    Checksum {
        size: Some(text.len() as u64),
        sha256: Some(sum.iter().map(|byte| format!("{byte:02x}")).collect()),
        md5: None,
    }
}

impl Site {
    async fn put(&self, text: &str) {
        self.locker.put(text, text.to_owned()).await.unwrap();
    }

    /// Reads a blob whose name is its content.
    async fn fetch(&self, text: &str) -> Result<String, Error> {
        let dest = self.folder.path().join("dest");
        self.locker.fetch(text, &dest, 0o754, &sum(text)).await?;
        assert_eq!(
            std::fs::metadata(&dest).unwrap().permissions().mode() & 0o777,
            0o754
        );
        Ok(std::fs::read_to_string(dest).unwrap())
    }

    fn kept(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join("cache")).unwrap();
        let mut texts: Vec<_> = entries
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        texts.sort();
        texts
    }
}

#[tokio::test]
async fn what_was_downloaded_once_is_not_downloaded_again() {
    let site = site(1000);
    site.put("a").await;
    assert_eq!(site.fetch("a").await.unwrap(), "a");
    site.locker.delete("a").await.unwrap();
    assert_eq!(site.fetch("a").await.unwrap(), "a", "the locker has it no more");
    // Whoever changes what he was given does not change what others get.
    durable::write(&site.folder.path().join("dest"), 0o600, b"changed").unwrap();
    assert_eq!(site.fetch("a").await.unwrap(), "a");
}

#[tokio::test]
async fn what_was_damaged_is_downloaded_again() {
    let site = site(1000);
    site.put("a").await;
    site.fetch("a").await.unwrap();
    let sha256 = sum("a").sha256.unwrap();
    durable::write(&site.folder.path().join("cache").join(sha256), 0o600, b"b").unwrap();
    assert_eq!(site.fetch("a").await.unwrap(), "a");
    assert_eq!(site.kept(), ["a"]);
}

#[tokio::test]
async fn what_was_not_used_for_the_longest_time_goes_first() {
    let site = site(10);
    for text in ["one", "two", "three"] {
        site.put(text).await;
    }
    site.fetch("one").await.unwrap();
    let sha256 = sum("one").sha256.unwrap();
    let file = std::fs::File::open(site.folder.path().join("cache").join(sha256)).unwrap();
    let past = std::time::SystemTime::UNIX_EPOCH;
    file.set_modified(past).unwrap();
    site.fetch("two").await.unwrap();
    assert_eq!(site.kept(), ["one", "two"]);
    site.fetch("three").await.unwrap();
    assert_eq!(site.kept(), ["three", "two"]);
    // Used, and so younger than the others.
    file.set_modified(past).unwrap();
    let long = "more than half of all";
    site.put(long).await;
    assert_eq!(site.fetch(long).await.unwrap(), long);
    assert_eq!(
        site.kept(),
        ["three", "two"],
        "one blob does not drive out all others"
    );
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_stops_nothing() {
    let site = site(1000);
    durable::write(&site.folder.path().join("cache"), 0o600, b"a file").unwrap();
    site.put("a").await;
    assert_eq!(site.fetch("a").await.unwrap(), "a");
}

#[tokio::test]
async fn a_sum_that_is_no_sum_leads_nowhere() {
    let site = site(1000);
    durable::write(&site.folder.path().join("secret"), 0o600, b"secret").unwrap();
    let expected = Checksum {
        sha256: Some("../secret".to_owned()),
        ..Checksum::default()
    };
    site.put("a").await;
    let dest = site.folder.path().join("dest");
    let error = site.locker.fetch("a", &dest, 0o600, &expected).await.unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error:?}");
    assert!(!Path::new(&dest).exists());
}

#[tokio::test]
async fn the_files_of_a_new_version_that_are_old_are_not_downloaded() {
    let site = site(1000);
    let file = |source: &str| SpecFile {
        path: "cluster-init/scripts/010-x.sh".to_owned(),
        source: source.to_owned(),
        expected: sum("script"),
        executable: true,
    };
    site.locker.put("projects/p/1/default/x", "script").await.unwrap();
    let dest = site.folder.path().join("tree");
    site.locker
        .fetch_spec_file(&file("projects/p/1/default/x"), &dest, &|_| {})
        .await
        .unwrap();
    // The second version is not even in the locker.
    site.locker
        .fetch_spec_file(&file("projects/p/2/default/x"), &dest, &|_| {})
        .await
        .unwrap();
}
