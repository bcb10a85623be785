//! From the first byte to the open connection.

use std::time::Duration;

use amq_protocol::protocol::{AMQPClass, connection};
use amq_protocol::types::{AMQPValue, FieldTable};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::authority::Permissions;
use crate::codec::{FRAME_MAX, FRAME_MIN, Frame, next_frame, put_method, short};
use crate::failure::{Code, Failure};
use crate::hub::{Hub, Vhosts};

/// Channels of one connection that are offered.
const CHANNEL_MAX: u16 = 2047;

/// What was agreed.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) vhost: String,
    pub(super) user: String,
    pub(super) permissions: Permissions,
    pub(super) channel_max: u16,
    pub(super) frame_max: usize,
    /// None: no heartbeats.
    pub(super) heartbeat: Option<Duration>,
    /// The client wants to hear when the queue of a consumer is gone.
    pub(super) cancel_notify: bool,
    /// The client wants to hear when it is not read from.
    pub(super) blocked_notify: bool,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Refused {
    /// The socket is gone, or what came is not AMQP 0-9-1.
    Gone,
    /// The client was told.
    Told(Failure),
}

impl From<std::io::Error> for Refused {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Told(failure)
    }
}

/// Does the handshake. Bytes beyond it stay in `input`.
pub(super) async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
    vhosts: &Vhosts,
    number: u64,
    certificate: Option<&[u8]>,
    stream: &mut S,
    input: &mut BytesMut,
) -> Result<Agreed, Refused> {
    let hub = &*vhosts.root;
    while input.len() < 8 {
        // A wrong start is answered at once: an HTTP client would wait for ever for the rest.
        if !b"AMQP\x00\x00\x09\x01".starts_with(&input[..]) {
            break;
        }
        if stream.read_buf(input).await? == 0 {
            return Err(Refused::Gone);
        }
    }
    let wanted = input.first_chunk::<8>();
    // RabbitMQ starts with clients that say 0-8, or 1-1-9-1 as AMQP 0-9-1 clients once did; ours say what they mean.
    if wanted != Some(b"AMQP\x00\x00\x09\x01") {
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        stream.flush().await?;
        return Err(Refused::Gone);
    }
    input.advance(8);
    send(
        stream,
        connection::AMQPMethod::Start(start(certificate.is_some())),
    )
    .await?;
    let ok = match receive(stream, input).await? {
        connection::AMQPMethod::StartOk(ok) => ok,
        other => return Err(out_of_order(&other)),
    };
    let (user, permissions) = match (ok.mechanism.as_str(), certificate) {
        ("PLAIN", _) => log_in(hub, number, ok.response.as_bytes()).await?,
        ("EXTERNAL", Some(certificate)) => identify(hub, number, certificate).await?,
        _ => {
            return Err(Refused::Told(Failure::connection(
                Code::AccessRefused,
                format!("authentication mechanism '{}' is not supported", ok.mechanism),
            )));
        }
    };
    let heartbeat = u16::try_from(hub.settings.heartbeat.as_secs()).unwrap_or(u16::MAX);
    let tune = connection::Tune {
        channel_max: CHANNEL_MAX,
        frame_max: u32::try_from(FRAME_MAX).unwrap_or(u32::MAX),
        heartbeat,
    };
    send(stream, connection::AMQPMethod::Tune(tune)).await?;
    let tuned = match receive(stream, input).await? {
        connection::AMQPMethod::TuneOk(ok) => ok,
        other => return Err(out_of_order(&other)),
    };
    let frame_max = match tuned.frame_max as usize {
        0 => FRAME_MAX,
        wanted @ 4096..=FRAME_MAX => wanted,
        wanted => return Err(not_agreed("frame_max", wanted)),
    };
    let channel_max = match tuned.channel_max {
        0 => CHANNEL_MAX,
        wanted if wanted <= CHANNEL_MAX => wanted,
        wanted => return Err(not_agreed("channel_max", wanted.into())),
    };
    let open = match receive(stream, input).await? {
        connection::AMQPMethod::Open(open) => open,
        other => return Err(out_of_order(&other)),
    };
    let vhost = open.virtual_host.as_str();
    let not_allowed = |text: String| Refused::Told(Failure::connection(Code::NotAllowed, text));
    if vhosts.get(vhost).is_none() {
        return Err(not_allowed(format!("vhost {vhost} not found")));
    }
    let permissions = hub
        .authority
        .enter(&user, vhost, permissions)
        .ok_or_else(|| not_allowed(format!("access to vhost '{vhost}' refused for user '{user}'")))?;
    send(stream, connection::AMQPMethod::OpenOk(connection::OpenOk {})).await?;
    let capability = |name: &str| match ok.client_properties.inner().get("capabilities") {
        Some(AMQPValue::FieldTable(table)) => table.inner().get(name) == Some(&AMQPValue::Boolean(true)),
        _ => false,
    };
    Ok(Agreed {
        vhost: vhost.to_owned(),
        user,
        permissions,
        channel_max,
        frame_max,
        heartbeat: (tuned.heartbeat > 0).then(|| Duration::from_secs(tuned.heartbeat.into())),
        cancel_notify: capability("consumer_cancel_notify"),
        blocked_notify: capability("connection.blocked"),
    })
}

async fn log_in(hub: &Hub, number: u64, response: &[u8]) -> Result<(String, Permissions), Refused> {
    let mut parts = response.splitn(3, |byte| *byte == 0);
    let user = match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(user), Some(password)) => std::str::from_utf8(user).ok().map(|user| (user, password)),
        _ => None,
    };
    if let Some((user, password)) = user {
        hub.claim(number, user);
        if let Some(permissions) = hub.authority.authenticate(user, password).await {
            return Ok((user.to_owned(), permissions));
        }
        tracing::warn!(user, "refused a login");
    }
    tokio::time::sleep(hub.settings.refusal_delay).await;
    Err(Refused::Told(Failure::connection(
        Code::AccessRefused,
        "Login was refused using authentication mechanism PLAIN",
    )))
}

/// The user whose certificate TLS has verified.
async fn identify(hub: &Hub, number: u64, certificate: &[u8]) -> Result<(String, Permissions), Refused> {
    if let Some((user, permissions)) = hub.authority.authenticate_certificate(certificate).await {
        hub.claim(number, &user);
        return Ok((user, permissions));
    }
    tracing::warn!("refused a certificate");
    tokio::time::sleep(hub.settings.refusal_delay).await;
    Err(Refused::Told(Failure::connection(
        Code::AccessRefused,
        "Login was refused using authentication mechanism EXTERNAL",
    )))
}

fn out_of_order(method: &connection::AMQPMethod) -> Refused {
    if matches!(method, connection::AMQPMethod::Close(_)) {
        return Refused::Gone;
    }
    Refused::Told(Failure::connection(
        Code::ChannelError,
        "this method has no place in the opening of a connection",
    ))
}

fn not_agreed(what: &str, wanted: usize) -> Refused {
    Refused::Told(Failure::connection(
        Code::NotAllowed,
        format!("{what} = {wanted} is outside of what was offered"),
    ))
}

fn start(with_certificate: bool) -> connection::Start {
    let mut capabilities = FieldTable::default();
    for name in [
        "authentication_failure_close",
        "basic.nack",
        "connection.blocked",
        "consumer_cancel_notify",
        "exchange_exchange_bindings",
        "per_consumer_qos",
        "publisher_confirms",
    ] {
        capabilities.insert(short(name), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    properties.insert(short("capabilities"), AMQPValue::FieldTable(capabilities));
    for (name, value) in [
        ("product", "Jetpack"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("platform", "Rust"),
    ] {
        properties.insert(short(name), AMQPValue::LongString(value.into()));
    }
    connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties: properties,
        mechanisms: if with_certificate {
            "EXTERNAL PLAIN"
        } else {
            "PLAIN"
        }
        .into(),
        locales: "en_US".into(),
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, method: connection::AMQPMethod) -> Result<(), Refused> {
    let mut out = BytesMut::new();
    put_method(&mut out, 0, AMQPClass::Connection(method));
    stream.write_all(&out).await?;
    stream.flush().await?;
    Ok(())
}

async fn receive<S: AsyncRead + Unpin>(
    stream: &mut S,
    input: &mut BytesMut,
) -> Result<connection::AMQPMethod, Refused> {
    loop {
        match next_frame(input, FRAME_MIN)? {
            Some(Frame::Method(0, AMQPClass::Connection(method))) => return Ok(method),
            Some(Frame::Heartbeat) => {}
            Some(_) => {
                return Err(Refused::Told(Failure::connection(
                    Code::ChannelError,
                    "the connection is not open yet",
                )));
            }
            None => {
                if stream.read_buf(input).await? == 0 {
                    return Err(Refused::Gone);
                }
            }
        }
    }
}
