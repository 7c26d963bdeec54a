//! Taking over a directory of PocketBase: checked, copied, then ours, still readable by it.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::Paths;
use crate::kit::time::Timestamp;
use crate::store::StoreError;

/// The last of PocketBase's own migrations that reshaped the tables; the later ones are applied by [`super::migrate`].
const NEEDED_MIGRATION: &str = "1717233559_v0.23_migrate4.go";

/// Checks that the database, which has no tables of ours yet, is one that we can read, and copies the databases.
pub(in crate::store) fn adopt(
    connection: &Connection,
    paths: &Paths,
    now: Timestamp,
    copy: bool,
) -> Result<(), StoreError> {
    let known = connection
        .prepare("SELECT 1 FROM _migrations WHERE file = ?")
        .and_then(|mut statement| statement.exists([NEEDED_MIGRATION]))
        .map_err(|_| {
            StoreError::Directory(format!(
                "{} is not a database of Burrow or PocketBase",
                paths.data.display()
            ))
        })?;
    if !known {
        return Err(StoreError::Directory(
            "the data directory was last used by a PocketBase older than 0.23: open it once with PocketBase 0.40"
                .to_owned(),
        ));
    }
    if copy {
        keep_copies(connection, paths, now)?;
    }
    Ok(())
}

fn keep_copies(connection: &Connection, paths: &Paths, now: Timestamp) -> Result<(), StoreError> {
    let stamp: String = now
        .to_text()
        .chars()
        .filter(char::is_ascii_digit)
        .take(14)
        .collect();
    let folder = paths.own.join(format!("adopted-{stamp}"));
    let failed = |error: &dyn std::fmt::Display| {
        StoreError::Directory(format!(
            "cannot copy the databases to {}: {error} (--no-safety-copy goes without)",
            folder.display()
        ))
    };
    let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
    let needed = size(&paths.data) + size(&paths.wal) + size(&paths.logs);
    if let Some(free) = free_bytes(&paths.own)
        && free < needed
    {
        return Err(failed(&format_args!(
            "{needed} bytes are needed and {free} are free"
        )));
    }
    fs::create_dir_all(&folder).map_err(|error| failed(&error))?;
    let copy = |connection: &Connection, name: &str| {
        let target = folder.join(name);
        // A copy that a crash left half-made is made again.
        if target.exists() {
            fs::remove_file(&target).map_err(|error| failed(&error))?;
        }
        connection
            .execute("VACUUM INTO ?", [target.to_string_lossy()])
            .map_err(|error| failed(&error))
    };
    copy(connection, "data.db")?;
    if paths.logs.exists() {
        let logs = Connection::open(&paths.logs).map_err(|error| failed(&error))?;
        copy(&logs, "auxiliary.db")?;
    }
    tracing::info!(folder = %folder.display(), "copied the databases of PocketBase before the first write");
    Ok(())
}

/// Bytes that are free where `path` is, if the system tells.
#[cfg(unix)]
#[must_use]
pub fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes that are free where `path` is, if the system tells.
#[cfg(not(unix))]
#[must_use]
pub fn free_bytes(_path: &Path) -> Option<u64> {
    None
}
