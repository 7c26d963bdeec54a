//! The identity service: from tokens to callers.

use std::sync::Arc;

use compact_str::CompactString;

use super::api_key;
use super::callers::Callers;
use super::ceremonies::Ceremonies;
use super::invented::Invented;
use super::oauth2_return::Names;
use super::password::Passwords;
use super::provider::Providers;
use super::recent::Recent;
use super::sessions;
use super::throttle::Throttle;
use super::token::{self, Claims, Purpose};
use super::usage::Usage;
use crate::call::{Actor, Identity};
use crate::kit::time::Timestamp;
use crate::mail::Mailer;
use crate::ops::{Logs, Settings};
use crate::outbound::Outbound;
use crate::records::Records;
use crate::schema::Record;
use crate::store::{ReadTx, Store, StoreError};

/// The identity service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Auth(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    passwords: Passwords,
    settings: Settings,
    mailer: Mailer,
    logs: Logs,
    throttle: Throttle,
    invented: Invented,
    usage: Usage,
    callers: Arc<Callers>,
    records: Records,
    outbound: Outbound,
    providers: Providers,
    names: Names,
    recent: Recent,
    ceremonies: Ceremonies,
}

impl Auth {
    /// Ties the service to the store, whose commits tell it when a remembered caller is stale.
    #[must_use]
    pub fn new(
        store: Store,
        passwords: Passwords,
        settings: Settings,
        records: Records,
        outbound: Outbound,
        mailer: Mailer,
        logs: Logs,
    ) -> Self {
        let callers = Arc::new(Callers::default());
        let listener = Arc::clone(&callers);
        store.on_commit(move |group| listener.forget(group));
        let usage = Usage::start(store.clone());
        Self(Arc::new(Inner {
            invented: Invented::of(&store),
            names: Names::of(&store),
            recent: Recent::of(&store),
            ceremonies: Ceremonies::of(&store),
            store,
            passwords,
            settings,
            mailer,
            logs,
            throttle: records.throttle().clone(),
            usage,
            callers,
            records,
            providers: Providers::new(outbound.clone()),
            outbound,
        }))
    }

    /// Goes on with what was kept of failed sign-ins, and keeps it from now on.
    pub fn remember(&self, now: Timestamp) {
        self.0.throttle.remember(&self.0.store, now);
    }

    /// Writes down what is kept of failed sign-ins.
    pub fn close(&self) {
        self.0.throttle.close();
    }

    /// The hashing pool.
    #[must_use]
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// The database.
    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    /// What superusers have set.
    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Where accounts are made.
    pub(super) fn records(&self) -> &Records {
        &self.0.records
    }

    /// Requests of our own.
    pub(super) fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }

    /// Who providers say somebody is.
    pub(super) fn providers(&self) -> &Providers {
        &self.0.providers
    }

    /// Names that were told on the way back from a provider.
    pub(super) fn names(&self) -> &Names {
        &self.0.names
    }

    /// What sends letters.
    pub(super) fn mailer(&self) -> &Mailer {
        &self.0.mailer
    }

    /// What superusers read.
    pub(super) fn logs(&self) -> &Logs {
        &self.0.logs
    }

    /// Writes down which sessions were used: for the end of the process, which waits for nobody's turn.
    pub async fn flush_usage(&self) {
        self.0.usage.flush().await;
    }

    /// The codes that unknown people were promised.
    pub(super) fn invented(&self) -> &Invented {
        &self.0.invented
    }

    /// Challenges of passkeys that wait for their answer.
    pub(super) fn ceremonies(&self) -> &Ceremonies {
        &self.0.ceremonies
    }

    /// Tokens that a sign-in gave lately.
    pub(super) fn recent(&self) -> &Recent {
        &self.0.recent
    }

    /// The counts of failed sign-ins.
    pub(super) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    /// Whose session `token` is. A token that is malformed, ended, revoked or for another purpose is a guest's: never
    /// an error (contract-auth 0.3).
    ///
    /// # Errors
    /// The store's own.
    pub async fn resolve(&self, token: &str, now: Timestamp) -> Result<Actor, StoreError> {
        self.caller(token, Purpose::Auth, now).await
    }

    /// Whose file token `token` is; otherwise as [`Auth::resolve`].
    ///
    /// # Errors
    /// The store's own.
    pub async fn resolve_file(&self, token: &str, now: Timestamp) -> Result<Actor, StoreError> {
        self.caller(token, Purpose::File, now).await
    }

    async fn caller(
        &self,
        token: &str,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Actor, StoreError> {
        if token.is_empty() {
            return Ok(Actor::Guest);
        }
        let age = match self.0.callers.get(token, purpose, now) {
            Ok(found) if self.0.store.is_level() => {
                if found.is_due {
                    self.0.usage.note(&found.identity, now);
                }
                return Ok(Actor::Auth(found.identity));
            }
            // Another node may have ended it meanwhile.
            Ok(_) => None,
            Err(age) => Some(age),
        };
        let text = token.to_owned();
        let proven = if purpose == Purpose::Auth && api_key::is_key(token) {
            let proven = self.0.store.read(move |tx| api_key::prove(tx, &text, now));
            proven.await?
        } else {
            let Some(claims) = token::read_unproven(token, &[purpose], now) else {
                return Ok(Actor::Guest);
            };
            let proven = self
                .0
                .store
                .read(move |tx| prove(tx, &text, purpose, &claims, now));
            proven.await?
        };
        let Some(identity) = proven.map(Arc::new) else {
            return Ok(Actor::Guest);
        };
        if let Some(age) = age {
            self.0.callers.remember(age, token, purpose, &identity, now);
        }
        self.0.usage.note(&identity, now);
        Ok(Actor::Auth(identity))
    }
}

/// Whom a link token stands for, if its claims and its signature hold now.
///
/// # Errors
/// The store's own.
pub(super) fn linked(
    tx: &ReadTx<'_>,
    token: &str,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<Record>, StoreError> {
    let Some(claims) = token::read_unproven(token, &[purpose], now) else {
        return Ok(None);
    };
    Ok(prove(tx, token, purpose, &claims, now)?.map(|identity| identity.record))
}

/// Loads whom the claims name and checks the signature with that record's key. Rules are not asked.
fn prove(
    tx: &ReadTx<'_>,
    token: &str,
    purpose: Purpose,
    claims: &Claims,
    now: Timestamp,
) -> Result<Option<Identity>, StoreError> {
    let Some(collection) = tx.catalog().find(&claims.collection_id) else {
        return Ok(None);
    };
    if !collection.is_auth() {
        return Ok(None);
    }
    let record = tx.find(collection, &claims.id)?;
    let Some(record) = record.filter(|record| token::is_signed(token, record, purpose)) else {
        return Ok(None);
    };
    if let Some(session) = &claims.sid
        && !sessions::stands(tx, session, &record)?
    {
        return Ok(None);
    }
    let mut expires = claims.expires();
    let mut key = None;
    if let Some(id) = &claims.key {
        let Some((stands, ends)) = api_key::present(tx, id, &record, now)? else {
            return Ok(None);
        };
        expires = ends.map_or(expires, |ends| ends.min(expires));
        key = Some(Arc::new(stands));
    }
    Ok(Some(Identity {
        record,
        expires: Some(expires),
        refreshable: claims.refreshable == Some(true),
        session: claims.sid.clone(),
        key,
    }))
}

/// A token for `record` that `auth-refresh` renews, of no session; `None` when the record has no key to sign with.
#[must_use]
pub fn session_token(record: &Record, now: Timestamp) -> Option<String> {
    token_of_session(record, now, None)
}

/// As [`session_token`], of the session `sid`.
pub(super) fn token_of_session(
    record: &Record,
    now: Timestamp,
    sid: Option<CompactString>,
) -> Option<String> {
    let mut claims = Claims::of(record, Purpose::Auth, now, None);
    claims.refreshable = Some(true);
    claims.sid = sid;
    token::sign(record, Purpose::Auth, &claims)
}

/// When a session token ends that is made now.
pub(super) fn session_end(record: &Record, now: Timestamp) -> Timestamp {
    Claims::of(record, Purpose::Auth, now, None).expires()
}

/// A token for `record` that is not renewed, for `life_secs` (0 for the collection's own life of sessions).
#[must_use]
pub fn static_token(record: &Record, now: Timestamp, life_secs: i64) -> Option<String> {
    static_claims(record, now, life_secs, None).1
}

/// As [`static_token`], of the session `sid`, with the time of its end.
pub(super) fn static_claims(
    record: &Record,
    now: Timestamp,
    life_secs: i64,
    sid: Option<CompactString>,
) -> (Timestamp, Option<String>) {
    let mut claims = Claims::of(record, Purpose::Auth, now, Some(life_secs));
    claims.refreshable = Some(false);
    claims.sid = sid;
    (
        claims.expires(),
        token::sign(record, Purpose::Auth, &claims),
    )
}

/// A token that stands in a link of a mail to the address `email`; for [`Purpose::EmailChange`] with the address to move
/// to. `None` as with [`session_token`].
pub(super) fn link_token(
    record: &Record,
    purpose: Purpose,
    now: Timestamp,
    new_email: Option<&str>,
) -> Option<String> {
    let mut claims = Claims::of(record, purpose, now, None);
    claims.email = Some(record.text("email").to_owned());
    claims.new_email = new_email.map(str::to_owned);
    token::sign(record, purpose, &claims)
}

/// A token for protected files, of the session or key of whoever asks for it.
#[must_use]
pub fn file_token(identity: &Identity, now: Timestamp) -> Option<String> {
    let mut claims = Claims::of(&identity.record, Purpose::File, now, None);
    claims.sid = identity.session.clone();
    claims.key = api_key::id_of(identity).cloned();
    token::sign(&identity.record, Purpose::File, &claims)
}
