//! A field of a collection: the options shared by all kinds, and one file for each kind.

mod boolean;
mod cast;
mod column;
mod date;
mod definition;
mod email;
mod encode;
pub(in crate::schema) mod generate;
mod geo_point;
mod json;
mod list;
mod modifier;
pub(in crate::schema) mod number;
mod pattern;
mod text;
mod url;
mod validate;

use compact_str::CompactString;

pub use date::parse_date;
pub use definition::{ShapeError, blank_kind, default_id};
pub use email::is_email;
pub use encode::{to_json, write_json};
pub use modifier::{Modifier, keys_in_order, resolve_key};
pub use pattern::Pattern;
pub use url::is_url;
pub use validate::Check;

use super::collection::CollectionId;

/// A field: what all kinds share, and its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Stable id, unique in the collection.
    pub id: CompactString,
    /// Present name and column.
    pub name: CompactString,
    /// Cannot be removed or renamed.
    pub system: bool,
    /// Seen by superusers only.
    pub hidden: bool,
    /// A hint for the dashboard.
    pub presentable: bool,
    /// A note for people; autodate has none.
    pub help: String,
    /// The zero value is refused; autodate has none.
    pub required: bool,
    /// Kind and its options.
    pub kind: FieldKind,
}

/// Kind of a field with the options that belong to it. The set is closed (contract 3.1).
#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    /// `text`
    Text(TextOptions),
    /// `number`
    Number(NumberOptions),
    /// `bool`
    Bool,
    /// `email`
    Email(DomainOptions),
    /// `url`
    Url(DomainOptions),
    /// `editor`
    Editor(EditorOptions),
    /// `date`
    Date(DateOptions),
    /// `autodate`
    Autodate(AutodateOptions),
    /// `select`
    Select(SelectOptions),
    /// `file`
    File(FileOptions),
    /// `relation`
    Relation(RelationOptions),
    /// `json`
    Json(JsonOptions),
    /// `password`
    Password(PasswordOptions),
    /// `geoPoint`
    GeoPoint,
}

impl FieldKind {
    /// The contract's name of the kind.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Number(_) => "number",
            Self::Bool => "bool",
            Self::Email(_) => "email",
            Self::Url(_) => "url",
            Self::Editor(_) => "editor",
            Self::Date(_) => "date",
            Self::Autodate(_) => "autodate",
            Self::Select(_) => "select",
            Self::File(_) => "file",
            Self::Relation(_) => "relation",
            Self::Json(_) => "json",
            Self::Password(_) => "password",
            Self::GeoPoint => "geoPoint",
        }
    }

    /// Whether the field holds a list (stored as JSON text of an array).
    #[must_use]
    pub fn is_multiple(&self) -> bool {
        match self {
            Self::Select(o) => o.max_select > 1,
            Self::File(o) => o.max_select > 1,
            Self::Relation(o) => o.max_select > 1,
            Self::Text(_)
            | Self::Number(_)
            | Self::Bool
            | Self::Email(_)
            | Self::Url(_)
            | Self::Editor(_)
            | Self::Date(_)
            | Self::Autodate(_)
            | Self::Json(_)
            | Self::Password(_)
            | Self::GeoPoint => false,
        }
    }
}

/// Options of `text` (contract 3.2).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TextOptions {
    /// Fewest code points.
    pub min: i64,
    /// Most code points; 0 is the default bound.
    pub max: i64,
    /// RE2 pattern, unanchored; empty is none.
    pub pattern: Pattern,
    /// Pattern from which an empty value is generated on create.
    pub autogenerate_pattern: String,
    /// The record id.
    pub primary_key: bool,
}

/// Options of `number` (contract 3.3).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct NumberOptions {
    /// Lower bound.
    pub min: Option<f64>,
    /// Upper bound.
    pub max: Option<f64>,
    /// No fractions.
    pub only_int: bool,
}

/// Options of `email` and `url` (contract 3.5, 3.6).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DomainOptions {
    /// Only these.
    pub only_domains: Vec<String>,
    /// All but these.
    pub except_domains: Vec<String>,
}

/// Options of `editor` (contract 3.7).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct EditorOptions {
    /// Bytes; 0 is the default bound.
    pub max_size: i64,
    /// A hint for the dashboard.
    pub convert_urls: bool,
}

/// Options of `date` (contract 3.8); dates in the contract's text form, empty is none.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DateOptions {
    /// Earliest.
    pub min: CompactString,
    /// Latest.
    pub max: CompactString,
}

/// Options of `autodate` (contract 3.9).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AutodateOptions {
    /// Set when the record is made.
    pub on_create: bool,
    /// Set at each change.
    pub on_update: bool,
}

/// Options of `select` (contract 3.10).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SelectOptions {
    /// The choices.
    pub values: Vec<String>,
    /// 0 or 1 single, more multiple.
    pub max_select: i64,
}

/// Options of `file` (contract 3.12).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FileOptions {
    /// 0 or 1 single, more multiple.
    pub max_select: i64,
    /// Bytes of one file; 0 is the default bound.
    pub max_size: i64,
    /// Accepted types; empty is any.
    pub mime_types: Vec<String>,
    /// Thumb formats.
    pub thumbs: Vec<String>,
    /// Served under the view rule only.
    pub protected: bool,
}

/// Options of `relation` (contract 3.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationOptions {
    /// The collection pointed to.
    pub collection_id: CollectionId,
    /// Delete the record when what it points to is deleted.
    pub cascade_delete: bool,
    /// Fewest.
    pub min_select: i64,
    /// 0 or 1 single, more multiple.
    pub max_select: i64,
}

/// Options of `json` (contract 3.13).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct JsonOptions {
    /// Bytes; 0 is the default bound.
    pub max_size: i64,
}

/// Options of `password` (contract 3.14).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PasswordOptions {
    /// Fewest code points.
    pub min: i64,
    /// Most code points; 0 is the default bound.
    pub max: i64,
    /// RE2 pattern; empty is none.
    pub pattern: Pattern,
    /// bcrypt cost of PocketBase; kept for it.
    pub cost: i64,
}
