//! A data directory before its databases are open: whose it is, whether it may be opened, and how it was left.
//!
//! What is ours beside the databases lives in the folder `.burrow`: `lock` (held by the process that serves), `state`
//! (how the database was left), `notify` (made by a command that wrote beside a running server), `adopted-<time>/`
//! (copies of databases of PocketBase, made before the first write), and what [`Paths::keep`] is given.

mod adopt;
mod fresh;
mod hold;
mod lock;
mod migrate;
mod moved;
mod notes;
mod restore;
mod state;
mod transplant;

pub(super) use adopt::adopt;
pub use adopt::free_bytes;
pub(super) use fresh::{BASE_TABLES, MIGRATIONS, SETTINGS, create, create_logs};
pub(super) use hold::Hold;
pub use hold::{Offline, hold_alone};
pub(super) use lock::Lock;
use lock::Try;
pub(super) use migrate::migrate;
pub use moved::moved_to;
pub(super) use moved::{note_move, note_return};
pub use restore::{Restore, is_state};
pub(super) use state::Left;
use state::State;
pub use transplant::{Transplanted, transplant};

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::store::StoreError;

/// How long a command waits for the server to notice; a server that hangs must not make it hang.
const NOTICE_TIME_MAX: Duration = Duration::from_secs(2);
/// How often it looks.
const NOTICE_LOOK: Duration = Duration::from_millis(5);

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

/// Tells the server that holds the directory that something was written beside it, and waits until it has noticed, so
/// that whoever asks it next meets what was written.
pub(super) fn notify(paths: &Paths) -> Result<(), StoreError> {
    std::fs::write(&paths.notify, "").map_err(|error| {
        StoreError::Directory(format!("cannot write {}: {error}", paths.notify.display()))
    })?;
    let patience = Instant::now();
    while paths.notify.exists() && patience.elapsed() < NOTICE_TIME_MAX {
        std::thread::sleep(NOTICE_LOOK);
    }
    Ok(())
}
