//! Secrets of nodes: 256 random bits, so a plain hash is enough.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Whether a text can be the secret of a node: 64 hex digits.
pub fn is_secret(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// SHA-256 of a secret, in hex.
pub fn hash_secret(secret: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(secret)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Whether a secret is the one that was hashed, in a time that does not tell how far it is right.
pub fn secret_matches(secret: &str, hash: &str) -> bool {
    hash_secret(secret).as_bytes().ct_eq(hash.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_matches() {
        let hash = hash_secret("abc");
        assert!(hash.starts_with("ba7816bf"));
        assert!(secret_matches("abc", &hash));
        assert!(!secret_matches("abd", &hash));
        assert!(!secret_matches("abc", ""));
    }
}
