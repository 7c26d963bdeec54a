//! The second factor (contract-auth 2.6): the first one leaves a row of `_mfas`, the second must be another method, and
//! takes the row away in the same transaction, so that it serves once.

use super::error::Error;
use super::finish::Method;
use super::rows;
use crate::call::Call;
use crate::expr::Guard;
use crate::kit::time::Timestamp;
use crate::records::access;
use crate::schema::Record;
use crate::store::{ReadTx, StoreError, WriteTx};

const ROWS: &str = "_mfas";

/// Whether `record` needs two factors. A rule that cannot be judged denies.
pub(super) fn applies(tx: &ReadTx<'_>, call: &Call, record: &Record) -> Result<bool, Error> {
    let collection = record.collection();
    let Some(options) = collection.auth().map(|auth| &auth.mfa) else {
        return Ok(false);
    };
    if !options.enabled || options.rule.is_empty() {
        return Ok(options.enabled);
    }
    let filter = tx
        .catalog()
        .filter(collection, &options.rule, Guard::Trusted)
        .map_err(|_| Error::Failed)?;
    access::holds(tx, call, &filter, record).map_err(|_| Error::Failed)
}

/// One factor was proven. Gives the id under which another is expected, or nothing when this was the second one. The
/// inner result is an answer that keeps what was written.
pub(super) fn step(
    tx: &mut WriteTx<'_>,
    record: &Record,
    method: Method,
    id: &str,
    now: Timestamp,
) -> Result<Result<Option<String>, Error>, Error> {
    let expired = || Error::SecondFactor("Invalid or expired MFA session.");
    let collection = tx
        .catalog()
        .find_exact(ROWS)
        .cloned()
        .ok_or(Error::Failed)?;
    if id.is_empty() {
        let row = rows::fresh(&collection, record, &[("method", method.as_str())], now);
        tx.insert(&row)?;
        return Ok(Ok(Some(row.id().to_owned())));
    }
    let Some(row) = tx.find(&collection, id)? else {
        return Ok(Err(expired()));
    };
    let duration = record
        .collection()
        .auth()
        .map_or(0, |auth| auth.mfa.duration);
    if rows::is_older(&row, duration, now) {
        tx.delete(&row)?;
        return Ok(Err(expired()));
    }
    if !rows::is_of(&row, record) {
        return Ok(Err(Error::SecondFactor("Invalid MFA session.")));
    }
    if row.text("method") == method.as_str() {
        return Ok(Err(Error::SecondFactor(
            "A different authentication method is required.",
        )));
    }
    match tx.delete(&row) {
        Ok(()) => Ok(Ok(None)),
        Err(StoreError::Gone) => Ok(Err(expired())),
        Err(error) => Err(error.into()),
    }
}
