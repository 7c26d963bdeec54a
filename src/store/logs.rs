//! Request logs: `auxiliary.db`, on a thread of its own, so that neither writing nor searching them slows anything.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use compact_str::CompactString;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;
use rusqlite::params;
use tokio::sync::oneshot;

use super::read::Engine;
use super::sqlite::{Link, Role};
use super::{ReadTx, Select, StoreError};
use super::{directory, postgres};
use crate::expr::{Catalog, Root};
use crate::kit::limits;
use crate::kit::sql::Sql;
use crate::kit::time::Timestamp;
use crate::kit::value::Value;

/// One line of the request logs.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    /// 15 letters.
    pub id: CompactString,
    /// -4 debug, 0 info, 4 warning, 8 error.
    pub level: i64,
    /// What happened.
    pub message: String,
    /// JSON text of an object.
    pub data: String,
    /// When, in the contract's text form.
    pub created: CompactString,
}

/// The database of request logs inside one transaction. Reads as [`ReadTx`] does, on the table `_logs`.
pub struct LogTx<'a> {
    read: ReadTx<'a>,
}

impl<'a> Deref for LogTx<'a> {
    type Target = ReadTx<'a>;

    fn deref(&self) -> &ReadTx<'a> {
        &self.read
    }
}

impl LogTx<'_> {
    /// Adds entries.
    ///
    /// # Errors
    /// The store's own.
    pub fn append(&self, entries: &[LogEntry]) -> Result<(), StoreError> {
        let connection = match self.engine() {
            Engine::Sqlite(connection) => connection,
            Engine::Postgres(session) => return postgres::append_logs(session, entries),
        };
        let mut statement = connection.prepare_cached(
            "INSERT INTO _logs (id, level, message, data, created) VALUES (?, ?, ?, ?, ?)",
        )?;
        for entry in entries {
            statement.execute(params![
                entry.id.as_str(),
                entry.level,
                entry.message,
                entry.data,
                entry.created.as_str(),
            ])?;
        }
        Ok(())
    }

    /// How many requests and entries of `select` each hour has (a line may stand for several), oldest hour first; hours in the contract's text form.
    ///
    /// # Errors
    /// The store's own.
    pub fn hourly(&self, select: &Select<'_>) -> Result<Vec<(CompactString, u64)>, StoreError> {
        let mut sql = self.sql();
        sql.push_either(
            "SELECT strftime('%Y-%m-%d %H:00:00', created) AS hour, \
             sum(CASE WHEN instr(data, '\"weight\":') AND json_valid(data) \
             THEN coalesce(CAST(json_extract(data, '$.weight') AS INTEGER), 1) ELSE 1 END) FROM _logs",
            "SELECT substr(created, 1, 13) || ':00:00' AS hour, \
             sum(CASE WHEN position('\"weight\":' in data) > 0 AND burrow.is_json(data) \
             THEN coalesce((data::json ->> 'weight')::float8::bigint, 1) ELSE 1 END)::bigint FROM _logs",
        );
        if let Some(filter) = select.filter {
            sql.push(" WHERE ");
            filter.write_sql(select.catalog, Root::Table("_logs"), select.call, &mut sql);
        }
        sql.push(" GROUP BY hour ORDER BY hour");
        let mut hours = Vec::new();
        self.query_rows(&sql, &mut |row| {
            let hour = match row.cell(0).to_value() {
                Value::Text(text) => text,
                Value::Null | Value::Int(_) | Value::Real(_) | Value::Blob(_) => return,
            };
            let total = match row.cell(1).to_value() {
                Value::Int(n) => u64::try_from(n).unwrap_or(0),
                Value::Null | Value::Real(_) | Value::Text(_) | Value::Blob(_) => 0,
            };
            hours.push((hour + ".000Z", total));
        })?;
        Ok(hours)
    }

    /// Removes entries made before `moment` and those below `level`; how many there were.
    ///
    /// # Errors
    /// The store's own.
    pub fn prune(&self, moment: Timestamp, level: i64) -> Result<usize, StoreError> {
        let mut sql = self.sql();
        sql.push("DELETE FROM _logs WHERE created < ")
            .arg(Value::Text(moment.to_text()))
            .push(" OR level < ")
            .arg(Value::Int(level));
        self.execute(&sql)
    }

    /// Removes the oldest entries while all of them take more than `most` bytes. Their room in the file is used again.
    ///
    /// # Errors
    /// The store's own.
    pub fn keep_within(&self, most: Option<u64>) -> Result<(), StoreError> {
        let Some(most) = most else { return Ok(()) };
        while self.used_bytes()? > most {
            let mut sql = self.sql();
            sql.push_either(
                "DELETE FROM _logs WHERE rowid IN (SELECT rowid FROM _logs ORDER BY created \
                 LIMIT max(1, (SELECT count(*) FROM _logs) / ",
                "DELETE FROM _logs WHERE _rowid_ IN (SELECT _rowid_ FROM _logs ORDER BY created \
                 LIMIT greatest(1, (SELECT count(*) FROM _logs) / ",
            )
            .number(limits::LOG_TRIM_PARTS)
            .push("))");
            if self.execute(&sql)? == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Bytes of the pages in use.
    fn used_bytes(&self) -> Result<u64, StoreError> {
        if let Engine::Postgres(_) = self.engine() {
            let mut sql = self.sql();
            sql.push(
                "SELECT coalesce(sum(octet_length(data) + octet_length(message) + 64), 0)::bigint FROM _logs",
            );
            return Ok(match self.query_value(&sql)? {
                Some(Value::Int(n)) => u64::try_from(n).unwrap_or(0),
                _ => 0,
            });
        }
        let pragma = |name: &'static str| -> Result<u64, StoreError> {
            let mut sql = self.sql();
            sql.push(name);
            Ok(match self.query_value(&sql)? {
                Some(Value::Int(n)) => u64::try_from(n).unwrap_or(0),
                _ => 0,
            })
        };
        let pages = pragma("PRAGMA page_count")?.saturating_sub(pragma("PRAGMA freelist_count")?);
        Ok(pages.saturating_mul(pragma("PRAGMA page_size")?))
    }

    /// Removes every entry.
    ///
    /// # Errors
    /// The store's own.
    pub fn clear(&self) -> Result<usize, StoreError> {
        let mut sql = self.sql();
        sql.push("DELETE FROM _logs");
        self.execute(&sql)
    }

    /// Runs a statement of ours that gives no rows; how many rows it changed.
    ///
    /// # Errors
    /// The store's own.
    pub fn execute(&self, sql: &Sql) -> Result<usize, StoreError> {
        self.read.run(sql)
    }
}

type Job = Box<dyn FnOnce(&Thread) + Send>;

/// The database of request logs. Cheap to clone.
#[derive(Clone)]
pub struct Logs(Arc<Inner>);

struct Inner {
    queue: Sender<Option<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Logs")
    }
}

impl Logs {
    /// Starts the thread; the database is opened when it is first needed.
    pub(super) fn start(path: PathBuf) -> Result<Self, StoreError> {
        Self::begin(Base::Sqlite(path, std::cell::OnceCell::new()))
    }

    /// The same, with the table of a PostgreSQL.
    pub(super) fn of_postgres(logger: postgres::Logger) -> Result<Self, StoreError> {
        Self::begin(Base::Postgres(Box::new(logger)))
    }

    fn begin(base: Base) -> Result<Self, StoreError> {
        let (queue, jobs) = bounded(limits::LOG_JOBS_MAX);
        let thread = std::thread::Builder::new()
            .name("logs".to_owned())
            .spawn(move || run(base, &jobs))
            .map_err(|e| StoreError::Directory(format!("cannot start a thread: {e}")))?;
        Ok(Self(Arc::new(Inner {
            queue,
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// Runs `f` in one transaction on the logs' thread; its changes are undone when it gives an error.
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub async fn run<T, E>(
        &self,
        f: impl FnOnce(&LogTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.submit(move |thread| thread.transaction(f)).await
    }

    /// Gives the space of deleted entries back to the disk.
    ///
    /// # Errors
    /// The store's own.
    pub async fn vacuum(&self) -> Result<(), StoreError> {
        self.submit(|thread| match &thread.base {
            Base::Sqlite(..) => thread.link()?.step("VACUUM"),
            // It does so by itself.
            Base::Postgres(_) => Ok(()),
        })
        .await
    }

    async fn submit<T, E>(
        &self,
        work: impl FnOnce(&Thread) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (to, answer) = oneshot::channel();
        let job: Job = Box::new(move |thread| {
            // Whoever asked may have gone; the work is done all the same.
            drop(to.send(work(thread)));
        });
        self.0
            .queue
            .try_send(Some(job))
            .map_err(|error| match error {
                TrySendError::Full(_) => StoreError::Busy,
                TrySendError::Disconnected(_) => StoreError::Closed,
            })?;
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Lets queued work end and closes the database.
    pub(super) fn close(&self) {
        let Some(thread) = self.0.thread.lock().take() else {
            return;
        };
        drop(self.0.queue.send(None));
        drop(thread.join());
    }
}

/// What the thread works on.
enum Base {
    Sqlite(PathBuf, std::cell::OnceCell<Link>),
    Postgres(Box<postgres::Logger>),
}

struct Thread {
    base: Base,
    catalog: Arc<Catalog>,
}

impl Thread {
    fn link(&self) -> Result<&Link, StoreError> {
        let Base::Sqlite(path, known) = &self.base else {
            return Err(StoreError::Elsewhere);
        };
        if let Some(link) = known.get() {
            return Ok(link);
        }
        let link = Link::open(path, Role::Logs, &Arc::new(AtomicBool::new(false)))?;
        directory::create_logs(&link.connection)?;
        Ok(known.get_or_init(|| link))
    }

    fn transaction<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&LogTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        if let Base::Postgres(logger) = &self.base {
            return logger.transaction(|session| {
                let read = ReadTx::new(session, Arc::clone(&self.catalog));
                f(&LogTx { read })
            });
        }
        let link = self.link()?;
        link.step("BEGIN")?;
        link.deadline
            .set(Duration::from_secs(limits::READ_SECS_MAX));
        let tx = LogTx {
            read: ReadTx::new(&link.connection, Arc::clone(&self.catalog)),
        };
        let result = catch_unwind(AssertUnwindSafe(|| f(&tx)))
            .unwrap_or_else(|_| Err(StoreError::Closed.into()));
        drop(tx);
        link.deadline.clear();
        let ended = if result.is_ok() {
            link.step("COMMIT")
        } else {
            Ok(())
        };
        if !link.connection.is_autocommit() {
            link.step("ROLLBACK")?;
        }
        result.and_then(|value| ended.map(|()| value).map_err(E::from))
    }
}

fn run(base: Base, jobs: &Receiver<Option<Job>>) {
    let thread = Thread {
        base,
        catalog: Arc::default(),
    };
    while let Ok(Some(job)) = jobs.recv() {
        job(&thread);
    }
}
