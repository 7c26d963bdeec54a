//! The hub: what connections may ask of it. `worker` delivers the present, `replayer` the past.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;

use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::channel::Channels;
use super::client::{ClientId, Ended, Outbox, Transport};
use super::comeback::{self, Comebacks};
use super::frame;
use super::judge::{self, Refusal};
use super::live::Live;
use super::relay::Relay;
use super::replayer::Replays;
use super::ring::Ring;
use super::roster::{Past, Roster};
use super::stats::{self, Stats};
use super::topic::Topic;
use super::worker::Window;
use crate::call::Actor;
use crate::kit::clock::Clock;
use crate::kit::json::{Json, JsonMap};
use crate::kit::limits::RELAY_ASKS_MAX;
use crate::ops::Settings;
use crate::ops::settings::Realtime;
use crate::store::{Cursor, Position, Store};

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
    /// One address holds as many connections as it may.
    #[error("Too many realtime connections from this address.")]
    Crowd,
    /// The database cannot be read.
    #[error("The realtime service is not available.")]
    Unreadable,
    /// The connection holds as many subscriptions as it may.
    #[error("Too many subscriptions.")]
    TooMany,
    /// The connection has no such subscription.
    #[error("Unknown subscription.")]
    UnknownSubscription,
    /// What was given as a cursor is none of ours.
    #[error("Invalid cursor.")]
    BadCursor,
    /// The topic cannot be subscribed to.
    #[error("{}", .0.message())]
    Refused(Refusal),
}

/// Realtime for all transports. Cheap to clone.
#[derive(Clone)]
pub struct Hub(pub(super) Arc<Inner>);

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    pub(super) stats: Stats,
    pub(super) channels: Channels,
    pub(super) ring: Ring,
    pub(super) replays: Replays,
    pub(super) live: Live,
    pub(super) comebacks: Comebacks,
    /// Whether anybody is connected. Locks are taken in this order: `listening`, `window`, `roster`.
    pub(super) listening: Mutex<bool>,
    pub(super) window: Mutex<Option<Window>>,
    pub(super) roster: Mutex<Roster>,
    /// The last position delivered; it moves only under the lock of `roster`.
    pub(super) seen: AtomicU64,
    /// Whether no connection is taken any more.
    pub(super) closed: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Told when the last connection has gone.
    pub(super) empty: Notify,
    /// Changes up to here were committed before anybody listened: the ring may hold some of them.
    pub(super) base: AtomicU64,
    /// The way to other servers of the database, where there can be any.
    pub(super) relay: Option<Relay>,
    /// The log that positions are of.
    pub(super) epoch: AtomicU64,
}

/// Somebody who connects.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// How.
    pub transport: Transport,
    /// From where.
    pub address: IpAddr,
    /// With what; an event stream is known by it when it comes back.
    pub user_agent: &'a str,
    /// A cursor: an event stream's topics are first told what came after it.
    pub since: Option<&'a str>,
}

/// An open connection; dropping it ends its subscriptions.
pub struct Connection {
    hub: Hub,
    pub(super) id: ClientId,
    outbox: Arc<Outbox>,
    /// Whether it has used channels.
    pub(super) seated: AtomicBool,
    pub(super) watched: Arc<AtomicBool>,
}

impl Connection {
    /// The connection's secret id.
    #[must_use]
    pub fn id(&self) -> &ClientId {
        &self.id
    }

    /// Whether others see it in a channel, and must be told within seconds when it is gone.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// The next frames, all that are ready; `Err` once the connection must end. Cancel-safe.
    ///
    /// # Errors
    /// The reason for the end.
    pub async fn next(&self) -> Result<Vec<Bytes>, Ended> {
        let mut frames = Vec::new();
        poll_fn(|context| self.poll_next(context, &mut frames)).await?;
        Ok(frames)
    }

    /// As [`Connection::next`], added to `into`. Wakes the last one who asked.
    pub fn poll_next(
        &self,
        context: &Context<'_>,
        into: &mut Vec<Bytes>,
    ) -> Poll<Result<(), Ended>> {
        let before = into.len();
        let awaited = ready!(self.outbox.poll_next(context, into))?;
        stats::add(&self.hub.0.stats.frames, into.len() - before);
        if awaited {
            self.hub.0.replays.resume(&self.id);
            if self.seated.load(Ordering::Relaxed) {
                self.hub.0.channels.drained(&self.id);
            }
            self.hub.0.live.drained(&self.id);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let inner = &self.hub.0;
        let mut listening = inner.listening.lock();
        let mut roster = inner.roster.lock();
        inner.remember(&roster, &self.id);
        roster.disconnect(&self.id);
        inner.channels.gone(&self.id);
        inner.replays.forget(&self.id);
        inner.live.gone(&self.id);
        if roster.len() == 0 {
            *listening = false;
            inner.ring.listen(false);
            inner.empty.notify_waiters();
        }
    }
}

impl Hub {
    /// Starts the hub on the changes of `store`.
    ///
    /// # Errors
    /// When its threads cannot be started.
    pub fn start(store: &Store, settings: Settings, clock: Clock) -> std::io::Result<Self> {
        let inner = Arc::new(Inner {
            store: store.clone(),
            channels: Channels::new(store, &settings, &clock),
            clock,
            settings,
            stats: Stats::default(),
            ring: Ring::default(),
            replays: Replays::default(),
            live: Live::default(),
            comebacks: Comebacks::default(),
            listening: Mutex::new(false),
            window: Mutex::default(),
            roster: Mutex::default(),
            seen: AtomicU64::new(0),
            base: AtomicU64::new(0),
            relay: Relay::of(store),
            epoch: AtomicU64::new(store.head().epoch),
            threads: Mutex::default(),
            empty: Notify::new(),
            closed: AtomicBool::new(false),
        });
        // The store outlives nothing here: the listener must not keep the hub alive, or neither would ever end.
        let listener = Arc::downgrade(&inner);
        store.on_commit(move |group| {
            if let Some(inner) = listener.upgrade() {
                inner.ring.push(group);
                inner.channels.note(group);
            }
        });
        let worker = Arc::clone(&inner);
        let present = std::thread::Builder::new()
            .name("realtime".to_owned())
            .spawn(move || worker.work())?;
        let replayer = Arc::clone(&inner);
        let past = std::thread::Builder::new()
            .name("realtime-past".to_owned())
            .spawn(move || replayer.replay())?;
        let channels = Arc::clone(&inner);
        let members = std::thread::Builder::new()
            .name("realtime-channels".to_owned())
            .spawn(move || channels.channels.work(&channels.stats))?;
        let mut threads = inner.start_live()?;
        threads.extend([present, past, members]);
        *inner.threads.lock() = threads;
        let hub = Self(inner);
        if hub.0.relay.is_some() {
            hub.start_relay()?;
        }
        Ok(hub)
    }

    /// Listens to other servers, on a thread of its own: what they ask takes reads.
    fn start_relay(&self) -> std::io::Result<()> {
        let (to, posts) = crossbeam_channel::bounded(RELAY_ASKS_MAX);
        let weak = Arc::downgrade(&self.0);
        self.0.store.on_post(move |post| {
            // Who asks waits for no more than a moment, and asks again.
            if weak.strong_count() > 0 && to.try_send(post.to_owned()).is_err() {
                tracing::warn!("realtime: too many posts of other servers");
            }
        });
        let weak = Arc::downgrade(&self.0);
        std::thread::Builder::new()
            .name("realtime-relay".to_owned())
            .spawn(move || Self::relay(&weak, &posts))
            .map(drop)
    }

    /// Opens a connection. Its first frame (`PB_CONNECT`, `hello`) is in the outbox.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Crowd`], [`Error::Unreadable`], [`Error::BadCursor`].
    pub fn connect(&self, arrival: &Arrival<'_>) -> Result<Connection, Error> {
        let inner = &self.0;
        let Arrival {
            transport, address, ..
        } = *arrival;
        let past = match arrival.since {
            Some(cursor) => Past::Since(inner.open(cursor)?),
            None => Past::Unknown,
        };
        let known_by = (comeback::likeness(&arrival.user_agent), past);
        let mut listening = inner.listening.lock();
        if inner.closed.load(Ordering::SeqCst) {
            return Err(Error::Unreadable);
        }
        if !*listening {
            inner.start_listening()?;
            *listening = true;
        }
        let mut roster = inner.roster.lock();
        let settings = inner.settings.current();
        admit(&mut roster, &settings.realtime, address)?;
        let holder = inner.relay.as_ref().map_or("", |relay| relay.name.as_str());
        let id = ClientId::fresh(holder);
        let outbox = Arc::new(Outbox::new(settings.realtime.backlog_max()));
        outbox.push(match transport {
            Transport::Sse => frame::sse_connect(id.as_str()),
            Transport::WebSocket => frame::ws_hello(id.as_str(), &inner.cursor()),
        });
        let now = inner.clock.now();
        let own = Arc::clone(&outbox);
        roster.connect(id.clone(), transport, address, now, known_by, own);
        Ok(Connection {
            hub: self.clone(),
            id,
            outbox,
            seated: AtomicBool::new(false),
            watched: Arc::default(),
        })
    }

    /// Signs a WebSocket connection in or out; `shown` is the record as its owner sees it.
    pub fn sign_in(&self, id: &ClientId, ask: &Json, actor: &Actor, shown: &[u8]) {
        let inner = &self.0;
        let catalog = inner.store.catalog();
        let mut roster = inner.roster.lock();
        // What is queued was judged for the old identity and was due to it: it goes out first, then the answer.
        inner.reply(&roster, id, frame::ws_ok_record(ask, shown));
        let now = inner.proven(actor);
        if now.record().is_none() && actor.record().is_some() {
            inner.reply(&roster, id, frame::ws_signed_out());
        }
        inner.channels.follow(id, &now);
        roster.set_actor(&catalog, id, now);
        inner.end_forbidden(&mut roster, id);
        inner.live.changed(id);
    }

    /// Adds a subscription of a WebSocket connection; no event of it precedes the answer. With `since`, what came
    /// after that cursor is told first.
    ///
    /// # Errors
    /// [`Error::TooMany`], [`Error::BadCursor`], [`Error::Refused`].
    pub fn subscribe(
        &self,
        id: &ClientId,
        ask: &Json,
        topic: Topic,
        since: Option<&str>,
    ) -> Result<(), Error> {
        let inner = &self.0;
        let catalog = inner.store.catalog();
        let past = since.map(|text| inner.open(text)).transpose()?;
        let mut roster = inner.roster.lock();
        let client = roster.client(id).ok_or(Error::UnknownClient)?;
        if client.subs.len() + inner.channels.joined(id)
            >= inner.settings.current().realtime.subscriptions_max()
        {
            return Err(Error::TooMany);
        }
        judge::may_subscribe(&catalog, &topic, &client.actor).map_err(Error::Refused)?;
        let replay = past.flatten().map(|safe| inner.replays.reserve(safe));
        let sub = roster
            .subscribe(&catalog, id, Some(topic), replay)
            .ok_or(Error::UnknownClient)?;
        let cursor = since.map_or_else(|| inner.cursor(), CompactString::from);
        let more = members([
            ("sub", Json::from(sub.as_str())),
            ("cursor", Json::from(cursor.as_str())),
        ]);
        inner.reply(&roster, id, frame::ws_ok(ask, more));
        match (replay, past) {
            (Some(replay), _) => inner.replays.add(id, sub, replay),
            (None, Some(_)) => inner.reply(&roster, id, frame::ws_reset(&sub, &inner.cursor())),
            (None, None) => {}
        }
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
        self.0.live.closed(id, sub);
        self.0.reply(&roster, id, frame::ws_ok(ask, JsonMap::new()));
        Ok(())
    }

    /// Answers a `ping` with the time and the cursor of the whole connection.
    pub fn ping(&self, id: &ClientId, ask: &Json) {
        let roster = self.0.roster.lock();
        let time = Json::from(self.0.clock.now().to_text().as_str());
        let behind = roster.client(id).and_then(|client| {
            let replays = client.subs.iter().filter_map(|sub| sub.replay);
            replays.map(|replay| replay.safe).min()
        });
        let cursor = behind.map_or_else(|| self.0.cursor(), |safe| self.0.seal(safe));
        let more = members([("time", time), ("cursor", Json::from(cursor.as_str()))]);
        self.0.reply(&roster, id, frame::ws_ok(ask, more));
    }

    /// Puts a ready-made answer into a connection's queue, in order with everything else.
    pub fn answer(&self, id: &ClientId, frame: Bytes) {
        let roster = self.0.roster.lock();
        self.0.reply(&roster, id, frame);
    }

    /// Whether a text is a cursor of this server, however old.
    #[must_use]
    pub fn is_cursor(&self, text: &str) -> bool {
        self.0.store.cursors().open(text).is_some()
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

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.roster.lock().len()
    }

    /// Waits until no connection is open.
    pub async fn emptied(&self) {
        loop {
            let empty = self.0.empty.notified();
            tokio::pin!(empty);
            empty.as_mut().enable();
            if self.connections() == 0 {
                return;
            }
            empty.await;
        }
    }

    /// Shuts down, and waits until nothing of the hub holds the database any more. Blocks.
    pub fn close(&self) {
        self.shutdown();
        let threads: Vec<_> = self.0.threads.lock().drain(..).collect();
        for thread in threads {
            // A panic was caught and told where it happened.
            drop(thread.join());
        }
        *self.0.window.lock() = None;
    }

    /// Ends every connection, now and later, and lets the hub's threads end.
    pub fn shutdown(&self) {
        let _connecting = self.0.listening.lock();
        self.0.closed.store(true, Ordering::SeqCst);
        for (_, client) in self.0.roster.lock().clients() {
            client.outbox.end(Ended::Shutdown);
        }
        self.0.ring.close();
        self.0.replays.close();
        self.0.channels.close();
        self.0.live.close();
    }
}

impl Inner {
    /// The place that a client's cursor names; none when that past is not known any more.
    fn open(&self, cursor: &str) -> Result<Option<Position>, Error> {
        let cursor = self.store.cursors().open(cursor).ok_or(Error::BadCursor)?;
        let head = self.store.head();
        Ok(
            (cursor.epoch == head.epoch && cursor.position <= head.position)
                .then_some(cursor.position),
        )
    }

    pub(super) fn reply(&self, roster: &Roster, id: &ClientId, frame: Bytes) {
        if let Some(client) = roster.client(id) {
            client.outbox.push(frame);
        }
    }

    /// The cursor of the present.
    pub(super) fn cursor(&self) -> CompactString {
        self.seal(self.seen())
    }

    pub(super) fn seen(&self) -> Position {
        Position(self.seen.load(Ordering::SeqCst))
    }

    pub(super) fn seal(&self, position: Position) -> CompactString {
        let epoch = self.store.head().epoch;
        self.store.cursors().seal(Cursor { epoch, position }).into()
    }
}

/// Whether one more connection from `address` has a place; a guest makes room where all are taken, so that guests never
/// use up the places of people (security S12).
fn admit(roster: &mut Roster, limits: &Realtime, address: IpAddr) -> Result<(), Error> {
    const LEAVING_MAX: usize = 1_000;
    // Behind a proxy on the same machine everybody comes from there.
    if let Some(most) = limits.connections_per_address_max()
        && !address.to_canonical().is_loopback()
        && roster.connections_from(address) >= most
    {
        return Err(Error::Crowd);
    }
    if roster.len() < limits.connections_max() {
        return Ok(());
    }
    if roster.leaving() < LEAVING_MAX && roster.make_room() {
        return Ok(());
    }
    Err(Error::Full)
}

fn members<const N: usize>(pairs: [(&str, Json); N]) -> JsonMap {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
