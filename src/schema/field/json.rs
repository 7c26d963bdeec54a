//! `json`: which text is JSON and which is a string (contract 3.13).

use serde_json::value::RawValue;

use super::{JsonOptions, number};
use crate::kit::json::{self, Json};
use crate::kit::limits::JSON_BYTES_DEFAULT;
use crate::kit::value::Value;
use crate::schema::error::FieldError;

/// A string that looks like JSON and is JSON is stored as it was sent; numbers lie as numbers, as the column's
/// affinity makes them.
pub(super) fn cast(submitted: &Json) -> Value {
    match submitted {
        Json::Null => Value::Null,
        Json::Number(n) => {
            let n = n.as_f64().unwrap_or(0.0);
            let text = json::number_text(n);
            match Value::number(n) {
                // Once it was read back, a REAL is shown otherwise: until then it is shown as it was sent.
                Value::Real(real) if number::go_text(real) != text => Value::Text(text),
                plain => plain,
            }
        }
        Json::String(text) if is_json_text(text) => Value::text(text.as_str()),
        Json::String(_) | Json::Bool(_) | Json::Array(_) | Json::Object(_) => {
            Value::text(json::to_text(submitted))
        }
    }
}

fn is_json_text(text: &str) -> bool {
    match text.as_bytes().first() {
        None => false,
        Some(b'0'..=b'9' | b'-' | b'"' | b'[' | b'{') => is_valid(text),
        Some(_) => matches!(text, "null" | "true" | "false"),
    }
}

/// Whether `text` is one JSON value.
pub(super) fn is_valid(text: &str) -> bool {
    // Raw values are checked without being built; nesting is bounded by the parser.
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Whether the text may hold a number that no double can: those are JSON, and yet no value.
fn may_overflow(text: &str) -> bool {
    let bytes = text.as_bytes();
    let exponents = memchr::memchr2_iter(b'e', b'E', bytes);
    let mut digits_before = exponents.filter(|&at| at > 0 && bytes[at - 1].is_ascii_digit());
    digits_before.next().is_some() || bytes.len() > 300
}

pub(super) fn validate(options: &JsonOptions, required: bool, value: &Value) -> Option<FieldError> {
    let text = value.text_or_empty();
    if required
        && (value.is_null() || {
            let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            matches!(value, Value::Text(_))
                && matches!(compact.as_str(), "" | "null" | "\"\"" | "[]" | "{}")
        })
    {
        return Some(FieldError::required());
    }
    if may_overflow(text) && json::parse(text).is_err() {
        return Some(FieldError::new(
            "validation_invalid_json",
            "Must be a valid json value.",
        ));
    }
    let max = if options.max_size > 0 {
        options.max_size.unsigned_abs()
    } else {
        JSON_BYTES_DEFAULT
    };
    if text.len() as u64 > max {
        return Some(
            FieldError::new(
                "validation_json_size_limit",
                format!("The maximum allowed JSON size is {max} bytes."),
            )
            .with("maxSize", max),
        );
    }
    None
}
