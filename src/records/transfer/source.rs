//! From bytes to rows: one reader for each format, none of which holds more than a row.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::csv::Table;
use super::items::{Items, Lines};
use super::options::{Format, ImportOptions, refused};
use crate::kit::json::JsonMap;
use crate::kit::limits::{IMPORT_IGNORED_LISTED_MAX, IMPORT_ROW_BYTES_MAX};
use crate::records::Error;
use crate::schema::Collection;
use crate::schema::field::Modifier;

/// Bytes to import, and how many there are where that is known.
pub struct Input {
    /// The bytes, from their start.
    pub reader: Box<dyn Read + Send>,
    /// How many.
    pub bytes: Option<u64>,
}

/// What a row says.
pub(super) enum Cells {
    /// Texts by the plan of the header.
    Texts(Vec<String>),
    /// Values by key.
    Values(JsonMap),
}

/// A row as it was read; one that cannot be read says why, by code and message.
pub(super) struct RawRow {
    pub(super) line: u64,
    pub(super) cells: Result<Cells, (&'static str, String)>,
}

/// What one column of CSV means.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Position in the file.
    pub(super) at: usize,
    /// Key of the record.
    pub(super) key: String,
    /// Field that the key speaks of, and how.
    pub(super) field: usize,
    pub(super) modifier: Modifier,
}

enum Reader {
    Table(Box<Table>),
    Lines(Lines),
    Items(Items),
}

/// Rows of one file, one after the other.
pub(super) struct Source {
    reader: Reader,
    counter: Arc<AtomicU64>,
    /// What the columns of CSV mean, in the order in which they act.
    pub(super) columns: Arc<[Column]>,
    /// Names that mean nothing.
    pub(super) ignored: Vec<String>,
    pub(super) bytes_total: Option<u64>,
}

impl Source {
    /// Reads as far as the names of the columns.
    ///
    /// # Errors
    /// When the file cannot be read, or its columns cannot be followed.
    pub(super) fn open(
        input: Input,
        options: &ImportOptions,
        collection: &Collection,
    ) -> Result<Self, Error> {
        let counter = Arc::new(AtomicU64::new(0));
        let reader = Metered {
            inner: input.reader,
            counter: Arc::clone(&counter),
        };
        let mut source = Self {
            reader: match options.format {
                Format::Csv => Reader::Table(Box::new(Table::open(reader, options.separator)?)),
                Format::Json => Reader::Items(Items::open(reader)?),
                Format::Ndjson => Reader::Lines(Lines::open(reader)),
            },
            counter,
            columns: Arc::from([]),
            ignored: Vec::new(),
            bytes_total: input.bytes,
        };
        if let Reader::Table(table) = &source.reader {
            let (columns, ignored) = plan(table.header(), options, collection)?;
            (source.columns, source.ignored) = (columns.into(), ignored);
        }
        Ok(source)
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// When nothing behind this place can be read.
    pub(super) fn next(&mut self) -> io::Result<Option<RawRow>> {
        match &mut self.reader {
            Reader::Table(table) => table.next(&self.columns),
            Reader::Lines(lines) => lines.next(),
            Reader::Items(items) => items.next(),
        }
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.counter.load(Ordering::Relaxed)
    }

    /// Remembers a name that means nothing.
    pub(super) fn ignore(&mut self, name: &str) {
        if self.ignored.len() < IMPORT_IGNORED_LISTED_MAX
            && !self.ignored.iter().any(|known| known == name)
        {
            self.ignored.push(name.to_owned());
        }
    }
}

/// What the columns mean: each at most one field, and no field twice.
fn plan(
    header: &[String],
    options: &ImportOptions,
    collection: &Collection,
) -> Result<(Vec<Column>, Vec<String>), Error> {
    let mut columns: Vec<Column> = Vec::new();
    let mut ignored = Vec::new();
    for (at, name) in header.iter().enumerate() {
        let meaning = options.meaning(name);
        let resolved = meaning
            .and_then(|key| Some((key, crate::schema::field::resolve_key(collection, key)?)));
        let Some((key, (field, modifier))) = resolved else {
            if ignored.len() < IMPORT_IGNORED_LISTED_MAX {
                ignored.push(name.clone());
            }
            continue;
        };
        if columns.iter().any(|column| column.key == key) {
            return Err(refused(
                "mapping",
                &format!("More than one column of the file means {key:?}."),
            ));
        }
        columns.push(Column {
            at,
            key: key.to_owned(),
            field,
            modifier,
        });
    }
    if let Some((name, _)) = options
        .mapping
        .iter()
        .find(|(name, _)| !header.contains(name))
    {
        return Err(refused(
            "mapping",
            &format!("The file has no column {name:?}."),
        ));
    }
    if columns.is_empty() {
        return Err(refused(
            "file",
            "No column of the file has the name of a field of the collection.",
        ));
    }
    // Shorter keys act first, as in a body.
    columns.sort_by_key(|column| column.key.len());
    Ok((columns, ignored))
}

/// Counts what is read.
pub(super) struct Metered {
    inner: Box<dyn Read + Send>,
    counter: Arc<AtomicU64>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.counter.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The error of a row that is larger than one may be.
pub(super) fn too_large(line: u64) -> io::Error {
    io::Error::other(format!(
        "the row at line {line} is larger than {} MiB; a quotation mark may not be closed",
        IMPORT_ROW_BYTES_MAX >> 20
    ))
}
