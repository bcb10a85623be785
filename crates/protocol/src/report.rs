//! What commands of a node report: demand, conditions, properties, tests, and free messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Seconds for which the server pursues a target after the last request, if the request does not say otherwise.
pub const AUTOSCALE_EXPIRATION: u64 = 300;
/// The request set of callers that name none.
pub const STANDARD_REQUEST_SET: &str = "standard";
/// The node array of callers that name none.
pub const DEFAULT_ARRAY: &str = "execute";

/// Data of an `autoscale` message: everything that one caller needs now. What it needed before and does not name any more
/// ends with this message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Autoscale {
    /// Definitions of node arrays, to be merged into those of the cluster: `Name`, `TargetCoreCount` or `TargetCount`,
    /// `TargetGroupCount` with `GroupCoreCount` or `GroupInstanceCount`, `Dynamic`, `Extends`, and any attribute.
    pub definitions: Vec<Map<String, Value>>,
    /// Keeps independent callers apart.
    pub request_set: String,
    /// Seconds for which this holds if it is not renewed.
    pub expiration_seconds: u64,
}

/// Data of a `condition` message. The name is its key: a new report replaces the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What is judged, unique on the node.
    pub name: String,
    /// The judgement. OK ends the condition.
    pub status: ConditionStatus,
    /// What is wrong, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the condition means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommendations: Option<String>,
    /// Output of the check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// What the provider can do about it: `GHR`, a report of guest health to Azure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_type: Option<String>,
    /// Category of that report, for instance `Resource.Hpc.Unhealthy.HpcMissingGpu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ghr_category: Option<String>,
}

/// Judgement of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It cannot be told.
    NA,
    /// All is well.
    #[serde(rename = "OK")]
    Ok,
    /// It needs a look.
    Warning,
    /// It is broken.
    Error,
}

impl ConditionStatus {
    /// All of them, in the order of severity.
    pub const ALL: [Self; 4] = [Self::NA, Self::Ok, Self::Warning, Self::Error];

    /// The word on the wire and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NA => "NA",
            Self::Ok => "OK",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

/// Data of a `props` message: the node's properties, all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Properties {
    /// The tree of `config/properties.json`.
    pub properties: Map<String, Value>,
}

/// Data of a `test` message: what became of the tests of one spec.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TestReport {
    /// The project.
    pub project: String,
    /// Its spec.
    pub spec: String,
    /// Tests that succeeded.
    pub passed: u32,
    /// Tests whose assertions failed.
    pub failed: u32,
    /// Tests that could not be carried out.
    pub errors: u32,
    /// Tests that were skipped.
    pub skipped: u32,
    /// How long they took.
    pub seconds: f64,
    /// Those that failed or could not be carried out, in the order in which they ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<TestFailure>,
}

/// One test that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFailure {
    /// File, class and function, as the runner names it.
    pub test: String,
    /// The end of what it said.
    pub message: String,
}

/// Data of a `custom` message: what `jetpack send` gives to the exchange `cyclecloud.custom`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Custom {
    /// Exactly as given.
    pub routing_key: String,
    /// Media type of the body.
    pub content_type: String,
    /// Headers of the message.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body, in base64 (RFC 4648, section 4).
    pub body: String,
}

impl Custom {
    /// Longest short string of AMQP (0-9-1, section 4.2.5.3), in bytes: routing key, content type, name of a header.
    pub const MAX_SHORT: usize = 255;
    /// Most bytes of all headers, names and values: they travel in one frame.
    pub const MAX_HEADERS: usize = 32 << 10;

    /// Whether AMQP can carry it. A sender checks before it sends; a receiver need not believe that.
    ///
    /// # Errors
    /// Says what is too long.
    pub fn check(&self) -> Result<(), CustomError> {
        let shorts = [
            ("routing key", &self.routing_key),
            ("content type", &self.content_type),
        ];
        let names = self.headers.keys().map(|name| ("name of a header", name));
        for (what, text) in shorts.into_iter().chain(names) {
            if text.len() > Self::MAX_SHORT {
                return Err(CustomError {
                    what,
                    bytes: text.len(),
                    limit: Self::MAX_SHORT,
                });
            }
        }
        let bytes = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if bytes > Self::MAX_HEADERS {
            return Err(CustomError {
                what: "sum of the headers",
                bytes,
                limit: Self::MAX_HEADERS,
            });
        }
        Ok(())
    }
}

/// A [`Custom`] that AMQP cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} has {bytes} bytes, more than the limit of {limit}")]
pub struct CustomError {
    what: &'static str,
    bytes: usize,
    limit: usize,
}

/// Answer to `PUT /clusterlink/issues/NAME.zip`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueUpload {
    /// Where the archive is; reading it needs an account.
    pub url: String,
    /// Where anybody who has this URL can read it, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_url: Option<String>,
    /// When the signed URL ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<jiff::Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_amqp_cannot_carry_is_named() {
        let custom = Custom {
            routing_key: "k".repeat(255),
            content_type: String::new(),
            headers: BTreeMap::from([("h".repeat(255), "v".repeat((32 << 10) - 255))]),
            body: String::new(),
        };
        assert_eq!(custom.check(), Ok(()));
        let mut long = custom.clone();
        long.routing_key.push('k');
        assert_eq!(
            long.check().unwrap_err().to_string(),
            "the routing key has 256 bytes, more than the limit of 255"
        );
        let mut many = custom;
        many.headers.insert("a".to_owned(), String::new());
        assert_eq!(
            many.check().unwrap_err().to_string(),
            "the sum of the headers has 32769 bytes, more than the limit of 32768"
        );
    }
}
