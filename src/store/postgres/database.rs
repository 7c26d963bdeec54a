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
use super::common::Common;
use super::ears::{Ears, Listeners};
use super::fresh;
use super::logs::Logger;
use super::looks::Looks;
use super::readers::{self, Readers, Shape};
use super::replica::Replica;
use super::session::{Session, aside};
use super::snapshot::Held;
use super::writer::{self, Writer};
use crate::expr::Catalog;
use crate::kit::limits;
use crate::store::directory::{Lock, Paths};
use crate::store::engine::{Access, OpenOptions, Remote, Storage};
use crate::store::job::{Job, Work};
use crate::store::shared::Shared;
use crate::store::{CommitGroup, Cursor, CursorSeal, Logs, Position, ReadTx, StoreError, WriteTx};

/// The open database. Cheap to clone.
#[derive(Clone)]
pub(in crate::store) struct Database(Arc<Inner>);

struct Inner {
    address: Address,
    /// That of the database itself, where the other one is a pooler's.
    direct: Address,
    shared: Arc<Shared>,
    paths: Paths,
    /// Held while a server is open: what a node keeps in its directory is its own.
    lock: Mutex<Option<Lock>>,
    cursors: CursorSeal,
    logs: Logs,
    jobs: Sender<Job>,
    writer: Mutex<Option<JoinHandle<()>>>,
    ears: Mutex<Option<JoinHandle<()>>>,
    closing: Arc<AtomicBool>,
    looks: Arc<Looks>,
    readers: Arc<Readers>,
    /// Another server that answers reads.
    replica: Option<Replica>,
    /// What nodes share besides records.
    common: Common,
    /// The server's process of the connection that writes.
    process: Arc<AtomicI32>,
    listeners: Arc<Listeners>,
}

impl Database {
    /// Opens a database, making what is missing, and starts this node's threads.
    pub(in crate::store) fn open(
        options: &OpenOptions,
        remote: &Remote,
    ) -> Result<Self, StoreError> {
        let address = Address::parse(&remote.address)?;
        let direct = match &remote.listen {
            None => address.clone(),
            Some(text) => Address::parse(text)?,
        };
        let address = if remote.listen.is_some() {
            address.pooled()
        } else {
            address
        };
        let (paths, lock) = Lock::of_node(&options.dir, options.access == Access::Alone)?;
        let (meta, schema) = aside(|| fresh::prepare(&address, options.clock.now()))?;
        let shared = Arc::new(Shared {
            catalog: ArcSwap::from_pointee(Catalog::new(schema)),
            listeners: RwLock::default(),
            head: AtomicU64::new(meta.last),
            clock: options.clock.clone(),
            waiting: Mutex::default(),
        });
        let (jobs, queue) = bounded(limits::WRITE_QUEUE_MAX);
        let process = Arc::new(AtomicI32::new(0));
        let session = Session::connect(&address)?;
        let looks = Arc::new(Looks::new(jobs.clone(), meta.epoch));
        let writer = Writer::new(
            address.clone(),
            session,
            queue,
            Arc::clone(&shared),
            Arc::clone(&process),
            Arc::clone(&looks),
        )?;
        let writer = spawn("writer", move || writer::run(writer))?;
        let closing = Arc::new(AtomicBool::new(false));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let reading = remote.connections.max(limits::DATABASE_CONNECTIONS_MIN)
            - limits::DATABASE_CONNECTIONS_OWN;
        let threads = (cores * 2)
            .clamp(4, limits::DATABASE_READERS_MAX)
            .min(reading / 2);
        let shape = Shape {
            threads,
            here: reading - threads,
            time_max: options.query_timeout,
        };
        let readers = Readers::open(&address, &shared, &looks, None, shape)?;
        let readers = Arc::new(readers);
        let replica = replica_of(remote, &address, &shared, &looks, shape)?;
        Ok(Self(Arc::new(Inner {
            logs: Logs::of_postgres(Logger::new(address.clone()))?,
            address,
            direct,
            shared,
            paths,
            lock: Mutex::new(lock),
            cursors: CursorSeal::new(&meta.cursor_key),
            jobs,
            writer: Mutex::new(Some(writer)),
            ears: Mutex::new(None),
            closing,
            looks,
            common: Common::new(Arc::clone(&readers)),
            readers,
            replica,
            process,
            listeners: Arc::default(),
        })))
    }

    /// Takes its place among the servers of the database, and listens to the others from now on.
    pub(in crate::store) fn join(&self, storage: Storage) -> Result<(), StoreError> {
        let inner = &self.0;
        let mut ears = Ears::new(
            inner.direct.clone(),
            storage,
            Arc::clone(&inner.looks),
            Arc::clone(&inner.process),
            Arc::clone(&inner.closing),
            Arc::clone(&inner.listeners),
            inner.common.clone(),
        );
        aside(|| ears.open())?;
        *inner.ears.lock() = Some(spawn("ears", move || ears.run())?);
        Ok(())
    }

    pub(in crate::store) fn common(&self) -> &Common {
        &self.0.common
    }

    pub(in crate::store) fn on_post(&self, listener: impl Fn(&str) + Send + Sync + 'static) {
        self.0.listeners.add(listener);
    }

    /// Waits until this node has seen the end of the log as it is now, but not for long.
    pub(in crate::store) async fn catch_up(&self) {
        let most = Duration::from_millis(limits::DATABASE_STALE_MILLIS);
        self.0.looks.catch_up(most).await;
    }

    pub(in crate::store) fn is_level(&self) -> bool {
        self.0.looks.age() < Duration::from_millis(limits::DATABASE_STALE_MILLIS)
    }

    pub(in crate::store) fn is_reachable(&self) -> bool {
        self.0.looks.is_reachable()
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
        let job: readers::Job = Box::new(move |reader| {
            if !to.is_closed() {
                // Whoever asked may have gone meanwhile.
                drop(to.send(reader.read(f)));
            }
        });
        match &self.0.replica {
            Some(replica) if replica.is_level().await => replica.submit(job)?,
            Some(_) | None => self.0.readers.submit(job)?,
        }
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
            epoch: self.0.looks.epoch(),
            position: Position(self.0.shared.head.load(Ordering::Acquire)),
        }
    }

    pub(in crate::store) fn writes_waiting(&self) -> usize {
        self.0.shared.waiting.lock().len()
    }

    pub(in crate::store) fn replica_reads(&self) -> Option<u64> {
        self.0.replica.as_ref().map(Replica::answered)
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

/// The way to the replica, where there is one.
fn replica_of(
    remote: &Remote,
    primary: &Address,
    shared: &Arc<Shared>,
    looks: &Arc<Looks>,
    shape: Shape,
) -> Result<Option<Replica>, StoreError> {
    let Some(text) = &remote.read else {
        return Ok(None);
    };
    let there = Address::parse(text)?.of_replica();
    let lost = Arc::new(AtomicU64::new(0));
    let readers = Readers::open(&there, shared, looks, Some(Arc::clone(&lost)), shape)?;
    let replica = Replica::open(there, primary.clone(), readers, Arc::clone(looks), lost)?;
    Ok(Some(replica))
}

impl Inner {
    fn close(&self) {
        let Some(writer) = self.writer.lock().take() else {
            return;
        };
        self.closing.store(true, Ordering::Release);
        if let Some(replica) = &self.replica {
            replica.close();
        }
        self.readers.close();
        drop(self.jobs.send(Job::Close));
        drop(writer.join());
        if let Some(ears) = self.ears.lock().take() {
            drop(ears.join());
        }
        self.logs.close();
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
