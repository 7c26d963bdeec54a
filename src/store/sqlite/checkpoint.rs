//! Checkpoints on a thread of their own, so that no commit waits for one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use rusqlite::Connection;

use super::connection::{Link, Role};
use crate::kit::limits;
use crate::store::StoreError;

/// No commit for so long counts as quiet.
const QUIET: Duration = Duration::from_secs(2);

/// How long the write-ahead log is, told by the writer at each commit.
#[derive(Debug)]
pub(super) struct Gauge {
    pages: AtomicU64,
    wake: Sender<()>,
}

impl Gauge {
    /// Lets the commits of `connection` tell their log's length.
    pub(super) fn watch(self: &Arc<Self>, connection: &mut Connection) -> Result<(), StoreError> {
        let gauge = Arc::clone(self);
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            let pages = u64::try_from(pages).unwrap_or(0);
            gauge.pages.store(pages, Ordering::Relaxed);
            if pages >= limits::WAL_PAGES_CHECKPOINT {
                // A full channel means that the thread is awake already.
                let _ = gauge.wake.try_send(());
            }
            Ok(())
        }))?;
        Ok(())
    }
}

/// The thread.
pub(super) struct Checkpointer {
    pub(super) gauge: Arc<Gauge>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpointer {
    /// Starts it for the database at `path`.
    pub(super) fn start(path: &Path, pressure: &Arc<AtomicBool>) -> Result<Self, StoreError> {
        let (wake, woken) = bounded(1);
        let gauge = Arc::new(Gauge {
            pages: AtomicU64::new(0),
            wake,
        });
        let stop = Arc::new(AtomicBool::new(false));
        let state = State {
            path: path.to_owned(),
            gauge: Arc::clone(&gauge),
            pressure: Arc::clone(pressure),
            stop: Arc::clone(&stop),
            link: None,
            done: 0,
        };
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || state.run(&woken))
            .map_err(|e| StoreError::Directory(format!("cannot start a thread: {e}")))?;
        Ok(Self {
            gauge,
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Ends the thread.
    pub(super) fn close(&self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.gauge.wake.try_send(());
        if let Some(thread) = self.thread.lock().take() {
            drop(thread.join());
        }
    }
}

struct State {
    path: PathBuf,
    gauge: Arc<Gauge>,
    pressure: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    /// Opened when first needed: a server that is only read never pays for it.
    link: Option<Link>,
    /// Pages of the log that the last checkpoint has copied.
    done: u64,
}

impl State {
    fn run(mut self, woken: &Receiver<()>) {
        let mut busy = false;
        while !self.stop.load(Ordering::Acquire) {
            let quiet = if busy {
                woken.recv_timeout(QUIET)
            } else {
                woken.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            let mode = match quiet {
                _ if self.stop.load(Ordering::Acquire) => break,
                Ok(()) => {
                    busy = true;
                    match self.due() {
                        Some(mode) => mode,
                        None => continue,
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    busy = false;
                    "PRAGMA wal_checkpoint(RESTART)"
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if let Err(error) = self.checkpoint(mode) {
                tracing::warn!(%error, "a checkpoint failed");
            }
        }
    }

    fn due(&mut self) -> Option<&'static str> {
        let pages = self.gauge.pages.load(Ordering::Relaxed);
        // The log begins again after a restart.
        if pages < self.done {
            self.done = 0;
        }
        if pages >= limits::WAL_PAGES_RESTART {
            Some("PRAGMA wal_checkpoint(RESTART)")
        } else if pages - self.done >= limits::WAL_PAGES_CHECKPOINT {
            Some("PRAGMA wal_checkpoint(PASSIVE)")
        } else {
            None
        }
    }

    fn checkpoint(&mut self, mode: &'static str) -> Result<(), StoreError> {
        let link = match self.link.take() {
            Some(link) => link,
            None => {
                let link = Link::open(&self.path, Role::Checkpoint, &self.pressure)?;
                // RESTART waits for readers and then holds writers off: not for long.
                link.connection.busy_timeout(Duration::from_millis(100))?;
                link
            }
        };
        let (log, copied): (i64, i64) = link
            .connection
            .prepare_cached(mode)?
            .query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?;
        self.link = Some(link);
        self.done = u64::try_from(copied).unwrap_or(0);
        let left = u64::try_from(log - copied).unwrap_or(0);
        self.pressure
            .store(left > limits::WAL_PAGES_PRESSURE, Ordering::Relaxed);
        Ok(())
    }
}
