//! Putting objects. The store checks each body by its digest, so that what it says it has is what was sent; an object is
//! there whole or not at all.

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rusty_s3::actions::{CompleteMultipartUploadResponse, CreateMultipartUpload};

use super::client::{Bucket, text, understood};
use super::{BucketError, Source};
use crate::kit::limits::{BUCKET_PART_BYTES, BUCKET_PARTS_MAX, BUCKET_PUT_BYTES_MAX};

/// Header of the name that whoever uploaded an object gave it, percent-encoded as PocketBase's is.
pub(super) const ORIGINAL_NAME: &str = "x-amz-meta-original-filename";

/// What cannot stand in the value of a header as it is.
const UNFIT: &AsciiSet = &CONTROLS.add(b'%').add(b' ').add(b'"');

/// What an object is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// Media type.
    pub mime: String,
    /// The name that whoever uploaded it gave it.
    pub original_name: Option<String>,
}

impl Put {
    /// Something of that media type.
    #[must_use]
    pub fn of(mime: &str) -> Self {
        Self {
            mime: mime.to_owned(),
            original_name: None,
        }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("content-type", self.mime.clone())];
        if let Some(name) = &self.original_name {
            let name = utf8_percent_encode(name, UNFIT).to_string();
            headers.push((ORIGINAL_NAME, name));
        }
        headers
    }
}

impl Bucket {
    /// Puts an object, in the place of one that is there. Gives its tag.
    ///
    /// # Errors
    /// Whatever hinders; nothing is there then, or what was there before.
    pub async fn put(
        &self,
        key: &str,
        what: &Put,
        content: &Source,
    ) -> Result<String, BucketError> {
        if content.length() > BUCKET_PUT_BYTES_MAX {
            return self.put_parts(key, what, content).await;
        }
        let mut headers = what.headers();
        headers.push(("content-md5", content.digest().await?));
        let action = self.place()?.put_object(Some(&self.0.credentials), key);
        let response = self.act(action, &headers, content.clone()).await?;
        Ok(tag(&response))
    }

    /// Copies an object within the bucket.
    ///
    /// # Errors
    /// [`BucketError::Missing`], and whatever hinders.
    pub async fn copy(&self, from: &str, to: &str, what: &Put) -> Result<(), BucketError> {
        let place = self.place()?;
        // The path of an address is encoded as this header wants it.
        let path = place.object_url(from).path().to_owned();
        let base = place.base_url().path();
        let inside = path.strip_prefix(base).unwrap_or(&path);
        let mut headers = what.headers();
        headers.push(("x-amz-copy-source", format!("/{}/{inside}", place.name())));
        headers.push(("x-amz-metadata-directive", "REPLACE".to_owned()));
        let action = place.put_object(Some(&self.0.credentials), to);
        let nothing = Source::Bytes(Bytes::new());
        let response = self.act(action, &headers, nothing).await?;
        // A copy may fail after its status was sent.
        let status = response.status();
        let said = text(response).await?;
        if said.contains("<Error>") {
            return Err(understood(status, &said));
        }
        Ok(())
    }

    async fn put_parts(
        &self,
        key: &str,
        what: &Put,
        content: &Source,
    ) -> Result<String, BucketError> {
        let credentials = Some(&self.0.credentials);
        let nothing = Source::Bytes(Bytes::new());
        let begin = self.place()?.create_multipart_upload(credentials, key);
        let begun = text(self.act(begin, &what.headers(), nothing.clone()).await?).await?;
        let begun = CreateMultipartUpload::parse_response(&begun)
            .map_err(|error| BucketError::Answer(error.to_string()))?;
        let upload = begun.upload_id();
        let sent = self.send_parts(key, upload, content).await;
        if sent.is_err() {
            // Parts that are nobody's cost money until somebody notices.
            let abort = self
                .place()?
                .abort_multipart_upload(credentials, key, upload);
            if let Err(error) = self.act(abort, &[], nothing).await {
                tracing::warn!(%error, key, "parts of an object stay behind in the bucket");
            }
        }
        sent
    }

    async fn send_parts(
        &self,
        key: &str,
        upload: &str,
        content: &Source,
    ) -> Result<String, BucketError> {
        let (place, credentials) = (self.place()?, Some(&self.0.credentials));
        let whole = content.length();
        let size = part_bytes(whole);
        let mut tags = Vec::new();
        let mut at = 0;
        while at < whole {
            let part = content.part(at, size);
            let number = u16::try_from(tags.len() + 1).unwrap_or(u16::MAX);
            let action = place.upload_part(credentials, key, number, upload);
            let digest = [("content-md5", part.digest().await?)];
            at += part.length();
            tags.push(tag(&self.act(action, &digest, part).await?));
        }
        let tags = tags.iter().map(String::as_str);
        let action = place.complete_multipart_upload(credentials, key, upload, tags);
        let body = Source::Bytes(action.clone().body().into());
        let response = self.act(action, &[], body).await?;
        let status = response.status();
        let said = text(response).await?;
        let done = CompleteMultipartUploadResponse::parse(&said);
        done.map(|done| done.etag().to_owned())
            .map_err(|_| understood(status, &said))
    }
}

/// Bytes of each part of an object of so many.
pub(super) fn part_bytes(whole: u64) -> u64 {
    BUCKET_PART_BYTES.max(whole.div_ceil(BUCKET_PARTS_MAX))
}

fn tag<B>(response: &hyper::Response<B>) -> String {
    let tag = response.headers().get(hyper::header::ETAG);
    let tag = tag.and_then(|value| value.to_str().ok());
    tag.unwrap_or("").to_owned()
}
