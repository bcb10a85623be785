//! `jetpack send`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{ArgGroup, Args};
use link::outbox::Sender;
use node::settings::Settings;
use protocol::{Custom, MessageType, topology};
use terminal::ResultExt;

use crate::{context, deliver, input};

/// Most bytes of a body. In base64, with envelope and headers, it fits into a message of the outbox.
const MAX_BODY: u64 = 720 << 10;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("body").required(true).args(["text", "file"]))]
pub(crate) struct SendArgs {
    /// The text
    pub(crate) text: Option<String>,

    /// Send the content of this file; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Routing key at the exchange cyclecloud.custom; if not given, CLUSTER.NODE_ID.custom
    #[arg(short = 'k', long, value_name = "KEY", allow_hyphen_values = true, value_parser = short)]
    pub(crate) routing_key: Option<String>,

    /// Media type; if not given, text/plain for a text, application/json for a file NAME.json,
    /// application/octet-stream for other files
    #[arg(long, value_name = "TYPE", value_parser = short)]
    pub(crate) content_type: Option<String>,

    /// A header of the message; may be given several times
    #[arg(long = "header", value_name = "KEY=VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
}

/// Hands a message to the exchange `cyclecloud.custom`, for whoever listens there.
pub(crate) fn run(args: &SendArgs) -> anyhow::Result<()> {
    let home = context::initialized_home()?;
    let settings = context::settings(&home)?;
    let custom = Custom {
        routing_key: match &args.routing_key {
            Some(key) => key.clone(),
            None => default_key(&settings)?,
        },
        content_type: match &args.content_type {
            Some(given) => given.clone(),
            None => media_type(args.file.as_deref()).to_owned(),
        },
        headers: headers(&args.headers)?,
        body: STANDARD.encode(body(args)?),
    };
    custom.check()?;
    deliver::keep(&home, &settings, MessageType::Custom, &custom)?;
    deliver::push(&home);
    Ok(())
}

fn body(args: &SendArgs) -> anyhow::Result<Vec<u8>> {
    let Some(file) = &args.file else {
        let text = args.text.clone().unwrap_or_default().into_bytes();
        if text.len() as u64 > MAX_BODY {
            bail!("the text has more than the limit of {MAX_BODY} bytes");
        }
        return Ok(text);
    };
    input::read(file, MAX_BODY)
}

/// The key under which this node's own messages go.
fn default_key(settings: &Settings) -> anyhow::Result<String> {
    let Sender {
        cluster_name,
        node_id,
        ..
    } = link::join::sender(settings);
    if node_id.is_empty() {
        let unknown: anyhow::Result<String> =
            (|| bail!("this node has not joined its cluster yet, so it has no routing key of its own"))();
        return unknown.hint("say the routing key with --routing-key");
    }
    Ok(topology::routing_key(
        &cluster_name,
        &node_id,
        MessageType::Custom,
    ))
}

fn media_type(file: Option<&Path>) -> &'static str {
    match file {
        None => "text/plain",
        Some(path)
            if path
                .extension()
                .is_some_and(|end| end.eq_ignore_ascii_case("json")) =>
        {
            "application/json"
        }
        Some(_) => "application/octet-stream",
    }
}

fn headers(given: &[(String, String)]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut headers = BTreeMap::new();
    for (key, value) in given {
        if headers.insert(key.clone(), value.clone()).is_some() {
            bail!("the header `{key}` is given twice");
        }
    }
    Ok(headers)
}

fn short(text: &str) -> Result<String, String> {
    if text.len() > Custom::MAX_SHORT {
        return Err(format!(
            "it has {} bytes, more than the {} of AMQP",
            text.len(),
            Custom::MAX_SHORT
        ));
    }
    Ok(text.to_owned())
}

fn header(text: &str) -> Result<(String, String), String> {
    let Some((key, value)) = text.split_once('=') else {
        return Err("it is not KEY=VALUE".to_owned());
    };
    if key.is_empty() {
        return Err("it has no key".to_owned());
    }
    Ok((short(key)?, value.to_owned()))
}
