//! Connections that read: some with a thread of their own, and a few for short reads in place.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use super::address::Address;
use super::session::{Session, aside};
use crate::kit::limits;
use crate::store::shared::Shared;
use crate::store::{ReadTx, StoreError};

/// A read that waits for a thread.
pub(super) type Job = Box<dyn FnOnce(&mut Reader) + Send>;

/// What waits in the queue.
enum Queued {
    Job(Job),
    /// The thread that takes it ends.
    End,
}

/// A connection that reads, made when it is first needed and again when it has broken.
pub(super) struct Reader {
    session: Option<Session>,
    source: Arc<Source>,
}

/// What readers are made from.
struct Source {
    address: Address,
    shared: Arc<Shared>,
    begin: String,
}

impl Reader {
    /// Runs `f` in one read transaction: one state of the database.
    pub(super) fn read<T, E: From<StoreError>>(
        &mut self,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.session.as_ref().is_none_or(Session::is_broken) {
            self.session = None;
        }
        let session = match self.session.take() {
            Some(session) => session,
            None => Session::connect(&self.source.address, "SET jit = off")?,
        };
        let catalog = self.source.shared.catalog.load_full();
        session.under(catalog.generation());
        session.begin_later(&self.source.begin);
        let tx = ReadTx::new(&session, catalog);
        let result = catch_unwind(AssertUnwindSafe(|| f(&tx)));
        drop(tx);
        session.end();
        if !session.is_broken() {
            self.session = Some(session);
        }
        result.unwrap_or_else(|_| {
            tracing::error!("a read panicked");
            Err(StoreError::Closed.into())
        })
    }
}

/// All that reads.
pub(super) struct Readers {
    queue: Sender<Queued>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Connections for reads in place that nobody uses now; nothing once closed.
    here: Mutex<Option<Vec<Reader>>>,
    source: Arc<Source>,
}

impl Readers {
    pub(super) fn open(
        address: &Address,
        shared: &Arc<Shared>,
        threads: usize,
        time_max: Duration,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = bounded(limits::READ_QUEUE_MAX);
        let source = Arc::new(Source {
            address: address.clone(),
            shared: Arc::clone(shared),
            begin: format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}",
                time_max.as_millis()
            ),
        });
        let mut handles = Vec::with_capacity(threads);
        for nth in 0..threads {
            let mut reader = Reader {
                session: None,
                source: Arc::clone(&source),
            };
            let jobs: Receiver<Queued> = jobs.clone();
            handles.push(
                std::thread::Builder::new()
                    .name(format!("reader-{nth}"))
                    .spawn(move || {
                        while let Ok(Queued::Job(job)) = jobs.recv() {
                            job(&mut reader);
                        }
                    })
                    .map_err(|e| StoreError::Directory(format!("cannot start a thread: {e}")))?,
            );
        }
        Ok(Self {
            queue,
            threads: Mutex::new(handles),
            here: Mutex::new(Some(Vec::new())),
            source,
        })
    }

    /// A way to hand work to the threads.
    pub(super) fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.queue
            .try_send(Queued::Job(job))
            .map_err(|error| match error {
                TrySendError::Full(_) => StoreError::Busy,
                TrySendError::Disconnected(_) => StoreError::Closed,
            })
    }

    /// Runs `f` on the calling thread, on a connection that nobody uses.
    pub(super) fn here<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let known = match self.here.lock().as_mut() {
            None => return Err(StoreError::Closed.into()),
            Some(free) => free.pop(),
        };
        // Waiting for another could wait for ever, where a read asks for another.
        let mut reader = known.unwrap_or_else(|| Reader {
            session: None,
            source: Arc::clone(&self.source),
        });
        let result = aside(|| reader.read(f));
        if let Some(free) = self.here.lock().as_mut()
            && free.len() < limits::DATABASE_CONNECTIONS_HERE
        {
            free.push(reader);
        }
        result
    }

    /// Lets queued reads end and closes every connection.
    pub(super) fn close(&self) {
        let threads: Vec<_> = self.threads.lock().drain(..).collect();
        for _ in &threads {
            drop(self.queue.send(Queued::End));
        }
        for thread in threads {
            drop(thread.join());
        }
        drop(self.here.lock().take());
    }
}
