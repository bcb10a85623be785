//! `cyclecloud events`

use std::cell::Cell;

use jiff::tz::TimeZone;
use protocol::{Event, Level, Priority};

use crate::cli::Events;
use crate::client::{Client, check_name};
use crate::follow::follow;

const EVENTS: [&str; 3] = ["cloud", "api", "events"];

pub(super) async fn show(client: &Client, args: Events) -> anyhow::Result<()> {
    if let Some(cluster) = &args.cluster {
        check_name("cluster", cluster)?;
    }
    let cluster = args.cluster.as_deref();
    let printer = Printer {
        priority: args.priority,
        level: args.level,
        with_cluster: cluster.is_none(),
        zone: TimeZone::system(),
    };
    // Asked for first: what happens between the two calls is then shown by the stream.
    let newest = match args.follow {
        true => last(client, cluster, Priority::Low, Level::Info, 1).await?,
        false => Vec::new(),
    };
    let mut seen = newest.last().map_or(0, |event| event.id);
    if args.number > 0 {
        for event in last(client, cluster, args.priority, args.level, args.number).await? {
            seen = seen.max(event.id);
            printer.print(&event)?;
        }
    }
    if args.follow {
        follow_from(client, cluster, &printer, seen).await?;
    }
    Ok(())
}

/// The last events of a priority and a level and above, oldest first.
async fn last(
    client: &Client,
    cluster: Option<&str>,
    priority: Priority,
    level: Level,
    number: u32,
) -> anyhow::Result<Vec<Event>> {
    let number = number.to_string();
    let mut query = vec![("limit", number.as_str()), ("priority", priority.as_str())];
    if level > Level::Info {
        query.push(("level", level.as_str()));
    }
    query.extend(cluster.map(|cluster| ("cluster", cluster)));
    client.get(&EVENTS, &query).await
}

/// Prints each event after `seen` once. Ends only with an error.
async fn follow_from(
    client: &Client,
    cluster: Option<&str>,
    printer: &Printer,
    seen: i64,
) -> anyhow::Result<()> {
    let seen = Cell::new(seen);
    let url = || {
        let after = seen.get().to_string();
        let mut query = vec![("after", after.as_str())];
        query.extend(cluster.map(|cluster| ("cluster", cluster)));
        client.url(&["cloud", "api", "events", "stream"], &query)
    };
    follow(client, url, |data| {
        // Messages of another kind belong to versions to come.
        let Ok(event) = serde_json::from_str::<Event>(data) else {
            return Ok(false);
        };
        if event.id <= seen.get() {
            return Ok(false);
        }
        seen.set(event.id);
        printer.print(&event)?;
        Ok(true)
    })
    .await
}

struct Printer {
    priority: Priority,
    level: Level,
    with_cluster: bool,
    zone: TimeZone,
}

impl Printer {
    fn print(&self, event: &Event) -> anyhow::Result<()> {
        if event.priority >= self.priority && event.level >= self.level {
            terminal::out(self.line(event))?;
        }
        Ok(())
    }

    fn line(&self, event: &Event) -> String {
        let time = event
            .time
            .to_zoned_datetime(self.zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S");
        let node = event.node.as_deref();
        let place = match event.cluster.as_deref().filter(|_| self.with_cluster) {
            Some(cluster) => match node {
                Some(node) => format!("{cluster}/{node}"),
                None => cluster.to_owned(),
            },
            None => node.unwrap_or("-").to_owned(),
        };
        let head = format!("{time}  {:5}  {place:12}  ", event.level.as_str());
        // Further lines of a message stand below its first.
        let indent = format!("\n{}", " ".repeat(head.chars().count()));
        let message: Vec<&str> = event.message.trim_end().lines().collect();
        format!("{}\n", format!("{head}{}", message.join(&indent)).trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cluster: Option<&str>, node: Option<&str>, message: &str) -> String {
        let printer = Printer {
            priority: Priority::Low,
            level: Level::Info,
            with_cluster: true,
            zone: TimeZone::UTC,
        };
        printer.line(&Event {
            id: 1,
            time: "2026-11-23T21:30:05.123Z".parse().unwrap(),
            cluster: cluster.map(str::to_owned),
            node: node.map(str::to_owned),
            level: Level::Warn,
            priority: Priority::Low,
            category: "log".into(),
            message: message.into(),
        })
    }

    #[test]
    fn an_event_says_when_how_where_and_what() {
        assert_eq!(
            line(Some("demo"), Some("execute-1"), "hello"),
            "2026-11-23 21:30:05  warn   demo/execute-1  hello\n"
        );
        assert_eq!(
            line(Some("demo"), None, "one\ntwo\n"),
            "2026-11-23 21:30:05  warn   demo          one\n                                          two\n"
        );
        assert_eq!(line(None, None, ""), "2026-11-23 21:30:05  warn   -\n");
    }
}
