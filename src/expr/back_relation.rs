//! `coll_via_field`: which field of which collection points here.

use std::sync::Arc;

use crate::schema::{Collection, FieldKind, Schema};

/// The collection and the position of its relation field that `name` means from `target`.
#[must_use]
pub fn find(schema: &Schema, target: &Collection, name: &str) -> Option<(Arc<Collection>, usize)> {
    // Both halves may contain the word themselves: the last split that resolves is meant.
    name.rmatch_indices("_via_").find_map(|(at, word)| {
        let referrer = schema.find(&name[..at])?;
        let index = referrer.field_index(&name[at + word.len()..])?;
        match &referrer.fields[index].kind {
            FieldKind::Relation(options) if options.collection_id == target.id => {
                Some((Arc::clone(referrer), index))
            }
            _ => None,
        }
    })
}

/// Whether a unique index over `column` alone makes sure that at most one record points to another.
#[must_use]
pub fn is_unique(collection: &Collection, column: &str) -> bool {
    collection.indexes.iter().any(|index| {
        let lower = index.to_ascii_lowercase();
        let Some((head, rest)) = lower.split_once('(') else {
            return false;
        };
        let Some((columns, tail)) = rest.rsplit_once(')') else {
            return false;
        };
        let named = columns.trim().trim_matches(['`', '"', '[', ']', '\'']);
        head.split_whitespace().nth(1) == Some("unique")
            && named == column.to_ascii_lowercase()
            && tail.trim().trim_end_matches(';').is_empty()
    })
}
