//! JSON in: the items of one array, or one object a line. Only the present row is held; it is parsed as a request's body
//! would be.

use std::io::{self, BufRead, BufReader};

use super::options::refused;
use super::source::{Cells, Metered, RawRow, too_large};
use crate::kit::json::{self, Json};
use crate::kit::limits::IMPORT_ROW_BYTES_MAX;
use crate::records::Error;

const BUFFER_BYTES: usize = 64 << 10;

/// What a row's text says.
fn cells(text: &[u8]) -> Result<Cells, (&'static str, String)> {
    let text = std::str::from_utf8(text)
        .map_err(|_| ("import_encoding", "The row is not UTF-8.".to_owned()))?;
    match json::parse(text) {
        Ok(Json::Object(map)) => Ok(Cells::Values(map)),
        Ok(_) => Err(("import_object", "The row is not an object.".to_owned())),
        Err(error) => Err(("import_syntax", format!("The row is not JSON: {error}."))),
    }
}

/// One object a line.
pub(super) struct Lines {
    reader: BufReader<Metered>,
    line: u64,
    text: Vec<u8>,
}

impl Lines {
    pub(super) fn open(reader: Metered) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, reader),
            line: 0,
            text: Vec::new(),
        }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<RawRow>> {
        loop {
            if !self.fill()? {
                return Ok(None);
            }
            self.line += 1;
            let mut text = self.text.trim_ascii();
            if self.line == 1 {
                text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
            }
            if !text.is_empty() {
                return Ok(Some(RawRow {
                    line: self.line,
                    cells: cells(text),
                }));
            }
        }
    }

    /// Reads the next line; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.text.clear();
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(!self.text.is_empty());
            }
            let end = memchr::memchr(b'\n', buffer);
            let taken = end.map_or(buffer.len(), |end| end + 1);
            self.text.extend_from_slice(&buffer[..taken]);
            self.reader.consume(taken);
            if end.is_some() {
                return Ok(true);
            }
            if self.text.len() as u64 > IMPORT_ROW_BYTES_MAX {
                return Err(too_large(self.line + 1));
            }
        }
    }
}

/// The items of one array.
pub(super) struct Items {
    reader: BufReader<Metered>,
    line: u64,
    text: Vec<u8>,
    ended: bool,
    first: bool,
}

impl Items {
    /// Reads as far as the opening bracket.
    pub(super) fn open(reader: Metered) -> Result<Self, Error> {
        let mut items = Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, reader),
            line: 1,
            text: Vec::new(),
            ended: false,
            first: true,
        };
        let unreadable = |error| refused("file", &format!("The file cannot be read: {error}."));
        let mut begun = items.peek().map_err(unreadable)?;
        if begun == Some(0xef) {
            items.reader.consume(3);
            begun = items.peek().map_err(unreadable)?;
        }
        match begun {
            Some(b'[') => items.reader.consume(1),
            None => return Err(refused("file", "The file is empty.")),
            Some(_) => {
                return Err(refused(
                    "file",
                    "The file must be one JSON array of objects.",
                ));
            }
        }
        Ok(items)
    }

    /// The next byte that is no white space, not taken yet.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let blank = buffer
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            let lines = buffer[..blank].iter().filter(|&&b| b == b'\n').count();
            self.line += lines as u64;
            let found = buffer.get(blank).copied();
            self.reader.consume(blank);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<RawRow>> {
        if self.ended {
            return Ok(None);
        }
        let broken = |line: u64, what: &str| {
            io::Error::other(format!("the array is broken at line {line}: {what}"))
        };
        match (self.peek()?, self.first) {
            (Some(b']'), _) => return self.end(),
            (Some(b','), false) => self.reader.consume(1),
            (Some(_), true) => {}
            (Some(_), false) => return Err(broken(self.line, "a comma is missing")),
            (None, _) => return Err(broken(self.line, "it does not end")),
        }
        self.first = false;
        if self.peek()? != Some(b'{') {
            return Err(broken(self.line, "an object is missing"));
        }
        let line = self.line;
        if !self.fill()? {
            return Err(broken(self.line, "it does not end"));
        }
        Ok(Some(RawRow {
            line,
            cells: cells(&self.text),
        }))
    }

    fn end(&mut self) -> io::Result<Option<RawRow>> {
        self.reader.consume(1);
        self.ended = true;
        match self.peek()? {
            None => Ok(None),
            Some(_) => Err(io::Error::other(format!(
                "something follows the array at line {}",
                self.line
            ))),
        }
    }

    /// Takes one object, by its brackets; `false` when the file ends before it does.
    fn fill(&mut self) -> io::Result<bool> {
        self.text.clear();
        let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(false);
            }
            let mut taken = 0;
            let mut whole = false;
            for &byte in buffer {
                taken += 1;
                if byte == b'\n' {
                    self.line += 1;
                }
                if quoted {
                    quoted = escaped || byte != b'"';
                    escaped = !escaped && byte == b'\\';
                    continue;
                }
                match byte {
                    b'"' => quoted = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if depth == 0 {
                    whole = true;
                    break;
                }
            }
            self.text.extend_from_slice(&buffer[..taken]);
            self.reader.consume(taken);
            if whole {
                return Ok(true);
            }
            if self.text.len() as u64 > IMPORT_ROW_BYTES_MAX {
                return Err(too_large(self.line));
            }
        }
    }
}
