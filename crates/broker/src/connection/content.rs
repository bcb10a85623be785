//! A message that is being received.

use amq_protocol::protocol::basic::{AMQPProperties, Publish};
use bytes::Bytes;

use crate::codec::ContentHeader;
use crate::failure::{Code, Failure};

/// A publish, waiting for its header or for the rest of its body.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) publish: Publish,
    /// The channel was found to be wrong after the publish: the content is read and thrown away.
    content: Option<Parts>,
}

#[derive(Debug)]
struct Parts {
    size: usize,
    properties: AMQPProperties,
    raw: Bytes,
    body: Vec<u8>,
}

/// A publish with all its content.
#[derive(Debug)]
pub(super) struct Complete {
    pub(super) publish: Publish,
    pub(super) properties: AMQPProperties,
    pub(super) raw: Bytes,
    pub(super) body: Bytes,
}

impl Assembly {
    pub(super) fn new(publish: Publish) -> Self {
        Self {
            publish,
            content: None,
        }
    }

    /// Takes the header.
    ///
    /// # Errors
    /// 505 for a second header or one of another class; 406 on the channel for a body over `max`.
    pub(super) fn header(&mut self, header: ContentHeader, max: u64) -> Result<(), Failure> {
        if self.content.is_some() || header.class != 60 {
            return Err(unexpected("expected the body or header of class 60 of a message"));
        }
        let size = usize::try_from(header.size).unwrap_or(usize::MAX);
        if header.size > max {
            return Err(Failure::channel(
                Code::PreconditionFailed,
                format!(
                    "message size {} is larger than configured max size {max}",
                    header.size
                ),
            ));
        }
        self.content = Some(Parts {
            size,
            properties: header.properties,
            // Not a slice: it would keep the read buffer in memory.
            raw: Bytes::copy_from_slice(&header.raw),
            // Grows as the body comes: what is announced may never come.
            body: Vec::new(),
        });
        Ok(())
    }

    /// Takes a part of the body.
    ///
    /// # Errors
    /// 505 when there was no header, or for more than it announced.
    pub(super) fn body(&mut self, part: &[u8]) -> Result<(), Failure> {
        let content = self
            .content
            .as_mut()
            .ok_or_else(|| unexpected("a body without its header"))?;
        if content.body.len() + part.len() > content.size {
            return Err(unexpected("a body is longer than its header announced"));
        }
        if content.body.is_empty() {
            content
                .body
                .reserve_exact(content.size.min(part.len().max(64 * 1024)));
        }
        content.body.extend_from_slice(part);
        Ok(())
    }

    /// Bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.content
            .as_ref()
            .map_or(0, |content| content.body.len() + content.raw.len())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.content
            .as_ref()
            .is_some_and(|content| content.body.len() == content.size)
    }

    /// The message, once [`Assembly::is_complete`].
    pub(super) fn complete(self) -> Option<Complete> {
        let publish = self.publish;
        self.content.map(|mut content| {
            content.body.shrink_to_fit();
            Complete {
                publish,
                properties: content.properties,
                raw: content.raw,
                body: content.body.into(),
            }
        })
    }
}

pub(super) fn unexpected(text: &str) -> Failure {
    Failure::connection(Code::UnexpectedFrame, text)
}
