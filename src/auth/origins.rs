//! The devices of an account (contract-auth 2.7), told apart by address and user agent.

use std::borrow::Cow;

use md5::{Digest, Md5};

use super::error::Error;
use super::rows;
use crate::call::Call;
use crate::kit::limits::DEVICES_MAX;
use crate::kit::time::Timestamp;
use crate::ops::logs::expanded;
use crate::schema::Record;
use crate::store::{ReadTx, StoreError, WriteTx};

const ROWS: &str = "_authOrigins";
/// Bytes of the user agent that count.
const AGENT_BYTES_MAX: usize = 200;

/// The device that a call comes from.
pub(super) fn fingerprint(call: &Call) -> String {
    let mut digest = Md5::new();
    digest.update(expanded(call.client_ip).as_bytes());
    digest.update(agent(call).as_bytes());
    let mut text = String::new();
    for byte in digest.finalize() {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The user agent of a call, as far as it counts.
pub(super) fn agent(call: &Call) -> Cow<'_, str> {
    let whole = call.user_agent.as_str();
    if whole.len() <= AGENT_BYTES_MAX {
        return Cow::Borrowed(whole);
    }
    let cut = whole.floor_char_boundary(AGENT_BYTES_MAX);
    Cow::Owned(format!("{}...", &whole[..cut]))
}

/// Whether the account signed in from this device before.
pub(super) fn is_known(
    tx: &ReadTx<'_>,
    record: &Record,
    fingerprint: &str,
) -> Result<bool, StoreError> {
    let Some(collection) = tx.catalog().find_exact(ROWS) else {
        return Ok(false);
    };
    let rows = tx.owned(collection, &record.collection().id, record.id())?;
    Ok(rows
        .iter()
        .any(|row| row.text("fingerprint") == fingerprint))
}

/// Whether the account `record` has signed in from the device of `call` before.
///
/// # Errors
/// The store's own.
pub fn is_known_device(tx: &ReadTx<'_>, record: &Record, call: &Call) -> Result<bool, StoreError> {
    is_known(tx, record, &fingerprint(call))
}

/// Notes a sign-in from a device: a known one is touched, a new one takes the place of the oldest beyond the bound. Gives
/// the row of a new device, unless it is the first one ever: nobody needs to be told of that.
pub(super) fn note(
    tx: &mut WriteTx<'_>,
    record: &Record,
    fingerprint: &str,
    now: Timestamp,
) -> Result<Option<Record>, Error> {
    let Some(collection) = tx.catalog().find_exact(ROWS).cloned() else {
        return Ok(None);
    };
    let mut known = tx.owned(&collection, &record.collection().id, record.id())?;
    if let Some(before) = known
        .iter()
        .find(|row| row.text("fingerprint") == fingerprint)
    {
        let mut after = before.clone();
        after.set("updated", now.to_text());
        tx.update(before, &after)?;
        return Ok(None);
    }
    known.sort_by(|a, b| a.text("created").cmp(b.text("created")));
    let surplus = (known.len() + 1).saturating_sub(DEVICES_MAX);
    for oldest in known.iter().take(surplus) {
        tx.delete(oldest)?;
    }
    let row = rows::fresh(&collection, record, &[("fingerprint", fingerprint)], now);
    tx.insert(&row)?;
    Ok((!known.is_empty()).then_some(row))
}
