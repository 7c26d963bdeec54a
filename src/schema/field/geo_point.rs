//! `geoPoint`: casting and range (contract 3.15).

use super::column::GEO_ZERO;
use crate::kit::json::{self, Json};
use crate::kit::value::Value;
use crate::schema::error::FieldError;

/// Longitude and latitude of an object, or of its text; anything else is the zero point.
pub(super) fn cast(submitted: &Json) -> Value {
    let point = match submitted {
        Json::Object(_) => members(submitted),
        Json::String(text) => json::parse(text).ok().as_ref().and_then(members),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => None,
    };
    point.map_or(Value::text(GEO_ZERO), |(lon, lat)| {
        let (lon, lat) = (json::number_text(lon), json::number_text(lat));
        Value::text(format!(r#"{{"lon":{lon},"lat":{lat}}}"#))
    })
}

/// Longitude and latitude of a stored cell.
pub(super) fn read(text: &str) -> Option<(f64, f64)> {
    json::parse(text).ok().as_ref().and_then(members)
}

fn members(point: &Json) -> Option<(f64, f64)> {
    let map = point.as_object()?;
    let member = |key: &str| match map.get(key) {
        None | Some(Json::Null) => Some(0.0),
        Some(value) => value.as_f64(),
    };
    Some((member("lon")?, member("lat")?))
}

pub(super) fn validate(required: bool, value: &Value) -> Option<FieldError> {
    let (lon, lat) = read(value.text_or_empty()).unwrap_or((0.0, 0.0));
    if lon == 0.0 && lat == 0.0 {
        return required.then(FieldError::required);
    }
    if !(-90.0..=90.0).contains(&lat) {
        return Some(FieldError::new(
            "validation_invalid_latitude",
            "Latitude must be between -90 and 90 degrees.",
        ));
    }
    if !(-180.0..=180.0).contains(&lon) {
        return Some(FieldError::new(
            "validation_invalid_longitude",
            "Longitude must be between -180 and 180 degrees.",
        ));
    }
    None
}
