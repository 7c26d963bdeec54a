//! A data directory before its databases are open: whose it is, whether it may be opened, and how it was left.
//!
//! What is ours beside the databases lives in the folder `.burrow`: `lock` (held by the process that serves), `state`
//! (how the database was left), `notify` (made by a command that wrote beside a running server), `adopted-<time>/`
//! (copies of databases of PocketBase, made before the first write).

mod adopt;
mod fresh;
mod lock;
mod state;

pub(super) use adopt::adopt;
pub(super) use fresh::{create, create_logs};
pub(super) use lock::{Lock, Try};
pub(super) use state::{Left, State};

use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Name of our folder inside a data directory.
const FOLDER: &str = ".burrow";

/// Paths of a data directory.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    /// The main database.
    pub(super) data: PathBuf,
    /// Its write-ahead log.
    pub(super) wal: PathBuf,
    /// Request logs.
    pub(super) logs: PathBuf,
    /// Our folder.
    pub(super) own: PathBuf,
    /// Made by a command that wrote beside a running server.
    pub(super) notify: PathBuf,
}

impl Paths {
    /// Makes the directory and our folder in it.
    pub(super) fn prepare(dir: &Path) -> Result<Self, StoreError> {
        let own = dir.join(FOLDER);
        std::fs::create_dir_all(&own).map_err(|error| {
            StoreError::Directory(format!(
                "cannot use the data directory {}: {error}",
                dir.display()
            ))
        })?;
        Ok(Self {
            data: dir.join("data.db"),
            wal: dir.join("data.db-wal"),
            logs: dir.join("auxiliary.db"),
            notify: own.join("notify"),
            own,
        })
    }
}
