//! Where generations are kept: a folder, or a bucket below a prefix. Things appear there whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;

use crate::bucket::{Bucket, Put, Source};
use crate::kit::id;

/// Prefix of everything of ours in a bucket.
const PREFIX: &str = ".shipped/";

/// A folder or a bucket.
#[derive(Clone, Debug)]
pub enum Place {
    /// The folder.
    Folder(PathBuf),
    /// The bucket.
    Bucket(Bucket),
}

impl Place {
    /// Puts something, in the place of what has that name.
    pub(super) async fn put(&self, name: &str, content: &Source) -> io::Result<()> {
        match self {
            Self::Bucket(bucket) => {
                let what = Put::of("application/octet-stream");
                let key = format!("{PREFIX}{name}");
                bucket.put(&key, &what, content).await?;
                Ok(())
            }
            Self::Folder(root) => {
                let (path, content) = (root.join(name), content.clone());
                blocking(move || write(&path, &content)).await
            }
        }
    }

    /// Names of all that is there, in order.
    pub(super) async fn list(&self) -> io::Result<Vec<String>> {
        let mut names = match self {
            Self::Folder(root) => {
                let root = root.clone();
                blocking(move || below(&root)).await?
            }
            Self::Bucket(bucket) => {
                let mut names = Vec::new();
                let mut next: Option<String> = None;
                loop {
                    let page = bucket.list(PREFIX, next.as_deref()).await?;
                    let keys = page.objects.into_iter().map(|object| object.key);
                    names.extend(keys.filter_map(|key| Some(key.strip_prefix(PREFIX)?.to_owned())));
                    next = page.next;
                    if next.is_none() {
                        break names;
                    }
                }
            }
        };
        names.sort();
        Ok(names)
    }

    /// Copies something to the file at `to`, which must not be there.
    pub(super) async fn fetch(&self, name: &str, to: &Path) -> io::Result<()> {
        match self {
            Self::Folder(root) => {
                let (from, to) = (root.join(name), to.to_owned());
                blocking(move || fs::copy(from, to).map(drop)).await
            }
            Self::Bucket(bucket) => {
                let object = bucket.open(&format!("{PREFIX}{name}")).await?;
                let size = object.facts.size;
                let mut file = File::create_new(to)?;
                let mut pieces = std::pin::pin!(object.pieces());
                let mut came = 0;
                while let Some(piece) = pieces.try_next().await? {
                    came += piece.len() as u64;
                    file.write_all(&piece)?;
                }
                if came == size {
                    Ok(())
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                }
            }
        }
    }

    /// Removes what has the name, or everything below it where it ends with a slash.
    pub(super) async fn remove(&self, name: &str) -> io::Result<()> {
        match self {
            Self::Bucket(bucket) => Ok(bucket.delete_below(&format!("{PREFIX}{name}")).await?),
            Self::Folder(root) => {
                let (path, is_folder) = (root.join(name), name.ends_with('/'));
                blocking(move || {
                    if is_folder {
                        fs::remove_dir_all(path)
                    } else {
                        fs::remove_file(path)
                    }
                })
                .await
            }
        }
    }
}

/// Writes beside the place and renames, all of it on the disk before it is seen.
fn write(path: &Path, content: &Source) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!(".{}.tmp", id::random(12, id::LOWER_ALNUM)));
    let written = (|| {
        let mut file = File::create_new(&draft)?;
        match content {
            Source::Bytes(bytes) => file.write_all(bytes)?,
            Source::File { path, .. } => {
                io::copy(&mut File::open(path)?, &mut file)?;
            }
        }
        file.sync_all()?;
        fs::rename(&draft, path)?;
        if cfg!(unix) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    })();
    if written.is_err() {
        fs::remove_file(&draft).ok();
    }
    written
}

/// Names of the files one folder below `root`, but for drafts.
fn below(root: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        entries => entries?,
    };
    for generation in entries {
        let generation = generation?;
        if !generation.file_type()?.is_dir() {
            continue;
        }
        let folder = generation.file_name();
        for file in fs::read_dir(generation.path())? {
            let file = file?.file_name();
            let name = format!("{}/{}", folder.to_string_lossy(), file.to_string_lossy());
            if !name.contains("/.") {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// A folder for work that goes with the value.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    /// Makes one in `parent`.
    pub(super) fn inside(parent: &Path) -> io::Result<Self> {
        let folder = parent.join(format!(".{}.work", id::random(12, id::LOWER_ALNUM)));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
