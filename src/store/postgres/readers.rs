//! Connections that read: some with a thread of their own, and a few for short reads in place.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::{Condvar, Mutex};

use super::address::Address;
use super::looks::Looks;
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
    /// It was made after so many losses of the database.
    losses: u64,
    source: Arc<Source>,
}

/// What readers are made from.
struct Source {
    address: Address,
    shared: Arc<Shared>,
    looks: Arc<Looks>,
    /// How often the server that is read was lost, where that is not the one that `looks` knows of.
    lost: Option<Arc<AtomicU64>>,
    begin: String,
}

impl Source {
    /// Changes whenever connections of before are of no use.
    fn losses(&self) -> u64 {
        match &self.lost {
            None => self.looks.losses(),
            Some(lost) => lost.load(Ordering::Acquire),
        }
    }
}

impl Reader {
    /// Runs `f` in one read transaction: one state of the database.
    pub(super) fn read<T, E: From<StoreError>>(
        &mut self,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let session = self.session()?;
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

impl Reader {
    /// Runs `f` in one transaction that may write; its changes are undone when it gives an error.
    fn write<T>(
        &mut self,
        f: impl FnOnce(&Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let session = self.session()?;
        // What is written so is of no use after a crash, or is written again.
        session.begin_later(&format!(
            "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
            limits::DATABASE_LOCK_MILLIS_MAX,
            limits::READ_SECS_MAX * 1_000,
        ));
        let result = catch_unwind(AssertUnwindSafe(|| f(&session)))
            .unwrap_or_else(|_| Err(StoreError::Closed));
        let ended = match &result {
            Ok(_) => session.commit_begun(),
            Err(_) => session.rollback(),
        };
        if !session.is_broken() && ended.is_ok() {
            self.session = Some(session);
        }
        result.and_then(|value| ended.map(|()| value))
    }

    /// The connection, made anew where it has broken.
    fn session(&mut self) -> Result<Session, StoreError> {
        let looks = &self.source.looks;
        let losses = self.source.losses();
        let known = self.session.take();
        if let Some(session) = known.filter(|known| !known.is_broken() && self.losses == losses) {
            return Ok(session);
        }
        if !looks.is_reachable() {
            // Who comes now need not wait until that is known again.
            return Err(StoreError::Away("it was not there a moment ago".to_owned()));
        }
        self.losses = losses;
        Session::connect(&self.source.address)
    }
}

/// All that reads.
pub(super) struct Readers {
    queue: Sender<Queued>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Connections for work in place; nothing once closed.
    here: Mutex<Option<Here>>,
    /// Told when one of them is free.
    freed: Condvar,
    source: Arc<Source>,
}

/// Connections for work in place.
struct Here {
    /// Those that nobody uses now.
    free: Vec<Reader>,
    /// How many more there may be.
    spare: usize,
}

/// How many readers of which kind.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Threads with a connection each.
    pub(super) threads: usize,
    /// Connections for work in place.
    pub(super) here: usize,
    /// Longest read.
    pub(super) time_max: Duration,
}

impl Readers {
    pub(super) fn open(
        address: &Address,
        shared: &Arc<Shared>,
        looks: &Arc<Looks>,
        lost: Option<Arc<AtomicU64>>,
        shape: Shape,
    ) -> Result<Self, StoreError> {
        let Shape {
            threads,
            here,
            time_max,
        } = shape;
        let (queue, jobs) = bounded(limits::READ_QUEUE_MAX);
        let source = Arc::new(Source {
            address: address.clone(),
            shared: Arc::clone(shared),
            looks: Arc::clone(looks),
            lost,
            begin: format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}; \
                 SET LOCAL lock_timeout = {}",
                time_max.as_millis(),
                limits::DATABASE_LOCK_MILLIS_MAX,
            ),
        });
        let mut handles = Vec::with_capacity(threads);
        for nth in 0..threads {
            let mut reader = Reader {
                session: None,
                losses: 0,
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
            here: Mutex::new(Some(Here {
                free: Vec::new(),
                spare: here,
            })),
            freed: Condvar::new(),
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
        self.in_place(|reader| reader.read(f))
    }

    /// Runs `f` there in a transaction that may write: for what nodes share besides records.
    pub(super) fn write_here<T>(
        &self,
        f: impl FnOnce(&Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.in_place(|reader| reader.write(f))
    }

    fn in_place<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&mut Reader) -> Result<T, E>,
    ) -> Result<T, E> {
        aside(|| {
            let mut reader = self.reader()?;
            let result = f(&mut reader);
            if let Some(here) = self.here.lock().as_mut() {
                here.free.push(reader);
                self.freed.notify_one();
            }
            result
        })
    }

    /// A connection that nobody uses. One that never comes free, since whoever holds it waits for another one, is waited
    /// for no longer than a moment.
    fn reader(&self) -> Result<Reader, StoreError> {
        let until = Instant::now() + Duration::from_millis(limits::DATABASE_TURN_MILLIS_MAX);
        let mut lock = self.here.lock();
        loop {
            let Some(here) = lock.as_mut() else {
                return Err(StoreError::Closed);
            };
            if let Some(reader) = here.free.pop() {
                return Ok(reader);
            }
            if here.spare > 0 {
                here.spare -= 1;
                return Ok(Reader {
                    session: None,
                    losses: 0,
                    source: Arc::clone(&self.source),
                });
            }
            if self.freed.wait_until(&mut lock, until).timed_out() {
                return Err(StoreError::Busy);
            }
        }
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
        self.freed.notify_all();
    }
}
