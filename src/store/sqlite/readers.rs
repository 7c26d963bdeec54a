//! Reader threads, and connections for short reads in place.

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use super::connection::{Link, Role};
use crate::kit::limits;
use crate::store::shared::Shared;
use crate::store::{ReadTx, StoreError};

/// A read that waits for a thread.
pub(super) type Job = Box<dyn FnOnce(&Reader) + Send>;

/// What waits in the queue.
enum Queued {
    Job(Job),
    /// The thread that takes it ends.
    End,
}

/// A connection that reads, opened when it is first needed: an idle server has none of their caches.
pub(super) struct Reader {
    link: OnceCell<Link>,
    source: Arc<Source>,
}

/// What readers are opened from.
struct Source {
    path: PathBuf,
    shared: Arc<Shared>,
    pressure: Arc<AtomicBool>,
    time_max: Duration,
}

impl Reader {
    fn new(source: &Arc<Source>) -> Self {
        Self {
            link: OnceCell::new(),
            source: Arc::clone(source),
        }
    }

    fn link(&self) -> Result<&Link, StoreError> {
        if let Some(link) = self.link.get() {
            return Ok(link);
        }
        let link = Link::open(&self.source.path, Role::Reader, &self.source.pressure)?;
        Ok(self.link.get_or_init(|| link))
    }

    /// Runs `f` in one read transaction. A schema change that commits between loading the catalog and the first
    /// statement is seen by its rows before it is seen by its rules: as if the request had come just before it. It is interrupted when
    /// `abandoned` is set.
    pub(super) fn read<T, E: From<StoreError>>(
        &self,
        abandoned: Option<&Arc<AtomicBool>>,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let link = self.link()?;
        link.deadline.set(self.source.time_max);
        link.deadline.watch(abandoned);
        link.step("BEGIN")?;
        let tx = ReadTx::new(&link.connection, self.source.shared.catalog.load_full());
        let result = catch_unwind(AssertUnwindSafe(|| f(&tx)));
        drop(tx);
        // The end of a transaction that only read has nothing to lose.
        drop(link.step("COMMIT"));
        link.deadline.clear();
        result.unwrap_or_else(|_| {
            tracing::error!("a read panicked");
            Err(StoreError::Closed.into())
        })
    }
}

/// How many connections of each sort, and how long a read may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Reader threads.
    pub(super) threads: usize,
    /// Connections for reads in place.
    pub(super) here: usize,
    /// Longest read.
    pub(super) time_max: Duration,
}

/// All that reads.
pub(super) struct Readers {
    queue: Sender<Queued>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    here: Vec<Mutex<Option<Reader>>>,
    source: Arc<Source>,
    /// Which connection a thread tries first, so that threads do not meet.
    next_here: AtomicUsize,
}

thread_local! {
    static HERE: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
}

impl Readers {
    pub(super) fn open(
        path: &Path,
        shared: &Arc<Shared>,
        pressure: &Arc<AtomicBool>,
        sizes: Sizes,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = bounded(limits::READ_QUEUE_MAX);
        let source = Arc::new(Source {
            path: path.to_owned(),
            shared: Arc::clone(shared),
            pressure: Arc::clone(pressure),
            time_max: sizes.time_max,
        });
        let mut threads = Vec::with_capacity(sizes.threads);
        for nth in 0..sizes.threads {
            let (reader, jobs) = (Reader::new(&source), jobs.clone());
            threads.push(
                std::thread::Builder::new()
                    .name(format!("reader-{nth}"))
                    .spawn(move || run(&reader, &jobs))
                    .map_err(|e| StoreError::Directory(format!("cannot start a thread: {e}")))?,
            );
        }
        let here = (0..sizes.here)
            .map(|_| Mutex::new(Some(Reader::new(&source))))
            .collect();
        Ok(Self {
            queue,
            threads: Mutex::new(threads),
            here,
            source,
            next_here: AtomicUsize::new(0),
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

    /// Runs `f` on a connection for reads in place: the calling thread's usual one, else any that is free.
    pub(super) fn here<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let usual = HERE.with(|mine| {
            if mine.get() == usize::MAX {
                mine.set(self.next_here.fetch_add(1, Ordering::Relaxed));
            }
            mine.get()
        }) % self.here.len();
        let free = (0..self.here.len())
            .map(|step| &self.here[(usual + step) % self.here.len()])
            .find_map(Mutex::try_lock);
        match free.as_deref() {
            Some(Some(reader)) => reader.read(None, f),
            Some(None) => Err(StoreError::Closed.into()),
            // Waiting could wait for ever, where a read asks for another: one for this time only is never wrong.
            None => Reader::new(&self.source).read(None, f),
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
        for slot in &self.here {
            drop(slot.lock().take());
        }
    }
}

fn run(reader: &Reader, jobs: &Receiver<Queued>) {
    while let Ok(Queued::Job(job)) = jobs.recv() {
        job(reader);
    }
}
