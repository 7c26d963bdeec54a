//! From a draft to a saved collection: built-in parts, validation, rules, tables, row, dependent views.

use std::sync::Arc;

use compact_str::CompactString;

use crate::expr::{Catalog, Guard};
use crate::kit::time::Timestamp;
use crate::schema::check::{World, check};
use crate::schema::view::{ViewQuery, same_fields};
use crate::schema::{Collection, Draft, FieldError, FieldErrors, Kind, Schema};
use crate::store::{DdlError, ReadTx, StoreError, WriteTx};

/// Why a draft was not saved.
#[derive(Debug, thiserror::Error)]
pub(super) enum SaveError {
    #[error("invalid")]
    Invalid(FieldErrors),
    #[error("{0}")]
    Raw(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DdlError> for SaveError {
    fn from(error: DdlError) -> Self {
        match error {
            DdlError::Indexes(refused) => {
                let mut errors = FieldErrors::new();
                for index in refused {
                    let code = "validation_invalid_index_expression";
                    let leaf = FieldError::new(code, index.to_string());
                    errors.nest("indexes", FieldErrors::one(index.at.to_string(), leaf));
                }
                Self::Invalid(errors)
            }
            DdlError::Refused(text) => Self::Raw(text),
            DdlError::Store(error) => Self::Store(error),
        }
    }
}

/// Saves one draft over `old`.
pub(super) fn save(
    tx: &mut WriteTx<'_>,
    mut draft: Draft,
    old: Option<&Arc<Collection>>,
    now: Timestamp,
) -> Result<Arc<Collection>, SaveError> {
    let catalog = Arc::clone(tx.catalog());
    let old = old.map(Arc::as_ref);
    let mut errors = shape_view(tx, &mut draft, &catalog);
    draft.settle(old, now, &|id| catalog.by_id(id).is_some());
    let candidate = with(&catalog, Arc::new(draft.collection.clone()));
    let rule_error = |text: &str| rule_error(&candidate, &draft.collection, text);
    errors.merge(judge(tx, &draft, old, &catalog, false, &rule_error));
    if !errors.is_empty() {
        return Err(SaveError::Invalid(errors));
    }
    tame_superusers(&mut draft.collection);
    store(tx, &draft.collection, old)?;
    let saved = Arc::new(draft.collection);
    tx.save_collection(&saved)?;
    let mut all = list_with(&catalog, Arc::clone(&saved));
    refresh_views(tx, &mut all, &saved, now)?;
    tx.schema_changed(all)?;
    Ok(saved)
}

/// Gives a view the fields of its query; what is wrong with the query.
pub(super) fn shape_view(tx: &ReadTx<'_>, draft: &mut Draft, schema: &Schema) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let Kind::View(options) = &draft.collection.kind else {
        return errors;
    };
    let text = options.view_query.clone();
    draft.collection.fields.clear();
    if text.trim().is_empty() {
        return errors;
    }
    if let Err(reason) = infer(tx, &text, schema, &mut draft.collection.fields) {
        errors.add(
            "viewQuery",
            FieldError::new(
                "validation_invalid_view_query",
                format!("Invalid query - {reason}."),
            ),
        );
    }
    errors
}

/// The fields of a query, as far as they are known when something is wrong with it.
fn infer(
    tx: &ReadTx<'_>,
    text: &str,
    schema: &Schema,
    fields: &mut Vec<crate::schema::Field>,
) -> Result<(), String> {
    let query = ViewQuery::parse(text)?;
    let names = tx.view_columns(&query)?;
    *fields = query.infer(&names, schema);
    let Some(id_at) = names.iter().position(|name| name == "id") else {
        return Err(
            "missing required id column (you can use `(ROW_NUMBER() OVER()) as id` if \
                    you don't have one)"
                .to_owned(),
        );
    };
    for (at, field) in fields.iter().enumerate() {
        if let Some(reason) = bad_name(&field.name) {
            return Err(format!(
                "invalid field \"{}\" ({at}): name: {reason}",
                field.name
            ));
        }
    }
    if let Some(name) = query.leaks(fields, schema) {
        return Err(format!(
            "the hidden field \"{name}\" can only be selected as it is, not as part of an expression or subquery"
        ));
    }
    tx.check_view_ids(&query, id_at)
}

/// What is wrong with the name of a column as the name of a field; the same judgement as that of declared fields.
fn bad_name(name: &str) -> Option<&'static str> {
    let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if name.is_empty() || !is_word {
        return Some("must be in a valid format");
    }
    if name.to_ascii_lowercase().contains("_via_") {
        return Some("the value cannot contain \"_via_\"");
    }
    matches!(
        name,
        "null" | "true" | "false" | "_rowid_" | "collectionId" | "collectionName" | "expand"
    )
    .then_some("must not be in list")
}

/// What is wrong with a draft; `placed` when `schema` holds it already.
pub(super) fn judge(
    tx: &WriteTx<'_>,
    draft: &Draft,
    old: Option<&Collection>,
    schema: &Schema,
    placed: bool,
    rule_error: &dyn Fn(&str) -> Option<FieldError>,
) -> FieldErrors {
    // A name is only taken by a table that is no collection's: those are told apart by their own check.
    let is_internal = |name: &str| {
        let is_own = old.is_some_and(|old| old.name.eq_ignore_ascii_case(name));
        !is_own && schema.find(name).is_none_or(|_| placed) && tx.has_table(name).unwrap_or(true)
    };
    check(
        draft,
        &World {
            schema,
            old,
            placed,
            is_internal_table: &is_internal,
            rule_error,
        },
    )
}

/// What is wrong with `text` as a rule of a collection of `catalog`.
pub(super) fn rule_error(
    catalog: &Catalog,
    collection: &Collection,
    text: &str,
) -> Option<FieldError> {
    let error = catalog.filter(collection, text, Guard::Trusted).err()?;
    Some(FieldError::new(
        "validation_invalid_rule",
        format!("Invalid rule. Raw error: {error}"),
    ))
}

/// Superusers sign in by password, never through a provider, whatever was submitted.
pub(super) fn tame_superusers(collection: &mut Collection) {
    if !collection.is_superusers() {
        return;
    }
    if let Kind::Auth(options) = &mut collection.kind {
        options.oauth2.enabled = false;
        options.oauth2.providers.clear();
    }
}

/// Makes or changes the table or view.
pub(super) fn store(
    tx: &mut WriteTx<'_>,
    new: &Collection,
    old: Option<&Collection>,
) -> Result<(), DdlError> {
    match (new.is_view(), old) {
        (true, old) => tx.create_view(new, old.map(|old| old.name.as_str())),
        (false, None) => tx.create_table(new),
        (false, Some(old)) => tx.change_table(old, new),
    }
}

/// All collections with `one` in its place, or at the end.
pub(super) fn list_with(schema: &Schema, one: Arc<Collection>) -> Vec<Arc<Collection>> {
    let mut all: Vec<Arc<Collection>> = schema.iter().cloned().collect();
    match all.iter_mut().find(|other| other.id == one.id) {
        Some(place) => *place = one,
        None => all.push(one),
    }
    all
}

fn with(catalog: &Catalog, one: Arc<Collection>) -> Catalog {
    Catalog::new(Schema::new(catalog.generation(), list_with(catalog, one)))
}

/// Saves the views whose fields are others since `changed` is as it is now. A view that does not work any more stays.
pub(super) fn refresh_views(
    tx: &mut WriteTx<'_>,
    all: &mut [Arc<Collection>],
    changed: &Collection,
    now: Timestamp,
) -> Result<(), SaveError> {
    for at in 0..all.len() {
        let view = Arc::clone(&all[at]);
        let Kind::View(options) = &view.kind else {
            continue;
        };
        if view.id == changed.id {
            continue;
        }
        let schema = Schema::new(0, all.to_vec());
        let mut fields = Vec::new();
        let works = infer(tx, &options.view_query, &schema, &mut fields).is_ok();
        if !works || same_fields(&view, &fields) {
            continue;
        }
        let fresh = Collection {
            fields,
            updated: now.to_text(),
            ..(*view).clone()
        };
        if tx.create_view(&fresh, Some(&fresh.name)).is_err() {
            continue;
        }
        tx.save_collection(&fresh)?;
        all[at] = Arc::new(fresh);
    }
    Ok(())
}

/// The name of a collection as errors show it.
pub(super) fn shown(collection: &Collection) -> CompactString {
    compact_str::format_compact!("\"{}\" ({})", collection.name, collection.id.as_str())
}
