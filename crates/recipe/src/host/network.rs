//! HTTPS for code of recipes: this Ruby has no TLS of its own.

use std::time::Duration;

use converge::resource::{Certificates, Exchange};
use ruby::Door;
use serde_json::{Value, json};

use super::{Answered, Host, Refusal, Reply, text};

/// How long a request may take that says nothing else.
const STANDARD: Duration = Duration::from_secs(60);

impl Host {
    /// `{"method", "url", "headers": [[name, value], …], "verify": bool, "authorities": PEM, "timeout"}`, with the body after it.
    pub(super) fn https(&self, a: &Value, body: &[u8]) -> Answered {
        let headers = a["headers"].as_array().into_iter().flatten();
        let headers = headers.map(|header| Ok((text(&header[0])?.to_owned(), text(&header[1])?.to_owned())));
        let wanted = a["timeout"]
            .as_f64()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or(STANDARD);
        let exchange = Exchange {
            method: text(&a["method"])?.to_owned(),
            url: text(&a["url"])?.to_owned(),
            headers: headers.collect::<Result<_, _>>()?,
            body: body.to_vec(),
            certificates: match (&a["verify"], a["authorities"].as_str()) {
                (Value::Bool(false), _) => Certificates::Anybody,
                (_, Some(pem)) => Certificates::Of(pem.to_owned()),
                _ => Certificates::System,
            },
            time_limit: self.remaining().unwrap_or(wanted).min(wanted),
        };
        let answer = exchange
            .send(&self.surroundings.stop)
            .map_err(|error| Refusal::new("OpenSSL::SSL::SSLError", error.to_string()))?;
        Ok(Reply {
            value: json!([answer.status, answer.headers]),
            bytes: Some(answer.body),
        })
    }
}
