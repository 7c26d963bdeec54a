//! The desk of live queries: one thread that knows who asks what, puts changes into the results that are kept, has the
//! others read again, and tells each reader what is new to it. It never reads a result itself and never waits for a
//! reader.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use compact_str::CompactString;

use super::diff::Rows;
use super::frames::Frames;
use super::mailbox::{Mail, Opened, Seat};
use super::query::{Effect, Query};
use super::question::{Key, Meaning};
use super::reading::{Done, Job, Outcome};
use super::refusal::Refusal;
use super::shelf::Shelf;
use super::sub::{Sub, Told, caller, end};
use crate::kit::limits::{
    LIVE_CLOCK_SECS, LIVE_PACE_MILLIS, LIVE_REST_FACTOR, LIVE_RESULT_BYTES_MAX,
};
use crate::realtime::client::{ClientId, Outbox};
use crate::realtime::hub::Inner;
use crate::records;
use crate::store::{Change, ChangeKind, Position, Snapshot, StoreError};

/// Everything that the thread knows.
#[derive(Default)]
pub(super) struct Desk {
    subs: HashMap<Seat, Sub>,
    seats: HashMap<ClientId, HashSet<CompactString>>,
    shelf: Shelf,
    /// Everything up to here has been looked at.
    at: Position,
    /// Counts changes of the schema.
    schema: u64,
    /// Results of a moment that is yet to be reached.
    waiting: Vec<Done>,
    waiting_since: Option<Instant>,
    present: Option<Snapshot>,
    again: HashSet<ClientId>,
}

impl Desk {
    /// Whether nobody asks anything.
    pub(super) fn is_idle(&self) -> bool {
        self.subs.is_empty()
    }

    /// Live queries that differ.
    pub(super) fn len(&self) -> usize {
        self.shelf.len()
    }

    /// Does what has come.
    pub(super) fn turn(&mut self, hub: &Inner, mail: Mail) {
        hub.expire();
        self.at = self.at.max(mail.upto);
        let mut touched = HashSet::new();
        for opened in mail.opened {
            self.open(hub, opened, &mut touched);
        }
        for seat in mail.closed {
            self.leave(&seat);
        }
        for client in mail.gone {
            for sub in self.seats.remove(&client).unwrap_or_default() {
                self.leave(&(client.clone(), sub));
            }
        }
        for seat in mail.taken_back {
            if let Some(sub) = self.subs.get_mut(&seat) {
                sub.shown = None;
            }
        }
        let rules = mail.lost || mail.changes.iter().any(|change| !is_of_record(change));
        if rules {
            self.place_all(hub, &mut touched);
        } else {
            self.look_at(hub, &mail.changes, &mut touched);
            let mut changed = mail.changed;
            changed.extend(std::mem::take(&mut self.again));
            for client in changed {
                self.place_client(hub, &client, &mut touched);
            }
        }
        self.take_results(hub, mail.done, &mut touched);
        for key in touched {
            self.publish(hub, &key);
        }
        for client in mail.drained {
            self.catch_up(hub, &client);
        }
        if let Some(present) = &mut self.present
            && let Err(error) = present.rest()
        {
            tracing::warn!(%error, "realtime: a snapshot could not be let go");
            self.present = None;
        }
        self.read_clock(hub);
        self.send_readers(hub);
    }

    /// How long the desk may sleep.
    pub(super) fn patience(&self) -> Duration {
        const TICK: Duration = Duration::from_secs(1);
        if !self.again.is_empty() {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let due = self
            .shelf
            .all()
            .filter(|query| query.must_be_read() && !query.is_reading)
            .map(|query| query.due.saturating_duration_since(now));
        due.min().unwrap_or(TICK).min(TICK)
    }

    fn open(&mut self, hub: &Inner, opened: Opened, touched: &mut HashSet<Key>) {
        let Some((meaning, generation, outbox)) = self.bind(hub, &opened) else {
            return;
        };
        let key = meaning.key(&opened.question, self.schema);
        let sub = Sub {
            question: opened.question,
            key: key.clone(),
            outbox,
            generation,
            ask: Some(opened.ask),
            shown: None,
            told: Position::default(),
            is_behind: false,
        };
        let (client, name) = opened.seat.clone();
        self.seats.entry(client).or_default().insert(name);
        self.subs.insert(opened.seat.clone(), sub);
        self.shelf.join(opened.seat, &key, meaning, hub.clock.now());
        touched.insert(key);
    }

    /// The question for who asks it now; ends the subscription when it may not be asked.
    fn bind(&self, hub: &Inner, opened: &Opened) -> Option<(Meaning, u64, Arc<Outbox>)> {
        let (client, name) = &opened.seat;
        let (actor, generation, outbox) = caller(hub, client)?;
        match Meaning::of(
            &hub.store.catalog(),
            &opened.question,
            &actor,
            hub.clock.now(),
        ) {
            Ok(meaning) => Some((meaning, generation, outbox)),
            Err(error) => {
                end(hub, client, name, Some(&opened.ask), &Refusal::of(&error));
                None
            }
        }
    }

    /// Takes a subscription away; its connection knows.
    fn leave(&mut self, seat: &Seat) {
        let Some(sub) = self.subs.remove(seat) else {
            return;
        };
        if let Some(names) = self.seats.get_mut(&seat.0) {
            names.remove(&seat.1);
            if names.is_empty() {
                self.seats.remove(&seat.0);
            }
        }
        self.shelf.part(seat, &sub.key);
    }

    /// Rules or fields may be others: everything is asked anew.
    fn place_all(&mut self, hub: &Inner, touched: &mut HashSet<Key>) {
        self.schema += 1;
        self.waiting.clear();
        self.again.clear();
        for client in self.seats.keys().cloned().collect::<Vec<_>>() {
            self.place_client(hub, &client, touched);
        }
    }

    /// A connection may be somebody else by now: its questions are asked for who it is.
    fn place_client(&mut self, hub: &Inner, client: &ClientId, touched: &mut HashSet<Key>) {
        let names = self.seats.get(client).cloned().unwrap_or_default();
        for name in names {
            self.place(hub, (client.clone(), name), touched);
        }
    }

    fn place(&mut self, hub: &Inner, seat: Seat, touched: &mut HashSet<Key>) {
        let Some((actor, generation, _)) = caller(hub, &seat.0) else {
            return self.leave(&seat);
        };
        let Some(sub) = self.subs.get_mut(&seat) else {
            return;
        };
        let question = Arc::clone(&sub.question);
        let meaning = match Meaning::of(&hub.store.catalog(), &question, &actor, hub.clock.now()) {
            Ok(meaning) => meaning,
            Err(error) => {
                end(
                    hub,
                    &seat.0,
                    &seat.1,
                    sub.ask.as_ref(),
                    &Refusal::of(&error),
                );
                return self.leave(&seat);
            }
        };
        sub.generation = generation;
        let key = meaning.key(&question, self.schema);
        if key == sub.key {
            touched.insert(key);
            return;
        }
        let old = std::mem::replace(&mut sub.key, key.clone());
        self.shelf.part(&seat, &old);
        self.shelf.join(seat, &key, meaning, hub.clock.now());
        touched.insert(key);
    }

    fn look_at(&mut self, hub: &Inner, changes: &[Change], touched: &mut HashSet<Key>) {
        for change in changes {
            let Some((collection, _)) = change.kind.subject() else {
                continue;
            };
            for key in self.shelf.look_at(&collection, change) {
                if self.apply(hub, &key, change) == Effect::Changed {
                    touched.insert(key);
                }
            }
        }
        for key in touched.iter() {
            self.shelf.change(key, |query| {
                if query.is_true() {
                    query.show();
                }
            });
        }
    }

    /// Does a change to a query that is kept.
    fn apply(&mut self, hub: &Inner, key: &Key, change: &Change) -> Effect {
        let now = &mut self.present;
        let done = self.shelf.change(key, |query| {
            if query.is_reading {
                query.keep_for_later(change);
            }
            if query.is_reading || query.must_be_read() {
                return Effect::None;
            }
            // A rule that makes the evaluation panic is the trouble of those who ask it alone.
            let apply =
                AssertUnwindSafe(|| present(now, hub).and_then(|now| query.apply(change, now)));
            match catch_unwind(apply).unwrap_or(Err(StoreError::Closed)) {
                Ok(effect) => effect,
                Err(error) => {
                    tracing::warn!(%error, "realtime: a live query is read again");
                    query.newest = change.position;
                    Effect::None
                }
            }
        });
        done.unwrap_or(Effect::None)
    }

    fn take_results(&mut self, hub: &Inner, done: Vec<Done>, touched: &mut HashSet<Key>) {
        let mut all = std::mem::take(&mut self.waiting);
        all.extend(done);
        for done in all {
            match &done.outcome {
                Outcome::Read { at, .. } if *at > self.at => self.waiting.push(done),
                _ => self.take(hub, done, touched),
            }
        }
        if self.waiting.is_empty() {
            self.waiting_since = None;
            return;
        }
        // Who may see it is known only once the hub is there as well. Should it never come, it has to look itself.
        const PATIENCE: Duration = Duration::from_secs(2);
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        if since.elapsed() > PATIENCE {
            self.waiting_since = None;
            hub.ring.lose();
        }
    }

    fn take(&mut self, hub: &Inner, done: Done, touched: &mut HashSet<Key>) {
        let rest = Duration::from_millis(LIVE_PACE_MILLIS).max(done.cost * LIVE_REST_FACTOR);
        // A query that ended and began anew meanwhile knows nothing of what was committed between the two: it waits for
        // the result that it has asked for itself.
        let query = self.shelf.get(&done.key);
        if query.is_none_or(|query| query.number != done.number) {
            return;
        }
        self.shelf.change(&done.key, |query| {
            query.is_reading = false;
            query.due = Instant::now() + rest;
        });
        let (at, page) = match done.outcome {
            Outcome::Read { at, page } => (at, page),
            Outcome::Stale => return self.place_all(hub, touched),
            // It is asked again when its time comes.
            Outcome::Failed(records::Error::Store(error)) if error.is_passing() => {
                tracing::warn!(%error, "realtime: a live query cannot be read now");
                self.shelf.change(&done.key, |query| query.is_aged = true);
                return;
            }
            Outcome::Failed(error) => return self.fail(hub, &done.key, &Refusal::of(&error)),
        };
        let now = &mut self.present;
        let taken = self.shelf.change(&done.key, |query| {
            present(now, hub).and_then(|now| query.take(at, page, now))
        });
        if let Some(Err(error)) = &taken
            && error.is_passing()
        {
            tracing::warn!(%error, "realtime: a live query cannot be read now");
            self.shelf.change(&done.key, |query| query.is_aged = true);
            return;
        }
        if let Some(Err(error)) = taken {
            return self.fail(hub, &done.key, &Refusal::of(&error.into()));
        }
        self.shelf.note_footprint(&done.key);
        touched.insert(done.key);
    }

    /// Tells everybody who hears of a query what is new to them.
    fn publish(&mut self, hub: &Inner, key: &Key) {
        let Some(query) = self.shelf.get(key) else {
            return;
        };
        if query.size_bytes() > LIVE_RESULT_BYTES_MAX {
            return self.fail(hub, key, &Refusal::too_large());
        }
        if self.shelf.is_full(query) {
            return self.fail(hub, key, &Refusal::no_room());
        }
        let Some((rows, at)) = self.truth(query) else {
            return;
        };
        let mut frames = Frames::new(Arc::clone(&rows), hub.seal(at));
        let members: Vec<Seat> = query.members.iter().cloned().collect();
        self.shelf.change(key, |query| query.is_told = true);
        for seat in &members {
            let Some(sub) = self.subs.get_mut(seat) else {
                continue;
            };
            if let Told::Changed = sub.tell(hub, seat, &rows, at, &mut frames) {
                self.again.insert(seat.0.clone());
            }
        }
    }

    /// A result and the place at which it is true.
    fn truth(&self, query: &Query) -> Option<(Arc<Rows>, Position)> {
        let rows = query.rows.clone()?;
        if query.is_true() {
            return Some((rows, self.at));
        }
        // What was read is true where it was read, whatever came after; a kept one has been changed since.
        (!query.is_kept()).then_some((rows, query.at))
    }

    /// A connection has read: what it could not be told is told now.
    fn catch_up(&mut self, hub: &Inner, client: &ClientId) {
        for name in self.seats.get(client).cloned().unwrap_or_default() {
            let seat = (client.clone(), name);
            let Some(sub) = self.subs.get_mut(&seat).filter(|sub| sub.is_behind) else {
                continue;
            };
            sub.is_behind = false;
            let key = sub.key.clone();
            let Some((rows, at)) = self.shelf.get(&key).and_then(|query| self.truth(query)) else {
                continue;
            };
            let mut frames = Frames::new(Arc::clone(&rows), hub.seal(at));
            if let Some(sub) = self.subs.get_mut(&seat)
                && let Told::Changed = sub.tell(hub, &seat, &rows, at, &mut frames)
            {
                self.again.insert(client.clone());
            }
        }
    }

    /// Every live query ends.
    pub(super) fn give_up(&mut self, hub: &Inner) {
        let why = Refusal::no_room();
        for (seat, sub) in std::mem::take(&mut self.subs) {
            end(hub, &seat.0, &seat.1, sub.ask.as_ref(), &why);
        }
    }

    /// A query cannot be answered any more: whoever asks it is told, and it ends.
    fn fail(&mut self, hub: &Inner, key: &Key, why: &Refusal) {
        let members = self.shelf.get(key).map(|query| query.members.clone());
        for seat in members.unwrap_or_default() {
            let ask = self.subs.get(&seat).and_then(|sub| sub.ask.clone());
            end(hub, &seat.0, &seat.1, ask.as_ref(), why);
            self.leave(&seat);
        }
    }

    /// Time alone may change what reads the clock.
    fn read_clock(&mut self, hub: &Inner) {
        let now = hub.clock.now();
        for (_, query) in self.shelf.all_mut() {
            let old = now.as_millis() - query.read_at.as_millis() >= LIVE_CLOCK_SECS * 1_000;
            query.is_aged |= query.meaning.footprint.clock && old && !query.is_reading;
        }
    }

    /// Has those read whose time has come.
    fn send_readers(&mut self, hub: &Inner) {
        let now = Instant::now();
        for (key, query) in self.shelf.all_mut() {
            if query.is_reading || !query.must_be_read() || query.due > now {
                continue;
            }
            query.begin(hub.clock.now());
            hub.live.jobs.push(Job {
                key: key.clone(),
                number: query.number,
                meaning: Arc::clone(&query.meaning),
                now: query.read_at,
            });
        }
    }
}

fn is_of_record(change: &Change) -> bool {
    !matches!(
        change.kind,
        ChangeKind::Schema { .. } | ChangeKind::Touched { .. }
    )
}

/// The database as it is now, for the rest of this turn.
fn present<'a>(held: &'a mut Option<Snapshot>, hub: &Inner) -> Result<&'a Snapshot, StoreError> {
    if held.as_ref().is_none_or(|held| !held.is_open()) {
        let mut fresh = match held.take() {
            Some(fresh) => fresh,
            None => hub.store.snapshot()?,
        };
        fresh.refresh()?;
        *held = Some(fresh);
    }
    held.as_ref().ok_or(StoreError::Closed)
}
