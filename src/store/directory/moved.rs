//! The note that says which PostgreSQL the data of a directory has gone to, so that whoever opens the directory goes on
//! there. It holds the address with its password, and is its owner's alone.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::FOLDER;
use crate::kit::secret::Secret;
use crate::store::StoreError;

fn path(dir: &Path) -> PathBuf {
    dir.join(FOLDER).join("database")
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Directory(format!("{}: {error}", path.display()))
}

/// The PostgreSQL that the data of `dir` has gone to by `graduate`, if it has.
///
/// # Errors
/// When the note cannot be read.
pub fn moved_to(dir: &Path) -> Result<Option<Secret<String>>, StoreError> {
    let path = path(dir);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(Secret::new(text.trim().to_owned()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&path, &error)),
    }
}

/// Notes where the data has gone, whole or not at all.
pub(in crate::store) fn note_move(dir: &Path, to: &Secret<String>) -> Result<(), StoreError> {
    let path = path(dir);
    let fresh = path.with_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        writeln!(file, "{}", to.reveal())?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    write().map_err(|error| failed(&path, &error))
}

/// The data is in the directory again.
pub(in crate::store) fn note_return(dir: &Path) -> Result<(), StoreError> {
    let path = path(dir);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&path, &error)),
        _ => Ok(()),
    }
}
