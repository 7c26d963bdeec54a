//! One channel: its members and what was said, in one order. Knows no rules and no database.
//!
//! What was said is the log; each member has a place in it. A member at its end gets new entries at once; one behind
//! (a slow reader, or one whose right is being looked at) gets them from the log, in the same order, nothing twice.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use compact_str::{CompactString, format_compact};

use super::rules::Pattern;
use crate::call::Actor;
use crate::kit::limits::{CHANNEL_ENTRIES_MAX, CHANNEL_MESSAGES_MAX, CHANNEL_MILLIS_MAX};
use crate::kit::time::Timestamp;
use crate::realtime::client::{ClientId, Outbox, Place, Pushed};
use crate::store::Position;

/// Bytes that an entry or a member holds besides its text, roughly.
const OWN_BYTES: usize = 256;

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    /// What others know it by.
    pub(super) id: CompactString,
    /// Grows with each member: the order of joining.
    pub(super) order: u64,
    pub(super) presence: Option<Bytes>,
    pub(super) actor: Actor,
    pub(super) outbox: Arc<Outbox>,
    /// Everything up to here has been queued for it.
    pub(super) upto: u64,
    /// Whether it may hear the next entry, as far as is known now.
    pub(super) judged: bool,
    /// Counts what may have changed its right: a verdict of an older count is stale.
    pub(super) marks: u64,
    /// Whether its joining has been answered.
    pub(super) open: bool,
    /// Whether its queue was full when it was last looked at.
    pub(super) clogged: bool,
}

impl Member {
    pub(super) fn size_bytes(&self) -> usize {
        OWN_BYTES + self.presence.as_ref().map_or(0, Bytes::len)
    }

    /// Its right must be looked at again before anything is told.
    pub(super) fn mark(&mut self) {
        self.judged = false;
        self.marks += 1;
    }

    fn hears(&self) -> bool {
        self.open && self.judged && !self.clogged
    }
}

/// Something that members are told.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) seq: u64,
    at: Timestamp,
    /// Who caused it, when that connection is not to hear it.
    pub(super) not_to: Option<ClientId>,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// A message: the same frame for all.
    Message(Bytes),
    /// A notice of presence: the same frame for all.
    Notice(Bytes),
    /// Somebody with a record joined: each viewer's frame is made when it is told.
    Joined {
        member: CompactString,
        presence: Option<Bytes>,
        person: Actor,
    },
}

impl What {
    fn size_bytes(&self) -> usize {
        OWN_BYTES
            + match self {
                Self::Message(frame) | Self::Notice(frame) => frame.len(),
                Self::Joined { presence, .. } => presence.as_ref().map_or(0, Bytes::len),
            }
    }

    fn is_message(&self) -> bool {
        matches!(self, Self::Message(_))
    }
}

/// One channel.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: CompactString,
    pub(super) pattern: Arc<Pattern>,
    pub(super) members: HashMap<ClientId, Member>,
    log: VecDeque<Entry>,
    messages: usize,
    /// The last entry, and the last one that is not in the log any more; of any kind, and of messages.
    pub(super) last: u64,
    floor: u64,
    message_floor: u64,
    pub(super) log_bytes: usize,
}

impl Room {
    /// A channel that begins after `seq`: what was before is not known.
    pub(super) fn new(name: CompactString, pattern: Arc<Pattern>, seq: u64) -> Self {
        Self {
            name,
            pattern,
            members: HashMap::new(),
            log: VecDeque::new(),
            messages: 0,
            last: seq,
            floor: seq,
            message_floor: seq,
            log_bytes: 0,
        }
    }

    /// Adds an entry and tells those who can be told at once; whether somebody is left behind.
    pub(super) fn add(
        &mut self,
        seq: u64,
        at: Timestamp,
        not_to: Option<ClientId>,
        what: What,
    ) -> bool {
        let before = std::mem::replace(&mut self.last, seq);
        let ready = match &what {
            What::Message(frame) | What::Notice(frame) => Some(frame.clone()),
            What::Joined { .. } => None,
        };
        let mut behind = false;
        for (id, member) in &mut self.members {
            if member.upto != before || !member.hears() {
                behind = true;
                continue;
            }
            if not_to.as_ref() == Some(id) {
                member.upto = seq;
                continue;
            }
            match &ready {
                Some(frame) => push(&self.name, member, seq, frame.clone()),
                None => behind = true,
            }
        }
        self.log_bytes += what.size_bytes();
        self.messages += usize::from(what.is_message());
        self.log.push_back(Entry {
            seq,
            at,
            not_to,
            what,
        });
        behind
    }

    /// Lets go of what is too old or too much; gives the bytes that are free again.
    pub(super) fn trim(&mut self, now: Timestamp) -> usize {
        let mut freed = 0;
        while let Some(first) = self.log.front() {
            let age = now.as_millis() - first.at.as_millis();
            // Without members nobody needs notices of presence.
            let idle = self.members.is_empty() && !first.what.is_message();
            if age <= CHANNEL_MILLIS_MAX
                && self.messages <= CHANNEL_MESSAGES_MAX
                && self.log.len() <= CHANNEL_ENTRIES_MAX
                && !idle
            {
                break;
            }
            freed += self.drop_first();
        }
        freed
    }

    /// Lets go of the oldest entry; gives the bytes that are free again.
    pub(super) fn drop_first(&mut self) -> usize {
        let Some(first) = self.log.pop_front() else {
            return 0;
        };
        self.floor = first.seq;
        if first.what.is_message() {
            self.messages -= 1;
            self.message_floor = first.seq;
        }
        let bytes = first.what.size_bytes();
        self.log_bytes -= bytes;
        bytes
    }

    /// Whether there is nothing to keep.
    pub(super) fn is_over(&self) -> bool {
        self.members.is_empty() && self.log.is_empty()
    }

    /// The messages after `since`; nothing when some of them are gone.
    pub(super) fn messages_after(&self, since: u64) -> Option<Vec<(u64, Bytes)>> {
        if since < self.message_floor {
            return None;
        }
        let frames = self.after(since).filter_map(|entry| match &entry.what {
            What::Message(frame) => Some((entry.seq, frame.clone())),
            What::Notice(_) | What::Joined { .. } => None,
        });
        Some(frames.collect())
    }

    /// The entries after `seq`.
    pub(super) fn after(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        let at = self.log.partition_point(|entry| entry.seq <= seq);
        self.log.range(at..)
    }

    /// Whether all entries after `seq` are there.
    pub(super) fn reaches(&self, seq: u64) -> bool {
        seq >= self.floor
    }

    /// Takes back what was queued for a connection from `seq` on: it is told again when it may.
    pub(super) fn put_back(&mut self, id: &ClientId, seq: u64) {
        if let Some(member) = self.members.get_mut(id) {
            member.upto = member.upto.min(seq);
            member.mark();
        }
    }

    /// Members that wait for something.
    pub(super) fn has_work(&self) -> bool {
        self.members.values().any(|member| {
            member.open && (!member.judged || (!member.clogged && member.upto < self.last))
        })
    }
}

/// Queues a frame that brings `member` to `seq`.
pub(super) fn push(channel: &str, member: &mut Member, seq: u64, frame: Bytes) {
    let place = Place {
        sub: sub_of(channel),
        since: Position(member.upto),
    };
    member.upto = seq;
    match member.outbox.push_event(frame, place) {
        Pushed::First => member.outbox.wake(),
        Pushed::Behind => {}
        Pushed::Full => member.clogged = !member.outbox.drained_or_await(),
    }
}

/// What stands in the place of a subscription's id: those are numbers.
pub(super) fn sub_of(channel: &str) -> CompactString {
    format_compact!("#{channel}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(upto: u64) -> Member {
        Member {
            id: "m".into(),
            order: 1,
            presence: None,
            actor: Actor::Guest,
            outbox: Arc::new(Outbox::default()),
            upto,
            judged: true,
            marks: 0,
            open: true,
            clogged: false,
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn say(room: &mut Room, seq: u64, millis: i64) -> bool {
        let frame = Bytes::from(seq.to_string());
        room.add(seq, at(millis), None, What::Message(frame))
    }

    fn room() -> Room {
        Room::new("a".into(), Arc::default(), 10)
    }

    #[test]
    fn those_at_the_end_hear_at_once_and_others_are_behind() {
        let mut room = room();
        let (quick, slow) = (ClientId::fresh(""), ClientId::fresh(""));
        room.members.insert(quick.clone(), member(10));
        assert!(!say(&mut room, 11, 0));
        let mut unsure = member(11);
        unsure.judged = false;
        room.members.insert(slow.clone(), unsure);

        assert!(say(&mut room, 12, 0));

        assert_eq!(room.members[&quick].upto, 12);
        assert_eq!(room.members[&slow].upto, 11);
        assert!(room.has_work());
        let missed: Vec<u64> = room.after(11).map(|entry| entry.seq).collect();
        assert_eq!(missed, [12]);
    }

    #[test]
    fn the_log_knows_what_it_does_not_know_any_more() {
        let mut room = room();
        for seq in 11..=(10 + CHANNEL_MESSAGES_MAX as u64 + 5) {
            say(&mut room, seq, 0);
        }
        assert!(room.trim(at(1)) > 0);

        assert!(room.messages_after(14).is_none());
        assert_eq!(room.messages_after(15).unwrap().len(), CHANNEL_MESSAGES_MAX);
        room.trim(at(CHANNEL_MILLIS_MAX + 1));
        assert!(room.is_over());
        assert_eq!(room.log_bytes, 0);
        assert_eq!(room.messages_after(room.last).unwrap(), []);
        assert!(room.messages_after(room.last - 1).is_none());
    }

    #[test]
    fn a_channel_made_anew_does_not_claim_to_know_the_past() {
        assert!(room().messages_after(9).is_none());
        assert!(room().messages_after(10).is_some());
    }
}
