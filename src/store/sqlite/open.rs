//! Opening a data directory and reaching its threads.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Sender, TrySendError, bounded};
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use super::checkpoint::Checkpointer;
use super::connection::{Link, Role};
use super::readers::{Readers, Sizes};
use super::writer::{Job, Shared, Work, Writer};
use super::{ReadTx, Snapshot, WriteTx, log, schema_rows};
use crate::expr::Catalog;
use crate::kit::clock::Clock;
use crate::kit::limits;
use crate::store::{CommitGroup, Cursor, Position, StoreError};

/// How to open.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The data directory.
    pub dir: PathBuf,
    /// Source of time.
    pub clock: Clock,
    /// `true` syncs at every commit group.
    pub durable: bool,
    /// Longest read.
    pub query_timeout: Duration,
}

impl OpenOptions {
    /// The usual way to open `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, clock: Clock) -> Self {
        Self {
            dir: dir.into(),
            clock,
            durable: false,
            query_timeout: Duration::from_secs(limits::READ_SECS_MAX),
        }
    }
}

/// The open database. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    path: PathBuf,
    pressure: Arc<AtomicBool>,
    shared: Arc<Shared>,
    meta: log::Meta,
    jobs: Sender<Job>,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Readers,
    checkpointer: Checkpointer,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the databases of a data directory, making what is missing, and starts their threads.
    ///
    /// # Errors
    /// [`StoreError::Directory`] with what its owner can do; else the database's own.
    pub fn open(options: &OpenOptions) -> Result<Self, StoreError> {
        std::fs::create_dir_all(&options.dir).map_err(|error| {
            StoreError::Directory(format!(
                "cannot make the data directory {}: {error}",
                options.dir.display()
            ))
        })?;
        let path = options.dir.join("data.db");
        let pressure = Arc::new(AtomicBool::new(false));
        let role = Role::Writer {
            durable: options.durable,
        };
        let mut link = Link::open(&path, role, &pressure)?;
        link.step("BEGIN IMMEDIATE")?;
        let meta = log::prepare(&link.connection)?;
        let schema = schema_rows::load(&link.connection, 1)?;
        link.step("COMMIT")?;

        let checkpointer = Checkpointer::start(&path, &pressure)?;
        checkpointer.gauge.watch(&mut link.connection)?;
        let shared = Arc::new(Shared {
            catalog: ArcSwap::from_pointee(Catalog::new(schema)),
            listeners: RwLock::default(),
            head: AtomicU64::new(0),
            clock: options.clock.clone(),
        });
        let (jobs, queue) = bounded(limits::WRITE_QUEUE_MAX);
        let writer = Writer::new(link, queue, Arc::clone(&shared))?;
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|e| StoreError::Directory(format!("cannot start a thread: {e}")))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let sizes = Sizes {
            threads: cores + 2,
            here: cores,
            time_max: options.query_timeout,
        };
        let readers = Readers::open(&path, &shared, &pressure, sizes)?;
        Ok(Self(Arc::new(Inner {
            path,
            pressure,
            shared,
            meta,
            jobs,
            writer: Mutex::new(Some(writer)),
            readers,
            checkpointer,
        })))
    }

    /// The present schema with its compiled rules.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.0.shared.catalog.load_full()
    }

    /// Runs `f` on a reader thread, in one read transaction (one snapshot).
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub async fn read<T, E>(
        &self,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (to, answer) = oneshot::channel();
        self.0.readers.submit(Box::new(move |reader| {
            if !to.is_closed() {
                // Whoever asked may have gone meanwhile.
                drop(to.send(reader.read(f)));
            }
        }))?;
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Runs `f` at once on the calling thread, in one read transaction: for short keyed reads only (a record by its
    /// id, an account by its address), where handing over to another thread costs more than the read.
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub fn read_now<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.readers.here(f)
    }

    /// A reader that holds one state of the database; it shows nothing before its first [`Snapshot::refresh`].
    ///
    /// # Errors
    /// The store's own.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Snapshot::open(&self.0.path, &self.0.shared, &self.0.pressure)
    }

    /// Runs `f` on the writer thread as a member of a commit group; answered after the COMMIT. `f` must be short and
    /// bounded. Its changes are undone when it gives an error.
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub async fn write<T, E>(
        &self,
        f: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (to, answer) = oneshot::channel();
        self.submit(Job::Member {
            member: Box::new(Work { f, to }),
            since: Instant::now(),
        })?;
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Runs `f` alone in a transaction of its own, interrupted at `deadline`: for batches, schema changes, imports and
    /// whatever runs a superuser's SQL.
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub async fn write_alone<T, E>(
        &self,
        deadline: Duration,
        f: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (to, answer) = oneshot::channel();
        self.submit(Job::Alone {
            member: Box::new(Work { f, to }),
            since: Instant::now(),
            deadline,
        })?;
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.0.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }

    /// Called on the writer thread after each COMMIT and before anybody is answered: must be quick and never block.
    pub fn on_commit(&self, listener: impl Fn(&CommitGroup) + Send + Sync + 'static) {
        self.0.shared.listeners.write().push(Box::new(listener));
    }

    /// The end of the log.
    #[must_use]
    pub fn head(&self) -> Cursor {
        Cursor {
            epoch: self.0.meta.epoch,
            position: Position(self.0.shared.head.load(Ordering::Acquire)),
        }
    }

    /// Lets queued work end, copies the write-ahead log into the database and closes it. Everything asked later is
    /// answered [`StoreError::Closed`]. Blocks for as long as the longest running read or write.
    pub fn close(&self) {
        let Some(writer) = self.0.writer.lock().take() else {
            return;
        };
        self.0.readers.close();
        self.0.checkpointer.close();
        // The writer closes last: the last connection to close copies the log and removes its files.
        drop(self.0.jobs.send(Job::Close));
        drop(writer.join());
    }
}
