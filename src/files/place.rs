//! Where blobs are: in the storage folder, or in the bucket that the settings name. What is not in the bucket may still be
//! in the folder, from the time before there was one; while a move back is under way, what is not in the folder may still be
//! in the bucket. So a change of the settings never hides a file, and one that is removed is removed from both.

use std::io;

use super::local::Local;
use super::{Blob, Files, Key, RecordKey, Upload, Want, sniff};
use crate::bucket::{Bucket, BucketError, Put, Source};
use crate::kit::task::wait;

/// Where blobs may be besides the folder; one bucket at most.
#[derive(Debug)]
pub(super) struct Places {
    /// New blobs go there; older ones may still be in the folder.
    pub(super) used: Option<Bucket>,
    /// New blobs go to the folder; older ones may still be there.
    pub(super) left: Option<Bucket>,
}

impl Places {
    /// Whether all is in the folder.
    pub(super) fn is_local(&self) -> bool {
        self.used.is_none() && self.left.is_none()
    }
}

impl Files {
    /// Opens a blob.
    ///
    /// # Errors
    /// `NotFound` when there is none; when the bucket cannot be asked, what hinders.
    pub async fn open(&self, key: &Key, want: Want) -> io::Result<Blob> {
        let places = self.places();
        match (&places.used, &places.left) {
            (None, None) => self.open_local(key).await,
            (Some(bucket), _) => {
                for _ in 0..LOOKS {
                    match Blob::open_remote(bucket, &key.to_text(), want).await {
                        Err(BucketError::Missing) => {}
                        opened => return Ok(opened?),
                    }
                    if let Some(blob) = found(self.open_local(key).await)? {
                        return Ok(blob);
                    }
                }
                Err(io::ErrorKind::NotFound.into())
            }
            (None, Some(bucket)) => {
                for _ in 0..LOOKS {
                    if let Some(blob) = found(self.open_local(key).await)? {
                        return Ok(blob);
                    }
                    match Blob::open_remote(bucket, &key.to_text(), want).await {
                        Err(BucketError::Missing) => {}
                        opened => return Ok(opened?),
                    }
                }
                Err(io::ErrorKind::NotFound.into())
            }
        }
    }

    async fn open_local(&self, key: &Key) -> io::Result<Blob> {
        let key = key.clone();
        self.blocking(move |files| files.local().open(&key)).await
    }

    /// Opens a thumb where new ones are put.
    pub(super) async fn open_made(&self, key: &Key) -> io::Result<Blob> {
        if let Some(bucket) = self.places().used {
            return Ok(Blob::open_remote(&bucket, &key.to_text(), Want::Content).await?);
        }
        self.open_local(key).await
    }

    /// Stores an upload. For threads that may block, as everything below.
    pub(super) fn store(&self, key: &Key, upload: &Upload) -> io::Result<()> {
        let Some(bucket) = self.places().used else {
            return self.local().put(key, upload);
        };
        let what = Put {
            mime: upload.kind().mime.to_owned(),
            original_name: Some(upload.name.clone()),
        };
        // The upload lives until this has ended: what is read of it stays.
        let (key, upload) = (key.to_text(), upload.clone());
        wait(async move {
            match upload.place() {
                Some((there, from)) if there.is_same(&bucket) => {
                    bucket.copy(from, &key, &what).await?;
                }
                _ => {
                    bucket.put(&key, &what, &upload.source()?).await?;
                }
            }
            Ok(())
        })
    }

    /// Stores bytes of ours.
    pub(super) fn store_bytes(&self, key: &Key, content: Vec<u8>) -> io::Result<()> {
        let Some(bucket) = self.places().used else {
            return self.local().put_bytes(key, &content);
        };
        let what = Put::of(sniff::sniff(&content).mime);
        let key = key.to_text();
        wait(async move {
            let content = Source::Bytes(content.into());
            bucket.put(&key, &what, &content).await?;
            Ok(())
        })
    }

    /// Removes a blob with what belongs to it, wherever it is. What is gone already is fine.
    pub(super) fn remove(&self, key: &Key) -> io::Result<()> {
        let objects = Objects {
            one: Some(key.to_text()),
            folder: key.thumbs(),
        };
        self.everywhere(|local| local.delete(key), objects)
    }

    /// Removes a record's folder.
    pub(super) fn remove_record(&self, record: &RecordKey) -> io::Result<()> {
        let objects = Objects::below(record.prefix());
        self.everywhere(|local| local.delete_record(record), objects)
    }

    /// Removes a collection's folder.
    pub(super) fn remove_collection(&self, collection: &str) -> io::Result<()> {
        let Some(name) = super::key::plain(collection) else {
            return Ok(());
        };
        let objects = Objects::below(format!("{name}/"));
        self.everywhere(|local| local.delete_collection(&name), objects)
    }

    /// Removes something from both places, first from the one that files are moved out of: whoever moves them looks
    /// there again when a file has arrived, and takes it back where it is gone.
    fn everywhere(
        &self,
        local: impl FnOnce(&Local) -> io::Result<()>,
        objects: Objects,
    ) -> io::Result<()> {
        let places = self.places();
        if let Some(bucket) = places.left {
            wait(objects.clone().remove_from(bucket))?;
        }
        local(self.local())?;
        match places.used {
            Some(bucket) => wait(objects.remove_from(bucket)),
            None => Ok(()),
        }
    }
}

/// What is to be removed from a bucket.
#[derive(Clone, Debug)]
struct Objects {
    one: Option<String>,
    folder: Option<String>,
}

impl Objects {
    fn below(folder: String) -> Self {
        Self {
            one: None,
            folder: Some(folder),
        }
    }

    async fn remove_from(self, bucket: Bucket) -> io::Result<()> {
        if let Some(key) = &self.one {
            bucket.delete(key).await?;
        }
        if let Some(folder) = &self.folder {
            bucket.delete_below(folder).await?;
        }
        Ok(())
    }
}

/// Times that both places are looked in: a file may be moved between one look and the other.
const LOOKS: usize = 2;

/// Nothing, where there is nothing of that name.
fn found(opened: io::Result<Blob>) -> io::Result<Option<Blob>> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}
