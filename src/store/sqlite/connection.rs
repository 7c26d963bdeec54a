//! One SQLite connection as every thread of the store opens it: pragmas, functions, statement cache, deadline.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};

use super::{console, functions, vfs};
use crate::kit::limits;
use crate::store::StoreError;

/// Virtual machine steps between two looks at the clock: about a tenth of a millisecond.
const STEPS_PER_LOOK: i32 = 4_000;

/// What a connection is for, which sets its page cache and durability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Role {
    /// The one writer.
    Writer {
        /// Sync at every commit.
        durable: bool,
        /// Writes many rows and does little else: what it touches stays in memory.
        bulk: bool,
    },
    /// A reader thread, or a connection for reads in place.
    Reader,
    /// The checkpoint thread.
    Checkpoint,
    /// Request logs: small.
    Logs,
}

impl Role {
    fn cache_kib(self) -> i64 {
        match self {
            Self::Writer { bulk: true, .. } => 64 << 10,
            Self::Writer { .. } => 16 << 10,
            Self::Reader => 4 << 10,
            Self::Logs | Self::Checkpoint => 1 << 10,
        }
    }
}

/// When the statement that runs on a connection has to end; shared with its progress handler.
#[derive(Clone, Debug)]
pub(in crate::store) struct Deadline(Arc<Limits>);

#[derive(Debug)]
struct Limits {
    base: Instant,
    /// Milliseconds after `base`; 0 is no limit.
    end: AtomicU64,
    /// Set while the write-ahead log is far too long: reads older than this many milliseconds after `base` end.
    started: AtomicU64,
    pressure: Arc<AtomicBool>,
    /// Set when whoever asked has gone.
    abandoned: Mutex<Option<Arc<AtomicBool>>>,
}

impl Deadline {
    fn new(pressure: Arc<AtomicBool>) -> Self {
        Self(Arc::new(Limits {
            base: Instant::now(),
            end: AtomicU64::new(0),
            started: AtomicU64::new(0),
            pressure,
            abandoned: Mutex::new(None),
        }))
    }

    /// Whatever runs from now on has `span` to end.
    pub(in crate::store) fn set(&self, span: Duration) {
        let now = self.now();
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.0.started.store(now, Ordering::Relaxed);
        self.0
            .end
            .store(now.saturating_add(span).max(1), Ordering::Relaxed);
    }

    /// Whatever runs from now on also ends when `abandoned` is set.
    pub(super) fn watch(&self, abandoned: Option<&Arc<AtomicBool>>) {
        *self.0.abandoned.lock() = abandoned.cloned();
    }

    /// No limit from now on.
    pub(in crate::store) fn clear(&self) {
        self.0.end.store(0, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.base.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn passed(&self) -> bool {
        let end = self.0.end.load(Ordering::Relaxed);
        if end == 0 {
            return false;
        }
        let now = self.now();
        let old = now.saturating_sub(self.0.started.load(Ordering::Relaxed))
            > limits::READ_SECS_UNDER_PRESSURE * 1_000;
        now > end || (old && self.0.pressure.load(Ordering::Relaxed)) || self.is_abandoned()
    }

    fn is_abandoned(&self) -> bool {
        let abandoned = self.0.abandoned.lock();
        abandoned
            .as_ref()
            .is_some_and(|gone| gone.load(Ordering::Relaxed))
    }
}

/// A connection with its deadline.
pub(in crate::store) struct Link {
    pub(in crate::store) connection: Connection,
    pub(in crate::store) deadline: Deadline,
}

impl Link {
    /// Opens `path` (made when it is missing, by the writer only) with the pragmas of the contract (auth-admin 8.2).
    pub(in crate::store) fn open(
        path: &Path,
        role: Role,
        pressure: &Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        let flags = match role {
            Role::Writer { .. } | Role::Logs => {
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
            }
            Role::Reader | Role::Checkpoint => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = match vfs::name() {
            Some(layer) => Connection::open_with_flags_and_vfs(path, flags, layer)?,
            None => Connection::open_with_flags(path, flags)?,
        };
        connection.busy_timeout(Duration::from_secs(limits::LOCK_WAIT_SECS_MAX))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "journal_size_limit", limits::WAL_BYTES_KEPT)?;
        let synchronous = match role {
            Role::Writer { durable: true, .. } => "FULL",
            Role::Writer { durable: false, .. } | Role::Reader | Role::Checkpoint | Role::Logs => {
                "NORMAL"
            }
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -role.cache_kib())?;
        match role {
            // The checkpoint thread does it, so that no commit waits for it.
            Role::Writer { bulk, .. } => {
                connection.pragma_update(None, "wal_autocheckpoint", 0)?;
                // Of the whole process.
                let most = limits::SQLITE_HEAP_BYTES << u8::from(bulk);
                connection.pragma_update(None, "soft_heap_limit", most)?;
            }
            Role::Reader => connection.pragma_update(None, "query_only", true)?,
            Role::Checkpoint | Role::Logs => {}
        }
        connection.set_prepared_statement_cache_capacity(limits::STATEMENT_CACHE);
        functions::register(&connection)?;
        connection.authorizer(Some(console::authorize))?;
        let deadline = Deadline::new(Arc::clone(pressure));
        let watched = deadline.clone();
        connection.progress_handler(STEPS_PER_LOOK, Some(move || watched.passed()))?;
        Ok(Self {
            connection,
            deadline,
        })
    }

    /// Runs a statement without arguments or rows, prepared once.
    pub(in crate::store) fn step(&self, sql: &'static str) -> Result<(), StoreError> {
        step(&self.connection, sql)
    }
}

/// Runs a statement without arguments, prepared once; rows that it gives are skipped.
pub(in crate::store) fn step(connection: &Connection, sql: &'static str) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(())
}

/// Brings the planner's statistics up to date.
pub(in crate::store) fn optimize(connection: &Connection) -> Result<(), StoreError> {
    step(connection, "PRAGMA optimize")
}
