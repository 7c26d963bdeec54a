//! What the forms of these flows have in common: which texts they take, and how they say that one does not do.

use super::error::Error;
use crate::schema::field::is_email;
use crate::schema::{Collection, FieldError, FieldErrors, FieldKind};

/// Characters of an address or a password in a form.
pub(super) const TEXT_CHARS_MAX: usize = 255;

/// Characters of a password in the forms of `collection`: `least` by the contract, more where its field takes more.
pub(super) fn password_chars_max(collection: &Collection, least: usize) -> usize {
    let field = collection.field("password").map(|field| &field.kind);
    match field {
        Some(FieldKind::Password(options)) => {
            least.max(usize::try_from(options.chars_max()).unwrap_or(0))
        }
        _ => least,
    }
}

/// The error of a text that has more than `most` characters.
pub(super) fn too_long(most: usize) -> FieldError {
    out_of_range(1, most)
}

/// The error of a text that has less than `least` or more than `most` characters.
pub(super) fn out_of_range(least: usize, most: usize) -> FieldError {
    FieldError::new(
        "validation_length_out_of_range",
        format!("The length must be between {least} and {most}."),
    )
    .with("min", least)
    .with("max", most)
}

/// What is wrong with an address.
pub(super) fn address(text: &str) -> Option<FieldError> {
    if text.is_empty() {
        Some(FieldError::required())
    } else if text.chars().count() > TEXT_CHARS_MAX {
        Some(too_long(TEXT_CHARS_MAX))
    } else if is_email(text) {
        None
    } else {
        Some(FieldError::new(
            "validation_is_email",
            "Must be a valid email address.",
        ))
    }
}

/// Refuses a form with errors.
pub(super) fn refuse(errors: FieldErrors) -> Result<(), Error> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Form(errors))
    }
}

/// The errors that links have in common, by the contract's codes.
pub(super) fn broken_token() -> FieldError {
    FieldError::new("validation_invalid_token", "Invalid or expired token.")
}

/// See [`broken_token`].
pub(super) fn foreign_token() -> FieldError {
    FieldError::new(
        "validation_token_collection_mismatch",
        "The provided token is for different auth collection.",
    )
}
