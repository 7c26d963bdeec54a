//! What tests of the write-ahead log share: a database over our layer, and transactions that are hard on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::vfs;
use crate::kit::id;

/// A folder that goes with the value.
pub(super) struct Home(pub(super) PathBuf);

impl Home {
    pub(super) fn new() -> Self {
        let home = std::env::temp_dir().join(format!("burrow-wal-{}", id::record_id()));
        std::fs::create_dir(&home).unwrap();
        Self(home)
    }

    /// Its database, with a small cache and no checkpoints but those that are asked for.
    pub(super) fn open(&self) -> Connection {
        let flags = OpenFlags::default();
        let path = self.0.join("a.db");
        let connection =
            Connection::open_with_flags_and_vfs(path, flags, vfs::name().unwrap()).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = NORMAL;
                 PRAGMA cache_size = 8; CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, v TEXT)",
            )
            .unwrap();
        connection
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub(super) type Rows = BTreeMap<i64, String>;

/// The rows of the database.
pub(super) fn rows(connection: &Connection) -> Rows {
    let mut all = connection.prepare("SELECT n, v FROM t").unwrap();
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// The database at `path` when nobody else uses it, once it is found whole.
pub(super) fn whole_rows(path: &Path) -> Rows {
    let connection = Connection::open(path).unwrap();
    check(&connection);
    rows(&connection)
}

pub(super) fn check(connection: &Connection) {
    let check = "PRAGMA integrity_check";
    let said: String = connection.query_row(check, [], |row| row.get(0)).unwrap();
    assert_eq!(said, "ok");
}

pub(super) fn checkpoint(connection: &Connection, mode: &str) {
    let checkpoint = format!("PRAGMA wal_checkpoint({mode})");
    connection.query_row(&checkpoint, [], |_| Ok(())).unwrap();
}

/// One transaction over `rows`, larger than the cache, with parts that are taken back; what the rows are after it.
pub(super) fn write(connection: &mut Connection, rows: &Rows) -> Rows {
    let mut draft = rows.clone();
    let tx = connection.transaction().unwrap();
    for part in 0..3 {
        let is_kept = id::below(3) > 0;
        tx.execute_batch("SAVEPOINT part").unwrap();
        let mut after = draft.clone();
        for _ in 0..30 {
            let (key, text) = (i64::from(id::below(300)), id::random(900, id::ALNUM));
            let text = format!("{part}-{text}");
            tx.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", (key, &text))
                .unwrap();
            after.insert(key, text);
        }
        if is_kept {
            draft = after;
        } else {
            tx.execute_batch("ROLLBACK TO part").unwrap();
        }
        tx.execute_batch("RELEASE part").unwrap();
    }
    if id::below(4) == 0 {
        tx.rollback().unwrap();
        return rows.clone();
    }
    tx.commit().unwrap();
    draft
}
