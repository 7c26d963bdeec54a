//! Copying a directory of PocketBase to a new place, which then is compared with it row by row and file by file. The
//! directory itself is only read, and may be in use.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::store::StoreError;
use crate::store::sqlite::{TableCopy, copy_compared};

/// Files that PocketBase keeps in its directory besides the databases.
const STORAGE: &str = "storage";
/// Bytes read at a time.
const CHUNK: usize = 64 << 10;

/// What was copied, all of it compared.
#[derive(Debug, Default)]
pub struct Transplanted {
    /// Tables of the main database.
    pub tables: Vec<TableCopy>,
    /// Files of records.
    pub files: u64,
    /// Bytes of these.
    pub file_bytes: u64,
}

/// Copies the directory `from` to `to`, which must not exist or be empty. `to` appears whole or not at all. `told` hears
/// what is being copied.
///
/// # Errors
/// When `from` is no such directory, `to` is in use, the disk refuses, or the copy is not the same.
pub fn transplant(
    from: &Path,
    to: &Path,
    told: &mut dyn FnMut(&str),
) -> Result<Transplanted, StoreError> {
    let failed = |what: &Path, error: &dyn std::fmt::Display| {
        StoreError::Directory(format!("{}: {error}", what.display()))
    };
    let data = from.join("data.db");
    if !data.is_file() {
        return Err(failed(
            from,
            &"there is no data.db, so it is no directory of PocketBase",
        ));
    }
    let occupied = fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(failed(
            to,
            &"the data directory is not empty; name another one with --dir",
        ));
    }
    let beside = beside(to);
    if beside.exists() {
        // What an earlier try that was interrupted has left.
        fs::remove_dir_all(&beside).map_err(|error| failed(&beside, &error))?;
    }
    fs::create_dir_all(&beside).map_err(|error| failed(&beside, &error))?;
    let mut done = Transplanted::default();
    let copied = (|| {
        told("data.db");
        done.tables = copy_compared(&data, &beside.join("data.db"))?;
        let logs = from.join("auxiliary.db");
        if logs.is_file() {
            told("auxiliary.db");
            copy_compared(&logs, &beside.join("auxiliary.db"))?;
        }
        let storage = from.join(STORAGE);
        if storage.is_dir() {
            let target = beside.join(STORAGE);
            copy_tree(&storage, &target, &mut done, told)
                .map_err(|error| failed(&storage, &error))?;
        }
        if to.exists() {
            fs::remove_dir(to).map_err(|error| failed(to, &error))?;
        }
        fs::rename(&beside, to).map_err(|error| failed(to, &error))
    })();
    if let Err(error) = copied {
        fs::remove_dir_all(&beside).ok();
        return Err(error);
    }
    Ok(done)
}

fn beside(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_os_string();
    name.push(".importing");
    to.with_file_name(name)
}

/// Copies files and folders; what is neither (links, sockets) is left behind.
fn copy_tree(
    from: &Path,
    to: &Path,
    done: &mut Transplanted,
    told: &mut dyn FnMut(&str),
) -> io::Result<()> {
    let mut waiting = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = waiting.pop() {
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let target = to.join(entry.file_name());
            if kind.is_dir() {
                waiting.push((entry.path(), target));
            } else if kind.is_file() {
                done.file_bytes += copy_file(&entry.path(), &target)?;
                done.files += 1;
                if done.files.is_multiple_of(100) {
                    told(&format!("{} files", done.files));
                }
            }
        }
    }
    Ok(())
}

/// Copies one file and reads the copy again.
fn copy_file(from: &Path, to: &Path) -> io::Result<u64> {
    let mut target = File::create(to)?;
    let (bytes, sent) = pour(&mut File::open(from)?, Some(&mut target))?;
    target.sync_data()?;
    let (_, arrived) = pour(&mut File::open(to)?, None)?;
    if sent != arrived {
        return Err(io::Error::other(format!(
            "the copy of {} is not the same",
            from.display()
        )));
    }
    Ok(bytes)
}

fn pour(from: &mut File, mut to: Option<&mut File>) -> io::Result<(u64, [u8; 32])> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, hash.finalize().into()));
        }
        bytes += read as u64;
        hash.update(&buffer[..read]);
        if let Some(to) = &mut to {
            to.write_all(&buffer[..read])?;
        }
    }
}
