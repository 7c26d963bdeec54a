//! An order on its way: how far it has come, and what it takes to take it back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use compact_str::CompactString;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::Deed;
use crate::files::Key;
use crate::kit::id;
use crate::kit::json::Json;
use crate::kit::limits::BULK_FAILURES_MAX;
use crate::records::Error;
use crate::records::blobs::Leftover;
use crate::records::remove::Gone;
use crate::schema::error::sentence;
use crate::schema::{Collection, CollectionId};
use crate::store::StoreError;

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing has been done yet.
    Waiting,
    /// Records are being written.
    Running,
    /// It came to its end.
    Finished,
    /// Somebody stopped it; what was done stays.
    Stopped,
}

impl State {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
        }
    }
}

/// A record that the order could not be carried out on.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its id.
    pub record: CompactString,
    /// Why.
    pub message: String,
    /// Errors by field.
    pub data: Json,
}

impl Failure {
    pub(super) fn new(record: CompactString, error: &Error) -> Self {
        let data = match error {
            Error::Create(errors) | Error::Update(errors) | Error::Bulk(errors) => errors.to_json(),
            _ => Json::Object(crate::kit::json::JsonMap::new()),
        };
        let message = match error {
            Error::Store(StoreError::Busy) => "The server is busy.".to_owned(),
            // What the database says is for the log.
            Error::Store(error) => {
                tracing::warn!(%error, %record, "a record of a bulk request failed");
                "The record could not be written.".to_owned()
            }
            error => sentence(&error.to_string()),
        };
        Self {
            record,
            message,
            data,
        }
    }
}

/// What a listener sees.
#[derive(Clone, Debug)]
pub struct Progress {
    /// How far.
    pub state: State,
    /// Records that it was carried out on.
    pub done: usize,
    /// Records that it failed on.
    pub failed: usize,
    /// The first of these.
    pub failures: Arc<Vec<Failure>>,
}

/// One transaction of an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Place of its first entry in the change log.
    pub(super) first: u64,
    /// What it left, in short: taken back only while this is still so.
    pub(super) print: u64,
}

#[derive(Debug, Default)]
struct Trail {
    steps: Vec<Step>,
    folders: Vec<(CollectionId, CompactString)>,
    files: Vec<(CompactString, Key)>,
    taken_back: bool,
}

/// An order.
#[derive(Debug)]
pub struct Job {
    /// Names it.
    pub id: CompactString,
    /// What is done.
    pub deed: Deed,
    /// To records of which collection.
    pub collection: Arc<Collection>,
    /// To how many.
    pub total: usize,
    progress: watch::Sender<Progress>,
    stopped: AtomicBool,
    stopping: Notify,
    trail: Mutex<Trail>,
}

impl Job {
    pub(super) fn new(deed: Deed, collection: &Arc<Collection>, total: usize) -> Self {
        let progress = Progress {
            state: State::Waiting,
            done: 0,
            failed: 0,
            failures: Arc::default(),
        };
        Self {
            id: id::record_id(),
            deed,
            collection: Arc::clone(collection),
            total,
            progress: watch::Sender::new(progress),
            stopped: AtomicBool::new(false),
            stopping: Notify::new(),
            trail: Mutex::default(),
        }
    }

    /// Follows its progress.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Its progress now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Whether nothing will be done any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(
            self.progress.borrow().state,
            State::Finished | State::Stopped
        )
    }

    /// Whether it could be taken back now.
    #[must_use]
    pub fn can_undo(&self) -> bool {
        let trail = self.trail.lock();
        self.deed != Deed::Undo && self.is_over() && !trail.taken_back && !trail.steps.is_empty()
    }

    /// Stops it before the next record.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.stopping.notify_one();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Waits for `delay`; whether it is to go on.
    pub(super) async fn waited(&self, delay: Duration) -> bool {
        if !delay.is_zero() && !self.is_stopped() {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.stopping.notified() => {}
            }
        }
        self.progress
            .send_modify(|progress| progress.state = State::Running);
        !self.is_stopped()
    }

    pub(super) fn count(&self, outcome: Result<(), Failure>) {
        self.progress.send_modify(|progress| match outcome {
            Ok(()) => progress.done += 1,
            Err(failure) => {
                progress.failed += 1;
                if progress.failures.len() < BULK_FAILURES_MAX {
                    Arc::make_mut(&mut progress.failures).push(failure);
                }
            }
        });
    }

    /// Remembers what was done to a record.
    pub(super) fn leave(&self, step: Step, gone: Gone, files: Vec<(CompactString, Key)>) {
        let mut trail = self.trail.lock();
        trail.steps.push(step);
        trail.folders.extend(gone.folders);
        trail.files.extend(files);
    }

    pub(super) fn end(&self) {
        self.progress.send_modify(|progress| {
            let whole = progress.done + progress.failed >= self.total;
            progress.state = if self.is_stopped() && !whole {
                State::Stopped
            } else {
                State::Finished
            };
        });
    }

    /// Its steps, the latest first, once.
    pub(super) fn take_back(&self) -> Option<Vec<Step>> {
        if !self.can_undo() {
            return None;
        }
        let mut trail = self.trail.lock();
        if std::mem::replace(&mut trail.taken_back, true) {
            return None;
        }
        let mut steps = std::mem::take(&mut trail.steps);
        steps.sort_unstable_by_key(|step| std::cmp::Reverse(step.first));
        Some(steps)
    }

    /// The files of these records are named again.
    pub(super) fn keep_files(&self, records: &[(CollectionId, CompactString)]) {
        let own = &self.collection.id;
        let mut trail = self.trail.lock();
        trail.folders.retain(|folder| !records.contains(folder));
        trail.files.retain(|(id, _)| {
            !records
                .iter()
                .any(|(collection, record)| collection == own && record == id)
        });
    }

    /// The files that nothing names any more.
    pub(super) fn leftover(&self) -> Leftover {
        let mut trail = self.trail.lock();
        Leftover {
            files: std::mem::take(&mut trail.files)
                .into_iter()
                .map(|(_, key)| key)
                .collect(),
            gone: Gone {
                folders: std::mem::take(&mut trail.folders),
            },
        }
    }
}
