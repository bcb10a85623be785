//! `GET /clusters/{cluster}/usage`: hours of cores.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use jiff::civil::{DateTime, DateTimeRound, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{RoundMode, Span, Timestamp, Unit};
use protocol::rest::{ClusterUsage, UsageDetail, UsageInterval, UsageItem};
use serde::Deserialize;

use super::ApiError;
use crate::app::SharedApp;
use crate::auth::Account;
use crate::store::Usage;

/// Most intervals of an answer: a year of hours.
const MAX_INTERVALS: usize = 9000;

/// The query.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    timeframe: Option<String>,
    from: Option<String>,
    to: Option<String>,
    granularity: Option<String>,
    expand: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Granularity {
    Total,
    Daily,
    Hourly,
}

/// `GET /clusters/{cluster}/usage?timeframe=&from=&to=&granularity=&expand=details`. All times are UTC.
pub(super) async fn usage(
    State(app): State<SharedApp>,
    _: Account,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<ClusterUsage>, ApiError> {
    if app.store.cluster(&name).await?.is_none() {
        return Err(ApiError::no_cluster(&name));
    }
    let now = app.clock.now();
    let intervals = wanted.intervals(now)?;
    let (Some(first), Some(last)) = (intervals.first(), intervals.last()) else {
        return Ok(Json(ClusterUsage::default()));
    };
    let rows = app.store.usage(&name, first.0, last.1).await?;
    let details = wanted
        .expand
        .is_some_and(|expand| expand.eq_ignore_ascii_case("details"));
    let usage = intervals
        .into_iter()
        .map(|(start, end)| interval(&rows, start, end, now, details));
    Ok(Json(ClusterUsage {
        usage: usage.collect(),
    }))
}

impl Wanted {
    fn granularity(&self) -> Result<Granularity, ApiError> {
        match self.granularity.as_deref().map(str::to_lowercase).as_deref() {
            None | Some("" | "daily") => Ok(Granularity::Daily),
            Some("total") => Ok(Granularity::Total),
            Some("hourly") => Ok(Granularity::Hourly),
            Some(other) => Err(ApiError::bad_request(format!(
                "the granularity `{other}` is not one of total, daily, hourly"
            ))),
        }
    }

    /// Start and end of each interval, in their order.
    fn intervals(&self, now: Timestamp) -> Result<Vec<(Timestamp, Timestamp)>, ApiError> {
        let granularity = self.granularity()?;
        let (start, end) = self.time_frame(now, granularity)?;
        let step = match granularity {
            Granularity::Total => return Ok(vec![(utc(start)?, utc(end)?)]),
            Granularity::Daily => Span::new().days(1),
            Granularity::Hourly => Span::new().hours(1),
        };
        let mut intervals = Vec::new();
        let mut at = start;
        while at < end {
            let next = at.checked_add(step).map_err(out_of_range)?;
            intervals.push((utc(at)?, utc(next)?));
            if intervals.len() > MAX_INTERVALS {
                return Err(ApiError::bad_request(format!(
                    "more than {MAX_INTERVALS} intervals"
                )));
            }
            at = next;
        }
        Ok(intervals)
    }

    fn time_frame(&self, now: Timestamp, granularity: Granularity) -> Result<(DateTime, DateTime), ApiError> {
        let midnight = |date: jiff::civil::Date| date.to_datetime(Time::midnight());
        let today = TimeZone::UTC.to_datetime(now).date();
        let tomorrow = midnight(today.tomorrow().map_err(out_of_range)?);
        let month = today.first_of_month();
        match self.timeframe.as_deref().unwrap_or("monthToDate") {
            "monthToDate" => Ok((midnight(month), tomorrow)),
            "lastMonth" => {
                let before = month.checked_sub(Span::new().months(1)).map_err(out_of_range)?;
                Ok((midnight(before), midnight(month)))
            }
            "weekToDate" => {
                let sunday = match today.weekday() {
                    Weekday::Sunday => today,
                    _ => today.nth_weekday(-1, Weekday::Sunday).map_err(out_of_range)?,
                };
                Ok((midnight(sunday), tomorrow))
            }
            "custom" => {
                let unit = match granularity {
                    Granularity::Hourly => Unit::Hour,
                    Granularity::Total | Granularity::Daily => Unit::Day,
                };
                let from = time("from", self.from.as_deref())?;
                let to = time("to", self.to.as_deref())?;
                if to <= from {
                    return Err(ApiError::bad_request("`to` is not after `from`"));
                }
                let round = |time: DateTime, mode| time.round(DateTimeRound::new().smallest(unit).mode(mode));
                Ok((
                    round(from, RoundMode::Floor).map_err(out_of_range)?,
                    round(to, RoundMode::Ceil).map_err(out_of_range)?,
                ))
            }
            other => Err(ApiError::bad_request(format!(
                "the time frame `{other}` is not one of monthToDate, lastMonth, weekToDate, custom"
            ))),
        }
    }
}

fn out_of_range(error: jiff::Error) -> ApiError {
    ApiError::bad_request(format!("the time frame is out of range: {error}"))
}

/// A time of a query: with an offset, or else UTC; a date alone is its beginning.
fn time(name: &str, text: Option<&str>) -> Result<DateTime, ApiError> {
    let text = text.filter(|text| !text.is_empty());
    let text =
        text.ok_or_else(|| ApiError::bad_request(format!("the time frame `custom` needs `{name}`")))?;
    let timestamp = text
        .parse::<Timestamp>()
        .map(|time| TimeZone::UTC.to_datetime(time));
    timestamp
        .or_else(|_| text.parse())
        .map_err(|_| ApiError::bad_request(format!("`{name}` is `{text}`, which is no time")))
}

fn utc(time: DateTime) -> Result<Timestamp, ApiError> {
    TimeZone::UTC.to_timestamp(time).map_err(out_of_range)
}

fn interval(
    rows: &[Usage],
    start: Timestamp,
    end: Timestamp,
    now: Timestamp,
    details: bool,
) -> UsageInterval {
    /// Hours by machine type and its cores.
    type Sizes = BTreeMap<(String, u32), f64>;
    let mut parts: BTreeMap<(bool, String), Sizes> = BTreeMap::new();
    for row in rows {
        let from = row.started.max(start);
        let to = row.ended.unwrap_or(now).min(end);
        let seconds = to.duration_since(from).as_secs_f64();
        if seconds <= 0.0 {
            continue;
        }
        let running = &row.running;
        let key = match &running.nodearray {
            Some(array) => (true, array.clone()),
            None => (false, running.node.clone()),
        };
        let size = (running.machine_type.clone(), running.cores);
        *parts.entry(key).or_default().entry(size).or_insert(0.0) +=
            seconds / 3600.0 * f64::from(running.cores);
    }
    let mut all = Sizes::new();
    for (size, hours) in parts.values().flatten() {
        *all.entry(size.clone()).or_insert(0.0) += hours;
    }
    let item = |category: &str, node: Option<String>, sizes: &Sizes| UsageItem {
        category: category.to_owned(),
        hours: rounded(sizes.values().sum()),
        node,
        details: details.then(|| {
            let detail = sizes.iter().map(|((vm_size, cores), hours)| UsageDetail {
                vm_size: vm_size.clone(),
                region: String::new(),
                priority: "Regular".to_owned(),
                os: "Linux".to_owned(),
                core_count: *cores,
                hours: rounded(*hours),
            });
            detail.collect()
        }),
    };
    UsageInterval {
        start: start.to_string(),
        end: end.to_string(),
        total: item("cluster", None, &all),
        breakdown: parts
            .iter()
            .map(|((is_array, name), sizes)| {
                item(
                    if *is_array { "nodearray" } else { "node" },
                    Some(name.clone()),
                    sizes,
                )
            })
            .collect(),
    }
}

/// To the second of one core.
fn rounded(hours: f64) -> f64 {
    (hours * 10_000.0).round() / 10_000.0
}
