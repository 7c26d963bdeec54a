//! What a field says about a finished cell, as far as no other row is needed (contract 1.12, record value codes).

use super::{
    DateOptions, EditorOptions, Field, FieldKind, PasswordOptions, RelationOptions, SelectOptions,
    email, geo_point, json, list, number, parse_date, text, url,
};
use crate::kit::limits::{EDITOR_BYTES_DEFAULT, PASSWORD_BYTES_MAX, PASSWORD_CHARS_DEFAULT};
use crate::kit::time::Timestamp;
use crate::kit::value::Value;
use crate::schema::error::FieldError;

/// What validation may know besides the cell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Check<'a> {
    /// The cell before an update; `None` for a new record.
    pub before: Option<&'a Value>,
}

impl Field {
    /// The first thing wrong with a cell in stored form. Left to others: uniqueness, whether related records exist,
    /// uploads, and plain passwords ([`PasswordOptions::validate_plain`]).
    #[must_use]
    pub fn validate(&self, value: &Value, check: &Check<'_>) -> Option<FieldError> {
        let required = self.required;
        match &self.kind {
            FieldKind::Text(o) => text::validate(o, required, value.text_or_empty(), check),
            FieldKind::Number(o) => number::validate(o, required, value),
            FieldKind::Bool => (required && !value.as_bool()).then(FieldError::required),
            FieldKind::Email(o) => email::validate(o, required, value.text_or_empty()),
            FieldKind::Url(o) => url::validate(o, required, value.text_or_empty()),
            FieldKind::Editor(o) => editor(o, required, value.text_or_empty()),
            FieldKind::Date(o) => date(o, required, value.text_or_empty()),
            FieldKind::Autodate(_) => None,
            FieldKind::Select(o) => select(o, required, value),
            FieldKind::File(o) => {
                let items = list::items_of_cell(value.as_cell());
                if items.is_empty() {
                    return required.then(FieldError::required);
                }
                let most = o.max_select.max(1);
                exceeds(items.len(), most).then(|| {
                    FieldError::new(
                        "validation_too_many_files",
                        format!("The maximum allowed files is {most}."),
                    )
                    .with("maxSelect", most)
                })
            }
            FieldKind::Relation(o) => relation(o, required, value),
            FieldKind::Json(o) => json::validate(o, required, value),
            FieldKind::Password(_) => {
                (required && value.text_or_empty().is_empty()).then(FieldError::required)
            }
            FieldKind::GeoPoint => geo_point::validate(required, value),
        }
    }
}

impl PasswordOptions {
    /// The first thing wrong with a password as it was typed; empty clears the hash and is not judged here.
    #[must_use]
    pub fn validate_plain(&self, plain: &str) -> Option<FieldError> {
        if plain.is_empty() {
            return None;
        }
        if self.is_past_hashing(plain) {
            return Some(FieldError::invalid());
        }
        let chars = i64::try_from(plain.chars().count()).unwrap_or(i64::MAX);
        if self.min > 0 && chars < self.min {
            return Some(FieldError::new(
                "validation_min_text_constraint",
                format!("Must be at least {} character(s).", self.min),
            ));
        }
        let max = self.chars_max();
        if chars > max {
            return Some(FieldError::new(
                "validation_max_text_constraint",
                format!("Must be less than {max} character(s)."),
            ));
        }
        if !self.pattern.is_empty() && !self.pattern.matches(plain) {
            return Some(FieldError::new(
                "validation_invalid_format",
                "Invalid value format.",
            ));
        }
        None
    }

    /// Whether a password has more bytes than are hashed: what bcrypt takes, for every hash, so that what one server
    /// accepts the other does too. Who sets a larger `max` than PocketBase takes wants more.
    #[must_use]
    pub fn is_past_hashing(&self, plain: &str) -> bool {
        const HASHED_BYTES_MAX: u64 = 72;
        let most = if self.chars_max() > PASSWORD_CHARS_DEFAULT.cast_signed() {
            PASSWORD_BYTES_MAX
        } else {
            HASHED_BYTES_MAX
        };
        plain.len() as u64 > most
    }

    /// The most characters that a password of the field may have.
    #[must_use]
    pub fn chars_max(&self) -> i64 {
        if self.max > 0 {
            self.max
        } else {
            PASSWORD_CHARS_DEFAULT.cast_signed()
        }
    }
}

fn editor(options: &EditorOptions, required: bool, value: &str) -> Option<FieldError> {
    if value.is_empty() {
        return required.then(FieldError::required);
    }
    let max = if options.max_size > 0 {
        options.max_size.unsigned_abs()
    } else {
        EDITOR_BYTES_DEFAULT
    };
    (value.len() as u64 > max).then(|| {
        FieldError::new(
            "validation_content_size_limit",
            format!("The maximum allowed content size is {max} bytes."),
        )
        .with("maxSize", max)
    })
}

fn date(options: &DateOptions, required: bool, value: &str) -> Option<FieldError> {
    if value.is_empty() {
        return required.then(FieldError::required);
    }
    // Both sides are in the text form of the contract, whose order is the order of time.
    if !options.min.is_empty() && value < options.min.as_str() {
        return Some(date_bound(
            "validation_min_greater_equal_than_required",
            "Must be no less than",
            &options.min,
        ));
    }
    if !options.max.is_empty() && value > options.max.as_str() {
        return Some(date_bound(
            "validation_max_less_equal_than_required",
            "Must be no greater than",
            &options.max,
        ));
    }
    None
}

fn date_bound(code: &'static str, words: &str, bound: &str) -> FieldError {
    let moment = parse_date(bound).unwrap_or(Timestamp::from_millis(0));
    let text = moment.to_text();
    let (day, time) = (&text[..10], &text[11..19]);
    let millis = text[19..23].trim_end_matches('0').trim_end_matches('.');
    FieldError::new(code, format!("{words} {day} {time}{millis} +0000 UTC."))
        .with("threshold", format!("{day}T{time}{millis}Z"))
}

fn select(options: &SelectOptions, required: bool, value: &Value) -> Option<FieldError> {
    let items = list::items_of_cell(value.as_cell());
    if items.is_empty() {
        return required.then(FieldError::required);
    }
    let most = options.max_select.max(1);
    if exceeds(items.len(), most) {
        return Some(too_many(most));
    }
    let known = |item: &str| options.values.iter().any(|value| value == item);
    items.iter().find(|item| !known(item)).map(|item| {
        FieldError::new("validation_invalid_value", format!("Invalid value {item}"))
            .with("value", item.as_str())
    })
}

fn relation(options: &RelationOptions, required: bool, value: &Value) -> Option<FieldError> {
    let items = list::items_of_cell(value.as_cell());
    if items.is_empty() {
        return required.then(FieldError::required);
    }
    if options.min_select > 0 && !exceeds(items.len(), options.min_select - 1) {
        return Some(
            FieldError::new(
                "validation_not_enough_values",
                format!("Select at least {}.", options.min_select),
            )
            .with("minSelect", options.min_select),
        );
    }
    let most = options.max_select.max(1);
    exceeds(items.len(), most).then(|| too_many(most))
}

fn exceeds(count: usize, most: i64) -> bool {
    i64::try_from(count).unwrap_or(i64::MAX) > most
}

fn too_many(most: i64) -> FieldError {
    FieldError::new(
        "validation_too_many_values",
        format!("Select no more than {most}."),
    )
    .with("maxSelect", most)
}
