//! What a blob should be, and what it turned out to be.

use md5::Md5;
use sha2::{Digest, Sha256};

/// What is known of a blob's content. What is not known is not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checksum {
    /// Bytes. Also the most that is taken from a locker.
    pub size: Option<u64>,
    /// Hex.
    pub sha256: Option<String>,
    /// Hex. In manifests of other tools it is all there is.
    pub md5: Option<String>,
}

/// What a stream of bytes was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Bytes.
    pub size: u64,
    /// Lower-case hex.
    pub sha256: String,
    /// Lower-case hex.
    pub md5: String,
}

/// A difference between a [`Checksum`] and the [`Digests`] of what came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) what: &'static str,
    pub(crate) expected: String,
    pub(crate) actual: String,
}

impl Checksum {
    /// Compares with what came. The strongest known sum speaks first.
    pub(crate) fn compare(&self, actual: &Digests) -> Result<(), Difference> {
        let differs = |what, expected: &Option<String>, actual: &str| match expected {
            Some(expected) if !expected.eq_ignore_ascii_case(actual) => Err(Difference {
                what,
                expected: expected.clone(),
                actual: actual.to_owned(),
            }),
            _ => Ok(()),
        };
        differs("sha256", &self.sha256, &actual.sha256)?;
        differs("md5", &self.md5, &actual.md5)?;
        differs(
            "size in bytes",
            &self.size.map(|size| size.to_string()),
            &actual.size.to_string(),
        )
    }
}

/// Computes all sums of a stream in one pass.
#[derive(Debug, Default)]
pub(crate) struct Hasher {
    size: u64,
    sha256: Sha256,
    md5: Md5,
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
        self.md5.update(bytes);
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn finish(self) -> Digests {
        Digests {
            size: self.size,
            sha256: hex(&self.sha256.finalize()),
            md5: hex(&self.md5.finalize()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(bytes: &[u8]) -> Digests {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn sums_of_known_text() {
        let digests = digests(b"abc");
        assert_eq!(digests.size, 3);
        assert_eq!(digests.md5, "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(
            digests.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn only_what_is_known_is_compared_and_case_does_not_matter() {
        let actual = digests(b"abc");
        Checksum::default().compare(&actual).unwrap();
        Checksum {
            md5: Some("900150983CD24FB0D6963F7D28E17F72".into()),
            ..Checksum::default()
        }
        .compare(&actual)
        .unwrap();
        let difference = Checksum {
            size: Some(4),
            ..Checksum::default()
        }
        .compare(&actual)
        .unwrap_err();
        assert_eq!(
            (difference.expected.as_str(), difference.actual.as_str()),
            ("4", "3")
        );
    }
}
