//! The change log on disk: `_burrow_changes`, one row a change, and `_burrow_meta`, what the log is.

use rusqlite::Connection;

use super::row::{RowCells, bind_cell};
use crate::kit::id;
use crate::kit::limits;
use crate::kit::time::Timestamp;
use crate::kit::value::{Cell, Columns, Value};
use crate::schema::{CollectionId, RecordId};
use crate::store::change::{Action, Entry, Subject};
use crate::store::undo::{self, ENTRY_BYTES};
use crate::store::{Change, ChangeKind, Position, StoreError};

const CREATE_TABLES: &str = "\
CREATE TABLE IF NOT EXISTS _burrow_changes (
  position INTEGER PRIMARY KEY,
  tx INTEGER NOT NULL,
  time INTEGER NOT NULL,
  action INTEGER NOT NULL,
  collection TEXT,
  record TEXT,
  undo BLOB
);
CREATE TABLE IF NOT EXISTS _burrow_meta (
  key TEXT PRIMARY KEY,
  value NOT NULL
) WITHOUT ROWID;";

/// Version of what we add to a directory; a directory of a higher one is not opened.
const FORMAT: i64 = 1;

/// Where the data has gone, in `_burrow_meta`.
pub(super) const GONE: &str = "gone_to";

/// What the log of a directory is.
#[derive(Clone, Debug)]
pub(in crate::store) struct Meta {
    /// Names the unbroken past; see [`crate::store::Cursor`].
    pub(in crate::store) epoch: u64,
    /// Key that seals cursors.
    pub(in crate::store) cursor_key: [u8; 32],
}

/// Makes the tables where they are missing and reads what the log is. Runs inside a write transaction.
pub(in crate::store) fn prepare(connection: &Connection) -> Result<Meta, StoreError> {
    connection.execute_batch(CREATE_TABLES)?;
    match meta(connection, "format")? {
        None => set_meta(connection, "format", &Value::Int(FORMAT))?,
        Some(Value::Int(found)) if found <= FORMAT => {}
        Some(found) => {
            return Err(StoreError::Directory(format!(
                "the data directory was written by a newer Burrow (format {}, this one knows {FORMAT})",
                found.to_display()
            )));
        }
    }
    if let Some(to) = meta(connection, GONE)? {
        return Err(StoreError::Directory(format!(
            "the data of this directory has gone to PostgreSQL ({}): start with --database, or bring it back by \
             `burrow graduate --back`",
            to.to_display()
        )));
    }
    let cursor_key = match meta(connection, "cursor_key")? {
        Some(Value::Blob(bytes)) if bytes.len() == 32 => {
            let mut key = [0; 32];
            key.copy_from_slice(&bytes);
            key
        }
        _ => {
            let key = id::random_bytes::<32>();
            set_meta(connection, "cursor_key", &Value::Blob(key.to_vec()))?;
            key
        }
    };
    let epoch = match meta(connection, "epoch")? {
        Some(Value::Int(epoch)) => epoch.cast_unsigned(),
        _ => new_epoch(connection)?,
    };
    Ok(Meta { epoch, cursor_key })
}

/// Begins another epoch: cursors of the past count as expired.
pub(in crate::store) fn new_epoch(connection: &Connection) -> Result<u64, StoreError> {
    let epoch = u64::from_le_bytes(id::random_bytes::<8>());
    set_meta(connection, "epoch", &Value::Int(epoch.cast_signed()))?;
    Ok(epoch)
}

/// The log as it was prepared, if it was.
pub(super) fn known(connection: &Connection) -> Result<Option<Meta>, StoreError> {
    if !connection.table_exists(None, "_burrow_meta")? {
        return Ok(None);
    }
    let (Some(Value::Blob(key)), Some(Value::Int(epoch))) =
        (meta(connection, "cursor_key")?, meta(connection, "epoch")?)
    else {
        return Ok(None);
    };
    Ok(key.try_into().ok().map(|cursor_key| Meta {
        epoch: epoch.cast_unsigned(),
        cursor_key,
    }))
}

/// Says what the log of a database that was made anew is.
pub(super) fn begin_as(connection: &Connection, meta: &Meta) -> Result<(), StoreError> {
    connection.execute_batch(CREATE_TABLES)?;
    set_meta(connection, "format", &Value::Int(FORMAT))?;
    set_meta(
        connection,
        "cursor_key",
        &Value::Blob(meta.cursor_key.to_vec()),
    )?;
    set_meta(connection, "epoch", &Value::Int(meta.epoch.cast_signed()))
}

/// Whether the data has gone to PostgreSQL: then nothing is written here any more.
pub(super) fn is_gone(connection: &Connection) -> Result<bool, StoreError> {
    Ok(meta(connection, GONE)?.is_some())
}

/// What `_burrow_meta` says of `key`.
pub(super) fn meta(connection: &Connection, key: &str) -> Result<Option<Value>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT value FROM _burrow_meta WHERE key = ?")?;
    bind_cell(&mut statement, 1, Cell::Text(key))?;
    let mut rows = statement.raw_query();
    Ok(rows.next()?.map(|row| RowCells(row).cell(0).to_value()))
}

/// Sets what it says.
pub(super) fn set_meta(
    connection: &Connection,
    key: &str,
    value: &Value,
) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare_cached("INSERT OR REPLACE INTO _burrow_meta (key, value) VALUES (?, ?)")?;
    bind_cell(&mut statement, 1, Cell::Text(key))?;
    bind_cell(&mut statement, 2, value.as_cell())?;
    statement.raw_execute()?;
    Ok(())
}

/// Place of the newest entry; 0 when there is none.
pub(in crate::store) fn last_position(connection: &Connection) -> Result<u64, StoreError> {
    bound(connection, "SELECT max(position) FROM _burrow_changes")
}

/// Place of the oldest entry; 0 when there is none.
pub(in crate::store) fn first_position(connection: &Connection) -> Result<u64, StoreError> {
    bound(connection, "SELECT min(position) FROM _burrow_changes")
}

fn bound(connection: &Connection, sql: &'static str) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let position: Option<i64> = statement.query_row([], |row| row.get(0))?;
    Ok(position.map_or(0, i64::cast_unsigned))
}

/// Bytes of the whole log, judged by its newest thousand entries: counting them all would take too long at start.
pub(super) fn estimate_bytes(connection: &Connection) -> Result<u64, StoreError> {
    let count = last_position(connection)?.saturating_sub(first_position(connection)?) + 1;
    let mut statement = connection.prepare_cached(
        "SELECT avg(length(coalesce(undo, ''))) FROM \
         (SELECT undo FROM _burrow_changes ORDER BY position DESC LIMIT 1000)",
    )?;
    let average: Option<f64> = statement.query_row([], |row| row.get(0))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an average of lengths is small and not negative"
    )]
    let average = average.unwrap_or(0.0) as u64;
    Ok(count * (average + ENTRY_BYTES))
}

/// Writes the entry of `change`.
pub(in crate::store) fn append(
    connection: &Connection,
    change: &Change,
    undo: Option<&[u8]>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO _burrow_changes (position, tx, time, action, collection, record, undo) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    let (action, collection, record) = match &change.kind {
        ChangeKind::Create { after } => {
            (Action::Create, Some(after.collection()), Some(after.id()))
        }
        ChangeKind::Update { after, .. } => {
            (Action::Update, Some(after.collection()), Some(after.id()))
        }
        ChangeKind::Delete { before } => {
            (Action::Delete, Some(before.collection()), Some(before.id()))
        }
        ChangeKind::Schema { .. } => (Action::Schema, None, None),
        ChangeKind::Touched { .. } => (Action::Touched, None, None),
    };
    let collection = match &change.kind {
        ChangeKind::Touched { collection } => Some(collection.as_str()),
        _ => collection.map(|c| c.id.as_str()),
    };
    bind_cell(
        &mut statement,
        1,
        Cell::Int(change.position.0.cast_signed()),
    )?;
    bind_cell(&mut statement, 2, Cell::Int(change.tx.cast_signed()))?;
    bind_cell(&mut statement, 3, Cell::Int(change.time.as_millis()))?;
    bind_cell(&mut statement, 4, Cell::Int(action.code()))?;
    bind_cell(&mut statement, 5, collection.map_or(Cell::Null, Cell::Text))?;
    bind_cell(&mut statement, 6, record.map_or(Cell::Null, Cell::Text))?;
    bind_cell(&mut statement, 7, undo.map_or(Cell::Null, Cell::Blob))?;
    statement.raw_execute()?;
    Ok(())
}

/// The entries after `position`, in order, at most `limit`.
pub(in crate::store) fn read_after(
    connection: &Connection,
    position: u64,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT position, tx, time, action, collection, record, undo FROM _burrow_changes \
         WHERE position > ? ORDER BY position LIMIT ?",
    )?;
    bind_cell(&mut statement, 1, Cell::Int(position.cast_signed()))?;
    bind_cell(
        &mut statement,
        2,
        Cell::Int(i64::try_from(limit).unwrap_or(i64::MAX)),
    )?;
    let mut rows = statement.raw_query();
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(row)?);
    }
    Ok(entries)
}

/// The entries of the transaction whose first one stands at `first`, in order, at most `limit`.
pub(in crate::store) fn read_tx(
    connection: &Connection,
    first: u64,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT position, tx, time, action, collection, record, undo FROM _burrow_changes \
         WHERE position >= ? ORDER BY position",
    )?;
    bind_cell(&mut statement, 1, Cell::Int(first.cast_signed()))?;
    let mut rows = statement.raw_query();
    let mut entries = Vec::new();
    // They stand together: the first one of another transaction ends them.
    while entries.len() < limit
        && let Some(row) = rows.next()?
    {
        if row.get::<_, i64>(1)?.cast_unsigned() != first {
            break;
        }
        entries.push(entry(row)?);
    }
    Ok(entries)
}

fn entry(row: &rusqlite::Row<'_>) -> Result<Entry, StoreError> {
    let collection: Option<String> = row.get(4)?;
    let record: Option<String> = row.get(5)?;
    let stored: Option<Vec<u8>> = row.get(6)?;
    let action = Action::from_code(row.get(3)?);
    let (undo, concerns) = undo::read(action, stored.as_deref());
    Ok(Entry {
        position: Position(row.get::<_, i64>(0)?.cast_unsigned()),
        tx: row.get::<_, i64>(1)?.cast_unsigned(),
        time: Timestamp::from_millis(row.get(2)?),
        action,
        subject: collection.map(|id| Subject {
            collection: CollectionId::new(id),
            record: record.map(RecordId::new),
        }),
        undo,
        concerns,
    })
}

/// Gives each entry after `position` that removes cells of records of `collections`, or changes the schema, to `each`,
/// in order.
pub(in crate::store) fn removals_after(
    connection: &Connection,
    position: u64,
    collections: &[CollectionId],
    each: &mut dyn FnMut(Entry),
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT position, tx, time, action, collection, record, undo FROM _burrow_changes \
         WHERE position > ? AND action IN (2, 3, 4) ORDER BY position",
    )?;
    bind_cell(&mut statement, 1, Cell::Int(position.cast_signed()))?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let wanted = match RowCells(row).cell(4) {
            Cell::Text(id) => collections.iter().any(|known| known.as_str() == id),
            _ => true,
        };
        if wanted {
            each(entry(row)?);
        }
    }
    Ok(())
}

/// Gives place and record of each entry about `collection` after `position` to `each`, in order.
pub(in crate::store) fn scan_after(
    connection: &Connection,
    position: u64,
    collection: &str,
    each: &mut dyn FnMut(Position, &str),
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT position, record FROM _burrow_changes \
         WHERE position > ? AND collection = ? AND record IS NOT NULL ORDER BY position",
    )?;
    bind_cell(&mut statement, 1, Cell::Int(position.cast_signed()))?;
    bind_cell(&mut statement, 2, Cell::Text(collection))?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let position = Position(row.get::<_, i64>(0)?.cast_unsigned());
        if let Cell::Text(record) = RowCells(row).cell(1) {
            each(position, record);
        }
    }
    Ok(())
}

/// Drops the oldest entries past the limits of age and number, one small step; how many.
/// The newest entry always stays: it holds the place of the end.
pub(super) fn trim(connection: &Connection, now: Timestamp, bytes: u64) -> Result<u64, StoreError> {
    let first = first_position(connection)?;
    let last = last_position(connection)?;
    if first >= last {
        return Ok(0);
    }
    let count = last - first + 1;
    let step_end = (first + limits::CHANGE_LOG_TRIM_STEP).min(last) - 1;
    let too_many = count > limits::CHANGE_LOG_ENTRIES_MAX || bytes > limits::CHANGE_LOG_BYTES_MAX;
    let oldest_kept = now.plus_millis(-limits::CHANGE_LOG_AGE_SECS_MAX * 1_000);
    let mut statement = connection.prepare_cached(if too_many {
        "DELETE FROM _burrow_changes WHERE position <= ?1 AND ?2 IS NOT NULL"
    } else {
        "DELETE FROM _burrow_changes WHERE position <= ?1 AND time < ?2"
    })?;
    bind_cell(&mut statement, 1, Cell::Int(step_end.cast_signed()))?;
    bind_cell(&mut statement, 2, Cell::Int(oldest_kept.as_millis()))?;
    Ok(statement.raw_execute()? as u64)
}
