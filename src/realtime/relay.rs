//! Between the servers of one database: what a client sends to one of them about a connection that another one holds is
//! passed on to that one, by its name in the connection's id, and answered by it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use compact_str::CompactString;
use crossbeam_channel::Receiver;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::client::ClientId;
use super::hub::{Error, Hub, Inner};
use crate::auth::{key_id, present_key};
use crate::call::{Actor, Identity};
use crate::kit::id;
use crate::kit::json::{self, Json};
use crate::kit::limits::{RELAY_ASKS_MAX, RELAY_SECS_MAX};
use crate::kit::time::Timestamp;
use crate::schema::{CollectionId, Record};
use crate::store::{ReadTx, Store, StoreError};

/// Letters of a server's name.
const NAME_CHARS: usize = 10;

/// A server's way to the others.
pub(super) struct Relay {
    pub(super) name: CompactString,
    store: Store,
    /// Those who wait for an answer.
    asks: Mutex<HashMap<String, oneshot::Sender<Done>>>,
}

#[derive(Serialize, Deserialize)]
enum Post {
    Ask {
        to: CompactString,
        from: CompactString,
        number: String,
        what: Box<Asked>,
    },
    Answer {
        to: CompactString,
        number: String,
        done: Done,
    },
}

#[derive(Serialize, Deserialize)]
enum Asked {
    Submit {
        client: String,
        address: IpAddr,
        who: Option<Who>,
        topics: Vec<String>,
    },
    Tell {
        client: String,
        address: IpAddr,
        topic: String,
        told: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Done {
    Well,
    UnknownClient,
    OtherAddress,
    OtherIdentity,
    NotNow,
}

/// An identity without its secrets: the other server reads the rest.
#[derive(Serialize, Deserialize)]
struct Who {
    collection: String,
    record: String,
    /// The key of its tokens, by its fingerprint.
    token_key: String,
    session: Option<CompactString>,
    key: Option<CompactString>,
    expires: Option<i64>,
    refreshable: bool,
}

fn print_of(record: &Record) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(record.text("tokenKey")))
}

impl Who {
    fn of(actor: &Actor) -> Option<Self> {
        let Actor::Auth(identity) = actor else {
            return None;
        };
        Some(Self {
            collection: identity.record.collection().id.as_str().to_owned(),
            record: identity.record.id().to_owned(),
            token_key: print_of(&identity.record),
            session: identity.session.clone(),
            key: key_id(identity).cloned(),
            expires: identity.expires.map(Timestamp::as_millis),
            refreshable: identity.refreshable,
        })
    }

    /// Who that is here: a guest, where it is nobody any more.
    fn read(&self, tx: &ReadTx<'_>, now: Timestamp) -> Result<Actor, StoreError> {
        let id = CollectionId::new(self.collection.as_str());
        let Some(collection) = tx.catalog().by_id(&id) else {
            return Ok(Actor::Guest);
        };
        let Some(record) = tx.find(collection, &self.record)? else {
            return Ok(Actor::Guest);
        };
        let key = match &self.key {
            None if print_of(&record) != self.token_key => return Ok(Actor::Guest),
            None => None,
            Some(key) => match present_key(tx, key, &record, now)? {
                Some((key, _)) => Some(Arc::new(key)),
                None => return Ok(Actor::Guest),
            },
        };
        Ok(Actor::Auth(Arc::new(Identity {
            record,
            expires: self.expires.map(Timestamp::from_millis),
            refreshable: self.refreshable,
            session: self.session.clone(),
            key,
        })))
    }
}

impl Relay {
    /// The way to other servers, where there can be others.
    pub(super) fn of(store: &Store) -> Option<Self> {
        store.common()?;
        Some(Self {
            name: id::random(NAME_CHARS, id::ALNUM),
            store: store.clone(),
            asks: Mutex::default(),
        })
    }

    /// The server that holds a connection, where that is another one.
    fn holder(&self, client: &ClientId) -> Option<CompactString> {
        let name = client.as_str().get(..NAME_CHARS)?;
        let is_other = client.as_str().len() == ClientId::LEN && name != self.name;
        is_other.then(|| name.into())
    }

    fn post(&self, post: &Post) -> Result<(), StoreError> {
        let Some(common) = self.store.common() else {
            return Err(StoreError::Elsewhere);
        };
        common.post(&json::to_text(
            &serde_json::to_value(post).unwrap_or_default(),
        ))
    }

    /// Asks another server and waits for its answer, but not for long: it may have gone.
    async fn ask(&self, to: CompactString, what: Asked) -> Result<Done, Error> {
        let number = id::random(20, id::ALNUM).to_string();
        let (answer, answered) = oneshot::channel();
        {
            let mut asks = self.asks.lock();
            if asks.len() >= RELAY_ASKS_MAX {
                return Err(Error::Unreadable);
            }
            asks.insert(number.clone(), answer);
        }
        let posted = self.post(&Post::Ask {
            to,
            from: self.name.clone(),
            number: number.clone(),
            what: Box::new(what),
        });
        let patience = Duration::from_secs(RELAY_SECS_MAX);
        let done = match posted {
            Err(error) => {
                tracing::warn!(%error, "realtime: another server cannot be asked");
                Err(Error::Unreadable)
            }
            // Nobody answers: the server is gone, and the connection with it.
            Ok(()) => match tokio::time::timeout(patience, answered).await {
                Ok(Ok(done)) => Ok(done),
                Ok(Err(_)) | Err(_) => Ok(Done::UnknownClient),
            },
        };
        self.asks.lock().remove(&number);
        done
    }
}

impl Hub {
    /// As [`Hub::submit`], also for a connection that another server holds.
    ///
    /// # Errors
    /// As [`Hub::submit`].
    pub async fn submit_anywhere(
        &self,
        id: &ClientId,
        actor: &Actor,
        address: IpAddr,
        topics: &[String],
    ) -> Result<(), Error> {
        let Some((relay, holder)) = self.0.elsewhere(id) else {
            return self.submit(id, actor, address, topics);
        };
        let asked = Asked::Submit {
            client: id.as_str().to_owned(),
            address,
            who: Who::of(actor),
            topics: topics.to_vec(),
        };
        match relay.ask(holder, asked).await? {
            Done::Well => Ok(()),
            Done::UnknownClient => Err(Error::UnknownClient),
            Done::OtherAddress => Err(Error::OtherAddress),
            Done::OtherIdentity => Err(Error::OtherIdentity),
            Done::NotNow => Err(Error::Unreadable),
        }
    }

    /// As [`Hub::tell_once`], also to a connection that another server holds.
    pub async fn tell_once_anywhere(
        &self,
        id: &ClientId,
        address: IpAddr,
        topic: &str,
        told: &Json,
    ) -> bool {
        let Some((relay, holder)) = self.0.elsewhere(id) else {
            return self.tell_once(id, address, topic, told);
        };
        let asked = Asked::Tell {
            client: id.as_str().to_owned(),
            address,
            topic: topic.to_owned(),
            told: json::to_text(told),
        };
        relay.ask(holder, asked).await == Ok(Done::Well)
    }

    /// Does what other servers ask, until nobody can ask any more.
    pub(super) fn relay(hub: &Weak<Inner>, posts: &Receiver<String>) {
        while let Ok(post) = posts.recv() {
            let Some(inner) = hub.upgrade() else { return };
            let hub = Self(inner);
            let Ok(post) = serde_json::from_str::<Post>(&post) else {
                // Of a newer version.
                continue;
            };
            let Some(relay) = &hub.0.relay else { return };
            match post {
                Post::Ask {
                    to,
                    from,
                    number,
                    what,
                } if to == relay.name => {
                    let done = hub.serve(*what);
                    let answer = Post::Answer {
                        to: from,
                        number,
                        done,
                    };
                    if let Err(error) = relay.post(&answer) {
                        tracing::warn!(%error, "realtime: another server is not answered");
                    }
                }
                Post::Answer { to, number, done } if to == relay.name => {
                    if let Some(waiting) = relay.asks.lock().remove(&number) {
                        waiting.send(done).ok();
                    }
                }
                Post::Ask { .. } | Post::Answer { .. } => {}
            }
        }
    }

    fn serve(&self, what: Asked) -> Done {
        match what {
            Asked::Submit {
                client,
                address,
                who,
                topics,
            } => {
                let now = self.0.clock.now();
                let actor = self.0.store.read_now(|tx| match &who {
                    None => Ok(Actor::Guest),
                    Some(who) => who.read(tx, now),
                });
                let done = actor.map(|actor: Actor| {
                    self.submit(&ClientId::from_text(&client), &actor, address, &topics)
                });
                match done {
                    Ok(Ok(())) => Done::Well,
                    Ok(Err(Error::UnknownClient)) => Done::UnknownClient,
                    Ok(Err(Error::OtherAddress)) => Done::OtherAddress,
                    Ok(Err(Error::OtherIdentity)) => Done::OtherIdentity,
                    Ok(Err(_)) => Done::NotNow,
                    Err(error) => {
                        tracing::warn!(%error, "realtime: an identity could not be read");
                        Done::NotNow
                    }
                }
            }
            Asked::Tell {
                client,
                address,
                topic,
                told,
            } => {
                let told = json::parse(&told).unwrap_or_default();
                let client = ClientId::from_text(&client);
                if self.tell_once(&client, address, &topic, &told) {
                    Done::Well
                } else {
                    Done::UnknownClient
                }
            }
        }
    }
}

impl Inner {
    fn elsewhere(&self, id: &ClientId) -> Option<(&Relay, CompactString)> {
        let relay = self.relay.as_ref()?;
        Some((relay, relay.holder(id)?))
    }
}
