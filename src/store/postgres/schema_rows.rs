//! The rows of `_collections` as a schema.

use std::sync::Arc;

use super::session::Session;
use crate::kit::sql::{Dialect, Sql};
use crate::kit::value::{Cell, Columns};
use crate::schema::{Rules, Schema, StoredCollection};
use crate::store::StoreError;

/// Reads all collections in stored order.
pub(in crate::store) fn load(session: &Session, generation: u64) -> Result<Schema, StoreError> {
    let mut sql = Sql::new(Dialect::Postgres);
    sql.push(
        "SELECT id, system, type, name, fields, indexes, \"listRule\", \"viewRule\", \"createRule\", \"updateRule\", \
         \"deleteRule\", options, created, updated FROM _collections ORDER BY _rowid_",
    );
    let mut rows = Vec::new();
    session.query_rows(&sql, &mut |row| rows.push(stored(row)))?;
    let mut collections = Vec::with_capacity(rows.len());
    for row in rows {
        let collection = row
            .parse()
            .map_err(|error| StoreError::Directory(error.to_string()))?;
        collections.push(Arc::new(collection));
    }
    Ok(Schema::new(generation, collections))
}

fn stored(row: &dyn Columns) -> StoredCollection {
    let text = |at: usize| row.cell(at).text_or_empty().to_owned();
    let rule = |at: usize| match row.cell(at) {
        Cell::Text(text) => Some(text.to_owned()),
        _ => None,
    };
    StoredCollection {
        id: text(0),
        system: row.cell(1) == Cell::Int(1),
        kind: text(2),
        name: text(3),
        fields: text(4),
        indexes: text(5),
        rules: Rules {
            list: rule(6),
            view: rule(7),
            create: rule(8),
            update: rule(9),
            delete: rule(10),
        },
        options: text(11),
        created: text(12),
        updated: text(13),
    }
}
