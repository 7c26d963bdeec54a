//! What members do: speak, show themselves otherwise, leave.

use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;

use super::desk::{Channels, Refused, member};
use super::frame::{self, Face, News};
use super::room::What;
use crate::kit::json::{Json, JsonMap};
use crate::kit::time::Timestamp;
use crate::realtime::client::ClientId;
use crate::realtime::frame::ws_ok;

impl Channels {
    /// Tells all members of a channel something, and answers the sender.
    pub(in crate::realtime) async fn publish(
        &self,
        id: &ClientId,
        ask: &Json,
        name: &CompactString,
        event: &str,
        payload: &[u8],
        echo: bool,
    ) -> Result<(), Refused> {
        let now = self.clock.now();
        self.may_publish(id, name, now).await?;
        let mut state = self.state();
        let sender = member(&mut state, name, id).ok_or(Refused::Outside)?;
        let (from, outbox) = (sender.id.clone(), Arc::clone(&sender.outbox));
        outbox.push(ws_ok(ask, JsonMap::new()));
        let not_to = (!echo).then(|| id.clone());
        state.say(name, now, not_to, |seq| {
            let cursor = self.seal(name, seq);
            What::Message(frame::message(name, event, payload, &from, &cursor))
        });
        self.done(state);
        Ok(())
    }

    async fn may_publish(
        &self,
        id: &ClientId,
        name: &CompactString,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let (actor, pattern, judged) = {
            let mut state = self.state();
            let sender = member(&mut state, name, id).ok_or(Refused::Outside)?;
            let (actor, judged) = (sender.actor.clone(), sender.judged);
            (actor, Arc::clone(&state.room(name).pattern), judged)
        };
        if !judged {
            // Who may not be here any more may not speak here either.
            self.judge(&pattern, |pattern| &pattern.join, &actor, name, now)
                .await?;
        }
        self.judge(&pattern, |pattern| &pattern.publish, &actor, name, now)
            .await
    }

    /// Shows the others something else, and answers.
    pub(in crate::realtime) fn present(
        &self,
        id: &ClientId,
        ask: &Json,
        name: &CompactString,
        presence: &Bytes,
    ) -> Result<(), Refused> {
        let now = self.clock.now();
        let mut state = self.state();
        let member = member(&mut state, name, id).ok_or(Refused::Outside)?;
        let before = member.size_bytes();
        member.presence = Some(presence.clone());
        let (own, after) = (member.id.clone(), member.size_bytes());
        member.outbox.push(ws_ok(ask, JsonMap::new()));
        state.member_bytes = state.member_bytes + after - before;
        if state.room(name).pattern.presence {
            state.say(name, now, Some(id.clone()), |_| {
                let face = Face {
                    member: &own,
                    presence: Some(presence),
                    record: None,
                };
                What::Notice(frame::presence(name, &News::Changed(face)))
            });
        }
        self.done(state);
        Ok(())
    }

    /// Ends a membership, and answers.
    pub(in crate::realtime) fn leave(
        &self,
        id: &ClientId,
        ask: &Json,
        name: &CompactString,
    ) -> Result<(), Refused> {
        let mut state = self.state.lock();
        let outbox = state.seats.get(id).map(|seat| Arc::clone(&seat.outbox));
        let (Some(outbox), true) = (outbox, state.leave(id, name, self.clock.now())) else {
            return Err(Refused::Outside);
        };
        outbox.push(ws_ok(ask, JsonMap::new()));
        self.done(state);
        Ok(())
    }
}
