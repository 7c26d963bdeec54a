//! A look at a data directory that changes nothing, whether a server runs on it or not: for `doctor`.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::schema_rows;
use crate::kit::time::Timestamp;
use crate::schema::Schema;
use crate::store::StoreError;

/// What the databases say of themselves.
#[derive(Debug)]
pub struct Examined {
    /// The collections.
    pub schema: Schema,
    /// What `PRAGMA quick_check` found, a line each; nothing is good.
    pub damage: Vec<String>,
    /// Bytes of the main database.
    pub bytes: u64,
    /// Bytes of it that are free for new rows.
    pub free_bytes: u64,
    /// Bytes of its write-ahead log.
    pub wal_bytes: u64,
    /// By collection id: rows, counted as the highest rowid, which is quick and at most too high.
    pub rows: Vec<(String, u64)>,
    /// The settings as they are stored: JSON, or sealed.
    pub settings: Option<String>,
    /// Accounts that may do everything, the installer's left out.
    pub superusers: u64,
    /// Time of the newest entry of the change log; `None` where there is none.
    pub newest_change: Option<Timestamp>,
}

/// Examines the databases in `dir`.
///
/// # Errors
/// When there is no database, or one that cannot be read at all.
pub fn examine(dir: &Path, installer: &str) -> Result<Examined, StoreError> {
    let path = dir.join("data.db");
    if !path.exists() {
        return Err(StoreError::Directory(format!(
            "{} is not there",
            path.display()
        )));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags)?;
    let schema = schema_rows::load(&connection, 0)?;
    let mut rows = Vec::new();
    for collection in schema.iter().filter(|collection| !collection.is_view()) {
        let table = collection.name.replace('"', "\"\"");
        let highest: Option<i64> =
            connection.query_row(&format!("SELECT max(rowid) FROM \"{table}\""), [], |row| {
                row.get(0)
            })?;
        let highest = highest.and_then(|rows| u64::try_from(rows).ok());
        rows.push((collection.id.as_str().to_owned(), highest.unwrap_or(0)));
    }
    let number = |sql: &str| -> rusqlite::Result<u64> {
        let number: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        Ok(u64::try_from(number).unwrap_or(0))
    };
    let free_pages = number("PRAGMA freelist_count")?;
    let page_bytes = number("PRAGMA page_size")?;
    let size = |end: &str| std::fs::metadata(dir.join(end)).map_or(0, |meta| meta.len());
    Ok(Examined {
        damage: damage(&connection)?,
        bytes: size("data.db"),
        free_bytes: free_pages * page_bytes,
        wal_bytes: size("data.db-wal"),
        settings: connection
            .query_row(
                "SELECT CAST(value AS TEXT) FROM _params WHERE id = 'settings'",
                [],
                |row| row.get(0),
            )
            .optional()?,
        superusers: superusers(&connection, installer)?,
        newest_change: newest_change(&connection)?,
        schema,
        rows,
    })
}

fn damage(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare("PRAGMA quick_check(20)")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut found = lines.collect::<Result<Vec<_>, _>>()?;
    found.retain(|line| line != "ok");
    Ok(found)
}

fn newest_change(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let ours = connection
        .prepare("SELECT 1 FROM sqlite_master WHERE name = '_burrow_changes'")?
        .exists([])?;
    if !ours {
        return Ok(None);
    }
    let millis: Option<i64> = connection
        .query_row(
            "SELECT time FROM _burrow_changes ORDER BY position DESC LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(millis.map(Timestamp::from_millis))
}

fn superusers(connection: &Connection, installer: &str) -> Result<u64, StoreError> {
    let number: i64 = connection.query_row(
        "SELECT count(*) FROM _superusers WHERE email != ?",
        [installer],
        |row| row.get(0),
    )?;
    Ok(u64::try_from(number).unwrap_or(0))
}
