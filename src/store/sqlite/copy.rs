//! Copying the databases while they are in use.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use super::Database;
use crate::store::StoreError;

/// All pages in one step: the copy reads one state, and writers go on beside it.
const ALL_PAGES: i32 = -1;

impl Database {
    /// Copies the databases as they are at one moment each into `folder`, under their own names. Blocks for as long as
    /// the disk takes; nobody waits for it.
    ///
    /// # Errors
    /// The database's own.
    pub(in crate::store) fn copy_to(&self, folder: &Path) -> Result<(), StoreError> {
        for path in self.databases() {
            let Some(name) = path.file_name().filter(|_| path.exists()) else {
                continue;
            };
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let from = Connection::open_with_flags(path, flags)?;
            let mut to = Connection::open(folder.join(name))?;
            let copy = Backup::new(&from, &mut to)?;
            match copy.step(ALL_PAGES)? {
                StepResult::Done => {}
                _ => return Err(StoreError::Busy),
            }
        }
        Ok(())
    }
}

/// Whether the file at `path` is a whole database of PocketBase or Burrow, as far as it says of itself.
///
/// # Errors
/// Why it is not.
pub fn check_database(path: &Path) -> Result<(), String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let words = |error: rusqlite::Error| error.to_string();
    let connection = Connection::open_with_flags(path, flags).map_err(words)?;
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(words)?;
    if found != "ok" {
        return Err(found);
    }
    connection
        .prepare("SELECT id, name FROM _collections")
        .map(drop)
        .map_err(words)
}

/// A table and its rows, the same in a database and in its copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableCopy {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Of all cells of all rows, in the order of the table.
    hash: [u8; 32],
}

/// Copies the database at `from`, which may be in use, and compares the copy with it row by row.
///
/// # Errors
/// The database's own, and that the copy is not the same.
pub(in crate::store) fn copy_compared(
    from: &Path,
    to: &Path,
) -> Result<Vec<TableCopy>, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags)?;
    // One state for both the copy and the comparison.
    source.execute_batch("BEGIN")?;
    let there = tables(&source)?;
    {
        let mut target = Connection::open(to)?;
        let copy = Backup::new(&source, &mut target)?;
        match copy.step(ALL_PAGES)? {
            StepResult::Done => {}
            _ => return Err(StoreError::Busy),
        }
    }
    let here = tables(&Connection::open_with_flags(to, flags)?)?;
    if there != here {
        return Err(StoreError::Directory(format!(
            "the copy of {} is not the same",
            from.display()
        )));
    }
    Ok(here)
}

/// All tables of a database with what is in them.
fn tables(connection: &Connection) -> Result<Vec<TableCopy>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' \
         ORDER BY name",
    )?;
    let names: Result<Vec<String>, _> = statement.query_map([], |row| row.get(0))?.collect();
    names?
        .into_iter()
        .map(|name| fingerprint(connection, name))
        .collect()
}

fn fingerprint(connection: &Connection, name: String) -> Result<TableCopy, StoreError> {
    let mut sql = crate::kit::sql::Sql::new(crate::kit::sql::Dialect::Sqlite);
    sql.push("SELECT * FROM ").ident(&name);
    let mut statement = connection.prepare(sql.text())?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut hash = Sha256::new();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        for at in 0..columns {
            // Kind and length go along, so that no two rows look the same that are not.
            let (kind, bytes): (u8, &[u8]) = match row.get_ref(at)? {
                ValueRef::Null => (0, &[]),
                ValueRef::Integer(n) => (1, &n.to_le_bytes()),
                ValueRef::Real(n) => (2, &n.to_bits().to_le_bytes()),
                ValueRef::Text(text) => (3, text),
                ValueRef::Blob(bytes) => (4, bytes),
            };
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
    }
    Ok(TableCopy {
        name,
        rows: count,
        hash: hash.finalize().into(),
    })
}
