//! A collection under edit: what was submitted laid over what there is (contract 2.4 to 2.6). Nothing is judged here.

use compact_str::{CompactString, format_compact};
use serde_json::Value;

use super::collection::{AuthOptions, Collection, CollectionId, Kind, ViewOptions};
use super::field::{Field, FieldKind, ShapeError, default_id, parse_date};
use super::index::Index;
use super::system::{self, AUTH_FIELDS};
use crate::kit::json::{Json, JsonMap};
use crate::kit::time::Timestamp;

/// Longest list of fields or indexes that is read: SQLite holds no more columns in a table.
const ENTRIES_MAX: usize = 2_000;

/// A collection that was submitted and not yet judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// As it would be saved.
    pub collection: Collection,
    /// The type as it was written, which may be none of ours.
    pub kind_name: CompactString,
}

/// Why a payload is no draft.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The type of a new collection cannot be read.
    #[error("{0}")]
    Kind(ShapeError),
    /// Something else has the wrong shape.
    #[error("{0}")]
    Data(#[from] ShapeError),
}

impl Draft {
    /// A new collection: the payload over the scaffold of its type.
    ///
    /// # Errors
    /// When a value has the wrong type.
    pub fn create(payload: &JsonMap) -> Result<Self, DraftError> {
        let kind_name = any_case(payload, "type").map_err(DraftError::Kind)?;
        let name = any_case(payload, "name").map_err(DraftError::Kind)?;
        let kind_name = if kind_name.is_empty() {
            "base".into()
        } else {
            kind_name
        };
        let kind = Collection::fresh_kind(&kind_name).unwrap_or(Kind::Base);
        let mut draft = Self {
            collection: Collection::scaffold(kind),
            kind_name,
        };
        draft.overlay(payload)?;
        draft.collection.name = name;
        Ok(draft)
    }

    /// An existing collection with the payload over it.
    ///
    /// # Errors
    /// When a value has the wrong type.
    pub fn update(old: &Collection, payload: &JsonMap) -> Result<Self, DraftError> {
        let mut draft = Self {
            collection: old.clone(),
            kind_name: old.kind.name().into(),
        };
        if let Some(kind) = payload.get("type") {
            draft.kind_name = text_at(kind, "type")?;
            if draft.kind_name.is_empty() {
                draft.kind_name = "base".into();
            }
            if draft.kind_name != old.kind.name() {
                // Types never change; the draft only has to be wrong in the way that the contract describes.
                draft.collection.kind = match draft.kind_name.as_str() {
                    "auth" => Kind::Auth(Box::new(AuthOptions::blank())),
                    "view" => Kind::View(ViewOptions::default()),
                    _ => Kind::Base,
                };
            }
        }
        draft.overlay(payload)?;
        Ok(draft)
    }

    fn overlay(&mut self, payload: &JsonMap) -> Result<(), ShapeError> {
        let collection = &mut self.collection;
        for (key, value) in payload {
            let rules = &mut collection.rules;
            match key.as_str() {
                "id" => collection.id = CollectionId::new(text_at(value, key)?),
                "name" => collection.name = text_at(value, key)?,
                "system" => {
                    collection.system = match value {
                        Json::Null => false,
                        _ => value.as_bool().ok_or_else(|| ShapeError::at(key))?,
                    }
                }
                "listRule" => rules.list = rule_at(value, key)?,
                "viewRule" => rules.view = rule_at(value, key)?,
                "createRule" => rules.create = rule_at(value, key)?,
                "updateRule" => rules.update = rule_at(value, key)?,
                "deleteRule" => rules.delete = rule_at(value, key)?,
                "fields" => collection.fields = fields_at(value)?,
                "indexes" => collection.indexes = texts_at(value, key)?,
                "created" => {
                    let date = parse_date(&text_at(value, key)?);
                    collection.created =
                        date.map_or_else(CompactString::default, Timestamp::to_text);
                }
                // Never taken, but of its shape.
                "updated" => drop(text_at(value, key)?),
                _ => {}
            }
        }
        let query = payload
            .get("viewQuery")
            .map(|query| text_at(query, "viewQuery"))
            .transpose()?;
        if let Kind::Auth(options) = &mut collection.kind {
            **options = overlay_auth(options, payload)?;
            return Ok(());
        }
        // What belongs to other types is not kept, but must have its shape (contract 2.4).
        overlay_auth(&AuthOptions::blank(), payload)?;
        if let (Kind::View(options), Some(query)) = (&mut collection.kind, query) {
            options.view_query = query.into_string();
        }
        Ok(())
    }

    /// Puts in what a collection cannot be without, and forces what cannot be chosen: built-in fields, ids, required
    /// indexes, the table's name in indexes, timestamps, the rules of the superusers. `old` is what there is now.
    pub fn settle(
        &mut self,
        old: Option<&Collection>,
        now: Timestamp,
        id_is_taken: &dyn Fn(&CollectionId) -> bool,
    ) {
        let collection = &mut self.collection;
        if collection.id.as_str().is_empty() {
            collection.id = (1..)
                .map(|nth| Collection::default_id(&self.kind_name, &collection.name, nth))
                .find(|id| !id_is_taken(id))
                .unwrap_or_else(|| CollectionId::new(""));
        }
        collection.updated = now.to_text();
        if old.is_none() {
            collection.created = now.to_text();
        }
        // A type that is none of ours has nothing that belongs to it.
        if collection.is_view() || Collection::fresh_kind(&self.kind_name).is_none() {
            return;
        }
        settle_fields(collection);
        for text in &mut collection.indexes {
            if let Some(mut index) = Index::parse(text)
                && index.table != collection.name
            {
                index.table = collection.name.to_string();
                *text = index.build();
            }
        }
        if collection.is_auth() {
            settle_auth(collection, old);
        }
    }
}

fn settle_fields(collection: &mut Collection) {
    let is_text = |field: &Field| field.name == "id" && matches!(field.kind, FieldKind::Text(_));
    match collection.fields.iter_mut().find(|field| is_text(field)) {
        None => {
            let field = system::id_field();
            // A field that took its id, under another name, is for validation to refuse.
            if collection.fields.iter().all(|other| other.id != field.id) {
                collection.fields.insert(0, field);
            }
        }
        Some(field) => {
            field.system = true;
            field.required = true;
            field.hidden = false;
            if let FieldKind::Text(options) = &mut field.kind {
                options.primary_key = true;
                if options.pattern.is_empty() {
                    options.pattern = system::ID_PATTERN.into();
                }
            }
        }
    }
    if !collection.is_auth() {
        return;
    }
    for name in AUTH_FIELDS {
        let model = system::auth_field(name);
        let Some(field) = collection
            .fields
            .iter_mut()
            .find(|field| field.name == name)
        else {
            collection.fields.push(model);
            continue;
        };
        if field.kind.name() != model.kind.name() {
            let id = field.id.clone();
            *field = Field { id, ..model };
            continue;
        }
        field.system = true;
        match name {
            "password" | "tokenKey" => {
                field.hidden = true;
                field.required = true;
            }
            "email" => field.hidden = false,
            _ => {}
        }
    }
}

fn settle_auth(collection: &mut Collection, old: Option<&Collection>) {
    for field in ["tokenKey", "email"] {
        let there = collection
            .indexes
            .iter()
            .any(|text| Index::parse(text).is_some_and(|index| index.is_unique_on(field)));
        if !there {
            let index = system::auth_index(field, collection.id.as_str(), &collection.name);
            collection.indexes.push(index);
        }
    }
    let names: Vec<CompactString> = collection.fields.iter().map(|f| f.name.clone()).collect();
    let is_superusers = collection.is_superusers();
    let Kind::Auth(options) = &mut collection.kind else {
        return;
    };
    let mapped = &mut options.oauth2.mapped_fields;
    for target in [
        &mut mapped.id,
        &mut mapped.name,
        &mut mapped.username,
        &mut mapped.avatar_url,
    ] {
        if !names.iter().any(|name| name == target.as_str()) {
            target.clear();
        }
    }
    if is_superusers {
        options.password_auth.enabled = true;
        if options.otp.enabled {
            options.mfa.enabled = true;
        }
    }
    let rule_before = old
        .and_then(Collection::auth)
        .map(|before| &before.auth_rule);
    if rule_before.is_some_and(|before| {
        before.as_deref().unwrap_or("") != options.auth_rule.as_deref().unwrap_or("")
    }) {
        options.auth_token.secret = system::secret();
    }
}

impl AuthOptions {
    /// Every option empty: what a collection of another type has for them.
    fn blank() -> Self {
        let nulls: JsonMap = OPTION_KEYS
            .iter()
            .map(|key| ((*key).to_owned(), Json::Null))
            .collect();
        overlay_auth(&Self::default(), &nulls).unwrap_or_default()
    }
}

const OPTION_KEYS: [&str; 15] = [
    "authRule",
    "manageRule",
    "authAlert",
    "oauth2",
    "passwordAuth",
    "mfa",
    "otp",
    "authToken",
    "passwordResetToken",
    "emailChangeToken",
    "verificationToken",
    "fileToken",
    "verificationTemplate",
    "resetPasswordTemplate",
    "confirmEmailChangeTemplate",
];

fn overlay_auth(options: &AuthOptions, payload: &JsonMap) -> Result<AuthOptions, ShapeError> {
    // Plain data with text keys: writing it cannot fail.
    let mut tree = serde_json::to_value(options).unwrap_or_default();
    for key in OPTION_KEYS {
        if let Some(given) = payload.get(key) {
            merge(&mut tree[key], given, key)?;
        }
    }
    serde_json::from_value(tree).map_err(|error| ShapeError::at(error.to_string()))
}

/// Lays `given` over `base`: objects member by member, null empties, everything else replaces. A provider takes what it
/// does not say from the stored one of the same name.
///
/// # Errors
/// When something else stands where an object belongs.
fn merge(base: &mut Value, given: &Json, key: &str) -> Result<(), ShapeError> {
    match (&mut *base, given) {
        (Value::Object(map), Json::Object(members)) => {
            for (name, member) in members {
                let entry = map.entry(name.clone()).or_insert(Value::Null);
                merge(entry, member, name)?;
            }
        }
        (Value::Array(stored), Json::Array(items)) if key == "providers" => {
            let merged = items.iter().map(|item| {
                let mut provider = stored
                    .iter()
                    .find(|entry| entry["name"] == item["name"])
                    .cloned()
                    .unwrap_or_else(|| Value::Object(JsonMap::new()));
                merge(&mut provider, item, "provider").map(|()| provider)
            });
            *base = Value::Array(merged.collect::<Result<_, _>>()?);
        }
        (Value::Object(_), Json::Null) => *base = Value::Object(JsonMap::new()),
        (Value::Object(_), _) => return Err(ShapeError::at(key)),
        (Value::Array(_), Json::Null) => *base = Value::Array(Vec::new()),
        (Value::String(_), Json::Null) if !matches!(key, "authRule" | "manageRule") => {
            *base = Value::String(String::new());
        }
        (Value::Bool(_), Json::Null) if key != "pkce" => *base = Value::Bool(false),
        (Value::Number(_), Json::Null) => *base = Value::from(0),
        _ => *base = given.clone(),
    }
    Ok(())
}

/// Reads a list of fields by the merge rules of contract 2.4.
///
/// # Errors
/// When an item is no field.
fn fields_at(value: &Json) -> Result<Vec<Field>, ShapeError> {
    let items = match value {
        Json::Null => return Ok(Vec::new()),
        Json::Array(items) if items.len() <= ENTRIES_MAX => items,
        _ => return Err(ShapeError::at("fields")),
    };
    let mut fields: Vec<Field> = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let mut field = Field::from_json(item)
            .map_err(|error| ShapeError::at(format!("/fields/{at}/{}", error.key)))?;
        if field.id.is_empty() {
            if let Some(same) = fields.iter_mut().find(|other| other.name == field.name) {
                field.id = same.id.clone();
                *same = field;
                continue;
            }
            field.id = free_id(&field, &fields);
            fields.push(field);
        } else if let Some(same) = fields.iter_mut().find(|other| other.id == field.id) {
            *same = field;
        } else {
            fields.push(field);
        }
    }
    Ok(fields)
}

fn free_id(field: &Field, others: &[Field]) -> CompactString {
    let first = default_id(field.kind.name(), &field.name);
    let taken = |id: &str| others.iter().any(|other| other.id == id);
    if !taken(&first) {
        return first;
    }
    (2..)
        .map(|nth| format_compact!("{first}{nth}"))
        .find(|id| !taken(id))
        .unwrap_or(first)
}

fn any_case(payload: &JsonMap, key: &str) -> Result<CompactString, ShapeError> {
    payload
        .get(key)
        .or_else(|| {
            let mut entries = payload.iter();
            entries
                .find(|(name, _)| name.eq_ignore_ascii_case(key))
                .map(|(_, value)| value)
        })
        .map_or(Ok(CompactString::default()), |value| text_at(value, key))
}

fn text_at(value: &Json, key: &str) -> Result<CompactString, ShapeError> {
    match value {
        Json::Null => Ok(CompactString::default()),
        Json::String(text) => Ok(text.as_str().into()),
        _ => Err(ShapeError::at(key)),
    }
}

/// A rule that is not text is null, never empty: null locks.
fn rule_at(value: &Json, key: &str) -> Result<Option<String>, ShapeError> {
    match value {
        Json::Null => Ok(None),
        Json::String(text) => Ok(Some(text.clone())),
        _ => Err(ShapeError::at(key)),
    }
}

fn texts_at(value: &Json, key: &str) -> Result<Vec<String>, ShapeError> {
    match value {
        Json::Null => Ok(Vec::new()),
        Json::Array(items) if items.len() <= ENTRIES_MAX => items
            .iter()
            .map(|item| text_at(item, key).map(CompactString::into_string))
            .collect(),
        _ => Err(ShapeError::at(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::json::parse;

    fn payload(text: &str) -> JsonMap {
        parse(text).unwrap().as_object().unwrap().clone()
    }

    fn create(text: &str) -> Collection {
        let mut draft = Draft::create(&payload(text)).unwrap();
        draft.settle(None, Timestamp::from_millis(0), &|_| false);
        draft.collection
    }

    #[test]
    fn a_new_collection_gets_id_fields_and_locked_rules() {
        let art = create(r#"{"NAME":"art","fields":[{"type":"text","name":"a"}]}"#);
        assert_eq!(art.id.as_str(), "pbc_4078160933");
        assert_eq!(art.fields[0].name, "id");
        assert_eq!(art.fields[1].id, "text3904355907");
        assert_eq!(art.rules, super::super::collection::Rules::default());
    }

    #[test]
    fn fields_of_the_same_id_or_name_collapse() {
        let c = create(
            r#"{"name":"x","fields":[{"name":"a","type":"text"},{"name":"a","type":"number"},
                {"name":"b","type":"text","id":"q"},{"name":"c","type":"text","id":"q"}]}"#,
        );
        let seen: Vec<_> = c.fields[1..]
            .iter()
            .map(|f| (f.id.as_str(), f.name.as_str(), f.kind.name()))
            .collect();
        assert_eq!(
            seen,
            [("text3904355907", "a", "number"), ("q", "c", "text")]
        );
    }

    #[test]
    fn auth_options_inherit_and_nulls_empty() {
        let c = create(r#"{"name":"au","type":"auth","mfa":{"duration":99},"otp":null}"#);
        let auth = c.auth().unwrap();
        assert_eq!((auth.mfa.duration, auth.otp.duration), (99, 0));
        assert_eq!(auth.auth_token.secret.len(), 50);
        assert_eq!(c.indexes.len(), 2);
        let map = payload(r#"{"authRule":"verified = true","indexes":[]}"#);
        let mut draft = Draft::update(&c, &map).unwrap();
        draft.settle(Some(&c), Timestamp::from_millis(1), &|_| true);
        let changed = draft.collection.auth().unwrap();
        assert_ne!(changed.auth_token.secret, auth.auth_token.secret);
        assert_eq!(changed.file_token.secret, auth.file_token.secret);
        assert_eq!(draft.collection.indexes, c.indexes);
    }

    #[test]
    fn providers_inherit_from_the_stored_one_of_their_name() {
        let c = create(
            r#"{"name":"au","type":"auth","oauth2":{"providers":[{"name":"github","clientSecret":"s"}]}}"#,
        );
        let map = payload(
            r#"{"oauth2":{"providers":[{"name":"google"},{"name":"github","clientId":"i"}]}}"#,
        );
        let draft = Draft::update(&c, &map).unwrap();
        let providers = &draft.collection.auth().unwrap().oauth2.providers;
        assert_eq!(providers[1].client_secret, "s");
        assert_eq!(providers[1].client_id, "i");
        assert_eq!(providers[0].client_secret, "");
    }
}
