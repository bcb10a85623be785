//! The site's own certificate authority, and TLS from its certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

/// Years that the authority is valid.
const CA_YEARS: i32 = 20;
/// Years that the server's certificate is valid.
const SERVER_YEARS: i32 = 10;

/// Certificates could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// They could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// A file could not be written.
    #[error("cannot keep a certificate")]
    Keep(#[from] durable::Error),
    /// A file could not be read.
    #[error("cannot read `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// Certificate and key do not go together.
    #[error("the server's certificate cannot be used")]
    Use(#[from] rustls::Error),
}

/// The authority's certificate within the folder of certificates.
pub fn ca_file(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}

/// Makes an authority and a certificate for the server under these names, into an existing folder.
///
/// # Errors
/// When a name is not one, or a file cannot be written.
pub fn create(folder: &Path, names: Vec<String>, now: Timestamp) -> Result<(), TlsError> {
    let year = i32::from(TimeZone::UTC.to_datetime(now).year());
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.distinguished_name.push(DnType::CommonName, "cycle_server CA");
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.not_before = date_time_ymd(year - 1, 1, 1);
    ca.not_after = date_time_ymd(year + CA_YEARS, 1, 1);
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca.self_signed(&ca_key)?;
    let ca_key_pem = ca_key.serialize_pem();
    let issuer = Issuer::new(ca, ca_key);

    let name = names.first().cloned().unwrap_or_else(|| "localhost".to_owned());
    let mut server = CertificateParams::new(names)?;
    server.distinguished_name.push(DnType::CommonName, name);
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.not_before = date_time_ymd(year - 1, 1, 1);
    server.not_after = date_time_ymd(year + SERVER_YEARS, 1, 1);
    let server_key = KeyPair::generate()?;
    let certificate = server.signed_by(&server_key, &issuer)?;

    for (file, mode, text) in [
        ("ca.key", 0o600, ca_key_pem),
        ("ca.pem", 0o644, ca_certificate.pem()),
        ("server.key", 0o600, server_key.serialize_pem()),
        ("server.pem", 0o644, certificate.pem()),
    ] {
        durable::write(&folder.join(file), mode, text.as_bytes())?;
    }
    Ok(())
}

/// SHA-256 of the authority's certificate, in hex: what nodes pin.
///
/// # Errors
/// When there is no certificate in the file.
pub fn fingerprint(folder: &Path) -> Result<String, TlsError> {
    use std::fmt::Write;
    let path = ca_file(folder);
    let certificate =
        CertificateDer::from_pem_file(&path).map_err(|source| TlsError::Read { path, source })?;
    let digest = Sha256::digest(&certificate);
    Ok(digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// TLS with the server's certificate.
///
/// # Errors
/// When the files are missing or do not go together.
pub fn server_config(folder: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let path = folder.join("server.pem");
    let certificate =
        CertificateDer::from_pem_file(&path).map_err(|source| TlsError::Read { path, source })?;
    let path = folder.join("server.key");
    let key = PrivateKeyDer::from_pem_file(&path).map_err(|source| TlsError::Read { path, source })?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}
