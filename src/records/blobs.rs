//! Files of records around a commit: stored before it under their final names, removed after it when nothing names them
//! any more. A commit never names a missing file.

use compact_str::CompactString;

use super::Error;
use super::draft::Draft;
use super::remove::Gone;
use crate::bucket::BucketError;
use crate::files::{Files, Key, Pending, RecordKey, Upload};
use crate::schema::{CollectionId, FieldKind, Record};

/// What a commit leaves behind to be removed.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    /// Files that a change took off a record.
    pub(super) files: Vec<Key>,
    /// Removed records.
    pub(super) gone: Gone,
}

/// The uploads of `draft` for the record `id`, with the places they will be stored at; those that `after`, where it is
/// known, does not name (a single field given several files) are never stored.
///
/// # Errors
/// When the id cannot be the name of a folder.
pub(super) fn added(
    draft: &Draft,
    id: &str,
    after: Option<&Record>,
) -> Result<Vec<(Key, Upload)>, Error> {
    if draft.files.is_empty() {
        return Ok(Vec::new());
    }
    let unfit = || Error::Files("the id cannot name a folder".to_owned());
    let folder = RecordKey::new(draft.collection().id.as_str(), id).ok_or_else(unfit)?;
    draft
        .files
        .iter()
        .filter(|file| {
            after.is_none_or(|record| {
                record.cells()[file.field]
                    .text_or_empty()
                    .contains(file.name.as_str())
            })
        })
        .map(|file| {
            let key = folder.blob(&file.name).ok_or_else(unfit)?;
            Ok((key, file.upload.clone()))
        })
        .collect()
}

/// Files that `before` names and `after` does not.
pub(super) fn dropped(before: &Record, after: &Record) -> Vec<Key> {
    let Some(folder) = RecordKey::new(before.collection().id.as_str(), before.id()) else {
        return Vec::new();
    };
    let mut dropped = Vec::new();
    for (index, field) in before.collection().fields.iter().enumerate() {
        if !matches!(field.kind, FieldKind::File(_))
            || before.cells()[index] == after.cells()[index]
        {
            continue;
        }
        let kept = field.items(after.cells()[index].as_cell());
        let old = field.items(before.cells()[index].as_cell());
        dropped.extend(
            old.iter()
                .filter(|name| !kept.contains(name))
                .filter_map(|name| folder.blob(name)),
        );
    }
    dropped
}

/// Stores uploads ahead of the commit that names them.
///
/// # Errors
/// When the disk or the bucket refuses; nothing stays behind.
pub(super) async fn store(files: &Files, added: Vec<(Key, Upload)>) -> Result<Pending, Error> {
    files.begin(added, Vec::new()).await.map_err(|error| {
        if error
            .get_ref()
            .is_some_and(|cause| cause.is::<BucketError>())
        {
            Error::Storage(error.to_string())
        } else {
            Error::Files(error.to_string())
        }
    })
}

/// Removes, in the background, what a commit left behind.
pub(super) async fn dispose(files: &Files, leftover: Leftover) {
    if !leftover.files.is_empty() {
        match files.begin(Vec::new(), leftover.files).await {
            Ok(pending) => pending.commit(),
            // They stay as files that nothing names: no harm but room.
            Err(error) => tracing::warn!(%error, "files that nothing names stay behind"),
        }
    }
    dispose_folders(files, leftover.gone.folders);
}

/// Removes the folders of records that are gone.
pub(super) fn dispose_folders(files: &Files, folders: Vec<(CollectionId, CompactString)>) {
    for (collection, record) in folders {
        if let Some(folder) = RecordKey::new(collection.as_str(), &record) {
            files.delete_record(folder);
        }
    }
}
