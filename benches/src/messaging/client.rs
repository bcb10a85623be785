//! The smallest AMQP client that can measure: frames written by hand, one thread, one channel.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

use super::peers::Kind;

/// Bytes of a message.
const BODY: usize = 1024;
const TIMEOUT: Duration = Duration::from_secs(120);

/// A connection with channel 1 in confirm mode.
pub(super) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    /// Where in `input` the next frame begins.
    at: usize,
    /// The last message published.
    published: u64,
    /// Everything up to this one is confirmed, and these beyond it.
    confirmed: u64,
    beyond: BTreeSet<u64>,
}

fn short(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len()).unwrap_or(0)];
    bytes.extend(text.as_bytes());
    bytes
}

fn long(bytes: &[u8]) -> Vec<u8> {
    let mut all = u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes().to_vec();
    all.extend(bytes);
    all
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend(long(payload));
    bytes.push(206);
    bytes
}

fn method(channel: u16, class: u16, method: u16, arguments: &[&[u8]]) -> Vec<u8> {
    let mut payload = class.to_be_bytes().to_vec();
    payload.extend(method.to_be_bytes());
    payload.extend(arguments.concat());
    frame(1, channel, &payload)
}

impl Client {
    pub(super) fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let mut client = Self {
            stream,
            input: Vec::new(),
            at: 0,
            published: 0,
            confirmed: 0,
            beyond: BTreeSet::new(),
        };
        client.stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        client.expect(10, 10)?;
        let (properties, response) = ([0; 4], long(b"\0guest\0guest"));
        let ok = method(
            0,
            10,
            11,
            &[&properties, &short("PLAIN"), &response, &short("en_US")],
        );
        client.ask(&ok, 10, 30)?;
        let tuned = method(
            0,
            10,
            31,
            &[&100_u16.to_be_bytes(), &131_072_u32.to_be_bytes(), &[0, 0]],
        );
        client.stream.write_all(&tuned)?;
        client.ask(&method(0, 10, 40, &[&short("/"), &[0, 0]]), 10, 41)?;
        client.ask(&method(1, 20, 10, &[&[0]]), 20, 11)?;
        client.ask(&method(1, 85, 10, &[&[0]]), 85, 11)?;
        Ok(client)
    }

    /// A durable queue.
    pub(super) fn declare(&mut self, queue: &str, kind: Kind) -> anyhow::Result<()> {
        const DURABLE: u8 = 2;
        let mut table = Vec::new();
        if kind == Kind::Quorum {
            table.extend(short("x-queue-type"));
            table.push(b'S');
            table.extend(long(kind.name().as_bytes()));
        }
        let declare = method(1, 50, 10, &[&[0, 0], &short(queue), &[DURABLE], &long(&table)]);
        self.ask(&declare, 50, 11)
    }

    pub(super) fn purge(&mut self, queue: &str) -> anyhow::Result<()> {
        self.ask(&method(1, 50, 30, &[&[0, 0], &short(queue), &[0]]), 50, 31)
    }

    pub(super) fn delete(&mut self, queue: &str) -> anyhow::Result<()> {
        self.ask(&method(1, 50, 40, &[&[0, 0], &short(queue), &[0]]), 50, 41)
    }

    /// Consumes without acknowledgements.
    pub(super) fn consume(&mut self, queue: &str) -> anyhow::Result<()> {
        const NO_ACK: u8 = 2;
        let consume = method(
            1,
            60,
            20,
            &[&[0, 0], &short(queue), &short("c"), &[NO_ACK], &[0; 4]],
        );
        self.ask(&consume, 60, 21)
    }

    /// Waits for a whole message.
    pub(super) fn delivery(&mut self) -> anyhow::Result<()> {
        loop {
            let (kind, _) = self.frame()?;
            if kind == 3 {
                return Ok(());
            }
        }
    }

    /// Publishes durable messages and waits until all are confirmed, never with more than `window` that are not.
    pub(super) fn publish(&mut self, queue: &str, count: usize, window: usize) -> anyhow::Result<()> {
        let mut message = method(1, 60, 40, &[&[0, 0], &short(""), &short(queue), &[0]]);
        let mut header = vec![0, 60, 0, 0];
        header.extend((BODY as u64).to_be_bytes());
        // The one property: delivery-mode 2.
        header.extend([0x10, 0x00, 2]);
        message.extend(frame(2, 1, &header));
        message.extend(frame(3, 1, &[b'x'; BODY]));
        let last = self.published + count as u64;
        let mut out = Vec::new();
        while self.confirmed < last {
            while self.published < last && self.published - self.confirmed < window as u64 {
                out.extend_from_slice(&message);
                self.published += 1;
            }
            self.stream.write_all(&out)?;
            out.clear();
            self.confirmation()?;
        }
        Ok(())
    }

    fn confirmation(&mut self) -> anyhow::Result<()> {
        let (kind, payload) = self.frame()?;
        let (1, [0, 60, 0, 80, tag @ .., multiple]) = (kind, &payload[..]) else {
            bail!("a message was not confirmed: {payload:?}");
        };
        let tag = u64::from_be_bytes(tag.try_into().context("a confirmation without a number")?);
        if multiple & 1 != 0 {
            self.confirmed = self.confirmed.max(tag);
        } else {
            self.beyond.insert(tag);
        }
        while self
            .beyond
            .first()
            .is_some_and(|first| *first <= self.confirmed + 1)
        {
            if let Some(first) = self.beyond.pop_first() {
                self.confirmed = self.confirmed.max(first);
            }
        }
        Ok(())
    }

    fn ask(&mut self, request: &[u8], class: u16, method: u16) -> anyhow::Result<()> {
        self.stream.write_all(request)?;
        self.expect(class, method)
    }

    fn expect(&mut self, class: u16, method: u16) -> anyhow::Result<()> {
        let (_, payload) = self.frame()?;
        let wanted = [class.to_be_bytes(), method.to_be_bytes()].concat();
        if !payload.starts_with(&wanted) {
            bail!(
                "expected method {method} of class {class}, got {:?}",
                String::from_utf8_lossy(&payload)
            );
        }
        Ok(())
    }

    /// The next frame that is no heartbeat: its type and payload.
    fn frame(&mut self) -> anyhow::Result<(u8, Vec<u8>)> {
        const HEAD: usize = 7;
        loop {
            if let Some(head) = self.input[self.at..].first_chunk::<HEAD>() {
                let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
                let (kind, start) = (head[0], self.at + HEAD);
                if let Some(payload) = self.input.get(start..start + size)
                    && self.input.len() > start + size
                {
                    let payload = payload.to_vec();
                    self.at = start + size + 1;
                    if kind == 8 {
                        continue;
                    }
                    return Ok((kind, payload));
                }
            }
            self.input.drain(..self.at);
            self.at = 0;
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes)? {
                0 => bail!("the broker closed the connection"),
                count => self.input.extend_from_slice(&bytes[..count]),
            }
        }
    }
}
