//! Moving all files from the folder to a bucket, or back, while a server may be at work: a file is whole in one of the two
//! places at any time, both of which are looked in meanwhile, and leaves its old place when it was found the same in the new
//! one. So a move can be ended anywhere and begun again.

mod home;
mod marker;
mod out;
mod walk;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::local::Local;
use crate::bucket::{Bucket, BucketError};

pub(super) use marker::Marker;

/// A move of the files of one data directory.
#[derive(Debug)]
pub struct Relocation {
    local: Local,
    marker: Marker,
    bucket: Bucket,
    /// Whether files stay in the old place too.
    keep: bool,
    progress: Counts,
    strange: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Counts {
    files: AtomicU64,
    bytes: AtomicU64,
    files_total: AtomicU64,
    bytes_total: AtomicU64,
}

/// How far a move has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files that are in the new place.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files in the old place when the move began.
    pub files_total: u64,
    /// Their bytes.
    pub bytes_total: u64,
}

/// Why a move ended early. What was moved until then stays moved.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {cause}")]
pub struct MoveError {
    /// Which file it was about.
    key: String,
    cause: BucketError,
}

impl MoveError {
    fn of(key: &str) -> impl FnOnce(BucketError) -> Self {
        let key = key.to_owned();
        move |cause| Self { key, cause }
    }
}

impl Relocation {
    /// Between the folder of the data directory `dir` and `bucket`. With `keep` files stay where they were, too.
    #[must_use]
    pub fn new(dir: &Path, bucket: Bucket, keep: bool) -> Self {
        Self {
            local: Local::new(dir.join("storage"), true),
            marker: Marker::of(dir),
            bucket,
            keep,
            progress: Counts::default(),
            strange: Mutex::default(),
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.progress;
        Progress {
            files: read(&counts.files),
            bytes: read(&counts.bytes),
            files_total: read(&counts.files_total),
            bytes_total: read(&counts.bytes_total),
        }
    }

    /// What lay in the old place and is no file of a record: it was left alone.
    pub fn strange(&self) -> Vec<String> {
        let mut strange = self.strange.lock().clone();
        strange.sort();
        strange.dedup();
        strange
    }

    fn expect(&self, bytes: u64) {
        self.progress.files_total.fetch_add(1, Ordering::Relaxed);
        self.progress
            .bytes_total
            .fetch_add(bytes, Ordering::Relaxed);
    }

    fn moved(&self, bytes: u64) {
        self.progress.files.fetch_add(1, Ordering::Relaxed);
        self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Somebody will ask what was strange, but not for all of it.
    fn note_strange(&self, what: String) {
        let mut strange = self.strange.lock();
        if strange.len() < STRANGE_MAX {
            strange.push(what);
        }
    }
}

/// Strange things that are remembered.
const STRANGE_MAX: usize = 1_000;

/// Whether a place relative to the storage folder is that of a blob or of a thumb.
fn is_blob(relative: &str) -> bool {
    let parts = || relative.split('/');
    matches!(parts().count(), 3 | 4)
        && parts().all(|part| super::key::plain(part).as_deref() == Some(part))
        && !relative.ends_with(super::key::ATTRS)
}
