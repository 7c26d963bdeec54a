//! Files that commits have stopped naming, where a crash came before they were removed: the change log remembers their
//! names. It is read from the place where all was in order last, kept in a file of the directory.

use std::collections::BTreeSet;
use std::io;

use super::pending::{named_by, stored_names};
use super::{Files, Key, RecordKey};
use crate::schema::{Collection, CollectionId, FieldKind};
use crate::store::{Action, Cursor, Entry, Position, ReadTx, Store, StoreError};

/// Name of the file that holds the place.
const FILE: &str = "swept";

/// What nothing names any more.
#[derive(Default)]
struct Orphans {
    blobs: Vec<Key>,
    records: Vec<RecordKey>,
    collections: Vec<CollectionId>,
}

impl Orphans {
    fn is_empty(&self) -> bool {
        self.blobs.is_empty() && self.records.is_empty() && self.collections.is_empty()
    }
}

impl Files {
    /// Removes what commits have stopped naming since the place that was kept, and keeps the present one.
    pub(super) async fn sweep_log(&self, store: &Store) -> Result<(), StoreError> {
        let head = store.head();
        let since = kept(store, head.epoch)?;
        let orphans = store.read(move |tx| orphans(tx, since)).await?;
        if orphans.is_empty() {
            return keep(store, head);
        }
        let store = store.clone();
        self.clean(move |files| {
            files.remove_all(&orphans)?;
            keep(&store, head).map_err(io::Error::other)
        })
        .await;
        Ok(())
    }

    /// Removes before anything is served; but nobody waits for a bucket, which may be far away.
    pub(super) async fn clean(&self, work: impl FnOnce(&Self) -> io::Result<()> + Send + 'static) {
        if !self.places().is_local() {
            self.in_background(work);
        } else if let Err(error) = self.blocking(work).await {
            tracing::warn!(%error, "cannot sweep files that nothing names");
        }
    }

    /// All is in order now, unless something is still being removed: the next start need not look before this place.
    pub fn close(&self, store: &Store) {
        if self.is_idle()
            && let Err(error) = keep(store, store.head())
        {
            tracing::warn!(%error, "the next start will look for files that nothing names");
        }
    }

    /// Removes all of it, as far as that goes; the last error, if there was one.
    fn remove_all(&self, orphans: &Orphans) -> io::Result<()> {
        let blobs = orphans.blobs.iter().map(|key| self.remove(key));
        let records = orphans.records.iter().map(|key| self.remove_record(key));
        let collections = orphans
            .collections
            .iter()
            .map(|id| self.remove_collection(id.as_str()));
        // Every one is tried, whatever became of those before it.
        let mut last = Ok(());
        for removed in blobs.chain(records).chain(collections) {
            last = removed.and(last);
        }
        last
    }
}

fn keep(store: &Store, place: Cursor) -> Result<(), StoreError> {
    let text = format!("{} {}", place.epoch, place.position.0);
    store.keep(FILE, text.as_bytes())
}

/// The place that was kept; the beginning of the log where it is of another past.
fn kept(store: &Store, epoch: u64) -> Result<Position, StoreError> {
    let text = store.kept(FILE)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let place = text.split_once(' ').and_then(|(of, position)| {
        (of.parse() == Ok(epoch)).then(|| position.parse().ok().map(Position))?
    });
    Ok(place.unwrap_or_default())
}

fn orphans(tx: &ReadTx<'_>, since: Position) -> Result<Orphans, StoreError> {
    let with_files: Vec<CollectionId> = tx
        .catalog()
        .iter()
        .filter(|collection| !collection.is_view() && has_files(collection))
        .map(|collection| collection.id.clone())
        .collect();
    let mut orphans = Orphans::default();
    // A record may have let go of many files, one after the other.
    let mut looked_at = BTreeSet::new();
    let mut failed = None;
    tx.removals_after(since, &with_files, &mut |entry| {
        if failed.is_none()
            && let Err(error) = look(tx, &entry, &mut looked_at, &mut orphans)
        {
            failed = Some(error);
        }
    })?;
    failed.map_or(Ok(orphans), Err)
}

fn has_files(collection: &Collection) -> bool {
    let is_file = |kind: &FieldKind| matches!(kind, FieldKind::File(_));
    collection.fields.iter().any(|field| is_file(&field.kind))
}

/// What one entry tells of files that may be nobody's now.
fn look(
    tx: &ReadTx<'_>,
    entry: &Entry,
    looked_at: &mut BTreeSet<String>,
    orphans: &mut Orphans,
) -> Result<(), StoreError> {
    let gone = entry.concerns.iter().flatten().map(|one| &one.collection);
    let gone = gone.filter(|id| tx.catalog().by_id(id).is_none());
    orphans.collections.extend(gone.cloned());
    let Some(subject) = &entry.subject else {
        return Ok(());
    };
    let (Some(collection), Some(id)) = (tx.catalog().by_id(&subject.collection), &subject.record)
    else {
        return Ok(());
    };
    let Some(folder) = RecordKey::new(collection.id.as_str(), id.as_str()) else {
        return Ok(());
    };
    let record = tx.find(collection, id.as_str())?;
    if record.is_none() && entry.action == Action::Delete {
        orphans.records.push(folder);
        return Ok(());
    }
    let file = |id: &str| {
        let field = collection.fields.iter().find(|field| field.id == id);
        field.is_some_and(|field| matches!(field.kind, FieldKind::File(_)))
    };
    for (_, cell) in entry.undo.iter().filter(|(field, _)| file(field)) {
        for name in stored_names(cell.text_or_empty()) {
            let named = record.as_ref().and_then(|record| named_by(record, &name));
            if named.is_none()
                && let Some(key) = folder.blob(&name)
                && looked_at.insert(key.to_text())
            {
                orphans.blobs.push(key);
            }
        }
    }
    Ok(())
}
