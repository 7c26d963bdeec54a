//! The open database, of either engine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::snapshot::Held;
use super::{
    Baseline, CommitGroup, Common, Cursor, CursorSeal, Logs, ReadTx, Snapshot, StoreError, Tap,
    WriteTx, postgres, sqlite,
};
use crate::expr::Catalog;
use crate::kit::clock::Clock;
use crate::kit::limits;
use crate::kit::secret::Secret;

/// How to open.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The data directory.
    pub dir: PathBuf,
    /// The PostgreSQL that holds the data; none is the embedded engine, in the directory.
    pub database: Option<Remote>,
    /// Source of time.
    pub clock: Clock,
    /// `true` syncs at every commit group.
    pub durable: bool,
    /// Longest read.
    pub query_timeout: Duration,
    /// Whether the directory is to be held, or somebody else may hold it.
    pub access: Access,
    /// Whether the databases of a directory of PocketBase are copied before the first write.
    pub safety_copy: bool,
    /// Whether somebody is going to ship what is written to the log.
    pub tapped: bool,
    /// Whether many rows are going to be written by somebody who does little else: more memory is used for it.
    pub bulk: bool,
}

/// A PostgreSQL, and how it is used.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its address, or a pooler's.
    pub address: Secret<String>,
    /// That of the database itself, where the other one is a pooler's.
    pub listen: Option<Secret<String>>,
    /// A replica of it, which answers reads.
    pub read: Option<Secret<String>>,
    /// Connections at most; as many again to the replica.
    pub connections: usize,
}

impl Remote {
    /// The usual way to use the one at `address`.
    #[must_use]
    pub fn at(address: Secret<String>) -> Self {
        Self {
            address,
            listen: None,
            read: None,
            connections: limits::DATABASE_CONNECTIONS,
        }
    }
}

/// Who else may use the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nobody: for a server.
    Alone,
    /// A server that runs may: for a command that writes a little.
    Beside,
}

/// Where a server keeps uploaded files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In its own directory.
    Own,
    /// Where all servers of the database reach them.
    Shared,
}

impl OpenOptions {
    /// The usual way to open `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, clock: Clock) -> Self {
        Self {
            dir: dir.into(),
            database: None,
            clock,
            durable: false,
            query_timeout: Duration::from_secs(limits::READ_SECS_MAX),
            access: Access::Alone,
            safety_copy: true,
            tapped: false,
            bulk: false,
        }
    }
}

/// The open database. Cheap to clone.
#[derive(Clone)]
pub struct Store(Engine);

/// Which one it is.
#[derive(Clone)]
enum Engine {
    Sqlite(sqlite::Database),
    Postgres(postgres::Database),
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
        Ok(Self(match &options.database {
            None => Engine::Sqlite(sqlite::Database::open(options)?),
            Some(remote) => Engine::Postgres(postgres::Database::open(options, remote)?),
        }))
    }

    /// Whether the data is in the directory.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        match &self.0 {
            Engine::Sqlite(_) => true,
            Engine::Postgres(_) => false,
        }
    }

    /// Takes a place among the servers of the database. Files that lie in a server's own directory would not be there for
    /// the clients of others: such a server stays alone.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn join(&self, storage: Storage) -> Result<(), StoreError> {
        match &self.0 {
            // It holds the directory.
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(database) => database.join(storage),
        }
    }

    /// What all servers of the database know besides records; nothing where there is one server by nature.
    #[must_use]
    pub fn common(&self) -> Option<&Common> {
        match &self.0 {
            Engine::Sqlite(_) => None,
            Engine::Postgres(database) => Some(database.common()),
        }
    }

    /// Calls `listener` for what any server of the database posts; it must be quick.
    pub fn on_post(&self, listener: impl Fn(&str) + Send + Sync + 'static) {
        match &self.0 {
            Engine::Sqlite(_) => {}
            Engine::Postgres(database) => database.on_post(listener),
        }
    }

    /// Learns what other servers have committed until now, where there are any; not for long.
    pub async fn catch_up(&self) {
        match &self.0 {
            Engine::Sqlite(_) => {}
            Engine::Postgres(database) => database.catch_up().await,
        }
    }

    /// Makes sure that a collection is known which another server may just have made.
    pub async fn learn_of(&self, collection: &str) {
        if !self.is_embedded() && self.catalog().find(collection).is_none() {
            self.catch_up().await;
        }
    }

    /// Whether this node knows what others have committed until a second ago: what is remembered of identities counts.
    #[must_use]
    pub fn is_level(&self) -> bool {
        match &self.0 {
            Engine::Sqlite(_) => true,
            Engine::Postgres(database) => database.is_level(),
        }
    }

    /// Whether the database was there when it was looked at last.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        match &self.0 {
            Engine::Sqlite(_) => true,
            Engine::Postgres(database) => database.is_reachable(),
        }
    }

    /// The present schema with its compiled rules.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        match &self.0 {
            Engine::Sqlite(database) => database.catalog(),
            Engine::Postgres(database) => database.catalog(),
        }
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
        match &self.0 {
            Engine::Sqlite(database) => database.read(f).await,
            Engine::Postgres(database) => database.read(f).await,
        }
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
        match &self.0 {
            Engine::Sqlite(database) => database.read_now(f),
            Engine::Postgres(database) => database.read_now(f),
        }
    }

    /// A reader that holds one state of the database; it shows nothing before its first [`Snapshot::refresh`].
    ///
    /// # Errors
    /// The store's own.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot(match &self.0 {
            Engine::Sqlite(database) => Held::Sqlite(database.snapshot()?),
            Engine::Postgres(database) => Held::Postgres(Box::new(database.snapshot()?)),
        }))
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
        match &self.0 {
            Engine::Sqlite(database) => database.write(f).await,
            Engine::Postgres(database) => database.write(f).await,
        }
    }

    /// As [`Store::write`], for a write that touches few rows: when nobody else is writing it runs at once on the calling
    /// thread, since the ways to the writer's thread and back take longer than such a write. With a sync at every
    /// commit it never does: that would hold up the calling thread for too long.
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub async fn write_short<T, E>(
        &self,
        f: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.0 {
            Engine::Sqlite(database) => database.write_short(f).await,
            Engine::Postgres(database) => database.write(f).await,
        }
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
        match &self.0 {
            Engine::Sqlite(database) => database.write_alone(deadline, f).await,
            Engine::Postgres(database) => database.write_alone(deadline, f).await,
        }
    }

    /// Called on the writer thread after each COMMIT and before anybody is answered: must be quick and never block.
    pub fn on_commit(&self, listener: impl Fn(&CommitGroup) + Send + Sync + 'static) {
        match &self.0 {
            Engine::Sqlite(database) => database.on_commit(listener),
            Engine::Postgres(database) => database.on_commit(listener),
        }
    }

    /// The end of the log.
    #[must_use]
    pub fn head(&self) -> Cursor {
        match &self.0 {
            Engine::Sqlite(database) => database.head(),
            Engine::Postgres(database) => database.head(),
        }
    }

    /// Writes that wait for their turn.
    #[must_use]
    pub fn writes_waiting(&self) -> usize {
        match &self.0 {
            Engine::Sqlite(database) => database.writes_waiting(),
            Engine::Postgres(database) => database.writes_waiting(),
        }
    }

    /// Reads that a replica of the database was handed, where there is one.
    #[must_use]
    pub fn replica_reads(&self) -> Option<u64> {
        match &self.0 {
            Engine::Sqlite(_) => None,
            Engine::Postgres(database) => database.replica_reads(),
        }
    }

    /// Seals and opens the cursors that clients hold.
    #[must_use]
    pub fn cursors(&self) -> &CursorSeal {
        match &self.0 {
            Engine::Sqlite(database) => database.cursors(),
            Engine::Postgres(database) => database.cursors(),
        }
    }

    /// The database of request logs.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        match &self.0 {
            Engine::Sqlite(database) => database.logs(),
            Engine::Postgres(database) => database.logs(),
        }
    }

    /// Copies the databases as they are at one moment each into `folder`, under their own names. Blocks for as long as
    /// the disk takes; nobody waits for it.
    ///
    /// # Errors
    /// The database's own.
    pub fn copy_to(&self, folder: &Path) -> Result<(), StoreError> {
        match &self.0 {
            Engine::Sqlite(database) => database.copy_to(folder),
            Engine::Postgres(database) => database.copy_to(folder),
        }
    }

    /// What is written to the log of the embedded engine, when it was opened with a tap.
    #[must_use]
    pub fn tap(&self) -> Option<Arc<Tap>> {
        match &self.0 {
            Engine::Sqlite(database) => database.tap(),
            Engine::Postgres(_) => None,
        }
    }

    /// Holds the present state, which everything that the tap gives from now on follows.
    ///
    /// # Errors
    /// The database's own; [`StoreError::Busy`] without a tap.
    pub async fn baseline(&self) -> Result<Baseline, StoreError> {
        match &self.0 {
            Engine::Sqlite(database) => database.baseline().await,
            Engine::Postgres(_) => Err(StoreError::Busy),
        }
    }

    /// Keeps `content` under `name` in a file beside the database, whole or not at all.
    ///
    /// # Errors
    /// The file system's.
    pub fn keep(&self, name: &'static str, content: &[u8]) -> Result<(), StoreError> {
        match &self.0 {
            Engine::Sqlite(database) => database.keep(name, content),
            Engine::Postgres(database) => database.keep(name, content),
        }
    }

    /// What [`Store::keep`] was given last under `name`.
    ///
    /// # Errors
    /// The file system's.
    pub fn kept(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        match &self.0 {
            Engine::Sqlite(database) => database.kept(name),
            Engine::Postgres(database) => database.kept(name),
        }
    }

    /// Looks whether a command has written beside this process, and takes its changes over: cheap when none has.
    pub fn notice_neighbours(&self) {
        match &self.0 {
            Engine::Sqlite(database) => database.notice_neighbours(),
            // Commands tell as other nodes do.
            Engine::Postgres(_) => {}
        }
    }

    /// Lets queued work end, copies the write-ahead log into the database and closes it. Everything asked later is
    /// answered [`StoreError::Closed`]. Blocks for as long as the longest running read or write.
    pub fn close(&self) {
        match &self.0 {
            Engine::Sqlite(database) => database.close(),
            Engine::Postgres(database) => database.close(),
        }
    }
}
