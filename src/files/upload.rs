//! An uploaded file on its way in: small ones in memory, larger ones in a temporary file that goes with its last owner.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::kit::id;
use crate::kit::limits::UPLOAD_MEMORY_BYTES_MAX;

/// A received file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The name that the client gave it, without directories.
    pub name: String,
    /// Bytes.
    pub size: u64,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Memory(Bytes),
    Disk(Arc<Spooled>),
}

/// A temporary file, removed when dropped.
#[derive(Debug)]
struct Spooled(PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        // What cannot be removed now is swept at the next start.
        std::fs::remove_file(&self.0).ok();
    }
}

impl Upload {
    /// A file from memory.
    pub fn from_bytes(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            name: name.into(),
            size: bytes.len() as u64,
            body: Body::Memory(bytes),
        }
    }

    /// The bytes, when they are in memory.
    #[must_use]
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Memory(bytes) => Some(bytes),
            Body::Disk(_) => None,
        }
    }

    /// The temporary file, when there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.body {
            Body::Memory(_) => None,
            Body::Disk(spooled) => Some(&spooled.0),
        }
    }
}

/// Receives one upload piece by piece.
#[derive(Debug)]
pub struct UploadWriter {
    dir: PathBuf,
    name: String,
    size: u64,
    memory: BytesMut,
    disk: Option<(std::fs::File, Spooled)>,
}

impl UploadWriter {
    /// An empty upload called `name`, spooled to `dir` when it grows.
    #[must_use]
    pub fn new(dir: &Path, name: String) -> Self {
        Self {
            dir: dir.to_owned(),
            name,
            size: 0,
            memory: BytesMut::new(),
            disk: None,
        }
    }

    /// Takes the next bytes. Short blocking writes: the pieces are what one socket read gave.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn push(&mut self, piece: &[u8]) -> std::io::Result<()> {
        self.size += piece.len() as u64;
        if let Some((file, _)) = &mut self.disk {
            return file.write_all(piece);
        }
        self.memory.extend_from_slice(piece);
        if self.memory.len() > UPLOAD_MEMORY_BYTES_MAX {
            std::fs::create_dir_all(&self.dir)?;
            let path = self.dir.join(id::random(24, id::LOWER_ALNUM).as_str());
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path)?;
            let spooled = Spooled(path);
            file.write_all(&self.memory)?;
            self.memory = BytesMut::new();
            self.disk = Some((file, spooled));
        }
        Ok(())
    }

    /// The received file.
    #[must_use]
    pub fn finish(self) -> Upload {
        let body = match self.disk {
            Some((_, spooled)) => Body::Disk(Arc::new(spooled)),
            None => Body::Memory(self.memory.freeze()),
        };
        Upload {
            name: self.name,
            size: self.size,
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_uploads_go_to_a_file_that_goes_with_them() {
        let dir = std::env::temp_dir().join(id::random(12, id::LOWER_ALNUM).as_str());
        let mut writer = UploadWriter::new(&dir, "a.bin".to_owned());
        for _ in 0..3 {
            writer.push(&vec![7; UPLOAD_MEMORY_BYTES_MAX / 2]).unwrap();
        }
        let upload = writer.finish();
        let path = upload.path().unwrap().to_owned();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), upload.size);
        drop(upload);
        assert!(!path.exists());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
