//! The records of a list as a stream: read in pages after a cursor, so that neither memory nor a snapshot is held for
//! however long a client takes.

use std::sync::Arc;

use compact_str::CompactString;

use super::csv::write_cell;
use super::options::{Format, refused};
use crate::call::Call;
use crate::kit::json::Json;
use crate::kit::limits::{EXPORT_PIECE_BYTES, PER_PAGE_MAX};
use crate::kit::value::{Cell, Columns};
use crate::records::cursor::Pages;
use crate::records::list::{self, Bound, ListQuery};
use crate::records::{Error, Lens, Records, Sight};
use crate::schema::{Collection, Field, FieldKind, field};
use crate::store::{CursorSeal, Page, ReadTx, Select};

/// An export on its way. Each record comes once, in the state it has when its page is read.
pub struct Export {
    records: Records,
    call: Call,
    name: CompactString,
    format: Format,
    only: Option<Vec<String>>,
    /// `None` when everything has been given.
    next: Option<String>,
    first: bool,
}

/// One piece of an export and where the next begins.
type Piece = (Vec<u8>, Option<String>);

impl Records {
    /// What `call` asks of the collection that `name` names (`filter` and `sort` as for a list), all pages of it; `only`
    /// names the fields.
    #[must_use]
    pub fn export(
        &self,
        call: &Call,
        name: &str,
        format: Format,
        only: Option<Vec<String>>,
    ) -> Export {
        Export {
            records: self.clone(),
            call: call.clone(),
            name: name.into(),
            format,
            only,
            next: Some(String::new()),
            first: true,
        }
    }
}

impl Export {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// As a list; the first piece tells whether it can be had at all.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let Some(cursor) = self.next.take() else {
            return Ok(None);
        };
        let reading = Reading {
            call: self.call.clone(),
            name: self.name.clone(),
            format: self.format,
            only: self.only.clone(),
            cursor,
            first: std::mem::take(&mut self.first),
        };
        let seal = self.records.store().cursors().clone();
        let read = self.records.store().read(move |tx| reading.read(tx, &seal));
        let (piece, next) = read.await?;
        self.next = next;
        Ok(Some(piece))
    }
}

struct Reading {
    call: Call,
    name: CompactString,
    format: Format,
    only: Option<Vec<String>>,
    cursor: String,
    first: bool,
}

impl Reading {
    fn read(&self, tx: &ReadTx<'_>, seal: &CursorSeal) -> Result<Piece, Error> {
        if !self.call.actor.is_superuser() {
            return Err(Error::SuperusersOnly(Box::default()));
        }
        let catalog = tx.catalog();
        let (bound, query) = list::ask(catalog, &self.call, &self.name)?;
        let collection = &bound.collection;
        let shown = self.shown(collection)?;
        let mut out = Vec::with_capacity(64 << 10);
        if self.first {
            self.begin(&shown, &mut out);
        }
        let writer = RowWriter {
            format: self.format,
            lens: Sight::new(tx, &self.call)
                .lens(collection)
                .only(&names(&shown)),
            shown: &shown,
        };
        let next = self.rows(tx, seal, &bound, &query, &writer, &mut out)?;
        if next.is_none() && self.format == Format::Json {
            out.extend_from_slice(b"\n]\n");
        }
        Ok((out, next))
    }

    /// The fields to give, in the order of the collection or as they were asked for.
    fn shown<'c>(&self, collection: &'c Arc<Collection>) -> Result<Vec<(usize, &'c Field)>, Error> {
        let visible = |field: &Field| {
            let secret =
                collection.is_auth() && matches!(field.name.as_str(), "password" | "tokenKey");
            !secret && !matches!(field.kind, FieldKind::Password(_))
        };
        let all = || {
            collection
                .fields
                .iter()
                .enumerate()
                .filter(move |(_, f)| visible(f))
        };
        let Some(only) = &self.only else {
            return Ok(all().collect());
        };
        only.iter()
            .map(|name| {
                all()
                    .find(|(_, field)| field.name.as_str() == name.as_str())
                    .ok_or_else(|| {
                        refused(
                            "fields",
                            &format!("{name:?} is no field of the collection."),
                        )
                    })
            })
            .collect()
    }

    fn begin(&self, shown: &[(usize, &Field)], out: &mut Vec<u8>) {
        match self.format {
            Format::Csv => {
                for (nth, (_, field)) in shown.iter().enumerate() {
                    if nth > 0 {
                        out.push(b',');
                    }
                    write_cell(&field.name, false, out);
                }
                out.extend_from_slice(b"\r\n");
            }
            Format::Json => out.push(b'['),
            Format::Ndjson => {}
        }
    }

    fn rows(
        &self,
        tx: &ReadTx<'_>,
        seal: &CursorSeal,
        bound: &Bound,
        query: &ListQuery,
        writer: &RowWriter<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<String>, Error> {
        let collection = &bound.collection;
        let pages = Pages::new(seal, &self.call, collection, query, bound.sort.as_ref())?;
        let after = pages.after(&self.cursor)?;
        let mut select = Select::all(tx.catalog(), &self.call, collection);
        select.filter = bound.filter.as_ref();
        select.after = Some(&after);
        select.page = Some(Page {
            offset: 0,
            limit: u64::from(PER_PAGE_MAX),
        });
        let (mut written, mut met) = (0_u32, 0_u32);
        tx.for_each(&select, &mut |row| {
            met += 1;
            if written > 0 && out.len() > EXPORT_PIECE_BYTES {
                return;
            }
            writer.write(row, self.first && written == 0, out);
            pages.note(row);
            written += 1;
        })?;
        Ok(pages
            .next()
            .filter(|_| met == PER_PAGE_MAX || written < met))
    }
}

fn names(shown: &[(usize, &Field)]) -> Vec<String> {
    shown
        .iter()
        .map(|(_, field)| field.name.to_string())
        .collect()
}

struct RowWriter<'a> {
    format: Format,
    lens: Lens<'a>,
    shown: &'a [(usize, &'a Field)],
}

impl RowWriter<'_> {
    fn write(&self, row: &dyn Columns, first: bool, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => {
                out.extend_from_slice(if first { b"\n" } else { b",\n" });
                self.lens.write(row, None, out);
            }
            Format::Ndjson => {
                self.lens.write(row, None, out);
                out.push(b'\n');
            }
            Format::Csv => {
                for (nth, (at, field)) in self.shown.iter().enumerate() {
                    if nth > 0 {
                        out.push(b',');
                    }
                    write_value(field, row.cell(*at), out);
                }
                out.extend_from_slice(b"\r\n");
            }
        }
    }
}

/// A cell of CSV: texts as they are, everything else as in JSON; an empty value is an empty cell.
fn write_value(field: &Field, cell: Cell<'_>, out: &mut Vec<u8>) {
    match field::to_json(field, cell) {
        Json::Null => {}
        Json::String(text) if matches!(field.kind, FieldKind::Json(_)) => {
            // A text of a json field is told from other JSON by its quotation marks.
            write_cell(&crate::kit::json::to_text(&Json::String(text)), false, out);
        }
        Json::String(text) => write_cell(&text, true, out),
        Json::Array(items) if items.is_empty() && !matches!(field.kind, FieldKind::Json(_)) => {}
        other => write_cell(&crate::kit::json::to_text(&other), false, out),
    }
}
