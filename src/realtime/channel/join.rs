//! Becoming a member: judged, given a place, told who is there and what was missed; only then does it hear.

use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;

use super::desk::{Channels, Refused};
use super::faces::Faces;
use super::frame::{self, Face, News};
use super::room::{self, Member, What};
use super::rules::Pattern;
use crate::call::Actor;
use crate::kit::id;
use crate::kit::json::Json;
use crate::kit::limits::{CHANNEL_MEMBER_BYTES_MAX, CHANNEL_MEMBERS_MAX};
use crate::kit::time::Timestamp;
use crate::realtime::client::ClientId;
use crate::store::StoreError;

/// What a client's `since` means.
enum Since {
    Nothing,
    After(u64),
    Reset(&'static str),
}

impl Channels {
    /// Makes a connection a member, and answers it.
    pub(in crate::realtime) async fn join(
        &self,
        id: &ClientId,
        ask: &Json,
        name: CompactString,
        presence: Option<Bytes>,
        since: Option<&str>,
    ) -> Result<(), Refused> {
        let now = self.clock.now();
        let past = self.open(&name, since)?;
        let (actor, pattern) = {
            let state = self.state();
            let seat = state.seats.get(id).ok_or(Refused::Outside)?;
            (seat.actor.clone(), state.rules.of(&name))
        };
        self.judge(&pattern, |pattern| &pattern.join, &actor, &name, now)
            .await?;
        let (own, seq) = self.enter(id, &name, presence, &pattern, now)?;
        let faces = if pattern.presence {
            let viewer = actor;
            let members = self.members(&name);
            let read = self.store.read(move |tx| {
                let mut faces = Faces::new(tx, now);
                let faces = members.into_iter().map(|(member, presence, person)| {
                    let record = faces.of(&person, &viewer);
                    (member, presence, record)
                });
                Ok::<_, StoreError>(faces.collect::<Vec<_>>())
            });
            read.await
        } else {
            Ok(Vec::new())
        };
        let faces = match faces {
            Ok(faces) => faces,
            Err(error) => {
                self.state.lock().leave(id, &name, now);
                return Err(error.into());
            }
        };
        let faces: Vec<Face<'_>> = faces
            .iter()
            .map(|(member, presence, record)| Face {
                member,
                presence: presence.as_deref(),
                record: record.as_deref(),
            })
            .collect();
        let cursor = match (&past, since) {
            (Since::After(_), Some(since)) => CompactString::from(since),
            _ => self.seal(&name, seq),
        };
        let answer = frame::joined(ask, &own, &faces, &cursor);
        self.welcome(id, &name, answer, &past, seq);
        Ok(())
    }

    /// Gives the member a place: before its joining is answered it hears nothing.
    fn enter(
        &self,
        id: &ClientId,
        name: &CompactString,
        presence: Option<Bytes>,
        pattern: &Arc<Pattern>,
        now: Timestamp,
    ) -> Result<(CompactString, u64), Refused> {
        let most = self.settings.current().realtime.subscriptions_max();
        let mut state = self.state();
        let seat = state.seats.get(id).ok_or(Refused::Outside)?;
        if seat.rooms.len() >= most {
            return Err(Refused::TooMany);
        }
        let (actor, outbox) = (seat.actor.clone(), Arc::clone(&seat.outbox));
        if let Some(room) = state.rooms.get(name) {
            if room.members.contains_key(id) {
                return Err(Refused::Joined);
            }
            if pattern.presence && room.members.len() >= CHANNEL_MEMBERS_MAX {
                return Err(Refused::Full);
            }
        }
        let own = id::record_id();
        let mut member = Member {
            id: own.clone(),
            order: state.next_seq(),
            presence: presence.clone(),
            actor: actor.clone(),
            outbox,
            upto: 0,
            judged: false,
            marks: 0,
            open: false,
            clogged: false,
        };
        if state.member_bytes + member.size_bytes() > CHANNEL_MEMBER_BYTES_MAX {
            return Err(Refused::Exhausted);
        }
        state.member_bytes += member.size_bytes();
        let seq = state.seq();
        state.room(name);
        if pattern.presence {
            state.say(name, now, Some(id.clone()), |_| {
                joined(name, &own, presence, actor)
            });
        }
        let room = state.room(name);
        let seq = if pattern.presence { room.last } else { seq };
        member.upto = room.last;
        room.members.insert(id.clone(), member);
        if let Some(seat) = state.seats.get_mut(id) {
            seat.rooms.push(name.clone());
        }
        state.watch(id);
        self.done(state);
        Ok((own, seq))
    }

    /// Answers a `join`, with what was said since the client's cursor; from now on the member hears.
    fn welcome(&self, id: &ClientId, name: &CompactString, answer: Bytes, past: &Since, seq: u64) {
        let mut state = self.state();
        let cursor = self.seal(name, seq);
        let Some(room) = state.rooms.get_mut(name) else {
            return;
        };
        let missed = match past {
            Since::Nothing => Ok(Vec::new()),
            Since::After(since) => room.messages_after(*since).ok_or("expired"),
            Since::Reset(reason) => Err(*reason),
        };
        let Some(member) = room.members.get_mut(id) else {
            return;
        };
        member.outbox.push(answer);
        let upto = member.upto;
        match missed {
            Ok(missed) => {
                for (at, frame) in missed.into_iter().filter(|(at, _)| *at <= upto) {
                    member.upto = at.saturating_sub(1);
                    room::push(name, member, at, frame);
                }
                member.upto = upto;
            }
            Err(reason) => member.outbox.push(frame::reset(name, reason, &cursor)),
        }
        member.open = true;
        state.due.insert(name.clone());
        self.done(state);
    }

    /// The members of a room in the order of their joining.
    fn members(&self, name: &CompactString) -> Vec<(CompactString, Option<Bytes>, Actor)> {
        let state = self.state.lock();
        let Some(room) = state.rooms.get(name) else {
            return Vec::new();
        };
        let mut members: Vec<&Member> = room.members.values().collect();
        members.sort_by_key(|member| member.order);
        members
            .into_iter()
            .map(|member| {
                let presence = member.presence.clone();
                (member.id.clone(), presence, member.actor.clone())
            })
            .collect()
    }

    /// The place in a channel that a client's cursor names.
    fn open(&self, name: &CompactString, since: Option<&str>) -> Result<Since, Refused> {
        let Some(since) = since else {
            return Ok(Since::Nothing);
        };
        let text = self
            .store
            .cursors()
            .open_text(since, &format!("channel {name}"))
            .ok_or(Refused::BadCursor)?;
        let (start, seq) = text.split_once('.').ok_or(Refused::BadCursor)?;
        if start != self.start {
            return Ok(Since::Reset("restarted"));
        }
        let seq = seq.parse().map_err(|_| Refused::BadCursor)?;
        Ok(Since::After(seq))
    }
}

/// The news of a member: at once the same for all where there is no record to see.
fn joined(name: &str, own: &CompactString, presence: Option<Bytes>, person: Actor) -> What {
    if person.record().is_some() {
        return What::Joined {
            member: own.clone(),
            presence,
            person,
        };
    }
    let face = Face {
        member: own,
        presence: presence.as_deref(),
        record: None,
    };
    What::Notice(frame::presence(name, &News::Joined(face)))
}
