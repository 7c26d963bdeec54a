//! Changing a record: the rule is judged on the stored state, then the account's form, the fields and the database's
//! own constraints on the new one (contract 5.5).

use super::draft::Draft;
use super::{Error, access, account, check, create, remove, system, version};
use crate::call::Call;
use crate::schema::{Action, Collection, FieldErrors, Record};
use crate::store::{ReadTx, WriteTx};
use std::sync::Arc;

/// A record before and after a change that may be made.
#[derive(Debug)]
pub struct Judged {
    /// As stored.
    pub before: Record,
    /// As it is to be.
    pub after: Record,
}

/// Judges the change of the record `id` by `draft`. `proven` says whether a hash is that of the submitted old password.
/// Nothing is written.
///
/// # Errors
/// [`Error::NotFound`] for a missing record and a refusing rule alike; [`Error::Changed`]; then what is wrong with the
/// values.
pub fn judge(
    tx: &ReadTx<'_>,
    call: &Call,
    id: &str,
    draft: &Draft,
    proven: impl FnOnce(&str) -> bool,
) -> Result<Judged, Error> {
    let collection = draft.collection();
    let gate = access::gate(tx.catalog(), call, collection, Action::Update)?;
    let before = tx.find(collection, id)?.ok_or(Error::NotFound)?;
    let mut after = draft.apply(&before);
    let seen = create::seen(call, draft, &after, &gate);
    gate.check(tx, &seen, &before, Action::Update)?;
    version::check(tx, call, &before)?;
    system::force_verified(&mut after);
    if collection.is_auth() {
        let manages = account::manages(tx, &seen, collection, |rule| {
            access::holds(tx, &seen, rule, &before)
        })?;
        refuse(account::update_form(
            draft, &before, &after, manages, proven,
        ))?;
    }
    refuse(check::fields(tx, draft, Some(&before), &after)?)?;
    refuse(system::references(tx, &after)?)?;
    remove::touch(&mut after, call);
    Ok(Judged { before, after })
}

/// Judges the change and makes it; gives the record before and after it.
///
/// # Errors
/// As [`judge`]; and values that must be unique and are not.
pub fn update(
    tx: &mut WriteTx<'_>,
    call: &Call,
    id: &str,
    draft: &Draft,
    proven: impl FnOnce(&str) -> bool,
) -> Result<Judged, Error> {
    draft.still_fits(tx.catalog())?;
    let Judged { before, mut after } = judge(tx, call, id, draft, proven)?;
    if before.collection().is_auth() {
        account::before_update(tx, call, &before, &mut after)?;
    }
    let collection: Arc<Collection> = Arc::clone(after.collection());
    tx.update(&before, &after).map_err(|error| {
        create::taken(&collection, error).map_or_else(Error::Store, Error::Update)
    })?;
    Ok(Judged { before, after })
}

fn refuse(errors: FieldErrors) -> Result<(), Error> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Update(errors))
    }
}
