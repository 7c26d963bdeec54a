//! Challenges of passkeys that wait for their answer: for minutes, each good once. Taken out before anything is checked,
//! so that whatever is wrong with an answer, its challenge is used up. Kept in memory; the servers of one PostgreSQL keep
//! them in its tables, since the answer may come to another one.

use std::collections::{HashMap, VecDeque};

use compact_str::CompactString;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use webauthn_rs::prelude::{DiscoverableAuthentication, PasskeyRegistration};

use super::error::Error;
use crate::kit::id;
use crate::kit::limits::{CEREMONIES_MAX, CEREMONY_MILLIS};
use crate::kit::time::Timestamp;
use crate::schema::{CollectionId, Record};
use crate::store::{Common, Note, Store};

/// Letters of a challenge's id.
const ID_CHARS: usize = 30;
/// What they are called in the database.
const KIND: &str = "ceremony";

/// What a challenge is for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ceremony {
    /// A new passkey of this account, as long as its tokens are good.
    Register {
        state: Box<PasskeyRegistration>,
        account: Account,
    },
    /// A sign-in to this collection.
    SignIn {
        state: Box<DiscoverableAuthentication>,
        collection: String,
    },
}

/// An account with the key of its tokens, by their fingerprint.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account([u8; 32]);

impl Account {
    pub(super) fn of(record: &Record) -> Self {
        let collection = record.collection().id.as_str();
        let text = format!("{collection} {} {}", record.id(), record.text("tokenKey"));
        Self(Sha256::digest(text).into())
    }
}

impl Ceremony {
    /// A sign-in to `collection`.
    pub(super) fn sign_in(state: DiscoverableAuthentication, collection: &CollectionId) -> Self {
        Self::SignIn {
            state: Box::new(state),
            collection: collection.as_str().to_owned(),
        }
    }
}

/// The challenges. The oldest go first where there are too many.
#[derive(Debug, Default)]
pub(super) struct Ceremonies {
    common: Option<Common>,
    own: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: HashMap<CompactString, (Timestamp, Ceremony)>,
    /// In the order in which they began; some may be used already.
    order: VecDeque<(Timestamp, CompactString)>,
}

impl Ceremonies {
    /// For the servers of `store`.
    pub(super) fn of(store: &Store) -> Self {
        Self {
            common: store.common().cloned(),
            own: Mutex::default(),
        }
    }

    /// Keeps a challenge and gives its id.
    pub(super) fn begin(&self, ceremony: Ceremony, now: Timestamp) -> Result<String, Error> {
        let id = id::random(ID_CHARS, id::ALNUM);
        let ends = now.plus_millis(CEREMONY_MILLIS);
        let Some(common) = &self.common else {
            self.own.lock().keep(id.clone(), ceremony, ends, now);
            return Ok(id.into());
        };
        let value = serde_json::to_string(&ceremony).map_err(|_| Error::Failed)?;
        let note = Note {
            kind: KIND,
            key: &id,
            owner: "",
            value: &value,
            ends,
        };
        common.keep(note, now)?;
        Ok(id.into())
    }

    /// Takes a challenge out: nobody else can answer it any more.
    pub(super) fn take(&self, id: &str, now: Timestamp) -> Result<Option<Ceremony>, Error> {
        let Some(common) = &self.common else {
            let found = self.own.lock().waiting.remove(id);
            return Ok(found.and_then(|(ends, ceremony)| (ends > now).then_some(ceremony)));
        };
        let value = common.take(KIND, id, now)?;
        // What another version has written is as good as ended.
        Ok(value.and_then(|value| serde_json::from_str(&value).ok()))
    }
}

impl Inner {
    fn keep(&mut self, id: CompactString, ceremony: Ceremony, until: Timestamp, now: Timestamp) {
        while let Some((ends, oldest)) = self.order.front() {
            if *ends > now && self.order.len() < CEREMONIES_MAX {
                break;
            }
            let oldest = oldest.clone();
            self.waiting.remove(&oldest);
            self.order.pop_front();
        }
        self.waiting.insert(id.clone(), (until, ceremony));
        self.order.push_back((until, id));
    }
}
