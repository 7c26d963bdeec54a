//! Keys for machines: long random texts that stand for a record, less than it may is what they may. Only a digest is
//! kept; there is nothing to guess in so many random letters, and so no slow hash.

use std::net::IpAddr;
use std::sync::Arc;

use compact_str::CompactString;
use ipnet::IpNet;
use sha2::{Digest, Sha256};

use super::rows;
use crate::call::{Identity, Key, Reach, Scopes};
use crate::kit::id;
use crate::kit::json::{self, Json};
use crate::kit::time::Timestamp;
use crate::kit::value::Value;
use crate::ops::settings::network;
use crate::schema::field::parse_date;
use crate::schema::system::{self, API_KEYS};
use crate::schema::{Collection, CollectionId, Record};
use crate::store::{ReadTx, StoreError};

/// What every key begins with, so that people and scanners know one when they see it.
const BEGINNING: &str = "burrow_";
/// Letters of what a key is told by.
const HANDLE_CHARS: usize = 8;
/// Letters that nobody but its bearer knows: more than 200 bits.
const SECRET_CHARS: usize = 40;

/// A key as it is shown, once.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    /// The whole.
    pub(super) text: String,
    /// What it is told by, that anybody may see.
    pub(super) prefix: String,
    /// What is kept.
    pub(super) digest: String,
}

impl Fresh {
    /// A new one.
    pub(super) fn new() -> Self {
        let handle = id::random(HANDLE_CHARS, id::LOWER_ALNUM);
        let prefix = format!("{BEGINNING}{handle}");
        let text = format!("{prefix}_{}", id::random(SECRET_CHARS, id::ALNUM));
        Self {
            digest: digest(&text),
            text,
            prefix,
        }
    }
}

/// Whether a token means to be a key.
#[must_use]
pub fn is_key(token: &str) -> bool {
    token.starts_with(BEGINNING)
}

/// The part of a key that it is told by; `None` for what is none.
fn prefix(token: &str) -> Option<&str> {
    let whole = BEGINNING.len() + HANDLE_CHARS;
    let shaped = token.len() == whole + 1 + SECRET_CHARS && token.is_ascii();
    (shaped && is_key(token) && token.as_bytes()[whole] == b'_').then(|| &token[..whole])
}

fn digest(text: &str) -> String {
    let bytes = Sha256::digest(text);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The collection of keys; none where somebody else's collection has its name.
pub(super) fn collection(tx: &ReadTx<'_>) -> Option<Arc<Collection>> {
    let found = tx.catalog().find_exact(API_KEYS)?;
    system::is_own(found).then(|| Arc::clone(found))
}

/// Whom a key stands for, if it is one, and good now.
pub(super) fn prove(
    tx: &ReadTx<'_>,
    token: &str,
    now: Timestamp,
) -> Result<Option<Identity>, StoreError> {
    let (Some(prefix), Some(keys)) = (prefix(token), collection(tx)) else {
        return Ok(None);
    };
    let row = tx.find_by(&keys, "prefix", &Value::text(prefix))?;
    // Digests of long random texts: the time of a comparison tells nothing that helps.
    let Some(row) = row.filter(|row| row.text("hash") == digest(token)) else {
        return Ok(None);
    };
    let Some(owner) = tx
        .catalog()
        .by_id(&CollectionId::new(row.text("collectionRef")))
        .filter(|owner| owner.is_auth())
    else {
        return Ok(None);
    };
    let Some(record) = tx.find(owner, row.text("recordRef"))? else {
        return Ok(None);
    };
    Ok(stands(&row, &record, now).map(|(key, expires)| Identity {
        record,
        expires,
        refreshable: false,
        session: None,
        key: Some(Arc::new(key)),
    }))
}

/// The key of the row `id`, as it is now, if it is one of `record` and good.
///
/// # Errors
/// The store's own.
pub fn present(
    tx: &ReadTx<'_>,
    id: &str,
    record: &Record,
    now: Timestamp,
) -> Result<Option<(Key, Option<Timestamp>)>, StoreError> {
    let Some(keys) = collection(tx) else {
        return Ok(None);
    };
    let row = tx.find(&keys, id)?;
    Ok(row.and_then(|row| stands(&row, record, now)))
}

/// The key that a row of `record` keeps, and when it ends.
fn stands(row: &Record, record: &Record, now: Timestamp) -> Option<(Key, Option<Timestamp>)> {
    if !rows::is_of(row, record) {
        return None;
    }
    let ends = match row.text("expires") {
        "" => None,
        // What cannot be read has ended.
        text => Some(parse_date(text).filter(|ends| *ends > now)?),
    };
    let is_superuser = row.get("superuser").is_some_and(Value::as_bool);
    let reach = if is_superuser && record.collection().is_superusers() {
        Reach::Superuser
    } else {
        Reach::Scopes(Scopes::kept(row.text("scopes")))
    };
    let key = Key {
        id: row.id().into(),
        reach,
        networks: networks(row.text("addresses"))?,
    };
    Some((key, ends))
}

/// The networks of a list as it is kept; `None` where it cannot be read.
fn networks(text: &str) -> Option<Vec<IpNet>> {
    match json::parse(text).ok() {
        None if text.is_empty() => Some(Vec::new()),
        Some(Json::Null) => Some(Vec::new()),
        Some(Json::Array(items)) => items.iter().map(|item| network(item.as_str()?)).collect(),
        _ => None,
    }
}

/// Whether a caller comes with a key that is not good where they are.
#[must_use]
pub fn is_misplaced(key: Option<&Arc<Key>>, from: IpAddr) -> bool {
    key.is_some_and(|key| !key.admits(from))
}

/// Id of the key of an identity.
#[must_use]
pub fn id_of(identity: &Identity) -> Option<&CompactString> {
    identity.key.as_ref().map(|key| &key.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_by_its_beginning() {
        let key = Fresh::new();
        assert_eq!(prefix(&key.text), Some(key.prefix.as_str()));
        assert_eq!(key.digest, digest(&key.text));
        assert_ne!(key.text, Fresh::new().text);
        assert!(is_key(&key.text));
        let longer = format!("{}a", key.text);
        let odd = key.text.replace("burrow_", "Burrow_");
        for text in ["", "burrow_", &key.prefix, &longer, &odd, &key.text[1..]] {
            assert_eq!(prefix(text), None, "{text}");
        }
        let wide = ["burrow_aaaaaaa\u{e9}", "b".repeat(40).as_str()].concat();
        assert_eq!(prefix(&wide), None);
    }

    #[test]
    fn lists_of_networks_that_cannot_be_read_let_nobody_in() {
        assert_eq!(networks(""), Some(Vec::new()));
        assert_eq!(networks("null"), Some(Vec::new()));
        assert_eq!(networks("[]"), Some(Vec::new()));
        assert_eq!(networks(r#"["127.0.0.1"]"#).unwrap().len(), 1);
        for bad in [r#"["nowhere"]"#, r#"[5]"#, r#""127.0.0.1""#, "{", "{}"] {
            assert_eq!(networks(bad), None, "{bad}");
        }
    }
}
