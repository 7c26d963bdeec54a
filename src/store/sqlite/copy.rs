//! Copying the databases while they are in use.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::Store;
use crate::store::StoreError;

/// All pages in one step: the copy reads one state, and writers go on beside it.
const ALL_PAGES: i32 = -1;

impl Store {
    /// Copies the databases as they are at one moment each into `folder`, under their own names. Blocks for as long as
    /// the disk takes; nobody waits for it.
    ///
    /// # Errors
    /// The database's own.
    pub fn copy_to(&self, folder: &Path) -> Result<(), StoreError> {
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
