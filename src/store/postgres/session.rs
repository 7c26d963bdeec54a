//! One connection to PostgreSQL, used by one thread at a time as if it blocked: the client library speaks the protocol,
//! and whoever waits for an answer drives it. Statements are prepared once and kept.

use std::cell::{Cell as Flag, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join, join3};
use futures_util::{FutureExt, SinkExt, TryStreamExt};
use tokio::runtime::{Handle, Runtime, RuntimeFlavor};
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Row, SimpleQueryMessage, Statement};

use super::address::Address;
use super::value::{Argument, RowCells};
use crate::kit::limits;
use crate::kit::sql::Sql;
use crate::kit::value::{Cell, Columns};
use crate::store::StoreError;

type Failure = tokio_postgres::Error;
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What somebody told all who listen.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    /// The server's process that it came through.
    pub(super) process: i32,
    pub(super) channel: String,
    pub(super) payload: String,
}

/// What a connection of our own is set to; a pooler's stays as it is.
const SETTINGS: &str =
    "SET jit = off; SET client_min_messages = warning; SET idle_session_timeout = 0";

/// A connection.
pub(in crate::store) struct Session {
    /// There until the end, when it must not be waited for.
    runtime: Option<Runtime>,
    live: RefCell<Live>,
    /// When the open transaction has to end, where that is said.
    until: Flag<Option<Instant>>,
    stage: Flag<Stage>,
    /// Whether each question is undone by itself; see [`Session::questions`].
    apart: bool,
    /// Whether no statement is prepared under a name: behind a pooler the next transaction may be another connection's.
    unnamed: bool,
    /// Generation of the schema that the kept statements were prepared under.
    generation: Flag<u64>,
}

/// Of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    None,
    /// It begins with its first statement.
    Wanted,
    Begun,
}

/// A statement to be run.
enum Asked {
    Prepared(Statement),
    /// Unprepared: its arguments go as text, of the types that it gives them.
    Text(String),
}

impl Asked {
    /// The rows, and how many were changed.
    async fn ask(
        &self,
        client: &Client,
        args: Vec<Argument<'_>>,
    ) -> Result<(Vec<Row>, u64), Failure> {
        let mut rows = pin!(match self {
            Self::Prepared(statement) => client.query_raw(statement, args).await?,
            Self::Text(text) => {
                let args = args.into_iter().map(|argument| (argument, Type::UNKNOWN));
                client.query_typed_raw(text, args).await?
            }
        });
        let mut all = Vec::new();
        while let Some(row) = rows.try_next().await? {
            all.push(row);
        }
        Ok((all, rows.rows_affected().unwrap_or(0)))
    }
}

struct Live {
    client: Client,
    driver: Driver,
    notices: crossbeam_channel::Receiver<Notice>,
    statements: HashMap<Box<str>, Statement>,
    /// Text to be sent in front of the next statement.
    before: Option<Box<str>>,
}

thread_local! {
    /// Whether this thread has stepped aside from its runtime, so that it may wait.
    static ASIDE: Flag<bool> = const { Flag::new(false) };
}

/// Runs `f`, which may wait for a database, on a thread that may serve requests besides.
pub(super) fn aside<T>(f: impl FnOnce() -> T) -> T {
    let worker = Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if !worker || ASIDE.get() {
        return f();
    }
    tokio::task::block_in_place(|| {
        ASIDE.set(true);
        let result = f();
        ASIDE.set(false);
        result
    })
}

/// Waits for `future` on the calling thread.
fn wait<T: Send>(runtime: &Runtime, future: impl Future<Output = T> + Send) -> T {
    if ASIDE.get() || Handle::try_current().is_err() {
        return runtime.block_on(future);
    }
    // On a thread that polls futures itself: a command's, or a test's.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| runtime.block_on(future));
        match waiting.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Waits for `work`, moving the connection meanwhile.
fn drive<T: Send>(
    runtime: &Runtime,
    driver: &mut Driver,
    work: impl Future<Output = T> + Send,
) -> T {
    wait(runtime, async move {
        let mut work = pin!(work);
        poll_fn(|context| {
            // Once it has ended, the work learns so from its client.
            let _ended = driver.as_mut().poll(context).is_ready();
            work.as_mut().poll(context)
        })
        .await
    })
}

impl Session {
    /// Connects.
    pub(super) fn connect(address: &Address) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| StoreError::Away(error.to_string()))?;
        // Read as fast as they come by the only kind of connection that listens.
        let (told, notices) = crossbeam_channel::unbounded();
        let connecting = async {
            let limit = Duration::from_secs(limits::DATABASE_CONNECT_SECS_MAX);
            let connected = tokio::time::timeout(limit, address.connect(told));
            connected.await.unwrap_or_else(|_| {
                Err(StoreError::Away(format!(
                    "no answer within {} s",
                    limits::DATABASE_CONNECT_SECS_MAX
                )))
            })
        };
        let (client, driver) = wait(&runtime, connecting)?;
        let session = Self {
            runtime: Some(runtime),
            until: Flag::new(None),
            live: RefCell::new(Live {
                client,
                driver,
                notices,
                statements: HashMap::new(),
                before: None,
            }),
            stage: Flag::new(Stage::None),
            apart: false,
            unnamed: address.is_pooled(),
            generation: Flag::new(0),
        };
        if !session.unnamed {
            session.batch(SETTINGS)?;
        }
        Ok(session)
    }

    /// Undoes each question by itself, so that its locks go and its failure ends nothing.
    pub(super) fn questions(mut self) -> Self {
        self.apart = true;
        self
    }

    fn runtime(&self) -> Result<&Runtime, StoreError> {
        self.runtime.as_ref().ok_or(StoreError::Closed)
    }

    /// Whatever is asked in the open transaction past `until` fails.
    pub(super) fn until(&self, until: Option<Instant>) {
        self.until.set(until);
    }

    fn check_time(&self) -> Result<(), StoreError> {
        match self.until.get() {
            Some(until) if Instant::now() > until => Err(StoreError::Timeout),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether it can be used no more.
    pub(in crate::store) fn is_broken(&self) -> bool {
        self.live.borrow().client.is_closed()
    }

    /// Whether a transaction is open.
    pub(super) fn is_open(&self) -> bool {
        self.stage.get() != Stage::None
    }

    /// Forgets what was prepared under another schema: its tables may have other columns now.
    pub(super) fn under(&self, generation: u64) {
        if self.generation.replace(generation) != generation {
            self.live.borrow_mut().statements.clear();
        }
    }

    /// Begins a transaction together with its first statement: `text` says how.
    pub(super) fn begin_later(&self, text: &str) {
        self.live.borrow_mut().before = Some(text.into());
        self.stage.set(Stage::Wanted);
    }

    /// Whatever runs from now on in the open transaction has `millis` to end.
    pub(super) fn hurry(&self, millis: u64) {
        let mut live = self.live.borrow_mut();
        let limit = format!("SET LOCAL statement_timeout = {millis}");
        live.before = Some(match live.before.take() {
            None => limit.into(),
            Some(before) => format!("{before}; {limit}").into(),
        });
    }

    fn take_before(&self, live: &mut Live) -> Option<Box<str>> {
        if self.stage.get() == Stage::Wanted {
            self.stage.set(Stage::Begun);
        }
        live.before.take()
    }

    /// Begins a transaction.
    pub(super) fn begin(&self, text: &str) -> Result<Vec<Vec<Option<String>>>, StoreError> {
        self.stage.set(Stage::Begun);
        self.simple(text)
    }

    /// Commits, and tells how it went.
    pub(super) fn commit(&self, text: &str) -> Result<(), StoreError> {
        self.stage.set(Stage::None);
        self.batch(text)
    }

    /// Commits what has begun, if anything has.
    pub(super) fn commit_begun(&self) -> Result<(), StoreError> {
        self.live.borrow_mut().before = None;
        match self.stage.replace(Stage::None) {
            Stage::Begun => self.batch("COMMIT"),
            Stage::None | Stage::Wanted => Ok(()),
        }
    }

    /// Ends a transaction that has nothing to lose, without waiting for the answer.
    pub(super) fn end(&self) {
        let mut live = self.live.borrow_mut();
        live.before = None;
        if self.stage.replace(Stage::None) != Stage::Begun {
            return;
        }
        let Some(runtime) = &self.runtime else {
            return;
        };
        let Live { driver, client, .. } = &mut *live;
        drive(runtime, driver, async {
            let mut ending = pin!(client.batch_execute("ROLLBACK"));
            // Sent with the next turn of the driver; the answer is read with that of the next statement.
            let _unanswered = ending.as_mut().now_or_never();
            tokio::task::yield_now().await;
        });
    }

    /// Undoes a transaction.
    pub(super) fn rollback(&self) -> Result<(), StoreError> {
        self.live.borrow_mut().before = None;
        match self.stage.replace(Stage::None) {
            Stage::Begun => self.batch("ROLLBACK"),
            Stage::None | Stage::Wanted => Ok(()),
        }
    }

    /// Runs statements without arguments.
    pub(in crate::store) fn batch(&self, text: &str) -> Result<(), StoreError> {
        self.simple(text).map(drop)
    }

    /// Runs statements without arguments; the rows of all of them, as text.
    pub(super) fn simple(&self, text: &str) -> Result<Vec<Vec<Option<String>>>, StoreError> {
        let mut live = self.live.borrow_mut();
        let whole = match self.take_before(&mut live) {
            Some(before) => format!("{before}; {text}"),
            None => text.to_owned(),
        };
        let Live { driver, client, .. } = &mut *live;
        let messages = drive(self.runtime()?, driver, client.simple_query(&whole))?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|at| row.get(at).map(str::to_owned))
                    .collect(),
            ),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// Runs `f` so that its failure does not end the transaction.
    pub(super) fn attempt<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.batch("SAVEPOINT attempt")?;
        let result = f();
        if result.is_err() {
            self.batch("ROLLBACK TO attempt; RELEASE attempt")?;
        } else {
            self.batch("RELEASE attempt")?;
        }
        result
    }

    /// The statement of `text`, prepared once.
    fn prepared(&self, live: &mut Live, text: &str) -> Result<Asked, StoreError> {
        if self.unnamed {
            return Ok(Asked::Text(numbered(text)));
        }
        if let Some(known) = live.statements.get(text) {
            return Ok(Asked::Prepared(known.clone()));
        }
        let statement = self.prepare(live, &numbered(text))?;
        if live.statements.len() >= limits::STATEMENT_CACHE {
            live.statements.clear();
        }
        live.statements.insert(text.into(), statement.clone());
        Ok(Asked::Prepared(statement))
    }

    fn prepare(&self, live: &mut Live, text: &str) -> Result<Statement, StoreError> {
        let before = self.take_before(live);
        let apart = self.apart && self.is_open();
        let unnamed = self.unnamed;
        let Live { driver, client, .. } = live;
        Ok(drive(self.runtime()?, driver, async {
            if let Some(before) = before {
                client.batch_execute(&before).await?;
            }
            if unnamed {
                // The connection of this transaction may know a statement by that name from somebody before.
                client.batch_execute("DEALLOCATE ALL").await?;
            }
            if !apart {
                return client.prepare(text).await;
            }
            // Reading a statement locks its tables already.
            let begun = client.batch_execute("SAVEPOINT question");
            let undone = client.batch_execute("ROLLBACK TO question; RELEASE question");
            let (begun, prepared, undone) = join3(begun, client.prepare(text), undone).await;
            begun.and(prepared).and_then(|one| undone.map(|()| one))
        })?)
    }

    fn rows<'v>(
        &self,
        text: &str,
        cells: impl Iterator<Item = Cell<'v>>,
    ) -> Result<Vec<Row>, StoreError> {
        self.check_time()?;
        let mut live = self.live.borrow_mut();
        let statement = self.prepared(&mut live, text)?;
        let before = self.take_before(&mut live);
        let args: Vec<Argument<'_>> = cells.map(Argument).collect();
        let apart = self.apart && self.is_open();
        let Live { driver, client, .. } = &mut *live;
        let found: Result<Vec<Row>, Failure> = drive(self.runtime()?, driver, async {
            let question = async { Ok(statement.ask(client, args).await?.0) };
            let asked = async {
                if !apart {
                    return question.await;
                }
                let begun = client.batch_execute("SAVEPOINT question");
                let undone = client.batch_execute("ROLLBACK TO question; RELEASE question");
                let (begun, found, undone) = join3(begun, question, undone).await;
                begun.and(found).and_then(|rows| undone.map(|()| rows))
            };
            match before {
                None => asked.await,
                Some(before) => {
                    let (begun, found) = join(client.batch_execute(&before), asked).await;
                    begun.and(found)
                }
            }
        });
        Ok(found?)
    }

    /// Runs a statement of ours that gives no rows; how many rows it changed.
    pub(in crate::store) fn run_with<'v>(
        &self,
        text: &str,
        cells: impl Iterator<Item = Cell<'v>>,
    ) -> Result<usize, StoreError> {
        self.check_time()?;
        let mut live = self.live.borrow_mut();
        let statement = self.prepared(&mut live, text)?;
        let before = self.take_before(&mut live);
        let args: Vec<Argument<'_>> = cells.map(Argument).collect();
        let Live { driver, client, .. } = &mut *live;
        let changed: Result<u64, Failure> = drive(self.runtime()?, driver, async {
            let done = async { Ok(statement.ask(client, args).await?.1) };
            match before {
                None => done.await,
                Some(before) => {
                    let (begun, done) = join(client.batch_execute(&before), done).await;
                    begun.and(done)
                }
            }
        });
        Ok(usize::try_from(changed?).unwrap_or(usize::MAX))
    }

    /// Runs one statement as it stands, without arguments; how many rows it changed.
    pub(super) fn execute(&self, text: &str) -> Result<usize, StoreError> {
        let mut live = self.live.borrow_mut();
        let statement = if self.unnamed {
            Asked::Text(text.to_owned())
        } else {
            Asked::Prepared(self.prepare(&mut live, text)?)
        };
        let before = self.take_before(&mut live);
        let Live { driver, client, .. } = &mut *live;
        let done: Result<_, Failure> = drive(self.runtime()?, driver, async {
            if let Some(before) = before {
                client.batch_execute(&before).await?;
            }
            statement.ask(client, Vec::new()).await
        });
        Ok(usize::try_from(done?.1).unwrap_or(usize::MAX))
    }

    /// Sends `lines` to a COPY from its client.
    pub(super) fn copy_in(&self, text: &str, lines: Vec<u8>) -> Result<(), StoreError> {
        let mut live = self.live.borrow_mut();
        let Live { driver, client, .. } = &mut *live;
        let copied: Result<u64, Failure> = drive(self.runtime()?, driver, async {
            let mut sink = pin!(client.copy_in::<_, Bytes>(text).await?);
            sink.send(Bytes::from(lines)).await?;
            sink.finish().await
        });
        Ok(copied.map(drop)?)
    }

    /// Gives each line, without its end, of a COPY to its client to `each`.
    pub(super) fn copy_out(
        &self,
        text: &str,
        each: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<(), StoreError> {
        let mut live = self.live.borrow_mut();
        let Live { driver, client, .. } = &mut *live;
        let copied: Result<(), Failure> = drive(self.runtime()?, driver, async {
            let mut parts = pin!(client.copy_out(text).await?);
            let mut rest = Vec::new();
            while let Some(part) = parts.try_next().await? {
                for piece in part.split_inclusive(|byte| *byte == b'\n') {
                    match (piece.strip_suffix(b"\n"), rest.is_empty()) {
                        (Some(line), true) => each(line),
                        (Some(line), false) => {
                            rest.extend_from_slice(line);
                            each(&rest);
                            rest.clear();
                        }
                        (None, _) => rest.extend_from_slice(piece),
                    }
                }
            }
            Ok(())
        });
        Ok(copied?)
    }

    /// As [`Session::run_with`].
    pub(in crate::store) fn run(&self, sql: &Sql) -> Result<usize, StoreError> {
        let cells = sql.args().iter().map(|value| value.as_cell());
        self.run_with(sql.text(), cells)
    }

    /// Gives each row of a statement of ours to `each`. They are all read first, since `each` may ask for more.
    pub(in crate::store) fn query_rows(
        &self,
        sql: &Sql,
        each: &mut dyn FnMut(&dyn Columns),
    ) -> Result<(), StoreError> {
        let cells = sql.args().iter().map(|value| value.as_cell());
        for row in self.rows(sql.text(), cells)? {
            each(&RowCells(&row));
        }
        Ok(())
    }

    /// What `map` makes of the first row of a statement of ours.
    pub(in crate::store) fn query_one<T>(
        &self,
        sql: &Sql,
        map: impl FnOnce(&dyn Columns) -> T,
    ) -> Result<Option<T>, StoreError> {
        let cells = sql.args().iter().map(|value| value.as_cell());
        let rows = self.rows(sql.text(), cells)?;
        Ok(rows.first().map(|row| map(&RowCells(row))))
    }

    /// Names and types of the columns of `text`, which is not run.
    pub(super) fn describe(&self, text: &str) -> Result<Vec<(String, Type)>, StoreError> {
        let mut live = self.live.borrow_mut();
        let statement = self.prepare(&mut live, text)?;
        let columns = statement.columns().iter();
        Ok(columns
            .map(|column| (column.name().to_owned(), column.type_().clone()))
            .collect())
    }

    /// The next notification, waited for no longer than `most`.
    pub(super) fn notified(&self, most: Duration) -> Result<Option<Notice>, StoreError> {
        let mut live = self.live.borrow_mut();
        if let Ok(notice) = live.notices.try_recv() {
            return Ok(Some(notice));
        }
        let Live {
            driver,
            notices,
            client,
            ..
        } = &mut *live;
        let told = wait(self.runtime()?, async {
            let mut late = pin!(tokio::time::sleep(most));
            poll_fn(|context| {
                let ended = driver.as_mut().poll(context).is_ready();
                if let Ok(notice) = notices.try_recv() {
                    return Poll::Ready(Some(notice));
                }
                if ended {
                    return Poll::Ready(None);
                }
                late.as_mut().poll(context).map(|()| None)
            })
            .await
        });
        if client.is_closed() {
            return Err(StoreError::Away("the connection was closed".to_owned()));
        }
        Ok(told)
    }

    /// The number of the server's process that serves this connection.
    pub(super) fn process(&self) -> Result<i32, StoreError> {
        let rows = self.simple("SELECT pg_backend_pid()")?;
        let text = rows.first().and_then(|row| row.first()?.as_deref());
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Moves a connection to its end, passing notifications on.
pub(super) fn driver<S, T>(
    connection: tokio_postgres::Connection<S, T>,
    told: crossbeam_channel::Sender<Notice>,
) -> Driver
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    // Dropped once it has ended: only so does whoever waits for an answer learn that none will come.
    let mut connection = Some(connection);
    poll_fn(move |context| {
        while let Some(open) = &mut connection {
            match open.poll_message(context) {
                Poll::Ready(Some(Ok(AsyncMessage::Notification(notice)))) => {
                    let notice = Notice {
                        process: notice.process_id(),
                        channel: notice.channel().to_owned(),
                        payload: notice.payload().to_owned(),
                    };
                    told.send(notice).ok();
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a connection to the database ended");
                    connection = None;
                }
                Poll::Ready(None) => connection = None,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    })
    .boxed()
}

/// The text with `$1`, `$2` for its question marks. No name of ours holds one, and no literal.
fn numbered(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for (number, part) in text.split('?').enumerate() {
        if number > 0 {
            out.push('$');
            out.push_str(&number.to_string());
        }
        out.push_str(part);
    }
    out
}
