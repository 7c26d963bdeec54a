//! Where backups are kept: the folder of the data directory, or the bucket that the settings name, at its root.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures_util::TryStreamExt;
use serde::Serialize;

use super::archive::ArchiveError;
use super::name;
use crate::bucket::{Bucket, BucketError, Chosen, Put, Source};
use crate::files::{Blob, Want};
use crate::kit::time::Timestamp;
use crate::store::StoreError;

/// Media type of all of them.
pub(super) const ZIP: &str = "application/zip";

/// What goes wrong with backups.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Disk(#[from] io::Error),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("its data.db cannot be used: {0}")]
    Database(String),
}

impl Failure {
    /// Whether there is just nothing of that name.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::Disk(error) => error.kind() == io::ErrorKind::NotFound,
            Self::Bucket(error) => matches!(error, BucketError::Missing),
            Self::Archive(_) | Self::Store(_) | Self::Database(_) => false,
        }
    }
}

/// A backup as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backup {
    modified: String,
    pub(super) key: String,
    size: u64,
}

impl Backup {
    fn new(key: String, size: u64, modified: Timestamp) -> Self {
        Self {
            modified: modified.to_text().into(),
            key,
            size,
        }
    }

    /// When it was finished, as text that sorts by time.
    pub(super) fn modified(&self) -> &str {
        &self.modified
    }
}

/// The place. Keys that come in are those of backups: [`name::is_key`].
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    bucket: Chosen,
}

impl Shelf {
    pub(super) fn new(folder: PathBuf, bucket: Chosen) -> Self {
        Self { folder, bucket }
    }

    /// All backups, by name.
    pub(super) async fn list(&self) -> Result<Vec<Backup>, Failure> {
        let mut all = match self.bucket.now() {
            Some(bucket) => listed(&bucket).await?,
            None => {
                let folder = self.folder.clone();
                blocking(move || in_folder(&folder)).await?
            }
        };
        all.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(all)
    }

    /// Whether there is one of that name.
    pub(super) async fn has(&self, key: &str) -> Result<bool, Failure> {
        match self.bucket.now() {
            None => Ok(self.folder.join(key).is_file()),
            Some(bucket) => match bucket.look(key).await {
                Ok(_) => Ok(true),
                Err(BucketError::Missing) => Ok(false),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Opens one for reading.
    pub(super) async fn open(&self, key: &str, want: Want) -> Result<Blob, Failure> {
        match self.bucket.now() {
            Some(bucket) => Ok(Blob {
                mime: ZIP.to_owned(),
                ..Blob::open_remote(&bucket, key, want).await?
            }),
            None => {
                let path = self.folder.join(key);
                blocking(move || Ok(Blob::open(&path, ZIP)?)).await
            }
        }
    }

    /// Gives a finished archive its name, by which it is seen: whole, or not at all.
    pub(super) async fn place(&self, draft: PathBuf, key: &str) -> Result<(), Failure> {
        if let Some(bucket) = self.bucket.now() {
            bucket
                .put(key, &Put::of(ZIP), &Source::file(draft)?)
                .await?;
            return Ok(());
        }
        let folder = self.folder.clone();
        let to = folder.join(key);
        blocking(move || {
            fs::create_dir_all(folder)?;
            only_for_the_owner(&draft)?;
            Ok(fs::rename(draft, to)?)
        })
        .await
    }

    /// The archive as a file: its own, or, from a bucket, one that is written to `scratch`.
    pub(super) async fn fetch(&self, key: &str, scratch: &Path) -> Result<PathBuf, Failure> {
        let Some(bucket) = self.bucket.now() else {
            return Ok(self.folder.join(key));
        };
        let object = bucket.open(key).await?;
        let size = object.facts.size;
        let path = scratch.join("fetched.zip");
        let mut file = File::create_new(&path)?;
        only_for_the_owner(&path)?;
        let mut pieces = std::pin::pin!(object.pieces());
        let mut came = 0;
        while let Some(piece) = pieces.try_next().await? {
            came += piece.len() as u64;
            // To the page cache: not for long.
            file.write_all(&piece)?;
        }
        if came != size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(path)
    }

    /// Removes one.
    pub(super) async fn delete(&self, key: &str) -> Result<(), Failure> {
        if let Some(bucket) = self.bucket.now() {
            bucket.look(key).await?;
            return Ok(bucket.delete(key).await?);
        }
        let path = self.folder.join(key);
        blocking(move || {
            fs::remove_file(&path)?;
            fs::remove_file(format!("{}{}", path.display(), name::ATTRS)).ok();
            Ok(())
        })
        .await
    }
}

async fn listed(bucket: &Bucket) -> Result<Vec<Backup>, Failure> {
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = bucket.list_flat("", next.as_deref()).await?;
        let objects = page.objects.into_iter();
        let objects = objects.filter(|object| name::is_key(&object.key));
        all.extend(objects.map(|object| Backup::new(object.key, object.size, object.modified)));
        next = page.next;
        if next.is_none() {
            return Ok(all);
        }
    }
}

fn in_folder(folder: &Path) -> Result<Vec<Backup>, Failure> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let key = entry.file_name().into_string().unwrap_or_default();
        if metadata.is_file() && name::is_key(&key) {
            let modified = timestamp(metadata.modified()?);
            all.push(Backup::new(key, metadata.len(), modified));
        }
    }
    Ok(all)
}

/// Runs `work` on a thread that may block. A panic inside is an error like any other.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(0))
}

/// A backup holds every secret of the directory.
#[cfg(unix)]
fn only_for_the_owner(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the other systems' can fail")]
fn only_for_the_owner(_path: &Path) -> io::Result<()> {
    Ok(())
}
