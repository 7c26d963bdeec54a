//! Text -> tokens (contract 4.1). Works on bytes: everything outside quotes and comments is ASCII.

use compact_str::CompactString;

use super::ast::Op;
use super::catalog::BindError;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name that is not followed by `(`.
    Name(CompactString),
    /// A name directly followed by `(`; the bracket is part of it.
    Call(CompactString),
    Number(f64),
    Text(CompactString),
    Sign(Op, bool),
    And,
    Or,
    Open,
    Close,
    Comma,
}

/// Reads tokens one at a time.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

fn error(message: impl Into<String>) -> BindError {
    BindError(message.into())
}

impl<'a> Lexer<'a> {
    /// At the start of `text`; a NUL outside quotes is its end.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        match self.text.as_bytes().get(self.at) {
            Some(0) | None => None,
            Some(&byte) => Some(byte),
        }
    }

    fn run(&mut self, accept: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&accept) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn skip_blank(&mut self) {
        loop {
            self.run(|b| matches!(b, b' ' | b'\t' | b'\n'));
            if !self.text[self.at..].starts_with("//") {
                return;
            }
            match memchr::memchr2(b'\n', 0, &self.text.as_bytes()[self.at..]) {
                Some(end) => self.at += end,
                None => self.at = self.text.len(),
            }
        }
    }

    /// The next token, `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Token>, BindError> {
        self.skip_blank();
        let Some(byte) = self.peek() else {
            return Ok(None);
        };
        let token = match byte {
            b'(' => self.single(Token::Open),
            b')' => self.single(Token::Close),
            b',' => self.single(Token::Comma),
            b'\'' | b'"' => self.quoted(byte)?,
            b'-' | b'0'..=b'9' => self.number()?,
            b'&' | b'|' => match self.run(|b| matches!(b, b'&' | b'|')) {
                "&&" => Token::And,
                "||" => Token::Or,
                other => return Err(error(format!("invalid join operator {other:?}"))),
            },
            b'=' | b'?' | b'!' | b'<' | b'>' | b'~' => {
                let sign = self.run(|b| matches!(b, b'=' | b'?' | b'!' | b'<' | b'>' | b'~'));
                let (op, any) = Op::parse(sign)
                    .ok_or_else(|| error(format!("invalid sign operator {sign:?}")))?;
                Token::Sign(op, any)
            }
            b'@' | b'_' | b'#' | b'a'..=b'z' | b'A'..=b'Z' => self.name()?,
            _ => {
                let unexpected = self.text[self.at..].chars().next().unwrap_or(' ');
                return Err(error(format!("unexpected character {unexpected:?}")));
            }
        };
        Ok(Some(token))
    }

    fn single(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn quoted(&mut self, quote: u8) -> Result<Token, BindError> {
        self.at += 1;
        let bytes = self.text.as_bytes();
        let mut out = CompactString::default();
        let mut from = self.at;
        loop {
            match bytes.get(self.at) {
                None => return Err(error("missing closing quote")),
                Some(&b) if b == quote => break,
                Some(b'\\') if matches!(bytes.get(self.at + 1), Some(&next) if next == quote || next == b'\\') =>
                {
                    out.push_str(&self.text[from..self.at]);
                    from = self.at + 1;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
            }
        }
        out.push_str(&self.text[from..self.at]);
        self.at += 1;
        Ok(Token::Text(out))
    }

    fn number(&mut self) -> Result<Token, BindError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.run(|b| b.is_ascii_digit());
        let mut valid = !whole.is_empty();
        if self.peek() == Some(b'.') {
            self.at += 1;
            valid &= !self.run(|b| b.is_ascii_digit()).is_empty();
        }
        let text = &self.text[start..self.at];
        match text.parse() {
            Ok(number) if valid => Ok(Token::Number(number)),
            Ok(_) | Err(_) => Err(error(format!("invalid number {text:?}"))),
        }
    }

    fn name(&mut self) -> Result<Token, BindError> {
        let start = self.at;
        self.at += 1;
        self.run(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':'));
        let name = &self.text[start..self.at];
        if matches!(name, "@" | "_" | "#") || name.ends_with(['.', ':']) {
            return Err(error(format!("invalid identifier {name:?}")));
        }
        if self.peek() == Some(b'(') {
            self.at += 1;
            return Ok(Token::Call(name.into()));
        }
        Ok(Token::Name(name.into()))
    }
}
