//! `log`: a line in the log of the run.

use serde_json::json;

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides};
use crate::resource::error::Failure;

pub(super) const LOG: Definition = Definition {
    kind: Kind::new(
        "log",
        &[Provides::everywhere("log")],
        &["write"],
        &[
            Property::named("message"),
            Property::string("level")
                .or(Default::String("info"))
                .one_of(&["trace", "debug", "info", "warn", "error", "fatal"]),
        ],
    ),
    run,
};

/// Since Chef 16 a log line is no change, so that it notifies nobody (`count_log_resource_updates`).
fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    let (message, level) = (act.need("message")?, act.need("level")?);
    match level.as_str() {
        "trace" => tracing::trace!("{message}"),
        "debug" => tracing::debug!("{message}"),
        "warn" => tracing::warn!("{message}"),
        "error" | "fatal" => tracing::error!("{message}"),
        _ => tracing::info!("{message}"),
    }
    act.report.result = json!({ "message": message, "level": level });
    Ok(())
}
