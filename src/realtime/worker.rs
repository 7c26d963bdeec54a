//! The hub's thread: takes what was committed, in order, and gives each connection what it may see.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::client::{Ended, Outbox};
use super::deliver::{self, Scene};
use super::hub::{Error, Inner};
use super::ring::Taken;
use super::stats;
use crate::records::account::SESSIONS;
use crate::schema::system::API_KEYS;
use crate::store::{Change, ChangeKind, Position, Snapshot, Store, StoreError};

/// How long the hub sleeps at most: the delay until a token that ran out is noticed on a quiet connection.
const TICK: Duration = Duration::from_secs(1);

/// Pause before a database that is away is tried again.
pub(super) const AGAIN: Duration = Duration::from_millis(250);

/// Connections from which on the hub lets the writer's answer go first.
const CROWD: usize = 64;
/// For how long.
const COURTESY: Duration = Duration::from_millis(1);

/// Two snapshots of the database: before and after the changes that are being delivered.
pub(super) struct Window {
    before: Snapshot,
    after: Snapshot,
}

impl Window {
    /// Makes a snapshot of the present, and tells its position.
    fn fresh(window: &mut Option<Self>, store: &Store) -> Result<Position, StoreError> {
        let both = match window {
            Some(both) => both,
            None => window.insert(Self {
                before: store.snapshot()?,
                after: store.snapshot()?,
            }),
        };
        // Kept also when that fails: without a window nobody is thought to listen.
        both.before.refresh()
    }
}

impl Inner {
    /// Works until the ring is closed.
    pub(super) fn work(&self) {
        let mut pending = VecDeque::new();
        loop {
            let taken = self.ring.take(TICK);
            if matches!(taken, Taken::Closed) {
                return;
            }
            let turn = catch_unwind(AssertUnwindSafe(|| self.turn(taken, &mut pending)));
            if turn.is_err() {
                tracing::error!("realtime: a delivery panicked; the log is read instead");
                if let Err(error) = self.catch_up(&mut pending) {
                    self.cannot_read(&mut pending, &error);
                }
            }
        }
    }

    fn turn(&self, taken: Taken, pending: &mut VecDeque<Change>) {
        // Before anything is judged: a token that has run out counts no more.
        self.expire();
        self.stats.sample();
        let done = match taken {
            Taken::Closed => Ok(()),
            Taken::Quiet => {
                self.rest();
                Ok(())
            }
            Taken::Lost => self.catch_up(pending),
            Taken::Changes(changes) => {
                if self.roster.lock().len() > CROWD {
                    // Waking a crowd keeps every core busy for a while: whoever wrote gets the answer first, and what
                    // is committed meanwhile goes out together.
                    std::thread::sleep(COURTESY);
                }
                pending.extend(changes);
                self.deliver(pending)
            }
        };
        if let Err(error) = done {
            self.cannot_read(pending, &error);
        }
    }

    /// From now on the ring fills; everything committed before is in the snapshot.
    pub(super) fn start_listening(&self) -> Result<(), Error> {
        let mut window = self.window.lock();
        self.ring.listen(true);
        let seen = Window::fresh(&mut window, &self.store).map_err(|error| {
            tracing::error!(%error, "realtime: no snapshot of the database");
            self.ring.listen(false);
            Error::Unreadable
        })?;
        self.seen.store(seen.0, Ordering::SeqCst);
        self.base.store(seen.0, Ordering::SeqCst);
        self.live.lost(seen);
        Ok(())
    }

    /// Without connections no snapshot is held, or the write-ahead log could never be emptied.
    fn rest(&self) {
        let listening = self.listening.lock();
        if !*listening {
            *self.window.lock() = None;
        }
    }

    /// The database cannot be read. Where that passes, everybody stays and hears from the log what happened meanwhile;
    /// else every connection ends, and its client starts anew.
    fn cannot_read(&self, pending: &mut VecDeque<Change>, error: &StoreError) {
        pending.clear();
        if error.is_passing() {
            tracing::warn!(%error, "realtime: changes cannot be read now");
            self.ring.lose();
            std::thread::sleep(AGAIN);
            return;
        }
        tracing::error!(%error, "realtime: changes cannot be read; connections are ended");
        for (_, client) in self.roster.lock().clients() {
            client.outbox.end(Ended::Expired);
        }
    }

    /// Changes were lost on the way here: everybody hears of them from the log.
    fn catch_up(&self, pending: &mut VecDeque<Change>) -> Result<(), StoreError> {
        pending.clear();
        let mut window = self.window.lock();
        if window.is_none() {
            return Ok(());
        }
        let head = Window::fresh(&mut window, &self.store)?;
        let Some(window) = window.as_ref() else {
            return Ok(());
        };
        let since = self.seen();
        let mut roster = self.roster.lock();
        self.follow_all(&mut roster, &window.before.tx())?;
        let everybody: Vec<_> = roster.clients().map(|(id, _)| id.clone()).collect();
        let epoch = self.store.head().epoch;
        if self.epoch.swap(epoch, Ordering::SeqCst) == epoch {
            for id in everybody {
                self.put_back(&mut roster, &id, since);
            }
            self.seen.store(head.0, Ordering::SeqCst);
        } else {
            // Of what they have heard some is no more: they fetch again.
            self.seen.store(head.0, Ordering::SeqCst);
            self.comebacks.forget();
            for id in everybody {
                self.reset_all(&mut roster, &id);
            }
        }
        self.base.store(head.0, Ordering::SeqCst);
        self.live.lost(head);
        Ok(())
    }

    /// Delivers what has come, to its end: what was committed while the first of it was awaited came with it, and nothing
    /// may come after it for long.
    fn deliver(&self, pending: &mut VecDeque<Change>) -> Result<(), StoreError> {
        while !pending.is_empty() && self.deliver_upto_now(pending)? {}
        Ok(())
    }

    /// Delivers what is in the state of now; whether there may be more.
    fn deliver_upto_now(&self, pending: &mut VecDeque<Change>) -> Result<bool, StoreError> {
        let mut window = self.window.lock();
        let Some(window) = window.as_mut() else {
            pending.clear();
            return Ok(false);
        };
        let upto = window.after.refresh()?;
        while pending.back().is_none_or(|last| last.position < upto) {
            match self.ring.take(TICK) {
                Taken::Changes(more) => pending.extend(more),
                // Quiet: what was committed is not told, for longer than that can take. The log has it; what comes late is
                // behind the place where everybody goes on.
                Taken::Quiet | Taken::Lost => {
                    pending.clear();
                    self.ring.lose();
                    return Ok(false);
                }
                Taken::Closed => return Ok(false),
            }
        }
        let catalog = self.store.catalog();
        let base = Position(self.base.load(Ordering::SeqCst));
        let mut sleepers = Vec::new();
        let mut delivered = Vec::new();
        while pending
            .front()
            .is_some_and(|change| change.position <= upto)
        {
            let Some(change) = pending.pop_front() else {
                break;
            };
            if change.position <= base {
                continue;
            }
            let scene = Scene {
                catalog: &catalog,
                before: &window.before.tx(),
                after: &window.after.tx(),
                now: self.clock.now(),
            };
            if let Err(error) = self.deliver_one(&scene, &change, &mut sleepers) {
                sleepers.iter().for_each(|outbox| outbox.wake());
                return Err(error);
            }
            delivered.push(change);
        }
        // Each connection is woken once for all that came together.
        sleepers.iter().for_each(|outbox| outbox.wake());
        self.stats.lagged(self.ring.age());
        // Live queries come after the identities that they are judged for.
        self.live.changes(delivered, upto);
        std::mem::swap(&mut window.before, &mut window.after);
        Ok(true)
    }

    fn deliver_one(
        &self,
        scene: &Scene<'_>,
        change: &Change,
        sleepers: &mut Vec<Arc<Outbox>>,
    ) -> Result<(), StoreError> {
        let mut roster = self.roster.lock();
        // Identities first: whoever loses one by this change must not be judged by the old one.
        match &change.kind {
            ChangeKind::Schema { .. } => self.follow_schema(&mut roster, scene.catalog),
            ChangeKind::Touched { .. } => self.follow_all(&mut roster, scene.after)?,
            ChangeKind::Update { before, after } if after.collection().is_auth() => {
                self.follow_person(&mut roster, before, Some(after));
            }
            ChangeKind::Delete { before } if before.collection().is_auth() => {
                self.follow_person(&mut roster, before, None);
            }
            ChangeKind::Delete { before } if before.collection().name == SESSIONS => {
                self.follow_session(&mut roster, before);
            }
            ChangeKind::Update { before, .. } | ChangeKind::Delete { before }
                if before.collection().name == API_KEYS =>
            {
                self.follow_key(&mut roster, before, scene.after)?;
            }
            ChangeKind::Create { .. } | ChangeKind::Update { .. } | ChangeKind::Delete { .. } => {}
        }
        let position = change.position;
        let cursor = || self.seal(position);
        let told = deliver::change(
            &roster,
            scene,
            change,
            &cursor,
            sleepers,
            &self.stats.judged,
        );
        self.seen.store(position.0, Ordering::SeqCst);
        stats::add(&self.stats.events, 1);
        stats::add(&self.stats.put_back, told.full.len());
        // Who reads too slowly goes on from the log, at its own pace, and misses nothing.
        for id in told.full {
            self.put_back(&mut roster, &id, position);
        }
        // And so does who could not be judged, once the database is back.
        let before = Position(position.0.saturating_sub(1));
        for (id, sub) in told.unjudged {
            self.put_back_one(&mut roster, &id, sub, before);
        }
        Ok(())
    }
}
