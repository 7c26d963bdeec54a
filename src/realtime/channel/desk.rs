//! What connections may ask of channels.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use compact_str::{CompactString, format_compact};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::room::Member;
use super::rules::{Gate, Pattern, Rules};
use super::state::{Count, Notes, Seat, State};
use crate::call::Actor;
use crate::kit::clock::Clock;
use crate::kit::id;
use crate::kit::time::Timestamp;
use crate::ops::Settings;
use crate::realtime::client::{ClientId, Outbox};
use crate::realtime::identity;
use crate::store::{Store, StoreError};

/// Why something about a channel was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The rule says no, or there is none and the caller is no superuser.
    #[error("You are not allowed to use this channel.")]
    Forbidden,
    /// The connection is in the channel already.
    #[error("The channel has been joined already.")]
    Joined,
    /// The connection is not in the channel.
    #[error("Join the channel first.")]
    Outside,
    /// The channel has no place left.
    #[error("The channel is full.")]
    Full,
    /// The connection is in as many channels as it may be.
    #[error("Too many subscriptions.")]
    TooMany,
    /// What was given as a cursor is none of this channel's.
    #[error("Invalid cursor.")]
    BadCursor,
    /// The server holds as many members as it may.
    #[error("Too many members.")]
    Exhausted,
    /// The database's own.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All channels.
pub(in crate::realtime) struct Channels {
    pub(super) store: Store,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) state: Mutex<State>,
    /// Never held together with another lock but that of `state`, and never for long: the writer takes it.
    pub(super) notes: Mutex<Notes>,
    /// Whether anybody sits in a channel: without members commits are not looked at.
    busy: AtomicBool,
    /// Whether some right depends on the rows of tables.
    tables: AtomicBool,
    /// Whether the worker has something to do.
    pub(super) bell: Mutex<bool>,
    pub(super) rung: Condvar,
    /// Cursors of another start of the server are known by it.
    pub(super) start: CompactString,
}

impl Channels {
    pub(in crate::realtime) fn new(store: &Store, settings: &Settings, clock: &Clock) -> Self {
        let rules = Rules::new(store.catalog(), settings.current());
        Self {
            store: store.clone(),
            settings: settings.clone(),
            clock: clock.clone(),
            tables: AtomicBool::new(rules.read_tables()),
            state: Mutex::new(State::new(rules)),
            notes: Mutex::default(),
            busy: AtomicBool::new(false),
            bell: Mutex::new(false),
            rung: Condvar::new(),
            start: id::record_id(),
        }
    }

    /// A group was committed: it may change somebody's right. Called on the writer thread.
    pub(in crate::realtime) fn note(&self, group: &crate::store::CommitGroup) {
        let tables = self.tables.load(Ordering::Relaxed);
        if self.busy.load(Ordering::Relaxed) && self.notes.lock().take_in(group, tables) {
            self.ring();
        }
    }

    /// Wakes the worker.
    pub(super) fn ring(&self) {
        *self.bell.lock() = true;
        self.rung.notify_one();
    }

    /// The state, with everything considered that was committed so far.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        let (catalog, settings) = (self.store.catalog(), self.settings.current());
        if !state.rules.are_of(&catalog, &settings) {
            let rules = Rules::new(catalog, settings);
            self.tables.store(rules.read_tables(), Ordering::Relaxed);
            state.set_rules(rules);
            self.ring();
        }
        let mut notes = self.notes.lock();
        if !notes.is_empty() {
            let notes = std::mem::take(&mut *notes);
            state.apply(&notes);
        }
        state
    }

    /// Lets go of the state and wakes the worker when somebody waits for it.
    pub(super) fn done(&self, state: MutexGuard<'_, State>) {
        self.busy.store(!state.seats.is_empty(), Ordering::Relaxed);
        let due = !state.due.is_empty();
        drop(state);
        if due {
            self.ring();
        }
    }

    /// A connection begins to use channels. Called under the roster's lock, so that its identity cannot change between.
    pub(in crate::realtime) fn sit(
        &self,
        id: &ClientId,
        actor: &Actor,
        outbox: &Arc<Outbox>,
        watched: &Arc<AtomicBool>,
    ) {
        let mut state = self.state.lock();
        state.seats.entry(id.clone()).or_insert_with(|| Seat {
            actor: actor.clone(),
            outbox: Arc::clone(outbox),
            rooms: Vec::new(),
            watched: Arc::clone(watched),
        });
        self.busy.store(true, Ordering::Relaxed);
    }

    /// A connection has another identity, or a newer copy of it.
    pub(in crate::realtime) fn follow(&self, id: &ClientId, actor: &Actor) {
        let mut state = self.state.lock();
        let Some(seat) = state.seats.get_mut(id) else {
            return;
        };
        seat.actor = actor.clone();
        let names = seat.rooms.clone();
        for name in names {
            if let Some(member) = member(&mut state, &name, id) {
                member.actor = actor.clone();
                member.mark();
            }
            state.due.insert(name);
        }
        self.done(state);
    }

    /// A connection has read what was queued for it.
    pub(in crate::realtime) fn drained(&self, id: &ClientId) {
        let mut state = self.state.lock();
        let names = state.seats.get(id).map(|seat| seat.rooms.clone());
        for name in names.unwrap_or_default() {
            if let Some(member) = member(&mut state, &name, id) {
                member.clogged = false;
            }
            state.due.insert(name);
        }
        self.done(state);
    }

    /// What was queued in a channel has been taken back: it is told again to those who may hear it.
    pub(in crate::realtime) fn put_back(&self, id: &ClientId, sub: &str, seq: u64) {
        let Some(name) = sub.strip_prefix('#') else {
            return;
        };
        let mut state = self.state.lock();
        if let Some(room) = state.rooms.get_mut(name) {
            room.put_back(id, seq);
            state.due.insert(name.into());
        }
        self.done(state);
    }

    /// A connection is gone.
    pub(in crate::realtime) fn gone(&self, id: &ClientId) {
        let mut state = self.state.lock();
        let Some(seat) = state.seats.get(id) else {
            return;
        };
        let now = self.clock.now();
        for name in seat.rooms.clone() {
            state.leave(id, &name, now);
        }
        state.seats.remove(id);
        self.done(state);
    }

    /// Channels of a connection.
    pub(in crate::realtime) fn joined(&self, id: &ClientId) -> usize {
        let state = self.state.lock();
        state.seats.get(id).map_or(0, |seat| seat.rooms.len())
    }

    pub(in crate::realtime) fn count(&self) -> Count {
        self.state.lock().count()
    }

    pub(in crate::realtime) fn close(&self) {
        self.state.lock().closed = true;
        self.ring();
    }

    /// Judges one rule of a pattern: in place where that is enough, else with the identity as it is in the database.
    pub(super) async fn judge(
        &self,
        pattern: &Arc<Pattern>,
        gate: fn(&Pattern) -> &Gate,
        actor: &Actor,
        name: &CompactString,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let verdict = if let Some(verdict) = gate(pattern).admits_by_itself(actor, name, now) {
            verdict
        } else {
            let (pattern, actor, name) = (Arc::clone(pattern), actor.clone(), name.clone());
            let read = self.store.read(move |tx| {
                let actor = identity::present(tx, &actor, now)?;
                gate(&pattern).admits(tx, &actor, &name, now)
            });
            read.await?
        };
        if verdict {
            Ok(())
        } else {
            Err(Refused::Forbidden)
        }
    }

    /// A cursor of a channel.
    pub(super) fn seal(&self, name: &CompactString, seq: u64) -> CompactString {
        let text = format_compact!("{}.{seq}", self.start);
        let binding = format!("channel {name}");
        self.store.cursors().seal_text(&text, &binding).into()
    }
}

pub(super) fn member<'s>(
    state: &'s mut State,
    name: &CompactString,
    id: &ClientId,
) -> Option<&'s mut Member> {
    state.rooms.get_mut(name)?.members.get_mut(id)
}
