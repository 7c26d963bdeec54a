//! The backups of a directory. One is made, or put back, at a time.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::archive;
use super::name::{self, AUTO, MANUAL};
use super::shelf::{Backup, Failure, Shelf, ZIP, blocking};
use crate::bucket::Chosen;
use crate::files::{Blob, Files, Upload, Want};
use crate::kit::clock::Clock;
use crate::kit::id;
use crate::kit::task::Task;
use crate::ops::{Error, Settings};
use crate::outbound::Pool;
use crate::schema::{FieldError, FieldErrors};
use crate::store::{Restore, Store, check_database};

const INVALID: &str = "An error occurred while validating the submitted data.";
const BUSY: &str = "Try again later - another backup/restore process has already been started.";

/// The service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Backups(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    shelf: Shelf,
    store: Store,
    files: Files,
    settings: Settings,
    clock: Clock,
    /// Name of the backup that is being made or put back.
    busy: Mutex<Option<String>>,
    /// Told when another state is ready to be put in, which takes a new start.
    restart: Notify,
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
    /// The backups of the directory `dir`, which `store` and `files` have open; a bucket is reached through `pool`.
    #[must_use]
    pub fn new(
        dir: &Path,
        store: Store,
        files: Files,
        settings: Settings,
        clock: Clock,
        pool: &Pool,
    ) -> Self {
        let chooses = settings.clone();
        let bucket = Chosen::new(pool.clone(), move || chooses.current().backups_bucket());
        Self(Arc::new(Inner {
            dir: dir.to_owned(),
            shelf: Shelf::new(dir.join("backups"), bucket),
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
    /// The disk's or the bucket's own.
    pub async fn list(&self) -> Result<Vec<Backup>, Error> {
        let listed = self.0.shelf.list().await;
        listed.map_err(|error| raw("Failed to retrieve backup items.", &error))
    }

    /// Makes a backup called `chosen`, or after the application and the time. Writes go on meanwhile; what is in the
    /// backup is one state.
    ///
    /// # Errors
    /// When the name does not do, another one is being made, or the disk refuses. Nothing half made stays.
    pub async fn create(&self, chosen: &str) -> Result<(), Error> {
        self.check_engine()?;
        if !chosen.is_empty() {
            if let Some(error) = name::check(chosen) {
                return Err(invalid("name", error));
            }
            if self.0.shelf.has(chosen).await.map_err(|e| failed(&e))? {
                let error = FieldError::new(
                    "validation_backup_name_exists",
                    "The backup file name is invalid or already exists.",
                );
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
        automatic.sort_by(|a, b| b.modified().cmp(a.modified()));
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
        let turn = self.turn(&key)?;
        let backups = self.clone();
        // A task of its own: it comes to its end although whoever asked may go away.
        let made = tokio::spawn(async move {
            let _turn = turn;
            let work = backups.scratch()?;
            let made = async {
                let (own, to) = (backups.clone(), work.0.clone());
                let draft = blocking(move || own.draft(&to)).await?;
                backups.0.shelf.place(draft, &key).await
            };
            let made = made.await;
            work.clear().await;
            made
        });
        made.await
            .map_err(|error| failed(&error))?
            .map_err(|error| failed(&error))
    }

    fn draft(&self, work: &Path) -> Result<PathBuf, Failure> {
        // Files that rows of the copy name must be there until they are in the archive.
        let _kept = self.0.files.keep_removed();
        self.0.store.copy_to(work)?;
        let draft = work.join("backup.zip");
        archive::write(&self.0.dir, work, File::create_new(&draft)?)?;
        Ok(draft)
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
        if self.0.shelf.has(&key).await.map_err(|e| failed(&e))? {
            return Err(invalid(
                "file",
                FieldError::new(
                    "validation_backup_name_exists",
                    "Backup file with the specified name already exists.",
                ),
            ));
        }
        let work = self.scratch().map_err(|error| failed(&error))?;
        let keep = async {
            let draft = work.0.join("upload.zip");
            let to = draft.clone();
            blocking(move || {
                let mut file = File::create_new(to)?;
                io::copy(&mut upload.open()?, &mut file)?;
                Ok(file.sync_all()?)
            })
            .await?;
            self.0.shelf.place(draft, &key).await
        };
        let kept = keep.await;
        work.clear().await;
        kept.map_err(|error| failed(&error))
    }

    /// Opens a backup for reading.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be had.
    pub async fn open(&self, key: &str, want: Want) -> Result<Blob, Error> {
        if !name::is_key(key) {
            return Err(Error::NotFound(""));
        }
        self.0.shelf.open(key, want).await.map_err(|error| {
            if error.is_missing() {
                Error::NotFound("")
            } else {
                raw("Failed to retrieve the backup.", &error)
            }
        })
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
        const REFUSED: &str = "Invalid or already deleted backup file.";
        let missing = || raw(REFUSED, &format_args!("there is no backup {key:?}."));
        if !name::is_key(key) {
            return Err(missing());
        }
        self.0.shelf.delete(key).await.map_err(|error| {
            if error.is_missing() {
                missing()
            } else {
                raw(REFUSED, &error)
            }
        })
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
        let there = name::is_key(key) && self.0.shelf.has(key).await.map_err(|e| failed(&e))?;
        if !there {
            return Err(MISSING);
        }
        let turn = self.turn(key)?;
        let backups = self.clone();
        let key = key.to_owned();
        Task::spawn(async move {
            match backups.prepare(&key).await {
                // Nothing else is to be made until the process has begun anew.
                Ok(()) => {
                    turn.keep();
                    backups.0.restart.notify_one();
                }
                Err(error) => {
                    let dir = backups.0.dir.clone();
                    blocking(move || Ok(Restore::of(&dir).forget()?)).await.ok();
                    tracing::error!(%error, key, "a backup was not restored; nothing has changed");
                    drop(turn);
                }
            }
        })
        .detach("the answer says that it has begun");
        Ok(())
    }

    async fn prepare(&self, key: &str) -> Result<(), Failure> {
        let work = self.scratch()?;
        let laid_out = async {
            let archive = self.0.shelf.fetch(key, &work.0).await?;
            let dir = self.0.dir.clone();
            blocking(move || {
                let restore = Restore::of(&dir);
                let new = restore.prepare()?;
                archive::extract(File::open(archive)?, &new)?;
                check_database(&new.join("data.db")).map_err(Failure::Database)?;
                Ok(restore)
            })
            .await
        };
        let laid_out = laid_out.await;
        work.clear().await;
        let restore = laid_out?;
        blocking(move || Ok(restore.ready()?)).await
    }

    fn turn(&self, key: &str) -> Result<Turn, Error> {
        let mut busy = self.0.busy.lock();
        if busy.is_some() {
            return Err(Error::Refused(BUSY));
        }
        *busy = Some(key.to_owned());
        Ok(Turn(Some(self.clone())))
    }

    /// A folder for work, which the next start removes if this process does not.
    fn scratch(&self) -> io::Result<Scratch> {
        let spool = self.0.files.spool();
        let folder = spool.join(id::random(20, id::LOWER_ALNUM).as_str());
        fs::create_dir_all(&folder)?;
        Ok(Scratch(folder))
    }
}

/// A folder that is there for a while.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    async fn clear(self) {
        blocking(move || Ok(fs::remove_dir_all(self.0)?)).await.ok();
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    raw("Failed to create backup.", error)
}

fn raw(message: &'static str, error: &dyn std::fmt::Display) -> Error {
    Error::Raw {
        message,
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
