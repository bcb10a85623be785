//! JSON as the commands print it.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

/// Indented by four, as Python's `json.dumps(…, indent=4)`, with a line end.
pub(crate) fn indented(value: &impl Serialize) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer)?;
    bytes.push(b'\n');
    Ok(String::from_utf8(bytes)?)
}
