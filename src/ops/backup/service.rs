//! The backups of a directory. One is made, or put back, at a time.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

use super::archive;
use super::name::{self, AUTO, MANUAL};
use crate::files::{Blob, Files, Upload};
use crate::kit::clock::Clock;
use crate::kit::id;
use crate::kit::time::Timestamp;
use crate::ops::{Error, Settings};
use crate::schema::{FieldError, FieldErrors};
use crate::store::{Restore, Store, check_database};

const INVALID: &str = "An error occurred while validating the submitted data.";
const BUSY: &str = "Try again later - another backup/restore process has already been started.";
const ZIP: &str = "application/zip";

/// The service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Backups(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    store: Store,
    files: Files,
    settings: Settings,
    clock: Clock,
    /// Name of the backup that is being made or put back.
    busy: Mutex<Option<String>>,
    /// Told when another state is ready to be put in, which takes a new start.
    restart: Notify,
}

/// A backup as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backup {
    modified: String,
    key: String,
    size: u64,
}

/// While it lives, no other backup is made or put back.
#[derive(Debug)]
struct Turn(Option<Backups>);

impl Turn {
    /// Nothing is to be made any more.
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(backups) = &self.0 {
            *backups.0.busy.lock() = None;
        }
    }
}

impl Backups {
    /// The backups of the directory `dir`, which `store` and `files` have open.
    #[must_use]
    pub fn new(dir: &Path, store: Store, files: Files, settings: Settings, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            dir: dir.to_owned(),
            store,
            files,
            settings,
            clock,
            busy: Mutex::default(),
            restart: Notify::new(),
        }))
    }

    /// Resolves when the process must open the directory anew.
    pub async fn restart_wanted(&self) {
        self.0.restart.notified().await;
    }

    /// Whether one could be made now.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.0.busy.lock().is_none()
    }

    /// All backups, by name.
    ///
    /// # Errors
    /// The disk's own.
    pub async fn list(&self) -> Result<Vec<Backup>, Error> {
        self.blocking(|backups| {
            let entries = match fs::read_dir(backups.folder()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let mut all = Vec::new();
            for entry in entries {
                let entry = entry?;
                let metadata = entry.metadata()?;
                let key = entry.file_name().into_string().unwrap_or_default();
                if metadata.is_file() && name::is_key(&key) {
                    all.push(Backup {
                        modified: timestamp(metadata.modified()?).to_text().into(),
                        key,
                        size: metadata.len(),
                    });
                }
            }
            all.sort_by(|a, b| a.key.cmp(&b.key));
            Ok(all)
        })
        .await
    }

    /// Makes a backup called `chosen`, or after the application and the time. Writes go on meanwhile; what is in the
    /// backup is one state.
    ///
    /// # Errors
    /// When the name does not do, another one is being made, or the disk refuses. Nothing half made stays.
    pub async fn create(&self, chosen: &str) -> Result<(), Error> {
        self.check_engine()?;
        if !chosen.is_empty() {
            let taken = || self.path(chosen).is_some_and(|path| path.exists());
            let error = name::check(chosen).or_else(|| {
                taken().then(|| {
                    FieldError::new(
                        "validation_backup_name_exists",
                        "The backup file name is invalid or already exists.",
                    )
                })
            });
            if let Some(error) = error {
                return Err(invalid("name", error));
            }
        }
        let key = match chosen {
            "" => self.generated(MANUAL),
            chosen => chosen.to_owned(),
        };
        self.make(key).await
    }

    /// Makes a backup by the clock, and drops the oldest ones of this kind past the number to keep.
    ///
    /// # Errors
    /// As [`Backups::create`].
    pub async fn create_automatic(&self) -> Result<(), Error> {
        self.check_engine()?;
        self.make(self.generated(AUTO)).await?;
        let keep = usize::try_from(self.0.settings.current().backups.cron_max_keep).unwrap_or(0);
        let mut automatic = self.list().await?;
        automatic.retain(|backup| backup.key.starts_with(AUTO));
        automatic.sort_by(|a, b| b.modified.cmp(&a.modified));
        for old in automatic.into_iter().skip(keep.max(1)) {
            self.delete(&old.key).await?;
        }
        Ok(())
    }

    /// What a backup holds is the directory's: with PostgreSQL nothing but files would be in it.
    fn check_engine(&self) -> Result<(), Error> {
        if self.0.store.is_embedded() {
            return Ok(());
        }
        Err(Error::Refused(
            "The data is in PostgreSQL: back it up with its own tools (pg_dump, or your provider's backups).",
        ))
    }

    fn generated(&self, start: &str) -> String {
        let app = self.0.settings.current().meta.app_name.clone();
        name::generated(start, &app, self.0.clock.now())
    }

    async fn make(&self, key: String) -> Result<(), Error> {
        if self.0.settings.current().backups.s3.enabled {
            return Err(Error::Refused(
                "Backups on S3 are not part of this version.",
            ));
        }
        let turn = self.turn(&key)?;
        self.blocking(move |backups| {
            let _turn = turn;
            let work = backups.scratch()?;
            let done = backups.make_in(&work, &key);
            fs::remove_dir_all(&work).ok();
            done
        })
        .await
    }

    fn make_in(&self, work: &Path, key: &str) -> Result<(), Failure> {
        // Files that rows of the copy name must be there until they are in the archive.
        let _kept = self.0.files.keep_removed();
        self.0.store.copy_to(work)?;
        let draft = work.join("backup.zip");
        archive::write(&self.0.dir, work, File::create_new(&draft)?)?;
        self.place(&draft, key)
    }

    /// Keeps an uploaded archive under the name that the client gave it.
    ///
    /// # Errors
    /// When it is no archive, its name is taken, or the disk refuses.
    pub async fn upload(&self, upload: Option<Upload>) -> Result<(), Error> {
        self.check_engine()?;
        let Some(upload) = upload else {
            return Err(invalid("file", FieldError::required()));
        };
        if !upload.kind().is(ZIP) {
            let text = format!(
                "\"{}\" mime type must be one of: {ZIP}.",
                upload.stored_name()
            );
            let error = FieldError::new("validation_invalid_mime_type", text);
            return Err(invalid("file", error));
        }
        let key = name::uploaded(&upload.name);
        let taken = self.path(&key).is_none_or(|path| path.exists());
        if taken {
            return Err(invalid(
                "file",
                FieldError::new(
                    "validation_backup_name_exists",
                    "Backup file with the specified name already exists.",
                ),
            ));
        }
        self.blocking(move |backups| {
            let work = backups.scratch()?;
            let keep = || {
                let draft = work.join("upload.zip");
                let mut file = File::create_new(&draft)?;
                io::copy(&mut upload.open()?, &mut file)?;
                file.sync_all()?;
                backups.place(&draft, &key)
            };
            let kept = keep();
            fs::remove_dir_all(&work).ok();
            kept
        })
        .await
    }

    /// Opens a backup for reading.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn open(&self, key: &str) -> Result<Blob, Error> {
        let path = self.path(key).ok_or(Error::NotFound(""))?;
        self.blocking(move |_| Ok(Blob::open(&path, ZIP)?))
            .await
            .map_err(|_| Error::NotFound(""))
    }

    /// Removes a backup.
    ///
    /// # Errors
    /// When there is none of that name, or it is in use.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        if self.0.busy.lock().as_deref() == Some(key) {
            return Err(Error::Refused(
                "The backup is currently being used and cannot be deleted.",
            ));
        }
        let missing = || Error::Raw {
            message: "Invalid or already deleted backup file.",
            gap: " ",
            raw: format!("there is no backup {key:?}."),
        };
        let path = self.path(key).ok_or_else(missing)?;
        self.blocking(move |_| {
            fs::remove_file(&path)?;
            fs::remove_file(format!("{}{}", path.display(), name::ATTRS)).ok();
            Ok(())
        })
        .await
        .map_err(|_| missing())
    }

    /// Lays a backup out beside the present state and checks it; the process then opens the directory anew, and finds
    /// the backup in the place of what was there. Returns before that is done; what goes wrong is logged, and nothing is
    /// changed then.
    ///
    /// # Errors
    /// When there is none of that name, or another one is being made or put back.
    pub async fn restore(&self, key: &str) -> Result<(), Error> {
        const MISSING: Error = Error::Refused("Missing or invalid backup file.");
        self.check_engine()?;
        let path = self.path(key).filter(|path| path.is_file());
        let path = path.ok_or(MISSING)?;
        let turn = self.turn(key)?;
        let backups = self.clone();
        let key = key.to_owned();
        tokio::task::spawn_blocking(move || match backups.prepare(&path) {
            // Nothing else is to be made until the process has begun anew.
            Ok(()) => {
                turn.keep();
                backups.0.restart.notify_one();
            }
            Err(error) => {
                Restore::of(&backups.0.dir).forget().ok();
                tracing::error!(%error, key, "a backup was not restored; nothing has changed");
                drop(turn);
            }
        });
        Ok(())
    }

    fn prepare(&self, path: &Path) -> Result<(), Failure> {
        let restore = Restore::of(&self.0.dir);
        let new = restore.prepare()?;
        archive::extract(File::open(path)?, &new)?;
        check_database(&new.join("data.db")).map_err(Failure::Database)?;
        Ok(restore.ready()?)
    }

    fn turn(&self, key: &str) -> Result<Turn, Error> {
        let mut busy = self.0.busy.lock();
        if busy.is_some() {
            return Err(Error::Refused(BUSY));
        }
        *busy = Some(key.to_owned());
        Ok(Turn(Some(self.clone())))
    }

    fn folder(&self) -> PathBuf {
        self.0.dir.join("backups")
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        name::is_key(key).then(|| self.folder().join(key))
    }

    /// A folder for work, which the next start removes if this process does not.
    fn scratch(&self) -> io::Result<PathBuf> {
        let spool = self.0.files.spool();
        let folder = spool.join(id::random(20, id::LOWER_ALNUM).as_str());
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Gives a finished archive its name, by which it is seen.
    fn place(&self, draft: &Path, key: &str) -> Result<(), Failure> {
        fs::create_dir_all(self.folder())?;
        only_for_the_owner(draft)?;
        Ok(fs::rename(draft, self.folder().join(key))?)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let backups = self.clone();
        tokio::task::spawn_blocking(move || work(&backups))
            .await
            .map_err(|error| failed(&error))?
            .map_err(|error| failed(&error))
    }
}

/// What goes wrong with files.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Disk(#[from] io::Error),
    #[error(transparent)]
    Archive(#[from] archive::ArchiveError),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error("its data.db cannot be used: {0}")]
    Database(String),
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Raw {
        message: "Failed to create backup.",
        gap: " ",
        raw: error.to_string(),
    }
}

fn invalid(key: &str, error: FieldError) -> Error {
    Error::Invalid {
        message: INVALID,
        data: FieldErrors::one(key, error),
    }
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
