//! Which caller a token stands for, remembered until the record or the schema changes, or the token ends.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use compact_str::CompactString;
use parking_lot::Mutex;

use super::token::Purpose;
use crate::call::Identity;
use crate::kit::limits::TOKEN_CACHE_MAX;
use crate::kit::time::Timestamp;
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
}

/// When a lookup began; see [`Callers::remember`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Age(u64);

impl Callers {
    /// The caller of a token proven before, or the age with which to remember it once it is proven.
    pub(super) fn get(
        &self,
        token: &str,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Arc<Identity>, Age> {
        let inner = self.0.lock();
        match inner.known.get(token) {
            Some(known)
                if known.purpose == purpose
                    && known.identity.expires.is_none_or(|end| end > now) =>
            {
                Ok(Arc::clone(&known.identity))
            }
            Some(_) | None => Err(Age(inner.age)),
        }
    }

    /// Remembers a proven token, unless something was forgotten since `age`: it may have been this one.
    pub(super) fn remember(
        &self,
        age: Age,
        token: &str,
        purpose: Purpose,
        identity: &Arc<Identity>,
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
