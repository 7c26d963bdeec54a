//! From the folder to the bucket.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::walk::{Found, Walk};
use super::{MoveError, Relocation, is_blob};
use crate::bucket::{BucketError, Put, Source};
use crate::files::local::known_of;
use crate::kit::limits::BUCKET_REQUESTS_MAX;

impl Relocation {
    /// Moves everything to the bucket, which the settings must name already, so that new files go there.
    ///
    /// # Errors
    /// At the first file that cannot be moved.
    pub async fn to_bucket(&self) -> Result<(), MoveError> {
        for found in Walk::of(self.local.root()).flatten() {
            if is_blob(&found.relative) {
                self.expect(found.size);
            }
        }
        stream::iter(Walk::of(self.local.root()))
            .map(|found| async move {
                let unread = |error: std::io::Error| MoveError::of("storage")(error.into());
                let found = found.map_err(unread)?;
                let moved = self.send(&found).await;
                moved.map_err(MoveError::of(&found.relative))
            })
            .buffer_unordered(BUCKET_REQUESTS_MAX)
            .try_collect()
            .await
    }

    async fn send(&self, found: &Found) -> Result<(), BucketError> {
        let key = &found.relative;
        if !is_blob(key) {
            self.note_strange(key.clone());
            return Ok(());
        }
        let content = match Source::file(&found.path) {
            // Removed meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            content => content?,
        };
        if !self.bucket.holds(key, &content).await? {
            let (mime, original_name) = known_of(&found.path);
            let what = Put {
                mime,
                original_name,
            };
            self.bucket.put(key, &what, &content).await?;
            if !self.bucket.holds(key, &content).await? {
                return Err(BucketError::Changed);
            }
        }
        if !found.path.exists() {
            // Removed meanwhile by a server, which may have looked in the bucket before we put it there.
            return self.bucket.delete(key).await;
        }
        if !self.keep {
            self.local.delete_file(key)?;
        }
        self.moved(found.size);
        Ok(())
    }
}
