//! PocketBase's own migrations that a directory of 0.23 to 0.39 has not seen, applied as 0.40 applies them.

use rusqlite::{Connection, params};

use crate::kit::time::Timestamp;
use crate::schema::{Schema, StoredCollection, with_present_alert};
use crate::store::StoreError;

/// The default alert of a new sign-in tells where it came from.
const ALERTS: &str = "1763020353_update_default_auth_alert_templates.go";
/// Rows of collections are spelt anew.
const SPELLING: &str = "1778828400_normalize_indexes.go";

/// Applies what is missing; whether collections changed. Runs inside a write transaction.
pub(in crate::store) fn migrate(
    connection: &Connection,
    schema: &Schema,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut known = connection.prepare("SELECT 1 FROM _migrations WHERE file = ?")?;
    let mut missing = Vec::new();
    for file in [ALERTS, SPELLING] {
        if !known.exists([file])? {
            missing.push(file);
        }
    }
    if missing.is_empty() {
        return Ok(false);
    }
    let mut update = connection
        .prepare("UPDATE _collections SET fields = ?, indexes = ?, options = ? WHERE id = ?")?;
    for collection in schema.iter() {
        let row = if missing.contains(&ALERTS) {
            StoredCollection::of(&with_present_alert(collection))
        } else {
            StoredCollection::of(collection)
        };
        update.execute(params![row.fields, row.indexes, row.options, row.id])?;
    }
    let mut insert = connection.prepare("INSERT INTO _migrations (file, applied) VALUES (?, ?)")?;
    let micros = now.as_millis().saturating_mul(1_000);
    for (nth, file) in (0_i64..).zip(missing) {
        insert.execute(params![file, micros + nth])?;
    }
    Ok(true)
}
