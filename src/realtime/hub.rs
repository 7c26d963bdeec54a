//! The hub: one thread that takes what was committed, in order, and gives each connection what it may see.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::Mutex;

use super::client::{ClientId, Ended, Outbox, Transport};
use super::deliver::{self, Scene};
use super::frame;
use super::judge::{self, Refusal};
use super::ring::{Ring, Taken};
use super::roster::Roster;
use super::topic::Topic;
use crate::call::Actor;
use crate::kit::clock::Clock;
use crate::kit::json::{Json, JsonMap};
use crate::kit::limits::{REALTIME_CONNECTIONS_MAX, SUBSCRIPTIONS_MAX};
use crate::store::{Change, ChangeKind, Cursor, Position, Snapshot, Store, StoreError};

/// How long the hub sleeps at most: the delay until a token that ran out is noticed on a quiet connection.
const TICK: Duration = Duration::from_secs(1);

/// Why a request about a connection was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection of that id.
    #[error("Missing or invalid client id.")]
    UnknownClient,
    /// The caller is not at the address that connected.
    #[error("Invalid realtime client.")]
    OtherAddress,
    /// The connection is signed in as somebody else.
    #[error("The current and the previous request authorization don't match.")]
    OtherIdentity,
    /// The server holds as many connections as it may.
    #[error("Too many realtime connections.")]
    Full,
    /// The database cannot be read.
    #[error("The realtime service is not available.")]
    Unreadable,
    /// The connection holds as many subscriptions as it may.
    #[error("Too many subscriptions.")]
    TooMany,
    /// The connection has no such subscription.
    #[error("Unknown subscription.")]
    UnknownSubscription,
    /// The topic cannot be subscribed to.
    #[error("{}", .0.message())]
    Refused(Refusal),
}

/// Realtime for all transports. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

struct Inner {
    store: Store,
    clock: Clock,
    ring: Ring,
    /// Whether anybody is connected. Locks are taken in this order: `listening`, `window`, `roster`.
    listening: Mutex<bool>,
    window: Mutex<Option<Window>>,
    roster: Mutex<Roster>,
    /// The last position delivered.
    seen: AtomicU64,
}

/// An open connection; dropping it ends its subscriptions.
pub struct Connection {
    hub: Hub,
    id: ClientId,
    outbox: Arc<Outbox>,
}

impl Connection {
    /// The connection's secret id.
    #[must_use]
    pub fn id(&self) -> &ClientId {
        &self.id
    }

    /// The next frames; see [`Outbox::next`].
    ///
    /// # Errors
    /// The reason for the end.
    pub async fn next(&self) -> Result<Vec<Bytes>, Ended> {
        self.outbox.next().await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let inner = &self.hub.0;
        let mut listening = inner.listening.lock();
        let mut roster = inner.roster.lock();
        roster.disconnect(&self.id);
        if roster.len() == 0 {
            *listening = false;
            inner.ring.listen(false);
        }
    }
}

impl Hub {
    /// Starts the hub on the changes of `store`.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn start(store: Store, clock: Clock) -> std::io::Result<Self> {
        let inner = Arc::new(Inner {
            store: store.clone(),
            clock,
            ring: Ring::default(),
            listening: Mutex::new(false),
            window: Mutex::default(),
            roster: Mutex::default(),
            seen: AtomicU64::new(0),
        });
        // The store outlives nothing here: the listener must not keep the hub alive, or neither would ever end.
        let listener = Arc::downgrade(&inner);
        store.on_commit(move |group| {
            if let Some(inner) = listener.upgrade() {
                inner.ring.push(group);
            }
        });
        let worker = Arc::clone(&inner);
        std::thread::Builder::new()
            .name("realtime".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self(inner))
    }

    /// Opens a connection. Its first frame (`PB_CONNECT`, `hello`) is in the outbox.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Unreadable`].
    pub fn connect(&self, transport: Transport, address: IpAddr) -> Result<Connection, Error> {
        let inner = &self.0;
        let mut listening = inner.listening.lock();
        if !*listening {
            inner.start_listening()?;
            *listening = true;
        }
        let mut roster = inner.roster.lock();
        if roster.len() >= REALTIME_CONNECTIONS_MAX {
            return Err(Error::Full);
        }
        let id = ClientId::fresh();
        let outbox = Arc::new(Outbox::default());
        outbox.push(match transport {
            Transport::Sse => frame::sse_connect(id.as_str()),
            Transport::WebSocket => frame::ws_hello(id.as_str(), &inner.cursor()),
        });
        roster.connect(id.clone(), transport, address, Arc::clone(&outbox));
        Ok(Connection {
            hub: self.clone(),
            id,
            outbox,
        })
    }

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
        roster.clear_subs(id);
        roster.set_actor(&catalog, id, actor.clone());
        for text in topics {
            // A line break would let the subscriber write lines of its own into its stream.
            if !text.is_empty() && !text.contains(['\n', '\r']) {
                roster.subscribe(&catalog, id, Topic::parse(text));
            }
        }
        Ok(())
    }

    /// Signs a WebSocket connection in or out; `shown` is the record as its owner sees it.
    pub fn sign_in(&self, id: &ClientId, ask: &Json, actor: Actor, shown: &[u8]) {
        let inner = &self.0;
        let catalog = inner.store.catalog();
        let mut roster = inner.roster.lock();
        // What is queued was judged for the old identity and was due to it: it goes out first, then the answer.
        roster.set_actor(&catalog, id, actor);
        inner.reply(&roster, id, frame::ws_ok_record(ask, shown));
        inner.end_forbidden(&mut roster, id);
    }

    /// Adds a subscription of a WebSocket connection; no event of it precedes the answer.
    ///
    /// # Errors
    /// [`Error::TooMany`], [`Error::Refused`].
    pub fn subscribe(&self, id: &ClientId, ask: &Json, topic: Topic) -> Result<(), Error> {
        let inner = &self.0;
        let catalog = inner.store.catalog();
        let mut roster = inner.roster.lock();
        let client = roster.client(id).ok_or(Error::UnknownClient)?;
        if client.subs.len() >= SUBSCRIPTIONS_MAX {
            return Err(Error::TooMany);
        }
        judge::may_subscribe(&catalog, &topic, &client.actor).map_err(Error::Refused)?;
        let sub = roster
            .subscribe(&catalog, id, Some(topic))
            .ok_or(Error::UnknownClient)?;
        let more = members([
            ("sub", Json::from(sub.as_str())),
            ("cursor", Json::from(inner.cursor().as_str())),
        ]);
        inner.reply(&roster, id, frame::ws_ok(ask, more));
        Ok(())
    }

    /// Ends a subscription of a WebSocket connection.
    ///
    /// # Errors
    /// [`Error::UnknownSubscription`].
    pub fn unsubscribe(&self, id: &ClientId, ask: &Json, sub: &str) -> Result<(), Error> {
        let mut roster = self.0.roster.lock();
        if !roster.unsubscribe(id, sub) {
            return Err(Error::UnknownSubscription);
        }
        self.0.reply(&roster, id, frame::ws_ok(ask, JsonMap::new()));
        Ok(())
    }

    /// Answers a `ping` with the time and the cursor of the whole connection.
    pub fn ping(&self, id: &ClientId, ask: &Json) {
        let roster = self.0.roster.lock();
        let time = Json::from(self.0.clock.now().to_text().as_str());
        let more = members([
            ("time", time),
            ("cursor", Json::from(self.0.cursor().as_str())),
        ]);
        self.0.reply(&roster, id, frame::ws_ok(ask, more));
    }

    /// Puts a ready-made answer into a connection's queue, in order with everything else.
    pub fn answer(&self, id: &ClientId, frame: Bytes) {
        let roster = self.0.roster.lock();
        self.0.reply(&roster, id, frame);
    }

    /// The present identity of a connection.
    #[must_use]
    pub fn actor(&self, id: &ClientId) -> Actor {
        self.0
            .roster
            .lock()
            .client(id)
            .map(|client| client.actor.clone())
            .unwrap_or_default()
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.roster.lock().len()
    }

    /// Ends every connection and the hub's thread.
    pub fn shutdown(&self) {
        for (_, client) in self.0.roster.lock().clients() {
            client.outbox.end(Ended::Shutdown);
        }
        self.0.ring.close();
    }
}

impl Inner {
    fn run(&self) {
        let mut pending = VecDeque::new();
        loop {
            match self.ring.take(TICK) {
                Taken::Closed => return,
                Taken::Quiet => {
                    self.rest();
                    self.expire();
                }
                Taken::Lost => self.give_up(&mut pending),
                Taken::Changes(changes) => {
                    pending.extend(changes);
                    if let Err(error) = self.deliver(&mut pending) {
                        tracing::error!(%error, "realtime: changes cannot be read; connections are ended");
                        self.give_up(&mut pending);
                    }
                    self.expire();
                }
            }
        }
    }

    /// From now on the ring fills; everything committed before is in both snapshots.
    fn start_listening(&self) -> Result<(), Error> {
        let mut window = self.window.lock();
        self.ring.listen(true);
        let seen = Window::fresh(&mut window, &self.store).map_err(|error| {
            tracing::error!(%error, "realtime: no snapshot of the database");
            self.ring.listen(false);
            Error::Unreadable
        })?;
        self.seen.store(seen.0, Ordering::SeqCst);
        Ok(())
    }

    /// Without connections no snapshot is held, or the write-ahead log could never be emptied.
    fn rest(&self) {
        let listening = self.listening.lock();
        if !*listening {
            *self.window.lock() = None;
        }
    }

    /// Order cannot be kept any more: every connection ends, and its client starts anew from the database.
    fn give_up(&self, pending: &mut VecDeque<Change>) {
        pending.clear();
        let mut window = self.window.lock();
        *window = None;
        if let Ok(seen) = Window::fresh(&mut window, &self.store) {
            self.seen.store(seen.0, Ordering::SeqCst);
        }
        drop(window);
        for (_, client) in self.roster.lock().clients() {
            client.outbox.end(Ended::TooSlow);
        }
    }

    /// Delivers what is pending up to a snapshot taken now; what came after it waits for the next one.
    fn deliver(&self, pending: &mut VecDeque<Change>) -> Result<(), StoreError> {
        let mut window = self.window.lock();
        let Some(window) = window.as_mut() else {
            pending.clear();
            return Ok(());
        };
        let upto = window.after.refresh()?;
        while pending.back().is_none_or(|last| last.position < upto) {
            match self.ring.take(TICK) {
                Taken::Changes(more) => pending.extend(more),
                Taken::Quiet => break,
                Taken::Lost | Taken::Closed => return Err(StoreError::Closed),
            }
        }
        let catalog = self.store.catalog();
        while let Some(change) = pending.front() {
            if change.position > upto {
                break;
            }
            let Some(change) = pending.pop_front() else {
                break;
            };
            if change.position.0 <= self.seen.load(Ordering::SeqCst) {
                continue;
            }
            let before = window.before.tx();
            let after = window.after.tx();
            let scene = Scene {
                catalog: &catalog,
                before: &before,
                after: &after,
                now: self.clock.now(),
            };
            self.deliver_one(&scene, &change);
        }
        std::mem::swap(&mut window.before, &mut window.after);
        Ok(())
    }

    fn deliver_one(&self, scene: &Scene<'_>, change: &Change) {
        let mut roster = self.roster.lock();
        // Identities first: whoever loses one by this change must not be judged by the old one.
        match &change.kind {
            ChangeKind::Schema => self.follow_schema(&mut roster, scene),
            ChangeKind::Update { after, .. } if after.collection().is_auth() => {
                self.follow_person(&mut roster, scene, change);
            }
            ChangeKind::Delete { before } if before.collection().is_auth() => {
                self.follow_person(&mut roster, scene, change);
            }
            ChangeKind::Create { .. }
            | ChangeKind::Update { .. }
            | ChangeKind::Delete { .. }
            | ChangeKind::Touched { .. } => {}
        }
        let position = change.position;
        let cursor = || self.seal(position);
        deliver::change(&roster, scene, change, &cursor);
        self.seen.store(position.0, Ordering::SeqCst);
    }

    /// An auth record changed: connections of it get the new copy, or become guests when its tokens died.
    fn follow_person(&self, roster: &mut Roster, scene: &Scene<'_>, change: &Change) {
        let (before, after) = match &change.kind {
            ChangeKind::Update { before, after } => (before, Some(after)),
            ChangeKind::Delete { before } => (before, None),
            ChangeKind::Create { .. } | ChangeKind::Schema | ChangeKind::Touched { .. } => return,
        };
        for id in roster.signed_in_as(&before.collection().id, before.id()) {
            let Some(Actor::Auth(identity)) = roster.client(&id).map(|c| c.actor.clone()) else {
                continue;
            };
            match after {
                Some(after) if after.text("tokenKey") == before.text("tokenKey") => {
                    let mut newer = (*identity).clone();
                    newer.record = (**after).clone();
                    roster.set_actor(scene.catalog, &id, Actor::Auth(Arc::new(newer)));
                }
                Some(_) | None => self.sign_out(roster, &id),
            }
        }
    }

    /// Collections changed: whoever signed in to one whose secret changed, or that is gone, becomes a guest.
    fn follow_schema(&self, roster: &mut Roster, scene: &Scene<'_>) {
        let secret = |collection: &crate::schema::Collection| {
            collection.auth().map(|auth| auth.auth_token.secret.clone())
        };
        let dead: Vec<ClientId> = roster
            .clients()
            .filter(|(_, client)| {
                client.actor.record().is_some_and(|record| {
                    let now = scene
                        .catalog
                        .by_id(&record.collection().id)
                        .and_then(|c| secret(c));
                    now.is_none() || now != secret(record.collection())
                })
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in dead {
            self.sign_out(roster, &id);
        }
        roster.regroup_all(scene.catalog);
        let sockets: Vec<ClientId> = roster
            .clients()
            .filter(|(_, client)| client.transport == Transport::WebSocket)
            .map(|(id, _)| id.clone())
            .collect();
        for id in sockets {
            self.end_forbidden(roster, &id);
        }
    }

    /// Tokens that ran out end now, not at the next request.
    fn expire(&self) {
        let now = self.clock.now();
        let mut roster = self.roster.lock();
        let expired: Vec<ClientId> = roster
            .clients()
            .filter(|(_, client)| match &client.actor {
                Actor::Guest => false,
                Actor::Auth(identity) => identity.expires.is_some_and(|expires| expires <= now),
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in expired {
            self.sign_out(&mut roster, &id);
        }
    }

    fn sign_out(&self, roster: &mut Roster, id: &ClientId) {
        let Some(client) = roster.client(id) else {
            return;
        };
        let (transport, outbox) = (client.transport, Arc::clone(&client.outbox));
        // Events queued for the ended identity must not go out (security S05).
        outbox.forget();
        roster.set_actor(&self.store.catalog(), id, Actor::Guest);
        if transport == Transport::WebSocket {
            outbox.push(frame::ws_signed_out());
            self.end_forbidden(roster, id);
        }
    }

    /// Ends the subscriptions that a WebSocket connection may not have any more, and says so for each.
    fn end_forbidden(&self, roster: &mut Roster, id: &ClientId) {
        let catalog = self.store.catalog();
        let Some(client) = roster.client(id) else {
            return;
        };
        let outbox = Arc::clone(&client.outbox);
        let forbidden: Vec<(CompactString, Refusal)> = client
            .subs
            .iter()
            .filter_map(|sub| {
                let topic = sub.topic.as_ref()?;
                let refusal = judge::may_subscribe(&catalog, topic, &client.actor).err()?;
                Some((sub.id.clone(), refusal))
            })
            .collect();
        for (sub, refusal) in forbidden {
            roster.unsubscribe(id, &sub);
            outbox.push(frame::ws_sub_ended(
                &sub,
                refusal.status(),
                refusal.message(),
            ));
        }
    }

    fn reply(&self, roster: &Roster, id: &ClientId, frame: Bytes) {
        if let Some(client) = roster.client(id) {
            client.outbox.push(frame);
        }
    }

    fn cursor(&self) -> CompactString {
        self.seal(Position(self.seen.load(Ordering::SeqCst)))
    }

    fn seal(&self, position: Position) -> CompactString {
        let epoch = self.store.head().epoch;
        self.store.cursors().seal(Cursor { epoch, position }).into()
    }
}

/// Two snapshots of the database: before and after the changes that are being delivered.
struct Window {
    before: Snapshot,
    after: Snapshot,
}

impl Window {
    /// Makes both snapshots show the present, and tells its position.
    fn fresh(window: &mut Option<Self>, store: &Store) -> Result<Position, StoreError> {
        let mut both = match window.take() {
            Some(both) => both,
            None => Self {
                before: store.snapshot()?,
                after: store.snapshot()?,
            },
        };
        let seen = both.before.refresh()?;
        *window = Some(both);
        Ok(seen)
    }
}

fn same_person(a: &Actor, b: &Actor) -> bool {
    match (a.record(), b.record()) {
        (Some(a), Some(b)) => a.collection().id == b.collection().id && a.id() == b.id(),
        _ => false,
    }
}

fn members<const N: usize>(pairs: [(&str, Json); N]) -> JsonMap {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
