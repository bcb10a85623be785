//! Server-sent events: the wire form of `text/event-stream`.

use std::mem;

/// Most bytes of one event.
const MAX_EVENT: usize = 4 << 20;

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Last `id:` of the stream, if there was one.
    pub(crate) id: Option<String>,
    /// `event:`; empty is an ordinary message.
    pub(crate) event: String,
    /// `data:` lines, joined by line ends.
    pub(crate) data: String,
}

/// The stream sends something that is no event of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {MAX_EVENT} bytes")]
pub(crate) struct TooLarge;

/// Turns pieces of a stream into messages, wherever the pieces are cut.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    has_data: bool,
    message: Message,
}

impl Parser {
    /// The messages that end in this piece.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Message>, TooLarge> {
        let mut messages = Vec::new();
        for byte in bytes {
            let after_cr = mem::replace(&mut self.after_cr, *byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => messages.extend(self.end_line()),
                _ => self.line.push(*byte),
            }
            if self.line.len() + self.message.data.len() > MAX_EVENT {
                return Err(TooLarge);
            }
        }
        Ok(messages)
    }

    fn end_line(&mut self) -> Option<Message> {
        let line = String::from_utf8_lossy(&mem::take(&mut self.line)).into_owned();
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if mem::replace(&mut self.has_data, true) {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.message.event),
            "id" if !value.contains('\0') => self.message.id = Some(value.to_owned()),
            // Comments, which keep the connection alive, and fields of the future.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Message> {
        let id = self.message.id.clone();
        let message = mem::replace(
            &mut self.message,
            Message {
                id,
                ..Message::default()
            },
        );
        mem::take(&mut self.has_data).then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_comments_and_all_line_ends() {
        let mut parser = Parser::default();
        let text =
            ": hello\nid: 7\r\nevent: x\rdata: a\ndata:b\ndata:\n\nretry: 5\n\ndata: c\n\ndata: unfinished\n";
        let messages = parser.push(text.as_bytes()).unwrap();
        let message = |event: &str, data: &str| Message {
            id: Some("7".into()),
            event: event.into(),
            data: data.into(),
        };
        assert_eq!(messages, [message("x", "a\nb\n"), message("", "c")]);
    }

    #[test]
    fn an_endless_event_is_an_error() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; MAX_EVENT / 2 + 1];
        parser.push(&piece).unwrap();
        assert_eq!(parser.push(&piece), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn the_cuts_do_not_matter(
            text in "((id|data|event|x)?:? ?[a-zü]{0,3}(\n|\r\n|\r)){0,20}",
            cuts in proptest::collection::vec(1usize..7, 1..20),
        ) {
            let whole = Parser::default().push(text.as_bytes()).unwrap();
            let mut parser = Parser::default();
            let mut pieces = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                pieces.extend(parser.push(piece).unwrap());
                rest = more;
            }
            prop_assert_eq!(pieces, whole);
        }
    }
}
