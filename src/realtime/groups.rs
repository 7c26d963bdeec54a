//! Subscribers of one topic in groups: whoever must be judged alike and sees alike is judged and served together, by a
//! verdict that is made when the group begins and kept.

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;

use super::client::{ClientId, Outbox, Transport};
use super::index::Index;
use super::judge::Kept;
use super::topic::Topic;
use crate::call::Actor;
use crate::kit::value::Columns;
use crate::schema::{Collection, CollectionId, Record, RecordId};
use crate::store::Position;

/// What makes two subscribers of a topic alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct GroupKey {
    pub(super) text: CompactString,
    pub(super) class: Class,
}

/// The part of an identity that verdicts and views of a topic depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// Rules do not bind, nothing is hidden.
    Superuser,
    /// Everybody for whom what the rule reads of the caller has these values.
    Like(CompactString),
    /// One identity alone: what it sees may differ from what anybody else sees.
    One(Option<Person>),
}

/// Who a connection is: a record, and the key that stands for it if it is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Person {
    pub(super) collection: CollectionId,
    pub(super) record: RecordId,
    /// Id of the key.
    pub(super) key: Option<CompactString>,
}

impl Person {
    /// That of a signed-in connection.
    pub(super) fn of(actor: &Actor) -> Option<Self> {
        let record = actor.record()?;
        Some(Self {
            collection: record.collection().id.clone(),
            record: RecordId::new(record.id()),
            key: actor.key().map(|key| key.id.clone()),
        })
    }
}

impl Class {
    /// That of `actor` alone.
    pub(super) fn one(actor: &Actor) -> Self {
        Self::One(Person::of(actor))
    }
}

/// Subscribers judged and served together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) topic: Arc<Topic>,
    /// Any member's identity: all are alike for this topic.
    pub(super) actor: Actor,
    pub(super) kept: Kept,
    pub(super) members: HashMap<(ClientId, CompactString), Member>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) outbox: Arc<Outbox>,
    pub(super) transport: Transport,
    /// Changes up to here came by replay.
    pub(super) from: Position,
}

/// The groups of one topic.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: HashMap<GroupKey, Group>,
    /// By what a row must hold to matter to them.
    index: Index<GroupKey>,
    /// The state of the collection that the index speaks of.
    collection: Option<Arc<Collection>>,
}

impl Groups {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Adds a member to a group, which `begin` makes when there is none.
    pub(super) fn join(
        &mut self,
        key: GroupKey,
        seat: (ClientId, CompactString),
        member: Member,
        begin: impl FnOnce() -> Group,
    ) {
        if let Some(group) = self.all.get_mut(&key) {
            group.members.insert(seat, member);
            return;
        }
        let mut group = begin();
        if self.collection.is_none() {
            self.collection = group.kept.collection.clone();
        }
        // Positions of fields are those of one state of the collection.
        if !same(self.collection.as_ref(), group.kept.collection.as_ref()) {
            group.kept.only_if = None;
        }
        self.index.insert(key.clone(), &group.kept.only_if);
        group.members.insert(seat, member);
        self.all.insert(key, group);
    }

    /// Takes a member out; the group ends with the last one.
    pub(super) fn leave(&mut self, key: &GroupKey, seat: &(ClientId, CompactString)) {
        let Some(group) = self.all.get_mut(key) else {
            return;
        };
        group.members.remove(seat);
        if group.members.is_empty() {
            self.index.remove(key, &group.kept.only_if);
            self.all.remove(key);
        }
    }

    /// The groups for whom a change of a record of `collection` can matter.
    pub(super) fn concerned(
        &self,
        collection: &Arc<Collection>,
        before: Option<&Record>,
        after: Option<&Record>,
    ) -> Vec<&Group> {
        if !same(self.collection.as_ref(), Some(collection)) {
            return self.all.values().collect();
        }
        let found = self.index.concerned(
            before.map(|row| row as &dyn Columns),
            after.map(|row| row as &dyn Columns),
        );
        found
            .into_iter()
            .filter_map(|key| self.all.get(key))
            .collect()
    }
}

fn same(left: Option<&Arc<Collection>>, right: Option<&Arc<Collection>>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => Arc::ptr_eq(left, right),
        (None, _) | (_, None) => false,
    }
}
