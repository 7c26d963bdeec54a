//! The subscriptions of event streams: submitted as a whole list, under the identity of who submits it, and begun in the
//! present or where the client was before.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use super::client::{ClientId, Transport};
use super::comeback::Mark;
use super::frame;
use super::groups::Person;
use super::hub::{Error, Hub, Inner};
use super::roster::{Client, Past, Roster};
use super::topic::Topic;
use crate::call::Actor;
use crate::store::Position;

impl Hub {
    /// Replaces all subscriptions of an SSE connection, under the identity of the caller (contract 7.2).
    ///
    /// # Errors
    /// As the contract's table.
    pub fn submit(
        &self,
        id: &ClientId,
        actor: &Actor,
        address: IpAddr,
        topics: &[String],
    ) -> Result<(), Error> {
        let inner = &self.0;
        let catalog = inner.store.catalog();
        let mut roster = inner.roster.lock();
        let client = roster.client(id).ok_or(Error::UnknownClient)?;
        if client.address != address {
            return Err(Error::OtherAddress);
        }
        if client.actor.record().is_some() && !same_person(&client.actor, actor) {
            return Err(Error::OtherIdentity);
        }
        // A topic that is heard from the log goes on where it was.
        let behind: Vec<_> = client
            .subs
            .iter()
            .filter_map(|sub| Some((sub.topic.clone()?, sub.replay?.safe)))
            .collect();
        let topics: Vec<Option<Topic>> = topics
            .iter()
            // A line break would let the subscriber write lines of its own into its stream.
            .filter(|text| !text.is_empty() && !text.contains(['\n', '\r']))
            .map(|text| Topic::parse(text))
            .collect();
        let begins = inner.begins(client, actor, topics.iter().flatten());
        roster.set_past(id, begins.past);
        roster.clear_subs(id);
        roster.set_actor(&catalog, id, inner.proven(actor));
        for topic in topics {
            let known = behind
                .iter()
                .find(|(known, _)| topic.as_ref().is_some_and(|topic| topic.text == known.text))
                .map(|(_, safe)| *safe);
            // Where nothing happened meanwhile, the present is all there is.
            let missed = begins.after.filter(|safe| *safe < inner.seen());
            let replay = known.or(missed).map(|safe| inner.replays.reserve(safe));
            let text = topic.as_ref().map(|topic| topic.text.clone());
            let sub = roster.subscribe(&catalog, id, topic, replay);
            match (sub, replay, text) {
                (Some(sub), Some(replay), Some(_)) => inner.replays.add(id, sub, replay),
                (Some(_), None, Some(text)) if begins.is_gone => {
                    inner.reply(&roster, id, frame::sse_reset(&text, &inner.cursor()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Where the topics of an event stream begin.
pub(super) struct Begins {
    /// They hear what came after it; nothing: of the present only.
    pub(super) after: Option<Position>,
    /// Whether the client must be told that its past is gone.
    pub(super) is_gone: bool,
    /// What the stream has been told of the past then.
    pub(super) past: Past,
}

impl Inner {
    /// Where the topics begin that a client submits: after the cursor that it came with, or where its predecessor broke
    /// off; that counts for the first ones.
    pub(super) fn begins<'t>(
        &self,
        client: &Client,
        actor: &Actor,
        topics: impl Iterator<Item = &'t Topic>,
    ) -> Begins {
        let present = |past| Begins {
            after: None,
            is_gone: false,
            past,
        };
        let mut topics = topics.peekable();
        if topics.peek().is_none() {
            return present(client.past);
        }
        match client.past {
            Past::Since(after) => Begins {
                after,
                is_gone: after.is_none(),
                past: Past::Told,
            },
            Past::Unknown => {
                let mark = Mark::of(actor, client.address, client.agent, topics);
                let place = mark
                    .filter(|_| self.settings.current().realtime.catch_up)
                    .and_then(|mark| self.comebacks.take(&mark, self.clock.now()));
                match place {
                    Some(place) => Begins {
                        after: Some(place),
                        is_gone: false,
                        past: Past::CaughtUp,
                    },
                    None => present(Past::Settled),
                }
            }
            past @ (Past::Told | Past::CaughtUp | Past::Settled | Past::Lost) => present(past),
        }
    }

    /// Notes where an event stream breaks off, should its client come back.
    pub(super) fn remember(&self, roster: &Roster, id: &ClientId) {
        let Some(client) = roster.client(id) else {
            return;
        };
        if client.transport != Transport::Sse
            || client.past == Past::Lost
            || self.closed.load(Ordering::SeqCst)
            || !self.settings.current().realtime.catch_up
        {
            return;
        }
        let Some(mark) = Mark::of_client(client) else {
            return;
        };
        let unsent = client
            .outbox
            .take_back()
            .into_iter()
            .map(|place| place.since);
        let behind = client.subs.iter().filter_map(|sub| Some(sub.replay?.safe));
        let place = unsent.chain(behind).fold(self.seen(), Position::min);
        self.comebacks.remember(mark, place, self.clock.now());
    }
}

fn same_person(a: &Actor, b: &Actor) -> bool {
    Person::of(a).is_some_and(|a| Person::of(b) == Some(a))
}
