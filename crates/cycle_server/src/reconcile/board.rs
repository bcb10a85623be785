//! How the reconcilers are, for people.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

/// The last run of a reconciler.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Report {
    /// Its name.
    pub name: &'static str,
    /// When it ended.
    pub time: Timestamp,
    /// Seconds that it took.
    pub seconds: f64,
    /// What it found and did.
    pub summary: String,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// How often it failed in a row.
    pub failures: u32,
}

/// The last run of each.
#[derive(Debug, Default)]
pub struct Board {
    reports: Mutex<BTreeMap<&'static str, Report>>,
}

impl Board {
    /// All reports by name.
    pub fn reports(&self) -> Vec<Report> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.values().cloned().collect()
    }

    /// Keeps the result of a run. The first failure of a row is logged, the others are counted.
    pub(super) fn note(
        &self,
        name: &'static str,
        time: Timestamp,
        took: Duration,
        result: Result<String, String>,
    ) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let before = reports.get(name).map_or(0, |report| report.failures);
        let (summary, error) = match result {
            Ok(summary) => (summary, None),
            Err(error) => (String::new(), Some(error)),
        };
        let failures = if error.is_some() { before + 1 } else { 0 };
        match &error {
            Some(error) if before == 0 => tracing::error!(reconciler = name, error, "a reconciler failed"),
            None if before > 0 => tracing::info!(reconciler = name, "a reconciler works again"),
            _ => {}
        }
        let report = Report {
            name,
            time,
            seconds: took.as_secs_f64(),
            summary,
            error,
            failures,
        };
        reports.insert(name, report);
    }
}
