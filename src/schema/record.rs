//! A record: a row that belongs to its collection.

use std::sync::Arc;

use compact_str::CompactString;

use super::collection::Collection;
use crate::kit::value::{Cell, Columns, Value};

/// The id of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(CompactString);

impl RecordId {
    /// From text.
    pub fn new(text: impl Into<CompactString>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A row of a collection, its cells in the order of the collection's fields and in stored form
/// (multiple values and json as JSON text, bools as 0/1, dates as text).
/// Not `Serialize`: the one way out is a view for what a given caller may see.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    collection: Arc<Collection>,
    cells: Vec<Value>,
}

impl Record {
    /// From cells in field order, as the store reads them or a draft finished them.
    ///
    /// # Panics
    /// When the number of cells is not the number of fields: a mistake of ours, never of a caller.
    #[must_use]
    pub fn from_cells(collection: Arc<Collection>, cells: Vec<Value>) -> Self {
        assert_eq!(
            collection.fields.len(),
            cells.len(),
            "a record has one cell a field"
        );
        Self { collection, cells }
    }

    /// The collection this is a record of, as it was when the record was read.
    #[must_use]
    pub fn collection(&self) -> &Arc<Collection> {
        &self.collection
    }

    /// All cells in field order.
    #[must_use]
    pub fn cells(&self) -> &[Value] {
        &self.cells
    }

    /// Mutable cells, for drafts.
    pub fn cells_mut(&mut self) -> &mut [Value] {
        &mut self.cells
    }

    /// The cell of the field called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.collection
            .field_index(name)
            .map(|index| &self.cells[index])
    }

    /// The text of the field called `name`, `""` when there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.get(name).map_or("", Value::text_or_empty)
    }

    /// Sets the cell of the field called `name`; nothing happens when there is no such field.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        if let Some(index) = self.collection.field_index(name) {
            self.cells[index] = value.into();
        }
    }

    /// The record's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// Approximate bytes held.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.cells.iter().map(Value::size_bytes).sum::<usize>() + 64
    }
}

impl Columns for Record {
    fn cell(&self, index: usize) -> Cell<'_> {
        self.cells.get(index).map_or(Cell::Null, Value::as_cell)
    }
}
