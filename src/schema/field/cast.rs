//! From what was submitted to what is stored: the same for JSON bodies, forms and modifiers.

use compact_str::CompactString;

use super::{Field, FieldKind, boolean, date, geo_point, json, list, number, text};
use crate::kit::json::Json;
use crate::kit::value::Value;

impl Field {
    /// The stored form of a submitted value. Nothing is refused here: what a field cannot hold becomes its zero value,
    /// or a cell that [`Field::validate`] refuses. A password stays plain text until it is hashed.
    #[must_use]
    pub fn cast(&self, submitted: &Json) -> Value {
        match &self.kind {
            FieldKind::Text(_)
            | FieldKind::Email(_)
            | FieldKind::Url(_)
            | FieldKind::Editor(_)
            | FieldKind::Password(_) => Value::Text(text::cast(submitted)),
            FieldKind::Number(_) => number::cast(submitted),
            FieldKind::Bool => Value::from(boolean::cast(submitted)),
            FieldKind::Date(_) | FieldKind::Autodate(_) => Value::Text(match submitted {
                Json::String(text) => date::normalize(text),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                    CompactString::const_new("")
                }
            }),
            FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_) => {
                list::store(list::items_of_json(submitted), self.kind.is_multiple())
            }
            FieldKind::Json(_) => json::cast(submitted),
            FieldKind::GeoPoint => geo_point::cast(submitted),
        }
    }
}
