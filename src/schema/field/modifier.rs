//! Keys of a record body that change a value instead of giving one: `f+`, `+f`, `f-`, `f:autogenerate`.

use super::list::{self, Edit};
use super::{Field, FieldKind, generate, number, text};
use crate::kit::json::{Json, JsonMap};
use crate::kit::value::Value;
use crate::schema::collection::Collection;

/// How a key of a body acts on its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modifier {
    /// `f`: the value itself.
    Set,
    /// `f+`: append, or add.
    Append,
    /// `+f`: prepend.
    Prepend,
    /// `f-`: remove, or subtract.
    Remove,
    /// `f:autogenerate`: the value followed by generated text.
    Autogenerate,
}

/// The field that a key of a body speaks of, and how; `None` for a key that means nothing to the collection.
#[must_use]
pub fn resolve_key(collection: &Collection, key: &str) -> Option<(usize, Modifier)> {
    if let Some(index) = collection.field_index(key) {
        return Some((index, Modifier::Set));
    }
    let candidates = [
        (key.strip_suffix('+'), Modifier::Append),
        (key.strip_prefix('+'), Modifier::Prepend),
        (key.strip_suffix('-'), Modifier::Remove),
        (key.strip_suffix(":autogenerate"), Modifier::Autogenerate),
    ];
    candidates.into_iter().find_map(|(name, modifier)| {
        let index = collection.field_index(name?)?;
        collection.fields[index]
            .kind
            .takes(modifier)
            .then_some((index, modifier))
    })
}

/// The keys of a body in the order in which they act: shortest first, equals by the alphabet.
#[must_use]
pub fn keys_in_order(body: &JsonMap) -> Vec<&str> {
    let mut keys: Vec<&str> = body.keys().map(String::as_str).collect();
    keys.sort_by_key(|key| key.len());
    keys
}

impl FieldKind {
    /// Whether keys with this modifier mean something to the kind.
    #[must_use]
    pub fn takes(&self, modifier: Modifier) -> bool {
        match modifier {
            Modifier::Set => true,
            Modifier::Append | Modifier::Remove => matches!(
                self,
                Self::Number(_) | Self::Select(_) | Self::File(_) | Self::Relation(_)
            ),
            Modifier::Prepend => {
                matches!(self, Self::Select(_) | Self::File(_) | Self::Relation(_))
            }
            Modifier::Autogenerate => matches!(self, Self::Text(_)),
        }
    }
}

impl Field {
    /// The cell after a key with `modifier` acted on `current`.
    #[must_use]
    pub fn apply(&self, current: &Value, modifier: Modifier, submitted: &Json) -> Value {
        let edit = |edit| list::edit(current, submitted, edit, self.kind.is_multiple());
        match (&self.kind, modifier) {
            (FieldKind::Number(_), Modifier::Append) => number::shift(current, submitted, false),
            (FieldKind::Number(_), Modifier::Remove) => number::shift(current, submitted, true),
            (FieldKind::Text(options), Modifier::Autogenerate) => {
                let mut value = text::cast(submitted);
                if !options.autogenerate_pattern.is_empty() {
                    // A pattern that generates nothing was refused when the field was saved.
                    value +=
                        &generate::from_pattern(&options.autogenerate_pattern).unwrap_or_default();
                }
                Value::Text(value)
            }
            (_, Modifier::Append) => edit(Edit::Append),
            (_, Modifier::Prepend) => edit(Edit::Prepend),
            (_, Modifier::Remove) => edit(Edit::Remove),
            (_, Modifier::Set | Modifier::Autogenerate) => self.cast(submitted),
        }
    }

    /// The text that a new record gets where none was given; `None` where the field generates nothing.
    #[must_use]
    pub fn autogenerate(&self) -> Option<Value> {
        match &self.kind {
            FieldKind::Text(options) if !options.autogenerate_pattern.is_empty() => {
                generate::from_pattern(&options.autogenerate_pattern)
                    .ok()
                    .map(Value::from)
            }
            _ => None,
        }
    }

    /// The items of a `select`, `file` or `relation` cell, in order.
    #[must_use]
    pub fn items(&self, cell: crate::kit::value::Cell<'_>) -> Vec<compact_str::CompactString> {
        list::items_of_cell(cell)
    }

    /// The stored form of items, distinct and in order; a single field keeps the last.
    #[must_use]
    pub fn store_items(&self, items: Vec<compact_str::CompactString>) -> Value {
        list::store(items, self.kind.is_multiple())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::json::parse;
    use crate::schema::field::blank_kind;

    fn field(kind: &str, max_select: i64) -> Field {
        let mut kind = blank_kind(kind).unwrap();
        if let FieldKind::Select(options) = &mut kind {
            options.max_select = max_select;
        }
        Field::new("f", kind)
    }

    fn applied(field: &Field, steps: &[(Modifier, &str)]) -> Value {
        steps
            .iter()
            .fold(field.zero(), |current, (modifier, json)| {
                field.apply(&current, *modifier, &parse(json).unwrap())
            })
    }

    #[test]
    fn numbers_add_up_and_lists_grow_and_shrink() {
        use Modifier::{Append, Prepend, Remove, Set};
        let number = field("number", 0);
        assert_eq!(
            applied(&number, &[(Set, "10"), (Append, "5"), (Remove, "1")]),
            Value::Int(14)
        );
        let many = field("select", 3);
        assert_eq!(
            applied(
                &many,
                &[
                    (Set, r#"["a","a",""]"#),
                    (Append, r#""b""#),
                    (Prepend, r#"["c"]"#)
                ]
            ),
            Value::text(r#"["c","a","b"]"#)
        );
        assert_eq!(
            applied(&many, &[(Set, r#""[\"a\",\"b\"]""#), (Remove, r#""a""#)]),
            Value::text(r#"["b"]"#)
        );
        let one = field("select", 1);
        assert_eq!(applied(&one, &[(Set, r#"["a","b"]"#)]), Value::text("b"));
        assert_eq!(
            applied(&one, &[(Set, r#""a""#), (Append, r#""b""#)]),
            Value::text("b")
        );
        assert_eq!(
            applied(&one, &[(Set, r#""a""#), (Prepend, r#""b""#)]),
            Value::text("a")
        );
        assert_eq!(applied(&one, &[(Set, r#"{"a":1}"#)]), Value::text(""));
    }

    #[test]
    fn submitted_values_are_cast_as_the_contract_says() {
        for (kind, json, expected) in [
            ("text", "1e21", Value::text("1000000000000000000000")),
            ("text", "true", Value::text("true")),
            ("text", "[1]", Value::text("")),
            ("number", r#""1e3""#, Value::Int(1000)),
            ("number", r#""010""#, Value::Int(10)),
            ("number", r#""1_000""#, Value::Int(1000)),
            ("number", r#"" 5 ""#, Value::Int(0)),
            ("number", r#""0x10""#, Value::Int(0)),
            ("number", "true", Value::Int(1)),
            ("number", "1.5", Value::Real(1.5)),
            ("bool", r#""yes""#, Value::Int(0)),
            ("bool", "-3", Value::Int(1)),
            ("date", "1700000000", Value::text("")),
            ("json", "null", Value::Null),
            ("json", r#""""#, Value::text("\"\"")),
            ("json", r#""null""#, Value::text("null")),
            ("json", r#""123""#, Value::text("123")),
            ("json", r#""001""#, Value::text("\"001\"")),
            (
                "json",
                r#""{\"b\":1.0, \"a\":1e3}""#,
                Value::text(r#"{"b":1.0, "a":1e3}"#),
            ),
            (
                "json",
                r#"{"b":1.0,"a":1e3}"#,
                Value::text(r#"{"a":1000,"b":1}"#),
            ),
            ("json", r#""{bad}""#, Value::text("\"{bad}\"")),
            (
                "geoPoint",
                r#"{"lat":2}"#,
                Value::text(r#"{"lon":0,"lat":2}"#),
            ),
            (
                "geoPoint",
                r#"{"lat":"2"}"#,
                Value::text(r#"{"lon":0,"lat":0}"#),
            ),
            (
                "geoPoint",
                r#""{\"lon\":1.5}""#,
                Value::text(r#"{"lon":1.5,"lat":0}"#),
            ),
        ] {
            let field = field(kind, 0);
            assert_eq!(field.cast(&parse(json).unwrap()), expected, "{kind} {json}");
        }
        let nan = field("number", 0).cast(&parse(r#""NaN""#).unwrap());
        assert!(
            field("number", 0)
                .validate(&nan, &Default::default())
                .is_some()
        );
    }
}
