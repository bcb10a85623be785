//! `[lockers.NAME]`: object storage beside the server's own locker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use locker::{Access, Credential, Trust};
use secrecy::SecretString;
use serde::Deserialize;

use super::SettingsError;
use crate::app::LOCKER;

/// A locker as it is written. A secret is written here or in a file that is named here.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fragment {
    url: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
    ca_file: Option<PathBuf>,
    redirect: Option<bool>,
    anonymous: Option<bool>,
    managed_identity: Option<ManagedIdentity>,
    sas: Option<SecretString>,
    sas_file: Option<PathBuf>,
    account_key: Option<SecretString>,
    account_key_file: Option<PathBuf>,
    authority_host: Option<String>,
    tenant_id: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    client_secret_file: Option<PathBuf>,
    access_key_id: Option<String>,
    secret_access_key: Option<SecretString>,
    secret_access_key_file: Option<PathBuf>,
    session_token: Option<SecretString>,
    service_account_file: Option<PathBuf>,
    username: Option<String>,
    password: Option<SecretString>,
    password_file: Option<PathBuf>,
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

/// `true`, or the client id of a user-assigned identity.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ManagedIdentity {
    Ours(bool),
    ClientId(String),
}

/// A locker that the administrator configured.
#[derive(Debug, Clone)]
pub struct LockerSettings {
    /// Its URL, of any kind that `locker` opens.
    pub url: String,
    /// How it is entered.
    pub access: Access,
    /// Whether readers are sent on to the storage with signed URLs, where its credential can sign. Otherwise the
    /// bytes go through the server.
    pub redirect: bool,
}

impl Fragment {
    pub(super) fn unknown(&self) -> impl Iterator<Item = &String> {
        self.unknown.keys()
    }

    /// Whether a secret is in the settings themselves.
    pub(super) fn holds_secret(&self) -> bool {
        [
            &self.sas,
            &self.account_key,
            &self.client_secret,
            &self.secret_access_key,
            &self.session_token,
            &self.password,
        ]
        .iter()
        .any(|secret| secret.is_some())
    }

    /// The locker, checked. Relative paths are below the server's `folder`.
    pub(super) fn settings(self, name: &str, folder: &Path) -> Result<LockerSettings, SettingsError> {
        let wrong = |problem: String| SettingsError::Locker {
            name: name.to_owned(),
            problem,
        };
        protocol::check_name("locker", name).map_err(|error| wrong(error.to_string()))?;
        if name == LOCKER {
            return Err(wrong("is the name of the server's own locker".to_owned()));
        }
        let read = |path: &Path| {
            let path = folder.join(path);
            std::fs::read_to_string(&path).map_err(|source| SettingsError::Read { path, source })
        };
        let secret = |inline: Option<SecretString>, file: &Option<PathBuf>| match (inline, file) {
            (Some(_), Some(_)) => Err(wrong(
                "has a secret both in the settings and in a file".to_owned(),
            )),
            (None, Some(file)) => Ok(Some(SecretString::from(read(file)?.trim().to_owned()))),
            (inline, None) => Ok(inline),
        };
        let sas = secret(self.sas, &self.sas_file)?;
        let account_key = secret(self.account_key, &self.account_key_file)?;
        let client_secret = secret(self.client_secret, &self.client_secret_file)?;
        let secret_access_key = secret(self.secret_access_key, &self.secret_access_key_file)?;
        let service_account = secret(None, &self.service_account_file)?;
        let password = secret(self.password, &self.password_file)?;

        let mut credentials = Vec::new();
        credentials.extend(sas.map(Credential::Sas));
        credentials.extend(account_key.map(Credential::AccountKey));
        credentials.extend(service_account.map(Credential::ServiceAccount));
        credentials.extend(match self.managed_identity {
            None | Some(ManagedIdentity::Ours(false)) => None,
            Some(ManagedIdentity::Ours(true)) => Some(Credential::ManagedIdentity { client_id: None }),
            Some(ManagedIdentity::ClientId(id)) => Some(Credential::ManagedIdentity { client_id: Some(id) }),
        });
        credentials.extend(match (self.tenant_id, self.client_id, client_secret) {
            (None, None, None) => None,
            (Some(tenant_id), Some(client_id), Some(client_secret)) => Some(Credential::ServicePrincipal {
                tenant_id,
                client_id,
                client_secret,
            }),
            _ => {
                return Err(wrong(
                    "needs all of `tenant_id`, `client_id` and `client_secret`, or none".to_owned(),
                ));
            }
        });
        credentials.extend(match (self.access_key_id, secret_access_key) {
            (None, None) => None,
            (Some(id), Some(secret)) => Some(Credential::AccessKey {
                id,
                secret,
                session_token: self.session_token,
            }),
            _ => {
                return Err(wrong(
                    "needs both `access_key_id` and `secret_access_key`, or neither".to_owned(),
                ));
            }
        });
        credentials.extend(match (self.username, password) {
            (None, None) => None,
            (Some(user), Some(password)) => Some(Credential::Basic { user, password }),
            _ => {
                return Err(wrong(
                    "needs both `username` and `password`, or neither".to_owned(),
                ));
            }
        });
        if self.anonymous == Some(true) {
            credentials.push(Credential::Anonymous);
        }
        if credentials.len() > 1 {
            return Err(wrong("has more than one credential".to_owned()));
        }
        let trust = match &self.ca_file {
            Some(file) => Trust::Pinned(read(file)?),
            None => Trust::System,
        };
        Ok(LockerSettings {
            url: self
                .url
                .ok_or_else(|| wrong("has no `url`, for instance `az://account/container`".to_owned()))?,
            access: Access {
                credential: credentials.pop(),
                trust,
                endpoint: self.endpoint,
                authority: self.authority_host,
                region: self.region,
            },
            redirect: self.redirect.unwrap_or(true),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<LockerSettings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        durable::write(&folder.path().join("key"), 0o600, b" c2VjcmV0\n").unwrap();
        let fragment: Fragment = toml::from_str(text).unwrap();
        fragment.settings("azure-storage", folder.path())
    }

    fn refused(text: &str) -> String {
        settings(text).unwrap_err().to_string()
    }

    #[test]
    fn every_credential_has_its_keys() {
        let credential = |keys: &str| {
            let text = format!("url = \"az://account/container\"\n{keys}");
            settings(&text).unwrap().access.credential
        };
        assert!(credential("").is_none(), "what the machine offers");
        assert!(matches!(credential("sas = \"?sv=1\""), Some(Credential::Sas(_))));
        let Some(Credential::AccountKey(key)) = credential("account_key_file = \"key\"") else {
            panic!("no account key");
        };
        assert_eq!(secrecy::ExposeSecret::expose_secret(&key), "c2VjcmV0");
        assert!(matches!(
            credential("managed_identity = true"),
            Some(Credential::ManagedIdentity { client_id: None })
        ));
        assert!(matches!(
            credential("managed_identity = \"1-2\""),
            Some(Credential::ManagedIdentity { client_id: Some(id) }) if id == "1-2"
        ));
        assert!(credential("managed_identity = false").is_none());
        assert!(matches!(
            credential("access_key_id = \"a\"\nsecret_access_key = \"b\""),
            Some(Credential::AccessKey { .. })
        ));
        assert!(matches!(
            credential("tenant_id = \"a\"\nclient_id = \"b\"\nclient_secret_file = \"key\""),
            Some(Credential::ServicePrincipal { .. })
        ));
        assert!(matches!(
            credential("service_account_file = \"key\""),
            Some(Credential::ServiceAccount(_))
        ));
        assert!(matches!(
            credential("anonymous = true"),
            Some(Credential::Anonymous)
        ));
    }

    #[test]
    fn what_is_half_or_twice_is_refused_with_the_name_of_the_locker() {
        for (text, words) in [
            ("", "has no `url`"),
            (
                "url = \"s3://b\"\naccess_key_id = \"a\"",
                "needs both `access_key_id`",
            ),
            (
                "url = \"az://a/b\"\ntenant_id = \"a\"",
                "needs all of `tenant_id`",
            ),
            (
                "url = \"az://a/b\"\nsas = \"a\"\nanonymous = true",
                "more than one credential",
            ),
            (
                "url = \"az://a/b\"\nsas = \"a\"\nsas_file = \"key\"",
                "both in the settings and in a file",
            ),
        ] {
            let error = refused(text);
            assert!(
                error.contains("`azure-storage`") && error.contains(words),
                "{error}"
            );
        }
        assert!(refused("url = \"az://a/b\"\nsas_file = \"none\"").contains("none`"));
    }

    #[test]
    fn no_secret_is_in_debug_output() {
        let settings = settings("url = \"az://a/b\"\nsas = \"topsecret\"").unwrap();
        assert!(!format!("{settings:?}").contains("topsecret"));
    }
}
