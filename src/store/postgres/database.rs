//! A database that is open, and the threads of this node that use it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Sender, TrySendError, bounded};
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use super::address::Address;
use super::fresh;
use super::logs::Logger;
use super::readers::Readers;
use super::session::{Session, aside};
use super::snapshot::Held;
use super::writer::{self, Writer};
use crate::expr::Catalog;
use crate::kit::limits;
use crate::kit::secret::Secret;
use crate::store::directory::{Lock, Paths};
use crate::store::engine::{Access, OpenOptions};
use crate::store::job::{Job, Work};
use crate::store::shared::Shared;
use crate::store::{CommitGroup, Cursor, CursorSeal, Logs, Position, ReadTx, StoreError, WriteTx};

/// The lock of the only server of a database.
const SERVING: i64 = 0x4275_7272_6f77_0003;
/// How often this node looks for what others wrote when nobody tells it.
const LOOK: Duration = Duration::from_millis(limits::DATABASE_LOOK_MILLIS);

/// The open database. Cheap to clone.
#[derive(Clone)]
pub(in crate::store) struct Database(Arc<Inner>);

struct Inner {
    address: Address,
    shared: Arc<Shared>,
    paths: Paths,
    /// Held while a server is open: what a node keeps in its directory is its own.
    lock: Mutex<Option<Lock>>,
    epoch: u64,
    cursors: CursorSeal,
    logs: Logs,
    jobs: Sender<Job>,
    writer: Mutex<Option<JoinHandle<()>>>,
    ears: Mutex<Option<JoinHandle<()>>>,
    closing: Arc<AtomicBool>,
    /// When the log was last seen to its end.
    looked: Arc<Mutex<Instant>>,
    readers: Readers,
    /// The connection that holds the lock of the only server.
    claim: Mutex<Option<Session>>,
}

impl Database {
    /// Opens a database, making what is missing, and starts this node's threads.
    pub(in crate::store) fn open(
        options: &OpenOptions,
        text: &Secret<String>,
    ) -> Result<Self, StoreError> {
        let address = Address::parse(text)?;
        let (paths, lock) = Lock::of_node(&options.dir, options.access == Access::Alone)?;
        let (meta, schema) = aside(|| fresh::prepare(&address, options.clock.now()))?;
        let shared = Arc::new(Shared {
            catalog: ArcSwap::from_pointee(Catalog::new(schema)),
            listeners: RwLock::default(),
            head: AtomicU64::new(0),
            clock: options.clock.clone(),
            waiting: Mutex::default(),
        });
        let (jobs, queue) = bounded(limits::WRITE_QUEUE_MAX);
        let process = Arc::new(AtomicI32::new(0));
        let session = Session::connect(&address, "SET jit = off")?;
        let looked = Arc::new(Mutex::new(Instant::now()));
        let writer = Writer::new(
            address.clone(),
            session,
            queue,
            Arc::clone(&shared),
            Arc::clone(&process),
            Arc::clone(&looked),
        )?;
        let writer = spawn("writer", move || writer::run(writer))?;
        let closing = Arc::new(AtomicBool::new(false));
        let ears = {
            let (address, jobs, closing) = (address.clone(), jobs.clone(), Arc::clone(&closing));
            spawn("ears", move || listen(&address, &jobs, &process, &closing))?
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (cores * 2).clamp(4, limits::DATABASE_READERS_MAX);
        let readers = Readers::open(&address, &shared, threads, options.query_timeout)?;
        Ok(Self(Arc::new(Inner {
            logs: Logs::of_postgres(Logger::new(address.clone()))?,
            address,
            shared,
            paths,
            lock: Mutex::new(lock),
            epoch: meta.epoch,
            cursors: CursorSeal::new(&meta.cursor_key),
            jobs,
            writer: Mutex::new(Some(writer)),
            ears: Mutex::new(Some(ears)),
            closing,
            looked,
            claim: Mutex::new(None),
            readers,
        })))
    }

    /// Takes the lock that the only server of a database holds on a connection of its own.
    pub(in crate::store) fn be_only_server(&self) -> Result<(), StoreError> {
        let began = Instant::now();
        loop {
            let claim = Session::connect(&self.0.address, "SET idle_session_timeout = 0")?;
            let rows = claim.simple(&format!("SELECT pg_try_advisory_lock({SERVING})"))?;
            let taken = rows.first().and_then(|row| row.first()?.as_deref()) == Some("t");
            if taken {
                *self.0.claim.lock() = Some(claim);
                return Ok(());
            }
            // One that has just ended may not be forgotten yet.
            if began.elapsed() > Duration::from_secs(limits::DATABASE_SILENCE_SECS_MAX) {
                return Err(StoreError::Directory(
                    "another server uses this database; several servers on one database are not part of this version"
                        .to_owned(),
                ));
            }
            std::thread::park_timeout(LOOK / 4);
        }
    }

    pub(in crate::store) fn is_level(&self) -> bool {
        self.0.looked.lock().elapsed() < Duration::from_millis(limits::DATABASE_STALE_MILLIS)
    }

    pub(in crate::store) fn catalog(&self) -> Arc<Catalog> {
        self.0.shared.catalog.load_full()
    }

    pub(in crate::store) async fn read<T, E>(
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

    pub(in crate::store) fn read_now<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.readers.here(f)
    }

    pub(in crate::store) fn snapshot(&self) -> Result<Held, StoreError> {
        aside(|| Held::open(&self.0.address, &self.0.shared))
    }

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

    pub(in crate::store) fn on_commit(
        &self,
        listener: impl Fn(&CommitGroup) + Send + Sync + 'static,
    ) {
        self.0.shared.listeners.write().push(Box::new(listener));
    }

    pub(in crate::store) fn head(&self) -> Cursor {
        Cursor {
            epoch: self.0.epoch,
            position: Position(self.0.shared.head.load(Ordering::Acquire)),
        }
    }

    pub(in crate::store) fn writes_waiting(&self) -> usize {
        self.0.shared.waiting.lock().len()
    }

    pub(in crate::store) fn cursors(&self) -> &CursorSeal {
        &self.0.cursors
    }

    pub(in crate::store) fn logs(&self) -> &Logs {
        &self.0.logs
    }

    pub(in crate::store) fn keep(
        &self,
        name: &'static str,
        content: &[u8],
    ) -> Result<(), StoreError> {
        self.0.paths.keep(name, content)
    }

    pub(in crate::store) fn kept(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.paths.kept(name)
    }

    pub(in crate::store) fn copy_to(&self, _folder: &Path) -> Result<(), StoreError> {
        Err(StoreError::Elsewhere)
    }

    pub(in crate::store) fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        let Some(writer) = self.writer.lock().take() else {
            return;
        };
        self.closing.store(true, Ordering::Release);
        self.readers.close();
        drop(self.jobs.send(Job::Close));
        drop(writer.join());
        if let Some(ears) = self.ears.lock().take() {
            drop(ears.join());
        }
        self.logs.close();
        drop(self.claim.lock().take());
        drop(self.lock.lock().take());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|e| StoreError::Directory(format!("cannot start a thread: {e}")))
}

/// Has the writer look at the log whenever another node has written, and now and then where nobody tells.
fn listen(address: &Address, jobs: &Sender<Job>, own: &AtomicI32, closing: &AtomicBool) {
    let mut session: Option<Session> = None;
    while !closing.load(Ordering::Acquire) {
        if session.as_ref().is_none_or(Session::is_broken) {
            match Session::connect(address, "LISTEN burrow_changes") {
                Ok(fresh) => session = Some(fresh),
                Err(error) => {
                    tracing::debug!(%error, "cannot listen to other nodes");
                    session = None;
                    std::thread::park_timeout(LOOK);
                    continue;
                }
            }
        }
        let Some(listening) = &session else { continue };
        match listening.notified(LOOK) {
            // A full queue means writes, each of which looks anyway.
            Ok(Some(process)) if process == own.load(Ordering::Acquire) => {}
            Ok(_) => drop(jobs.try_send(Job::Look)),
            Err(_) => session = None,
        }
    }
}
