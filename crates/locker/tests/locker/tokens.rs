//! Azure with tokens: the managed identity of a machine, and an application with a secret. The emulator looks at all of a
//! token but its signature.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use locker::{Access, Credential, Error, Locker, Trust};
use serde_json::{Value, json};
use testkit::{AZURE_ACCOUNT, AZURE_SAS, Azure};

/// What the token server was asked for, in a line each.
type Asked = Arc<Mutex<Vec<String>>>;

/// A token as Azure AD gives it out for storage, valid for an hour.
fn token(audience: &str) -> String {
    let now = jiff::Timestamp::now().as_second();
    let part = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let claims = json!({
        "aud": audience, "iss": "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/", "ver": "1.0",
        "iat": now - 60, "nbf": now - 60, "exp": now + 3600, "oid": "0", "sub": "0",
    });
    format!(
        "{}.{}.c2lnbmVk",
        part(json!({"typ": "JWT", "alg": "RS256"})),
        part(claims)
    )
}

async fn identity(
    State(asked): State<Asked>,
    Query(query): Query<std::collections::BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    if headers.get("metadata").is_none_or(|value| value != "true") {
        return Err(StatusCode::BAD_REQUEST);
    }
    let client = query.get("client_id").map(String::as_str).unwrap_or_default();
    asked
        .lock()
        .unwrap()
        .push(format!("identity {client} {}", query["resource"]));
    let expires = jiff::Timestamp::now().as_second() + 3600;
    Ok(Json(json!({
        "access_token": token(&query["resource"]), "expires_on": expires.to_string(), "token_type": "Bearer",
    })))
}

async fn application(
    State(asked): State<Asked>,
    Path(tenant): Path<String>,
    body: String,
) -> Result<Json<Value>, StatusCode> {
    asked.lock().unwrap().push(format!("application {tenant}"));
    if !body.contains("client_id=app&") || !body.contains("client_secret=right&") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    Ok(Json(json!({
        "access_token": token("https://storage.azure.com"), "expires_in": 3600, "token_type": "Bearer",
    })))
}

/// Gives out tokens on a port of its own: its URL, and what it was asked for.
async fn authority() -> (String, Asked) {
    let asked = Asked::default();
    let router = axum::Router::new()
        .route("/identity", get(identity))
        .route("/{tenant}/oauth2/v2.0/token", post(application))
        .with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    (url, asked)
}

#[tokio::test]
async fn machines_and_applications_show_tokens() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let (pem, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    durable::write(&pem, 0o600, made.cert.pem().as_bytes()).unwrap();
    durable::write(&key, 0o600, made.signing_key.serialize_pem().as_bytes()).unwrap();
    let emulator = Azure::start_with_tokens(&pem, &key);
    let endpoint = emulator.endpoint();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()])
        .build()
        .unwrap();
    let container = format!("{endpoint}/cyclecloud?restype=container&{AZURE_SAS}");
    let answer = client.put(container).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);

    let (authority, asked) = authority().await;
    let open = |credential: Credential, authority: String| {
        let access = Access {
            endpoint: Some(endpoint.clone()),
            authority: Some(authority),
            trust: Trust::Pinned(made.cert.pem()),
            ..Access::with(credential)
        };
        Locker::open_any(&format!("az://{AZURE_ACCOUNT}/cyclecloud"), &access).unwrap()
    };
    let principal = |secret: &str| Credential::ServicePrincipal {
        tenant_id: "tenant".to_owned(),
        client_id: "app".to_owned(),
        client_secret: secret.into(),
    };
    let identity = |client_id: Option<&str>| Credential::ManagedIdentity {
        client_id: client_id.map(str::to_owned),
    };

    let machine = open(identity(None), format!("{authority}/identity"));
    machine.put("blobs/x", "hello").await.unwrap();
    assert_eq!(machine.list("blobs").await.unwrap().len(), 1);
    let assigned = open(identity(Some("1-2")), format!("{authority}/identity"));
    assert_eq!(assigned.get_bytes("blobs/x", 5).await.unwrap(), b"hello");
    let application = open(principal("right"), format!("{authority}/"));
    assert_eq!(application.get_bytes("blobs/x", 5).await.unwrap(), b"hello");
    assert_eq!(
        *asked.lock().unwrap(),
        [
            "identity  https://storage.azure.com",
            "identity 1-2 https://storage.azure.com",
            "application tenant"
        ],
        "one token serves many requests"
    );

    let error = open(principal("wrong"), authority)
        .get_bytes("blobs/x", 5)
        .await
        .unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(matches!(error, Error::Unauthorised { .. }), "{text}");
    assert!(!text.contains("wrong"), "no secret is told: {text}");
}
