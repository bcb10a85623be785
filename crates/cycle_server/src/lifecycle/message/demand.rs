//! What follows from a request to autoscale.

use jiff::{SignedDuration, Timestamp};
use protocol::{Autoscale, Level, Priority};

use super::super::autoscale;
use super::super::news::news;
use super::cut;
use crate::store::{Demand, NewEvent, Node};

/// Most arrays that one request set may name.
const MAX_DEFINITIONS: usize = 1000;
/// Longest name of a request set, in bytes.
const MAX_REQUEST_SET: usize = 128;
/// The longest that a demand may last, in seconds: 30 days.
const LONGEST_DEMAND: u64 = 30 * 24 * 3600;

/// What the node wants of its cluster. It holds from the server's now, whatever the node's clock says.
pub(super) fn demand(
    node: &Node,
    autoscale: Autoscale,
    events: &mut Vec<NewEvent>,
    now: Timestamp,
) -> Option<(Demand, NewEvent)> {
    let set = &autoscale.request_set;
    let wrong = if autoscale.definitions.len() > MAX_DEFINITIONS {
        Some(format!("it has more than {MAX_DEFINITIONS} definitions"))
    } else if set.is_empty() || set.len() > MAX_REQUEST_SET || set.chars().any(char::is_control) {
        Some(format!(
            "the name of its request set is empty, unprintable or longer than {MAX_REQUEST_SET} bytes"
        ))
    } else {
        None
    };
    if let Some(wrong) = wrong {
        let text = format!("A request to autoscale was refused: {wrong}");
        events.push(news(node, now, Level::Warn, Priority::Medium, cut(&text)));
        return None;
    }
    let seconds = autoscale.expiration_seconds.min(LONGEST_DEMAND);
    let lasts = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    let demand = Demand {
        request_set: autoscale.request_set,
        definitions: autoscale.definitions,
        received: now,
        expires: now.saturating_add(lasts).unwrap_or(Timestamp::MAX),
    };
    let text = format!(
        "Request set `{}` wants {}",
        demand.request_set,
        autoscale::in_words(&demand)
    );
    let event = news(node, now, Level::Info, Priority::Low, cut(&text));
    Some((demand, event))
}
