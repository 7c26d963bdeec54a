//! The threads of live queries, and what the rest of realtime tells them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use compact_str::CompactString;
use parking_lot::{Condvar, Mutex};

use super::desk::Desk;
use super::mailbox::{Mailbox, Opened};
use super::question::{Meaning, Question};
use super::reading::{self, Done, Job, Outcome};
use crate::kit::json::Json;
use crate::kit::limits::{LIVE_READERS, LIVE_ROWS_MAX};
use crate::realtime::client::ClientId;
use crate::realtime::hub::{Error, Hub, Inner};
use crate::records;
use crate::store::{Change, Position, Snapshot, StoreError};

/// Why a live query was not begun.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// Realtime's own reasons.
    #[error(transparent)]
    Hub(#[from] Error),
    /// Those of the list request.
    #[error(transparent)]
    Query(#[from] records::Error),
}

/// The live queries of a hub.
#[derive(Default)]
pub(in crate::realtime) struct Live {
    mailbox: Mailbox,
    pub(super) jobs: Jobs,
    queries: AtomicUsize,
    reads: AtomicU64,
}

/// Queries that wait to be read: each at most once, so that there are never more than there are queries.
#[derive(Default)]
pub(super) struct Jobs {
    queue: Mutex<(VecDeque<Job>, bool)>,
    ready: Condvar,
}

impl Jobs {
    pub(super) fn push(&self, job: Job) {
        self.queue.lock().0.push_back(job);
        self.ready.notify_one();
    }

    /// The next job; none without one for a while; `Err` when there will be none any more.
    fn next(&self) -> Result<Option<Job>, StoreError> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let mut queue = self.queue.lock();
        if queue.0.is_empty() && !queue.1 {
            self.ready.wait_for(&mut queue, PATIENCE);
        }
        if queue.1 {
            return Err(StoreError::Closed);
        }
        Ok(queue.0.pop_front())
    }

    fn close(&self) {
        self.queue.lock().1 = true;
        self.ready.notify_all();
    }
}

impl Live {
    /// Changes were delivered up to `upto`, the end of a commit.
    pub(in crate::realtime) fn changes(&self, changes: Vec<Change>, upto: Position) {
        self.mailbox.changes(changes, upto);
    }

    /// Nobody knows what changed up to `upto`.
    pub(in crate::realtime) fn lost(&self, upto: Position) {
        self.mailbox.lost(upto);
    }

    /// A connection may be somebody else.
    pub(in crate::realtime) fn changed(&self, client: &ClientId) {
        self.mailbox.put(|mail| {
            mail.changed.insert(client.clone());
        });
    }

    /// A frame of a subscription was taken back before it went out.
    pub(in crate::realtime) fn taken_back(&self, client: &ClientId, sub: CompactString) {
        self.mailbox.put(|mail| {
            mail.taken_back.insert((client.clone(), sub));
        });
    }

    /// A connection has read what was queued for it.
    pub(in crate::realtime) fn drained(&self, client: &ClientId) {
        self.mailbox.put(|mail| {
            mail.drained.insert(client.clone());
        });
    }

    /// A subscription was ended by its connection.
    pub(in crate::realtime) fn closed(&self, client: &ClientId, sub: &str) {
        self.mailbox
            .put(|mail| mail.closed.push((client.clone(), sub.into())));
    }

    /// A connection is gone.
    pub(in crate::realtime) fn gone(&self, client: &ClientId) {
        self.mailbox.put(|mail| {
            mail.gone.insert(client.clone());
        });
    }

    /// Lets the threads end.
    pub(in crate::realtime) fn close(&self) {
        self.mailbox.put(|mail| mail.end = true);
        self.jobs.close();
    }
}

impl Hub {
    /// Begins a live query of a WebSocket connection; the answer comes with the first result, and no frame of it before.
    ///
    /// # Errors
    /// [`Error::TooMany`], and those of the list request.
    pub fn live(&self, id: &ClientId, ask: &Json, question: Question) -> Result<(), Unanswered> {
        let inner = self.inner();
        if !(1..=LIVE_ROWS_MAX).contains(&question.limit) {
            return Err(records::Error::BadQuery("limit is out of range".to_owned()).into());
        }
        let catalog = inner.store.catalog();
        // What cannot be asked is refused at once; the desk binds it again, for who asks it then.
        Meaning::of(&catalog, &question, &self.actor(id), inner.clock.now())?;
        let mut roster = inner.roster.lock();
        let client = roster.client(id).ok_or(Error::UnknownClient)?;
        let held = client.subs.len() + inner.channels.joined(id);
        if held >= inner.settings.current().realtime.subscriptions_max() {
            return Err(Error::TooMany.into());
        }
        let sub = roster
            .subscribe(&catalog, id, None, None)
            .ok_or(Error::UnknownClient)?;
        inner.live.mailbox.open(Opened {
            seat: (id.clone(), sub),
            question: Arc::new(question),
            ask: ask.clone(),
        });
        Ok(())
    }

    /// How many live queries that differ are kept true, and how many times one was read from the database.
    #[must_use]
    pub fn live_queries(&self) -> (usize, u64) {
        let live = &self.inner().live;
        (
            live.queries.load(Ordering::Relaxed),
            live.reads.load(Ordering::Relaxed),
        )
    }
}

impl Inner {
    /// Starts the threads of live queries.
    ///
    /// # Errors
    /// When the system has no more of them.
    pub(in crate::realtime) fn start_live(
        self: &Arc<Self>,
    ) -> std::io::Result<Vec<JoinHandle<()>>> {
        let desk = Arc::clone(self);
        let mut threads = vec![
            std::thread::Builder::new()
                .name("realtime-live".to_owned())
                .spawn(move || desk.keep_true())?,
        ];
        for _ in 0..LIVE_READERS {
            let reader = Arc::clone(self);
            let thread = std::thread::Builder::new()
                .name("realtime-read".to_owned())
                .spawn(move || reader.read_results())?;
            threads.push(thread);
        }
        Ok(threads)
    }

    fn keep_true(&self) {
        let mut desk = Desk::default();
        let mut patience = Duration::from_secs(1);
        loop {
            let mail = self.live.mailbox.take(patience);
            if mail.end {
                return;
            }
            let turn = AssertUnwindSafe(|| {
                desk.turn(self, mail);
                patience = desk.patience();
            });
            if catch_unwind(turn).is_err() {
                tracing::error!("realtime: keeping live queries panicked; they end");
                desk.give_up(self);
                desk = Desk::default();
            }
            self.live.queries.store(desk.len(), Ordering::Relaxed);
            if desk.is_idle() {
                self.live.mailbox.rest();
            }
        }
    }

    fn read_results(&self) {
        let mut snapshot: Option<Snapshot> = None;
        loop {
            match self.live.jobs.next() {
                Err(_) => return,
                Ok(None) => snapshot = None,
                Ok(Some(job)) => {
                    let (key, number) = (job.key.clone(), job.number);
                    self.live.reads.fetch_add(1, Ordering::Relaxed);
                    let read =
                        AssertUnwindSafe(|| reading::perform(&self.store, &mut snapshot, job));
                    let done = catch_unwind(read).unwrap_or_else(|_| Done {
                        key,
                        number,
                        outcome: Outcome::Failed(StoreError::Closed.into()),
                        cost: Duration::ZERO,
                    });
                    self.live.mailbox.put(|mail| mail.done.push(done));
                }
            }
        }
    }
}
