//! What the log tells of records since a place in it, folded: one [`Past`] for each record, however often it changed.
//! Pure.

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;

use crate::kit::value::Value;
use crate::schema::{Collection, Record, RecordId};
use crate::store::{Action, Entry, Position};

/// Old cells by field id.
type Cells = Vec<(CompactString, Value)>;

/// Records of one collection.
pub(super) type Pasts = HashMap<RecordId, Past>;

/// One record since the place where the fold began.
#[derive(Clone, Debug)]
pub(super) struct Past {
    /// Its first and last entries.
    pub(super) first: Position,
    pub(super) last: Position,
    /// Whether it was there when the fold began.
    pub(super) existed: bool,
    /// Cells that it had then and that changed, before `base` was removed.
    undo: Cells,
    /// All of it at its first removal: with `undo`, what it was when the fold began.
    base: Option<Arc<Cells>>,
    /// All of it at its last removal.
    removed: Option<Arc<Cells>>,
}

impl Past {
    /// Begins with a record's first entry, which is yet to be added.
    pub(super) fn begin(entry: &Entry) -> Self {
        Self {
            first: entry.position,
            last: entry.position,
            existed: entry.action != Action::Create,
            undo: Vec::new(),
            base: None,
            removed: None,
        }
    }

    /// Adds a later entry; one that is known already changes nothing.
    pub(super) fn add(&mut self, entry: Entry) {
        self.last = self.last.max(entry.position);
        match entry.action {
            Action::Update if self.existed && self.base.is_none() => {
                for (field, value) in entry.undo {
                    if !self.undo.iter().any(|(known, _)| *known == field) {
                        self.undo.push((field, value));
                    }
                }
            }
            Action::Delete => {
                let cells = Arc::new(entry.undo);
                self.base.get_or_insert_with(|| Arc::clone(&cells));
                self.removed = Some(cells);
            }
            Action::Update | Action::Create | Action::Schema | Action::Touched => {}
        }
    }

    /// The record when the fold began; `present` is what it is now.
    pub(super) fn at_start(
        &self,
        collection: &Arc<Collection>,
        present: Option<&Record>,
    ) -> Option<Record> {
        if !self.existed {
            return None;
        }
        let base = match (&self.base, present) {
            (Some(cells), _) => from_cells(collection, cells),
            (None, Some(record)) => record.clone(),
            (None, None) => return None,
        };
        let mut cells = base.cells().to_vec();
        for (at, field) in collection.fields.iter().enumerate() {
            if let Some((_, old)) = self.undo.iter().find(|(id, _)| *id == field.id) {
                cells[at] = old.clone();
            }
        }
        Some(Record::from_cells(Arc::clone(collection), cells))
    }

    /// The record as it was when it was last removed.
    pub(super) fn at_end(&self, collection: &Arc<Collection>) -> Option<Record> {
        self.removed
            .as_deref()
            .map(|cells| from_cells(collection, cells))
    }

    /// Bytes it holds, roughly.
    pub(super) fn size_bytes(&self) -> usize {
        const OWN: usize = 160;
        let cells = |cells: &Cells| -> usize {
            cells
                .iter()
                .map(|(field, value)| 32 + field.len() + value.size_bytes())
                .sum()
        };
        let kept = |all: &Option<Arc<Cells>>| all.as_deref().map_or(0, cells);
        OWN + cells(&self.undo) + kept(&self.base) + kept(&self.removed)
    }
}

/// A record with the fields that its collection has now.
fn from_cells(collection: &Arc<Collection>, cells: &Cells) -> Record {
    let cells = collection
        .fields
        .iter()
        .map(|field| {
            cells
                .iter()
                .find(|(id, _)| *id == field.id)
                .map_or_else(|| field.zero(), |(_, value)| value.clone())
        })
        .collect();
    Record::from_cells(Arc::clone(collection), cells)
}
