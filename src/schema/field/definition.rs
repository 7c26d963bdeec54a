//! A field as JSON: the form of `_collections.fields` and of the wire, keys alphabetical, every option spelled out.

use compact_str::{CompactString, format_compact};

use super::{
    AutodateOptions, DateOptions, DomainOptions, EditorOptions, Field, FieldKind, FileOptions,
    JsonOptions, NumberOptions, PasswordOptions, Pattern, RelationOptions, SelectOptions,
    TextOptions,
};
use crate::kit::json::{Json, JsonMap};
use crate::schema::collection::CollectionId;

/// A key holds a value of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {key:?}")]
pub struct ShapeError {
    /// The key.
    pub key: String,
}

impl ShapeError {
    /// At `key`.
    pub fn at(key: impl Into<String>) -> Self {
        Self { key: key.into() }
    }
}

impl Field {
    /// A field of `kind` called `name`, with the id that its kind and name give and no flags.
    #[must_use]
    pub fn new(name: &str, kind: FieldKind) -> Self {
        Self {
            id: default_id(kind.name(), name),
            name: name.into(),
            system: false,
            hidden: false,
            presentable: false,
            help: String::new(),
            required: false,
            kind,
        }
    }

    /// Reads a definition; missing keys and nulls take their defaults, unknown keys are dropped. The id may be empty.
    ///
    /// # Errors
    /// When the type is missing or unknown, or a value is of the wrong type.
    pub fn from_json(json: &Json) -> Result<Self, ShapeError> {
        let map = Reader(json.as_object().ok_or_else(|| ShapeError::at(""))?);
        let kind = kind_from(&map)?;
        let plain = matches!(kind, FieldKind::Autodate(_));
        Ok(Self {
            id: map.text("id")?.into(),
            name: map.text("name")?.into(),
            system: map.flag("system")?,
            hidden: map.flag("hidden")?,
            presentable: map.flag("presentable")?,
            help: if plain {
                String::new()
            } else {
                map.text("help")?
            },
            required: !plain && map.flag("required")?,
            kind,
        })
    }

    /// The definition with every option.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut map = JsonMap::new();
        let mut put = |key: &str, value: Json| {
            map.insert(key.to_owned(), value);
        };
        put("id", Json::from(self.id.as_str()));
        put("name", Json::from(self.name.as_str()));
        put("type", Json::from(self.kind.name()));
        put("system", Json::from(self.system));
        put("hidden", Json::from(self.hidden));
        put("presentable", Json::from(self.presentable));
        if !matches!(self.kind, FieldKind::Autodate(_)) {
            put("help", Json::from(self.help.as_str()));
            put("required", Json::from(self.required));
        }
        put_options(&self.kind, &mut put);
        Json::Object(map)
    }
}

/// `type + crc32(name)`: the id of a field that was given none.
#[must_use]
pub fn default_id(kind: &str, name: &str) -> CompactString {
    format_compact!("{kind}{}", crc32fast::hash(name.as_bytes()))
}

/// The kind called `name` with every option at its default.
#[must_use]
pub fn blank_kind(name: &str) -> Option<FieldKind> {
    let mut map = JsonMap::new();
    map.insert("type".to_owned(), Json::from(name));
    kind_from(&Reader(&map)).ok()
}

fn kind_from(map: &Reader<'_>) -> Result<FieldKind, ShapeError> {
    Ok(match map.text("type")?.as_str() {
        "text" => FieldKind::Text(TextOptions {
            min: map.int("min")?,
            max: map.int("max")?,
            pattern: Pattern::new(map.text("pattern")?),
            autogenerate_pattern: map.text("autogeneratePattern")?,
            primary_key: map.flag("primaryKey")?,
        }),
        "number" => FieldKind::Number(NumberOptions {
            min: map.number("min")?,
            max: map.number("max")?,
            only_int: map.flag("onlyInt")?,
        }),
        "bool" => FieldKind::Bool,
        "email" => FieldKind::Email(domains_from(map)?),
        "url" => FieldKind::Url(domains_from(map)?),
        "editor" => FieldKind::Editor(EditorOptions {
            max_size: map.int("maxSize")?,
            convert_urls: map.flag("convertURLs")?,
        }),
        "date" => FieldKind::Date(DateOptions {
            min: super::date::normalize(&map.text("min")?),
            max: super::date::normalize(&map.text("max")?),
        }),
        "autodate" => FieldKind::Autodate(AutodateOptions {
            on_create: map.flag("onCreate")?,
            on_update: map.flag("onUpdate")?,
        }),
        "select" => FieldKind::Select(SelectOptions {
            values: map.list("values")?,
            max_select: map.int("maxSelect")?,
        }),
        "file" => FieldKind::File(FileOptions {
            max_select: map.int("maxSelect")?,
            max_size: map.int("maxSize")?,
            mime_types: map.list("mimeTypes")?,
            thumbs: map.list("thumbs")?,
            protected: map.flag("protected")?,
        }),
        "relation" => FieldKind::Relation(RelationOptions {
            collection_id: CollectionId::new(map.text("collectionId")?),
            cascade_delete: map.flag("cascadeDelete")?,
            min_select: map.int("minSelect")?,
            max_select: map.int("maxSelect")?,
        }),
        "json" => FieldKind::Json(JsonOptions {
            max_size: map.int("maxSize")?,
        }),
        "password" => FieldKind::Password(PasswordOptions {
            min: map.int("min")?,
            max: map.int("max")?,
            pattern: Pattern::new(map.text("pattern")?),
            cost: map.int("cost")?,
        }),
        "geoPoint" => FieldKind::GeoPoint,
        _ => return Err(ShapeError::at("type")),
    })
}

fn domains_from(map: &Reader<'_>) -> Result<DomainOptions, ShapeError> {
    Ok(DomainOptions {
        only_domains: map.list("onlyDomains")?,
        except_domains: map.list("exceptDomains")?,
    })
}

fn put_options(kind: &FieldKind, put: &mut dyn FnMut(&str, Json)) {
    match kind {
        FieldKind::Text(o) => {
            put("min", Json::from(o.min));
            put("max", Json::from(o.max));
            put("pattern", Json::from(&*o.pattern));
            put(
                "autogeneratePattern",
                Json::from(o.autogenerate_pattern.as_str()),
            );
            put("primaryKey", Json::from(o.primary_key));
        }
        FieldKind::Number(o) => {
            put("min", o.min.map_or(Json::Null, crate::kit::json::number));
            put("max", o.max.map_or(Json::Null, crate::kit::json::number));
            put("onlyInt", Json::from(o.only_int));
        }
        FieldKind::Email(o) | FieldKind::Url(o) => {
            put("onlyDomains", Json::from(o.only_domains.clone()));
            put("exceptDomains", Json::from(o.except_domains.clone()));
        }
        FieldKind::Editor(o) => {
            put("maxSize", Json::from(o.max_size));
            put("convertURLs", Json::from(o.convert_urls));
        }
        FieldKind::Date(o) => {
            put("min", Json::from(o.min.as_str()));
            put("max", Json::from(o.max.as_str()));
        }
        FieldKind::Autodate(o) => {
            put("onCreate", Json::from(o.on_create));
            put("onUpdate", Json::from(o.on_update));
        }
        FieldKind::Select(o) => {
            put("values", Json::from(o.values.clone()));
            put("maxSelect", Json::from(o.max_select));
        }
        FieldKind::File(o) => {
            put("maxSelect", Json::from(o.max_select));
            put("maxSize", Json::from(o.max_size));
            put("mimeTypes", Json::from(o.mime_types.clone()));
            put("thumbs", Json::from(o.thumbs.clone()));
            put("protected", Json::from(o.protected));
        }
        FieldKind::Relation(o) => {
            put("collectionId", Json::from(o.collection_id.as_str()));
            put("cascadeDelete", Json::from(o.cascade_delete));
            put("minSelect", Json::from(o.min_select));
            put("maxSelect", Json::from(o.max_select));
        }
        FieldKind::Json(o) => put("maxSize", Json::from(o.max_size)),
        FieldKind::Password(o) => {
            put("min", Json::from(o.min));
            put("max", Json::from(o.max));
            put("pattern", Json::from(&*o.pattern));
            put("cost", Json::from(o.cost));
        }
        FieldKind::Bool | FieldKind::GeoPoint => {}
    }
}

/// Typed reading of an object; absent and null are the zero value.
struct Reader<'a>(&'a JsonMap);

impl Reader<'_> {
    fn text(&self, key: &str) -> Result<String, ShapeError> {
        match self.0.get(key) {
            None | Some(Json::Null) => Ok(String::new()),
            Some(Json::String(text)) => Ok(text.clone()),
            Some(_) => Err(ShapeError::at(key)),
        }
    }

    fn flag(&self, key: &str) -> Result<bool, ShapeError> {
        match self.0.get(key) {
            None | Some(Json::Null) => Ok(false),
            Some(Json::Bool(flag)) => Ok(*flag),
            Some(_) => Err(ShapeError::at(key)),
        }
    }

    fn int(&self, key: &str) -> Result<i64, ShapeError> {
        match self.0.get(key) {
            None | Some(Json::Null) => Ok(0),
            Some(Json::Number(n)) => whole(n).ok_or_else(|| ShapeError::at(key)),
            Some(_) => Err(ShapeError::at(key)),
        }
    }

    fn number(&self, key: &str) -> Result<Option<f64>, ShapeError> {
        match self.0.get(key) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Number(n)) => Ok(n.as_f64()),
            Some(_) => Err(ShapeError::at(key)),
        }
    }

    fn list(&self, key: &str) -> Result<Vec<String>, ShapeError> {
        match self.0.get(key) {
            None | Some(Json::Null) => Ok(Vec::new()),
            Some(Json::Array(items)) => items
                .iter()
                .map(|item| match item {
                    Json::String(text) => Ok(text.clone()),
                    Json::Null => Ok(String::new()),
                    _ => Err(ShapeError::at(key)),
                })
                .collect(),
            Some(_) => Err(ShapeError::at(key)),
        }
    }
}

/// The number as an `i64` when it is integral; doubles beyond 2^53 hold integers too.
fn whole(n: &serde_json::Number) -> Option<i64> {
    if let Some(whole) = n.as_i64() {
        return Some(whole);
    }
    let double = n.as_f64()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be integral and in range"
    )]
    (double.fract() == 0.0 && double.abs() < 9.2e18).then_some(double as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::json::{parse, to_text};

    #[test]
    fn every_kind_reads_what_it_writes() {
        for kind in [
            "text", "number", "bool", "email", "url", "editor", "date", "autodate", "select",
            "file", "relation", "json", "password", "geoPoint",
        ] {
            let field = Field::new("f", blank_kind(kind).unwrap());
            let text = to_text(&field.to_json());
            assert_eq!(Field::from_json(&parse(&text).unwrap()).unwrap(), field);
        }
    }

    #[test]
    fn ids_come_from_type_and_name() {
        assert_eq!(default_id("text", "id"), "text3208210256");
    }

    #[test]
    fn wrong_types_and_unknown_kinds_are_refused_and_unset_lists_are_empty() {
        let read = |text: &str| Field::from_json(&parse(text).unwrap());
        assert!(read(r#"{"name":"a"}"#).is_err());
        assert!(read(r#"{"type":"text","min":"1"}"#).is_err());
        let url = read(r#"{"type":"url","exceptDomains":null,"zzz":1}"#).unwrap();
        assert_eq!(
            to_text(&url.to_json()),
            r#"{"exceptDomains":[],"help":"","hidden":false,"id":"","name":"","onlyDomains":[],"presentable":false,"required":false,"system":false,"type":"url"}"#
        );
    }
}
