//! One process serves a directory. The lock is the operating system's, so that it ends with its holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::Paths;
use crate::store::StoreError;

/// The held lock; letting it go unlocks.
#[derive(Debug)]
pub(in crate::store) struct Lock(#[expect(dead_code, reason = "held for its life")] File);

/// Whether the lock was to be had.
#[derive(Debug)]
pub(in crate::store) enum Try {
    /// It is ours.
    Held(Lock),
    /// Another process, whose number is given, serves the directory.
    Taken(String),
}

impl Lock {
    /// Prepares the directory of a node whose database is elsewhere; held where it is to be `alone`.
    pub(in crate::store) fn of_node(
        dir: &Path,
        alone: bool,
    ) -> Result<(Paths, Option<Self>), StoreError> {
        let paths = Paths::prepare(dir)?;
        if !alone {
            return Ok((paths, None));
        }
        match Self::try_take(&paths.own)? {
            Try::Held(lock) => Ok((paths, Some(lock))),
            Try::Taken(holder) => Err(StoreError::Taken { holder }),
        }
    }

    /// Takes the lock in our folder `own`, unless another process holds it.
    pub(in crate::store) fn try_take(own: &Path) -> Result<Try, StoreError> {
        let path = own.join("lock");
        let cannot = |error: std::io::Error| {
            StoreError::Directory(format!("cannot lock {}: {error}", path.display()))
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(cannot)?;
                return Ok(Try::Taken(holder.trim().to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        file.set_len(0).map_err(cannot)?;
        file.seek(SeekFrom::Start(0)).map_err(cannot)?;
        writeln!(file, "{}", std::process::id()).map_err(cannot)?;
        Ok(Try::Held(Self(file)))
    }
}
