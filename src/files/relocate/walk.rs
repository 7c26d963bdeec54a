//! What lies in the storage folder, one folder after the other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::key::ATTRS;
use super::super::local::DRAFT;

/// A file of the folder.
#[derive(Debug)]
pub(super) struct Found {
    /// Its place, `/` between the parts.
    pub(super) relative: String,
    pub(super) path: PathBuf,
    pub(super) size: u64,
}

/// All files below a folder, but for side files and drafts. Links are not followed. What goes while it is walked is not
/// missed.
pub(super) struct Walk {
    root: PathBuf,
    folders: Vec<PathBuf>,
    files: Vec<Found>,
}

impl Walk {
    pub(super) fn of(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            folders: vec![root.to_owned()],
            files: Vec::new(),
        }
    }

    fn read(&mut self, folder: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                self.folders.push(path);
                continue;
            }
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !kind.is_file() || name.ends_with(ATTRS) || name.ends_with(DRAFT) {
                continue;
            }
            let inside = path.strip_prefix(&self.root).unwrap_or(&path);
            let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
            let relative = parts.join("/");
            match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                metadata => {
                    let size = metadata?.len();
                    self.files.push(Found {
                        relative,
                        path,
                        size,
                    });
                }
            }
        }
        Ok(())
    }
}

impl Iterator for Walk {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(found) = self.files.pop() {
                return Some(Ok(found));
            }
            let folder = self.folders.pop()?;
            if let Err(error) = self.read(&folder) {
                return Some(Err(error));
            }
        }
    }
}
