//! `jetpack autoscale`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{ArgGroup, Args};
use node::duration::{self, DurationError, Unit};
use protocol::{
    AUTOSCALE_EXPIRATION, Autoscale, DEFAULT_ARRAY, MessageType, STANDARD_REQUEST_SET, check_name,
};
use serde_json::{Map, Value};

use crate::deliver::send;
use crate::input;

/// Most bytes of a file with definitions. What fits into a message is less.
const MAX_FILE: u64 = 16 << 20;
/// Attributes of a definition that count something.
const COUNTS: [&str; 5] = [
    "TargetCoreCount",
    "TargetCount",
    "TargetGroupCount",
    "GroupCoreCount",
    "GroupInstanceCount",
];

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).args(["corecount", "instancecount", "file"]))]
pub(crate) struct AutoscaleArgs {
    /// Cores that the array is to have
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    pub(crate) corecount: Option<u32>,

    /// Nodes that the array is to have
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    pub(crate) instancecount: Option<u32>,

    /// The node array
    #[arg(short, long, value_name = "ARRAY", default_value = DEFAULT_ARRAY, conflicts_with = "file", value_parser = array)]
    pub(crate) name: String,

    /// JSON list of definitions of node arrays, each with its Name, to be merged into those of the cluster; - is standard
    /// input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// How long this holds if it is not renewed: seconds, or like 5m
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = expiration)]
    pub(crate) expiration: Option<Duration>,

    /// Keeps callers apart: each one replaces only what it asked for itself
    #[arg(long, value_name = "NAME", default_value = STANDARD_REQUEST_SET, value_parser = request_set)]
    pub(crate) request_set: String,
}

/// Tells the server what the cluster is to have now.
pub(crate) fn run(args: &AutoscaleArgs) -> anyhow::Result<()> {
    let definitions = match &args.file {
        Some(file) => definitions(file)?,
        None => vec![target(args)],
    };
    let autoscale = Autoscale {
        definitions,
        request_set: args.request_set.clone(),
        expiration_seconds: args
            .expiration
            .map_or(AUTOSCALE_EXPIRATION, |length| length.as_secs()),
    };
    send(MessageType::Autoscale, &autoscale)
}

fn target(args: &AutoscaleArgs) -> Map<String, Value> {
    let mut definition = Map::new();
    definition.insert("Name".to_owned(), args.name.clone().into());
    for (attribute, count) in [
        ("TargetCoreCount", args.corecount),
        ("TargetCount", args.instancecount),
    ] {
        if let Some(count) = count {
            definition.insert(attribute.to_owned(), count.into());
        }
    }
    definition
}

fn definitions(file: &Path) -> anyhow::Result<Vec<Map<String, Value>>> {
    let name = input::name(file);
    let bytes = input::read(file, MAX_FILE)?;
    let json: Value = serde_json::from_slice(&bytes).with_context(|| format!("{name} is not JSON"))?;
    // A single definition was always taken, too.
    let list = match json {
        Value::Array(list) => list,
        one @ Value::Object(_) => vec![one],
        _ => bail!("{name} is no list of definitions of node arrays"),
    };
    let definitions = list.into_iter().enumerate();
    definitions
        .map(|(index, definition)| {
            let Value::Object(definition) = definition else {
                bail!("definition {} of {name} is not a JSON object", index + 1);
            };
            check(&definition).with_context(|| format!("definition {} of {name} is wrong", index + 1))?;
            Ok(definition)
        })
        .collect()
}

/// Finds what the server could only reject later, when nobody is left to tell.
fn check(definition: &Map<String, Value>) -> anyhow::Result<()> {
    match definition.get("Name") {
        Some(Value::String(name)) => check_name("node array", name)?,
        Some(_) => bail!("its `Name` is not a text"),
        None => bail!("it has no `Name`"),
    }
    for attribute in COUNTS {
        if let Some(count) = definition.get(attribute)
            && count.as_u64().is_none_or(|count| count > u64::from(u32::MAX))
        {
            bail!(
                "its `{attribute}` is {count}, not a whole number from 0 to {}",
                u32::MAX
            );
        }
    }
    Ok(())
}

fn count(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a whole number from 0 to {}", u32::MAX))
}

fn expiration(text: &str) -> Result<Duration, DurationError> {
    duration::parse(text, Unit::Seconds)
}

fn array(name: &str) -> Result<String, protocol::IdError> {
    check_name("node array", name).map(|()| name.to_owned())
}

fn request_set(name: &str) -> Result<String, protocol::IdError> {
    check_name("request set", name).map(|()| name.to_owned())
}
