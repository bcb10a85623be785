//! The one place where a URL becomes storage. Another kind of storage is another arm of [`open`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::signer::Signer;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use reqwest::Url;

use crate::access::Credential;
use crate::cloud::Storage;
use crate::http::Http;
use crate::{Access, Error, is_private};

/// What a locker stands on.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    /// Reads, and writes, lists and removes unless `http` does.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Writes, lists and removes, for lockers behind a server of ours.
    pub(crate) http: Option<Http>,
    /// Makes URLs that open one blob for a time.
    pub(crate) signer: Option<Arc<dyn Signer>>,
    /// Whether it signs only names that a URL holds as they are.
    pub(crate) signs_plain_only: bool,
    /// The folder within the storage that the locker is; empty, or with a slash at its end.
    pub(crate) prefix: String,
    /// Whether reading it is reading files of this machine.
    pub(crate) is_local: bool,
}

impl Backend {
    fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            http: None,
            signer: None,
            signs_plain_only: false,
            prefix: String::new(),
            is_local: false,
        }
    }
}

/// Opens object storage.
pub(crate) type OpenCloud = fn(&Url, &Access) -> Result<Storage, Error>;

/// Opens no object storage. A program that never uses another [`OpenCloud`] does not carry the code for it.
pub(crate) fn no_cloud(url: &Url, _: &Access) -> Result<Storage, Error> {
    Err(Error::Url {
        url: format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()),
        problem: "is object storage, which is reached through an application server here".to_owned(),
    })
}

/// Opens the storage; the URL that comes back is without a slash at its end.
pub(crate) fn open(url: &str, access: &Access, open_cloud: OpenCloud) -> Result<(String, Backend), Error> {
    let problem = |problem: String| Error::Url {
        url: url.to_owned(),
        problem,
    };
    let mut parsed = Url::parse(url).map_err(|error| problem(format!("is not a URL: {error}")))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        // The URL is printed in errors and logs.
        return Err(Error::Url {
            url: parsed.host_str().unwrap_or_default().to_owned(),
            problem: "has a credential in its URL".to_owned(),
        });
    }
    match parsed.scheme() {
        "file" => {
            let folder = parsed
                .to_file_path()
                .map_err(|()| problem("does not name a folder of this machine".to_owned()))?;
            let named = url.trim_end_matches('/').to_owned();
            let failed = |source| Error::Folder {
                url: named.clone(),
                source,
            };
            if !std::fs::metadata(&folder).map_err(failed)?.is_dir() {
                return Err(failed(io::ErrorKind::NotADirectory.into()));
            }
            let store = LocalFileSystem::new_with_prefix(&folder)
                .map_err(|error| failed(io::Error::other(error)))?
                .with_fsync(true);
            let backend = Backend {
                is_local: true,
                ..Backend::new(Arc::new(store))
            };
            Ok((named, backend))
        }
        "http" | "https" => {
            if !matches!(
                access.credential,
                None | Some(Credential::Basic { .. } | Credential::Anonymous)
            ) {
                return Err(problem(
                    "is one of an application server, which takes user and password".to_owned(),
                ));
            }
            if access.credential.is_some() && !is_private(&parsed) {
                return Err(problem(
                    "is not on this machine: a credential goes over https only".to_owned(),
                ));
            }
            parsed.set_query(None);
            parsed.set_fragment(None);
            let path = parsed.path().trim_end_matches('/').to_owned();
            parsed.set_path(&path);
            let http = Http::new(parsed.clone(), access)?;
            let store = HttpBuilder::new()
                .with_url(parsed.as_str())
                .with_retry(retry())
                .with_http_connector(http.transport().clone())
                .build()
                .map_err(|error| problem(format!("cannot be used: {error}")))?;
            let backend = Backend {
                http: Some(http),
                ..Backend::new(Arc::new(store))
            };
            Ok((parsed.to_string(), backend))
        }
        "az" | "s3" | "gs" => {
            let storage = open_cloud(&parsed, access)?;
            let named = url.trim_end_matches('/').to_owned();
            let backend = Backend {
                signer: storage.signer,
                signs_plain_only: storage.signs_plain_only,
                prefix: storage.prefix,
                ..Backend::new(storage.store)
            };
            Ok((named, backend))
        }
        scheme => Err(problem(format!(
            "has the scheme `{scheme}`; file, http, https, az, s3 and gs are known"
        ))),
    }
}

/// Short: who calls us has retries and pauses of its own, and says so to the user.
pub(crate) fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        open(url, &Access::basic("a", "b"), no_cloud)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_is_no_locker_is_refused_with_its_name() {
        assert!(refused("nonsense").contains("`nonsense` is not a URL"));
        assert!(refused("ftp://account/container").contains("the scheme `ftp`"));
        assert!(refused("az://account/container").contains("through an application server"));
        assert!(refused("http://example.com/lockers/x").contains("https only"));
        assert!(refused("file:///does/not/exist").contains("`file:///does/not/exist`"));
        assert!(!refused("http://u:topsecret@localhost/lockers/x").contains("topsecret"));
    }

    #[test]
    fn loopback_may_be_plain() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for host in ["localhost", "127.0.0.1:8080", "[::1]:8080"] {
            let url = format!("http://{host}/lockers/x/");
            let (url, _) = open(&url, &Access::basic("a", "b"), no_cloud).unwrap();
            assert_eq!(url, format!("http://{host}/lockers/x"));
        }
    }
}
