//! The rows inside a transaction: each judged and written, or refused and left without a trace.

use std::sync::Arc;

use compact_str::CompactString;

use super::options::{ImportOptions, OnError, Same};
use super::report::{ImportReport, Place, RowError};
use super::rows::{Chunk, Row};
use crate::call::Call;
use crate::files::Key;
use crate::kit::sql::Dialect;
use crate::kit::value::Value;
use crate::records::draft::Draft;
use crate::records::{Error, blobs, create, update};
use crate::schema::Collection;
use crate::store::{StoreError, WriteTx};

/// What all rows are written with.
pub(super) struct Writing {
    pub(super) collection: Arc<Collection>,
    pub(super) options: Arc<ImportOptions>,
    pub(super) call: Call,
    /// How values of the field to find records by are the same.
    pub(super) same: Option<Same>,
    /// Password and hash of accounts that the file names no password for: nobody knows it.
    pub(super) unknown_password: Option<(CompactString, CompactString)>,
}

/// What happened to one row.
enum Did {
    Created,
    Updated,
}

impl Writing {
    /// Writes the rows of `chunk` and counts them in `report`; gives the files that nobody names any more. `false` when a
    /// refused row ends the import.
    pub(super) fn chunk(
        &self,
        tx: &mut WriteTx<'_>,
        chunk: &Chunk,
        report: &mut ImportReport,
        dropped: &mut Vec<Key>,
    ) -> Result<bool, Error> {
        let mut call = self.call.clone();
        call.now = tx.now();
        for row in &chunk.rows {
            report.progress.rows += 1;
            match self.row(tx, &mut call, row, dropped) {
                Ok(Did::Created) => report.progress.created += 1,
                Ok(Did::Updated) => report.progress.updated += 1,
                Err(Refusal::Row(errors)) => {
                    report.refuse(errors);
                    if self.options.on_error == OnError::Stop && !self.options.dry_run {
                        report.stopped = Some(format!("row {} was refused", row.place.row));
                        return Ok(false);
                    }
                }
                Err(Refusal::All(error)) => return Err(error),
            }
        }
        report.progress.bytes = chunk.bytes;
        report.ignored.clone_from(&chunk.ignored);
        if let Some(broken) = &chunk.broken {
            report.stopped = Some(broken.clone());
            return Ok(false);
        }
        Ok(true)
    }

    fn row(
        &self,
        tx: &mut WriteTx<'_>,
        call: &mut Call,
        row: &Row,
        dropped: &mut Vec<Key>,
    ) -> Result<Did, Refusal> {
        let draft = row.draft.as_ref().map_err(|e| Refusal::Row(e.clone()))?;
        let place = row.place;
        let Some(id) = self.existing(tx, draft, place)? else {
            call.method = CompactString::const_new("POST");
            let made = match tx.dialect() {
                Dialect::Sqlite => self.create(tx, call, draft),
                // A statement that fails there ends the transaction.
                Dialect::Postgres => tx.attempt(|tx| self.create(tx, call, draft)),
            };
            return made.map_err(|e| refusal(place, e));
        };
        call.method = CompactString::const_new("PATCH");
        // A change of an account may end sessions before a unique index refuses it.
        let judged = tx
            .attempt(|tx| update::update(tx, call, &id, draft, |_| true))
            .map_err(|e| refusal(place, e))?;
        dropped.extend(blobs::dropped(&judged.before, &judged.after));
        Ok(Did::Updated)
    }

    fn create(&self, tx: &mut WriteTx<'_>, call: &Call, draft: &Draft) -> Result<Did, Error> {
        let lacks_password = self.collection.is_auth()
            && draft
                .password("password")
                .is_none_or(|p| p.plain.is_empty());
        match &self.unknown_password {
            Some((plain, hash)) if lacks_password => {
                let mut draft = draft.clone();
                draft.take_password(plain.clone(), Some(hash.clone()));
                create::create(tx, call, &draft)?;
            }
            _ => {
                create::create(tx, call, draft)?;
            }
        }
        Ok(Did::Created)
    }

    /// The id of the record that a row is to change.
    fn existing(
        &self,
        tx: &WriteTx<'_>,
        draft: &Draft,
        place: Place,
    ) -> Result<Option<CompactString>, Refusal> {
        let Some(field) = &self.options.upsert else {
            return Ok(None);
        };
        let index = self.collection.field_index(field);
        let value = index.and_then(|index| draft.set_to(index));
        let Some(value) = value.filter(|value| !is_empty(value)) else {
            // A record without an id in the file is a new one.
            if field == "id" {
                return Ok(None);
            }
            let mut error = place.error("validation_required", "Cannot be blank.");
            error.field.clone_from(field);
            return Err(Refusal::Row(vec![error]));
        };
        let found = match self.same {
            Some(Same::InAnyCase) => tx.find_by_nocase(&self.collection, field, value),
            Some(Same::Exactly) | None => tx.find_by(&self.collection, field, value),
        };
        let found = found.map_err(|error| Refusal::All(error.into()))?;
        Ok(found.map(|record| record.id().into()))
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || matches!(value, Value::Text(text) if text.is_empty())
}

/// Why a row was not written.
enum Refusal {
    /// For its own faults.
    Row(Vec<RowError>),
    /// For something that no further row would survive.
    All(Error),
}

fn refusal(place: Place, error: Error) -> Refusal {
    match error {
        Error::Create(errors) => {
            Refusal::Row(place.errors(&errors, "The record cannot be created."))
        }
        Error::Update(errors) => {
            Refusal::Row(place.errors(&errors, "The record cannot be changed."))
        }
        Error::Store(StoreError::Gone | StoreError::NotUnique { .. }) | Error::NotFound => {
            Refusal::Row(vec![
                place.error("validation_record", "The record cannot be changed."),
            ])
        }
        other => Refusal::All(other),
    }
}
