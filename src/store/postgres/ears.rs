//! What this node hears of the others, on the one connection that must be the database's own and not a pooler's: that
//! they wrote, so that the log is read at once, and what they post to each other. The same connection holds the lock by
//! which nodes that keep files in their own directory stay alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::address::Address;
use super::common::Common;
use super::looks::Looks;
use super::session::{Notice, Session};
use crate::kit::limits;
use crate::store::StoreError;
use crate::store::engine::Storage;

/// Where nodes say that they wrote.
pub(super) const CHANGES: &str = "burrow_changes";
/// Where they post.
pub(super) const POSTS: &str = "burrow_posts";
/// What a node says to hear itself.
const HELLO: &str = "?";
/// The lock of servers: shared by those whose files all of them reach, else of one alone.
pub(super) const SERVING: i64 = 0x4275_7272_6f77_0003;
/// How often this node looks for what others wrote when nobody tells it.
const LOOK: Duration = Duration::from_millis(limits::DATABASE_LOOK_MILLIS);

/// Hears posts of other nodes and its own.
type Listener = Box<dyn Fn(&str) + Send + Sync>;

/// Those who hear posts.
#[derive(Default)]
pub(super) struct Listeners(RwLock<Vec<Listener>>);

impl Listeners {
    pub(super) fn add(&self, listener: impl Fn(&str) + Send + Sync + 'static) {
        self.0.write().push(Box::new(listener));
    }

    fn tell(&self, post: &str) {
        for listener in self.0.read().iter() {
            let telling = std::panic::AssertUnwindSafe(|| listener(post));
            if std::panic::catch_unwind(telling).is_err() {
                tracing::error!("a listener of posts panicked");
            }
        }
    }
}

/// What listens.
pub(super) struct Ears {
    address: Address,
    storage: Storage,
    looks: Arc<Looks>,
    /// The server's process of the connection that writes.
    own: Arc<AtomicI32>,
    closing: Arc<AtomicBool>,
    listeners: Arc<Listeners>,
    common: Common,
    session: Option<Session>,
}

impl Ears {
    pub(super) fn new(
        address: Address,
        storage: Storage,
        looks: Arc<Looks>,
        own: Arc<AtomicI32>,
        closing: Arc<AtomicBool>,
        listeners: Arc<Listeners>,
        common: Common,
    ) -> Self {
        Self {
            address,
            storage,
            looks,
            own,
            closing,
            listeners,
            common,
            session: None,
        }
    }

    /// Takes its place among the servers of the database, and makes sure that it hears.
    pub(super) fn open(&mut self) -> Result<(), StoreError> {
        let patience = Duration::from_secs(limits::DATABASE_SILENCE_SECS_MAX);
        let began = Instant::now();
        // A server that has just ended may not be forgotten yet.
        while !self.connect()? {
            if began.elapsed() > patience {
                return Err(StoreError::Directory(alone(self.storage).to_owned()));
            }
            std::thread::park_timeout(LOOK / 4);
        }
        self.common.post(HELLO)?;
        let began = Instant::now();
        while began.elapsed() < patience {
            let Some(session) = &self.session else { break };
            match session.notified(LOOK)? {
                Some(notice) if notice.channel == POSTS => return Ok(()),
                Some(_) | None => {}
            }
        }
        Err(StoreError::Directory(
            "no notification comes through: the address of the database is that of a pooler which shares connections \
             between transactions; give that of the database itself as --database-listen"
                .to_owned(),
        ))
    }

    /// Connects; `false` where another server's place leaves none for this one.
    fn connect(&mut self) -> Result<bool, StoreError> {
        let session = Session::connect(&self.address)?;
        let lock = match self.storage {
            Storage::Own => "pg_try_advisory_lock",
            Storage::Shared => "pg_try_advisory_lock_shared",
        };
        let rows = session.simple(&format!("SELECT {lock}({SERVING})"))?;
        let taken = rows.first().and_then(|row| row.first()?.as_deref()) == Some("t");
        if taken {
            session.batch(&format!("LISTEN {CHANGES}; LISTEN {POSTS}"))?;
            self.session = Some(session);
        }
        Ok(taken)
    }

    /// Listens until the node closes; what was not heard while the database was away is read from the log.
    pub(super) fn run(mut self) {
        while !self.closing.load(Ordering::Acquire) {
            let Some(session) = &self.session else {
                match self.connect() {
                    Ok(true) => {
                        self.looks.reached(true);
                        self.looks.ask();
                    }
                    Ok(false) => {
                        tracing::error!("{}", alone(self.storage));
                        std::thread::park_timeout(LOOK);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "cannot listen to other nodes");
                        self.looks.reached(false);
                        std::thread::park_timeout(LOOK);
                    }
                }
                continue;
            };
            match session.notified(LOOK) {
                Ok(Some(notice)) => self.hear(&notice),
                Ok(None) => self.looks.ask(),
                Err(error) => {
                    tracing::warn!(%error, "the connection that listens has ended");
                    self.looks.reached(false);
                    self.session = None;
                }
            }
        }
    }

    fn hear(&self, notice: &Notice) {
        if notice.channel == POSTS {
            match self.common.posted(&notice.payload) {
                Ok(Some(post)) => self.listeners.tell(&post),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "a post of another node is lost"),
            }
        } else if notice.process != self.own.load(Ordering::Acquire) {
            self.looks.ask();
        }
    }
}

fn alone(storage: Storage) -> &'static str {
    match storage {
        Storage::Own => {
            "another server uses this database, and this one would keep uploaded files where the other cannot reach \
             them: give both the same --files-dir, or keep files in S3"
        }
        Storage::Shared => {
            "another server uses this database and keeps uploaded files in its own directory: give it the same \
             --files-dir, or keep files in S3"
        }
    }
}
