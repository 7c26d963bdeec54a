//! Taking lines, writing them in batches, and answering questions about them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::entry::{Entry, Request};
use super::query::{LogHour, LogList, LogRow, SHAPE, list, rows, stats};
use super::sampler::{Kind, Sampler};
use crate::call::Call;
use crate::kit::clock::Clock;
use crate::kit::limits::{LOG_BATCH_MAX, LOG_DELAY_SECS, LOG_QUEUE_MAX};
use crate::kit::paging::Paging;
use crate::kit::task::Task;
use crate::kit::time::Timestamp;
use crate::ops::settings;
use crate::ops::{Error, Settings};
use crate::store::{self, LogTx, Select};

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
    sampler: Sampler,
    /// Lines that there was no room for.
    lost: AtomicU64,
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
            sampler: Sampler::default(),
            lost: AtomicU64::new(0),
            _writer: writer,
        }))
    }

    /// Whether an answered request is worth a line, and how many requests the line stands for. Cheap, and asked before
    /// the line is made: beyond a number a second, ordinary requests are kept as a sample.
    #[must_use]
    pub fn wants(&self, kind: Kind, at: Timestamp, took: Duration) -> Option<u32> {
        let settings = self.0.settings.current();
        let logs = &settings.logs;
        if logs.max_days <= 0 || kind.level() < logs.min_level {
            return None;
        }
        self.0
            .sampler
            .weight(kind, at.as_secs(), took, logs.max_per_second)
    }

    /// Notes an answered request that is wanted. Never waits: what there is no room for is lost, and counted.
    pub fn request(&self, request: Request) {
        self.send(Message::Request(Box::new(request)));
    }

    /// Notes what happened in a service. Never waits.
    pub fn note(&self, entry: Entry) {
        if self.keeps(entry.level) {
            self.send(Message::Entry(Box::new(entry)));
        }
    }

    fn send(&self, message: Message) {
        if self.0.queue.try_send(message).is_err() {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines that were lost since the start, because there was no room for them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
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

    /// Removes what the settings do not keep (any more): too old, too little, too much.
    ///
    /// # Errors
    /// The store's own.
    pub async fn prune(&self) -> Result<(), Error> {
        let settings = self.0.settings.current();
        let (days, level) = (settings.logs.max_days, settings.logs.min_level);
        if days > 0 {
            let oldest = self.0.clock.now().plus_millis(-days.saturating_mul(DAY_MS));
            let most = most_bytes(&settings.logs);
            let prune = move |tx: &LogTx<'_>| -> Result<(), Error> {
                tx.prune(oldest, level)?;
                Ok(tx.keep_within(most)?)
            };
            return self.0.stored.run(prune).await;
        }
        self.clear().await?;
        Ok(self.0.stored.vacuum().await?)
    }
}

/// What the log's file may have; `None` is no bound.
fn most_bytes(settings: &settings::Logs) -> Option<u64> {
    u64::try_from(settings.max_size)
        .ok()
        .filter(|most| *most > 0)
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
                    tx.append(&entries)?;
                    Ok::<_, Error>(tx.keep_within(most_bytes(&settings.logs))?)
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
