//! The queries that are kept true, and finding those that a change may concern.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::mailbox::Seat;
use super::query::Query;
use super::question::{Key, Meaning};
use crate::kit::limits::LIVE_MEMORY_BYTES_MAX;
use crate::kit::time::Timestamp;
use crate::kit::value::Columns;
use crate::realtime::deliver::{adapt, images};
use crate::realtime::index::{Index, OnlyIf};
use crate::schema::{Collection, CollectionId, Record};
use crate::store::Change;

/// All queries, each with those who hear of it.
#[derive(Default)]
pub(super) struct Shelf {
    queries: HashMap<Key, Query>,
    /// Queries that are kept, by their collection.
    kept: HashMap<CollectionId, Kept>,
    /// Queries that are read, by what they read.
    readers: HashMap<CollectionId, HashSet<Key>>,
    /// Queries of which it is not known yet what they read.
    unread: HashSet<Key>,
    /// Bytes of the results of guests and of everybody else.
    held: [usize; 2],
    /// Counts the queries that were ever begun.
    begun: u64,
}

/// The kept queries of one collection, found by what a row must hold to matter.
struct Kept {
    collection: Arc<Collection>,
    index: Index<Key>,
}

impl Kept {
    fn only_if(&self, query: &Query) -> OnlyIf {
        // Positions of fields are those of one state of the collection.
        let same = Arc::ptr_eq(&self.collection, &query.meaning.bound.collection);
        query.only_if.clone().filter(|_| same)
    }

    fn concerned(&self, change: &Change) -> Vec<Key> {
        let Some((before, after)) = images(&change.kind) else {
            return Vec::new();
        };
        let own = |record: &Arc<Record>| adapt(record, &self.collection);
        let (before, after) = (before.map(own), after.map(own));
        let found = self.index.concerned(
            before.as_ref().map(|row| row as &dyn Columns),
            after.as_ref().map(|row| row as &dyn Columns),
        );
        found.into_iter().cloned().collect()
    }
}

impl Shelf {
    /// Queries that differ.
    pub(super) fn len(&self) -> usize {
        self.queries.len()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Query> {
        self.queries.get(key)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Query> {
        self.queries.values()
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = (&Key, &mut Query)> {
        self.queries.iter_mut()
    }

    /// Lets `work` change a query, and counts what it holds then.
    pub(super) fn change<T>(&mut self, key: &Key, work: impl FnOnce(&mut Query) -> T) -> Option<T> {
        let query = self.queries.get_mut(key)?;
        let old = query.size_bytes();
        let done = work(query);
        let held = &mut self.held[kind(query)];
        *held = held.saturating_add(query.size_bytes()).saturating_sub(old);
        Some(done)
    }

    /// Adds somebody to a query, which begins with the first one.
    pub(super) fn join(&mut self, seat: Seat, key: &Key, meaning: Meaning, now: Timestamp) {
        if !self.queries.contains_key(key) {
            self.begun += 1;
            self.begin(key, Query::new(self.begun, Arc::new(meaning), now));
        }
        if let Some(query) = self.queries.get_mut(key) {
            query.members.insert(seat);
        }
    }

    fn begin(&mut self, key: &Key, query: Query) {
        if query.is_kept() {
            let collection = &query.meaning.bound.collection;
            let kept = self
                .kept
                .entry(collection.id.clone())
                .or_insert_with(|| Kept {
                    collection: Arc::clone(collection),
                    index: Index::default(),
                });
            let only_if = kept.only_if(&query);
            kept.index.insert(key.clone(), &only_if);
        } else {
            self.unread.insert(key.clone());
        }
        self.held[kind(&query)] += query.size_bytes();
        self.queries.insert(key.clone(), query);
    }

    /// Takes somebody out of a query, which ends with the last one.
    pub(super) fn part(&mut self, seat: &Seat, key: &Key) {
        let Some(query) = self.queries.get_mut(key) else {
            return;
        };
        query.members.remove(seat);
        if query.members.is_empty()
            && let Some(query) = self.queries.remove(key)
        {
            self.end(key, &query);
        }
    }

    fn end(&mut self, key: &Key, query: &Query) {
        let held = &mut self.held[kind(query)];
        *held = held.saturating_sub(query.size_bytes());
        self.unread.remove(key);
        let id = &query.meaning.bound.collection.id;
        if let Some(kept) = self.kept.get_mut(id)
            && query.is_kept()
        {
            kept.index.remove(key, &kept.only_if(query));
            if kept.index.is_empty() {
                self.kept.remove(id);
            }
        }
        for id in query.footprint.iter().flat_map(|ids| ids.iter()) {
            if let Some(keys) = self.readers.get_mut(id) {
                keys.remove(key);
                if keys.is_empty() {
                    self.readers.remove(id);
                }
            }
        }
    }

    /// It is known now what a query reads.
    pub(super) fn note_footprint(&mut self, key: &Key) {
        let Some(query) = self.queries.get(key).filter(|query| !query.is_kept()) else {
            return;
        };
        self.unread.remove(key);
        for id in query.footprint.iter().flat_map(|ids| ids.iter()) {
            self.readers
                .entry(id.clone())
                .or_default()
                .insert(key.clone());
        }
    }

    /// Notes a change for the queries that must be read again for it, and gives the kept ones that it may concern.
    pub(super) fn look_at(&mut self, collection: &CollectionId, change: &Change) -> Vec<Key> {
        let read = self.readers.get(collection).into_iter().flatten();
        for key in read.chain(&self.unread) {
            if let Some(query) = self.queries.get_mut(key) {
                query.newest = query.newest.max(change.position);
            }
        }
        let kept = self.kept.get(collection);
        kept.map(|kept| kept.concerned(change)).unwrap_or_default()
    }

    /// Whether there is more in memory than may be, for the kind of people that ask `query`.
    pub(super) fn is_full(&self, query: &Query) -> bool {
        // Those who came first may grow a little when there is no room for others.
        let grown = |max: usize| if query.is_told { max + max / 4 } else { max };
        self.held[0] + self.held[1] > grown(LIVE_MEMORY_BYTES_MAX)
            || (kind(query) == 0 && self.held[0] > grown(LIVE_MEMORY_BYTES_MAX / 2))
    }
}

/// Where the bytes of a query are counted: guests must not use up the room of others.
fn kind(query: &Query) -> usize {
    usize::from(query.meaning.call.actor.record().is_some())
}
