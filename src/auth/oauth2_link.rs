//! Which account a provider's person has here, and the tie between the two (contract-auth 2.11). Whoever registered an
//! address without proving it does not keep a way into the account of the person who then proves it.

use std::sync::Arc;

use super::error::Error;
use super::provider::Profile;
use super::rows;
use crate::call::{Actor, Call};
use crate::kit::time::Timestamp;
use crate::kit::value::Value;
use crate::records::{account, create, remove};
use crate::schema::{Collection, Record};
use crate::store::{ReadTx, StoreError, WriteTx};

const ROWS: &str = "_externalAuths";

/// An account found for a person.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// The account.
    pub(super) record: Record,
    /// Whether the caller is signed in as it.
    pub(super) is_own: bool,
}

/// The account of a person: the one they are tied to, else the caller's own, else the one with their address.
pub(super) fn find(
    tx: &ReadTx<'_>,
    call: &Call,
    collection: &Arc<Collection>,
    provider: &str,
    profile: &Profile,
) -> Result<Option<Account>, Error> {
    let own = match &call.actor {
        // A token that a superuser lent, or a key, links nobody: it takes a sign-in of one's own.
        Actor::Auth(identity) if identity.refreshable && identity.key.is_none() => {
            let record = &identity.record;
            (record.collection().id == collection.id).then(|| record.id().to_owned())
        }
        Actor::Auth(_) | Actor::Guest => None,
    };
    let mut found = None;
    if let Some(link) = tie(tx, collection, provider, &profile.id)? {
        found = tx.find(collection, link.text("recordRef"))?;
    }
    if let (None, Some(id)) = (&found, &own) {
        found = tx.find(collection, id)?;
    }
    if found.is_none() && !profile.email.is_empty() {
        found = tx.find_by(collection, "email", &Value::text(&profile.email))?;
    }
    Ok(found.map(|record| Account {
        is_own: own.as_deref() == Some(record.id()),
        record,
    }))
}

fn tie(
    tx: &ReadTx<'_>,
    collection: &Collection,
    provider: &str,
    id: &str,
) -> Result<Option<Record>, Error> {
    let Some(links) = tx.catalog().find_exact(ROWS) else {
        return Ok(None);
    };
    let values = [
        ("collectionRef", Value::text(collection.id.as_str())),
        ("provider", Value::text(provider)),
        ("providerId", Value::text(id)),
    ];
    Ok(tx.find_by_all(links, &values)?)
}

/// Ties a person to an account that exists. `hash` is of a password that nobody knows, for an account whose address was
/// never proven.
pub(super) fn link(
    tx: &mut WriteTx<'_>,
    call: &Call,
    found: Account,
    provider: &str,
    profile: &Profile,
    hash: Option<&str>,
) -> Result<Record, Error> {
    let before = found.record;
    let mut after = before.clone();
    let verified = account::is_verified(&before);
    if !verified && !found.is_own {
        after.set("password", hash.ok_or(Error::Failed)?);
    }
    if after.text("email").is_empty() && !profile.email.is_empty() {
        after.set("email", profile.email.as_str());
    }
    if !verified && after.text("email") == profile.email {
        after.set("verified", true);
    }
    if after != before {
        account::before_update(tx, call, &before, &mut after)?;
    }
    if !verified {
        let planted = if found.is_own {
            account::owned(tx, ROWS, &before)?
        } else {
            account::disown(tx, call, &before)?;
            Vec::new()
        };
        for link in planted {
            remove::remove(tx, call, &link, &mut remove::Gone::default())?;
        }
    }
    if after != before {
        tx.update(&before, &after).map_err(taken)?;
    }
    if tie(tx, before.collection(), provider, &profile.id)?.is_none() {
        insert(tx, &after, provider, profile, call.now)?;
    }
    Ok(after)
}

/// Writes down that a person is `record`.
pub(super) fn insert(
    tx: &mut WriteTx<'_>,
    record: &Record,
    provider: &str,
    profile: &Profile,
    now: Timestamp,
) -> Result<(), Error> {
    let links = tx.catalog().find_exact(ROWS).cloned();
    let links = links.ok_or(Error::Failed)?;
    let values = [("provider", provider), ("providerId", profile.id.as_str())];
    let row = rows::fresh(&links, record, &values, now);
    let inserted = tx.insert(&row).map(drop);
    inserted.map_err(|error| match create::taken(&links, error) {
        Ok(errors) => Error::Link(errors),
        Err(error) => error.into(),
    })
}

fn taken(error: StoreError) -> Error {
    match error {
        // The provider's address belongs to another account.
        StoreError::NotUnique { .. } => Error::Failed,
        other => other.into(),
    }
}
