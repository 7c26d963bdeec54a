//! Which sessions are in use: noted at most every few minutes for each, and written together, off the request path.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::sessions::{self, Used};
use crate::call::Identity;
use crate::kit::limits::{SESSION_NOTE_DELAY_SECS, SESSIONS_NOTED_MAX};
use crate::kit::task::Task;
use crate::kit::time::Timestamp;
use crate::store::{Store, StoreError};

/// The notes of one server.
#[derive(Debug)]
pub(super) struct Usage {
    notes: Arc<Notes>,
    _writer: Task,
}

#[derive(Debug)]
struct Notes {
    store: Store,
    waiting: Mutex<HashMap<Used, Timestamp>>,
}

impl Usage {
    /// Starts writing notes into `store`.
    pub(super) fn start(store: Store) -> Self {
        let notes = Arc::new(Notes {
            store,
            waiting: Mutex::default(),
        });
        let weak = Arc::downgrade(&notes);
        let writer = Task::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(SESSION_NOTE_DELAY_SECS));
            loop {
                tick.tick().await;
                let Some(notes) = weak.upgrade() else {
                    return;
                };
                notes.write().await;
            }
        });
        Self {
            notes,
            _writer: writer,
        }
    }

    /// Notes that `identity` was here.
    pub(super) fn note(&self, identity: &Identity, now: Timestamp) {
        let Some(used) = Used::of(identity) else {
            return;
        };
        let mut waiting = self.notes.waiting.lock();
        if waiting.len() < SESSIONS_NOTED_MAX {
            waiting.insert(used, now);
        }
    }

    /// Writes what is noted now.
    pub(super) async fn flush(&self) {
        self.notes.write().await;
    }
}

impl Notes {
    async fn write(&self) {
        let waiting: Vec<_> = self.waiting.lock().drain().collect();
        if waiting.is_empty() {
            return;
        }
        let noted = self
            .store
            .write(move |tx| sessions::note_used(tx, &waiting));
        match noted.await {
            // A busy writer has better things to do: the next use is noted again.
            Ok(()) | Err(StoreError::Busy | StoreError::Closed) => {}
            Err(error) => tracing::warn!(%error, "the use of sessions could not be noted"),
        }
    }
}
