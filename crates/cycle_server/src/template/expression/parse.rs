//! Tokens to a tree.

use serde_json::Value;

use super::super::error::Position;
use super::Fault;
use super::functions;
use super::scan::{Token, TokenKind, scan};
use super::tree::{Binary, Kind, Node, Unary, too_deep};

/// Most parentheses, brackets and braces within each other.
const MAX_NESTING: usize = 60;

pub(super) fn parse(text: &str, start: Position) -> Result<Node, Fault> {
    let tokens = scan(text, start)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        nesting: 0,
    };
    let node = parser.expression()?;
    match &parser.peek().kind {
        TokenKind::End => Ok(node),
        _ => parser.unexpected("an operator or the end of the expression"),
    }
}

struct Parser<'a> {
    /// Never empty: the last one is the end.
    tokens: &'a [Token],
    at: usize,
    nesting: usize,
}

/// Operators by how tightly they bind, the loosest first. All are left-associative.
const LEVELS: [&[(&str, Binary)]; 10] = [
    &[("||", Binary::Or)],
    &[("&&", Binary::And)],
    &[("|", Binary::BitOr)],
    &[("^", Binary::BitXor)],
    &[("&", Binary::BitAnd)],
    &[
        ("==", Binary::Equal),
        ("!=", Binary::NotEqual),
        ("===", Binary::Is),
        ("=?=", Binary::Is),
        ("is", Binary::Is),
        ("!==", Binary::IsNot),
        ("=!=", Binary::IsNot),
        ("isnt", Binary::IsNot),
    ],
    &[
        ("<", Binary::Less),
        ("<=", Binary::LessOrEqual),
        (">", Binary::Greater),
        (">=", Binary::GreaterOrEqual),
        ("in", Binary::In),
    ],
    &[
        ("<<", Binary::ShiftLeft),
        (">>", Binary::ShiftRight),
        (">>>", Binary::ShiftRightUnsigned),
    ],
    &[("+", Binary::Add), ("-", Binary::Subtract)],
    &[
        ("*", Binary::Multiply),
        ("/", Binary::Divide),
        ("%", Binary::Remainder),
    ],
];

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn advance(&mut self) {
        self.at += 1;
    }

    /// Takes a symbol, if it is the next.
    fn take(&mut self, symbol: &str) -> bool {
        let is_next = matches!(&self.peek().kind, TokenKind::Symbol(next) if *next == symbol);
        if is_next {
            self.advance();
        }
        is_next
    }

    fn unexpected<T>(&self, expected: &str) -> Result<T, Fault> {
        let token = self.peek();
        Err(Fault::new(
            token.position,
            format!("found {}, expected {expected}", token.shown()),
        ))
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Fault> {
        if self.take(symbol) {
            return Ok(());
        }
        self.unexpected(&format!("`{symbol}`"))
    }

    fn expression(&mut self) -> Result<Node, Fault> {
        let position = self.peek().position;
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(too_deep(position));
        }
        let condition = self.binary(0)?;
        let position = self.peek().position;
        let node = if self.take("?:") {
            let instead = self.expression()?;
            Node::new(position, Kind::Otherwise(Box::new(condition), Box::new(instead)))?
        } else if self.take("?") {
            let yes = self.expression()?;
            self.expect(":")?;
            let no = self.expression()?;
            Node::new(
                position,
                Kind::Choice(Box::new(condition), Box::new(yes), Box::new(no)),
            )?
        } else {
            condition
        };
        self.nesting -= 1;
        Ok(node)
    }

    fn binary(&mut self, level: usize) -> Result<Node, Fault> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        loop {
            let token = self.peek();
            let found = operators.iter().find(|(text, _)| match &token.kind {
                TokenKind::Symbol(symbol) => symbol == text,
                TokenKind::Word(word) => word.eq_ignore_ascii_case(text),
                _ => false,
            });
            let Some((_, operator)) = found else {
                return Ok(left);
            };
            let position = token.position;
            self.advance();
            let right = self.binary(level + 1)?;
            left = Node::new(position, Kind::Binary(*operator, Box::new(left), Box::new(right)))?;
        }
    }

    fn unary(&mut self) -> Result<Node, Fault> {
        // In a loop: a row of them needs no stack.
        let mut operators = Vec::new();
        loop {
            let position = self.peek().position;
            let operator = match &self.peek().kind {
                TokenKind::Symbol("!") => Unary::Not,
                TokenKind::Symbol("-") => Unary::Minus,
                TokenKind::Symbol("+") => Unary::Plus,
                TokenKind::Symbol("~") => Unary::BitNot,
                _ => break,
            };
            self.advance();
            operators.push((position, operator));
        }
        let mut node = self.postfix()?;
        for (position, operator) in operators.into_iter().rev() {
            node = Node::new(position, Kind::Unary(operator, Box::new(node)))?;
        }
        Ok(node)
    }

    fn postfix(&mut self) -> Result<Node, Fault> {
        let mut node = self.primary()?;
        loop {
            let position = self.peek().position;
            if self.take(".") {
                let (TokenKind::Word(name) | TokenKind::Name(name)) = &self.peek().kind else {
                    return self.unexpected("the name of a member after `.`");
                };
                let name = name.clone();
                self.advance();
                node = Node::new(position, Kind::Member(Box::new(node), name))?;
            } else if self.take("[") {
                let index = self.expression()?;
                self.expect("]")?;
                node = Node::new(position, Kind::Index(Box::new(node), Box::new(index)))?;
            } else {
                return Ok(node);
            }
        }
    }

    fn primary(&mut self) -> Result<Node, Fault> {
        let Token { position, kind } = self.peek();
        let position = *position;
        let kind = match kind {
            TokenKind::Number(number) => Kind::Literal(number.clone()),
            TokenKind::Text(text) => Kind::Literal(Value::String(text.clone())),
            TokenKind::Name(name) => Kind::Name(name.clone()),
            TokenKind::Word(word) => {
                let word = word.clone();
                self.advance();
                let kind = self.word(word)?;
                return Node::new(position, kind);
            }
            TokenKind::Symbol("(") => {
                self.advance();
                let inside = self.expression()?;
                self.expect(")")?;
                return Ok(inside);
            }
            TokenKind::Symbol("{") => {
                self.advance();
                let elements = self.separated(",", "}", Self::expression)?;
                return Node::new(position, Kind::List(elements));
            }
            TokenKind::Symbol("[") => {
                self.advance();
                let fields = self.separated(";", "]", Self::field)?;
                return Node::new(position, Kind::Record(fields));
            }
            TokenKind::Symbol(_) | TokenKind::End => {
                return self.unexpected("a value, a name or a function");
            }
        };
        self.advance();
        Node::new(position, kind)
    }

    fn word(&mut self, word: String) -> Result<Kind, Fault> {
        if self.take("(") {
            let arguments = self.separated(",", ")", Self::expression)?;
            let function = functions::find(&word);
            return Ok(Kind::Call {
                name: word,
                function,
                arguments,
            });
        }
        Ok(match word.to_ascii_lowercase().as_str() {
            "true" => Kind::Literal(Value::Bool(true)),
            "false" => Kind::Literal(Value::Bool(false)),
            "undefined" => Kind::Literal(Value::Null),
            "error" => Kind::Error,
            _ => Kind::Name(word),
        })
    }

    fn field(&mut self) -> Result<(String, Node), Fault> {
        let (TokenKind::Word(name) | TokenKind::Name(name) | TokenKind::Text(name)) = &self.peek().kind
        else {
            return self.unexpected("a name or `]`");
        };
        let name = name.clone();
        self.advance();
        self.expect("=")?;
        Ok((name, self.expression()?))
    }

    /// Elements up to the closing symbol; a separator may stand before it.
    fn separated<T>(
        &mut self,
        separator: &str,
        close: &str,
        element: fn(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut elements = Vec::new();
        loop {
            if self.take(close) {
                return Ok(elements);
            }
            elements.push(element(self)?);
            if self.take(close) {
                return Ok(elements);
            }
            if !self.take(separator) {
                return self.unexpected(&format!("`{separator}` or `{close}`"));
            }
        }
    }
}
