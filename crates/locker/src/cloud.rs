//! Object storage of Azure, S3 and GCS as lockers.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::signer::Signer;
use reqwest::Url;
use secrecy::ExposeSecret;

use crate::access::Credential;
use crate::transport::Transport;
use crate::{Access, Error, backend, is_private, path};

/// Object storage, opened.
pub(crate) struct Storage {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// None when the credential cannot sign.
    pub(crate) signer: Option<Arc<dyn Signer>>,
    /// Whether only URLs without percent-encoding can be signed: Azure wants the path signed as it is without, and
    /// `object_store` signs it with.
    pub(crate) signs_plain_only: bool,
    /// Empty, or with a slash at its end.
    pub(crate) prefix: String,
}

/// Opens `az://ACCOUNT/CONTAINER`, `s3://BUCKET` or `gs://BUCKET`, each with a folder behind it or not.
pub(crate) fn open(url: &Url, access: &Access) -> Result<Storage, Error> {
    let named = url.as_str().trim_end_matches('/').to_owned();
    let problem = |problem: String| Error::Url {
        url: named.clone(),
        problem,
    };
    if url.query().is_some() || url.fragment().is_some() {
        // A signature, as like as not, and the URL is printed in errors and logs.
        return Err(Error::Url {
            url: format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()),
            problem: "has a query: give the credential on its own".to_owned(),
        });
    }
    for (what, address) in [("endpoint", &access.endpoint), ("authority", &access.authority)] {
        let Some(address) = address else { continue };
        let parsed = Url::parse(address)
            .map_err(|error| problem(format!("has the {what} `{address}`, which is not a URL: {error}")))?;
        if !is_private(&parsed) {
            return Err(problem(format!(
                "has the {what} `{address}`, which is neither https nor on this machine"
            )));
        }
    }
    let tls = |source| Error::Tls {
        url: named.clone(),
        source,
    };
    let transport = Transport::new(access.trust.client().map_err(tls)?, None)
        .uploading(access.trust.part_client().map_err(tls)?);
    let place = Place::of(url).map_err(&problem)?;
    let opened = match url.scheme() {
        "az" => azure(&place, access, transport),
        "s3" => s3(&place, access, transport),
        _ => gcs(&place, access, transport),
    };
    let (store, signer) = opened.map_err(|refusal| match refusal {
        Refusal::Credential => {
            let kind = match url.scheme() {
                "az" => "Azure",
                "s3" => "S3",
                _ => "GCS",
            };
            problem(format!("was given a credential that is not one of {kind}"))
        }
        Refusal::Store(error) => problem(format!("cannot be opened: {error}")),
    })?;
    let can_sign = !matches!(
        access.credential,
        Some(Credential::Sas(_) | Credential::Anonymous)
    );
    Ok(Storage {
        store,
        signer: can_sign.then_some(signer),
        signs_plain_only: url.scheme() == "az",
        prefix: place.prefix,
    })
}

/// The parts of a URL.
struct Place {
    /// The account of Azure; the bucket of others.
    host: String,
    /// The container of Azure; empty for others.
    container: String,
    prefix: String,
}

impl Place {
    fn of(url: &Url) -> Result<Self, String> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.$".contains(&byte))
        };
        let path = url.path().trim_matches('/');
        if !is_name(&host) || url.port().is_some() {
            return Err(match url.scheme() {
                "az" => "names no storage account: `az://ACCOUNT/CONTAINER` is expected".to_owned(),
                scheme => format!("names no bucket: `{scheme}://BUCKET` is expected"),
            });
        }
        let (container, folder) = match url.scheme() {
            "az" => path.split_once('/').unwrap_or((path, "")),
            _ => ("", path),
        };
        if url.scheme() == "az" && !is_name(container) {
            return Err("names no container: `az://ACCOUNT/CONTAINER` is expected".to_owned());
        }
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            path::check(folder).map_err(|error| format!("names a folder that cannot be: {error}"))?;
            format!("{folder}/")
        };
        Ok(Self {
            host,
            container: container.to_owned(),
            prefix,
        })
    }
}

enum Refusal {
    /// It is one of another kind of storage.
    Credential,
    Store(object_store::Error),
}

impl From<object_store::Error> for Refusal {
    fn from(error: object_store::Error) -> Self {
        Self::Store(error)
    }
}

type Opened = Result<(Arc<dyn ObjectStore>, Arc<dyn Signer>), Refusal>;

fn azure(place: &Place, access: &Access, transport: Transport) -> Opened {
    // What somebody gave is not mixed with what is around.
    let fresh = MicrosoftAzureBuilder::new;
    // The cloud that a machine belongs to is no credential: it holds whatever was given.
    let authority = |variable: &str| access.authority.clone().or_else(|| std::env::var(variable).ok());
    let builder = match &access.credential {
        None => MicrosoftAzureBuilder::from_env(),
        Some(Credential::Sas(sas)) => {
            let sas = sas.expose_secret().trim().trim_start_matches('?');
            fresh().with_config(AzureConfigKey::SasKey, sas)
        }
        Some(Credential::AccountKey(key)) => fresh().with_access_key(key.expose_secret().trim()),
        Some(Credential::ManagedIdentity { client_id }) => {
            let builder = fresh().with_credential_type("managed_identity");
            let builder = match authority("IDENTITY_ENDPOINT") {
                Some(endpoint) => builder.with_msi_endpoint(endpoint),
                None => builder,
            };
            match client_id {
                Some(id) => builder.with_client_id(id),
                None => builder,
            }
        }
        Some(Credential::ServicePrincipal {
            tenant_id,
            client_id,
            client_secret,
        }) => {
            let builder = fresh();
            let builder = match authority("AZURE_AUTHORITY_HOST") {
                Some(host) => builder.with_authority_host(host.trim_end_matches('/')),
                None => builder,
            };
            builder.with_client_secret_authorization(client_id, client_secret.expose_secret(), tenant_id)
        }
        Some(Credential::Anonymous) => fresh().with_skip_signature(true),
        Some(_) => return Err(Refusal::Credential),
    };
    let builder = match &access.endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint.trim_end_matches('/').to_owned()),
        None => builder,
    };
    let store = builder
        .with_account(&place.host)
        .with_container_name(&place.container)
        .with_retry(backend::retry())
        .with_http_connector(transport)
        .build()?;
    let store = Arc::new(store);
    Ok((store.clone(), store))
}

fn s3(place: &Place, access: &Access, transport: Transport) -> Opened {
    let builder = match &access.credential {
        None => AmazonS3Builder::from_env(),
        Some(Credential::AccessKey {
            id,
            secret,
            session_token,
        }) => {
            let builder = AmazonS3Builder::new()
                .with_access_key_id(id)
                .with_secret_access_key(secret.expose_secret());
            match session_token {
                Some(token) => builder.with_token(token.expose_secret()),
                None => builder,
            }
        }
        Some(Credential::Anonymous) => AmazonS3Builder::new().with_skip_signature(true),
        Some(_) => return Err(Refusal::Credential),
    };
    let builder = match &access.endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint),
        None => builder,
    };
    let builder = match &access.region {
        Some(region) => builder.with_region(region),
        None => builder,
    };
    let store = builder
        .with_bucket_name(&place.host)
        .with_retry(backend::retry())
        .with_http_connector(transport)
        .build()?;
    let store = Arc::new(store);
    Ok((store.clone(), store))
}

fn gcs(place: &Place, access: &Access, transport: Transport) -> Opened {
    let builder = match &access.credential {
        None => GoogleCloudStorageBuilder::from_env(),
        Some(Credential::ServiceAccount(key)) => {
            GoogleCloudStorageBuilder::new().with_service_account_key(key.expose_secret())
        }
        Some(Credential::Anonymous) => GoogleCloudStorageBuilder::new().with_skip_signature(true),
        Some(_) => return Err(Refusal::Credential),
    };
    let builder = match &access.endpoint {
        Some(endpoint) => builder.with_base_url(endpoint),
        None => builder,
    };
    let store = builder
        .with_bucket_name(&place.host)
        .with_retry(backend::retry())
        .with_http_connector(transport)
        .build()?;
    let store = Arc::new(store);
    Ok((store.clone(), store))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, access: &Access) -> String {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = Url::parse(url).unwrap();
        open(&url, access).err().unwrap().to_string()
    }

    #[test]
    fn the_parts_of_a_url() {
        let parts = |url: &str| {
            let place = Place::of(&Url::parse(url).unwrap()).unwrap();
            (place.host, place.container, place.prefix)
        };
        let strings = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(parts("az://acct/box"), strings("acct", "box", ""));
        assert_eq!(parts("az://acct/box/a/b/"), strings("acct", "box", "a/b/"));
        assert_eq!(parts("s3://my.bucket/"), strings("my.bucket", "", ""));
        assert_eq!(parts("gs://bucket/a"), strings("bucket", "", "a/"));
    }

    #[test]
    fn what_cannot_be_opened_is_named_and_no_secret_is_told() {
        let key = Access::with(Credential::AccountKey("c2VjcmV0".into()));
        for (url, access, words) in [
            ("az://acct", &key, "names no container"),
            ("az:///box", &key, "names no storage account"),
            ("s3://", &key, "names no bucket"),
            ("s3://bucket", &key, "not one of S3"),
            ("gs://bucket", &key, "not one of GCS"),
            ("az://acct/box?sv=1&sig=topsecret", &key, "has a query"),
            ("az://acct/box/a//b", &key, "has an empty step"),
        ] {
            let error = refused(url, access);
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("topsecret"), "{error}");
        }
        let elsewhere = Access {
            endpoint: Some("http://example.com".to_owned()),
            ..key
        };
        assert!(refused("az://acct/box", &elsewhere).contains("neither https nor on this machine"));
    }
}
