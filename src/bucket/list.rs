//! What is in a bucket, and taking it out.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rusty_s3::actions::ListObjectsV2;

use super::client::{Bucket, text};
use super::{BucketError, Source};
use crate::kit::limits::BUCKET_REQUESTS_MAX;
use crate::kit::time::Timestamp;

/// An object as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was put.
    pub modified: Timestamp,
    /// Which content it is.
    pub etag: String,
}

/// Some of the objects, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The objects.
    pub objects: Vec<Listed>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

impl Bucket {
    /// The objects whose keys begin with `prefix`, a page of them: the first, or the one after `next` of another page.
    ///
    /// # Errors
    /// Whatever hinders.
    pub async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, BucketError> {
        self.page(prefix, next, None).await
    }

    /// The same, but only those without a slash behind the prefix.
    ///
    /// # Errors
    /// Whatever hinders.
    pub async fn list_flat(&self, prefix: &str, next: Option<&str>) -> Result<Page, BucketError> {
        self.page(prefix, next, Some("/")).await
    }

    async fn page(
        &self,
        prefix: &str,
        next: Option<&str>,
        delimiter: Option<&str>,
    ) -> Result<Page, BucketError> {
        let mut action = self.place()?.list_objects_v2(Some(&self.0.credentials));
        if !prefix.is_empty() {
            action.with_prefix(prefix.to_owned());
        }
        if let Some(next) = next {
            action.with_continuation_token(next.to_owned());
        }
        if let Some(delimiter) = delimiter {
            action.with_delimiter(delimiter.to_owned());
        }
        let response = self.act(action, &[], Source::Bytes(Bytes::new())).await?;
        let said = ListObjectsV2::parse_response(&text(response).await?)
            .map_err(|error| BucketError::Answer(error.to_string()))?;
        let objects = said.contents.into_iter().map(|object| Listed {
            key: object.key,
            size: object.size.unwrap_or(0),
            modified: moment(object.last_modified.as_deref()),
            etag: object.etag.unwrap_or_default(),
        });
        Ok(Page {
            objects: objects.collect(),
            next: said.next_continuation_token,
        })
    }

    /// Removes an object. One that is not there is fine.
    ///
    /// # Errors
    /// Whatever hinders.
    pub async fn delete(&self, key: &str) -> Result<(), BucketError> {
        let action = self.place()?.delete_object(Some(&self.0.credentials), key);
        let done = self.act(action, &[], Source::Bytes(Bytes::new())).await;
        match done {
            Ok(_) | Err(BucketError::Missing) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes all objects whose keys begin with `prefix`, which is a folder's: it ends with a slash.
    ///
    /// # Errors
    /// Whatever hinders; some may be gone then.
    pub async fn delete_below(&self, prefix: &str) -> Result<(), BucketError> {
        if !prefix.ends_with('/') || prefix.len() < 2 {
            return Err(BucketError::Options(format!("{prefix:?} is no folder")));
        }
        loop {
            // Always the first page: what was on it is gone when it is asked for again.
            let page = self.list(prefix, None).await?;
            stream::iter(page.objects)
                .map(|object| async move { self.delete(&object.key).await })
                .buffer_unordered(BUCKET_REQUESTS_MAX)
                .try_collect::<()>()
                .await?;
            if page.next.is_none() {
                return Ok(());
            }
        }
    }
}

fn moment(text: Option<&str>) -> Timestamp {
    let moment = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    Timestamp::from_millis(moment.map_or(0, |moment| moment.as_millisecond()))
}
