//! A collection as its row in `_collections` and as the wire shows it (contract-records 2.1, contract-auth 8.5).

use serde::Serialize;

use super::collection::{AuthOptions, Collection, CollectionId, Kind, Rules, ViewOptions};
use super::field::{Field, ShapeError};
use crate::kit::json::{self, Json};

/// The row: one member a column, in the order of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCollection {
    /// `id`
    pub id: String,
    /// `system`
    pub system: bool,
    /// `type`
    pub kind: String,
    /// `name`
    pub name: String,
    /// `fields`: JSON
    pub fields: String,
    /// `indexes`: JSON
    pub indexes: String,
    /// `listRule` and its four sisters; NULL stays `None`.
    pub rules: Rules,
    /// `options`: JSON
    pub options: String,
    /// `created`
    pub created: String,
    /// `updated`
    pub updated: String,
}

/// A row that is not a collection.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// A text column that holds JSON does not.
    #[error("collection {0}: unreadable JSON: {1}")]
    Json(String, #[source] serde_json::Error),
    /// A field definition is damaged.
    #[error("collection {0}: unreadable fields: {1}")]
    Field(String, #[source] ShapeError),
    /// No such type.
    #[error("collection {0}: unknown type {1:?}")]
    Kind(String, String),
}

impl StoredCollection {
    /// The row of `collection`.
    #[must_use]
    pub fn of(collection: &Collection) -> Self {
        Self {
            id: collection.id.as_str().to_owned(),
            system: collection.system,
            kind: collection.kind.name().to_owned(),
            name: collection.name.to_string(),
            fields: json::to_text(&fields_json(collection)),
            indexes: json::to_text(&Json::from(collection.indexes.clone())),
            rules: collection.rules.clone(),
            options: match &collection.kind {
                Kind::Base => "{}".to_owned(),
                Kind::Auth(options) => text_of(options),
                Kind::View(options) => text_of(options),
            },
            created: collection.created.to_string(),
            updated: collection.updated.to_string(),
        }
    }

    /// The collection of the row; options that are not there take their defaults, rules never do.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn parse(&self) -> Result<Collection, StoredError> {
        let unreadable = |error| StoredError::Json(self.name.clone(), error);
        let definitions: Vec<Json> = read(&self.fields).map_err(unreadable)?;
        let fields = definitions
            .iter()
            .map(Field::from_json)
            .collect::<Result<_, _>>()
            .map_err(|error| StoredError::Field(self.name.clone(), error))?;
        let kind = match self.kind.as_str() {
            "base" => Kind::Base,
            "auth" => Kind::Auth(Box::new(read(&self.options).map_err(unreadable)?)),
            "view" => Kind::View(read::<ViewOptions>(&self.options).map_err(unreadable)?),
            other => return Err(StoredError::Kind(self.name.clone(), other.to_owned())),
        };
        Ok(Collection {
            id: CollectionId::new(self.id.as_str()),
            name: self.name.as_str().into(),
            system: self.system,
            kind,
            fields,
            indexes: read(&self.indexes).map_err(unreadable)?,
            rules: self.rules.clone(),
            created: self.created.as_str().into(),
            updated: self.updated.as_str().into(),
        })
    }
}

/// `null` and empty text count as the default: older rows hold both.
fn read<T: serde::de::DeserializeOwned + Default>(text: &str) -> Result<T, serde_json::Error> {
    if text.is_empty() {
        return Ok(T::default());
    }
    Ok(serde_json::from_str::<Option<T>>(text)?.unwrap_or_default())
}

fn text_of(options: &impl Serialize) -> String {
    // Options are plain data with text keys: writing them cannot fail.
    serde_json::to_string(options).unwrap_or_default()
}

fn fields_json(collection: &Collection) -> Json {
    Json::Array(collection.fields.iter().map(Field::to_json).collect())
}

/// Appends the collection as superusers see it: no secret of any kind.
pub fn write_json(collection: &Collection, out: &mut Vec<u8>) {
    let text = |key: &[u8], value: &str, out: &mut Vec<u8>| {
        out.extend_from_slice(key);
        json::write_str(value, out);
    };
    text(b"{\"id\":", collection.id.as_str(), out);
    let rules = &collection.rules;
    for (key, rule) in [
        (&b",\"listRule\":"[..], &rules.list),
        (b",\"viewRule\":", &rules.view),
        (b",\"createRule\":", &rules.create),
        (b",\"updateRule\":", &rules.update),
        (b",\"deleteRule\":", &rules.delete),
    ] {
        match rule {
            Some(rule) => text(key, rule, out),
            None => {
                out.extend_from_slice(key);
                out.extend_from_slice(b"null");
            }
        }
    }
    text(b",\"name\":", &collection.name, out);
    text(b",\"type\":", collection.kind.name(), out);
    out.extend_from_slice(b",\"fields\":");
    json::write(&fields_json(collection), out);
    out.extend_from_slice(b",\"indexes\":");
    json::write(&Json::from(collection.indexes.clone()), out);
    text(b",\"created\":", &collection.created, out);
    text(b",\"updated\":", &collection.updated, out);
    out.extend_from_slice(b",\"system\":");
    json::write(&Json::from(collection.system), out);
    match &collection.kind {
        Kind::Base => {}
        Kind::Auth(options) => append_members(&text_of(&without_secrets(options)), out),
        Kind::View(options) => append_members(&text_of(options), out),
    }
    out.push(b'}');
}

/// Appends the members of the object `text` to the object that `out` is in the middle of.
fn append_members(text: &str, out: &mut Vec<u8>) {
    if let Some(members) = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    {
        out.push(b',');
        out.extend_from_slice(members.as_bytes());
    }
}

/// Empty secrets are left out when options are written.
fn without_secrets(options: &AuthOptions) -> AuthOptions {
    let mut shown = options.clone();
    for token in shown.tokens_mut() {
        token.secret.clear();
    }
    for provider in &mut shown.oauth2.providers {
        provider.client_secret.clear();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::time::Timestamp;
    use crate::schema::system;

    #[test]
    fn rows_read_back_and_secrets_stay_inside() {
        for collection in system::fresh(Timestamp::from_millis(0)) {
            assert_eq!(
                StoredCollection::of(&collection).parse().unwrap(),
                collection
            );
            let mut wire = Vec::new();
            write_json(&collection, &mut wire);
            let wire = String::from_utf8(wire).unwrap();
            assert!(json::parse(&wire).is_ok());
            assert!(!wire.contains("secret\""), "{wire}");
        }
    }

    #[test]
    fn options_of_older_directories_take_defaults_and_missing_rules_stay_locked() {
        let mut row = StoredCollection::of(&system::fresh(Timestamp::from_millis(0))[5]);
        row.options = r#"{"authToken":{"duration":60},"oauth2":{"providers":null}}"#.to_owned();
        row.rules.list = None;
        let collection = row.parse().unwrap();
        let auth = collection.auth().unwrap();
        assert_eq!(auth.auth_rule, None);
        assert_eq!(auth.auth_token.duration, 60);
        assert_eq!(auth.otp.length, 8);
        assert!(auth.oauth2.providers.is_empty());
        assert_eq!(collection.rules.list, None);
    }
}
