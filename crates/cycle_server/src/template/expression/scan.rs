//! Text to tokens.

use serde_json::Value;

use super::super::error::Position;
use super::super::value;
use super::Fault;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) position: Position,
    pub(super) kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// A number, or a relative time in seconds.
    Number(Value),
    /// Text in double quotes.
    Text(String),
    /// A word as it is: a name, a keyword, a function.
    Word(String),
    /// A name in single quotes, or after `$`: never a keyword.
    Name(String),
    Symbol(&'static str),
    End,
}

/// The longer ones first.
const SYMBOLS: [&str; 35] = [
    "=?=", "=!=", "===", "!==", ">>>", "==", "!=", "<=", ">=", "&&", "||", "<<", ">>", "?:", "(", ")", "[",
    "]", "{", "}", ",", ";", ".", "?", ":", "=", "<", ">", "+", "-", "*", "/", "%", "!", "~",
];
/// Those of one character that are the start of others, too.
const BITS: [&str; 3] = ["&", "|", "^"];

impl Token {
    /// How it is called in errors.
    pub(super) fn shown(&self) -> String {
        match &self.kind {
            TokenKind::Number(number) => format!("`{number}`"),
            TokenKind::Text(text) => format!("`\"{}\"`", super::super::lexer::short(text)),
            TokenKind::Word(word) | TokenKind::Name(word) => {
                format!("`{}`", super::super::lexer::short(word))
            }
            TokenKind::Symbol(symbol) => format!("`{symbol}`"),
            TokenKind::End => "the end of the expression".to_owned(),
        }
    }
}

/// The tokens of a text that starts at `start`; the last one is [`TokenKind::End`].
pub(super) fn scan(text: &str, start: Position) -> Result<Vec<Token>, Fault> {
    let mut scanner = Scanner {
        rest: text,
        position: start,
    };
    let mut tokens = Vec::new();
    loop {
        let blank = scanner.rest.len() - scanner.rest.trim_start().len();
        scanner.advance(blank);
        let position = scanner.position;
        let kind = scanner.token()?;
        let is_end = kind == TokenKind::End;
        tokens.push(Token { position, kind });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Scanner<'a> {
    rest: &'a str,
    position: Position,
}

impl<'a> Scanner<'a> {
    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.position = self.position.after(taken);
        self.rest = rest;
        taken
    }

    fn while_in(&self, accept: impl Fn(char) -> bool) -> usize {
        self.rest.find(|c: char| !accept(c)).unwrap_or(self.rest.len())
    }

    fn token(&mut self) -> Result<TokenKind, Fault> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(TokenKind::End);
        };
        match first {
            '"' => self.quoted('"').map(TokenKind::Text),
            '\'' => self.quoted('\'').map(TokenKind::Name),
            '`' => self.relative_time(),
            '0'..='9' => self.number(),
            '$' => {
                let position = self.position;
                self.advance(1);
                let length = self.while_in(is_word);
                if length == 0 {
                    return Err(Fault::new(position, "found `$`, expected a name after it"));
                }
                Ok(TokenKind::Name(self.advance(length).to_owned()))
            }
            c if is_word(c) => {
                let length = self.while_in(is_word);
                Ok(TokenKind::Word(self.advance(length).to_owned()))
            }
            c => {
                let symbol = SYMBOLS
                    .iter()
                    .chain(&BITS)
                    .find(|symbol| self.rest.starts_with(**symbol));
                match symbol {
                    Some(symbol) => {
                        self.advance(symbol.len());
                        Ok(TokenKind::Symbol(symbol))
                    }
                    None => Err(Fault::new(
                        self.position,
                        format!("found `{c}`, expected an expression"),
                    )),
                }
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.advance(at + 1);
                return Ok(text);
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            let Some((_, escaped)) = chars.next() else {
                break;
            };
            match escaped {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                '\\' | '"' | '\'' => text.push(escaped),
                // A regular expression's own escape: people write `\d` as often as `\\d`.
                other => text.extend(['\\', other]),
            }
        }
        Err(Fault::new(
            self.position,
            format!("found `{quote}` without a second one, expected it before the end of the expression"),
        ))
    }

    fn relative_time(&mut self) -> Result<TokenKind, Fault> {
        let position = self.position;
        let found = self.rest[1..].find('`').and_then(|end| {
            let seconds = value::seconds(&self.rest[1..=end])?;
            Some((end + 2, seconds))
        });
        match found {
            Some((length, seconds)) => {
                self.advance(length);
                Ok(TokenKind::Number(seconds.into()))
            }
            None => Err(Fault::new(
                position,
                "found a back-tick, expected a time such as `10m` between two of them",
            )),
        }
    }

    fn number(&mut self) -> Result<TokenKind, Fault> {
        let position = self.position;
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| {
            bytes[from.min(bytes.len())..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count()
        };
        let mut length = digits(0);
        let mut real = false;
        if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
            length += 1 + digits(length + 1);
            real = true;
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length + 1 + sign);
            if exponent > 0 {
                length += 1 + sign + exponent;
                real = true;
            }
        }
        let whole = length.max(self.while_in(is_word));
        let word = &self.rest[..whole];
        let number = if whole > length {
            let hexadecimal = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
            hexadecimal
                .and_then(|digits| i64::from_str_radix(digits, 16).ok())
                .map(Value::from)
        } else if real {
            word.parse()
                .ok()
                .filter(|real: &f64| real.is_finite())
                .map(Value::from)
        } else {
            word.parse::<i64>().ok().map(Value::from)
        };
        let Some(number) = number else {
            let found = super::super::lexer::short(word);
            return Err(Fault::new(
                position,
                format!("found `{found}`, expected a number"),
            ));
        };
        self.advance(whole);
        Ok(TokenKind::Number(number))
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
