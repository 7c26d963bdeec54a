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
    /// From how many pages on the thread is to be woken. Waking it at each commit would cost the writer a system call.
    wake_at: AtomicU64,
    wake: Sender<()>,
}

impl Gauge {
    /// Lets the commits of `connection` tell their log's length.
    pub(super) fn watch(self: &Arc<Self>, connection: &mut Connection) -> Result<(), StoreError> {
        let gauge = Arc::clone(self);
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            gauge.grown(u64::try_from(pages).unwrap_or(0));
            Ok(())
        }))?;
        Ok(())
    }

    fn grown(&self, pages: u64) {
        if pages < self.pages.swap(pages, Ordering::Relaxed) {
            // The log began again.
            self.wake_at
                .store(limits::WAL_PAGES_CHECKPOINT, Ordering::Relaxed);
        }
        if pages >= self.wake_at.load(Ordering::Relaxed) {
            self.wake_at.store(u64::MAX, Ordering::Relaxed);
            // A full channel means that the thread is awake already.
            let _ = self.wake.try_send(());
        }
    }

    /// Asks to be woken after so many pages more than `copied`.
    fn after(&self, copied: u64) {
        self.wake_at
            .store(copied + limits::WAL_PAGES_CHECKPOINT, Ordering::Relaxed);
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
            wake_at: AtomicU64::new(limits::WAL_PAGES_CHECKPOINT),
            wake,
        });
        let stop = Arc::new(AtomicBool::new(false));
        let state = State {
            path: path.to_owned(),
            gauge: Arc::clone(&gauge),
            pressure: Arc::clone(pressure),
            stop: Arc::clone(&stop),
            link: None,
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
}

impl State {
    fn run(mut self, woken: &Receiver<()>) {
        let mut busy = false;
        let mut seen = 0;
        while !self.stop.load(Ordering::Acquire) {
            let quiet = if busy {
                woken.recv_timeout(QUIET)
            } else {
                woken.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            let pages = self.gauge.pages.load(Ordering::Relaxed);
            let mode = match quiet {
                _ if self.stop.load(Ordering::Acquire) => break,
                Ok(()) if pages >= limits::WAL_PAGES_RESTART => "PRAGMA wal_checkpoint(RESTART)",
                Ok(()) => "PRAGMA wal_checkpoint(PASSIVE)",
                Err(RecvTimeoutError::Timeout) if pages == seen => "PRAGMA wal_checkpoint(RESTART)",
                // Written meanwhile, but not enough to be woken for.
                Err(RecvTimeoutError::Timeout) => {
                    seen = pages;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            busy = quiet.is_ok();
            seen = pages;
            match self.checkpoint(mode) {
                Ok(copied) => self.gauge.after(copied),
                Err(error) => {
                    self.gauge.after(pages);
                    tracing::warn!(%error, "a checkpoint failed");
                }
            }
        }
    }

    /// Copies pages of the log into the database; gives how many of them are copied now.
    fn checkpoint(&mut self, mode: &'static str) -> Result<u64, StoreError> {
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
        let left = u64::try_from(log - copied).unwrap_or(0);
        self.pressure
            .store(left > limits::WAL_PAGES_PRESSURE, Ordering::Relaxed);
        Ok(u64::try_from(copied).unwrap_or(0))
    }
}
