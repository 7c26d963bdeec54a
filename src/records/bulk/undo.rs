//! Taking an order back, the latest record first: the change log holds what each of its transactions has replaced. Where
//! somebody has changed the same values since, they stay as they are.

use std::sync::Arc;

use compact_str::CompactString;
use futures_util::{StreamExt, stream};

use super::act::{Print, patiently};
use super::job::{Failure, Job, Step};
use crate::call::Call;
use crate::kit::limits::{BULK_AT_ONCE, BULK_STEP_ENTRIES_MAX};
use crate::kit::value::Value;
use crate::records::remove::{self, Gone};
use crate::records::service::Records;
use crate::records::{Error, create};
use crate::schema::{Collection, CollectionId, FieldError, FieldErrors, FieldKind, Record};
use crate::store::change::Entry;
use crate::store::{Action, Position, WriteTx};

pub(super) async fn carry_out(
    records: &Records,
    job: &Arc<Job>,
    call: Call,
    done: &Job,
    steps: Vec<Step>,
) {
    if !job.waited(std::time::Duration::ZERO).await {
        return;
    }
    let call = Arc::new(call);
    let going_on = stream::iter(steps).take_while(|_| {
        let on = !job.is_stopped();
        async move { on }
    });
    going_on
        .map(|step| one(records, job, &call, done, step))
        .buffered(BULK_AT_ONCE)
        .for_each(|()| async {})
        .await;
}

/// What one step's undoing brought back and took away.
#[derive(Default)]
struct Undone {
    back: Vec<(CollectionId, CompactString)>,
    gone: Gone,
}

async fn one(records: &Records, job: &Job, call: &Arc<Call>, done: &Job, step: Step) {
    let outcome = patiently(|| {
        let call = Arc::clone(call);
        records.store().write(move |tx| {
            let mut about = CompactString::default();
            revert(tx, &call, step, &mut about).map_err(|error| match error {
                // Tried again.
                error @ Error::Store(_) => error,
                error => Error::Step(about, Box::new(error)),
            })
        })
    })
    .await;
    job.count(match outcome {
        Ok(undone) => {
            done.keep_files(&undone.back);
            records.dispose(undone.gone);
            Ok(())
        }
        Err(Error::Step(record, error)) => Err(Failure::new(record, &error)),
        Err(error) => Err(Failure::new(CompactString::default(), &error)),
    });
}

fn changed() -> Error {
    let fault = FieldError::new("bulk_changed", "It was changed since.");
    Error::Bulk(FieldErrors::one("record", fault))
}

fn revert(
    tx: &mut WriteTx<'_>,
    call: &Call,
    step: Step,
    about: &mut CompactString,
) -> Result<Undone, Error> {
    let entries = tx.changes_of(Position(step.first), BULK_STEP_ENTRIES_MAX)?;
    let whole = !entries.is_empty() && entries.len() < BULK_STEP_ENTRIES_MAX;
    let mut known = Vec::with_capacity(entries.len());
    for entry in &entries {
        if let Some(subject) = &entry.subject
            && let Some(record) = &subject.record
        {
            if about.is_empty() {
                *about = record.as_str().into();
            }
            let collection = tx.catalog().by_id(&subject.collection).cloned();
            let collection = collection.ok_or_else(changed)?;
            known.push((entry, collection, CompactString::from(record.as_str())));
        }
    }
    if !whole || known.len() != entries.len() {
        let fault = FieldError::new("bulk_forgotten", "What it was is not known any more.");
        return Err(Error::Bulk(FieldErrors::one("record", fault)));
    }
    let mut print = Print::default();
    for (entry, collection, id) in &known {
        let named = |at: usize| {
            entry
                .undo
                .iter()
                .any(|(field, _)| *field == collection.fields[at].id)
        };
        match entry.action {
            Action::Create => print.present(tx, collection, id, |_| true)?,
            Action::Delete => print.present(tx, collection, id, |_| false)?,
            Action::Update | Action::Schema | Action::Touched => {
                print.present(tx, collection, id, named)?;
            }
        }
    }
    if print.finish() != step.print {
        return Err(changed());
    }
    let mut undone = Undone::default();
    for (entry, collection, id) in known.iter().rev() {
        match entry.action {
            Action::Create => {
                if let Some(record) = tx.find(collection, id)? {
                    remove::remove(tx, call, &record, &mut undone.gone)?;
                }
            }
            Action::Update => put_back(tx, call, entry, collection, id)?,
            Action::Delete => make_again(tx, entry, collection)?,
            Action::Schema | Action::Touched => {}
        }
        if entry.action != Action::Create {
            undone.back.push((collection.id.clone(), id.clone()));
        }
    }
    Ok(undone)
}

/// Gives the changed cells their old values; dates tell of this change as of any other.
fn put_back(
    tx: &mut WriteTx<'_>,
    call: &Call,
    entry: &Entry,
    collection: &Arc<Collection>,
    id: &str,
) -> Result<(), Error> {
    let before = tx.find(collection, id)?.ok_or_else(changed)?;
    let mut after = before.clone();
    for (at, old) in old_cells(entry, collection)? {
        if !matches!(collection.fields[at].kind, FieldKind::Autodate(_)) {
            after.cells_mut()[at] = old;
        }
    }
    remove::touch(&mut after, call);
    tx.update(&before, &after)
        .map_err(|error| create::taken(collection, error).map_or_else(Error::Store, Error::Update))
}

/// Makes a removed record again as it was.
fn make_again(
    tx: &mut WriteTx<'_>,
    entry: &Entry,
    collection: &Arc<Collection>,
) -> Result<(), Error> {
    let mut cells: Vec<Value> = collection
        .fields
        .iter()
        .map(crate::schema::Field::zero)
        .collect();
    for (at, old) in old_cells(entry, collection)? {
        cells[at] = old;
    }
    let record = Record::from_cells(Arc::clone(collection), cells);
    tx.insert(&record)
        .map_err(|error| create::taken(collection, error).map_or_else(Error::Store, Error::Create))
}

/// The old cells by the position of their field. A field that is gone has nowhere to go back to.
fn old_cells(entry: &Entry, collection: &Collection) -> Result<Vec<(usize, Value)>, Error> {
    entry
        .undo
        .iter()
        .map(|(field, old)| {
            let at = collection
                .fields
                .iter()
                .position(|known| known.id == *field);
            Ok((at.ok_or_else(changed)?, old.clone()))
        })
        .collect()
}
