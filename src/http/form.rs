//! A submitted form with known names: property names match in any case, types must fit (contract 1.3).

use super::error::Fault;
use crate::kit::json::{self, Json, JsonMap};

/// The submitted properties. Each accessor answers 400 when the value is of another type; absent and null are the zero value.
#[derive(Debug)]
pub struct Form {
    map: JsonMap,
    /// Whether values are all text, to be read as what is asked for.
    from_text: bool,
}

impl Form {
    pub(super) fn new(map: JsonMap, from_text: bool) -> Self {
        Self { map, from_text }
    }

    /// The value of a property as it came.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.map.get(name).or_else(|| {
            self.map
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        })
    }

    /// Everything as it came.
    #[must_use]
    pub fn into_map(self) -> JsonMap {
        self.map
    }

    /// A text.
    ///
    /// # Errors
    /// 400 for another type.
    pub fn text(&self, name: &str) -> Result<String, Fault> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(String::new()),
            Some(Json::String(text)) => Ok(text.clone()),
            Some(Json::Array(items)) if self.from_text => match items.first() {
                Some(Json::String(text)) => Ok(text.clone()),
                _ => Err(Fault::unreadable_form()),
            },
            Some(_) => Err(Fault::unreadable_form()),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 for another type or a fraction.
    pub fn int(&self, name: &str) -> Result<i64, Fault> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(0),
            Some(Json::Number(n)) => whole(n).ok_or_else(Fault::unreadable_form),
            Some(Json::String(text)) if self.from_text => {
                text.parse().map_err(|_| Fault::unreadable_form())
            }
            Some(_) => Err(Fault::unreadable_form()),
        }
    }

    /// A yes or no.
    ///
    /// # Errors
    /// 400 for another type.
    pub fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(false),
            Some(Json::Bool(flag)) => Ok(*flag),
            Some(Json::String(text)) if self.from_text => Ok(matches!(
                text.as_str(),
                "1" | "t" | "T" | "TRUE" | "true" | "True"
            )),
            Some(_) => Err(Fault::unreadable_form()),
        }
    }

    /// An object.
    ///
    /// # Errors
    /// 400 for another type.
    pub fn object(&self, name: &str) -> Result<JsonMap, Fault> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(JsonMap::new()),
            Some(Json::Object(map)) => Ok(map.clone()),
            Some(Json::String(text)) if self.from_text && text.is_empty() => Ok(JsonMap::new()),
            Some(Json::String(text)) if self.from_text => match json::parse(text) {
                Ok(Json::Object(map)) => Ok(map),
                _ => Err(Fault::unreadable_form()),
            },
            Some(_) => Err(Fault::unreadable_form()),
        }
    }

    /// A list of texts.
    ///
    /// # Errors
    /// 400 for another type.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Fault> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(Vec::new()),
            Some(Json::String(text)) if self.from_text => Ok(vec![text.clone()]),
            Some(Json::Array(items)) => items
                .iter()
                .map(|item| match item {
                    Json::String(text) => Ok(text.clone()),
                    _ => Err(Fault::unreadable_form()),
                })
                .collect(),
            Some(_) => Err(Fault::unreadable_form()),
        }
    }
}

/// A whole number, also one that was read as a float for its size.
fn whole(number: &serde_json::Number) -> Option<i64> {
    const PAST: f64 = 9_223_372_036_854_775_808.0;
    let float = || {
        number
            .as_f64()
            .filter(|n| n.fract() == 0.0 && n.abs() < PAST)
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole, and within the range of the type"
    )]
    number.as_i64().or_else(|| float().map(|n| n as i64))
}
