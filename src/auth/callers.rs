//! Which caller a token stands for, remembered until the record or the schema changes, or the token ends.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use compact_str::CompactString;
use parking_lot::Mutex;

use super::token::Purpose;
use crate::call::Identity;
use crate::kit::limits::{SESSION_NOTE_MILLIS, TOKEN_CACHE_MAX};
use crate::kit::time::Timestamp;
use crate::records::account::SESSIONS;
use crate::schema::system::API_KEYS;
use crate::schema::{CollectionId, RecordId};
use crate::store::{ChangeKind, CommitGroup};

/// A bounded cache of proven tokens. Dropped by [`Callers::forget`], which the store calls between COMMIT and answer.
#[derive(Debug, Default)]
pub(super) struct Callers(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Grows with each thing forgotten: what was read before must not be remembered after.
    age: u64,
    known: HashMap<CompactString, Known>,
    /// Tokens in the order they came, the oldest first; some may be forgotten already.
    order: VecDeque<CompactString>,
    by_record: HashMap<(CollectionId, RecordId), Vec<CompactString>>,
}

#[derive(Debug)]
struct Known {
    purpose: Purpose,
    identity: Arc<Identity>,
    /// When it was last noted that the session is used.
    noted: Timestamp,
}

/// A caller that was proven before.
#[derive(Debug)]
pub(super) struct Found {
    /// Who.
    pub(super) identity: Arc<Identity>,
    /// Whether it is time to note that the session is used.
    pub(super) is_due: bool,
}

/// When a lookup began; see [`Callers::remember`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Age(u64);

impl Callers {
    /// The caller of a token proven before, or the age with which to remember it once it is proven.
    pub(super) fn get(&self, token: &str, purpose: Purpose, now: Timestamp) -> Result<Found, Age> {
        let mut inner = self.0.lock();
        let age = Age(inner.age);
        match inner.known.get_mut(token) {
            Some(known)
                if known.purpose == purpose
                    && known.identity.expires.is_none_or(|end| end > now) =>
            {
                let is_due = now.as_millis() - known.noted.as_millis() >= SESSION_NOTE_MILLIS;
                if is_due {
                    known.noted = now;
                }
                Ok(Found {
                    identity: Arc::clone(&known.identity),
                    is_due,
                })
            }
            Some(_) | None => Err(age),
        }
    }

    /// Remembers a proven token, unless something was forgotten since `age`: it may have been this one.
    pub(super) fn remember(
        &self,
        age: Age,
        token: &str,
        purpose: Purpose,
        identity: &Arc<Identity>,
        now: Timestamp,
    ) {
        let mut inner = self.0.lock();
        if inner.age != age.0 {
            return;
        }
        while inner.order.len() >= TOKEN_CACHE_MAX {
            inner.drop_oldest();
        }
        let record = &identity.record;
        let subject = (record.collection().id.clone(), RecordId::new(record.id()));
        let token = CompactString::from(token);
        let known = Known {
            purpose,
            identity: Arc::clone(identity),
            noted: now,
        };
        if inner.known.insert(token.clone(), known).is_none() {
            inner.order.push_back(token.clone());
            inner.by_record.entry(subject).or_default().push(token);
        }
    }

    /// Forgets whom a commit concerns.
    pub(super) fn forget(&self, group: &CommitGroup) {
        for change in &group.changes {
            match &change.kind {
                ChangeKind::Create { .. } => {}
                ChangeKind::Update { before: record, .. }
                | ChangeKind::Delete { before: record } => {
                    if record.collection().is_auth() {
                        self.0.lock().forget_record(&(
                            record.collection().id.clone(),
                            RecordId::new(record.id()),
                        ));
                    } else if [SESSIONS, API_KEYS].contains(&record.collection().name.as_str()) {
                        // A session or key that ended or changed, by whomever: the account's tokens are proven anew.
                        self.0.lock().forget_record(&(
                            CollectionId::new(record.text("collectionRef")),
                            RecordId::new(record.text("recordRef")),
                        ));
                    }
                }
                ChangeKind::Schema { .. } | ChangeKind::Touched { .. } => {
                    self.0.lock().forget_all();
                }
            }
        }
    }
}

impl Inner {
    fn forget_record(&mut self, subject: &(CollectionId, RecordId)) {
        self.age += 1;
        for token in self.by_record.remove(subject).unwrap_or_default() {
            // Its place in the order is given up when its turn comes: a scan would hold the writer.
            self.known.remove(&token);
        }
    }

    fn forget_all(&mut self) {
        self.age += 1;
        self.known.clear();
        self.order.clear();
        self.by_record.clear();
    }

    fn drop_oldest(&mut self) {
        let Some(token) = self.order.pop_front() else {
            return;
        };
        let Some(known) = self.known.remove(&token) else {
            return;
        };
        let record = &known.identity.record;
        let subject = (record.collection().id.clone(), RecordId::new(record.id()));
        if let Some(tokens) = self.by_record.get_mut(&subject) {
            tokens.retain(|other| *other != token);
            if tokens.is_empty() {
                self.by_record.remove(&subject);
            }
        }
    }
}
