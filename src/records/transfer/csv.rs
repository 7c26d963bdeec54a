//! CSV in: RFC 4180 with the liberties that spreadsheets take (other separators, a byte order mark, short last lines).
//! CSV out: texts that a spreadsheet would take for a formula begin with an apostrophe, which the way in takes off.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::options::refused;
use super::source::{Cells, Column, Metered, RawRow, too_large};
use crate::kit::limits::{IMPORT_COLUMNS_MAX, IMPORT_ROW_BYTES_MAX};
use crate::records::Error;

/// What a spreadsheet takes for the beginning of a formula; and the mark itself, so that it can be told from ours.
const SUSPICIOUS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\''];
/// Bytes of the beginning that the separator is found out by.
const HEAD_BYTES: usize = 64 << 10;

/// Rows of one CSV file.
pub(super) struct Table {
    reader: csv::Reader<Guarded<io::Chain<io::Cursor<Vec<u8>>, Metered>>>,
    since: Arc<AtomicU64>,
    record: csv::ByteRecord,
    header: Vec<String>,
}

impl Table {
    /// Reads the names of the columns.
    pub(super) fn open(mut reader: Metered, separator: Option<u8>) -> Result<Self, Error> {
        let unreadable = |error: &dyn std::fmt::Display| {
            refused("file", &format!("The file cannot be read: {error}."))
        };
        let mut head = Vec::new();
        (&mut reader)
            .take(HEAD_BYTES as u64)
            .read_to_end(&mut head)
            .map_err(|error| unreadable(&error))?;
        if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
            return Err(refused(
                "file",
                "The file is UTF-16; save it as UTF-8 and try again.",
            ));
        }
        if head.starts_with("\u{feff}".as_bytes()) {
            head.drain(..3);
        }
        let separator = separator.unwrap_or_else(|| guess_separator(&head));
        let since = Arc::new(AtomicU64::new(0));
        let guarded = Guarded {
            inner: io::Cursor::new(head).chain(reader),
            since: Arc::clone(&since),
        };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(64 << 10)
            .from_reader(guarded);
        let mut record = csv::ByteRecord::new();
        let some = reader
            .read_byte_record(&mut record)
            .map_err(|error| unreadable(&error))?;
        if !some {
            return Err(refused("file", "The file is empty."));
        }
        if record.len() > IMPORT_COLUMNS_MAX {
            return Err(refused(
                "file",
                &format!("The file has more than {IMPORT_COLUMNS_MAX} columns."),
            ));
        }
        let header: Result<Vec<String>, _> = record
            .iter()
            .map(|cell| std::str::from_utf8(cell).map(|name| name.trim().to_owned()))
            .collect();
        let header = header.map_err(|_| refused("file", "The file is not UTF-8."))?;
        Ok(Self {
            reader,
            since,
            record,
            header,
        })
    }

    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    pub(super) fn next(&mut self, columns: &[Column]) -> io::Result<Option<RawRow>> {
        self.since.store(0, Ordering::Relaxed);
        let some = self.reader.read_byte_record(&mut self.record);
        let line = self.record.position().map_or(0, csv::Position::line);
        match some {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) if self.since.load(Ordering::Relaxed) > IMPORT_ROW_BYTES_MAX => {
                drop(error);
                return Err(too_large(self.reader.position().line()));
            }
            Err(error) => return Err(io::Error::other(error.to_string())),
        }
        let (found, expected) = (self.record.len(), self.header.len());
        // Spreadsheets leave off empty cells at the end of a line; a single cell where there should be several is damage.
        let cells = if found > expected || (found == 1 && expected > 1) {
            Err((
                "import_columns",
                format!("The row has {found} cells, the header names {expected}."),
            ))
        } else {
            self.texts(columns)
        };
        Ok(Some(RawRow { line, cells }))
    }

    fn texts(&self, columns: &[Column]) -> Result<Cells, (&'static str, String)> {
        let text = |column: &Column| {
            let cell = self.record.get(column.at).unwrap_or(b"");
            std::str::from_utf8(cell)
                .map(|text| calmed(text).to_owned())
                .map_err(|_| {
                    let name = &self.header[column.at];
                    (
                        "import_encoding",
                        format!("The cell of {name:?} is not UTF-8."),
                    )
                })
        };
        columns
            .iter()
            .map(text)
            .collect::<Result<_, _>>()
            .map(Cells::Texts)
    }
}

/// The separator that the first line has most of, outside of quotation marks.
fn guess_separator(head: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    for &byte in head {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if !quoted => {
                for (separator, count) in &mut counts {
                    *count += usize::from(byte == *separator);
                }
            }
            _ => {}
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    counts
        .iter()
        .find(|(_, count)| *count == most && most > 0)
        .map_or(b',', |(separator, _)| *separator)
}

/// Ends a row that grows past what one may have.
struct Guarded<R> {
    inner: R,
    /// Bytes since the last row.
    since: Arc<AtomicU64>,
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let since = self.since.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
        if since > IMPORT_ROW_BYTES_MAX {
            return Err(io::Error::other("a row is too large"));
        }
        Ok(read)
    }
}

/// The text without the apostrophe that [`write_cell`] put in front of it.
fn calmed(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(SUSPICIOUS) => rest,
        _ => text,
    }
}

/// Appends a cell, quoted where it must be. A `text` that looks like a formula gets an apostrophe in front.
pub(super) fn write_cell(cell: &str, text: bool, out: &mut Vec<u8>) {
    let marked = text && cell.starts_with(SUSPICIOUS);
    let quoted =
        cell.contains(['"', ',', '\n', '\r']) || cell.starts_with(' ') || cell.ends_with(' ');
    if quoted {
        out.push(b'"');
    }
    if marked {
        out.push(b'\'');
    }
    if quoted {
        for byte in cell.bytes() {
            if byte == b'"' {
                out.push(b'"');
            }
            out.push(byte);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(cell.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_calmed_and_come_back_as_they_were() {
        for (cell, written) in [
            ("plain", "plain"),
            ("=1+1", "'=1+1"),
            ("-5", "'-5"),
            ("'twas", "''twas"),
            ("@a,b", "\"'@a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
        ] {
            let mut out = Vec::new();
            write_cell(cell, true, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
        assert_eq!(calmed("'=1+1"), "=1+1");
        assert_eq!(calmed("''twas"), "'twas");
        assert_eq!(calmed("'twas"), "'twas");
    }

    #[test]
    fn the_separator_is_the_one_of_the_first_line() {
        for (head, separator) in [
            ("a,b\n1;2;3", b','),
            ("a;b\n1,2,3", b';'),
            ("a\tb", b'\t'),
            ("\"a,b,c\"|d", b'|'),
            ("only", b','),
        ] {
            assert_eq!(guess_separator(head.as_bytes()), separator, "{head}");
        }
    }
}
