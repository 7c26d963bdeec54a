//! The service that routes call.

use std::sync::Arc;
use std::time::Duration;

use super::exposure::{self, Exposed};
use super::migrations::{Folder, Journal};
use super::save::{SaveError, save};
use super::{Error, dry_run, import, list};
use crate::call::Call;
use crate::files::{Files, RecordKey};
use crate::kit::json::JsonMap;
use crate::kit::limits::{TRUNCATE_STEP, WRITE_ALONE_SECS_MAX};
use crate::ops::Settings;
use crate::records;
use crate::records::remove::{Gone, remove};
use crate::schema::view::ViewQuery;
use crate::schema::{Collection, CollectionId, Draft, DraftError, Kind};
use crate::store::{Page, Select, Store, WriteTx};

/// Managing collections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Collections {
    pub(super) store: Store,
    files: Files,
    settings: Settings,
    journal: Journal,
}

impl Collections {
    /// Over a store, the files of its records, and the settings that name collections.
    #[must_use]
    pub fn new(store: Store, files: Files, settings: Settings) -> Self {
        Self {
            store,
            files,
            settings,
            journal: Journal::default(),
        }
    }

    /// The same, and every change by a caller is written down as a migration in `folder`.
    #[must_use]
    pub fn written_down_in(self, folder: Option<Folder>) -> Self {
        Self {
            journal: Journal::new(folder),
            ..self
        }
    }

    /// One page of collections, encoded.
    ///
    /// # Errors
    /// [`Error::BadQuery`].
    pub async fn list(&self, call: &Call) -> Result<Vec<u8>, Error> {
        let call = call.clone();
        self.store.read(move |tx| list::list(tx, &call)).await
    }

    /// The collection of this name or id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn view(&self, name_or_id: &str) -> Result<Arc<Collection>, Error> {
        let catalog = self.store.catalog();
        catalog.find(name_or_id).cloned().ok_or(Error::NotFound)
    }

    /// Makes a collection.
    ///
    /// # Errors
    /// As the contract says (2.5).
    pub async fn create(&self, call: &Call, payload: JsonMap) -> Result<Arc<Collection>, Error> {
        let draft = Draft::create(&payload).map_err(|error| match error {
            DraftError::Kind(_) => Error::UnreadableKind,
            DraftError::Data(_) => Error::Unreadable,
        })?;
        let now = call.now;
        self.try_view(&draft).await?;
        let journal = self.journal.clone();
        let (saved, noted) = self
            .alone(move |tx| {
                let before = Arc::clone(tx.catalog());
                let saved = save(tx, draft, None, now).map_err(|error| match error {
                    SaveError::Invalid(errors) => Error::Create(errors),
                    SaveError::Raw(text) => Error::CreateRaw(text),
                    SaveError::Store(error) => Error::Store(error),
                })?;
                let what = format!("created_{}", saved.name);
                let noted = journal.note(tx, &before, &what, now, |c| c.id == saved.id)?;
                Ok((saved, noted))
            })
            .await?;
        noted.publish();
        Ok(saved)
    }

    /// Changes a collection.
    ///
    /// # Errors
    /// As the contract says (2.6).
    pub async fn update(
        &self,
        call: &Call,
        name_or_id: &str,
        payload: JsonMap,
    ) -> Result<Arc<Collection>, Error> {
        let (name, now) = (name_or_id.to_owned(), call.now);
        if let Some(old) = self.store.catalog().find(&name)
            && let Ok(draft) = Draft::update(old, &payload)
        {
            self.try_view(&draft).await?;
        }
        let journal = self.journal.clone();
        let (old, new, noted) = self
            .alone(move |tx| {
                let catalog = Arc::clone(tx.catalog());
                let old = catalog.find(&name).ok_or(Error::NotFound)?;
                let draft = Draft::update(old, &payload).map_err(|_| Error::Unreadable)?;
                let id = &draft.collection.id;
                if *id != old.id && catalog.by_id(id).is_none() {
                    return Err(Error::NotFound);
                }
                let new = save(tx, draft, Some(old), now).map_err(|error| match error {
                    SaveError::Invalid(errors) => Error::Update(errors),
                    SaveError::Raw(text) => Error::UpdateRaw(text),
                    SaveError::Store(error) => Error::Store(error),
                })?;
                let what = format!("updated_{}", old.name);
                let noted = journal.note(tx, &catalog, &what, now, |c| c.id == new.id)?;
                Ok((Arc::clone(old), new, noted))
            })
            .await?;
        noted.publish();
        if old.name != new.name {
            self.follow_rename(&old.name, &new.name).await;
        }
        Ok(new)
    }

    /// Labels of rate limits name collections. The rename stands whether or not they can follow.
    async fn follow_rename(&self, old: &str, new: &str) {
        let renamed = self.settings.edit(|document| {
            for rule in &mut document.rate_limits.rules {
                let action = rule
                    .label
                    .strip_prefix(old)
                    .and_then(|rest| rest.strip_prefix(':'));
                if let Some(action) = action {
                    rule.label = format!("{new}:{action}");
                }
            }
        });
        if let Err(error) = renamed.await {
            tracing::error!(%error, %old, %new, "rate limits still name the collection by its old name");
        }
    }

    /// Removes a collection with its records; their files follow in the background.
    ///
    /// # Errors
    /// [`Error::Delete`] and [`Error::Referenced`].
    pub async fn delete(&self, call: &Call, name_or_id: &str) -> Result<(), Error> {
        let (name, now) = (name_or_id.to_owned(), call.now);
        let journal = self.journal.clone();
        let (id, noted) = self
            .alone(move |tx| {
                let catalog = Arc::clone(tx.catalog());
                let collection = catalog.find(&name).ok_or(Error::NotFound)?;
                delete(tx, std::slice::from_ref(collection))?;
                let what = format!("deleted_{}", collection.name);
                let noted = journal.note(tx, &catalog, &what, now, |c| c.id == collection.id)?;
                Ok((collection.id.clone(), noted))
            })
            .await?;
        noted.publish();
        self.forget_files(&[id]);
        Ok(())
    }

    /// Removes, in the background, the files of collections that are gone.
    pub(super) fn forget_files(&self, gone: &[CollectionId]) {
        for id in gone {
            self.files.delete_collection(id.as_str());
        }
    }

    /// Removes every record of a collection; their files follow in the background.
    ///
    /// # Errors
    /// [`Error::TruncateView`] and [`Error::Truncate`].
    pub async fn truncate(&self, call: &Call, name_or_id: &str) -> Result<(), Error> {
        let (name, call) = (name_or_id.to_owned(), call.clone());
        let gone = self
            .alone(move |tx| {
                let catalog = Arc::clone(tx.catalog());
                let collection = catalog.find(&name).ok_or(Error::NotFound)?;
                if collection.is_view() {
                    return Err(Error::TruncateView);
                }
                let mut gone = Gone::default();
                let mut first = Select::all(&catalog, &call, collection);
                first.page = Some(Page {
                    offset: 0,
                    limit: TRUNCATE_STEP,
                });
                loop {
                    let records = tx.select(&first)?;
                    if records.is_empty() {
                        return Ok(gone);
                    }
                    for record in records {
                        remove(tx, &call, &record, &mut gone).map_err(|error| match error {
                            records::Error::Store(error) => Error::Store(error),
                            _ => Error::Truncate,
                        })?;
                    }
                }
            })
            .await?;
        for (collection, id) in &gone.folders {
            if let Some(key) = RecordKey::new(collection.as_str(), id) {
                self.files.delete_record(key);
            }
        }
        Ok(())
    }

    /// Makes and changes many collections at once, and removes others where that is asked for.
    ///
    /// # Errors
    /// [`Error::Form`] and [`Error::Import`].
    pub async fn import(
        &self,
        call: &Call,
        items: Vec<JsonMap>,
        delete_missing: bool,
    ) -> Result<(), Error> {
        let now = call.now;
        let journal = self.journal.clone();
        let (gone, noted) = self
            .alone(move |tx| {
                let before = Arc::clone(tx.catalog());
                let gone = import::import(tx, &items, delete_missing, now)?;
                let noted = journal.note(tx, &before, "imported_collections", now, |_| true)?;
                Ok((gone, noted))
            })
            .await?;
        noted.publish();
        self.forget_files(&gone);
        Ok(())
    }

    /// What a query would be as a view: its fields and first records, encoded.
    ///
    /// # Errors
    /// [`Error::View`].
    pub async fn dry_run(&self, query: &str) -> Result<Vec<u8>, Error> {
        let query = query.to_owned();
        self.store
            .read(move |tx| dry_run::dry_run(tx, &query))
            .await
    }

    /// What the rules leave open to guests and to any account, the worst first.
    #[must_use]
    pub fn exposed(&self, call: &Call) -> Vec<Exposed> {
        exposure::exposed(&self.store.catalog(), call.now)
    }

    /// Blank collections of each kind.
    #[must_use]
    pub fn scaffolds(&self) -> Vec<Collection> {
        ["auth", "base", "view"]
            .into_iter()
            .filter_map(Collection::fresh_kind)
            .map(|kind| {
                let mut scaffold = Collection::scaffold(kind);
                if matches!(scaffold.kind, Kind::Auth(_)) {
                    scaffold.indexes = crate::schema::system::scaffold_indexes();
                }
                scaffold
            })
            .collect()
    }

    /// Lets a reader try the query of a view: one that takes for ever ends there, and never holds up the writer. What
    /// else is wrong with it is told when it is saved.
    async fn try_view(&self, draft: &Draft) -> Result<(), Error> {
        let Kind::View(options) = &draft.collection.kind else {
            return Ok(());
        };
        let Ok(query) = ViewQuery::parse(&options.view_query) else {
            return Ok(());
        };
        self.store.read(move |tx| Ok(tx.try_view(&query)?)).await
    }

    pub(super) async fn alone<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut WriteTx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let deadline = Duration::from_secs(WRITE_ALONE_SECS_MAX);
        self.store.write_alone(deadline, f).await
    }
}

/// Removes collections, tables and all. They may point to each other; nothing that stays may point to them.
pub(super) fn delete(tx: &mut WriteTx<'_>, going: &[Arc<Collection>]) -> Result<(), Error> {
    let catalog = Arc::clone(tx.catalog());
    let goes = |other: &Collection| going.iter().any(|gone| gone.id == other.id);
    if going.iter().any(|collection| collection.system) {
        return Err(Error::Delete);
    }
    let mut referrers: Vec<&str> = going
        .iter()
        .flat_map(|collection| catalog.referrers(&collection.id))
        .map(|(other, _)| other)
        .filter(|other| !goes(other))
        .map(|other| other.name.as_str())
        .collect();
    referrers.sort_unstable();
    referrers.dedup();
    if !referrers.is_empty() {
        return Err(Error::Referenced(referrers.join(", ")));
    }
    let stays = || catalog.iter().filter(|other| !goes(other));
    let views = || {
        stays()
            .filter(|other| other.is_view())
            .map(|view| view.name.as_str())
    };
    let whole: Vec<&str> = views().filter(|name| tx.view_works(name)).collect();
    for collection in going {
        tx.drop_table(collection).map_err(|_| Error::Delete)?;
    }
    if !whole.into_iter().all(|name| tx.view_works(name)) {
        return Err(Error::Delete);
    }
    for collection in going {
        tx.delete_collection(collection)?;
    }
    tx.schema_changed(stays().cloned().collect())?;
    Ok(())
}
