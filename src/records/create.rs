//! Making a record: the rule is judged on the submitted values before anything else is said of them, then the account's
//! form, then the fields, then the database's own constraints (contract 5.4).

use std::sync::Arc;

use super::access::{self, Gate};
use super::draft::Draft;
use super::refusal::{Refusal, rule_name};
use super::{Error, account, check, system};
use crate::call::Call;
use crate::expr::{Catalog, Filter};
use crate::kit::id;
use crate::kit::value::Value;
use crate::schema::{Action, Collection, Field, FieldError, FieldErrors, FieldKind, Record};
use crate::store::{ReadTx, StoreError, WriteTx};

/// The collection that the path of a create or update names.
///
/// # Errors
/// When there is none, or when it is a view.
pub fn writable<'c>(catalog: &'c Catalog, name: &str) -> Result<&'c Arc<Collection>, Error> {
    let collection = catalog.find(name).ok_or(Error::UnknownCollectionToWrite)?;
    if collection.is_view() {
        return Err(Error::ReadOnly);
    }
    Ok(collection)
}

/// Judges `draft` and gives the record that it makes. Nothing is written: also used to refuse before slow work begins.
///
/// # Errors
/// The refusal of the rule, of the account's form or of the fields, in this order.
pub fn judge(tx: &ReadTx<'_>, call: &Call, draft: &Draft) -> Result<Record, Error> {
    let collection = draft.collection();
    let gate = access::gate(tx.catalog(), call, collection, Action::Create)?;
    let mut record = draft.apply(&blank(collection));
    let manages = {
        let shown = posed(&record);
        let call = seen(call, draft, &record, &gate);
        if !holds(tx, &call, &gate, &shown)? {
            let text = collection.rules.create.as_deref().unwrap_or("");
            let rule = (rule_name(Action::Create), text);
            let judge = |filter: &Filter| holds_draft(tx, &call, filter, &shown);
            let refusal = Refusal::find(tx, collection, rule, "", judge)?;
            return Err(Error::CreateRefused(Box::new(refusal)));
        }
        // What cannot be hashed cannot be judged: told like a refusal (contract 3.14).
        let mut typed = draft
            .passwords
            .iter()
            .filter(|password| !password.generated);
        if !call.actor.is_superuser()
            && typed.any(|password| match &collection.fields[password.field].kind {
                FieldKind::Password(options) => options.is_past_hashing(&password.plain),
                _ => false,
            })
        {
            return Err(Error::Create(FieldErrors::new()));
        }
        collection.is_auth()
            && account::manages(tx, &call, collection, |rule| {
                holds(tx, &call, &Gate::Where(rule.clone()), &shown)
            })?
    };
    system::force_verified(&mut record);
    if collection.is_auth() {
        let errors = account::create_form(draft, &record, manages || collection.is_superusers());
        refuse(errors)?;
    }
    fill(&mut record, draft, call);
    refuse(check::fields(tx, draft, None, &record)?)?;
    if collection.is_auth() && account::id_taken_elsewhere(tx, collection, &record.id().into())? {
        return Err(Error::Create(FieldErrors::one(
            "id",
            FieldError::new(
                "validation_invalid_auth_id",
                "Invalid or duplicated auth record id.",
            ),
        )));
    }
    refuse(system::references(tx, &record)?)?;
    Ok(record)
}

/// Judges `draft` and writes the record.
///
/// # Errors
/// As [`judge`]; and values that must be unique and are not.
pub fn create(tx: &mut WriteTx<'_>, call: &Call, draft: &Draft) -> Result<Record, Error> {
    create_with(tx, call, draft, |_| {})
}

/// As [`create`]; `finish` has the last word on the judged record: for what nobody could have submitted.
///
/// # Errors
/// As [`create`].
pub fn create_with(
    tx: &mut WriteTx<'_>,
    call: &Call,
    draft: &Draft,
    finish: impl FnOnce(&mut Record),
) -> Result<Record, Error> {
    draft.still_fits(tx.catalog())?;
    let mut record = judge(tx, call, draft)?;
    finish(&mut record);
    tx.insert(&record).map_err(|error| {
        taken(record.collection(), error).map_or_else(Error::Store, Error::Create)
    })?;
    system::after_create(tx, call, &record)?;
    Ok(record)
}

fn refuse(errors: FieldErrors) -> Result<(), Error> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Create(errors))
    }
}

/// The errors by field that a refused unique index means; any other error is given back.
///
/// # Errors
/// Any other error.
pub fn taken(collection: &Collection, error: StoreError) -> Result<FieldErrors, StoreError> {
    let StoreError::NotUnique { columns, .. } = &error else {
        return Err(error);
    };
    let mut errors = FieldErrors::new();
    for column in columns {
        if collection.field(column).is_some() {
            errors.add(column.as_str(), FieldError::not_unique());
        }
    }
    Ok(errors)
}

/// The record that `submitted` would be, as its rule meets it.
pub(super) fn posed(submitted: &Record) -> Record {
    let mut shown = submitted.clone();
    if shown.id().is_empty() {
        shown.set("id", Value::text(format!("__temp_id__{}", id::record_id())));
    }
    // Under judgement nobody is verified yet, whatever was submitted.
    if submitted.collection().is_auth() {
        shown.set("verified", Value::from(false));
    }
    shown
}

/// The call as rules see it, with what was submitted. Only rules look there.
pub(super) fn seen(call: &Call, draft: &Draft, applied: &Record, gate: &Gate) -> Call {
    if call.actor.is_above_rules() || (matches!(gate, Gate::Open) && !draft.collection().is_auth())
    {
        return call.clone();
    }
    Call {
        body: Arc::new(draft.body(applied)),
        ..call.clone()
    }
}

/// Whether the gate lets a record pass that exists in memory only.
fn holds(tx: &ReadTx<'_>, call: &Call, gate: &Gate, record: &Record) -> Result<bool, Error> {
    match gate {
        Gate::Open => Ok(true),
        Gate::Broken(_) => Ok(false),
        Gate::Where(filter) => holds_draft(tx, call, filter, record),
    }
}

/// Whether `filter` holds for a record that exists in memory only.
pub(super) fn holds_draft(
    tx: &ReadTx<'_>,
    call: &Call,
    filter: &Filter,
    record: &Record,
) -> Result<bool, Error> {
    match filter.holds_for_draft(call, record) {
        Some(verdict) => Ok(verdict),
        None => Ok(tx.holds_for(call, filter, record)?),
    }
}

/// A record of zero values.
pub(super) fn blank(collection: &Arc<Collection>) -> Record {
    let cells = collection.fields.iter().map(Field::zero).collect();
    Record::from_cells(Arc::clone(collection), cells)
}

/// What a new record gets that was not submitted: id, generated texts, dates.
fn fill(record: &mut Record, draft: &Draft, call: &Call) {
    let collection = Arc::clone(record.collection());
    for (index, field) in collection.fields.iter().enumerate() {
        let cell = &record.cells()[index];
        let empty = cell.text_or_empty().is_empty();
        let value = match &field.kind {
            FieldKind::Autodate(options) if options.on_create => {
                Some(Value::Text(call.now.to_text()))
            }
            FieldKind::Text(options) if empty && options.primary_key => {
                Some(Value::Text(draft.fresh_id.clone()))
            }
            FieldKind::Text(_) if empty => field.autogenerate(),
            _ => None,
        };
        if let Some(value) = value {
            record.cells_mut()[index] = value;
        }
    }
}
