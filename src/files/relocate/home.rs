//! From the bucket to the folder.

use std::io::Write;

use futures_util::{StreamExt, TryStreamExt, stream};
use md5::{Digest, Md5};

use super::{MoveError, Relocation, is_blob};
use crate::bucket::{BucketError, Listed, Source, digest_of_tag};
use crate::files::direct::UPLOADS;
use crate::kit::limits::BUCKET_REQUESTS_MAX;

impl Relocation {
    /// From now on a server looks for files in the bucket although its settings do not name it: to be said before they
    /// change.
    ///
    /// # Errors
    /// The disk's own.
    pub fn begin_home(&self) -> std::io::Result<()> {
        self.marker.set()
    }

    /// Moves everything to the folder.
    ///
    /// # Errors
    /// At the first file that cannot be moved.
    pub async fn to_folder(&self) -> Result<(), MoveError> {
        self.each(|object| {
            self.expect(object.size);
            async { Ok(()) }
        })
        .await?;
        self.each(|object| self.fetch(object)).await?;
        // What was put there by requests that had begun before the settings changed.
        let kept = self.keep;
        self.each(|object| async move {
            if kept {
                Ok(())
            } else {
                self.fetch(object).await
            }
        })
        .await?;
        let failed = |error: std::io::Error| MoveError::of("storage")(error.into());
        self.marker.clear().map_err(failed)
    }

    /// Does `work` with every blob of the bucket.
    async fn each<F>(&self, work: impl Fn(Listed) -> F) -> Result<(), MoveError>
    where
        F: Future<Output = Result<(), BucketError>>,
    {
        let mut next: Option<String> = None;
        loop {
            let page = self.bucket.list("", next.as_deref()).await;
            let page = page.map_err(MoveError::of("the bucket"))?;
            stream::iter(page.objects)
                .map(|object| {
                    let key = object.key.clone();
                    let blob = is_blob(&key);
                    let done = blob.then(|| work(object));
                    async move {
                        match done {
                            Some(done) => done.await.map_err(MoveError::of(&key)),
                            // On its way to a record.
                            None if key.starts_with(UPLOADS) => Ok(()),
                            None => {
                                self.note_strange(key);
                                Ok(())
                            }
                        }
                    }
                })
                .buffer_unordered(BUCKET_REQUESTS_MAX)
                .try_collect::<()>()
                .await?;
            next = page.next;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    async fn fetch(&self, object: Listed) -> Result<(), BucketError> {
        let key = &object.key;
        let path = self.local.root().join(key);
        let there = match Source::file(&path) {
            Ok(content) => self.bucket.holds(key, &content).await?,
            Err(_) => false,
        };
        if !there && !self.bring(key).await? {
            return Ok(());
        }
        match self.bucket.look(key).await {
            // Removed meanwhile by a server, which may have looked in the folder before we put it there.
            Err(BucketError::Missing) => return Ok(self.local.delete_file(key)?),
            looked => looked?,
        };
        if !self.keep {
            self.bucket.delete(key).await?;
        }
        self.moved(object.size);
        Ok(())
    }

    /// Copies an object into the folder; `false` where it is gone.
    async fn bring(&self, key: &str) -> Result<bool, BucketError> {
        let object = match self.bucket.open(key).await {
            Err(BucketError::Missing) => return Ok(false),
            object => object?,
        };
        let facts = object.facts.clone();
        let mut draft = self.local.draft(key)?;
        let mut digest = Md5::new();
        let mut came = 0;
        let mut pieces = std::pin::pin!(object.pieces());
        while let Some(piece) = pieces.try_next().await? {
            came += piece.len() as u64;
            digest.update(&piece);
            // To the page cache: not for long.
            draft.file.write_all(&piece)?;
        }
        let digest: [u8; 16] = digest.finalize().into();
        let told = match digest_of_tag(&facts.etag) {
            Some(told) if told == digest => told,
            // The tag is no digest, or of something encrypted: a second reading has to say the same.
            _ => self.bucket.digest(key).await?,
        };
        if came != facts.size || told != digest {
            return Err(BucketError::Changed);
        }
        let name = facts.original_name.as_deref();
        self.local.settle(draft, &facts.mime, name, digest)?;
        Ok(true)
    }
}
