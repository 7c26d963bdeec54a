//! What SQLite's `json_extract` and `json_each` would give, in memory: first of duplicate keys, numbers as spelled,
//! lists and objects as their minified text, text that is no JSON as itself.

use std::collections::HashMap;

use compact_str::CompactString;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::kit::value::{Cell, Value};

/// The value at `path` (`$`, `$.a[0].b`) in a json cell.
pub(super) fn extract(cell: Cell<'_>, path: &str) -> Value {
    let Cell::Text(text) = cell else {
        return if path == "$" {
            cell.to_value()
        } else {
            Value::Null
        };
    };
    let Ok(mut raw) = serde_json::from_str::<&RawValue>(text) else {
        return if path == "$" {
            cell.to_value()
        } else {
            Value::Null
        };
    };
    for step in steps(path) {
        let next = match step {
            Step::Key(key) => serde_json::from_str::<Members<'_>>(raw.get())
                .ok()
                .and_then(|mut members| members.0.remove(key)),
            Step::Index(index) => serde_json::from_str::<Vec<&RawValue>>(raw.get())
                .ok()
                .and_then(|items| items.get(index).copied()),
        };
        match next {
            Some(inner) => raw = inner,
            None => return Value::Null,
        }
    }
    scalar(raw)
}

/// The rows that `json_each` gives for a list cell, guarded as the SQL guards it.
pub(super) fn each(cell: Cell<'_>) -> Vec<Value> {
    let Cell::Text(text) = cell else {
        return vec![cell.to_value()];
    };
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(items) if text.starts_with('[') => items.into_iter().map(scalar).collect(),
        Ok(_) | Err(_) => vec![cell.to_value()],
    }
}

/// How many items a list cell holds; see [`each`].
pub(super) fn length(cell: Cell<'_>) -> i64 {
    match cell {
        Cell::Null | Cell::Text("") => 0,
        Cell::Int(_) | Cell::Real(_) | Cell::Text(_) | Cell::Blob(_) => {
            i64::try_from(each(cell).len()).unwrap_or(i64::MAX)
        }
    }
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// The steps of a path that binding made: `$`, then `.name` and `[number]`.
fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split(['.', '['])
        .skip(1)
        .map(|step| match step.strip_suffix(']') {
            Some(index) => index.parse().map_or(Step::Key(step), Step::Index),
            None => Step::Key(step),
        })
}

struct Members<'a>(HashMap<CompactString, &'a RawValue>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = HashMap::new();
                while let Some((key, value)) = map.next_entry::<CompactString, &RawValue>()? {
                    members.entry(key).or_insert(value);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

fn scalar(raw: &RawValue) -> Value {
    let text = raw.get().trim();
    match text.as_bytes().first() {
        Some(b'n') | None => Value::Null,
        Some(b't') => Value::Int(1),
        Some(b'f') => Value::Int(0),
        Some(b'"') => serde_json::from_str::<CompactString>(text).map_or(Value::Null, Value::Text),
        Some(b'[' | b'{') => Value::Text(minified(text)),
        Some(_) => {
            let whole = !text.contains(['.', 'e', 'E']);
            match text.parse::<i64>() {
                Ok(n) if whole => Value::Int(n),
                Ok(_) | Err(_) => text.parse().map_or(Value::Null, Value::Real),
            }
        }
    }
}

/// Valid JSON without the blanks between its tokens.
fn minified(text: &str) -> CompactString {
    let mut out = CompactString::with_capacity(text.len());
    let mut in_string = false;
    let mut escaped = false;
    for c in text.chars() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if !matches!(c, ' ' | '\t' | '\n' | '\r') {
            out.push(c);
            in_string = c == '"';
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_give_what_sqlite_gives() {
        let json = r#"{"a": {"b": [1, 2.0, "x y", true, null, {"k" : "v \" w"}]}, "a": 2}"#;
        let at = |path: &str| extract(Cell::Text(json), path);
        assert_eq!(at("$.a.b[0]"), Value::Int(1));
        assert_eq!(at("$.a.b[1]"), Value::Real(2.0));
        assert_eq!(at("$.a.b[2]"), Value::text("x y"));
        assert_eq!(at("$.a.b[3]"), Value::Int(1));
        assert_eq!(at("$.a.b[4]"), Value::Null);
        assert_eq!(at("$.a.b[5]"), Value::text(r#"{"k":"v \" w"}"#));
        assert_eq!(at("$.a.c"), Value::Null);
        assert_eq!(extract(Cell::Text("plain"), "$"), Value::text("plain"));
        assert_eq!(extract(Cell::Text("plain"), "$.a"), Value::Null);
    }
}
