//! The rows of `_collections` as a schema.

use std::sync::Arc;

use rusqlite::{Connection, Row};

use crate::schema::{Rules, Schema, StoredCollection};
use crate::store::StoreError;

/// Reads all collections in stored order.
pub(in crate::store) fn load(
    connection: &Connection,
    generation: u64,
) -> Result<Schema, StoreError> {
    let mut statement = connection.prepare(
        "SELECT id, system, type, name, fields, indexes, listRule, viewRule, createRule, updateRule, deleteRule, \
         options, created, updated FROM _collections ORDER BY rowid",
    )?;
    let mut rows = statement.query([])?;
    let mut collections = Vec::new();
    while let Some(row) = rows.next()? {
        let collection = stored(row)?
            .parse()
            .map_err(|error| StoreError::Directory(error.to_string()))?;
        collections.push(Arc::new(collection));
    }
    Ok(Schema::new(generation, collections))
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredCollection> {
    Ok(StoredCollection {
        id: row.get(0)?,
        system: row.get(1)?,
        kind: row.get(2)?,
        name: row.get(3)?,
        fields: text(row, 4)?,
        indexes: text(row, 5)?,
        rules: Rules {
            list: row.get(6)?,
            view: row.get(7)?,
            create: row.get(8)?,
            update: row.get(9)?,
            delete: row.get(10)?,
        },
        options: text(row, 11)?,
        created: row.get(12)?,
        updated: row.get(13)?,
    })
}

/// JSON that older programs have stored as bytes or NULL.
fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(at)? {
        rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => String::new(),
    })
}
