//! Whom we trust: only the pinned CA of the server, or the roots of the platform.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};

/// A certificate that is not usable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no certificate.
    #[error("the CA certificate is not valid PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// There is no certificate in the text.
    #[error("the CA file holds no certificate")]
    Empty,
    /// rustls does not accept it.
    #[error("the CA certificate is not usable")]
    Unusable(#[source] rustls::Error),
}

/// The certificates of a CA file, from PEM.
///
/// # Errors
/// [`Error::Pem`] and [`Error::Empty`] when the text holds none.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(Error::Pem)?;
    if certificates.is_empty() {
        return Err(Error::Empty);
    }
    Ok(certificates)
}

/// SHA-256 of the first certificate's DER form, as lower-case hex.
///
/// # Errors
/// As [`certificates`].
pub fn fingerprint(pem: &[u8]) -> Result<String, Error> {
    let certificates = certificates(pem)?;
    let first = certificates.first().ok_or(Error::Empty)?;
    Ok(Sha256::digest(first.as_ref())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// A fingerprint as people write it, `AB:CD…` or `abcd…`, in our form; none when it is not SHA-256.
pub fn parse_fingerprint(text: &str) -> Option<String> {
    let hex: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ':')
        .map(|c| c.to_ascii_lowercase())
        .collect();
    (hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit())).then_some(hex)
}

/// TLS that trusts this CA and no other.
pub(crate) fn pinned(pem: &[u8]) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(Error::Unusable)?;
    }
    Ok(Arc::new(
        ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_in_both_forms() {
        let hex = "ab".repeat(32);
        assert_eq!(
            parse_fingerprint(&["AB"; 32].join(":")).as_deref(),
            Some(hex.as_str())
        );
        assert_eq!(parse_fingerprint(&hex).as_deref(), Some(hex.as_str()));
        assert_eq!(parse_fingerprint("abcd"), None);
        assert_eq!(parse_fingerprint(&"zz".repeat(32)), None);
    }

    #[test]
    fn a_file_without_a_certificate_is_an_error() {
        assert!(matches!(certificates(b"hello\n"), Err(Error::Empty)));
    }
}
