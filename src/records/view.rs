//! Reading one record.

use std::sync::Arc;

use super::expand::{self, Paths};
use super::{Error, Sight, access};
use crate::call::Call;
use crate::schema::{Action, Collection, Record};
use crate::store::ReadTx;

/// The record `id` of the collection that `name` names, encoded for the caller.
///
/// # Errors
/// [`Error::NotFound`] for a missing record and for an invisible one alike.
pub fn view(tx: &ReadTx<'_>, call: &Call, name: &str, id: &str) -> Result<Vec<u8>, Error> {
    let catalog = tx.catalog();
    let collection = access::collection(catalog, name)?;
    let gate = access::gate(catalog, call, collection, Action::View)?;
    let record = tx.find(collection, id)?.ok_or(Error::NotFound)?;
    gate.check(tx, call, &record, Action::View)?;
    encode(tx, call, collection, &record)
}

/// `record` as the caller of `call` may see it, with the relations that the call asks to expand.
///
/// # Errors
/// The store's own, and [`Error::TooLarge`].
pub fn encode(
    tx: &ReadTx<'_>,
    call: &Call,
    collection: &Arc<Collection>,
    record: &Record,
) -> Result<Vec<u8>, Error> {
    encode_with(Sight::new(tx, call), tx, call, collection, record)
}

/// As [`encode`], under a sight of the caller's choice: a sign-in shows its owner's e-mail address.
///
/// # Errors
/// As [`encode`].
pub fn encode_with(
    sight: Sight<'_>,
    tx: &ReadTx<'_>,
    call: &Call,
    collection: &Arc<Collection>,
    record: &Record,
) -> Result<Vec<u8>, Error> {
    let paths = Paths::parse(call.query("expand").unwrap_or(""));
    let records = std::slice::from_ref(record);
    let expanded = expand::expand(tx, call, collection, records, &paths)?;
    let mut out = Vec::with_capacity(1 << 10);
    sight
        .lens(collection)
        .write(record, expanded.of(0), &mut out);
    Ok(out)
}

/// A signed-in record as it sees itself: its e-mail address whatever it shows to others.
///
/// # Errors
/// As [`encode`].
pub fn own(tx: &ReadTx<'_>, call: &Call, record: &Record) -> Result<Vec<u8>, Error> {
    encode_with(
        Sight::new(tx, call).with_emails(),
        tx,
        call,
        record.collection(),
        record,
    )
}
