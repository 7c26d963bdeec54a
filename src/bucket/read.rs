//! Looking at objects and reading them, whole or in part.

use std::io;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName};
use percent_encoding::percent_decode;

use super::client::{Bucket, piece, whole};
use super::put::ORIGINAL_NAME;
use super::{BucketError, Source};

/// What is known of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Bytes.
    pub size: u64,
    /// When it was put.
    pub modified: SystemTime,
    /// Media type.
    pub mime: String,
    /// Which content it is.
    pub etag: String,
    /// The name that whoever uploaded it gave it.
    pub original_name: Option<String>,
}

/// An object whose content is on its way.
#[derive(Debug)]
pub struct Object {
    /// What is known of it.
    pub facts: Facts,
    body: Incoming,
}

impl Object {
    /// The content, a piece at a time.
    pub fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::try_unfold(self.body, |mut body| async move {
            let piece = piece(&mut body).await?;
            Ok(piece.map(|piece| (piece, body)))
        })
    }

    /// The whole content, of at most so many bytes.
    ///
    /// # Errors
    /// When there are more, or they do not come.
    pub async fn whole(self, most: usize) -> Result<Bytes, BucketError> {
        whole(self.body, most).await
    }
}

impl Bucket {
    /// What is known of an object.
    ///
    /// # Errors
    /// [`BucketError::Missing`], and whatever hinders.
    pub async fn look(&self, key: &str) -> Result<Facts, BucketError> {
        let action = self.place()?.head_object(Some(&self.0.credentials), key);
        let response = self.act(action, &[], Source::Bytes(Bytes::new())).await?;
        Ok(facts(response.headers()))
    }

    /// Opens an object.
    ///
    /// # Errors
    /// [`BucketError::Missing`], and whatever hinders.
    pub async fn open(&self, key: &str) -> Result<Object, BucketError> {
        self.get(key, &[]).await
    }

    /// Opens a part of an object, if it still is the one that `facts` tell of. `length` is not zero.
    ///
    /// # Errors
    /// [`BucketError::Changed`], [`BucketError::Missing`], and whatever hinders.
    pub async fn open_part(
        &self,
        key: &str,
        facts: &Facts,
        from: u64,
        length: u64,
    ) -> Result<Object, BucketError> {
        let mut headers = Vec::new();
        if from > 0 || length < facts.size {
            headers.push(("range", format!("bytes={from}-{}", from + length - 1)));
        }
        if !facts.etag.is_empty() {
            headers.push(("if-match", facts.etag.clone()));
        }
        self.get(key, &headers).await
    }

    async fn get(
        &self,
        key: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Object, BucketError> {
        let action = self.place()?.get_object(Some(&self.0.credentials), key);
        let nothing = Source::Bytes(Bytes::new());
        let response = self.act(action, headers, nothing).await?;
        Ok(Object {
            facts: facts(response.headers()),
            body: response.into_body(),
        })
    }
}

fn facts(headers: &HeaderMap) -> Facts {
    let text = |name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("").to_owned()
    };
    let modified = httpdate::parse_http_date(&text(header::LAST_MODIFIED));
    let mime = text(header::CONTENT_TYPE);
    Facts {
        size: text(header::CONTENT_LENGTH).parse().unwrap_or(0),
        modified: modified.unwrap_or(SystemTime::UNIX_EPOCH),
        mime: if mime.is_empty() {
            "application/octet-stream".to_owned()
        } else {
            mime
        },
        etag: text(header::ETAG),
        original_name: headers
            .get(ORIGINAL_NAME)
            .map(|name| percent_decode(name.as_bytes()).decode_utf8_lossy().into()),
    }
}
