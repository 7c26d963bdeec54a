//! Taking lines, writing them in batches, and answering questions about them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::entry::{Entry, Request};
use super::query::{LogHour, LogList, LogRow, SHAPE, list, rows, stats};
use crate::call::Call;
use crate::kit::clock::Clock;
use crate::kit::limits::{LOG_BATCH_MAX, LOG_DELAY_SECS, LOG_QUEUE_MAX};
use crate::kit::paging::Paging;
use crate::kit::task::Task;
use crate::kit::time::Timestamp;
use crate::ops::{Error, Settings};
use crate::store::{self, Select};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The log service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    stored: store::Logs,
    settings: Settings,
    clock: Clock,
    queue: mpsc::Sender<Message>,
    _writer: Task,
}

#[derive(Debug)]
enum Message {
    Request(Box<Request>),
    Entry(Box<Entry>),
    /// Write everything now and say when it is done.
    Flush(oneshot::Sender<()>),
}

impl Logs {
    /// Starts the service over the database of logs.
    #[must_use]
    pub fn start(stored: store::Logs, settings: Settings, clock: Clock) -> Self {
        let (queue, messages) = mpsc::channel(LOG_QUEUE_MAX);
        let writer = Task::spawn(write(stored.clone(), settings.clone(), messages));
        Self(Arc::new(Inner {
            stored,
            settings,
            clock,
            queue,
            _writer: writer,
        }))
    }

    /// Notes an answered request. Never waits: what there is no room for is lost.
    pub fn request(&self, request: Request) {
        if self.keeps(request.level()) {
            self.0
                .queue
                .try_send(Message::Request(Box::new(request)))
                .ok();
        }
    }

    /// Notes what happened in a service. Never waits.
    pub fn note(&self, entry: Entry) {
        if self.keeps(entry.level) {
            self.0.queue.try_send(Message::Entry(Box::new(entry))).ok();
        }
    }

    /// The present moment of the log's clock, for those who note.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn keeps(&self, level: i64) -> bool {
        let settings = self.0.settings.current();
        settings.logs.max_days > 0 && level >= settings.logs.min_level
    }

    /// Resolves when everything noted so far is written.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.0.queue.send(Message::Flush(done)).await.is_ok() {
            written.await.ok();
        }
    }

    /// A page of lines under the filter and sort of `call`.
    ///
    /// # Errors
    /// [`Error::BadQuery`] when a parameter does not hold.
    pub async fn list(&self, call: &Call) -> Result<LogList, Error> {
        let text = |name| call.query(name).unwrap_or("");
        let paging = Paging::parse(text("page"), text("perPage"), text("skipTotal"))
            .ok_or(Error::BadQuery(""))?;
        let call = call.clone();
        self.0
            .stored
            .run(move |tx| list(tx, &call, paging).map_err(|error| error.unless_bound("")))
            .await
    }

    /// Lines by hour under the filter of `call`.
    ///
    /// # Errors
    /// [`Error::BadQuery`] when the filter does not hold.
    pub async fn stats(&self, call: &Call) -> Result<Vec<LogHour>, Error> {
        let call = call.clone();
        self.0
            .stored
            .run(move |tx| {
                stats(tx, &call).map_err(|error| error.unless_bound("Invalid filter format."))
            })
            .await
    }

    /// One line.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none of that id.
    pub async fn view(&self, call: &Call, id: &str) -> Result<LogRow, Error> {
        let (call, id) = (call.clone(), id.to_owned());
        self.0
            .stored
            .run(move |tx| {
                let mut select = Select::all(tx.catalog(), &call, &SHAPE);
                let ids = [id.as_str()];
                select.ids = Some(&ids);
                rows(tx, &select)?.pop().ok_or(Error::NotFound(""))
            })
            .await
    }

    /// Removes every line.
    ///
    /// # Errors
    /// The store's own.
    pub async fn clear(&self) -> Result<(), Error> {
        self.0.stored.run(|tx| Ok(tx.clear().map(drop)?)).await
    }

    /// Removes what the settings do not keep (any more).
    ///
    /// # Errors
    /// The store's own.
    pub async fn prune(&self) -> Result<(), Error> {
        let settings = self.0.settings.current();
        let (days, level) = (settings.logs.max_days, settings.logs.min_level);
        if days > 0 {
            let oldest = self.0.clock.now().plus_millis(-days.saturating_mul(DAY_MS));
            return self
                .0
                .stored
                .run(move |tx| Ok(tx.prune(oldest, level).map(drop)?))
                .await;
        }
        self.clear().await?;
        Ok(self.0.stored.vacuum().await?)
    }
}

/// How often messages are taken while some wait to be written: to be woken by each would cost requests more than the log.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Nothing came for a while.
struct Quiet;

/// Collects messages and writes them together: when there are many, when it has been quiet, or when asked to.
async fn write(stored: store::Logs, settings: Settings, mut messages: mpsc::Receiver<Message>) {
    let mut waiting = Vec::new();
    let mut done = None;
    let mut quiet = Duration::ZERO;
    loop {
        let next = if waiting.is_empty() {
            quiet = Duration::ZERO;
            Ok(messages.recv().await)
        } else {
            tokio::time::sleep(LOOK_EVERY).await;
            match messages.try_recv() {
                Ok(message) => {
                    quiet = Duration::ZERO;
                    Ok(Some(message))
                }
                Err(mpsc::error::TryRecvError::Disconnected) => Ok(None),
                Err(mpsc::error::TryRecvError::Empty) => {
                    quiet += LOOK_EVERY;
                    if quiet < Duration::from_secs(LOG_DELAY_SECS) {
                        continue;
                    }
                    Err(Quiet)
                }
            }
        };
        let ended = match next {
            Ok(Some(Message::Flush(sender))) => {
                done = Some(sender);
                false
            }
            Ok(Some(message)) => {
                waiting.push(message);
                done = take_waiting(&mut messages, &mut waiting);
                if waiting.len() < LOG_BATCH_MAX && done.is_none() {
                    continue;
                }
                false
            }
            Ok(None) => true,
            Err(Quiet) => false,
        };
        let batch = std::mem::take(&mut waiting);
        if !batch.is_empty() {
            let settings = settings.current();
            let written = stored
                .run(move |tx| {
                    let entries: Vec<_> = batch
                        .into_iter()
                        .filter_map(|message| match message {
                            Message::Request(request) => Some(request.into_stored(&settings.logs)),
                            Message::Entry(entry) => Some(entry.into_stored(&settings.logs)),
                            Message::Flush(_) => None,
                        })
                        .collect();
                    Ok::<_, Error>(tx.append(&entries)?)
                })
                .await;
            if let Err(error) = written {
                tracing::error!(%error, "log entries are lost");
            }
        }
        if let Some(done) = done.take() {
            // Whoever asked may have gone.
            done.send(()).ok();
        }
        if ended {
            return;
        }
    }
}

/// Under load one transaction takes what has come meanwhile, too. A request to flush ends it.
fn take_waiting(
    messages: &mut mpsc::Receiver<Message>,
    waiting: &mut Vec<Message>,
) -> Option<oneshot::Sender<()>> {
    while waiting.len() < 10 * LOG_BATCH_MAX {
        match messages.try_recv() {
            Ok(Message::Flush(done)) => return Some(done),
            Ok(message) => waiting.push(message),
            Err(_) => break,
        }
    }
    None
}
