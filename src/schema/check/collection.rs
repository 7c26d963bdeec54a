//! The collection as a whole: id, name, flags, fields among each other, indexes.

use super::auth;
use super::field;
use super::limit::{required_length, via, word};
use crate::schema::collection::{Action, Collection, Kind};
use crate::schema::draft::Draft;
use crate::schema::error::{FieldError, FieldErrors};
use crate::schema::field::{Field, FieldKind};
use crate::schema::index::Index;
use crate::schema::set::{SUPERUSERS, Schema};

/// What a draft is judged against.
pub struct World<'a> {
    /// All collections, the old state of this one included.
    pub schema: &'a Schema,
    /// The old state; `None` for a new collection.
    pub old: Option<&'a Collection>,
    /// Whether `schema` holds the draft already: many are saved at once.
    pub placed: bool,
    /// Whether the database has a table of this name that is no collection's.
    pub is_internal_table: &'a dyn Fn(&str) -> bool,
    /// What is wrong with a text as a rule of the draft.
    pub rule_error: &'a dyn Fn(&str) -> Option<FieldError>,
}

/// What is wrong with a settled draft.
#[must_use]
pub fn check(draft: &Draft, world: &World<'_>) -> FieldErrors {
    let collection = &draft.collection;
    let mut errors = FieldErrors::new();
    check_identity(draft, world, &mut errors);
    check_rules(collection, world, &mut errors);
    check_fields(collection, world, &mut errors);
    check_indexes(collection, world, &mut errors);
    match &collection.kind {
        Kind::Base => {}
        Kind::View(options) => {
            if options.view_query.trim().is_empty() {
                errors.add("viewQuery", FieldError::required());
            }
        }
        Kind::Auth(options) => errors.merge(auth::check(collection, options, world)),
    }
    errors
}

fn check_identity(draft: &Draft, world: &World<'_>, errors: &mut FieldErrors) {
    let collection = &draft.collection;
    let id = collection.id.as_str();
    match world.old {
        None => {
            let taken = || {
                let is_there = !world.placed && world.schema.by_id(&collection.id).is_some();
                // An id that reads as the name of the superusers would be looked up in their place.
                (is_there || id == SUPERUSERS).then(|| {
                    FieldError::new(
                        "validation_invalid_or_existing_id",
                        "The model id is invalid or already exists.",
                    )
                })
            };
            let error = required_length(id, 1, 100)
                .or_else(|| word(id))
                .or_else(taken);
            errors.extend("id", error);
        }
        Some(old) => {
            errors.extend(
                "id",
                (old.id != collection.id)
                    .then(|| FieldError::new("validation_values_mismatch", "Values don't match.")),
            );
            errors.extend(
                "system",
                (old.system != collection.system).then(|| {
                    FieldError::new(
                        "validation_collection_system_flag_change",
                        "System collection state cannot be changed.",
                    )
                }),
            );
        }
    }
    let changed = || {
        let old = world.old?;
        (old.kind.name() != draft.kind_name).then(|| {
            FieldError::new(
                "validation_collection_type_change",
                "Collection type cannot be changed.",
            )
        })
    };
    let unknown = (!matches!(draft.kind_name.as_str(), "base" | "auth" | "view"))
        .then(|| FieldError::new("validation_in_invalid", "Must be a valid value."));
    errors.extend("type", unknown.or_else(changed));
    errors.extend("name", check_name(collection, world));
}

fn check_name(collection: &Collection, world: &World<'_>) -> Option<FieldError> {
    let name = collection.name.as_str();
    if let Some(error) = required_length(name, 1, 255)
        .or_else(|| word(name))
        .or_else(|| via(name))
    {
        return Some(error);
    }
    if let Some(old) = world.old {
        if old.name == name {
            return None;
        }
        if old.system {
            return Some(FieldError::new(
                "validation_collection_system_name_change",
                "System collection name cannot be changed.",
            ));
        }
    }
    let same = |other: &Collection| other.id == collection.id;
    let others = || {
        world
            .schema
            .iter()
            .filter(|other| !(world.placed || world.old.is_some()) || !same(other))
    };
    if others().any(|other| other.name.eq_ignore_ascii_case(name)) {
        return Some(FieldError::new(
            "validation_collection_name_exists",
            "Collection name must be unique (case insensitive).",
        ));
    }
    if others().any(|other| other.id.as_str() == name) {
        return Some(FieldError::new(
            "validation_collection_name_id_duplicate",
            "The name must not match an existing collection id.",
        ));
    }
    let only_case = world
        .old
        .is_some_and(|old| old.name.eq_ignore_ascii_case(name));
    (!only_case && (world.is_internal_table)(name)).then(|| {
        FieldError::new(
            "validation_collection_name_invalid",
            "The name shouldn't match with an existing internal table.",
        )
    })
}

/// What is wrong with the rules of a stored collection: those that stopped to make sense when others changed with it.
#[must_use]
pub fn check_stored_rules(
    collection: &Collection,
    rule_error: &dyn Fn(&str) -> Option<FieldError>,
) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let wrong = |rule: Option<&str>| rule_error(rule.filter(|text| !text.is_empty())?);
    for (key, action) in ACTIONS {
        errors.extend(key, wrong(collection.rules.of(action)));
    }
    if let Some(auth) = collection.auth() {
        errors.extend("authRule", wrong(auth.auth_rule.as_deref()));
        errors.extend("manageRule", wrong(auth.manage_rule.as_deref()));
        if auth.mfa.enabled
            && let Some(error) = wrong(Some(auth.mfa.rule.as_str()))
        {
            errors.nest("mfa", FieldErrors::one("rule", error));
        }
    }
    errors
}

/// Rules by their keys, in the contract's order.
pub const ACTIONS: [(&str, Action); 5] = [
    ("listRule", Action::List),
    ("viewRule", Action::View),
    ("createRule", Action::Create),
    ("updateRule", Action::Update),
    ("deleteRule", Action::Delete),
];

fn check_rules(collection: &Collection, world: &World<'_>, errors: &mut FieldErrors) {
    for (key, action) in ACTIONS {
        let rule = collection.rules.of(action);
        let is_write = matches!(action, Action::Create | Action::Update | Action::Delete);
        if collection.is_view() && is_write && rule.is_some() {
            errors.add(key, FieldError::new("validation_nil", "Must be blank."));
            continue;
        }
        let before = world.old.map(|old| old.rules.of(action));
        errors.extend(key, check_rule(rule, before, world));
    }
}

/// What is wrong with a rule: that it cannot be read, or that it is not what it was in a system collection.
pub(super) fn check_rule(
    rule: Option<&str>,
    before: Option<Option<&str>>,
    world: &World<'_>,
) -> Option<FieldError> {
    if let Some(error) = rule
        .filter(|text| !text.is_empty())
        .and_then(world.rule_error)
    {
        return Some(error);
    }
    let is_system = world.old.is_some_and(|old| old.system);
    (is_system && before.is_some_and(|before| before != rule)).then(|| {
        FieldError::new(
            "validation_collection_system_rule_change",
            "System collection API rule cannot be changed.",
        )
    })
}

fn check_fields(collection: &Collection, world: &World<'_>, errors: &mut FieldErrors) {
    let fields = &collection.fields;
    if fields.is_empty() {
        errors.add("fields", FieldError::required());
        return;
    }
    if let Some(duplicates) = check_duplicates(fields) {
        errors.nest("fields", duplicates);
        return;
    }
    let is_key = |field: &Field| matches!(&field.kind, FieldKind::Text(o) if o.primary_key);
    if !fields
        .iter()
        .any(|field| field.name == "id" && is_key(field))
    {
        errors.add(
            "fields",
            FieldError::new(
                "validation_missing_primary_key",
                "Missing or invalid \"id\" PK field.",
            ),
        );
        return;
    }
    // The fields of a view come from its query; its history binds them to nothing.
    let old = world.old.filter(|_| !collection.is_view());
    let before = |field: &Field| old.and_then(|old| old.fields.iter().find(|f| f.id == field.id));
    if let Some(changes) = check_changes(fields, old, &before) {
        match changes {
            Ok(leaf) => errors.add("fields", leaf),
            Err(branch) => errors.nest("fields", branch),
        }
        return;
    }
    let keys = fields.iter().filter(|field| is_key(field)).count();
    let mut wrong = FieldErrors::new();
    for (at, field) in fields.iter().enumerate() {
        let mut one = field::check(field, before(field), collection, world);
        if keys > 1 && is_key(field) {
            one.add(
                "primaryKey",
                FieldError::new(
                    "validation_unsupported_composite_pk",
                    "Composite PKs are not supported and the collection must have only 1 PK.",
                ),
            );
        }
        wrong.nest(at.to_string(), one);
    }
    errors.nest("fields", wrong);
}

fn check_duplicates(fields: &[Field]) -> Option<FieldErrors> {
    let at_key = |at: usize, key: &str, error| {
        let mut errors = FieldErrors::new();
        errors.nest(at.to_string(), FieldErrors::one(key, error));
        Some(errors)
    };
    let mut ids = std::collections::HashSet::new();
    let mut names = std::collections::HashSet::new();
    for (at, field) in fields.iter().enumerate() {
        if !ids.insert(field.id.as_str()) {
            let error = FieldError::new(
                "validation_duplicated_field_id",
                format!("Duplicated or invalid field id \"{}\".", field.id),
            );
            return at_key(at, "id", error);
        }
        if !names.insert(field.name.to_ascii_lowercase()) {
            let error = FieldError::new(
                "validation_duplicated_field_name",
                format!("Duplicated or invalid field name {}.", field.name),
            );
            return at_key(at, "name", error.with("fieldName", field.name.as_str()));
        }
    }
    None
}

/// System fields stay, with their names; types stay. The `Ok` is an error of the list, the `Err` one of its members.
fn check_changes<'a>(
    fields: &[Field],
    old: Option<&Collection>,
    before: &dyn Fn(&Field) -> Option<&'a Field>,
) -> Option<Result<FieldError, FieldErrors>> {
    for (at, field) in fields.iter().enumerate() {
        if before(field).is_some_and(|old| old.kind.name() != field.kind.name()) {
            let error = FieldError::new(
                "validation_field_type_change",
                "Field type cannot be changed.",
            );
            return Some(Err(FieldErrors::one(at.to_string(), error)));
        }
    }
    let lost = old?
        .fields
        .iter()
        .filter(|field| field.system)
        .any(|system| {
            !fields
                .iter()
                .any(|field| field.id == system.id && field.name == system.name)
        });
    lost.then(|| {
        Ok(FieldError::new(
            "validation_system_field_change",
            "System fields cannot be deleted or renamed.",
        ))
    })
}

fn check_indexes(collection: &Collection, world: &World<'_>, errors: &mut FieldErrors) {
    if collection.is_view() {
        if !collection.indexes.is_empty() {
            errors.add(
                "indexes",
                FieldError::new(
                    "validation_indexes_not_supported",
                    "View collections don't support indexes.",
                ),
            );
        }
        return;
    }
    let mut seen: Vec<Index> = Vec::new();
    for (at, text) in collection.indexes.iter().enumerate() {
        let error = match Index::parse(text) {
            None => Some(FieldError::new(
                "validation_invalid_index_expression",
                "Invalid CREATE INDEX expression.",
            )),
            Some(index) => {
                let error = check_index(&index, &seen, collection, world);
                seen.push(index);
                error
            }
        };
        if let Some(error) = error {
            errors.nest("indexes", FieldErrors::one(at.to_string(), error));
            return;
        }
    }
    errors.extend("indexes", check_system_indexes(collection, world, &seen));
}

fn check_index(
    index: &Index,
    seen: &[Index],
    collection: &Collection,
    world: &World<'_>,
) -> Option<FieldError> {
    if seen
        .iter()
        .any(|other| other.name.eq_ignore_ascii_case(&index.name))
    {
        return Some(FieldError::new(
            "validation_duplicated_index_name",
            "The index name already exists.",
        ));
    }
    let nameless = |index: &Index| Index {
        name: String::new(),
        optional: false,
        ..index.clone()
    };
    if seen.iter().any(|other| nameless(other) == nameless(index)) {
        return Some(FieldError::new(
            "validation_duplicated_index_definition",
            "The index definition already exists.",
        ));
    }
    // Names are looked for in the texts first: parsing every index of the schema would be work for nothing.
    let own_id = world.old.map_or(&collection.id, |old| &old.id);
    let owner = world.schema.iter().find(|other| {
        other.id != *own_id
            && !other.name.eq_ignore_ascii_case(&collection.name)
            && other.indexes.iter().any(|text| {
                text.to_ascii_lowercase()
                    .contains(&index.name.to_ascii_lowercase())
                    && Index::parse(text)
                        .is_some_and(|theirs| theirs.name.eq_ignore_ascii_case(&index.name))
            })
    })?;
    Some(
        FieldError::new(
            "validation_existing_index_name",
            format!(
                "The index name is already used in {} collection.",
                owner.name
            ),
        )
        .with("usedTableName", owner.name.as_str()),
    )
}

/// Unique indexes over system fields of a stored collection must live on.
fn check_system_indexes(
    collection: &Collection,
    world: &World<'_>,
    indexes: &[Index],
) -> Option<FieldError> {
    let old = world.old?;
    let columns = |index: &Index| -> Vec<String> {
        index
            .columns
            .iter()
            .map(|column| column.name.to_ascii_lowercase())
            .collect()
    };
    for text in &old.indexes {
        let Some(theirs) = Index::parse(text).filter(|index| index.unique) else {
            continue;
        };
        let wanted = columns(&theirs);
        let system = collection.fields.iter().find(|field| {
            field.system
                && wanted
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&field.name))
        });
        let Some(field) = system else { continue };
        let lives = indexes
            .iter()
            .any(|index| index.unique && columns(index) == wanted);
        // A collection of ours that people made may shed what they added; only what is required comes back by itself.
        if !lives && old.system {
            return Some(
                FieldError::new(
                    "validation_invalid_unique_system_field_index",
                    format!(
                        "Unique index definition on system fields ({}) is invalid or missing.",
                        field.name
                    ),
                )
                .with("fieldName", field.name.as_str()),
            );
        }
    }
    None
}
