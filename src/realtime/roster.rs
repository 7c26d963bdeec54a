//! Who is connected, as whom, and subscribed to what. Subscribers that must be judged alike and see alike form one
//! group, so that a change is judged and written once for each group.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use compact_str::CompactString;

use super::client::{ClientId, Ended, Outbox, Transport};
use super::groups::{Group, GroupKey, Groups, Member};
use super::topic::Topic;
use crate::call::Actor;
use crate::expr::Catalog;
use crate::kit::address::network_of;
use crate::kit::time::Timestamp;
use crate::realtime::judge;
use crate::schema::{Collection, CollectionId, Record, RecordId};
use crate::store::Position;

/// Where a topic is looked up when a record changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TopicKey {
    pub(super) collection: CompactString,
    pub(super) record: Option<CompactString>,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) transport: Transport,
    pub(super) address: IpAddr,
    pub(super) since: Timestamp,
    /// Its user agent, as a number.
    pub(super) agent: u64,
    /// What its next topics are to be told of the past.
    pub(super) past: Past,
    /// Grows with each connection.
    number: u64,
    /// It was told to go.
    leaving: bool,
    pub(super) actor: Actor,
    pub(super) outbox: Arc<Outbox>,
    pub(super) subs: Vec<Sub>,
    /// Counts changes of what verdicts depend on: what was judged under another count is stale.
    pub(super) generation: u64,
    next_sub: u64,
}

/// What an event stream is told of the past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Past {
    /// What it missed, should its predecessor be remembered.
    #[default]
    Unknown,
    /// What came after a cursor that it brought; nothing where that past is gone.
    Since(Option<Position>),
    /// It brought a cursor, and has been told.
    Told,
    /// It has been told what a predecessor missed.
    CaughtUp,
    /// It has no predecessor.
    Settled,
    /// Some of it is gone: the stream ends, and is not remembered.
    Lost,
}

/// One subscription. `topic` is `None` for texts that are no topic of records.
#[derive(Clone, Debug)]
pub(super) struct Sub {
    pub(super) id: CompactString,
    pub(super) topic: Option<Arc<Topic>>,
    /// Set while it hears of the past instead of the present.
    pub(super) replay: Option<Replaying>,
    from: Position,
    group: Option<GroupKey>,
}

/// A subscription that reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replaying {
    /// Which cohort it belongs to; an older one has no say any more.
    pub(super) cohort: u64,
    /// Where a client that goes away now could resume.
    pub(super) safe: Position,
}

#[derive(Debug, Default)]
pub(super) struct Roster {
    clients: HashMap<ClientId, Client>,
    topics: HashMap<TopicKey, Groups>,
    people: HashMap<(CollectionId, RecordId), HashSet<ClientId>>,
    /// Open connections by network.
    networks: HashMap<IpAddr, usize>,
    /// Connections so far.
    number: u64,
    /// No token ends before this.
    first_expiry: Option<Timestamp>,
}

impl Roster {
    pub(super) fn connect(
        &mut self,
        id: ClientId,
        transport: Transport,
        address: IpAddr,
        since: Timestamp,
        (agent, past): (u64, Past),
        outbox: Arc<Outbox>,
    ) {
        *self.networks.entry(network_of(address)).or_default() += 1;
        self.number += 1;
        let client = Client {
            transport,
            address,
            since,
            agent,
            past,
            number: self.number,
            leaving: false,
            actor: Actor::Guest,
            outbox,
            subs: Vec::new(),
            generation: 0,
            next_sub: 1,
        };
        self.clients.insert(id, client);
    }

    pub(super) fn disconnect(&mut self, id: &ClientId) {
        self.clear_subs(id);
        if let Some(client) = self.clients.remove(id) {
            self.forget_person(id, &client.actor);
            let network = network_of(client.address);
            if let Some(count) = self.networks.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    self.networks.remove(&network);
                }
            }
        }
    }

    /// Open connections from where `address` is.
    pub(super) fn connections_from(&self, address: IpAddr) -> usize {
        self.networks
            .get(&network_of(address))
            .copied()
            .unwrap_or_default()
    }

    /// Ends the guest's connection that has been open longest; `false` when there is none.
    pub(super) fn make_room(&mut self) -> bool {
        let guests = self
            .clients
            .values_mut()
            .filter(|client| !client.leaving && client.actor.record().is_none());
        let Some(oldest) = guests.min_by_key(|client| client.number) else {
            return false;
        };
        oldest.leaving = true;
        oldest.outbox.end(Ended::Crowded);
        true
    }

    /// Connections that were told to go and have not gone yet.
    pub(super) fn leaving(&self) -> usize {
        self.clients
            .values()
            .filter(|client| client.leaving)
            .count()
    }

    /// Groups of subscribers that are judged as one.
    pub(super) fn group_count(&self) -> usize {
        self.topics.values().map(Groups::len).sum()
    }

    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn client(&self, id: &ClientId) -> Option<&Client> {
        self.clients.get(id)
    }

    pub(super) fn clients(&self) -> impl Iterator<Item = (&ClientId, &Client)> {
        self.clients.iter()
    }

    /// No token ends before this; none ends at all where there is none.
    pub(super) fn first_expiry(&self) -> Option<Timestamp> {
        self.first_expiry
    }

    /// Looks at every token again.
    pub(super) fn find_first_expiry(&mut self) {
        self.first_expiry = self.clients.values().filter_map(|c| expiry(&c.actor)).min();
    }

    /// The connections signed in as a record.
    pub(super) fn signed_in_as(&self, collection: &CollectionId, record: &str) -> Vec<ClientId> {
        let key = (collection.clone(), RecordId::new(record));
        self.people
            .get(&key)
            .map(|ids| ids.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// The groups for whom a change of the record `id` of `collection` can matter.
    pub(super) fn concerned(
        &self,
        collection: &Arc<Collection>,
        id: &str,
        before: Option<&Record>,
        after: Option<&Record>,
    ) -> Vec<&Group> {
        let key = |collection: &str, record: Option<&str>| TopicKey {
            collection: collection.into(),
            record: record.map(CompactString::from),
        };
        let own = collection.id.as_str();
        let keys = [
            key(&collection.name, None),
            key(own, None),
            key(&collection.name, Some(id)),
            key(own, Some(id)),
        ];
        keys.iter()
            .filter_map(|key| self.topics.get(key))
            .flat_map(|groups| groups.concerned(collection, before, after))
            .collect()
    }

    /// Adds a subscription and gives its id.
    pub(super) fn subscribe(
        &mut self,
        catalog: &Arc<Catalog>,
        id: &ClientId,
        topic: Option<Topic>,
        replay: Option<Replaying>,
    ) -> Option<CompactString> {
        let client = self.clients.get_mut(id)?;
        let sub = Sub {
            id: compact_str::format_compact!("{}", client.next_sub),
            topic: topic.map(Arc::new),
            replay,
            from: Position::default(),
            group: None,
        };
        client.next_sub += 1;
        client.outbox.add_behind(usize::from(replay.is_some()));
        let name = sub.id.clone();
        client.subs.push(sub);
        self.join(catalog, id, &name);
        Some(name)
    }

    /// Takes a subscription out of the present: it will hear what came after its place from the log.
    pub(super) fn park(&mut self, id: &ClientId, sub: &str, replay: Replaying) {
        self.leave(id, sub);
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if let Some(sub) = client.subs.iter_mut().find(|known| known.id == sub)
            && sub.replay.replace(replay).is_none()
        {
            client.outbox.add_behind(1);
        }
    }

    /// Notes what an event stream has been told of the past.
    pub(super) fn set_past(&mut self, id: &ClientId, past: Past) {
        if let Some(client) = self.clients.get_mut(id) {
            client.past = past;
        }
    }

    /// Notes how far a replaying subscription has come.
    pub(super) fn advance(&mut self, id: &ClientId, sub: &str, safe: Position) {
        if let Some(Sub {
            replay: Some(replay),
            ..
        }) = self.sub_mut(id, sub)
        {
            replay.safe = safe;
        }
    }

    /// Brings a subscription back to the present: it hears of changes after `from`.
    pub(super) fn go_live(
        &mut self,
        catalog: &Arc<Catalog>,
        id: &ClientId,
        sub: &str,
        from: Position,
    ) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if let Some(found) = client.subs.iter_mut().find(|known| known.id == sub) {
            if found.replay.take().is_some() {
                client.outbox.take_behind(1);
            }
            found.from = from;
            self.join(catalog, id, sub);
        }
    }

    fn sub_mut(&mut self, id: &ClientId, sub: &str) -> Option<&mut Sub> {
        let client = self.clients.get_mut(id)?;
        client.subs.iter_mut().find(|s| s.id == sub)
    }

    /// Removes a subscription; `false` when there is none of that id.
    pub(super) fn unsubscribe(&mut self, id: &ClientId, sub: &str) -> bool {
        self.leave(id, sub);
        let Some(client) = self.clients.get_mut(id) else {
            return false;
        };
        let Some(at) = client.subs.iter().position(|known| known.id == sub) else {
            return false;
        };
        let gone = client.subs.remove(at);
        client
            .outbox
            .take_behind(usize::from(gone.replay.is_some()));
        true
    }

    pub(super) fn clear_subs(&mut self, id: &ClientId) {
        let subs: Vec<_> = self
            .clients
            .get(id)
            .map(|c| c.subs.iter().map(|s| s.id.clone()).collect())
            .unwrap_or_default();
        for sub in subs {
            self.unsubscribe(id, &sub);
        }
    }

    /// Gives a connection another identity, or a newer copy of the same one; its subscriptions move to the groups of it.
    pub(super) fn set_actor(&mut self, catalog: &Arc<Catalog>, id: &ClientId, actor: Actor) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        self.first_expiry = [self.first_expiry, expiry(&actor)]
            .into_iter()
            .flatten()
            .min();
        let person = actor
            .record()
            .map(|record| (record.collection().id.clone(), RecordId::new(record.id())));
        let old = std::mem::replace(&mut client.actor, actor);
        self.forget_person(id, &old);
        if let Some(person) = person {
            self.people.entry(person).or_default().insert(id.clone());
        }
        self.regroup(catalog, id);
    }

    /// Rules or fields changed: everybody is grouped anew.
    pub(super) fn regroup_all(&mut self, catalog: &Arc<Catalog>) {
        let ids: Vec<_> = self.clients.keys().cloned().collect();
        for id in ids {
            self.regroup(catalog, &id);
        }
    }

    fn regroup(&mut self, catalog: &Arc<Catalog>, id: &ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        client.generation += 1;
        let subs: Vec<_> = client.subs.iter().map(|s| s.id.clone()).collect();
        for sub in subs {
            self.leave(id, &sub);
            self.join(catalog, id, &sub);
        }
    }

    fn join(&mut self, catalog: &Arc<Catalog>, id: &ClientId, sub: &str) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let (actor, transport, outbox) = (
            client.actor.clone(),
            client.transport,
            client.outbox.clone(),
        );
        let Some(sub) = client.subs.iter_mut().find(|s| s.id == sub) else {
            return;
        };
        let (Some(topic), None) = (sub.topic.clone(), sub.replay) else {
            return;
        };
        let from = sub.from;
        let (class, kept) = judge::keep(catalog, &topic, &actor);
        let key = GroupKey {
            text: topic.text.clone(),
            class,
        };
        sub.group = Some(key.clone());
        let seat = (id.clone(), sub.id.clone());
        let member = Member {
            outbox,
            transport,
            from,
        };
        let groups = self.topics.entry(key_of(&topic)).or_default();
        groups.join(key, seat, member, || Group {
            topic,
            actor,
            kept,
            members: HashMap::new(),
        });
    }

    fn leave(&mut self, id: &ClientId, sub: &str) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let Some(sub) = client.subs.iter_mut().find(|s| s.id == sub) else {
            return;
        };
        let (Some(topic), Some(group_key)) = (&sub.topic, sub.group.take()) else {
            return;
        };
        let key = key_of(topic);
        let Some(groups) = self.topics.get_mut(&key) else {
            return;
        };
        groups.leave(&group_key, &(id.clone(), sub.id.clone()));
        if groups.is_empty() {
            self.topics.remove(&key);
        }
    }

    fn forget_person(&mut self, id: &ClientId, actor: &Actor) {
        let Some(record) = actor.record() else {
            return;
        };
        let key = (record.collection().id.clone(), RecordId::new(record.id()));
        if let Some(ids) = self.people.get_mut(&key) {
            ids.remove(id);
            if ids.is_empty() {
                self.people.remove(&key);
            }
        }
    }
}

fn expiry(actor: &Actor) -> Option<Timestamp> {
    match actor {
        Actor::Guest => None,
        Actor::Auth(identity) => identity.expires,
    }
}

fn key_of(topic: &Topic) -> TopicKey {
    TopicKey {
        collection: topic.collection.clone(),
        record: topic.record.clone(),
    }
}
