//! `text`: casting, limits, and the extra care of the primary key (contract 3.2).

use compact_str::{CompactString, format_compact};

use super::TextOptions;
use super::validate::Check;
use crate::kit::json::Json;
use crate::kit::limits::TEXT_CHARS_DEFAULT;
use crate::schema::error::FieldError;
use crate::schema::system::ID_PATTERN;

/// Numbers in plain decimals, booleans as words, everything that is not a scalar as nothing.
pub(super) fn cast(submitted: &Json) -> CompactString {
    match submitted {
        Json::String(text) => text.as_str().into(),
        Json::Number(n) => format_compact!("{}", n.as_f64().unwrap_or(0.0)),
        Json::Bool(flag) => CompactString::const_new(if *flag { "true" } else { "false" }),
        Json::Null | Json::Array(_) | Json::Object(_) => CompactString::const_new(""),
    }
}

pub(super) fn validate(
    options: &TextOptions,
    required: bool,
    value: &str,
    check: &Check<'_>,
) -> Option<FieldError> {
    if options.primary_key
        && let Some(before) = check.before
    {
        // An id never changes; that it is the old one is all there is to say about it.
        return (before.text_or_empty() != value).then(|| {
            FieldError::new(
                "validation_pk_change",
                "The record primary key cannot be changed.",
            )
        });
    }
    if value.is_empty() {
        return required.then(FieldError::required);
    }
    if options.primary_key
        && *options.pattern != *ID_PATTERN
        && let Some(error) = refuse_key(value)
    {
        return Some(error);
    }
    let chars = i64::try_from(value.chars().count()).unwrap_or(i64::MAX);
    if options.min > 0 && chars < options.min {
        return Some(
            FieldError::new(
                "validation_min_text_constraint",
                format!("Must be at least {} character(s).", options.min),
            )
            .with("min", options.min),
        );
    }
    let max = if options.max > 0 {
        options.max
    } else {
        TEXT_CHARS_DEFAULT.cast_signed()
    };
    if chars > max {
        return Some(
            FieldError::new(
                "validation_max_text_constraint",
                format!("Must be no more than {max} character(s)."),
            )
            .with("max", max),
        );
    }
    if !options.pattern.is_empty() && !options.pattern.matches(value) {
        return Some(FieldError::new(
            "validation_invalid_format",
            "Invalid value format.",
        ));
    }
    None
}

impl TextOptions {
    /// Whether ids of this field must also be free regardless of letter case; with the default pattern the database
    /// alone decides.
    #[must_use]
    pub fn is_free_form_key(&self) -> bool {
        self.primary_key && *self.pattern != *ID_PATTERN
    }
}

/// Ids end up in file paths: no separators, no wildcards, no names that some systems keep for devices.
fn refuse_key(value: &str) -> Option<FieldError> {
    const FORBIDDEN: &[char] = &[
        '.', '/', '\\', '|', '"', '\'', '`', '<', '>', ':', '?', '*', '%', '$', '\0', '\t', '\n',
        '\r', ' ',
    ];
    if let Some(letter) = value.chars().find(|c| FORBIDDEN.contains(c)) {
        return Some(
            FieldError::new(
                "validation_forbidden_pk_character",
                format!("'{letter}' is not a valid primary key character."),
            )
            .with("ch", letter.to_string()),
        );
    }
    let upper = value.to_ascii_uppercase();
    let numbered = (upper.starts_with("COM") || upper.starts_with("LPT"))
        && upper.len() == 4
        && matches!(upper.as_bytes()[3], b'1'..=b'9');
    (numbered || matches!(upper.as_str(), "CON" | "PRN" | "AUX" | "NUL")).then(|| {
        FieldError::new(
            "validation_reserved_pk",
            format!("The primary key '{value}' is reserved and cannot be used."),
        )
        .with("reserved", value)
    })
}
