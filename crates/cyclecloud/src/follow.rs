//! Reading a stream of the server without end, over as many connections as it takes.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Url;

use crate::client::{CallError, Client, shown};
use crate::sse::Parser;

/// The pause before a lost stream is opened again; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Gives the data of each event to `handle`, which says whether it was news. `url` is asked for before each connection. Ends only with an
/// error: that of `handle`, or the server's refusal.
pub(crate) async fn follow(
    client: &Client,
    mut url: impl FnMut() -> Url,
    mut handle: impl FnMut(&str) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut pause = FIRST_PAUSE;
    let mut is_lost = false;
    loop {
        match client.stream(url()).await {
            Ok(response) => {
                if is_lost {
                    terminal::note("Connected again");
                    is_lost = false;
                }
                // A server that takes the call and drops it at once is not asked without end.
                if read(response, &mut handle).await? {
                    pause = FIRST_PAUSE;
                }
            }
            Err(error) if error.is_passing() => {
                if !is_lost {
                    is_lost = true;
                    let server = shown(&client.server().url);
                    let reason = terminal::chain(&error);
                    terminal::warn(format_args!("lost `{server}`, trying again: {reason}"));
                }
            }
            Err(error @ CallError::Away { .. } | error @ CallError::Refused { .. }) => return error.report(),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Reads one connection until it ends, for whatever reason; whether there was news.
async fn read(
    response: reqwest::Response,
    handle: &mut impl FnMut(&str) -> anyhow::Result<bool>,
) -> anyhow::Result<bool> {
    let mut stream = response.bytes_stream();
    let mut parser = Parser::default();
    let mut is_news = false;
    while let Some(Ok(bytes)) = stream.next().await {
        for message in parser.push(&bytes)? {
            is_news |= handle(&message.data)?;
        }
    }
    Ok(is_news)
}
