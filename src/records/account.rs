//! What is special about records that sign in: the form that guards password, e-mail and `verified`, and what a change
//! of them ends (contract 5.7; contract-auth 1.4, 1.5).

use compact_str::CompactString;

use super::Error;
use super::draft::Draft;
use super::remove;
use super::system::REFERENCE_COLLECTIONS;
use crate::call::Call;
use crate::expr::Guard;
use crate::kit::value::Value;
use crate::schema::system::API_KEYS;
use crate::schema::{Collection, Field, FieldError, FieldErrors, FieldKind, Record};
use crate::store::{ReadTx, WriteTx};

/// The collection of sign-ins.
pub const SESSIONS: &str = "_sessions";
/// The `method` of the one session that stands for all tokens which name none: those of PocketBase. They end with the
/// account's token key only.
pub const OLDER_SIGN_INS: &str = "older";

/// Whether the caller manages the account `record`: a superuser, or somebody for whom the manage rule holds. `judge`
/// says where the record is looked at.
///
/// # Errors
/// The store's own.
pub fn manages(
    tx: &ReadTx<'_>,
    call: &Call,
    collection: &Collection,
    judge: impl FnOnce(&crate::expr::Filter) -> Result<bool, Error>,
) -> Result<bool, Error> {
    if call.actor.is_above_rules() {
        return Ok(true);
    }
    let rule = collection.auth().and_then(|o| o.manage_rule.as_deref());
    match (rule, call.actor.record()) {
        (Some(""), Some(_)) => Ok(true),
        (Some(rule), Some(_)) => match tx.catalog().filter(collection, rule, Guard::Trusted) {
            Ok(filter) => judge(&filter),
            // A rule that does not resolve any more gives nobody anything.
            Err(_) => Ok(false),
        },
        _ => Ok(false),
    }
}

/// What the form of a new account lacks; field errors wait until it is right.
#[must_use]
pub fn create_form(draft: &Draft, after: &Record, manages: bool) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if !manages && is_verified(after) {
        errors.add("verified", mismatch());
    }
    let plain = draft.password("password").map_or("", |p| p.plain.as_str());
    if plain.is_empty() {
        errors.add("password", FieldError::required());
    }
    confirm(draft, plain, &mut errors);
    errors
}

/// What the form of a changed account lacks. `proven` says whether a hash is that of the submitted old password.
#[must_use]
pub fn update_form(
    draft: &Draft,
    before: &Record,
    after: &Record,
    manages: bool,
    proven: impl FnOnce(&str) -> bool,
) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if !manages {
        if before.text("email") != after.text("email") {
            errors.add("email", mismatch());
        }
        if is_verified(before) != is_verified(after) {
            errors.add("verified", mismatch());
        }
    }
    let plain = draft.password("password").map_or("", |p| p.plain.as_str());
    let old = draft.extra("oldPassword");
    let changes = changes_password(draft);
    if !changes && old.is_empty() {
        return errors;
    }
    if !manages && changes {
        if old.is_empty() {
            errors.add("oldPassword", FieldError::required());
        } else if !proven(before.text("password")) {
            errors.add(
                "oldPassword",
                FieldError::new(
                    "validation_invalid_old_password",
                    "Missing or invalid old password.",
                ),
            );
        }
    }
    if plain.is_empty() {
        errors.add("password", FieldError::required());
    }
    confirm(draft, plain, &mut errors);
    errors
}

/// Whether a new password was submitted, or the confirmation of one: only then is the old one looked at.
#[must_use]
pub fn changes_password(draft: &Draft) -> bool {
    let password = draft.password("password");
    password.is_some_and(|password| !password.plain.is_empty())
        || !draft.extra("passwordConfirm").is_empty()
}

fn confirm(draft: &Draft, plain: &str, errors: &mut FieldErrors) {
    let confirmed = draft.extra("passwordConfirm");
    if confirmed.is_empty() {
        errors.add("passwordConfirm", FieldError::required());
    } else if confirmed != plain {
        errors.add("passwordConfirm", mismatch());
    }
}

fn mismatch() -> FieldError {
    FieldError::new("validation_values_mismatch", "Values don't match.")
}

/// Whether the account's address is verified.
#[must_use]
pub fn is_verified(record: &Record) -> bool {
    record.get("verified").is_some_and(Value::as_bool)
}

/// A fresh token key by the field's own pattern.
fn fresh_token_key(collection: &Collection) -> Option<Value> {
    let field = collection.field("tokenKey")?;
    let fallback = || Value::Text(crate::kit::id::random(50, crate::kit::id::ALNUM));
    match &field.kind {
        FieldKind::Text(_) => Some(Field::autogenerate(field).unwrap_or_else(fallback)),
        _ => None,
    }
}

/// What a change of an account ends: tokens, codes, second factors, known devices, links to providers. Called before
/// the record is written, so that the fresh token key goes with it.
///
/// # Errors
/// The store's own.
pub fn before_update(
    tx: &mut WriteTx<'_>,
    call: &Call,
    before: &Record,
    after: &mut Record,
) -> Result<(), Error> {
    let changed = |name: &str| before.get(name) != after.get(name);
    let password = changed("password");
    let email = changed("email");
    let confirmed = !is_verified(before) && is_verified(after);
    let linked = confirmed && !owned(tx, "_externalAuths", before)?.is_empty();
    if (password || email || linked)
        && before.text("tokenKey") == after.text("tokenKey")
        && let Some(key) = fresh_token_key(before.collection())
    {
        after.set("tokenKey", key);
    }
    if before.text("tokenKey") != after.text("tokenKey") {
        // No token of theirs is signed with the new key.
        forget_sessions(tx, before, None)?;
    }
    let mut ended: Vec<&str> = Vec::new();
    if password {
        ended.extend(["_mfas", "_otps", "_authOrigins"]);
    } else if email || linked {
        ended.push("_otps");
    }
    if linked {
        ended.push("_externalAuths");
    }
    for name in ended {
        for record in owned(tx, name, before)? {
            remove::remove(tx, call, &record, &mut remove::Gone::default())?;
        }
    }
    Ok(())
}

/// Ends whatever an account holds that its maker may have planted: sessions, keys, factors, devices, links. For the
/// day when somebody else proves that the address is theirs.
///
/// # Errors
/// The store's own.
pub fn disown(tx: &mut WriteTx<'_>, call: &Call, account: &Record) -> Result<(), Error> {
    for name in REFERENCE_COLLECTIONS {
        for record in owned(tx, name, account)? {
            remove::remove(tx, call, &record, &mut remove::Gone::default())?;
        }
    }
    Ok(())
}

/// Ends the ways in that PocketBase does not have: for the day when an address is proven by a mail that also ends the
/// password. Who registered it in advance keeps none of them.
///
/// # Errors
/// The store's own.
pub fn end_planted(tx: &mut WriteTx<'_>, call: &Call, account: &Record) -> Result<(), Error> {
    for name in [API_KEYS, "_passkeys", "_totps"] {
        for record in owned(tx, name, account)? {
            remove::remove(tx, call, &record, &mut remove::Gone::default())?;
        }
    }
    Ok(())
}

/// Ends all sessions of an account but `keep`: rows, and by a fresh token key all tokens, those too that name none.
///
/// # Errors
/// The store's own.
pub fn end_sessions(
    tx: &mut WriteTx<'_>,
    call: &Call,
    before: &Record,
    keep: Option<&str>,
) -> Result<Record, Error> {
    let mut after = before.clone();
    if let Some(key) = fresh_token_key(before.collection()) {
        after.set("tokenKey", key);
    }
    forget_sessions(tx, before, keep)?;
    remove::touch(&mut after, call);
    tx.update(before, &after)?;
    Ok(after)
}

fn forget_sessions(
    tx: &mut WriteTx<'_>,
    account: &Record,
    keep: Option<&str>,
) -> Result<(), Error> {
    for row in owned(tx, SESSIONS, account)? {
        if Some(row.id()) != keep {
            tx.delete(&row)?;
        }
    }
    Ok(())
}

/// A session was removed: the one of older sign-ins takes the token key with it, since nothing else ends them.
///
/// # Errors
/// The store's own.
pub(super) fn after_session(
    tx: &mut WriteTx<'_>,
    call: &Call,
    session: &Record,
) -> Result<(), Error> {
    if session.text("method") != OLDER_SIGN_INS {
        return Ok(());
    }
    let catalog = std::sync::Arc::clone(tx.catalog());
    let Some(owner) = catalog.find(session.text("collectionRef")) else {
        return Ok(());
    };
    // Removed with its account there is nothing left to end.
    match tx.find(owner, session.text("recordRef"))? {
        Some(account) => end_sessions(tx, call, &account, None).map(drop),
        None => Ok(()),
    }
}

/// Writes what a flow of sign-in changed of an account, with what that ends. Rules are not asked: the flow has proven
/// who changes it.
///
/// # Errors
/// The store's own.
pub fn save(
    tx: &mut WriteTx<'_>,
    call: &Call,
    before: &Record,
    mut after: Record,
) -> Result<Record, Error> {
    before_update(tx, call, before, &mut after)?;
    remove::touch(&mut after, call);
    tx.update(before, &after)?;
    Ok(after)
}

/// The rows of the system collection `name` that belong to the account `owner`.
///
/// # Errors
/// The store's own.
pub fn owned(tx: &ReadTx<'_>, name: &str, owner: &Record) -> Result<Vec<Record>, Error> {
    let Some(collection) = tx.catalog().find(name) else {
        return Ok(Vec::new());
    };
    Ok(tx.owned(collection, &owner.collection().id, owner.id())?)
}

/// Ids of accounts are unique over all collections of accounts: tells whether `id` is taken in another one.
///
/// # Errors
/// The store's own.
pub fn id_taken_elsewhere(
    tx: &ReadTx<'_>,
    collection: &Collection,
    id: &CompactString,
) -> Result<bool, Error> {
    for other in tx.catalog().iter() {
        if other.is_auth() && other.id != collection.id && tx.find(other, id)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
