//! Listening in on the exchanges, for people who want to see what passes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, Consumer};
use protocol::{PassingMessage, topology};
use serde_json::Value;
use tokio::sync::mpsc;

use super::session::{Endpoint, connect};
use crate::clock::SharedClock;

/// Messages that wait for a slow listener; of more the oldest are not shown.
const WAITING: i32 = 10_000;
/// Messages that the broker sends ahead.
const AHEAD: u16 = 100;

/// Hears every message whose routing key matches one of `keys` (topic patterns) from now on, until the receiver is dropped or the
/// broker goes.
pub(super) async fn follow(
    endpoint: &Endpoint,
    clock: SharedClock,
    keys: &[String],
) -> lapin::Result<mpsc::Receiver<PassingMessage>> {
    let connection = connect(endpoint).await?;
    let channel = connection.create_channel().await?;
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(WAITING));
    let queue = channel.queue_declare("".into(), exclusive, arguments).await?;
    for exchange in [topology::NODE_EXCHANGE, topology::CUSTOM_EXCHANGE] {
        for key in keys {
            channel
                .queue_bind(
                    queue.name().clone(),
                    exchange.into(),
                    key.as_str().into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await?;
        }
    }
    channel.basic_qos(AHEAD, BasicQosOptions::default()).await?;
    let consumer = channel
        .basic_consume(
            queue.name().clone(),
            "tail".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let (sender, receiver) = mpsc::channel(AHEAD.into());
    tokio::spawn(hand_on(connection, consumer, clock, sender));
    Ok(receiver)
}

/// Hands on what comes, at the pace of the listener.
async fn hand_on(
    connection: Connection,
    mut consumer: Consumer,
    clock: SharedClock,
    sender: mpsc::Sender<PassingMessage>,
) {
    loop {
        let delivery = tokio::select! {
            delivery = consumer.next() => delivery,
            () = sender.closed() => break,
        };
        let Some(Ok(delivery)) = delivery else { break };
        let message = passing(&delivery, &clock);
        // Nothing is lost by not acknowledging: the queue ends with the connection.
        if sender.send(message).await.is_err() || delivery.ack(BasicAckOptions::default()).await.is_err() {
            break;
        }
    }
    let _ = connection.close(200, "nobody listens any more".into()).await;
}

fn passing(delivery: &Delivery, clock: &SharedClock) -> PassingMessage {
    let properties = &delivery.properties;
    let headers: BTreeMap<String, String> = properties
        .headers()
        .iter()
        .flatten()
        .filter_map(|(name, value)| match value {
            AMQPValue::LongString(text) => Some((name.to_string(), text.to_string())),
            _ => None,
        })
        .collect();
    let (body, body_base64) = match std::str::from_utf8(&delivery.data) {
        Ok(text) => (serde_json::from_str(text).unwrap_or_else(|_| text.into()), None),
        Err(_) => (Value::Null, Some(STANDARD.encode(&delivery.data))),
    };
    PassingMessage {
        time: clock.now(),
        exchange: delivery.exchange.to_string(),
        routing_key: delivery.routing_key.to_string(),
        content_type: properties.content_type().as_ref().map(ToString::to_string),
        message_id: properties.message_id().as_ref().map(ToString::to_string),
        user_id: properties.user_id().as_ref().map(ToString::to_string),
        headers,
        body,
        body_base64,
    }
}
