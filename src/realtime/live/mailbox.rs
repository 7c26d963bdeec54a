//! What reaches the desk of live queries: requests of connections, committed changes, results that were read. Everything
//! is taken at once, so that the desk sees one moment.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use parking_lot::{Condvar, Mutex};

use super::question::Question;
use super::reading::Done;
use crate::kit::json::Json;
use crate::kit::limits::CHANGE_RING_BYTES_MAX;
use crate::realtime::client::ClientId;
use crate::realtime::ring::size_bytes;
use crate::store::{Change, Position};

/// A subscription of a connection, by its name there.
pub(super) type Seat = (ClientId, CompactString);

/// A live query that a connection has asked for and that was found to be in order.
pub(super) struct Opened {
    pub(super) seat: Seat,
    pub(super) question: Arc<Question>,
    /// The id of the message that the first result answers.
    pub(super) ask: Json,
}

/// What has come since the desk looked last.
#[derive(Default)]
pub(super) struct Mail {
    pub(super) opened: Vec<Opened>,
    pub(super) closed: Vec<Seat>,
    pub(super) gone: HashSet<ClientId>,
    /// Connections whose identity may be another.
    pub(super) changed: HashSet<ClientId>,
    /// Subscriptions whose frames were taken back.
    pub(super) taken_back: HashSet<Seat>,
    /// Connections that have read what was queued.
    pub(super) drained: HashSet<ClientId>,
    /// In commit order, whole commits only.
    pub(super) changes: Vec<Change>,
    /// Everything up to here has been handed over.
    pub(super) upto: Position,
    /// Changes were lost on the way.
    pub(super) lost: bool,
    pub(super) done: Vec<Done>,
    /// The server shuts down.
    pub(super) end: bool,
}

impl Mail {
    fn is_news(&self, known: Position) -> bool {
        let sets = [&self.gone, &self.changed, &self.drained];
        self.end
            || self.lost
            || self.upto != known
            || !self.opened.is_empty()
            || !self.closed.is_empty()
            || !self.taken_back.is_empty()
            || !self.done.is_empty()
            || sets.iter().any(|set| !set.is_empty())
    }
}

#[derive(Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
struct State {
    mail: Mail,
    bytes: usize,
    /// Whether there are live queries: without any, nobody needs the changes.
    listening: bool,
    taken: Position,
}

impl Mailbox {
    /// Puts something in.
    pub(super) fn put(&self, put: impl FnOnce(&mut Mail)) {
        put(&mut self.state.lock().mail);
        self.ready.notify_one();
    }

    /// A connection asks for a live query.
    pub(super) fn open(&self, opened: Opened) {
        let mut state = self.state.lock();
        state.listening = true;
        state.mail.opened.push(opened);
        drop(state);
        self.ready.notify_one();
    }

    /// Changes were delivered up to `upto`, the end of a commit.
    pub(super) fn changes(&self, changes: Vec<Change>, upto: Position) {
        let mut state = self.state.lock();
        state.mail.upto = upto;
        if !state.listening {
            return;
        }
        state.bytes += changes.iter().map(size_bytes).sum::<usize>();
        state.mail.changes.extend(changes);
        if state.bytes > CHANGE_RING_BYTES_MAX {
            state.lose();
        }
        drop(state);
        self.ready.notify_one();
    }

    /// Nobody knows what changed up to `upto`.
    pub(super) fn lost(&self, upto: Position) {
        let mut state = self.state.lock();
        state.mail.upto = upto;
        if state.listening {
            state.lose();
        }
        drop(state);
        self.ready.notify_one();
    }

    /// There are no live queries any more, unless one was asked for just now.
    pub(super) fn rest(&self) {
        let mut state = self.state.lock();
        if state.mail.opened.is_empty() {
            state.listening = false;
            state.mail.changes.clear();
            state.bytes = 0;
        }
    }

    /// Takes everything, waiting at most `patience` for something.
    pub(super) fn take(&self, patience: Duration) -> Mail {
        let mut state = self.state.lock();
        if !state.mail.is_news(state.taken) {
            self.ready.wait_for(&mut state, patience);
        }
        let upto = state.mail.upto;
        state.taken = upto;
        state.bytes = 0;
        std::mem::replace(
            &mut state.mail,
            Mail {
                upto,
                ..Mail::default()
            },
        )
    }
}

impl State {
    fn lose(&mut self) {
        self.mail.changes.clear();
        self.bytes = 0;
        self.mail.lost = true;
    }
}
