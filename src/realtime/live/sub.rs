//! One live subscription: what its reader has, and what it is told next.

use std::sync::Arc;

use super::diff::Rows;
use super::frames::Frames;
use super::mailbox::Seat;
use super::question::{Key, Question};
use super::refusal::Refusal;
use crate::call::Actor;
use crate::kit::json::{Json, JsonMap};
use crate::realtime::client::{ClientId, Outbox, Place};
use crate::realtime::frame;
use crate::realtime::hub::Inner;
use crate::store::Position;

/// One live subscription.
pub(super) struct Sub {
    pub(super) question: Arc<Question>,
    pub(super) key: Key,
    pub(super) outbox: Arc<Outbox>,
    /// The identity that it was judged for, as the roster counts them.
    pub(super) generation: u64,
    /// The message that is yet to be answered.
    pub(super) ask: Option<Json>,
    /// What its reader has; none when that is not known.
    pub(super) shown: Option<Arc<Rows>>,
    /// The place of what it was told last: cursors never go backwards.
    pub(super) told: Position,
    /// Whether its connection must read first.
    pub(super) is_behind: bool,
}

/// What came of telling somebody.
pub(super) enum Told {
    Done,
    /// The identity is another by now.
    Changed,
}

impl Sub {
    /// Tells its reader what is new of `rows`, which are true at `at`.
    pub(super) fn tell(
        &mut self,
        hub: &Inner,
        seat: &Seat,
        rows: &Arc<Rows>,
        at: Position,
        frames: &mut Frames,
    ) -> Told {
        if self.is_behind || at < self.told {
            return Told::Done;
        }
        if !self.outbox.has_room() {
            // It gets the whole result once it has read: what it missed is nobody's to keep.
            self.shown = None;
            self.is_behind = true;
            if self.outbox.drained_or_await() {
                hub.live.drained(&seat.0);
            }
            return Told::Done;
        }
        let Some(frame) = frames.next(&seat.1, self.shown.as_ref()) else {
            self.shown = Some(Arc::clone(rows));
            return Told::Done;
        };
        // While the roster is held nobody becomes somebody else.
        let roster = hub.roster.lock();
        let now = roster.client(&seat.0).map(|client| client.generation);
        if now != Some(self.generation) {
            return Told::Changed;
        }
        if let Some(ask) = self.ask.take() {
            self.outbox
                .push(frame::ws_ok_sub(&ask, &seat.1, &frames.cursor));
        }
        let place = Place {
            sub: seat.1.clone(),
            since: at,
        };
        self.outbox.push_event(frame, place);
        drop(roster);
        self.outbox.wake();
        self.shown = Some(Arc::clone(rows));
        self.told = at;
        Told::Done
    }
}

/// Who a connection is now.
pub(super) fn caller(hub: &Inner, client: &ClientId) -> Option<(Actor, u64, Arc<Outbox>)> {
    let roster = hub.roster.lock();
    let client = roster.client(client)?;
    Some((
        client.actor.clone(),
        client.generation,
        Arc::clone(&client.outbox),
    ))
}

/// Ends a subscription and says why: as the answer, where there was none yet.
pub(super) fn end(hub: &Inner, client: &ClientId, sub: &str, ask: Option<&Json>, why: &Refusal) {
    let mut roster = hub.roster.lock();
    if !roster.unsubscribe(client, sub) {
        return;
    }
    let frame = match ask {
        Some(ask) => frame::ws_error(ask, why.status, &why.message, Json::Object(JsonMap::new())),
        None => frame::ws_sub_ended(sub, why.status, &why.message),
    };
    hub.reply(&roster, client, frame);
}
