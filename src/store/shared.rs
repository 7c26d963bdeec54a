//! What the threads of an open store share.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};

use super::CommitGroup;
use super::job::Job;
use crate::expr::Catalog;
use crate::kit::clock::Clock;
use crate::kit::limits;

/// A listener of commits.
pub(in crate::store) type Listener = Box<dyn Fn(&CommitGroup) + Send + Sync>;
/// What the writer shares with the store.
pub(in crate::store) struct Shared {
    pub(in crate::store) catalog: ArcSwap<Catalog>,
    pub(in crate::store) listeners: RwLock<Vec<Listener>>,
    /// Place of the newest committed entry.
    pub(in crate::store) head: AtomicU64,
    pub(in crate::store) clock: Clock,
    /// Since when each write waits that was not begun yet, the oldest first.
    pub(in crate::store) waiting: Mutex<VecDeque<Instant>>,
}

impl Shared {
    /// Whether the queue moves: a write that comes now will have its turn.
    pub(in crate::store) fn is_moving(waiting: &VecDeque<Instant>) -> bool {
        let most = Duration::from_millis(limits::WRITE_QUEUE_MILLIS_MAX);
        waiting.front().is_none_or(|since| since.elapsed() <= most)
    }

    /// `job` has left the queue.
    pub(in crate::store) fn begun(&self, job: &Job) {
        if job.since().is_some() {
            self.waiting.lock().pop_front();
        }
    }

    /// Tells every listener what was committed.
    pub(in crate::store) fn tell(&self, commit: &CommitGroup) {
        for listener in self.listeners.read().iter() {
            if catch_unwind(AssertUnwindSafe(|| listener(commit))).is_err() {
                tracing::error!("a listener of commits panicked");
            }
        }
    }
}
