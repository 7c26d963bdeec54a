//! How a field lies in its table: column type and zero value.

use super::{Field, FieldKind};
use crate::kit::value::Value;

/// What a geo point is when none was given.
pub(super) const GEO_ZERO: &str = r#"{"lon":0,"lat":0}"#;

impl Field {
    /// Type and constraints of the column, as `CREATE TABLE` and `ADD COLUMN` take them (contract 3.1).
    #[must_use]
    pub fn column_type(&self) -> &'static str {
        match &self.kind {
            FieldKind::Text(options) if options.primary_key => {
                "TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL"
            }
            FieldKind::Text(_)
            | FieldKind::Email(_)
            | FieldKind::Url(_)
            | FieldKind::Editor(_)
            | FieldKind::Date(_)
            | FieldKind::Autodate(_)
            | FieldKind::Password(_) => "TEXT DEFAULT '' NOT NULL",
            FieldKind::Number(_) => "NUMERIC DEFAULT 0 NOT NULL",
            FieldKind::Bool => "BOOLEAN DEFAULT FALSE NOT NULL",
            FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_) => {
                if self.kind.is_multiple() {
                    "JSON DEFAULT '[]' NOT NULL"
                } else {
                    "TEXT DEFAULT '' NOT NULL"
                }
            }
            FieldKind::Json(_) => "JSON DEFAULT NULL",
            FieldKind::GeoPoint => r#"JSON DEFAULT '{"lon":0,"lat":0}' NOT NULL"#,
        }
    }

    /// The cell of a record that was given nothing.
    #[must_use]
    pub fn zero(&self) -> Value {
        match &self.kind {
            FieldKind::Number(_) | FieldKind::Bool => Value::Int(0),
            FieldKind::Json(_) => Value::Null,
            FieldKind::GeoPoint => Value::text(GEO_ZERO),
            FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_)
                if self.kind.is_multiple() =>
            {
                Value::text("[]")
            }
            FieldKind::Text(_)
            | FieldKind::Email(_)
            | FieldKind::Url(_)
            | FieldKind::Editor(_)
            | FieldKind::Date(_)
            | FieldKind::Autodate(_)
            | FieldKind::Select(_)
            | FieldKind::File(_)
            | FieldKind::Relation(_)
            | FieldKind::Password(_) => Value::text(""),
        }
    }
}
