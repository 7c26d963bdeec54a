//! Opening a data directory and reaching its threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Sender, TrySendError, bounded};
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use super::checkpoint::Checkpointer;
use super::connection::{Link, Role};
use super::readers::{Readers, Sizes};
use super::tap::{self, Tap};
use super::writer::{self, Desk, Writer};
use super::{Held, log, schema_rows};
use crate::expr::Catalog;
use crate::kit::clock::Clock;
use crate::kit::limits;
use crate::schema::Schema;
use crate::store::directory::{self, Hold, Left};
use crate::store::engine::{Access, OpenOptions};
use crate::store::job::{Job, Work};
use crate::store::shared::Shared;
use crate::store::{CommitGroup, Cursor, CursorSeal, Logs, Position, ReadTx, StoreError, WriteTx};

/// After two writers met, so many short writes go to the writer's thread, which lets them share COMMITs.
const CROWDED_WRITES: u32 = 64;

/// The open database. Cheap to clone.
#[derive(Clone)]
pub(in crate::store) struct Database(Arc<Inner>);

struct Inner {
    path: PathBuf,
    pressure: Arc<AtomicBool>,
    hold: Hold,
    shared: Arc<Shared>,
    epoch: u64,
    cursors: CursorSeal,
    logs: Logs,
    jobs: Sender<Job>,
    desk: Arc<Desk>,
    /// Short writes that go to the writer's thread before one is tried at once again.
    crowded: AtomicU32,
    durable: bool,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Readers,
    checkpointer: Checkpointer,
    /// What is written to the log, where it is shipped.
    tap: Option<Arc<Tap>>,
}

impl Database {
    /// Opens the databases of a data directory, making what is missing, and starts their threads.
    ///
    /// # Errors
    /// [`StoreError::Directory`] with what its owner can do; else the database's own.
    pub(in crate::store) fn open(options: &OpenOptions) -> Result<Self, StoreError> {
        let hold = Hold::take(&options.dir, options.access == Access::Alone)?;
        let path = hold.paths.data.clone();
        let pressure = Arc::new(AtomicBool::new(false));
        let tap = options.tapped.then(|| {
            let tap = Arc::new(Tap::new(options.clock.clone()));
            tap::put_at(&hold.paths.wal, Arc::clone(&tap));
            tap
        });
        let role = Role::Writer {
            durable: options.durable,
            bulk: options.bulk,
        };
        let mut link = Link::open(&path, role, &pressure)?;
        let (meta, schema) = prepare(&link, &hold, options)?;
        let logs = Logs::start(hold.paths.logs.clone())?;

        let checkpointer = Checkpointer::start(&path, &pressure)?;
        checkpointer.gauge.watch(&mut link.connection)?;
        let shared = Arc::new(Shared {
            catalog: ArcSwap::from_pointee(Catalog::new(schema)),
            listeners: RwLock::default(),
            head: AtomicU64::new(0),
            clock: options.clock.clone(),
            waiting: Mutex::default(),
        });
        let (jobs, queue) = bounded(limits::WRITE_QUEUE_MAX);
        let mut writer = Writer::new(link, queue.clone(), Arc::clone(&shared), options.durable)?;
        writer.tap.clone_from(&tap);
        let desk = Arc::new(Desk::new(Some(writer)));
        let its_desk = Arc::clone(&desk);
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer::run(&its_desk, &queue))
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
            jobs,
            desk,
            crowded: AtomicU32::new(0),
            durable: options.durable,
            writer: Mutex::new(Some(writer)),
            readers,
            checkpointer,
            tap,
            logs,
            cursors: CursorSeal::new(&meta.cursor_key),
            epoch: meta.epoch,
            hold,
        })))
    }

    /// The present schema with its compiled rules.
    pub(in crate::store) fn catalog(&self) -> Arc<Catalog> {
        self.0.shared.catalog.load_full()
    }

    /// Runs `f` on a reader thread, in one read transaction (one snapshot).
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub(in crate::store) async fn read<T, E>(
        &self,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (to, answer) = oneshot::channel();
        let guard = Abandon::default();
        let abandoned = Arc::clone(&guard.0);
        self.0.readers.submit(Box::new(move |reader| {
            if !to.is_closed() {
                // Whoever asked may have gone meanwhile.
                drop(to.send(reader.read(Some(&abandoned), f)));
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
    pub(in crate::store) fn read_now<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.readers.here(f)
    }

    /// A reader that holds one state of the database; it shows nothing before its first [`Held::refresh`].
    ///
    /// # Errors
    /// The store's own.
    pub(in crate::store) fn snapshot(&self) -> Result<Held, StoreError> {
        Held::open(&self.0.path, &self.0.shared, &self.0.pressure)
    }

    /// Runs `f` on the writer thread as a member of a commit group; answered after the COMMIT. `f` must be short and
    /// bounded. Its changes are undone when it gives an error.
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub(in crate::store) async fn write<T, E>(
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

    /// As [`Database::write`], for a write that touches few rows: when nobody else is writing it runs at once on the calling
    /// thread, since the ways to the writer's thread and back take longer than such a write. With a sync at every
    /// commit it never does: that would hold up the calling thread for too long.
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub(in crate::store) async fn write_short<T, E>(
        &self,
        f: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match self.at_once(f) {
            Ok(answer) => answer,
            Err(f) => self.write(f).await,
        }
    }

    /// Runs `f` if nobody writes or waits to; gives it back otherwise.
    fn at_once<T, E, F>(&self, f: F) -> Result<Result<T, E>, F>
    where
        F: FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        if self.0.durable {
            return Err(f);
        }
        // Where several write, they share COMMITs on the writer's thread: whoever meets another sends the next ones there.
        let crowded = self.0.crowded.load(Ordering::Relaxed);
        if crowded > 0 {
            self.0.crowded.store(crowded - 1, Ordering::Relaxed);
            return Err(f);
        }
        let desk = self.0.desk.try_lock();
        let Some(mut desk) = desk.filter(|_| self.0.jobs.is_empty()) else {
            self.0.crowded.store(CROWDED_WRITES, Ordering::Relaxed);
            return Err(f);
        };
        let Some(writer) = desk.as_mut() else {
            return Err(f);
        };
        let (to, mut answer) = oneshot::channel();
        writer.at_once(Box::new(Work { f, to }));
        Ok(answer
            .try_recv()
            .unwrap_or_else(|_| Err(StoreError::Closed.into())))
    }

    /// Runs `f` alone in a transaction of its own, interrupted at `deadline`: for batches, schema changes, imports and
    /// whatever runs a superuser's SQL.
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub(in crate::store) async fn write_alone<T, E>(
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
        let since = job.since();
        let mut waiting = self.0.shared.waiting.lock();
        if since.is_some() && !Shared::is_moving(&waiting) {
            return Err(StoreError::Busy);
        }
        self.0.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        waiting.extend(since);
        Ok(())
    }

    /// Called on the writer thread after each COMMIT and before anybody is answered: must be quick and never block.
    pub(in crate::store) fn on_commit(
        &self,
        listener: impl Fn(&CommitGroup) + Send + Sync + 'static,
    ) {
        self.0.shared.listeners.write().push(Box::new(listener));
    }

    /// What is written to the log, where that is told.
    pub(in crate::store) fn tap(&self) -> Option<Arc<Tap>> {
        self.0.tap.clone()
    }

    /// Source of time.
    pub(super) fn clock(&self) -> Clock {
        self.0.shared.clock.clone()
    }

    /// Paths of the databases.
    pub(super) fn databases(&self) -> [&Path; 2] {
        [&self.0.hold.paths.data, &self.0.hold.paths.logs]
    }

    /// The end of the log.
    pub(in crate::store) fn head(&self) -> Cursor {
        Cursor {
            epoch: self.0.epoch,
            position: Position(self.0.shared.head.load(Ordering::Acquire)),
        }
    }

    /// Writes that wait for their turn.
    pub(in crate::store) fn writes_waiting(&self) -> usize {
        self.0.shared.waiting.lock().len()
    }

    /// Seals and opens the cursors that clients hold.
    pub(in crate::store) fn cursors(&self) -> &CursorSeal {
        &self.0.cursors
    }

    /// The database of request logs.
    pub(in crate::store) fn logs(&self) -> &Logs {
        &self.0.logs
    }

    /// Keeps `content` under `name` in a file beside the database, whole or not at all.
    ///
    /// # Errors
    /// The file system's.
    pub(in crate::store) fn keep(
        &self,
        name: &'static str,
        content: &[u8],
    ) -> Result<(), StoreError> {
        self.0.hold.paths.keep(name, content)
    }

    /// What [`Database::keep`] was given last under `name`.
    ///
    /// # Errors
    /// The file system's.
    pub(in crate::store) fn kept(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.hold.paths.kept(name)
    }

    /// Looks whether a command has written beside this process, and takes its changes over: cheap when none has.
    pub(in crate::store) fn notice_neighbours(&self) {
        if std::fs::remove_file(&self.0.hold.paths.notify).is_ok() {
            // A full queue means writes, each group of which looks anyway.
            drop(self.submit(Job::Look));
        }
    }

    /// Lets queued work end, copies the write-ahead log into the database and closes it. Everything asked later is
    /// answered [`StoreError::Closed`]. Blocks for as long as the longest running read or write.
    pub(in crate::store) fn close(&self) {
        self.0.close();
    }
}

/// Says when it is dropped that nobody waits for the answer any more.
#[derive(Default)]
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Inner {
    /// See [`Database::close`].
    fn close(&self) {
        let Some(writer) = self.writer.lock().take() else {
            return;
        };
        self.readers.close();
        self.checkpointer.close();
        // The writer closes last: the last connection to close copies the log and removes its files.
        drop(self.jobs.send(Job::Close));
        drop(writer.join());
        self.logs.close();
        if let Err(error) = self.hold.let_go() {
            tracing::warn!(%error, "the next start will not know that this end was clean");
        }
    }
}

impl Drop for Inner {
    /// A store that is let go without being closed ends in order all the same.
    fn drop(&mut self) {
        self.close();
    }
}

/// Prepares the tables: of a fresh directory, of one of PocketBase, of one of ours.
fn prepare(
    link: &Link,
    hold: &Hold,
    options: &OpenOptions,
) -> Result<(log::Meta, Schema), StoreError> {
    let now = options.clock.now();
    let has = |table: &str| -> Result<bool, StoreError> {
        Ok(link.connection.table_exists(None, table)?)
    };
    if !has("_burrow_meta")? && has("_collections")? {
        // VACUUM INTO cannot run inside a transaction.
        directory::adopt(&link.connection, &hold.paths, now, options.safety_copy)?;
    }
    link.step("BEGIN IMMEDIATE")?;
    if !has("_collections")? {
        let mut tables = link
            .connection
            .prepare("SELECT 1 FROM sqlite_master LIMIT 1")?;
        if tables.exists([])? {
            return Err(StoreError::Directory(format!(
                "{} is not a database of Burrow or PocketBase",
                hold.paths.data.display()
            )));
        }
        directory::create(&link.connection, now)?;
    }
    let mut meta = log::prepare(&link.connection)?;
    if hold.left == Left::Changed {
        meta.epoch = log::new_epoch(&link.connection)?;
    }
    let mut schema = schema_rows::load(&link.connection, 1)?;
    if directory::migrate(&link.connection, &schema, now)? {
        schema = schema_rows::load(&link.connection, 1)?;
    }
    link.step("COMMIT")?;
    Ok((meta, schema))
}
