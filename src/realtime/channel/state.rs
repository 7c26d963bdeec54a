//! All channels and who sits in which, under one lock; and what was committed meanwhile that may change a right.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use compact_str::CompactString;

use super::frame::{self, News};
use super::room::{Room, What};
use super::rules::Rules;
use crate::call::Actor;
use crate::kit::limits::CHANNEL_HISTORY_BYTES_MAX;
use crate::kit::time::Timestamp;
use crate::realtime::client::{ClientId, Outbox};
use crate::schema::{CollectionId, RecordId};
use crate::store::{ChangeKind, CommitGroup};

/// A connection that uses channels.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) actor: Actor,
    pub(super) outbox: Arc<Outbox>,
    pub(super) rooms: Vec<CompactString>,
    /// Whether it sits in a channel with presence: then its transport watches it closely.
    pub(super) watched: Arc<AtomicBool>,
}

/// Everything about channels.
#[derive(Debug)]
pub(super) struct State {
    pub(super) rooms: HashMap<CompactString, Room>,
    pub(super) seats: HashMap<ClientId, Seat>,
    pub(super) rules: Arc<Rules>,
    /// Rooms in which somebody waits for the worker.
    pub(super) due: HashSet<CompactString>,
    /// Counts entries of all channels, and members.
    seq: u64,
    pub(super) history_bytes: usize,
    pub(super) member_bytes: usize,
    pub(super) closed: bool,
}

/// Channels in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Channels with members or with messages that can be had again.
    pub open: usize,
    /// Members of all channels.
    pub members: usize,
    /// Bytes of messages kept.
    pub history_bytes: usize,
}

/// What was committed and not looked at yet: taken on the writer thread, so that it must be cheap.
#[derive(Debug, Default)]
pub(super) struct Notes {
    schema: bool,
    tables: HashSet<CollectionId>,
    people: HashSet<(CollectionId, RecordId)>,
}

impl Notes {
    /// Whether there is anything to look at; `tables` says whether rows of any table matter.
    pub(super) fn take_in(&mut self, group: &CommitGroup, tables: bool) -> bool {
        /// People noted one by one; past it everybody is looked at.
        const PEOPLE_MAX: usize = 1_000;
        for change in &group.changes {
            let record = match &change.kind {
                ChangeKind::Create { after } => after,
                ChangeKind::Update { before, .. } | ChangeKind::Delete { before } => {
                    if before.collection().is_auth() {
                        let id = RecordId::new(before.id());
                        self.people.insert((before.collection().id.clone(), id));
                    }
                    before
                }
                ChangeKind::Schema { .. } | ChangeKind::Touched { .. } => {
                    self.schema = true;
                    continue;
                }
            };
            if tables {
                self.tables.insert(record.collection().id.clone());
            }
        }
        self.schema |= self.people.len() > PEOPLE_MAX;
        !self.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.schema && self.tables.is_empty() && self.people.is_empty()
    }
}

impl State {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rooms: HashMap::new(),
            seats: HashMap::new(),
            rules: Arc::new(rules),
            due: HashSet::new(),
            seq: 0,
            history_bytes: 0,
            member_bytes: 0,
            closed: false,
        }
    }

    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// The room called `name`, opened when it is not.
    pub(super) fn room(&mut self, name: &CompactString) -> &mut Room {
        let (seq, rules) = (self.seq, &self.rules);
        self.rooms
            .entry(name.clone())
            .or_insert_with(|| Room::new(name.clone(), rules.of(name), seq))
    }

    /// Says something in a room, as it is or to each in his own way; gives its number.
    pub(super) fn say(
        &mut self,
        name: &CompactString,
        now: Timestamp,
        not_to: Option<ClientId>,
        what: impl FnOnce(u64) -> What,
    ) -> u64 {
        let seq = self.next_seq();
        let Some(room) = self.rooms.get_mut(name) else {
            return seq;
        };
        let before = room.log_bytes;
        if room.add(seq, now, not_to, what(seq)) {
            self.due.insert(name.clone());
        }
        self.history_bytes += room.log_bytes - before;
        self.history_bytes -= room.trim(now);
        self.keep_budget(name);
        seq
    }

    /// The room that grows pays first; when that is not enough, the one that holds most.
    fn keep_budget(&mut self, name: &CompactString) {
        while self.history_bytes > CHANNEL_HISTORY_BYTES_MAX {
            let own = self.rooms.get_mut(name).map_or(0, Room::drop_first);
            let freed = if own > 0 {
                own
            } else {
                let most = self.rooms.values_mut().max_by_key(|room| room.log_bytes);
                most.map_or(0, Room::drop_first)
            };
            if freed == 0 {
                return;
            }
            self.history_bytes -= freed;
        }
    }

    /// Takes a connection out of a room, and tells the others; `false` when it was not in it.
    pub(super) fn leave(&mut self, id: &ClientId, name: &CompactString, now: Timestamp) -> bool {
        let Some(room) = self.rooms.get_mut(name) else {
            return false;
        };
        let Some(member) = room.members.remove(id) else {
            return false;
        };
        self.member_bytes -= member.size_bytes();
        let presence = room.pattern.presence;
        if let Some(seat) = self.seats.get_mut(id) {
            seat.rooms.retain(|known| known != name);
        }
        self.watch(id);
        if presence {
            self.say(name, now, None, |_| {
                What::Notice(frame::presence(name, &News::Left(&member.id)))
            });
        }
        self.close_if_over(name, now);
        true
    }

    /// Notes whether the connection sits in a channel with presence.
    pub(super) fn watch(&self, id: &ClientId) {
        let Some(seat) = self.seats.get(id) else {
            return;
        };
        let watched = seat.rooms.iter().any(|name| {
            self.rooms
                .get(name)
                .is_some_and(|room| room.pattern.presence)
        });
        seat.watched.store(watched, Ordering::Relaxed);
    }

    /// Forgets a room in which nobody is and nothing is kept.
    pub(super) fn close_if_over(&mut self, name: &CompactString, now: Timestamp) {
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        self.history_bytes -= room.trim(now);
        if room.is_over() {
            self.rooms.remove(name);
            self.due.remove(name);
        }
    }

    /// Everybody's right is looked at again, under these rules.
    pub(super) fn set_rules(&mut self, rules: Rules) {
        self.rules = Arc::new(rules);
        for (name, room) in &mut self.rooms {
            room.pattern = self.rules.of(name);
            room.members
                .values_mut()
                .for_each(super::room::Member::mark);
            self.due.insert(name.clone());
        }
        let ids: Vec<ClientId> = self.seats.keys().cloned().collect();
        ids.iter().for_each(|id| self.watch(id));
    }

    /// Marks everybody whose right a commit may have changed.
    pub(super) fn apply(&mut self, notes: &Notes) {
        let people = self
            .seats
            .values()
            .any(|seat| is_among(&seat.actor, &notes.people));
        if !notes.schema && !people && !self.rules.read_any(&notes.tables) {
            return;
        }
        for (name, room) in &mut self.rooms {
            let all = notes.schema
                || notes
                    .tables
                    .iter()
                    .any(|table| room.pattern.join.reads(table));
            if !all && notes.people.is_empty() {
                continue;
            }
            for member in room.members.values_mut() {
                if all || is_among(&member.actor, &notes.people) {
                    member.mark();
                    self.due.insert(name.clone());
                }
            }
        }
    }

    pub(super) fn count(&self) -> Count {
        Count {
            open: self.rooms.len(),
            members: self.rooms.values().map(|room| room.members.len()).sum(),
            history_bytes: self.history_bytes,
        }
    }

    /// Ends a membership that is not allowed any more.
    pub(super) fn expel(&mut self, id: &ClientId, name: &CompactString, now: Timestamp) {
        let outbox = self.seats.get(id).map(|seat| Arc::clone(&seat.outbox));
        if self.leave(id, name, now)
            && let Some(outbox) = outbox
        {
            outbox.push(ended(name));
        }
    }
}

fn ended(name: &str) -> Bytes {
    frame::ended(name, 403, "You are not allowed to use this channel.")
}

fn is_among(actor: &Actor, people: &HashSet<(CollectionId, RecordId)>) -> bool {
    actor.record().is_some_and(|record| {
        let key = (record.collection().id.clone(), RecordId::new(record.id()));
        people.contains(&key)
    })
}
