//! The endpoints that try mail and remote storage: what they refuse before anything is tried (contract-auth 5.5).

use super::document::Document;
use crate::ops::Error;
use crate::schema::field::is_email;
use crate::schema::{FieldError, FieldErrors, Schema};

const S3_FAILED: &str = "Failed to test the S3 filesystem.";
const EMAIL_FAILED: &str = "Failed to send the test email.";
const TEMPLATES: [&str; 5] = [
    "verification",
    "password-reset",
    "email-change",
    "otp",
    "login-alert",
];

/// Tries the bucket of files or of backups.
///
/// # Errors
/// When the name is unknown, or the storage does not work.
pub fn s3(settings: &Document, filesystem: &str) -> Result<(), Error> {
    let bucket = match filesystem {
        "storage" => &settings.s3,
        "backups" => &settings.backups.s3,
        "" => return Err(invalid(S3_FAILED, "filesystem", FieldError::required())),
        _ => return Err(invalid(S3_FAILED, "filesystem", unknown())),
    };
    let raw = if bucket.enabled {
        "S3 storage is not part of this version."
    } else {
        "S3 storage filesystem is not enabled."
    };
    Err(raw_error(S3_FAILED, raw))
}

/// Tries to send a mail template.
///
/// # Errors
/// When a value is unknown, or mail does not work.
pub fn email(schema: &Schema, to: &str, template: &str, collection: &str) -> Result<(), Error> {
    let mut data = FieldErrors::new();
    if to.is_empty() {
        data.add("email", FieldError::required());
    } else if !is_email(to) {
        let error = FieldError::new("validation_is_email", "Must be a valid email address.");
        data.add("email", error);
    }
    if template.is_empty() {
        data.add("template", FieldError::required());
    } else if !TEMPLATES.contains(&template) {
        data.add("template", unknown());
    }
    let known = |name| schema.find(name).is_some_and(|found| found.is_auth());
    if !collection.is_empty() && !known(collection) {
        let error = FieldError::new(
            "validation_invalid_auth_collection",
            "Must be a valid auth collection id or name.",
        );
        data.add("collection", error);
    }
    if !data.is_empty() {
        return Err(Error::Invalid {
            message: EMAIL_FAILED,
            data,
        });
    }
    Err(raw_error(
        EMAIL_FAILED,
        "Outgoing mail is not part of this version.",
    ))
}

fn unknown() -> FieldError {
    FieldError::new("validation_in_invalid", "Must be a valid value.")
}

fn invalid(message: &'static str, key: &str, error: FieldError) -> Error {
    Error::Invalid {
        message,
        data: FieldErrors::one(key, error),
    }
}

fn raw_error(message: &'static str, raw: &str) -> Error {
    Error::Raw {
        message,
        gap: " ",
        raw: raw.to_owned(),
    }
}
