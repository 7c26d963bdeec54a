//! The archive of a directory's state: written and read a piece at a time, so that memory stays flat.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::kit::limits::{BACKUP_ENTRIES_MAX, BACKUP_FREE_BYTES_MIN};
use crate::store::{free_bytes, is_state};

/// The databases, which are copied first, and what SQLite keeps beside them.
const DATABASES: [&str; 2] = ["data.db", "auxiliary.db"];
/// Blobs are mostly compressed as they are.
const STORAGE: &str = "storage";

/// Why an archive cannot be put in the place of the directory's state.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is none, or it is cut off.
    #[error("the archive cannot be read: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// The disk.
    #[error("{0}")]
    Disk(#[from] io::Error),
    /// An entry that leads elsewhere, or is no file.
    #[error("the archive holds {0:?}, which is no file of a data directory")]
    Entry(String),
    /// More than there is room for.
    #[error("the archive holds {0} entries of {1} bytes together, for which there is no room")]
    Room(usize, u64),
}

/// Writes the databases in `copies` and the rest of the directory `dir` into `target`. What is removed meanwhile is left out.
pub(super) fn write(dir: &Path, copies: &Path, target: File) -> Result<(), ArchiveError> {
    let mut zip = ZipWriter::new(BufWriter::new(target));
    for name in DATABASES {
        add(
            &mut zip,
            &copies.join(name),
            name,
            CompressionMethod::Deflated,
        )?;
    }
    let mut folders: Vec<(PathBuf, String)> = vec![(dir.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if prefix.is_empty() && (!is_state(&name) || is_database(&name)) {
                continue;
            }
            let inside = format!("{prefix}{name}");
            // Links are not followed: they may lead out of the directory.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push((entry.path(), format!("{inside}/"))),
                Ok(kind) if kind.is_file() => {
                    let method = if inside.starts_with(STORAGE) {
                        CompressionMethod::Stored
                    } else {
                        CompressionMethod::Deflated
                    };
                    add(&mut zip, &entry.path(), &inside, method)?;
                }
                _ => {}
            }
        }
    }
    let file = zip
        .finish()?
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    Ok(file.sync_all()?)
}

fn is_database(name: &str) -> bool {
    DATABASES.iter().any(|database| name.starts_with(database))
}

fn add(
    zip: &mut ZipWriter<BufWriter<File>>,
    path: &Path,
    name: &str,
    method: CompressionMethod,
) -> Result<(), ArchiveError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let size = file.metadata()?.len();
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .large_file(size >= u64::from(u32::MAX));
    zip.start_file(name, options)?;
    io::copy(&mut BufReader::new(file.take(size)), zip)?;
    Ok(())
}

/// Lays the content of an archive into the empty folder `into`, and makes it last. Nothing is written anywhere else, and
/// no more than the archive says of itself.
///
/// # Errors
/// [`ArchiveError`]; what was laid out until then stays in `into`.
pub fn extract(archive: File, into: &Path) -> Result<(), ArchiveError> {
    let mut zip = ZipArchive::new(BufReader::new(archive))?;
    let entries = zip.len();
    let mut total = 0_u64;
    for at in 0..entries.min(BACKUP_ENTRIES_MAX) {
        total = total.saturating_add(zip.by_index_raw(at)?.size());
    }
    let room = free_bytes(into).unwrap_or(u64::MAX);
    if entries > BACKUP_ENTRIES_MAX || total > room.saturating_sub(BACKUP_FREE_BYTES_MIN) {
        return Err(ArchiveError::Room(entries, total));
    }
    for at in 0..entries {
        let entry = zip.by_index(at)?;
        let name = entry.name()?.into_owned();
        let inside = entry.enclosed_name().filter(|_| !name.contains('\\'));
        let top = name.split('/').next().unwrap_or("");
        let Some(inside) = inside.filter(|_| !entry.is_symlink()) else {
            return Err(ArchiveError::Entry(name));
        };
        // Archives that people made themselves may hold other archives or our lock: those are no state.
        if !is_state(top) {
            continue;
        }
        let path = into.join(inside);
        if entry.is_dir() {
            fs::create_dir_all(&path)?;
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let size = entry.size();
        let mut file = File::create_new(&path)?;
        if io::copy(&mut entry.take(size), &mut file)? != size {
            return Err(ArchiveError::Entry(name));
        }
        file.sync_all()?;
    }
    Ok(())
}
