//! A blob opened for reading: on the disk, or in a bucket.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use bytes::Bytes;

use crate::bucket::{Bucket, BucketError, Facts, Object};
use crate::kit::limits::FILE_CHUNK_BYTES;
use crate::kit::task::wait;

/// A blob opened for reading.
#[derive(Debug)]
pub struct Blob {
    /// The content.
    pub content: Content,
    /// Bytes.
    pub size: u64,
    /// When it was stored.
    pub modified: SystemTime,
    /// Media type, as sniffed when it was stored.
    pub mime: String,
}

/// The content of a blob: small ones are read where they are opened, which saves further trips to a blocking thread.
#[derive(Debug)]
pub enum Content {
    /// All of it.
    Whole(Bytes),
    /// Still to be read.
    File(File),
    /// In a bucket.
    Remote(Box<Remote>),
}

/// The content of an object, asked for already or not yet.
#[derive(Debug)]
pub struct Remote {
    bucket: Bucket,
    key: String,
    facts: Facts,
    begun: Option<Object>,
}

impl Remote {
    /// So many bytes of it, from `from` on; `length` is not zero.
    ///
    /// # Errors
    /// Whatever hinders.
    pub async fn part(self, from: u64, length: u64) -> Result<Object, BucketError> {
        match self.begun {
            Some(object) if from == 0 && length == self.facts.size => Ok(object),
            _ => {
                let (key, facts) = (&self.key, &self.facts);
                self.bucket.open_part(key, facts, from, length).await
            }
        }
    }
}

/// What is wanted of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// All of its content.
    Content,
    /// What is known of it, and perhaps a part of its content.
    Facts,
}

impl Blob {
    /// Opens the file at `path`, which holds what `mime` says.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn open(path: &Path, mime: impl Into<String>) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let size = metadata.len();
        let content = if size <= FILE_CHUNK_BYTES as u64 {
            Content::Whole(read(file, size)?)
        } else {
            Content::File(file)
        };
        Ok(Self {
            size,
            modified: metadata.modified()?,
            mime: mime.into(),
            content,
        })
    }

    /// Opens the object `key` of `bucket`.
    ///
    /// # Errors
    /// [`BucketError::Missing`] when there is none, and whatever hinders.
    pub async fn open_remote(bucket: &Bucket, key: &str, want: Want) -> Result<Self, BucketError> {
        let (facts, begun) = match want {
            Want::Facts => (bucket.look(key).await?, None),
            Want::Content => {
                let object = bucket.open(key).await?;
                (object.facts.clone(), Some(object))
            }
        };
        Ok(Self {
            size: facts.size,
            modified: facts.modified,
            mime: facts.mime.clone(),
            content: Content::Remote(Box::new(Remote {
                bucket: bucket.clone(),
                key: key.to_owned(),
                facts,
                begun,
            })),
        })
    }

    /// The whole content, when it has at most `most` bytes. For threads that may block.
    ///
    /// # Errors
    /// When it has more, or cannot be read.
    pub fn read(self, most: u64) -> io::Result<Bytes> {
        match self.content {
            _ if self.size > most => Err(io::ErrorKind::FileTooLarge.into()),
            Content::Whole(bytes) => Ok(bytes),
            Content::File(file) => read(file, self.size),
            Content::Remote(_) if self.size == 0 => Ok(Bytes::new()),
            Content::Remote(remote) => {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                let size = self.size;
                wait(async move {
                    let object = remote.part(0, size).await?;
                    Ok(object.whole(most).await?)
                })
            }
        }
    }
}

fn read(file: File, size: u64) -> io::Result<Bytes> {
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(size).read_to_end(&mut content)?;
    Ok(content.into())
}
