//! The second factor (contract-auth 2.6): the first one leaves a row of `_mfas`, the second must be another method, and
//! takes the row away in the same transaction, so that it serves once.

use super::error::Error;
use super::finish::{Method, Wanted};
use super::{authenticator, rows};
use crate::call::Call;
use crate::expr::Guard;
use crate::kit::time::Timestamp;
use crate::records::{access, account};
use crate::schema::Record;
use crate::store::{ReadTx, StoreError, WriteTx};

const ROWS: &str = "_mfas";
/// Seconds between the factors where the collection does not say.
const DEFAULT_SECS: i64 = 600;

/// Whether `record` needs two factors: because it has an authenticator, or its collection says so. A rule that cannot
/// be judged denies.
pub(super) fn applies(
    tx: &ReadTx<'_>,
    call: &Call,
    record: &Record,
    method: Method,
) -> Result<bool, Error> {
    let collection = record.collection();
    let Some(options) = collection.auth().map(|auth| &auth.mfa) else {
        return Ok(false);
    };
    // A passkey is a device and the person that it has verified: more than an app could add.
    if method != Method::Passkey && authenticator::is_set_up(tx, record)? {
        return Ok(true);
    }
    if !options.enabled || options.rule.is_empty() {
        return Ok(options.enabled);
    }
    let filter = tx
        .catalog()
        .filter(collection, &options.rule, Guard::Trusted)
        .map_err(|_| Error::Failed)?;
    access::holds(tx, call, &filter, record).map_err(|_| Error::Failed)
}

/// The methods of which one must follow `first`; none for any. Whoever set an authenticator up wants it to be asked for:
/// a mailed code would open the account to whoever reads the mail.
fn only(tx: &ReadTx<'_>, record: &Record, first: &str) -> Result<Vec<&'static str>, Error> {
    let is_strong = first == Method::Passkey.as_str();
    if is_strong || !authenticator::is_set_up(tx, record)? {
        return Ok(Vec::new());
    }
    let mut methods = vec![Method::Totp.as_str()];
    if !account::owned(tx, "_passkeys", record)?.is_empty() {
        methods.push(Method::Passkey.as_str());
    }
    Ok(methods)
}

/// One factor was proven. Gives the id under which another is expected, or nothing when this was the second one. The
/// inner result is an answer that keeps what was written.
pub(super) fn step(
    tx: &mut WriteTx<'_>,
    record: &Record,
    method: Method,
    id: &str,
    now: Timestamp,
) -> Result<Result<Option<Wanted>, Error>, Error> {
    let expired = || Error::SecondFactor("Invalid or expired MFA session.");
    let collection = tx
        .catalog()
        .find_exact(ROWS)
        .cloned()
        .ok_or(Error::Failed)?;
    if id.is_empty() {
        let row = rows::fresh(&collection, record, &[("method", method.as_str())], now);
        tx.insert(&row)?;
        return Ok(Ok(Some(Wanted {
            id: row.id().to_owned(),
            methods: only(tx, record, method.as_str())?,
        })));
    }
    let Some(row) = tx.find(&collection, id)? else {
        return Ok(Err(expired()));
    };
    let duration = match record.collection().auth().map(|auth| auth.mfa.duration) {
        // A collection that wants no second factor need not say how long one may take.
        None | Some(..=0) => DEFAULT_SECS,
        Some(secs) => secs,
    };
    if rows::is_older(&row, duration, now) {
        tx.delete(&row)?;
        return Ok(Err(expired()));
    }
    if !rows::is_of(&row, record) {
        return Ok(Err(Error::SecondFactor("Invalid MFA session.")));
    }
    let strong = only(tx, record, row.text("method"))?;
    let is_wanted = strong.is_empty() || strong.contains(&method.as_str());
    if row.text("method") == method.as_str() || !is_wanted {
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
