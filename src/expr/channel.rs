//! Rules of realtime channels: about no record, so that they are bound over an empty one. They see `@request`,
//! `@collection`, and the channel's own name and parts.

use std::sync::{Arc, LazyLock};

use compact_str::CompactString;

use crate::expr::{Catalog, Filter};
use crate::kit::value::Value;
use crate::schema::{Collection, CollectionId, Kind, Record};

/// Id of the root of such rules; no collection has it.
pub(super) const ROOT: &str = "@channel";

static COLLECTION: LazyLock<Arc<Collection>> = LazyLock::new(|| {
    let mut root = Collection::scaffold(Kind::Base);
    root.id = CollectionId::new(ROOT);
    root.name = CompactString::const_new(ROOT);
    root.fields.truncate(1);
    Arc::new(root)
});

impl Catalog {
    /// Binds the rule of a channel; nothing is cached.
    ///
    /// # Errors
    /// As [`Catalog::filter`].
    pub fn channel_rule(&self, text: &str) -> Result<Filter, super::BindError> {
        self.filter(&COLLECTION, text, super::Guard::Trusted)
    }
}

/// What such a rule is judged over.
#[must_use]
pub fn channel_row() -> Record {
    let cells = vec![Value::Null; COLLECTION.fields.len()];
    Record::from_cells(Arc::clone(&COLLECTION), cells)
}
