//! Fresh proof: what changes who may get in is done by whoever has just signed in, or knows the password, and not by a
//! token that somebody found (security A21).

use std::collections::{HashMap, VecDeque};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::error::Error;
use super::origins;
use super::service::Auth;
use crate::call::{Actor, Call};
use crate::kit::limits::{FRESH_SIGN_IN_MILLIS, FRESH_SIGN_INS_MAX};
use crate::kit::time::Timestamp;
use crate::schema::Record;
use crate::store::{Common, Note, Store};

type Fingerprint = [u8; 32];

/// Tokens that a sign-in gave lately, by their fingerprints. Tokens made from others are not among them.
#[derive(Debug, Default)]
pub(super) struct Recent {
    common: Option<Common>,
    own: Mutex<Inner>,
}

/// What they are called in the database, where servers share one.
const KIND: &str = "recent";

#[derive(Debug, Default)]
struct Inner {
    until: HashMap<Fingerprint, Timestamp>,
    /// The oldest first.
    order: VecDeque<Fingerprint>,
}

impl Recent {
    /// For the servers of `store`.
    pub(super) fn of(store: &Store) -> Self {
        Self {
            common: store.common().cloned(),
            own: Mutex::default(),
        }
    }

    /// Notes the token of a sign-in.
    pub(super) fn note(&self, token: &str, now: Timestamp) {
        let print: Fingerprint = Sha256::digest(token).into();
        let until = now.plus_millis(FRESH_SIGN_IN_MILLIS);
        if let Some(common) = &self.common {
            let note = Note {
                kind: KIND,
                key: &BASE64_URL_SAFE_NO_PAD.encode(print),
                owner: "",
                value: "",
                ends: until,
            };
            if let Err(error) = common.keep(note, now) {
                // The password proves as well.
                tracing::warn!(%error, "a sign-in is not known as a fresh one");
            }
            return;
        }
        let mut inner = self.own.lock();
        while let Some(oldest) = inner.order.front() {
            let ended = inner.until.get(oldest).is_none_or(|until| *until <= now);
            if !ended && inner.order.len() < FRESH_SIGN_INS_MAX {
                break;
            }
            let oldest = inner.order.pop_front();
            oldest.and_then(|print| inner.until.remove(&print));
        }
        if inner.until.insert(print, until).is_none() {
            inner.order.push_back(print);
        }
    }

    fn holds(&self, token: &str, now: Timestamp) -> bool {
        let print: Fingerprint = Sha256::digest(token).into();
        if let Some(common) = &self.common {
            let owner = common.owner(KIND, &BASE64_URL_SAFE_NO_PAD.encode(print), now);
            return owner.is_ok_and(|owner| owner.is_some());
        }
        let inner = self.own.lock();
        inner.until.get(&print).is_some_and(|until| *until > now)
    }
}

impl Auth {
    /// The account that a call is signed in as, in the collection that the path names.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`], [`Error::NoAccounts`], [`Error::Unauthorized`], [`Error::OtherCollection`], and
    /// [`Error::NoSession`] to API keys.
    pub fn own_account(&self, call: &Call, name: &str) -> Result<Record, Error> {
        let wanted = self.accounts(name)?;
        let Actor::Auth(identity) = &call.actor else {
            return Err(Error::Unauthorized);
        };
        let own = identity.record.collection();
        if own.id != wanted.id {
            return Err(Error::OtherCollection(own.name.to_string()));
        }
        if identity.key.is_some() {
            return Err(Error::NoSession);
        }
        Ok(identity.record.clone())
    }

    /// Whether the caller has proven lately, or proves now by `password`, that they are `record`.
    pub(super) async fn prove_anew(
        &self,
        call: &Call,
        record: &Record,
        token: &str,
        password: &str,
    ) -> Result<(), Error> {
        if self.recent().holds(token, call.now) {
            return Ok(());
        }
        let by_password = record
            .collection()
            .auth()
            .is_some_and(|auth| auth.password_auth.enabled);
        if password.is_empty() || !by_password {
            return Err(Error::Stale);
        }
        let (account, device) = (record.clone(), origins::fingerprint(call));
        let known = self
            .store()
            .read(move |tx| origins::is_known(tx, &account, &device))
            .await?;
        let collection = record.collection().id.as_str();
        let attempt = self
            .throttle()
            .begin(collection, record.id(), call.client_ip, call.now, known)
            .map_err(Error::Throttled)?;
        let stored = record.text("password");
        if !self.passwords().verify(Some(stored), password).await? {
            return Err(Error::Stale);
        }
        attempt.succeeded();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[test]
    fn a_sign_in_is_fresh_for_a_while() {
        let recent = Recent::default();
        recent.note("a", NOW);
        assert!(recent.holds("a", NOW));
        assert!(!recent.holds("b", NOW));
        assert!(!recent.holds("a", NOW.plus_millis(FRESH_SIGN_IN_MILLIS)));
    }

    #[test]
    fn memory_is_bounded_and_ended_ones_go_first() {
        let recent = Recent::default();
        for n in 0..FRESH_SIGN_INS_MAX + 5 {
            recent.note(&n.to_string(), NOW);
        }
        assert_eq!(recent.own.lock().order.len(), FRESH_SIGN_INS_MAX);
        assert!(!recent.holds("0", NOW));
        let later = NOW.plus_millis(FRESH_SIGN_IN_MILLIS);
        recent.note("late", later);
        assert_eq!(recent.own.lock().order.len(), 1);
        assert_eq!(recent.own.lock().until.len(), 1);
    }
}
