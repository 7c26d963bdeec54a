//! The endpoint that tries remote storage: what it refuses before anything is tried (contract-auth 5.5).

use super::document::Document;
use crate::ops::Error;
use crate::schema::{FieldError, FieldErrors};

const S3_FAILED: &str = "Failed to test the S3 filesystem.";

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
