//! Reads that another server of the database answers, one that follows it. Whoever asks there waits until it has come as
//! far as the database itself had when he asked, so that he finds what was answered to him before, or to anybody else, by
//! whichever node. Those who ask at the same time share one question. Where the other one is too far behind, or away, the
//! database answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::address::Address;
use super::log::{self, End};
use super::looks::Looks;
use super::readers::{Job, Readers};
use super::session::Session;
use crate::kit::limits;
use crate::store::StoreError;

/// Between two questions how far it has come.
const PACE: Duration = Duration::from_micros(500);
/// One that was behind is left alone for so long.
const PAUSE: Duration = Duration::from_millis(100);
/// One that was away, for so long.
const AWAY: Duration = Duration::from_secs(1);

/// Somebody who wants to know whether it has come far enough.
type Asked = oneshot::Sender<bool>;

/// The way to it.
pub(super) struct Replica {
    readers: Readers,
    asked: Mutex<Option<Sender<Asked>>>,
    gate: Mutex<Option<JoinHandle<()>>>,
    answered: AtomicU64,
}

impl Replica {
    /// The one at `address` of the database at `primary`, read by `readers`.
    pub(super) fn open(
        address: Address,
        primary: Address,
        readers: Readers,
        looks: Arc<Looks>,
        lost: Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        let (asked, queue) = bounded(limits::READ_QUEUE_MAX);
        let mut gate = Gate {
            queue,
            primary: Side::at(primary),
            replica: Side::at(address),
            looks,
            lost,
            rest: None,
        };
        let gate = std::thread::Builder::new()
            .name("replica".to_owned())
            .spawn(move || gate.run())
            .map_err(|e| StoreError::Directory(format!("cannot start a thread: {e}")))?;
        Ok(Self {
            readers,
            asked: Mutex::new(Some(asked)),
            gate: Mutex::new(Some(gate)),
            answered: AtomicU64::new(0),
        })
    }

    /// Whether it has come as far as the database has by now.
    pub(super) async fn is_level(&self) -> bool {
        let (to, answer) = oneshot::channel();
        let sent = {
            let asked = self.asked.lock();
            asked
                .as_ref()
                .is_some_and(|asked| asked.try_send(to).is_ok())
        };
        // Whoever asks does not wait for one that does not answer at all, as when a network is cut.
        let patience = Duration::from_millis(2 * limits::DATABASE_REPLICA_MILLIS_MAX);
        let answered = tokio::time::timeout(patience, answer);
        sent && matches!(answered.await, Ok(Ok(true)))
    }

    /// Hands it a read.
    pub(super) fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.readers.submit(job)
    }

    /// Reads that it was handed.
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        drop(self.asked.lock().take());
        if let Some(gate) = self.gate.lock().take() {
            drop(gate.join());
        }
        self.readers.close();
    }
}

/// A server that is asked where its log ends.
struct Side {
    address: Address,
    session: Option<Session>,
}

impl Side {
    fn at(address: Address) -> Self {
        Self {
            address,
            session: None,
        }
    }

    fn end(&mut self) -> Result<End, StoreError> {
        let session = match self.session.take() {
            Some(session) if !session.is_broken() => session,
            Some(_) | None => Session::connect(&self.address)?,
        };
        let rows = session.simple(log::END)?;
        self.session = Some(session);
        Ok(End::of(rows.last().map_or(&[], Vec::as_slice)))
    }
}

/// The thread that asks.
struct Gate {
    queue: Receiver<Asked>,
    primary: Side,
    replica: Side,
    looks: Arc<Looks>,
    /// How often it was lost: connections of before are of no use.
    lost: Arc<AtomicU64>,
    /// Until then nothing is asked.
    rest: Option<Instant>,
}

impl Gate {
    fn run(&mut self) {
        while let Ok(first) = self.queue.recv() {
            // Whoever asks from here on has to wait for the next question: this one may be older than what he has seen.
            let others: Vec<Asked> = self.queue.try_iter().collect();
            let level = self.is_level();
            for asked in std::iter::once(first).chain(others) {
                asked.send(level).ok();
            }
        }
    }

    fn is_level(&mut self) -> bool {
        let is_resting = self.rest.is_some_and(|until| Instant::now() < until);
        if is_resting || !self.looks.is_reachable() {
            return false;
        }
        self.rest = None;
        let Ok(wanted) = self.primary.end() else {
            return false;
        };
        let begun = Instant::now();
        let patience = Duration::from_millis(limits::DATABASE_REPLICA_MILLIS_MAX);
        loop {
            match self.replica.end() {
                Ok(end)
                    if end.epoch == wanted.epoch
                        && end.epoch == self.looks.epoch()
                        && end.last >= wanted.last =>
                {
                    return true;
                }
                Ok(_) if begun.elapsed() < patience => std::thread::park_timeout(PACE),
                Ok(_) => {
                    self.rest = Some(Instant::now() + PAUSE);
                    return false;
                }
                Err(error) => {
                    tracing::warn!(%error, "the replica does not answer: the database is read instead");
                    self.lost.fetch_add(1, Ordering::AcqRel);
                    self.rest = Some(Instant::now() + AWAY);
                    return false;
                }
            }
        }
    }
}
