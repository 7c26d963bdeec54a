//! The files service: blobs put before a commit and taken away after it, so that a commit never points to a missing
//! blob; what a crash leaves between the two is found again by the notes that each change leaves on the disk.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::local::Local;
use super::place::Places;
use super::relocate::Marker;
use super::thumb::{self, Size};
use super::{Blob, Key, RecordKey, Upload, Want, pending};
use crate::bucket::Chosen;
use crate::kit::limits::{THUMB_QUEUE_MAX, THUMB_SOURCE_BYTES_MAX, THUMB_WORKERS_MAX};

/// The files of a data directory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Files(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    local: Local,
    buckets: Buckets,
    /// Set while files are on their way from a bucket to the folder.
    come_home: Marker,
    spool: PathBuf,
    notes: PathBuf,
    /// Milliseconds since 1970 when abandoned direct uploads were looked for last.
    pub(super) cleaned: AtomicI64,
    /// Removals that are under way.
    removing: AtomicUsize,
    thumb_workers: Arc<Semaphore>,
    thumbs_waiting: AtomicUsize,
    /// Removals that wait, as long as somebody reads all that there is.
    kept: Mutex<Kept>,
    /// One lock for each thumb being made, so that many requests make it once.
    thumbs_making: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
}

/// The buckets that files may be in.
#[derive(Clone, Debug)]
pub struct Buckets {
    /// The one that is used instead of the storage folder, while there is one.
    pub used: Chosen,
    /// The one that the settings still name although it is not used any more.
    pub left: Chosen,
}

impl Buckets {
    /// Never one.
    #[must_use]
    pub fn never() -> Self {
        Self {
            used: Chosen::never(),
            left: Chosen::never(),
        }
    }
}

impl Files {
    /// The files of the data directory `dir`, which lie in `stored` or, while one of `buckets` is used, there. Nothing is
    /// made until something is stored. Where it is `durable`, a blob is on the disk when it counts as stored.
    #[must_use]
    pub fn new(dir: &Path, stored: PathBuf, durable: bool, buckets: Buckets) -> Self {
        let own = dir.join(".burrow");
        Self(Arc::new(Inner {
            local: Local::new(stored, durable),
            buckets,
            come_home: Marker::of(dir),
            spool: own.join("tmp"),
            notes: own.join("pending"),
            cleaned: AtomicI64::new(0),
            removing: AtomicUsize::new(0),
            kept: Mutex::default(),
            thumb_workers: Arc::new(Semaphore::new(THUMB_WORKERS_MAX)),
            thumbs_waiting: AtomicUsize::new(0),
            thumbs_making: Mutex::default(),
        }))
    }

    /// Where uploads are spooled.
    #[must_use]
    pub fn spool(&self) -> &Path {
        &self.0.spool
    }

    pub(super) fn local(&self) -> &Local {
        &self.0.local
    }

    pub(super) fn places(&self) -> Places {
        let used = self.0.buckets.used.now();
        let left = || self.0.buckets.left.now();
        Places {
            left: left().filter(|_| used.is_none() && self.0.come_home.is_set()),
            used,
        }
    }

    pub(super) fn notes(&self) -> &Path {
        &self.0.notes
    }

    /// Stores `added` ahead of a commit that will name them and, when it comes, stop naming `doomed`. The blobs are
    /// there when this returns; say afterwards how the commit went.
    ///
    /// # Errors
    /// When a blob cannot be stored; nothing stays behind.
    pub async fn begin(
        &self,
        added: Vec<(Key, Upload)>,
        doomed: Vec<Key>,
    ) -> io::Result<pending::Pending> {
        pending::Pending::begin(self.clone(), added, doomed).await
    }

    /// Removes a record's files, in the background: call it after the commit that removed the record.
    pub fn delete_record(&self, record: RecordKey) {
        self.in_background(move |files| files.remove_record(&record));
    }

    /// Removes all files of a collection, in the background: call it after the commit that removed it or its records.
    pub fn delete_collection(&self, collection: &str) {
        let collection = collection.to_owned();
        self.in_background(move |files| files.remove_collection(&collection));
    }

    /// Opens the thumb of `key` in `format` (which is `size`), made now if need be. `None` when there can be none:
    /// the original is served instead.
    pub async fn open_thumb(&self, key: &Key, format: &str, size: Size) -> Option<Blob> {
        let thumb_key = key.thumb(format)?;
        if let Ok(blob) = self.open_made(&thumb_key).await {
            return Some(blob);
        }
        let waiting = Waiting::enter(&self.0.thumbs_waiting)?;
        let lock = self.making(&thumb_key);
        let _turn = lock.lock().await;
        // Another request may have made it while this one waited.
        let made = match self.open_made(&thumb_key).await {
            Ok(blob) => Some(blob),
            Err(_) => self.make_thumb(key, &thumb_key, size).await,
        };
        drop(waiting);
        self.0.thumbs_making.lock().remove(&thumb_key);
        made
    }

    fn making(&self, key: &Key) -> Arc<tokio::sync::Mutex<()>> {
        let mut making = self.0.thumbs_making.lock();
        Arc::clone(making.entry(key.clone()).or_default())
    }

    async fn make_thumb(&self, key: &Key, thumb_key: &Key, size: Size) -> Option<Blob> {
        let workers = Arc::clone(&self.0.thumb_workers);
        let permit = workers.acquire_owned().await.ok()?;
        let original = self.open(key, Want::Content).await.ok()?;
        let to = thumb_key.clone();
        let made = self
            .blocking(move |files| {
                // Held by the work itself: a client that leaves does not make room for another.
                let _permit = permit;
                if !thumb::has_thumbs(&original.mime) {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                let original = original.read(THUMB_SOURCE_BYTES_MAX)?;
                let content = thumb::make(&original, &to.to_text(), size)
                    .ok_or(io::ErrorKind::InvalidData)?;
                files.store_bytes(&to, content)
            })
            .await;
        if let Err(error) = made {
            tracing::debug!(%error, "no thumb was made");
            return None;
        }
        self.open_made(thumb_key).await.ok()
    }

    /// As long as this is held, what is removed stays: for a backup, whose rows may still name it.
    #[must_use]
    pub fn keep_removed(&self) -> KeepRemoved {
        self.0.kept.lock().holders += 1;
        KeepRemoved(self.clone())
    }

    /// Runs `work` on a thread that may block. A panic inside (of an image codec, say) is an error like any other.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let files = self.clone();
        tokio::task::spawn_blocking(move || work(&files))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// Whether nothing is being removed.
    pub(super) fn is_idle(&self) -> bool {
        self.0.removing.load(Ordering::SeqCst) == 0
    }

    pub(super) fn in_background(
        &self,
        work: impl FnOnce(&Self) -> io::Result<()> + Send + 'static,
    ) {
        self.0.removing.fetch_add(1, Ordering::SeqCst);
        let mut kept = self.0.kept.lock();
        if kept.holders > 0 {
            kept.removals.push(Box::new(work));
            return;
        }
        drop(kept);
        self.run_removal(work);
    }

    fn run_removal(&self, work: impl FnOnce(&Self) -> io::Result<()> + Send + 'static) {
        let files = self.clone();
        let guarded = move || match work(&files) {
            Ok(()) => {
                files.0.removing.fetch_sub(1, Ordering::SeqCst);
            }
            // It stays under way: the next start looks for them.
            Err(error) => tracing::warn!(%error, "files that nothing names stay behind"),
        };
        // Without a runtime (a command, a test) it is done here and now.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(guarded)),
            Err(_) => guarded(),
        }
    }
}

/// Work that waits until nobody needs what it removes.
#[derive(Default)]
struct Kept {
    holders: usize,
    removals: Vec<Removal>,
}

type Removal = Box<dyn FnOnce(&Files) -> io::Result<()> + Send>;

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("holders", &self.holders)
            .field("removals", &self.removals.len())
            .finish()
    }
}

/// See [`Files::keep_removed`].
#[derive(Debug)]
pub struct KeepRemoved(Files);

impl Drop for KeepRemoved {
    fn drop(&mut self) {
        let due = {
            let mut kept = self.0.0.kept.lock();
            kept.holders -= 1;
            if kept.holders > 0 {
                return;
            }
            std::mem::take(&mut kept.removals)
        };
        for removal in due {
            self.0.run_removal(removal);
        }
    }
}

/// One of the requests that wait for a thumb; at most [`THUMB_QUEUE_MAX`].
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Option<Self> {
        let entered = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < THUMB_QUEUE_MAX).then_some(entered)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
