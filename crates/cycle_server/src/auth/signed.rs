//! URLs that open one blob to whoever has them, for a time.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// The signature of a path that may be read until `expires`, in seconds since 1970: HMAC-SHA256 (RFC 2104) in hex.
pub fn sign(key: &[u8], path: &str, expires: i64) -> String {
    let text = format!("GET\n{path}\n{expires}");
    hmac(key, text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Whether a signature is right and not over. The time that the answer takes does not tell how far it is right.
pub fn is_signed(key: &[u8], path: &str, expires: i64, signature: &str, now: i64) -> bool {
    let right = sign(key, path, expires);
    let is_right: bool = right.as_bytes().ct_eq(signature.as_bytes()).into();
    is_right && now < expires
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(text)
        .finalize();
    Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_vectors_of_rfc_4231() {
        assert_eq!(
            hex(&hmac(&[0x0b; 20], b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(&hmac(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_signature_is_for_one_path_and_one_time() {
        let signature = sign(b"key", "/a", 100);
        assert!(is_signed(b"key", "/a", 100, &signature, 99));
        assert!(!is_signed(b"key", "/a", 100, &signature, 100), "over");
        assert!(!is_signed(b"key", "/a", 101, &signature, 99));
        assert!(!is_signed(b"key", "/b", 100, &signature, 99));
        assert!(!is_signed(b"yek", "/a", 100, &signature, 99));
        assert!(!is_signed(b"key", "/a", 100, "", 99));
    }
}
