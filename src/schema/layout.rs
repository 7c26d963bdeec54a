//! The order in which a record's keys are written: alphabetical, with `collectionId`, `collectionName` and `expand` in
//! their places. Made once for a collection.

use compact_str::CompactString;

use super::collection::Collection;
use crate::kit::json;

/// What stands under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The field at this position.
    Field(usize),
    /// The collection's id.
    CollectionId,
    /// The collection's present name.
    CollectionName,
    /// Expanded relations, when there are some.
    Expand,
}

/// One key of a record.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub name: CompactString,
    /// The key as it is written, with quotes and colon.
    pub key: Box<[u8]>,
    /// What stands under it.
    pub slot: Slot,
}

/// All keys of a collection's records in the order of the wire.
#[derive(Clone, Debug)]
pub struct Layout(Vec<Entry>);

impl Layout {
    /// The layout of `collection`.
    #[must_use]
    pub fn new(collection: &Collection) -> Self {
        let fields = collection
            .fields
            .iter()
            .enumerate()
            .map(|(index, field)| (field.name.clone(), Slot::Field(index)));
        let fixed = [
            ("collectionId", Slot::CollectionId),
            ("collectionName", Slot::CollectionName),
            ("expand", Slot::Expand),
        ]
        .map(|(name, slot)| (CompactString::const_new(name), slot));
        let mut entries: Vec<Entry> = fields
            .chain(fixed)
            .map(|(name, slot)| {
                let mut key = Vec::with_capacity(name.len() + 3);
                json::write_str(&name, &mut key);
                key.push(b':');
                Entry {
                    name,
                    key: key.into(),
                    slot,
                }
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Self(entries)
    }

    /// The keys in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }
}
