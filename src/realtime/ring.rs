//! Committed groups on their way from the writer to the hub: bounded by bytes, never blocking the writer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::kit::limits::CHANGE_RING_BYTES_MAX;
use crate::schema::Record;
use crate::store::{Change, ChangeKind, CommitGroup};

/// What the hub finds when it looks.
pub(super) enum Taken {
    /// Changes in commit order, none missing since the last look.
    Changes(Vec<Change>),
    /// The hub fell behind: the ring was emptied, the log must be read from the last position that was seen.
    Lost,
    /// The server shuts down.
    Closed,
    /// Nothing came in the time given.
    Quiet,
}

#[derive(Default)]
pub(super) struct Ring {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
struct State {
    changes: VecDeque<Change>,
    bytes: usize,
    lost: bool,
    closed: bool,
    listening: bool,
    /// When the oldest of the changes came in, and of those that were taken last.
    came: Option<Instant>,
    taken: Option<Instant>,
}

impl Ring {
    /// Takes a committed group; called on the writer thread.
    pub(super) fn push(&self, group: &CommitGroup) {
        let mut state = self.state.lock();
        if !state.listening || state.lost || state.closed {
            return;
        }
        state.came.get_or_insert_with(Instant::now);
        for change in &group.changes {
            state.bytes += size_bytes(change);
            state.changes.push_back(change.clone());
        }
        if state.bytes > CHANGE_RING_BYTES_MAX || !group.whole {
            state.changes.clear();
            state.bytes = 0;
            state.lost = true;
        }
        drop(state);
        self.ready.notify_one();
    }

    /// Without connections nobody needs the images: the ring then stays empty.
    pub(super) fn listen(&self, on: bool) {
        let mut state = self.state.lock();
        state.listening = on;
        if !on {
            state.changes.clear();
            state.bytes = 0;
            state.lost = false;
        }
    }

    /// Waits for changes, at most `patience`.
    pub(super) fn take(&self, patience: Duration) -> Taken {
        let mut state = self.state.lock();
        if state.changes.is_empty() && !state.lost && !state.closed {
            self.ready.wait_for(&mut state, patience);
        }
        if state.closed {
            return Taken::Closed;
        }
        if state.lost {
            state.lost = false;
            return Taken::Lost;
        }
        if state.changes.is_empty() {
            return Taken::Quiet;
        }
        state.bytes = 0;
        state.taken = state.came.take();
        Taken::Changes(state.changes.drain(..).collect())
    }

    /// How long ago the oldest of the changes that were taken last came in.
    pub(super) fn age(&self) -> Duration {
        let taken = self.state.lock().taken;
        taken.map_or(Duration::ZERO, |came| came.elapsed())
    }

    /// As if it had run over: the next look finds [`Taken::Lost`].
    pub(super) fn lose(&self) {
        let mut state = self.state.lock();
        state.changes.clear();
        state.bytes = 0;
        state.lost = true;
    }

    /// Lets the hub end.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.ready.notify_all();
    }
}

/// Bytes of the images of a change, roughly.
pub(super) fn size_bytes(change: &Change) -> usize {
    let image = |record: &Record| record.size_bytes();
    match &change.kind {
        ChangeKind::Create { after } => image(after),
        ChangeKind::Update { before, after } => image(before) + image(after),
        ChangeKind::Delete { before } => image(before),
        ChangeKind::Schema { .. } | ChangeKind::Touched { .. } => 64,
    }
}
