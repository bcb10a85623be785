//! Text to headers and attributes, line by line.

use super::error::{Position, TemplateError};
use super::syntax::{Attribute, Operator};
use super::value::value_end;

/// More brackets than any section has.
const MAX_RANK: usize = 8;

/// What a line holds.
#[derive(Debug)]
pub(super) enum Item {
    Header(Header),
    Attribute(Attribute),
}

/// `[[kind name]]`
#[derive(Debug)]
pub(super) struct Header {
    pub(super) rank: usize,
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) position: Position,
}

/// Reads a text item by item.
pub(super) struct Lexer<'a> {
    file: &'a str,
    rest: &'a str,
    line: usize,
}

impl<'a> Lexer<'a> {
    /// `text` has `\n` as its line ends.
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            rest: text,
            line: 1,
        }
    }

    /// The next header or attribute; none at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<Item>, TemplateError> {
        while !self.rest.is_empty() {
            let line = self.rest.split('\n').next().unwrap_or_default();
            let content = line.trim_start();
            if content.is_empty() || content.starts_with('#') {
                self.advance(line.len());
                continue;
            }
            let start = Position {
                line: self.line,
                column: 1,
            };
            let position = start.after(&line[..line.len() - content.len()]);
            if content.starts_with('[') {
                let header = self.header(content.trim_end(), position)?;
                self.advance(line.len());
                return Ok(Some(Item::Header(header)));
            }
            return self
                .attribute(line.len() - content.len(), content, position)
                .map(|attribute| Some(Item::Attribute(attribute)));
        }
        Ok(None)
    }

    /// Goes `bytes` on, and over the line end there.
    fn advance(&mut self, bytes: usize) {
        self.line += self.rest[..bytes].matches('\n').count();
        self.rest = &self.rest[bytes..];
        if let Some(rest) = self.rest.strip_prefix('\n') {
            self.rest = rest;
            self.line += 1;
        }
    }

    fn header(&self, content: &str, position: Position) -> Result<Header, TemplateError> {
        let fail = |at, message: String| Err(TemplateError::at(self.file, at, message));
        let rank = content.bytes().take_while(|byte| *byte == b'[').count();
        if rank > MAX_RANK {
            return fail(position, format!("found {rank} `[`, expected at most {MAX_RANK}"));
        }
        let inside = &content[rank..];
        let Some(end) = inside.find(']') else {
            return fail(
                position.after(content),
                format!("found the end of the line, expected `{}`", "]".repeat(rank)),
            );
        };
        let closing = inside[end..].bytes().take_while(|byte| *byte == b']').count();
        if closing != rank {
            return fail(
                position.after(&content[..rank + end]),
                format!("found `{}`, expected `{}`", "]".repeat(closing), "]".repeat(rank)),
            );
        }
        let after = &inside[end + closing..];
        let extra = after.trim_start();
        if !extra.is_empty() && !extra.starts_with('#') {
            return fail(
                position.after(&content[..content.len() - extra.len()]),
                format!(
                    "found `{}` after the section header, expected the end of the line",
                    short(extra)
                ),
            );
        }
        let words = inside[..end].trim();
        let (kind, name) = match words.split_once(char::is_whitespace) {
            Some((kind, name)) => (kind, Some(name.trim().to_owned())),
            None => (words, None),
        };
        Ok(Header {
            rank,
            kind: kind.to_owned(),
            name,
            position,
        })
    }

    /// `content` is the line from its first character that is not blank, `indent` bytes into it.
    fn attribute(
        &mut self,
        indent: usize,
        content: &str,
        position: Position,
    ) -> Result<Attribute, TemplateError> {
        let Some(equals) = content.find('=') else {
            return Err(TemplateError::at(
                self.file,
                position,
                format!(
                    "found `{}`, expected `KEY = VALUE` or a section header",
                    short(content)
                ),
            ));
        };
        let (left, operator) = match content[..equals].strip_suffix(':') {
            Some(left) => (left, Operator::Expression),
            None => (&content[..equals], Operator::Value),
        };
        let key = left.trim_end();
        self.check_key(key, position)?;

        let after = &content[equals + 1..];
        let blank = after.len() - after.trim_start().len();
        let offset = indent + equals + 1 + blank;
        let value_position = position.after(&content[..equals + 1 + blank]);
        // From here on the value may go over several lines.
        let tail = &self.rest[offset..];
        let (raw, length) = match ["'''", "\"\"\""]
            .into_iter()
            .find(|quote| tail.starts_with(quote))
        {
            Some(quote) => self.several_lines(tail, quote, value_position)?,
            None => {
                let line = tail.split('\n').next().unwrap_or_default();
                let end = value_end(line).map_err(|quote| {
                    TemplateError::at(
                        self.file,
                        value_position.after(&line[..quote]),
                        "found `\"` without a second one, expected it before the end of the line",
                    )
                })?;
                (line[..end].trim_end().to_owned(), line.len())
            }
        };
        self.advance(offset + length);
        Ok(Attribute {
            key: key.to_owned(),
            operator,
            raw,
            position,
            value_position,
        })
    }

    fn check_key(&self, key: &str, position: Position) -> Result<(), TemplateError> {
        if key.is_empty() {
            return Err(TemplateError::at(
                self.file,
                position,
                "found `=` at the start of the line, expected a key before it",
            ));
        }
        let bad = key
            .char_indices()
            .find(|(_, c)| !c.is_alphanumeric() && !"._-*/@+".contains(*c));
        if let Some((at, c)) = bad {
            return Err(TemplateError::at(
                self.file,
                position.after(&key[..at]),
                format!("found `{c}` in a key, expected letters, digits and `._-*/@+`"),
            ));
        }
        if key.split('.').any(str::is_empty) {
            return Err(TemplateError::at(
                self.file,
                position,
                format!("found the key `{key}`, expected a name on both sides of each dot"),
            ));
        }
        Ok(())
    }

    /// The raw value with its quotes, and the bytes up to the end of its last line.
    fn several_lines(
        &self,
        tail: &str,
        quote: &str,
        position: Position,
    ) -> Result<(String, usize), TemplateError> {
        let Some(end) = tail[quote.len()..].find(quote) else {
            return Err(TemplateError::at(
                self.file,
                position,
                format!("found `{quote}` without a second one, expected it before the end of the file"),
            ));
        };
        let end = end + 2 * quote.len();
        let after = tail[end..].split('\n').next().unwrap_or_default();
        let extra = after.trim_start();
        if !extra.is_empty() && !extra.starts_with('#') {
            return Err(TemplateError::at(
                self.file,
                position.after(&tail[..end + after.len() - extra.len()]),
                format!(
                    "found `{}` after `{quote}`, expected the end of the line",
                    short(extra)
                ),
            ));
        }
        Ok((tail[..end].to_owned(), end + after.len()))
    }
}

/// The start of a text, for errors.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 40;
    let text = text.trim_end();
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
