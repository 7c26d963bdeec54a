//! Sessions: one row of `_sessions` for each sign-in, named in its tokens by the claim `sid`. A token whose row is gone
//! stands for nobody. Tokens of PocketBase name none: they stay good, and are shown together as one session of older
//! sign-ins, which ends with the account's token key.

use std::sync::Arc;

use compact_str::CompactString;

use super::error::Error;
use super::finish::Outcome;
use super::service::{self, Auth};
use super::{api_key, origins, rows};
use crate::call::{Actor, Call, Identity};
use crate::expr::Catalog;
use crate::kit::limits::{SESSION_NOTE_MILLIS, SESSIONS_MAX};
use crate::kit::time::Timestamp;
use crate::ops::logs::expanded;
use crate::records::account::{self, OLDER_SIGN_INS, SESSIONS};
use crate::schema::{Collection, Record, system};
use crate::store::{ReadTx, StoreError, WriteTx};

/// How a session begins that a superuser opens for somebody else.
pub(super) const IMPERSONATION: &str = "impersonation";
/// How a session begins that a token without one was renewed into.
pub(super) const REFRESH: &str = "refresh";

/// What a new session is told of where it begins.
#[derive(Clone, Debug)]
pub(super) struct Beginning {
    method: &'static str,
    device: String,
    address: String,
    now: Timestamp,
    ends: Timestamp,
}

impl Beginning {
    /// A session that `call` begins by `method`, with tokens that end at `ends`.
    pub(super) fn new(call: &Call, method: &'static str, ends: Timestamp) -> Self {
        Self {
            method,
            device: origins::agent(call).into_owned(),
            address: expanded(call.client_ip),
            now: call.now,
            ends,
        }
    }
}

fn collection(catalog: &Catalog) -> Option<Arc<Collection>> {
    let found = catalog.find_exact(SESSIONS)?;
    system::is_own(found).then(|| Arc::clone(found))
}

/// Notes a session of `record` and gives its id; `None` where there is no room for one more, and the token then names
/// none.
pub(super) fn begin(
    tx: &mut WriteTx<'_>,
    record: &Record,
    beginning: &Beginning,
) -> Result<Option<CompactString>, Error> {
    let Some(collection) = collection(tx.catalog()) else {
        return Ok(None);
    };
    let mut open = 0;
    for row in account::owned(tx, SESSIONS, record)? {
        if has_ended(&row, beginning.now) {
            tx.delete(&row)?;
        } else {
            open += 1;
        }
    }
    if open >= SESSIONS_MAX {
        return Ok(None);
    }
    let (now, ends) = (beginning.now.to_text(), beginning.ends.to_text());
    let values = [
        ("method", beginning.method),
        ("device", beginning.device.as_str()),
        ("address", beginning.address.as_str()),
        ("lastUsed", now.as_str()),
        ("expires", ends.as_str()),
    ];
    let row = rows::fresh(&collection, record, &values, beginning.now);
    tx.insert(&row)?;
    Ok(Some(row.id().into()))
}

/// The session that a token of an answer belongs to, before it is written.
#[derive(Clone, Debug)]
pub(super) enum Session {
    /// A new one.
    Begin(Beginning),
    /// One that goes on until another time.
    Renew(CompactString, Timestamp),
    /// One with nothing to write, or none.
    Known(Option<CompactString>),
}

impl Session {
    /// Whether it leaves something in the database.
    pub(super) fn is_to_write(&self) -> bool {
        match self {
            Self::Begin(_) | Self::Renew(..) => true,
            Self::Known(_) => false,
        }
    }

    /// Its id, where nothing is to be written.
    pub(super) fn known(self) -> Option<CompactString> {
        match self {
            Self::Known(id) => id,
            Self::Begin(_) | Self::Renew(..) => None,
        }
    }
}

/// Writes a session and gives its id.
pub(super) fn write(
    tx: &mut WriteTx<'_>,
    record: &Record,
    session: Session,
) -> Result<Option<CompactString>, Error> {
    match session {
        Session::Begin(beginning) => begin(tx, record, &beginning),
        Session::Renew(id, ends) => {
            if let Some(sessions) = collection(tx.catalog()) {
                tx.note_time(&sessions, &id, "expires", ends)?;
            }
            Ok(Some(id))
        }
        Session::Known(id) => Ok(id),
    }
}

/// How the session `id` goes on with tokens that end at `ends`: clients renew theirs often, and a little later is not
/// worth a write.
pub(super) fn renewal(
    tx: &ReadTx<'_>,
    id: CompactString,
    ends: Timestamp,
) -> Result<Session, Error> {
    let Some(sessions) = collection(tx.catalog()) else {
        return Ok(Session::Known(None));
    };
    let soon = ends.plus_millis(-SESSION_NOTE_MILLIS).to_text();
    let row = tx.find(&sessions, &id)?;
    Ok(match row {
        Some(row) if row.text("expires") <= soon.as_str() => Session::Renew(id, ends),
        // A session that has ended stays so: its token will be nobody's.
        Some(_) | None => Session::Known(Some(id)),
    })
}

/// Whether no token of the session can be good any more. Renewals are noted a little late.
fn has_ended(row: &Record, now: Timestamp) -> bool {
    let late = now.plus_millis(-2 * SESSION_NOTE_MILLIS).to_text();
    let ends = row.text("expires");
    !ends.is_empty() && ends < late.as_str()
}

/// Whether the session `id` is one of `record`, and stands.
pub(super) fn stands(tx: &ReadTx<'_>, id: &str, record: &Record) -> Result<bool, StoreError> {
    let Some(collection) = collection(tx.catalog()) else {
        return Ok(false);
    };
    let row = tx.find(&collection, id)?;
    Ok(row.is_some_and(|row| rows::is_of(&row, record)))
}

/// A session that was used: what its row is to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Used {
    /// The session of this id.
    Session(CompactString),
    /// The older sign-ins of an account: collection and record.
    Older(CompactString, CompactString),
    /// The API key of this id.
    Key(CompactString),
}

impl Used {
    /// What a request by `identity` uses; `None` for tokens that are not of a sign-in.
    pub(super) fn of(identity: &Identity) -> Option<Self> {
        if let Some(key) = &identity.key {
            return Some(Self::Key(key.id.clone()));
        }
        match &identity.session {
            Some(id) => Some(Self::Session(id.clone())),
            None if identity.refreshable => {
                let record = &identity.record;
                let collection = CompactString::from(record.collection().id.as_str());
                Some(Self::Older(collection, record.id().into()))
            }
            None => None,
        }
    }
}

/// Notes when sessions were last used. This is no change that anybody is told of.
pub(super) fn note_used(
    tx: &mut WriteTx<'_>,
    used: &[(Used, Timestamp)],
) -> Result<(), StoreError> {
    let Some(sessions) = collection(tx.catalog()) else {
        return Ok(());
    };
    for (used, at) in used {
        match used {
            Used::Session(id) => tx.note_time(&sessions, id, "lastUsed", *at)?,
            Used::Older(owner, record) => note_older(tx, &sessions, (owner, record), *at)?,
            Used::Key(id) => {
                if let Some(keys) = api_key::collection(tx) {
                    tx.note_time(&keys, id, "lastUsed", *at)?;
                }
            }
        }
    }
    Ok(())
}

fn note_older(
    tx: &mut WriteTx<'_>,
    sessions: &Arc<Collection>,
    (owner, record): (&str, &str),
    at: Timestamp,
) -> Result<(), StoreError> {
    let catalog = Arc::clone(tx.catalog());
    let Some(owner) = catalog.find(owner) else {
        return Ok(());
    };
    let Some(record) = tx.find(owner, record)? else {
        return Ok(());
    };
    let known = tx.owned(sessions, &owner.id, record.id())?;
    match known
        .iter()
        .find(|row| row.text("method") == OLDER_SIGN_INS)
    {
        Some(row) => tx.note_time(sessions, row.id(), "lastUsed", at),
        None => {
            let now = at.to_text();
            let values = [("method", OLDER_SIGN_INS), ("lastUsed", now.as_str())];
            tx.insert(&rows::fresh(sessions, &record, &values, at))
        }
    }
}

impl Auth {
    /// Ends every session of the caller but this one, with all tokens that name none, links of mails and file tokens:
    /// the account has a new token key, and the caller a new token.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::OtherCollection`], and [`Error::NoSession`] for a token that may not be renewed.
    pub async fn end_other_sessions(&self, call: &Call, name: &str) -> Result<Outcome, Error> {
        let catalog = self.store().catalog();
        let wanted = catalog.find(name).ok_or(Error::UnknownCollection)?;
        let Actor::Auth(identity) = &call.actor else {
            return Err(Error::Unauthorized);
        };
        let own = identity.record.collection();
        if own.id != wanted.id {
            return Err(Error::OtherCollection(own.name.to_string()));
        }
        if !identity.refreshable {
            return Err(Error::NoSession);
        }
        let (asker, identity) = (call.clone(), Arc::clone(identity));
        let beginning = Beginning::new(
            call,
            REFRESH,
            service::session_end(&identity.record, call.now),
        );
        let kept = self.store().write(move |tx| {
            let before = tx.find(identity.record.collection(), identity.record.id())?;
            let before = before.ok_or(Error::Unauthorized)?;
            if before.text("tokenKey") != identity.record.text("tokenKey") {
                return Err(Error::Unauthorized);
            }
            let keep = identity.session.as_deref();
            if let Some(id) = keep
                && !stands(tx, id, &before)?
            {
                return Err(Error::Unauthorized);
            }
            let after = account::end_sessions(tx, &asker, &before, keep)?;
            let session = match keep {
                Some(id) => Some(id.into()),
                None => begin(tx, &after, &beginning)?,
            };
            Ok((after, session))
        });
        let (record, session) = kept.await?;
        self.answer_session(call, record, session).await
    }
}
