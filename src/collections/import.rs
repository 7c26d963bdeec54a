//! Importing collections: all of them or none (contract 2.9).

use std::collections::HashSet;
use std::sync::Arc;

use super::Error;
use super::save::{
    SaveError, judge, refresh_views, rule_error, shape_view, shown, store, tame_superusers,
};
use super::service::delete;
use crate::expr::Catalog;
use crate::kit::json::{Json, JsonMap};
use crate::kit::limits::IMPORT_COLLECTIONS_MAX;
use crate::kit::time::Timestamp;
use crate::schema::check::check_stored_rules;
use crate::schema::{Collection, CollectionId, Draft, FieldError, FieldErrors, Schema};
use crate::store::WriteTx;

/// A draft with what it replaces.
struct Item {
    draft: Draft,
    old: Option<Arc<Collection>>,
}

/// Saves all items and, when asked, removes what is not among them; gives the ids of what is gone.
pub(super) fn import(
    tx: &mut WriteTx<'_>,
    payloads: &[JsonMap],
    delete_missing: bool,
    now: Timestamp,
) -> Result<Vec<CollectionId>, Error> {
    if payloads.is_empty() {
        return Err(Error::Form(FieldErrors::one(
            "collections",
            FieldError::required(),
        )));
    }
    if payloads.len() > IMPORT_COLLECTIONS_MAX {
        return Err(failure(&format!(
            "no more than {IMPORT_COLLECTIONS_MAX} collections can be imported at once"
        )));
    }
    let before = Arc::clone(tx.catalog());
    let mut items = Vec::with_capacity(payloads.len());
    for payload in payloads {
        items.push(item(&before, payload, delete_missing)?);
    }
    let mut gone = Vec::new();
    if delete_missing {
        gone = missing(&before, &items);
    }
    // Views go first, so that they do not hold on to columns that go too.
    let views: Vec<Arc<Collection>> = gone.iter().filter(|c| c.is_view()).cloned().collect();
    remove(tx, &views)?;
    settle(&mut items, &before, now);
    let mut fresh = HashSet::new();
    let twice = items
        .iter()
        .filter(|item| item.old.is_none())
        .map(|item| &item.draft.collection)
        .find(|collection| !fresh.insert(&collection.id));
    if let Some(collection) = twice {
        return Err(failure(&format!(
            "failed to save collection {:?}: constraint failed: UNIQUE constraint failed: _collections.id (1555)",
            collection.name
        )));
    }
    // Views read tables, and each other in the order of the list: they come last.
    items.sort_by_key(|item| item.draft.kind_name == "view");
    save_all(tx, &mut items, &gone, now)?;
    let ids: Vec<CollectionId> = gone
        .iter()
        .map(|collection| collection.id.clone())
        .collect();
    let now_there = Arc::clone(tx.catalog());
    let going: Vec<Arc<Collection>> = ids
        .iter()
        .filter_map(|id| now_there.by_id(id).cloned())
        .collect();
    remove(tx, &going)?;
    Ok(ids)
}

fn remove(tx: &mut WriteTx<'_>, going: &[Arc<Collection>]) -> Result<(), Error> {
    if going.is_empty() {
        return Ok(());
    }
    delete(tx, going).map_err(|error| match error {
        Error::Store(error) => Error::Store(error),
        other => failure(&format!(
            "failed to delete the missing collections: {other}"
        )),
    })
}

fn failure(reason: &str) -> Error {
    Error::Import(FieldErrors::one(
        "collections",
        FieldError::new(
            "validation_collections_import_failure",
            format!("Failed to import the collections configuration. Raw error:\n{reason}."),
        ),
    ))
}

fn invalid(collection: &Collection, errors: &FieldErrors) -> Error {
    Error::Import(FieldErrors::one(
        "collections",
        FieldError::new(
            "validation_collections_import_failure",
            format!(
                "Data validations failed for collection {}:\n{}.",
                shown(collection),
                errors.to_plain_text()
            ),
        ),
    ))
}

fn text<'a>(payload: &'a JsonMap, key: &str) -> &'a str {
    payload.get(key).and_then(Json::as_str).unwrap_or("")
}

fn item(before: &Catalog, payload: &JsonMap, delete_missing: bool) -> Result<Item, Error> {
    let old = before
        .by_id(&CollectionId::new(text(payload, "id")))
        .or_else(|| before.find(text(payload, "name")))
        .cloned();
    let Some(old) = old else {
        let draft = Draft::create(payload).map_err(|error| failure(&error.to_string()))?;
        return Ok(Item { draft, old: None });
    };
    let mut payload = payload.clone();
    payload.insert("id".to_owned(), Json::from(old.id.as_str()));
    let fields = merged_fields(&old, payload.get("fields"), delete_missing);
    payload.insert("fields".to_owned(), fields);
    let draft = Draft::update(&old, &payload).map_err(|error| failure(&error.to_string()))?;
    Ok(Item {
        draft,
        old: Some(old),
    })
}

/// The submitted fields under the ids that their namesakes have, then the stored ones that stay.
fn merged_fields(old: &Collection, submitted: Option<&Json>, delete_missing: bool) -> Json {
    let mut fields = match submitted {
        Some(Json::Array(items)) => items.clone(),
        None | Some(Json::Null) => Vec::new(),
        Some(other) => return other.clone(),
    };
    for item in &mut fields {
        let Json::Object(item) = item else { continue };
        let known = old.fields.iter().any(|field| field.id == text(item, "id"));
        let namesake = old.fields.iter().find(|field| {
            field.name == text(item, "name") && field.kind.name() == text(item, "type")
        });
        if let Some(field) = namesake.filter(|_| !known) {
            item.insert("id".to_owned(), Json::from(field.id.as_str()));
        }
    }
    let there: HashSet<String> = fields
        .iter()
        .filter_map(|item| Some(text(item.as_object()?, "id").to_owned()))
        .collect();
    let stays = old
        .fields
        .iter()
        .filter(|field| !there.contains(field.id.as_str()) && (field.system || !delete_missing));
    fields.extend(stays.map(crate::schema::Field::to_json));
    Json::Array(fields)
}

fn missing(before: &Catalog, items: &[Item]) -> Vec<Arc<Collection>> {
    let listed: HashSet<&str> = items
        .iter()
        .filter_map(|item| Some(item.old.as_ref()?.id.as_str()))
        .collect();
    let mut gone: Vec<Arc<Collection>> = before
        .iter()
        .filter(|collection| !collection.system && !listed.contains(collection.id.as_str()))
        .cloned()
        .collect();
    // Views first, those before that others were made from, then what nobody points to any more.
    gone.reverse();
    gone.sort_by_key(|collection| !collection.is_view());
    gone
}

fn settle(items: &mut [Item], before: &Schema, now: Timestamp) {
    let mut ids: HashSet<CollectionId> = items
        .iter()
        .map(|item| item.draft.collection.id.clone())
        .collect();
    for item in items {
        let taken = |id: &CollectionId| before.by_id(id).is_some() || ids.contains(id);
        item.draft.settle(item.old.as_deref(), now, &taken);
        ids.insert(item.draft.collection.id.clone());
    }
}

fn save_all(
    tx: &mut WriteTx<'_>,
    items: &mut [Item],
    gone: &[Arc<Collection>],
    now: Timestamp,
) -> Result<(), Error> {
    let before = Arc::clone(tx.catalog());
    let raw = |collection: &Collection, error: SaveError| match error {
        SaveError::Invalid(errors) => Error::Import(errors),
        SaveError::Raw(text) => failure(&format!(
            "failed to save collection {:?}: {text}",
            collection.name
        )),
        SaveError::Store(error) => Error::Store(error),
    };
    let mut schema = together(&before, items, gone);
    for at in 0..items.len() {
        let is_view = items[at].draft.kind_name == "view";
        if is_view {
            // What it reads may be a view that was just given its fields.
            schema = together(&before, items, gone);
        }
        let item = &mut items[at];
        let mut errors = shape_view(tx, &mut item.draft, &schema);
        // Rules may read what comes later in the list: they are looked at when all are there.
        let old = item.old.as_deref();
        errors.merge(judge(tx, &item.draft, old, &schema, true, &|_| None));
        if !errors.is_empty() {
            return Err(invalid(&item.draft.collection, &errors));
        }
        tame_superusers(&mut item.draft.collection);
        let collection = &item.draft.collection;
        store(tx, collection, item.old.as_deref())
            .map_err(|error| raw(collection, SaveError::from(error)))?;
        tx.save_collection(collection)?;
    }
    let catalog = Catalog::new(together(&before, items, gone));
    for item in items.iter() {
        let collection = &item.draft.collection;
        let errors = check_stored_rules(collection, &|text| rule_error(&catalog, collection, text));
        if !errors.is_empty() {
            return Err(invalid(&item.draft.collection, &errors));
        }
    }
    // What is to go stays in the schema until its own removal.
    let mut all: Vec<Arc<Collection>> = together(&before, items, &[]).iter().cloned().collect();
    for item in items.iter().filter(|item| !item.draft.collection.is_view()) {
        refresh_views(tx, &mut all, &item.draft.collection, now)
            .map_err(|error| raw(&item.draft.collection, error))?;
    }
    tx.schema_changed(all)?;
    Ok(())
}

/// The schema with the drafts in their places and without what is to go.
fn together(before: &Schema, items: &[Item], gone: &[Arc<Collection>]) -> Schema {
    let mut all: Vec<Arc<Collection>> = before
        .iter()
        .filter(|collection| !gone.iter().any(|other| other.id == collection.id))
        .cloned()
        .collect();
    let places: std::collections::HashMap<CollectionId, usize> = all
        .iter()
        .enumerate()
        .map(|(at, collection)| (collection.id.clone(), at))
        .collect();
    for item in items {
        let collection = Arc::new(item.draft.collection.clone());
        match places.get(&collection.id) {
            Some(&at) => all[at] = collection,
            None => all.push(collection),
        }
    }
    Schema::new(before.generation(), all)
}
