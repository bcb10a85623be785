//! What is asked of a resource, and what became of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One action of one resource.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Request {
    /// The kind, by its own name or one that it provides.
    pub kind: String,
    /// The name of the resource.
    pub name: String,
    /// What to do; the default action of the kind when it is missing.
    #[serde(default)]
    pub action: Option<String>,
    /// The properties that were set, evaluated. `null` is as if it was not set.
    #[serde(default)]
    pub properties: Map<String, Value>,
    /// The value of the property that [`super::Kind::body`] names, such as the content of a file.
    #[serde(skip)]
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// A request for the default action, without properties.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            name: name.into(),
            action: None,
            properties: Map::new(),
            body: None,
        }
    }

    /// Says what to do.
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Sets a property.
    pub fn with(mut self, property: impl Into<String>, value: impl Into<Value>) -> Self {
        self.properties.insert(property.into(), value.into());
        self
    }

    /// Gives the bytes beside the JSON.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Some(bytes.into());
        self
    }
}

/// What became of a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Whether anything was changed; under dry run, whether anything would be.
    pub updated: bool,
    /// The changes in Chef's words, such as `create new file /etc/motd`.
    pub changes: Vec<String>,
    /// The change of a file's content as a unified diff, or why there is none, in parentheses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// What a command that was run has written, the end of it if it is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// What does not hold but is no failure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What else there is to know, by kind: an exit code, a request for a reboot.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub result: Value,
    /// Bytes that the request asked for, such as the answer to an HTTP request.
    #[serde(skip)]
    pub body: Option<Vec<u8>>,
}
