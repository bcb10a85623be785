//! Randomness from the system.

use secrecy::SecretString;

/// The system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("cannot get random bytes from the system")]
pub struct RandomError(#[source] getrandom::Error);

/// A new secret: 256 random bits as 64 hex digits.
///
/// # Errors
/// When the system has no randomness to give; a guessable secret would be worse than none.
pub fn secret() -> Result<SecretString, RandomError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(RandomError)?;
    Ok(hex(&bytes).into())
}

/// A number from 0 up to but not including 1, for jitter. Without randomness it is one half: pauses
/// are then all alike, which is bearable.
pub fn fraction() -> f64 {
    // 53 bits are what an f64 holds exactly.
    getrandom::u64().map_or(0.5, |bits| (bits >> 11) as f64 / (1_u64 << 53) as f64)
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn secrets_are_64_hex_digits_and_differ() {
        let (one, two) = (secret().unwrap(), secret().unwrap());
        assert_eq!(one.expose_secret().len(), 64);
        assert!(one.expose_secret().bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(one.expose_secret(), two.expose_secret());
    }

    #[test]
    fn fractions_stay_in_their_range() {
        assert!((0..100).all(|_| (0.0..1.0).contains(&fraction())));
    }
}
