//! How the database was left: its size and time of change at a clean close, so that the writes of another program are
//! noticed at the next start.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::Paths;
use crate::store::StoreError;

/// What the last holder of the directory left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Left {
    /// As we closed or crashed it: the log tells everything that happened.
    AsWas,
    /// Somebody else has written since, or we cannot tell: the past is not ours any more.
    Changed,
}

/// The note about it.
#[derive(Debug)]
pub(in crate::store) struct State {
    path: PathBuf,
}

impl State {
    /// Reads how the directory was left, and notes that it is open now.
    pub(in crate::store) fn open(paths: &Paths) -> Result<(Self, Left), StoreError> {
        let state = Self {
            path: paths.own.join("state"),
        };
        let noted = fs::read_to_string(&state.path).unwrap_or_default();
        let left = match noted.trim() {
            // A crash of ours leaves the write-ahead log; another program that opened it since has emptied it away.
            "open" if paths.wal.exists() => Left::AsWas,
            closed
                if !closed.is_empty() && closed == mark(&paths.data) && !has_bytes(&paths.wal) =>
            {
                Left::AsWas
            }
            _ => Left::Changed,
        };
        state.note("open")?;
        Ok((state, left))
    }

    /// Notes that the databases were closed in order.
    pub(in crate::store) fn close(&self, paths: &Paths) -> Result<(), StoreError> {
        self.note(&mark(&paths.data))
    }

    fn note(&self, text: &str) -> Result<(), StoreError> {
        fs::write(&self.path, text).map_err(|error| {
            StoreError::Directory(format!("cannot write {}: {error}", self.path.display()))
        })
    }
}

fn has_bytes(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.len() > 0)
}

fn mark(data: &Path) -> String {
    let Ok(meta) = fs::metadata(data) else {
        return String::new();
    };
    let nanos = meta
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos());
    format!("closed {} {nanos}", meta.len())
}
