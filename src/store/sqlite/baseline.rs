//! The database as it is at one moment, held while others write on, with the tap open from that moment on.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::Database;
use super::replay::PAGE;
use super::tap::Tapped;
use crate::kit::limits::WRITE_ALONE_SECS_MAX;
use crate::kit::time::Timestamp;
use crate::store::StoreError;

/// The state that shipped writes follow.
#[derive(Debug)]
pub struct Baseline {
    connection: Connection,
    /// Its moment.
    pub at: Timestamp,
    /// What the tap held from before it.
    pub before: Tapped,
}

impl Baseline {
    /// Copies it to the file at `path`. Blocks for as long as the disk takes; nobody waits for it.
    ///
    /// # Errors
    /// The database's own.
    pub fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let mut to = Connection::open(path)?;
        let copy = Backup::new(&self.connection, &mut to)?;
        match copy.step(-1)? {
            StepResult::Done => Ok(()),
            _ => Err(StoreError::Busy),
        }
    }
}

impl Database {
    /// Holds the present state and opens the tap behind it, between two transactions: none is in both or in neither.
    pub(in crate::store) async fn baseline(&self) -> Result<Baseline, StoreError> {
        let tap = self.tap().ok_or(StoreError::Busy)?;
        let path = self.databases()[0].to_owned();
        let clock = self.clock();
        let deadline = Duration::from_secs(WRITE_ALONE_SECS_MAX);
        // Alone: nobody has begun to write, and nobody can before this ends.
        self.write_alone(deadline, move |_| {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_master")?;
            let page: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
            if u64::from(page) != PAGE {
                return Err(StoreError::Directory(format!(
                    "the database has pages of {page} bytes; only those of {PAGE} can be shipped (PRAGMA page_size and VACUUM change it)"
                )));
            }
            Ok::<_, StoreError>(Baseline {
                connection,
                at: clock.now(),
                before: tap.reopen(),
            })
        })
        .await
    }
}
