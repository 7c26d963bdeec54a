//! An upload on its way: small ones in memory, larger ones in a temporary file that goes with the last handle.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::sniff::{self, Kind};
use crate::bucket::{Bucket, Source};
use crate::kit::id;
use crate::kit::limits::UPLOAD_MEMORY_BYTES_MAX;

/// A received file. Cheap to clone; the temporary file is removed with the last clone.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The name that the client gave it, without directories.
    pub name: String,
    /// Bytes.
    pub size: u64,
    kind: Kind,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Memory(Bytes),
    Spooled(Arc<SpoolFile>),
    Remote(Arc<RemoteFile>),
    Promised,
}

/// An object that a client has put into the bucket itself.
#[derive(Debug)]
struct RemoteFile {
    bucket: Bucket,
    key: String,
}

/// A temporary file, removed on drop (a second removal, after it was moved away, finds nothing).
#[derive(Debug)]
struct SpoolFile(PathBuf);

impl Drop for SpoolFile {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %self.0.display(), %error, "a temporary upload stays behind");
            }
        }
    }
}

impl Upload {
    /// An upload whose whole content is at hand.
    pub fn from_bytes(name: impl Into<String>, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        Self {
            name: name.into(),
            size: content.len() as u64,
            kind: sniff::sniff(&content),
            content: Content::Memory(content),
        }
    }

    /// One that is going to come past this server: nothing is known of its content.
    #[must_use]
    pub fn promised(name: String, size: u64) -> Self {
        Self {
            name,
            size,
            kind: sniff::UNKNOWN,
            content: Content::Promised,
        }
    }

    /// One that is in a bucket already, under a key that is nobody's; `head` is its beginning.
    #[must_use]
    pub fn remote(name: String, size: u64, head: &[u8], bucket: Bucket, key: String) -> Self {
        Self {
            name,
            size,
            kind: sniff::sniff(head),
            content: Content::Remote(Arc::new(RemoteFile { bucket, key })),
        }
    }

    /// Where it is, if in a bucket.
    pub(super) fn place(&self) -> Option<(&Bucket, &str)> {
        match &self.content {
            Content::Remote(file) => Some((&file.bucket, &file.key)),
            Content::Memory(_) | Content::Spooled(_) | Content::Promised => None,
        }
    }

    /// What the content is, judged by the content alone.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A fresh stored name for it (contract 6.2); each call draws another.
    #[must_use]
    pub fn stored_name(&self) -> String {
        super::name::stored_name(&self.name, self.kind.extension)
    }

    /// The content, from its start.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match &self.content {
            Content::Memory(bytes) => Box::new(io::Cursor::new(bytes.clone())),
            Content::Spooled(file) => Box::new(File::open(&file.0)?),
            Content::Remote(_) | Content::Promised => {
                return Err(io::Error::other("the upload is not on this server"));
            }
        })
    }

    /// The content, to be sent to a bucket; the upload must live until it was.
    pub(super) fn source(&self) -> io::Result<Source> {
        Ok(match &self.content {
            Content::Memory(bytes) => Source::Bytes(bytes.clone()),
            Content::Spooled(file) => Source::File {
                path: file.0.clone(),
                from: 0,
                length: self.size,
            },
            Content::Remote(_) | Content::Promised => {
                return Err(io::Error::other("the upload is not on this server"));
            }
        })
    }

    /// Whether two handles are of the same upload.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.content, &other.content) {
            (Content::Memory(a), Content::Memory(b)) => {
                a.as_ptr() == b.as_ptr() && a.len() == b.len()
            }
            (Content::Spooled(a), Content::Spooled(b)) => Arc::ptr_eq(a, b),
            (Content::Remote(a), Content::Remote(b)) => Arc::ptr_eq(a, b),
            (
                Content::Memory(_) | Content::Spooled(_) | Content::Remote(_) | Content::Promised,
                _,
            ) => false,
        }
    }
}

/// Receives one upload piece by piece; what exceeds [`UPLOAD_MEMORY_BYTES_MAX`] goes to a file.
#[derive(Debug)]
pub struct UploadWriter {
    dir: PathBuf,
    name: String,
    memory: Vec<u8>,
    file: Option<(File, SpoolFile)>,
    size: u64,
}

impl UploadWriter {
    /// An empty upload called `name`, whose temporary file, if one is needed, lies in `dir`.
    #[must_use]
    pub fn new(dir: &Path, name: String) -> Self {
        Self {
            dir: dir.to_owned(),
            name,
            memory: Vec::new(),
            file: None,
            size: 0,
        }
    }

    /// Adds a piece. The write goes to the page cache, so a caller on the async runtime is not held for long.
    ///
    /// # Errors
    /// When the temporary file cannot be made or written.
    pub fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        self.size += piece.len() as u64;
        if let Some((file, _)) = &mut self.file {
            return file.write_all(piece);
        }
        if self.memory.len() + piece.len() <= UPLOAD_MEMORY_BYTES_MAX {
            self.memory.extend_from_slice(piece);
            return Ok(());
        }
        let (mut file, guard) = self.create()?;
        file.write_all(&self.memory)?;
        file.write_all(piece)?;
        // The head stays for sniffing; the rest of the memory is given back.
        self.memory.truncate(sniff::HEAD_BYTES);
        self.memory.shrink_to_fit();
        self.file = Some((file, guard));
        Ok(())
    }

    /// Ends the upload.
    #[must_use]
    pub fn finish(self) -> Upload {
        let kind = sniff::sniff(&self.memory);
        let content = match self.file {
            Some((_, guard)) => Content::Spooled(Arc::new(guard)),
            None => Content::Memory(self.memory.into()),
        };
        Upload {
            name: self.name,
            size: self.size,
            kind,
            content,
        }
    }

    fn create(&self) -> io::Result<(File, SpoolFile)> {
        std::fs::create_dir_all(&self.dir)?;
        let path = self
            .dir
            .join(format!("{}.tmp", id::random(20, id::LOWER_ALNUM)));
        let mut options = File::options();
        options.write(true).create_new(true);
        let file = options.open(&path)?;
        Ok((file, SpoolFile(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(upload: &Upload) -> Vec<u8> {
        let mut out = Vec::new();
        upload.open().unwrap().read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn a_small_upload_stays_in_memory() {
        let mut spool = UploadWriter::new(Path::new("/nonexistent"), "a.txt".to_owned());
        spool.push(b"hello ").unwrap();
        spool.push(b"world").unwrap();
        let upload = spool.finish();
        assert_eq!(upload.size, 11);
        assert_eq!(read(&upload), b"hello world");
        assert_eq!(upload.kind().mime, "text/plain; charset=utf-8");
    }

    #[test]
    fn a_large_upload_is_spooled_and_cleaned_up() {
        let dir = std::env::temp_dir().join(format!("burrow-spool-{}", id::record_id()));
        let mut spool = UploadWriter::new(&dir, "big.txt".to_owned());
        let piece = vec![b'x'; UPLOAD_MEMORY_BYTES_MAX / 2 + 1];
        for _ in 0..3 {
            spool.push(&piece).unwrap();
        }
        let upload = spool.finish();
        assert_eq!(upload.size, 3 * piece.len() as u64);
        assert_eq!(read(&upload).len(), 3 * piece.len());
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        drop(upload);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
