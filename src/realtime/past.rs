//! What the log tells of records since a place in it, folded: one [`Past`] for each record, with the states between
//! which its visibility can differ. Pure.

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
    /// What takes it back, from one state to the one before, oldest first.
    steps: Vec<Back>,
}

/// The way back over one entry, or over several between which nobody's sight of the record differs.
#[derive(Clone, Debug)]
enum Back {
    /// It was made: there was nothing before.
    Made,
    /// Some of its cells were others.
    Changed {
        cells: Cells,
        /// Whether a cell on which its visibility depends is among them.
        matters: bool,
    },
    /// It was there.
    Removed(Arc<Cells>),
}

impl Past {
    /// Begins with a record's first entry, which is yet to be added.
    pub(super) fn begin(entry: &Entry) -> Self {
        Self {
            first: entry.position,
            last: entry.position,
            existed: entry.action != Action::Create,
            steps: Vec::new(),
        }
    }

    /// Adds a later entry; one that is known already changes nothing. `matters` knows the fields, by id, on which
    /// visibility depends.
    pub(super) fn add(&mut self, entry: Entry, matters: &dyn Fn(&str) -> bool) {
        if entry.position <= self.last && !self.steps.is_empty() {
            return;
        }
        self.last = self.last.max(entry.position);
        match entry.action {
            Action::Create => self.steps.push(Back::Made),
            Action::Delete => self.steps.push(Back::Removed(Arc::new(entry.undo))),
            Action::Update => {
                let counts = entry.undo.iter().any(|(field, _)| matters(field));
                self.change(entry.undo, counts);
            }
            Action::Schema | Action::Touched => {}
        }
    }

    fn change(&mut self, undo: Cells, counts: bool) {
        match self.steps.last_mut() {
            // As it was made it was to be seen by the same people.
            Some(Back::Made) if !counts => {}
            Some(Back::Changed { cells, matters }) if !(counts && *matters) => {
                *matters |= counts;
                for (field, value) in undo {
                    if !cells.iter().any(|(known, _)| *known == field) {
                        cells.push((field, value));
                    }
                }
            }
            Some(Back::Made | Back::Changed { .. } | Back::Removed(_)) | None => {
                self.steps.push(Back::Changed {
                    cells: undo,
                    matters: counts,
                });
            }
        }
    }

    /// The states before the present one, back to that in which the fold began, as far as there was a record. Of states
    /// in a row that the same people see, one is enough.
    pub(super) fn states<'a>(
        &'a self,
        collection: &'a Arc<Collection>,
        present: Option<&Record>,
    ) -> impl Iterator<Item = Record> + 'a {
        let mut state = present.cloned();
        self.steps.iter().rev().filter_map(move |step| {
            state = match (step, state.take()) {
                (Back::Made, _) => None,
                (Back::Changed { cells, .. }, later) => {
                    later.map(|later| with(collection, &later, cells))
                }
                (Back::Removed(cells), _) => Some(from_cells(collection, cells)),
            };
            state.clone()
        })
    }

    /// The record as it was when it was last removed.
    pub(super) fn at_end(&self, collection: &Arc<Collection>) -> Option<Record> {
        let removals = self.steps.iter().rev().find_map(|step| match step {
            Back::Removed(cells) => Some(cells),
            Back::Made | Back::Changed { .. } => None,
        });
        removals.map(|cells| from_cells(collection, cells))
    }

    /// Bytes it holds, roughly.
    pub(super) fn size_bytes(&self) -> usize {
        const OWN: usize = 120;
        const STEP: usize = 40;
        let cells = |cells: &Cells| -> usize {
            cells
                .iter()
                .map(|(field, value)| 32 + field.len() + value.size_bytes())
                .sum()
        };
        let steps = self.steps.iter().map(|step| match step {
            Back::Made => STEP,
            Back::Changed { cells: old, .. } => STEP + cells(old),
            Back::Removed(old) => STEP + cells(old),
        });
        OWN + steps.sum::<usize>()
    }
}

/// A record with some cells as they were before.
fn with(collection: &Arc<Collection>, record: &Record, old: &Cells) -> Record {
    let mut cells = record.cells().to_vec();
    for (at, field) in collection.fields.iter().enumerate() {
        if let Some((_, value)) = old.iter().find(|(id, _)| *id == field.id) {
            cells[at] = value.clone();
        }
    }
    Record::from_cells(Arc::clone(collection), cells)
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
