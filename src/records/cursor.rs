//! Paging by `cursor`: the answer names the first and the last row of the page, sealed, and the pages beside it end before
//! the one and begin after the other. No row is given twice or left out because others came or went in between, and no
//! page costs more than the first.

use std::cell::RefCell;

use compact_str::CompactString;

use super::Error;
use super::list::ListQuery;
use crate::call::Call;
use crate::expr::{Sort, SortKey};
use crate::kit::json::{self, Json};
use crate::kit::value::{Columns, Value};
use crate::schema::Collection;
use crate::store::{After, CursorSeal};

/// Reads and makes the cursors of one list.
pub(super) struct Pages<'a> {
    seal: &'a CursorSeal,
    keys: &'a [SortKey],
    /// What a cursor is for: it opens for the same list of the same caller only.
    binding: String,
    /// The first row that was read, and the last one.
    ends: RefCell<Option<(Json, Json)>>,
    fields: usize,
    id: Option<usize>,
}

impl<'a> Pages<'a> {
    pub(super) fn new(
        seal: &'a CursorSeal,
        call: &Call,
        collection: &Collection,
        query: &ListQuery,
        sort: Option<&'a Sort>,
    ) -> Result<Self, Error> {
        let keys = match sort.map(Sort::keyset) {
            None => &[],
            Some(Some(keys)) => keys,
            Some(None) => {
                return Err(Error::BadQuery("no cursor for this order".to_owned()));
            }
        };
        let caller = call.actor.record().map_or_else(String::new, |record| {
            format!("{}/{}", record.collection().id.as_str(), record.id())
        });
        let parts = [
            collection.id.as_str(),
            query.sort.as_str(),
            query.filter.as_str(),
            caller.as_str(),
        ];
        Ok(Self {
            seal,
            keys,
            // As JSON, so that no part can pose as the end of another.
            binding: json::to_text(&Json::from(parts.to_vec())),
            ends: RefCell::new(None),
            fields: collection.fields.len(),
            id: collection.field_index("id"),
        })
    }

    /// Where the page begins, or ends: an empty cursor is the beginning of the list.
    pub(super) fn after(&self, cursor: &str) -> Result<After<'a>, Error> {
        let mut after = After {
            keys: self.keys,
            row: None,
            backward: false,
        };
        if !cursor.is_empty() {
            let opened = self.seal.open_text(cursor, &self.binding);
            let opened = opened.as_deref().unwrap_or_default();
            let (backward, text) = match opened.strip_prefix(BACKWARD) {
                Some(text) => (true, text),
                None => (false, opened),
            };
            let row = row_of(text).filter(|(values, _)| values.len() == self.keys.len());
            let unknown = || Error::BadQuery("the cursor is of another list".to_owned());
            after.row = Some(row.ok_or_else(unknown)?);
            after.backward = backward;
        }
        Ok(after)
    }

    /// Remembers a row that was read.
    pub(super) fn note(&self, row: &dyn Columns) {
        let keys = (0..self.keys.len()).map(|at| json_of(&row.cell(self.fields + at).to_value()));
        let mut cells: Vec<Json> = keys.collect();
        let id = self.id.map_or("", |at| row.cell(at).text_or_empty());
        cells.push(Json::from(id));
        let cells = Json::Array(cells);
        let mut ends = self.ends.borrow_mut();
        match ends.as_mut() {
            Some((_, last)) => *last = cells,
            None => *ends = Some((cells.clone(), cells)),
        }
    }

    /// The cursor after the last row that was read, for who reads forward only.
    pub(super) fn next(&self) -> Option<String> {
        let ends = self.ends.borrow();
        // Not through our own writer: whole numbers beyond doubles must come back as they were.
        let text = serde_json::to_string(&ends.as_ref()?.1).ok()?;
        Some(self.seal.seal_text(&text, &self.binding))
    }

    /// The cursors before the page and after it, rows having been read in the direction of `after`.
    pub(super) fn beside(&self, after: &After<'_>) -> Option<(String, String)> {
        let ends = self.ends.borrow();
        let (read_first, read_last) = ends.as_ref()?;
        let (first, last) = if after.backward {
            (read_last, read_first)
        } else {
            (read_first, read_last)
        };
        let first = serde_json::to_string(first).ok()?;
        let before = self
            .seal
            .seal_text(&format!("{BACKWARD}{first}"), &self.binding);
        let next = if after.backward {
            let last = serde_json::to_string(last).ok()?;
            self.seal.seal_text(&last, &self.binding)
        } else {
            self.next()?
        };
        Some((before, next))
    }
}

/// Stands before the row of a cursor that leads towards the beginning.
const BACKWARD: char = '<';

/// Numbers keep their kind: whole ones as they are, others in an array of one.
fn json_of(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(n) => Json::from(*n),
        Value::Real(n) => Json::Array(vec![Json::from(*n)]),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Blob(_) => Json::from(value.to_display().as_str()),
    }
}

fn row_of(text: &str) -> Option<(Vec<Value>, CompactString)> {
    let Ok(Json::Array(mut cells)) = serde_json::from_str(text) else {
        return None;
    };
    let Some(Json::String(id)) = cells.pop() else {
        return None;
    };
    let values = cells.into_iter().map(|cell| match cell {
        Json::Null => Some(Value::Null),
        Json::Number(n) => n.as_i64().map(Value::Int),
        Json::String(text) => Some(Value::from(text)),
        Json::Array(number) => number.first()?.as_f64().map(Value::Real),
        Json::Bool(_) | Json::Object(_) => None,
    });
    Some((values.collect::<Option<_>>()?, id.into()))
}
