//! Rows of the system collections that belong to an account: second factors, codes, devices.

use std::sync::Arc;

use crate::kit::id;
use crate::kit::time::Timestamp;
use crate::schema::{Collection, Field, FieldKind, Record};

/// A new row of `collection` about `owner`.
pub(super) fn fresh(
    collection: &Arc<Collection>,
    owner: &Record,
    values: &[(&str, &str)],
    now: Timestamp,
) -> Record {
    let cells = collection.fields.iter().map(Field::zero).collect();
    let mut row = Record::from_cells(Arc::clone(collection), cells);
    row.set("id", id::record_id());
    row.set("collectionRef", owner.collection().id.as_str());
    row.set("recordRef", owner.id());
    for (name, value) in values {
        row.set(name, *value);
    }
    for field in &collection.fields {
        if let FieldKind::Autodate(_) = field.kind {
            row.set(&field.name, now.to_text());
        }
    }
    row
}

/// Whether `row` is about `owner`.
pub(super) fn is_of(row: &Record, owner: &Record) -> bool {
    row.text("collectionRef") == owner.collection().id.as_str()
        && row.text("recordRef") == owner.id()
}

/// Whether `row` was made more than `secs` before `now`. Times of the contract's form sort as text.
pub(super) fn is_older(row: &Record, secs: i64, now: Timestamp) -> bool {
    let oldest = now.plus_millis(-secs.saturating_mul(1000)).to_text();
    row.text("created") < oldest.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Kind;

    #[test]
    fn rows_age() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let collection = crate::schema::system::fresh(now)
            .into_iter()
            .find(|collection| collection.name == "_mfas")
            .unwrap();
        assert!(matches!(collection.kind, Kind::Base));
        let collection = Arc::new(collection);
        let owner = fresh(&collection, &blank(&collection), &[], now);
        let row = fresh(&collection, &owner, &[("method", "password")], now);
        assert!(is_of(&row, &owner));
        assert!(!is_older(&row, 600, now));
        assert!(!is_older(&row, 600, now.plus_millis(600_000)));
        assert!(is_older(&row, 600, now.plus_millis(600_001)));
    }

    fn blank(collection: &Arc<Collection>) -> Record {
        let cells = collection.fields.iter().map(Field::zero).collect();
        Record::from_cells(Arc::clone(collection), cells)
    }
}
