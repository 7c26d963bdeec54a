//! What this node knows of the log: which one it is, when it was looked at for what others wrote, when its end was seen.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use tokio::sync::watch;

use crate::store::job::Job;

/// Looks asked for and done.
pub(super) struct Looks {
    jobs: Sender<Job>,
    /// Whether one waits for its turn: a flood of questions must not fill the writer's queue.
    queued: AtomicBool,
    /// A moment whose log is known to its end.
    seen: watch::Sender<Instant>,
    away: AtomicBool,
    /// How often the database was lost: connections of before are of no use.
    losses: AtomicU64,
    /// Names the unbroken past; see [`crate::store::Cursor`].
    epoch: AtomicU64,
}

impl Looks {
    pub(super) fn new(jobs: Sender<Job>, epoch: u64) -> Self {
        Self {
            jobs,
            queued: AtomicBool::new(false),
            seen: watch::Sender::new(Instant::now()),
            away: AtomicBool::new(false),
            losses: AtomicU64::new(0),
            epoch: AtomicU64::new(epoch),
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(super) fn begin_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Release);
    }

    /// Has the writer look when it comes to it.
    pub(super) fn ask(&self) {
        if !self.queued.swap(true, Ordering::AcqRel) && self.jobs.try_send(Job::Look).is_err() {
            // A full queue means writes, each of which looks anyway.
            self.queued.store(false, Ordering::Release);
        }
    }

    /// A look begins: whoever asks from now on wants another one.
    pub(super) fn begun(&self) {
        self.queued.store(false, Ordering::Release);
    }

    /// The log of the moment `at` is known.
    pub(super) fn seen(&self, at: Instant) {
        self.seen.send_replace(at);
    }

    /// Whether the database could be reached.
    pub(super) fn reached(&self, there: bool) {
        if !there && !self.away.swap(true, Ordering::AcqRel) {
            self.losses.fetch_add(1, Ordering::AcqRel);
        }
        if there {
            self.away.store(false, Ordering::Release);
        }
    }

    /// Changes whenever the database was lost.
    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    pub(super) fn is_reachable(&self) -> bool {
        !self.away.load(Ordering::Acquire)
    }

    /// How old what is known may be.
    pub(super) fn age(&self) -> Duration {
        self.seen.borrow().elapsed()
    }

    /// Waits until the log of now is known, at most `most`.
    pub(super) async fn catch_up(&self, most: Duration) {
        let now = Instant::now();
        let mut seen = self.seen.subscribe();
        self.ask();
        drop(tokio::time::timeout(most, seen.wait_for(|at| *at >= now)).await);
    }
}
