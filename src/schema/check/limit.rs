//! The small judgements that many options share.

use crate::schema::error::FieldError;

/// Largest whole number that every client can hold.
pub(super) const SAFE_INT: i64 = (1 << 53) - 1;

/// Below `least`; zero is unset and passes.
pub(super) fn below(value: i64, least: i64) -> Option<FieldError> {
    (value != 0 && value < least).then(|| {
        FieldError::new(
            "validation_min_greater_equal_than_required",
            format!("Must be no less than {least}."),
        )
        .with("threshold", least)
    })
}

/// Above `most`; zero is unset and passes.
pub(super) fn above(value: i64, most: i64) -> Option<FieldError> {
    (value != 0 && value > most).then(|| {
        FieldError::new(
            "validation_max_less_equal_than_required",
            format!("Must be no greater than {most}."),
        )
        .with("threshold", most)
    })
}

/// Outside `least..=most`; zero is unset and passes.
pub(super) fn outside(value: i64, least: i64, most: i64) -> Option<FieldError> {
    below(value, least).or_else(|| above(value, most))
}

/// Zero, or outside `least..=most`.
pub(super) fn required_within(value: i64, least: i64, most: i64) -> Option<FieldError> {
    if value == 0 {
        return Some(FieldError::required());
    }
    outside(value, least, most)
}

/// Empty text, or text whose length in letters is outside `min..=max`.
pub(super) fn required_length(text: &str, min: usize, max: usize) -> Option<FieldError> {
    if text.is_empty() {
        return Some(FieldError::required());
    }
    length(text, min, max)
}

/// Text whose length in letters is outside `min..=max`; empty passes.
pub(super) fn length(text: &str, min: usize, max: usize) -> Option<FieldError> {
    (!text.is_empty() && !(min..=max).contains(&text.chars().count()))
        .then(|| FieldError::length_out_of_range(min, max))
}

/// Text that is not `^\w+$`.
pub(super) fn word(text: &str) -> Option<FieldError> {
    (!crate::schema::index::is_word(text))
        .then(|| FieldError::new("validation_match_invalid", "Must be in a valid format."))
}

/// A name that would read as a back-relation.
pub(super) fn via(text: &str) -> Option<FieldError> {
    text.to_ascii_lowercase().contains("_via_").then(|| {
        FieldError::new(
            "validation_found_via",
            "The value cannot contain \"_via_\".",
        )
    })
}

/// Something where nothing may be.
pub(super) fn must_be_blank(is_blank: bool) -> Option<FieldError> {
    (!is_blank).then(|| FieldError::new("validation_empty", "Must be blank."))
}
