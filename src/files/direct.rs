//! Bytes that go between a client and the bucket past this server: by addresses for one object that are good for a short
//! while. What a client puts lies under a key that is nobody's until a record takes it.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use url::Url;

use super::{Files, Key, Upload};
use crate::bucket::{Bucket, BucketError};
use crate::kit::clock::Clock;
use crate::kit::id;
use crate::kit::limits::{DIRECT_LOOK_SECS, DIRECT_SECS_MAX, SHARED_READ_SECS, SHARED_WRITE_SECS};
use crate::kit::task::wait;

/// Where objects lie that are nobody's yet.
pub(super) const UPLOADS: &str = ".uploads/";

/// An address of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shared {
    /// The address.
    pub url: String,
    /// When it stops to work.
    pub expires: String,
}

impl Shared {
    fn new(url: Url, secs: u64) -> Self {
        let millis = i64::try_from(secs * 1_000).unwrap_or(i64::MAX);
        Self {
            url: url.into(),
            // The store judges by the world's time.
            expires: Clock::system().now().plus_millis(millis).to_text().into(),
        }
    }
}

impl Files {
    /// An address at which a blob is read from the bucket, with the disposition and the media type that `answers` makes
    /// of the one it was stored with. `None` where it is not in a bucket.
    ///
    /// # Errors
    /// When the bucket cannot be asked.
    pub async fn share(
        &self,
        key: &Key,
        answers: impl FnOnce(&str) -> (String, String),
    ) -> Result<Option<Shared>, BucketError> {
        let Some(bucket) = self.places().used else {
            return Ok(None);
        };
        let key = key.to_text();
        let facts = match bucket.look(&key).await {
            Err(BucketError::Missing) => return Ok(None),
            facts => facts?,
        };
        let (disposition, mime) = answers(&facts.mime);
        let answers = [
            ("response-content-disposition", disposition),
            ("response-content-type", mime),
        ];
        let url = bucket.share_read(&key, &answers, Duration::from_secs(SHARED_READ_SECS))?;
        Ok(Some(Shared::new(url, SHARED_READ_SECS)))
    }

    /// An address to put `size` bytes at, with the key under which they will lie. `None` while there is no bucket.
    ///
    /// # Errors
    /// When the settings of the bucket do not hold.
    pub fn expect(&self, size: u64) -> Result<Option<(Shared, String)>, BucketError> {
        let Some(bucket) = self.places().used else {
            return Ok(None);
        };
        self.clean_abandoned(&bucket);
        let key = format!("{UPLOADS}{}", id::random(30, id::LOWER_ALNUM));
        let url = bucket.share_write(&key, size, Duration::from_secs(SHARED_WRITE_SECS))?;
        Ok(Some((Shared::new(url, SHARED_WRITE_SECS), key)))
    }

    /// What a client has put under `key` as `name`, if it has put `size` bytes there.
    ///
    /// # Errors
    /// When the bucket cannot be asked.
    pub async fn arrived(
        &self,
        key: &str,
        name: &str,
        size: u64,
    ) -> Result<Option<Upload>, BucketError> {
        let Some(bucket) = self.places().used else {
            return Ok(None);
        };
        let facts = match bucket.look(key).await {
            Err(BucketError::Missing) => return Ok(None),
            facts => facts?,
        };
        if facts.size != size || size == 0 {
            return Ok(None);
        }
        let most = super::sniff::HEAD_BYTES;
        let head = bucket.open_part(key, &facts, 0, size.min(most as u64));
        let head = head.await?.whole(most).await?;
        let (name, key) = (name.to_owned(), key.to_owned());
        Ok(Some(Upload::remote(name, size, &head, bucket, key)))
    }

    /// Removes what a client had put, now that it is a record's.
    pub(super) fn forget(&self, upload: &Upload) -> io::Result<()> {
        match upload.place() {
            Some((bucket, key)) => {
                let (bucket, key) = (bucket.clone(), key.to_owned());
                wait(async move { io::Result::Ok(bucket.delete(&key).await?) })
            }
            None => Ok(()),
        }
    }

    /// Removes, in the background and not often, what never became anybody's.
    fn clean_abandoned(&self, bucket: &Bucket) {
        let now = Clock::system().now();
        let last = self.0.cleaned.load(Ordering::Relaxed);
        let due = last + i64::try_from(DIRECT_LOOK_SECS * 1_000).unwrap_or(i64::MAX);
        let mine = now.as_millis() >= due
            && self
                .0
                .cleaned
                .compare_exchange(last, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !mine {
            return;
        }
        let bucket = bucket.clone();
        let old = now.plus_millis(-i64::try_from(DIRECT_SECS_MAX * 1_000).unwrap_or(0));
        self.in_background(move |_| {
            wait(async move {
                let mut next: Option<String> = None;
                loop {
                    let page = bucket.list(UPLOADS, next.as_deref()).await?;
                    for object in page.objects.iter().filter(|one| one.modified < old) {
                        bucket.delete(&object.key).await?;
                    }
                    next = page.next;
                    if next.is_none() {
                        return Ok(());
                    }
                }
            })
        });
    }
}
