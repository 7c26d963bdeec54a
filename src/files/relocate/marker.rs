//! The note that files are on their way home, so that a server looks for them in the bucket too. It is there from before
//! the settings change until the last file has come.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The note, a file of the directory.
#[derive(Clone, Debug)]
pub(in crate::files) struct Marker(PathBuf);

impl Marker {
    pub(in crate::files) fn of(dir: &Path) -> Self {
        Self(dir.join(".burrow").join("files-come-home"))
    }

    pub(in crate::files) fn is_set(&self) -> bool {
        self.0.exists()
    }

    pub(super) fn set(&self) -> io::Result<()> {
        File::create(&self.0)?.sync_all()?;
        match self.0.parent().filter(|_| cfg!(unix)) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }

    pub(super) fn clear(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
