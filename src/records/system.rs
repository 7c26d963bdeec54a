//! The system collections' own demands (contract-auth 4): references to accounts, and the superusers.

use super::Error;
use super::remove::{self, Gone};
use crate::call::Call;
use crate::kit::value::Value;
use crate::schema::provider::is_provider;
use crate::schema::system::API_KEYS;
use crate::schema::{CollectionId, FieldError, FieldErrors, Record};
use crate::store::{ReadTx, WriteTx};

/// The account that exists until the first real superuser does.
pub const INSTALLER_EMAIL: &str = "__pbinstaller@example.com";

/// Collections whose rows belong to an account by `collectionRef` and `recordRef`.
pub(super) const REFERENCE_COLLECTIONS: [&str; 8] = [
    API_KEYS,
    "_authOrigins",
    "_externalAuths",
    "_mfas",
    "_otps",
    "_passkeys",
    "_sessions",
    "_totps",
];

/// What is wrong with the references of a row in one of [`REFERENCE_COLLECTIONS`]; the first thing only.
///
/// # Errors
/// The store's own.
pub(super) fn references(tx: &ReadTx<'_>, record: &Record) -> Result<FieldErrors, Error> {
    let name = record.collection().name.as_str();
    if !REFERENCE_COLLECTIONS.contains(&name) {
        return Ok(FieldErrors::new());
    }
    let catalog = tx.catalog();
    let owner = catalog.by_id(&CollectionId::new(record.text("collectionRef")));
    let Some(owner) = owner.filter(|collection| collection.is_auth()) else {
        return Ok(FieldErrors::one(
            "collectionRef",
            FieldError::new(
                "validation_invalid_collection_id",
                "Missing or invalid collection.",
            ),
        ));
    };
    if tx.find(owner, record.text("recordRef"))?.is_none() {
        return Ok(FieldErrors::one(
            "recordRef",
            FieldError::new("validation_invalid_record", "Missing or invalid record."),
        ));
    }
    if name == "_externalAuths" && !is_provider(record.text("provider")) {
        return Ok(FieldErrors::one(
            "provider",
            FieldError::new("validation_in_invalid", "Must be a valid value."),
        ));
    }
    Ok(FieldErrors::new())
}

/// Superusers are verified, whatever was submitted.
pub(super) fn force_verified(record: &mut Record) {
    if record.collection().is_superusers() {
        record.set("verified", Value::from(true));
    }
}

/// A new superuser ends the installer's account.
///
/// # Errors
/// The store's own.
pub(super) fn after_create(
    tx: &mut WriteTx<'_>,
    call: &Call,
    record: &Record,
) -> Result<(), Error> {
    if !record.collection().is_superusers() || record.text("email") == INSTALLER_EMAIL {
        return Ok(());
    }
    let collection = std::sync::Arc::clone(record.collection());
    let installer = tx.find_by(&collection, "email", &Value::text(INSTALLER_EMAIL))?;
    match installer {
        Some(installer) => remove::remove(tx, call, &installer, &mut Gone::default()),
        None => Ok(()),
    }
}
