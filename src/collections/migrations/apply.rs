//! Applying migrations and going back, what was applied and what was not.

use std::collections::HashMap;
use std::sync::Arc;

use super::difference::shown;
use super::file::{Migration, Step};
use super::folder::Folder;
use crate::collections::save::{SaveError, save};
use crate::collections::service::delete;
use crate::collections::{Collections, Error, import};
use crate::kit::json::JsonMap;
use crate::kit::time::Timestamp;
use crate::schema::{CollectionId, Draft};
use crate::store::{ReadTx, StoreError, SuperuserSql, WriteTx, raw_text};

/// Why migrations did not get on.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The directory of migrations.
    #[error("cannot read the migrations: {0}")]
    Folder(#[from] std::io::Error),
    /// One file; what stands before it in order is applied, it and what follows is not.
    #[error("migration {0}: {1}")]
    File(String, String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A migration that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its file.
    pub file: String,
    /// Microseconds since 1970.
    pub at: i64,
}

/// Whether a migration was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was.
    Applied,
    /// It was not.
    Pending,
    /// It was, and its file is gone.
    Missing,
}

impl State {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Missing => "missing",
        }
    }
}

/// One line of the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its file.
    pub file: String,
    /// Whether it was applied.
    pub state: State,
}

/// PocketBase's own, which are part of the program.
fn is_system(file: &str) -> bool {
    file.ends_with(".go")
}

impl Collections {
    /// The migrations that were applied, PocketBase's own left out, in the order in which they were.
    ///
    /// # Errors
    /// The store's own.
    pub async fn applied_migrations(&self) -> Result<Vec<Applied>, MigrationError> {
        let mut rows = self.store.read(|tx: &ReadTx<'_>| tx.migrations()).await?;
        rows.retain(|(file, _)| !is_system(file));
        rows.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        Ok(rows
            .into_iter()
            .map(|(file, at)| Applied { file, at })
            .collect())
    }

    /// Every migration that is there or was applied, by name.
    ///
    /// # Errors
    /// The file system's and the store's own.
    pub async fn migration_status(&self, folder: &Folder) -> Result<Vec<Status>, MigrationError> {
        let applied = self.applied_migrations().await?;
        let mut states: HashMap<String, State> = applied
            .into_iter()
            .map(|applied| (applied.file, State::Missing))
            .collect();
        for name in folder.names()?.into_iter().chain(folder.scripts()?) {
            let state = if states.contains_key(&name) {
                State::Applied
            } else {
                State::Pending
            };
            states.insert(name, state);
        }
        let lines = states
            .into_iter()
            .map(|(file, state)| Status { file, state });
        let mut lines: Vec<Status> = lines.collect();
        lines.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(lines)
    }

    /// Applies what was not applied, in the order of names, a transaction each; `each` hears their names.
    ///
    /// # Errors
    /// The first one that does not go.
    pub async fn migrate_up(
        &self,
        folder: &Folder,
        now: Timestamp,
        mut each: impl FnMut(&str),
    ) -> Result<(), MigrationError> {
        let applied = self.applied_migrations().await?;
        let is_applied = |name: &str| applied.iter().any(|applied| applied.file == name);
        folder.settle(is_applied)?;
        for name in folder.names()? {
            if is_applied(&name) {
                continue;
            }
            let failed = |why: String| MigrationError::File(name.clone(), why);
            let migration = folder.read(&name).map_err(failed)?;
            let (file, noted) = (name.clone(), name.clone());
            // Another server may be at the same ones.
            let due = move |tx: &WriteTx<'_>| {
                let applied = tx.migrations()?;
                Ok(!applied.iter().any(|(known, _)| *known == file))
            };
            let done = self.run(migration.up, now, due, move |tx| tx.note_migration(&noted));
            let done = done.await;
            if done.map_err(|why| MigrationError::File(name.clone(), why))? {
                each(&name);
            }
        }
        Ok(())
    }

    /// The last `count` that were applied, the last one first; all of them where `count` is negative.
    ///
    /// # Errors
    /// The store's own.
    pub async fn last_migrations(&self, count: i64) -> Result<Vec<String>, MigrationError> {
        let applied = self.applied_migrations().await?;
        let most = usize::try_from(count).unwrap_or(usize::MAX);
        let last = applied.into_iter().rev().take(most);
        Ok(last.map(|applied| applied.file).collect())
    }

    /// Goes back over the migrations named, in their order, a transaction each.
    ///
    /// # Errors
    /// The first one without a way back, or whose way back does not go.
    pub async fn migrate_down(
        &self,
        folder: &Folder,
        files: &[String],
        now: Timestamp,
        mut each: impl FnMut(&str),
    ) -> Result<(), MigrationError> {
        for name in files {
            let failed = |why: String| MigrationError::File(name.clone(), why);
            let Migration { down, .. } = folder.read(name).map_err(failed)?;
            let down = down.ok_or_else(|| failed("it has no way back".to_owned()))?;
            let file = name.clone();
            self.run(
                down,
                now,
                |_| Ok(true),
                move |tx| tx.forget_migration(&file),
            )
            .await
            .map_err(|why| MigrationError::File(name.clone(), why))?;
            each(name);
        }
        Ok(())
    }

    /// Forgets the migrations whose files are gone; gives their names.
    ///
    /// # Errors
    /// The file system's and the store's own.
    pub async fn sync_migrations(&self, folder: &Folder) -> Result<Vec<String>, MigrationError> {
        let status = self.migration_status(folder).await?;
        let gone = status
            .into_iter()
            .filter(|line| line.state == State::Missing);
        let gone: Vec<String> = gone.map(|line| line.file).collect();
        let files = gone.clone();
        let forget = move |tx: &mut WriteTx<'_>| -> Result<(), StoreError> {
            files.iter().try_for_each(|file| tx.forget_migration(file))
        };
        self.store.write(forget).await?;
        Ok(gone)
    }

    /// Writes a file that holds every collection as it is now, and counts as applied.
    ///
    /// # Errors
    /// The file system's and the store's own.
    pub async fn snapshot_migration(
        &self,
        folder: &Folder,
        now: Timestamp,
    ) -> Result<String, MigrationError> {
        let name = folder.fresh_name("collections_snapshot", "json", now)?;
        let pending = folder.begin(&name, &self.snapshot().to_text())?;
        let file = name.clone();
        let note =
            move |tx: &mut WriteTx<'_>| -> Result<(), StoreError> { tx.note_migration(&file) };
        self.store.write(note).await?;
        pending.publish()?;
        Ok(name)
    }

    fn snapshot(&self) -> Migration {
        Migration {
            up: vec![Step::Import(self.shown_collections())],
            down: None,
        }
    }

    /// All collections as migrations hold them, our own left out.
    #[must_use]
    pub fn shown_collections(&self) -> Vec<JsonMap> {
        let catalog = self.store.catalog();
        let own = crate::schema::system::OWN;
        catalog
            .iter()
            .filter(|collection| !own.contains(&collection.name.as_str()))
            .map(|collection| shown(collection))
            .collect()
    }

    /// Runs steps and `note` in one transaction, where they are `due` in it; whether they were.
    async fn run(
        &self,
        steps: Vec<Step>,
        now: Timestamp,
        due: impl FnOnce(&WriteTx<'_>) -> Result<bool, StoreError> + Send + 'static,
        note: impl FnOnce(&mut WriteTx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<bool, String> {
        let done = self.alone(move |tx| {
            if !due(tx)? {
                return Ok(None);
            }
            let mut gone = Vec::new();
            for step in steps {
                gone.extend(apply(tx, step, now)?);
            }
            note(tx)?;
            Ok(Some(gone))
        });
        let gone = done.await.map_err(|error| words(&error))?;
        self.forget_files(gone.as_deref().unwrap_or_default());
        Ok(gone.is_some())
    }
}

/// One step; gives the ids of the collections that are gone.
fn apply(tx: &mut WriteTx<'_>, step: Step, now: Timestamp) -> Result<Vec<CollectionId>, Error> {
    let catalog = Arc::clone(tx.catalog());
    match step {
        Step::Create(payload) => {
            let draft = Draft::create(&payload).map_err(|_| Error::Unreadable)?;
            save(tx, draft, None, now)
                .map_err(|error| saving(error, Error::Create, Error::CreateRaw))?;
        }
        Step::Update { name, id, set } => {
            let old = catalog.by_id(&CollectionId::new(id.as_str()));
            let old = old.or_else(|| catalog.find(&name)).ok_or(Error::NotFound)?;
            let draft = Draft::update(old, &set).map_err(|_| Error::Unreadable)?;
            save(tx, draft, Some(old), now)
                .map_err(|error| saving(error, Error::Update, Error::UpdateRaw))?;
        }
        Step::Delete(names) => {
            let going: Option<Vec<_>> = names
                .iter()
                .map(|name| catalog.find(name).cloned())
                .collect();
            let going = going.ok_or(Error::NotFound)?;
            delete(tx, &going)?;
            return Ok(going
                .iter()
                .map(|collection| collection.id.clone())
                .collect());
        }
        Step::Import(items) => return import::import(tx, &items, false, now),
        Step::Sql(text) => {
            tx.console(&SuperuserSql::new(text))?;
        }
    }
    Ok(Vec::new())
}

fn saving(
    error: SaveError,
    invalid: impl FnOnce(crate::schema::FieldErrors) -> Error,
    raw: impl FnOnce(String) -> Error,
) -> Error {
    match error {
        SaveError::Invalid(errors) => invalid(errors),
        SaveError::Raw(text) => raw(text),
        SaveError::Store(error) => Error::Store(error),
    }
}

/// An error with everything that whoever wrote the file can use.
fn words(error: &Error) -> String {
    match error {
        Error::Create(errors)
        | Error::Update(errors)
        | Error::Form(errors)
        | Error::Import(errors) => {
            format!("{error} {}", crate::kit::json::to_text(&errors.to_json()))
        }
        Error::Store(error) => raw_text(error),
        other => other.to_string(),
    }
}
