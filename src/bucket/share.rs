//! Addresses by which others reach one object for a short while, without knowing our key.

use std::time::Duration;

use rusty_s3::S3Action;
use url::Url;

use super::BucketError;
use super::client::{Bucket, sign};

impl Bucket {
    /// An address to read an object at, good for `span`. The store answers with these headers instead of its own:
    /// `response-content-disposition` and the like.
    ///
    /// # Errors
    /// When the options do not hold.
    pub fn share_read(
        &self,
        key: &str,
        answers: &[(&'static str, String)],
        span: Duration,
    ) -> Result<Url, BucketError> {
        let mut action = self.place()?.get_object(Some(&self.0.credentials), key);
        for (name, value) in answers {
            action.query_mut().insert(*name, value.clone());
        }
        Ok(sign(&action, span))
    }

    /// An address to put an object at, good for `span`, for a body of exactly `length` bytes.
    ///
    /// # Errors
    /// When the options do not hold.
    pub fn share_write(&self, key: &str, length: u64, span: Duration) -> Result<Url, BucketError> {
        let mut action = self.place()?.put_object(Some(&self.0.credentials), key);
        action
            .headers_mut()
            .insert("content-length", length.to_string());
        Ok(sign(&action, span))
    }
}
