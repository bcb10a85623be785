//! Passwords of people.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};

/// Letters and digits that are not mistaken for each other.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A password could not be made or kept.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The system gave no random numbers.
    #[error("the system has no random numbers")]
    Random(#[source] getrandom::Error),
    /// It could not be hashed.
    #[error("the password cannot be hashed: {0}")]
    Hash(argon2::password_hash::Error),
}

/// A password that nobody guesses: 120 random bits.
///
/// # Errors
/// When the system has no random numbers.
pub fn generate_password() -> Result<String, PasswordError> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(PasswordError::Random)?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect())
}

/// Argon2 with a salt of its own, in PHC form.
///
/// # Errors
/// When the system has no random numbers.
pub fn hash_password(password: &str) -> Result<String, PasswordError> {
    let hash: PasswordHash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

/// Whether the password belongs to the hash. Takes a core for a while.
pub(super) fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}
