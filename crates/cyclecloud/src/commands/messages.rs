//! `cyclecloud messages`

use jiff::tz::TimeZone;
use protocol::PassingMessage;

use crate::cli::{self, TailMessages};
use crate::client::Client;
use crate::follow::follow;

/// Longest body of a line, in characters; `--json` shows all of it.
const SHOWN: usize = 500;

pub(super) async fn run(client: &Client, command: cli::Messages) -> anyhow::Result<()> {
    match command {
        cli::Messages::Tail(args) => tail(client, &args).await,
    }
}

/// Ends only with an error.
async fn tail(client: &Client, args: &TailMessages) -> anyhow::Result<()> {
    let query: Vec<_> = args.key.iter().map(|key| ("key", key.as_str())).collect();
    let url = client.url(&["cloud", "api", "messages", "stream"], &query);
    let zone = TimeZone::system();
    follow(
        client,
        || url.clone(),
        |data| {
            // Messages of another kind belong to versions to come.
            let Ok(message) = serde_json::from_str::<PassingMessage>(data) else {
                return Ok(false);
            };
            match args.json {
                true => terminal::out(format_args!("{data}\n"))?,
                false => terminal::out(line(&message, &zone))?,
            }
            Ok(true)
        },
    )
    .await
}

fn line(message: &PassingMessage, zone: &TimeZone) -> String {
    let time = message
        .time
        .to_zoned_datetime(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S");
    let body = match (&message.body, &message.body_base64) {
        (_, Some(bytes)) => format!("({} bytes)", bytes.len() / 4 * 3),
        (serde_json::Value::String(text), _) => text.clone(),
        (body, _) => body.to_string(),
    };
    // One line each, whatever is in it.
    let mut shown: String = body
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(SHOWN)
        .collect();
    if body.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!(
        "{time}  {:17}  {}  {shown}\n",
        message.exchange, message.routing_key
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shown(body: Value, body_base64: Option<&str>) -> String {
        let message = PassingMessage {
            time: "2026-11-23T21:30:05.123Z".parse().unwrap(),
            exchange: "cyclecloud.custom".to_owned(),
            routing_key: "a.x.b".to_owned(),
            content_type: None,
            message_id: None,
            user_id: None,
            headers: Default::default(),
            body,
            body_base64: body_base64.map(str::to_owned),
        };
        line(&message, &TimeZone::UTC)
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(
            shown(json!("two\nlines"), None),
            "2026-11-23 21:30:05  cyclecloud.custom  a.x.b  two lines\n"
        );
        assert!(shown(json!({"a": 1}), None).ends_with("  {\"a\":1}\n"));
        assert!(shown(Value::Null, Some("AAAA")).ends_with("  (3 bytes)\n"));
        assert!(shown(json!("x".repeat(501)), None).ends_with("x…\n"));
    }
}
