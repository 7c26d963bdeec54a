//! The endpoint that tries remote storage (contract-auth 5.5): a small object comes and goes.

use super::document::Document;
use crate::bucket::{Bucket, BucketError, Put, Source};
use crate::kit::id;
use crate::ops::Error;
use crate::outbound::Pool;
use crate::schema::{FieldError, FieldErrors};

const S3_FAILED: &str = "Failed to test the S3 filesystem.";

/// Tries the bucket of files or of backups.
///
/// # Errors
/// When the name is unknown, or the storage does not work.
pub async fn s3(settings: &Document, pool: &Pool, filesystem: &str) -> Result<(), Error> {
    let s3 = match filesystem {
        "storage" => &settings.s3,
        "backups" => &settings.backups.s3,
        "" => return Err(invalid("filesystem", FieldError::required())),
        _ => return Err(invalid("filesystem", unknown())),
    };
    if !s3.enabled {
        return Err(raw("S3 storage filesystem is not enabled."));
    }
    let bucket = Bucket::new(pool, &s3.options());
    let folder = format!("pb_settings_test_{}", id::random(15, id::LOWER_ALNUM));
    attempt(&bucket, &folder)
        .await
        .map_err(|error| raw(&error.to_string()))
}

/// Puts a small object into `folder`, looks at it, lists it and removes it again: everything that the bucket will be used for.
///
/// # Errors
/// What does not work.
pub async fn attempt(bucket: &Bucket, folder: &str) -> Result<(), BucketError> {
    let key = format!("{folder}/test.txt");
    let content = Source::Bytes("test".into());
    bucket.put(&key, &Put::of("text/plain"), &content).await?;
    let read = bucket.look(&key).await;
    bucket.delete(&key).await?;
    read?;
    bucket.list(&format!("{folder}/"), None).await?;
    Ok(())
}

fn unknown() -> FieldError {
    FieldError::new("validation_in_invalid", "Must be a valid value.")
}

fn invalid(key: &str, error: FieldError) -> Error {
    Error::Invalid {
        message: S3_FAILED,
        data: FieldErrors::one(key, error),
    }
}

fn raw(raw: &str) -> Error {
    Error::Raw {
        message: S3_FAILED,
        gap: " ",
        raw: raw.to_owned(),
    }
}
