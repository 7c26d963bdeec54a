//! The thread that looks after members who cannot be told at once: it judges their right anew, makes each viewer's own
//! frames, and tells the log to those who are behind. It also lets go of what is too old.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::Bytes;
use compact_str::CompactString;

use super::desk::Channels;
use super::faces::Faces;
use super::frame::{self, Face, News};
use super::room::{self, Entry, Room, What};
use super::state::State;
use crate::call::Actor;
use crate::kit::time::Timestamp;
use crate::realtime::client::ClientId;
use crate::realtime::identity;
use crate::realtime::stats::{self, Stats};
use crate::store::{ReadTx, StoreError};

/// How often what is too old is let go.
const TICK: Duration = Duration::from_secs(5);
/// Entries that one round tells a member.
const ROUND_ENTRIES_MAX: usize = 256;

/// A member as it was when a round began.
struct Waiting {
    id: ClientId,
    actor: Actor,
    marks: u64,
    judged: bool,
    upto: u64,
}

/// What a round found for a member.
struct Found {
    allowed: bool,
    /// Frames of its own, by entry.
    own: HashMap<u64, Bytes>,
}

impl Channels {
    /// Works until the channels are closed.
    pub(in crate::realtime) fn work(&self, stats: &Stats) {
        let mut tidied = Instant::now();
        loop {
            {
                let mut bell = self.bell.lock();
                if !*bell {
                    self.rung.wait_for(&mut bell, TICK);
                }
                *bell = false;
            }
            let due: Vec<CompactString> = {
                let mut state = self.state();
                if state.closed {
                    return;
                }
                state.due.drain().collect()
            };
            for name in due {
                let serve = AssertUnwindSafe(|| self.serve(&name, stats));
                match catch_unwind(serve) {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "realtime: members of a channel cannot be judged now");
                        self.try_again(&name);
                    }
                    Err(_) => tracing::error!("realtime: a channel panicked"),
                }
            }
            if tidied.elapsed() >= TICK {
                tidied = Instant::now();
                self.tidy();
            }
        }
    }

    /// Whoever could not be judged waits for the next tick.
    fn try_again(&self, name: &CompactString) {
        let mut state = self.state.lock();
        if state.rooms.contains_key(name) {
            state.due.insert(name.clone());
        }
    }

    fn tidy(&self) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let names: Vec<CompactString> = state
            .rooms
            .iter_mut()
            .filter_map(|(name, room)| {
                // Only rooms with something old in them are touched.
                room.after(0).next().map(|_| name.clone())
            })
            .collect();
        for name in names {
            state.close_if_over(&name, now);
        }
    }

    /// One room, until nobody waits who could be served.
    fn serve(&self, name: &CompactString, stats: &Stats) -> Result<(), StoreError> {
        loop {
            let now = self.clock.now();
            let (waiting, entries, pattern) = {
                let state = self.state();
                let Some(room) = state.rooms.get(name).filter(|room| room.has_work()) else {
                    return Ok(());
                };
                let waiting = waiting(room);
                let entries = entries(room, &waiting);
                (waiting, entries, std::sync::Arc::clone(&room.pattern))
            };
            let found = self.store.read_now(|tx| {
                let mut faces = Faces::new(tx, now);
                let mut found = Vec::with_capacity(waiting.len());
                for member in &waiting {
                    found.push(look(tx, &mut faces, &pattern, name, member, &entries, now)?);
                }
                Ok::<_, StoreError>(found)
            })?;
            let mut state = self.state();
            for (member, found) in waiting.into_iter().zip(found) {
                self.settle(&mut state, name, &member, &found, now, stats);
            }
        }
    }

    /// Applies what was found, unless the member has changed meanwhile: then the next round looks again.
    fn settle(
        &self,
        state: &mut State,
        name: &CompactString,
        then: &Waiting,
        found: &Found,
        now: Timestamp,
        stats: &Stats,
    ) {
        let cursor = |seq: u64| self.seal(name, seq);
        let Some(room) = state.rooms.get_mut(name) else {
            return;
        };
        let last = room.last;
        let reaches = room.reaches(then.upto);
        let Some(member) = room.members.get(&then.id) else {
            return;
        };
        if member.marks != then.marks || member.upto != then.upto {
            return;
        }
        if !found.allowed {
            return state.expel(&then.id, name, now);
        }
        let missed: Vec<Entry> = if reaches {
            room.after(then.upto)
                .take(ROUND_ENTRIES_MAX)
                .cloned()
                .collect()
        } else {
            Vec::new()
        };
        let Some(member) = room.members.get_mut(&then.id) else {
            return;
        };
        member.judged = true;
        if !reaches {
            stats::add(&stats.resets, 1);
            member
                .outbox
                .push(frame::reset(name, "expired", &cursor(last)));
            member.upto = last;
            return;
        }
        for entry in missed {
            if member.clogged {
                return;
            }
            if entry.not_to.as_ref() == Some(&then.id) {
                member.upto = entry.seq;
                continue;
            }
            let frame = match entry.what {
                What::Message(frame) | What::Notice(frame) => frame,
                What::Joined { .. } => match found.own.get(&entry.seq) {
                    Some(frame) => frame.clone(),
                    // It came after this round began.
                    None => return,
                },
            };
            room::push(name, member, entry.seq, frame);
        }
    }
}

/// Members for whom something is to be done.
fn waiting(room: &Room) -> Vec<Waiting> {
    room.members
        .iter()
        .filter(|(_, member)| {
            member.open && (!member.judged || (!member.clogged && member.upto < room.last))
        })
        .map(|(id, member)| Waiting {
            id: id.clone(),
            actor: member.actor.clone(),
            marks: member.marks,
            judged: member.judged,
            upto: member.upto,
        })
        .collect()
}

/// What they may have to be told in words of their own.
fn entries(room: &Room, waiting: &[Waiting]) -> Vec<Entry> {
    let Some(first) = waiting.iter().map(|member| member.upto).min() else {
        return Vec::new();
    };
    room.after(first)
        .filter(|entry| matches!(entry.what, What::Joined { .. }))
        .take(ROUND_ENTRIES_MAX)
        .cloned()
        .collect()
}

/// Judges one member and makes the frames that only those like it get.
fn look(
    tx: &ReadTx<'_>,
    faces: &mut Faces<'_>,
    pattern: &super::rules::Pattern,
    name: &CompactString,
    member: &Waiting,
    entries: &[Entry],
    now: Timestamp,
) -> Result<Found, StoreError> {
    let actor = identity::present(tx, &member.actor, now)?;
    let allowed = member.judged || pattern.join.admits(tx, &actor, name, now)?;
    let mut own = HashMap::new();
    if allowed {
        for entry in entries.iter().filter(|entry| entry.seq > member.upto) {
            let What::Joined {
                member,
                presence,
                person,
            } = &entry.what
            else {
                continue;
            };
            let record = faces.of(person, &actor);
            let face = Face {
                member,
                presence: presence.as_deref(),
                record: record.as_deref(),
            };
            own.insert(entry.seq, frame::presence(name, &News::Joined(face)));
        }
    }
    Ok(Found { allowed, own })
}
