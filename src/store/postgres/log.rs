//! The change log in PostgreSQL: `_burrow_changes`, one row a change, and `_burrow_meta`, what the log is. Whoever
//! appends holds the one lock of writers, so that places have no gaps and come into sight in their order.

use super::session::Session;
use crate::kit::id;
use crate::kit::limits;
use crate::kit::sql::{Dialect, Sql};
use crate::kit::time::Timestamp;
use crate::kit::value::{Cell, Columns, Value};
use crate::schema::{CollectionId, RecordId};
use crate::store::change::{Action, Entry, Subject};
use crate::store::undo::{self, ENTRY_BYTES};
use crate::store::{Change, ChangeKind, Position, StoreError};

/// Our tables beside those of the collections.
pub(super) const CREATE_TABLES: &str = "\
CREATE TABLE IF NOT EXISTS _burrow_changes (
  position bigint PRIMARY KEY,
  tx bigint NOT NULL,
  time bigint NOT NULL,
  action smallint NOT NULL,
  collection text COLLATE \"C\",
  record text COLLATE \"C\",
  undo bytea
);
CREATE TABLE IF NOT EXISTS _burrow_meta (
  key text COLLATE \"C\" PRIMARY KEY,
  value text COLLATE \"C\" NOT NULL
);";

/// Version of what we add to a database; one of a higher version is not opened.
const FORMAT: u64 = 1;

/// How far data that is on its way has come, in `_burrow_meta`; nothing where the database is whole.
pub(super) const MOVING: &str = "moving";

/// What the log of a database is.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    /// Names the unbroken past; see [`crate::store::Cursor`].
    pub(super) epoch: u64,
    /// Key that seals cursors.
    pub(super) cursor_key: [u8; 32],
    /// Where the log ended. The schema is read after it: what another node writes in between is learned twice, and never
    /// missed.
    pub(super) last: u64,
}

fn sql() -> Sql {
    Sql::new(Dialect::Postgres)
}

/// Reads what the log is, and says so where nobody has yet. Inside the transaction that opens the database.
pub(super) fn prepare(session: &Session) -> Result<Meta, StoreError> {
    match meta(session, "format")?.and_then(|text| text.parse::<u64>().ok()) {
        None => set_meta(session, "format", &FORMAT.to_string())?,
        Some(found) if found <= FORMAT => {}
        Some(found) => {
            return Err(StoreError::Directory(format!(
                "the database was written by a newer Burrow (format {found}, this one knows {FORMAT})"
            )));
        }
    }
    let known = meta(session, "cursor_key")?.and_then(|text| from_hex(&text));
    let cursor_key = match known {
        Some(key) => key,
        None => {
            let key = id::random_bytes::<32>();
            set_meta(session, "cursor_key", &to_hex(&key))?;
            key
        }
    };
    let epoch = match meta(session, "epoch")?.and_then(|text| text.parse().ok()) {
        Some(epoch) => epoch,
        None => new_epoch(session)?,
    };
    Ok(Meta {
        epoch,
        cursor_key,
        last: last_position(session)?,
    })
}

/// Says what the log is, in a database that was made for data which has one already.
pub(super) fn begin_as(session: &Session, epoch: u64, key: &[u8; 32]) -> Result<(), StoreError> {
    set_meta(session, "format", &FORMAT.to_string())?;
    set_meta(session, "cursor_key", &to_hex(key))?;
    set_meta(session, "epoch", &epoch.to_string())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let bytes: Option<Vec<u8>> = (0..text.len() / 2)
        .map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect();
    bytes?.try_into().ok()
}

/// Begins another epoch: cursors of the past count as expired.
pub(super) fn new_epoch(session: &Session) -> Result<u64, StoreError> {
    let epoch = u64::from_le_bytes(id::random_bytes::<8>());
    set_meta(session, "epoch", &epoch.to_string())?;
    Ok(epoch)
}

/// Time of the entry at `position`, if it is there.
pub(super) fn time_at(session: &Session, position: u64) -> Result<Option<i64>, StoreError> {
    let mut sql = sql();
    sql.push("SELECT time FROM _burrow_changes WHERE position = ")
        .arg(position.cast_signed());
    session.query_one(&sql, |row| int(row, 0))
}

/// End of the log, and its epoch.
pub(super) const END: &str = "SELECT coalesce(max(position), 0), \
     (SELECT value FROM _burrow_meta WHERE key = 'epoch') FROM _burrow_changes";

/// What [`END`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) last: u64,
    pub(super) epoch: u64,
}

impl End {
    pub(super) fn of(row: &[Option<String>]) -> Self {
        let number = |at: usize| {
            let text = row.get(at)?.as_deref()?;
            text.parse().ok()
        };
        Self {
            last: number(0).unwrap_or(0),
            epoch: number(1).unwrap_or(0),
        }
    }
}

/// What `_burrow_meta` says of `key`.
pub(super) fn meta(session: &Session, key: &str) -> Result<Option<String>, StoreError> {
    let mut sql = sql();
    sql.push("SELECT value FROM _burrow_meta WHERE key = ")
        .arg(key);
    session.query_one(&sql, |row| row.cell(0).text_or_empty().to_owned())
}

/// Sets what it says.
pub(super) fn set_meta(session: &Session, key: &str, value: &str) -> Result<(), StoreError> {
    let mut sql = sql();
    sql.push("INSERT INTO _burrow_meta (key, value) VALUES (")
        .arg(key)
        .push(", ")
        .arg(value)
        .push(") ON CONFLICT (key) DO UPDATE SET value = excluded.value");
    session.run(&sql).map(drop)
}

/// Place of the newest entry; 0 when there is none.
pub(in crate::store) fn last_position(session: &Session) -> Result<u64, StoreError> {
    bound(session, "SELECT max(position) FROM _burrow_changes")
}

/// Place of the oldest entry; 0 when there is none.
pub(in crate::store) fn first_position(session: &Session) -> Result<u64, StoreError> {
    bound(session, "SELECT min(position) FROM _burrow_changes")
}

fn bound(session: &Session, text: &'static str) -> Result<u64, StoreError> {
    let mut sql = sql();
    sql.push(text);
    let found = session.query_one(&sql, |row| int(row, 0))?;
    Ok(found.unwrap_or(0).cast_unsigned())
}

fn int(row: &dyn Columns, at: usize) -> i64 {
    match row.cell(at) {
        Cell::Int(n) => n,
        Cell::Null | Cell::Real(_) | Cell::Text(_) | Cell::Blob(_) => 0,
    }
}

/// Roughly how many bytes the log takes.
pub(super) fn estimate_bytes(session: &Session) -> Result<u64, StoreError> {
    let (first, last) = (first_position(session)?, last_position(session)?);
    if last == 0 {
        return Ok(0);
    }
    let mut sql = sql();
    sql.push(
        "SELECT coalesce(avg(length(undo)), 0)::bigint FROM \
         (SELECT undo FROM _burrow_changes ORDER BY position DESC LIMIT 1000) AS newest",
    );
    let average = session.query_one(&sql, |row| int(row, 0))?.unwrap_or(0);
    Ok((last - first + 1) * (average.cast_unsigned() + ENTRY_BYTES))
}

/// Writes the entry of `change`.
pub(in crate::store) fn append(
    session: &Session,
    change: &Change,
    undo: Option<&[u8]>,
) -> Result<(), StoreError> {
    let (action, subject) = match &change.kind {
        ChangeKind::Create { after } => (Action::Create, Some(after)),
        ChangeKind::Update { after, .. } => (Action::Update, Some(after)),
        ChangeKind::Delete { before } => (Action::Delete, Some(before)),
        ChangeKind::Schema { .. } => (Action::Schema, None),
        ChangeKind::Touched { .. } => (Action::Touched, None),
    };
    let collection = match &change.kind {
        ChangeKind::Touched { collection } => Some(collection.as_str()),
        _ => subject.map(|record| record.collection().id.as_str()),
    };
    let cells = [
        Cell::Int(change.position.0.cast_signed()),
        Cell::Int(change.tx.cast_signed()),
        Cell::Int(change.time.as_millis()),
        Cell::Int(action.code()),
        collection.map_or(Cell::Null, Cell::Text),
        subject.map_or(Cell::Null, |record| Cell::Text(record.id())),
        undo.map_or(Cell::Null, Cell::Blob),
    ];
    let text = "INSERT INTO _burrow_changes (position, tx, time, action, collection, record, undo) \
                VALUES (?, ?, ?, ?, ?, ?, ?)";
    session.run_with(text, cells.into_iter()).map(drop)
}

const ENTRY: &str = "SELECT position, tx, time, action, collection, record, undo FROM _burrow_changes WHERE position > ";

/// The entries after `position`, in order, at most `limit`.
pub(in crate::store) fn read_after(
    session: &Session,
    position: u64,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let mut sql = sql();
    sql.push(ENTRY).arg(position.cast_signed());
    sql.push(" ORDER BY position LIMIT ")
        .arg(i64::try_from(limit).unwrap_or(i64::MAX));
    let mut entries = Vec::new();
    session.query_rows(&sql, &mut |row| entries.push(entry(row)))?;
    Ok(entries)
}

/// The entries of the transaction whose first entry stands at `first`, in order, at most `limit`.
pub(in crate::store) fn read_tx(
    session: &Session,
    first: u64,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    // They stand together, so that the first one of another transaction ends them.
    let mut sql = sql();
    sql.push(ENTRY)
        .arg(first.saturating_sub(1).cast_signed())
        .push(" AND tx = ")
        .arg(first.cast_signed())
        .push(" AND position < coalesce((SELECT min(position) FROM _burrow_changes WHERE tx <> ")
        .arg(first.cast_signed())
        .push(" AND position > ")
        .arg(first.cast_signed())
        .push("), 9223372036854775807) ORDER BY position LIMIT ")
        .arg(i64::try_from(limit).unwrap_or(i64::MAX));
    let mut entries = Vec::new();
    session.query_rows(&sql, &mut |row| entries.push(entry(row)))?;
    Ok(entries)
}

fn entry(row: &dyn Columns) -> Entry {
    let action = Action::from_code(int(row, 3));
    let stored = match row.cell(6) {
        Cell::Blob(bytes) => Some(bytes),
        _ => None,
    };
    let (undo, concerns) = undo::read(action, stored);
    let text = |at: usize| match row.cell(at) {
        Cell::Text(text) => Some(text.to_owned()),
        _ => None,
    };
    Entry {
        position: Position(int(row, 0).cast_unsigned()),
        tx: int(row, 1).cast_unsigned(),
        time: Timestamp::from_millis(int(row, 2)),
        action,
        subject: text(4).map(|id| Subject {
            collection: CollectionId::new(id),
            record: text(5).map(RecordId::new),
        }),
        undo,
        concerns,
    }
}

/// Gives each entry after `position` that removes cells of records of `collections`, or changes the schema, to `each`,
/// in order.
pub(in crate::store) fn removals_after(
    session: &Session,
    position: u64,
    collections: &[CollectionId],
    each: &mut dyn FnMut(Entry),
) -> Result<(), StoreError> {
    let mut sql = sql();
    sql.push(ENTRY).arg(position.cast_signed());
    sql.push(" AND action IN (2, 3, 4) ORDER BY position");
    session.query_rows(&sql, &mut |row| {
        let wanted = match row.cell(4) {
            Cell::Text(id) => collections.iter().any(|known| known.as_str() == id),
            _ => true,
        };
        if wanted {
            each(entry(row));
        }
    })
}

/// Gives place and record of each entry about `collection` after `position` to `each`, in order.
pub(in crate::store) fn scan_after(
    session: &Session,
    position: u64,
    collection: &str,
    each: &mut dyn FnMut(Position, &str),
) -> Result<(), StoreError> {
    let mut sql = sql();
    sql.push("SELECT position, record FROM _burrow_changes WHERE position > ")
        .arg(position.cast_signed())
        .push(" AND collection = ")
        .arg(collection)
        .push(" AND record IS NOT NULL ORDER BY position");
    session.query_rows(&sql, &mut |row| {
        each(
            Position(int(row, 0).cast_unsigned()),
            row.cell(1).text_or_empty(),
        );
    })
}

/// Drops the oldest entries past the limits of age and number, one small step; how many. The newest entry always
/// stays: it holds the place of the end.
pub(super) fn trim(session: &Session, now: Timestamp, bytes: u64) -> Result<u64, StoreError> {
    let (first, last) = (first_position(session)?, last_position(session)?);
    if first >= last {
        return Ok(0);
    }
    let count = last - first + 1;
    let step_end = (first + limits::CHANGE_LOG_TRIM_STEP).min(last) - 1;
    let too_many = count > limits::CHANGE_LOG_ENTRIES_MAX || bytes > limits::CHANGE_LOG_BYTES_MAX;
    let mut sql = sql();
    sql.push("DELETE FROM _burrow_changes WHERE position <= ")
        .arg(step_end.cast_signed());
    if !too_many {
        let oldest_kept = now.plus_millis(-limits::CHANGE_LOG_AGE_SECS_MAX * 1_000);
        sql.push(" AND time < ")
            .arg(Value::Int(oldest_kept.as_millis()));
    }
    Ok(session.run(&sql)? as u64)
}
