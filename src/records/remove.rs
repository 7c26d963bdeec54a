//! Removing a record and what hangs on it: referring records go or are unlinked, in the same transaction (contract 5.6).
//! Used by the delete route, batches, truncation and whatever else removes records.

use std::sync::Arc;

use compact_str::CompactString;

use super::{Error, account, system};
use crate::call::Call;
use crate::kit::value::Value;
use crate::schema::{Collection, CollectionId, FieldKind, Record};
use crate::store::{Referring, WriteTx};

/// What a removal leaves to be done after the commit: folders of files that nobody owns any more.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    /// Collection and id of removed records whose collections have file fields.
    pub folders: Vec<(CollectionId, CompactString)>,
}

/// Removes `record` with everything that the contract removes with it.
///
/// # Errors
/// [`Error::Delete`] when a required reference stands in the way, [`Error::LastSuperuser`].
pub fn remove(
    tx: &mut WriteTx<'_>,
    call: &Call,
    record: &Record,
    gone: &mut Gone,
) -> Result<(), Error> {
    remove_within(tx, call, record, gone, usize::MAX).map(drop)
}

/// As [`remove`], and stops when more than `most` records would go or change; whether it came to the end. If it did
/// not, the transaction must not be kept.
///
/// # Errors
/// As [`remove`].
pub(super) fn remove_within(
    tx: &mut WriteTx<'_>,
    call: &Call,
    record: &Record,
    gone: &mut Gone,
    most: usize,
) -> Result<bool, Error> {
    // Cascades may be as long as chains of records are: a list of work, not recursion. It holds ids, not records, so
    // that a hundred thousand of them are a few megabytes.
    let mut waiting = vec![pending(record)];
    let mut left = most;
    while let Some((collection, id)) = waiting.pop() {
        // Reached twice, by two references: the second time there is nothing to do.
        let Some(record) = tx.find(&collection, &id)? else {
            continue;
        };
        guard_last_superuser(tx, call, &record)?;
        tx.delete(&record)?;
        note_files(&record, gone);
        if collection.system && collection.name == account::SESSIONS {
            account::after_session(tx, call, &record)?;
        }
        if collection.is_auth() {
            for name in system::REFERENCE_COLLECTIONS {
                let owned = account::owned(tx, name, &record)?;
                waiting.extend(owned.iter().map(pending));
            }
        }
        let met = release(tx, call, &record, &mut waiting, left)?;
        let Some(rest) = left.checked_sub(met) else {
            return Ok(false);
        };
        left = rest;
    }
    Ok(true)
}

type Pending = (Arc<Collection>, CompactString);

fn pending(record: &Record) -> Pending {
    (Arc::clone(record.collection()), record.id().into())
}

fn guard_last_superuser(tx: &WriteTx<'_>, call: &Call, record: &Record) -> Result<(), Error> {
    if !record.collection().is_superusers() {
        return Ok(());
    }
    let select = crate::store::Select::all(tx.catalog(), call, record.collection());
    if tx.count(&select)? <= 1 {
        return Err(Error::LastSuperuser);
    }
    Ok(())
}

fn note_files(record: &Record, gone: &mut Gone) {
    let has_files = record
        .collection()
        .fields
        .iter()
        .any(|field| matches!(field.kind, FieldKind::File(_)));
    if has_files {
        gone.folders
            .push((record.collection().id.clone(), record.id().into()));
    }
}

/// Sees to the records that refer to `gone`: some are unlinked, some must go too. How many there were; when they are more
/// than `most`, some were left as they are.
fn release(
    tx: &mut WriteTx<'_>,
    call: &Call,
    gone: &Record,
    waiting: &mut Vec<Pending>,
    most: usize,
) -> Result<usize, Error> {
    let mut referrers: Vec<(Arc<Collection>, usize)> = tx
        .catalog()
        .referrers(&gone.collection().id)
        .filter(|(collection, _)| !collection.is_view())
        .map(|(collection, field)| (Arc::clone(collection), field))
        .collect();
    referrers.sort_by(|a, b| a.0.name.cmp(&b.0.name).then(a.1.cmp(&b.1)));
    let mut met = 0;
    for (collection, field) in referrers {
        let found = tx.referring_ids(&Referring {
            catalog: tx.catalog(),
            call,
            collection: &collection,
            field,
            ids: &[gone.id()],
            filter: None,
            limit: most.saturating_add(1),
        })?;
        met += found.len();
        if met > most {
            break;
        }
        for referrer in found {
            if let Some(record) = tx.find(&collection, &referrer)? {
                unlink(tx, call, gone.id(), &record, field, waiting)?;
            }
        }
    }
    Ok(met)
}

/// Takes `id` out of one record, or sends the record after it.
fn unlink(
    tx: &mut WriteTx<'_>,
    call: &Call,
    id: &str,
    record: &Record,
    index: usize,
    waiting: &mut Vec<Pending>,
) -> Result<(), Error> {
    let collection = Arc::clone(record.collection());
    let field = &collection.fields[index];
    let FieldKind::Relation(options) = &field.kind else {
        return Ok(());
    };
    let mut left = field.items(record.cells()[index].as_cell());
    left.retain(|item| item != id);
    if left.is_empty() && !options.cascade_delete && field.required {
        return Err(Error::Delete);
    }
    if left.is_empty() && options.cascade_delete {
        waiting.push(pending(record));
        return Ok(());
    }
    let mut after = record.clone();
    after.cells_mut()[index] = field.store_items(left);
    touch(&mut after, call);
    tx.update(record, &after)?;
    Ok(())
}

/// Sets the dates that every change sets.
pub fn touch(record: &mut Record, call: &Call) {
    let collection = Arc::clone(record.collection());
    for (index, field) in collection.fields.iter().enumerate() {
        if let FieldKind::Autodate(options) = &field.kind
            && options.on_update
        {
            record.cells_mut()[index] = Value::Text(call.now.to_text());
        }
    }
}
