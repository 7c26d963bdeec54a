//! `number`: casting, bounds, arithmetic (contract 3.3).

use super::NumberOptions;
use crate::kit::json::{self, Json};
use crate::kit::value::Value;
use crate::schema::error::FieldError;

/// The number that was meant; text that spells NaN or an infinity stays text, for validation to refuse.
pub(super) fn cast(submitted: &Json) -> Value {
    match submitted {
        Json::Number(n) => Value::number(n.as_f64().unwrap_or(0.0)),
        Json::Bool(flag) => Value::from(*flag),
        Json::String(text) => from_text(text),
        Json::Null | Json::Array(_) | Json::Object(_) => Value::Int(0),
    }
}

fn from_text(text: &str) -> Value {
    let plain = text.contains('_').then(|| text.replace('_', ""));
    match plain.as_deref().unwrap_or(text).parse::<f64>() {
        Ok(n) if n.is_finite() => Value::number(n),
        // 1e400 overflows and counts as unreadable; words do not.
        Ok(_) if text.bytes().any(|b| b.is_ascii_digit()) => Value::Int(0),
        Ok(_) => Value::text(text),
        Err(_) => Value::Int(0),
    }
}

/// `current` plus or minus what was submitted.
pub(super) fn shift(current: &Value, submitted: &Json, minus: bool) -> Value {
    let Some(by) = cast(submitted).as_f64() else {
        return cast(submitted);
    };
    let base = current.as_f64().unwrap_or(0.0);
    let sum = if minus { base - by } else { base + by };
    if sum.is_finite() {
        Value::number(sum)
    } else {
        Value::text("Inf")
    }
}

pub(super) fn validate(
    options: &NumberOptions,
    required: bool,
    value: &Value,
) -> Option<FieldError> {
    let n = match value.as_f64() {
        Some(n) => n,
        None if value.is_null() => 0.0,
        None => {
            return Some(FieldError::new(
                "validation_not_a_number",
                "The submitted number is not properly formatted.",
            ));
        }
    };
    if n == 0.0 {
        return required.then(FieldError::required);
    }
    if options.only_int && !is_whole(n) {
        return Some(only_int());
    }
    if let Some(min) = options.min
        && n < min
    {
        return Some(below_min(min));
    }
    if let Some(max) = options.max
        && n > max
    {
        return Some(
            FieldError::new(
                "validation_max_number_constraint",
                format!("Must be less or equal than {}.", go_text(max)),
            )
            .with("max", json::number(max)),
        );
    }
    None
}

/// A number as messages show it, and as the text of a REAL cell: with an exponent from a million on.
pub(super) fn go_text(n: f64) -> String {
    let scientific = format!("{n:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{n}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// Whether `n` is an integer of 64 bits, whatever larger doubles say of themselves.
pub(in crate::schema) fn is_whole(n: f64) -> bool {
    n.fract() == 0.0 && n.abs() < 9_223_372_036_854_775_808.0
}

/// A fraction where only integers are allowed.
pub(in crate::schema) fn only_int() -> FieldError {
    FieldError::new(
        "validation_only_int_constraint",
        "Decimal numbers are not allowed.",
    )
}

/// A number below `min`.
pub(in crate::schema) fn below_min(min: f64) -> FieldError {
    FieldError::new(
        "validation_min_number_constraint",
        format!("Must be greater or equal than {}.", go_text(min)),
    )
    .with("min", json::number(min))
}
