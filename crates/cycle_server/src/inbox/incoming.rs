//! Deliveries from the inbox, into the store.

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicRejectOptions};
use lapin::{Channel, Consumer};
use protocol::Envelope;

use super::barrier::Barriers;
use super::session::SessionError;
use crate::app::App;
use crate::auth::is_node_id;
use crate::store::{Incoming, Received};

/// Most messages of one transaction.
const BATCH: usize = 200;

/// Reads the inbox until the connection ends. What was acknowledged is in the store.
pub(super) async fn consume(
    app: &App,
    channel: &Channel,
    mut consumer: Consumer,
    barriers: &Barriers,
) -> Result<(), SessionError> {
    while let Some(first) = consumer.next().await {
        let mut deliveries = vec![first?];
        // Whatever has come already goes into the same transaction.
        while deliveries.len() < BATCH
            && let Some(Some(next)) = consumer.next().now_or_never()
        {
            deliveries.push(next?);
        }
        store(app, channel, &deliveries, barriers).await?;
    }
    Ok(())
}

async fn store(
    app: &App,
    channel: &Channel,
    deliveries: &[Delivery],
    barriers: &Barriers,
) -> Result<(), SessionError> {
    let mut batch = Vec::new();
    let mut last = None;
    let mut reached = Vec::new();
    for delivery in deliveries {
        if let Some(marker) = Barriers::marker(delivery) {
            reached.push(marker);
            last = Some(delivery.delivery_tag);
            continue;
        }
        match read(delivery) {
            Ok(message) => {
                batch.push(message);
                last = Some(delivery.delivery_tag);
            }
            Err(reason) => {
                tracing::warn!(
                    routing_key = delivery.routing_key.as_str(),
                    reason,
                    "a message was rejected"
                );
                let options = BasicRejectOptions { requeue: false };
                channel.basic_reject(delivery.delivery_tag, options).await?;
            }
        }
    }
    let Some(last) = last else {
        return Ok(());
    };
    let received = match batch.is_empty() {
        true => Received::default(),
        false => app.receive(batch).await?,
    };
    for marker in reached {
        barriers.reached(marker);
    }
    if received.orphaned > 0 {
        tracing::debug!(
            count = received.orphaned,
            "messages of nodes that are gone were dropped"
        );
    }
    channel
        .basic_ack(last, BasicAckOptions { multiple: true })
        .await?;
    Ok(())
}

/// The message, with the sender that the broker has verified.
fn read(delivery: &Delivery) -> Result<Incoming, String> {
    let user = delivery.properties.user_id().as_ref();
    let user = user.ok_or_else(|| "it has no user id".to_owned())?.to_string();
    if !is_node_id(&user) {
        return Err(format!("`{user}` is not a node"));
    }
    let envelope: Envelope = serde_json::from_slice(&delivery.data).map_err(|error| error.to_string())?;
    Ok(Incoming {
        node_id: user,
        envelope,
    })
}
