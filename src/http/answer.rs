//! How handlers answer when all went well. Every JSON answer passes here, so that `fields` works on each of them.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::error::Fault;
use crate::call::Call;
use crate::kit::fields::Picker;
use crate::kit::json::{self, Json};

/// What a handler gives.
pub type Answer = Result<Response<Body>, Fault>;

/// 200 with encoded JSON, narrowed by the call's `fields`.
///
/// # Errors
/// 400 when `fields` cannot be read.
pub fn json(call: &Call, encoded: impl Into<Bytes>) -> Answer {
    let encoded = encoded.into();
    let Some(picker) = picker(call)? else {
        return Ok(picked(encoded));
    };
    let mut value = json::parse_first(&encoded).map_err(Fault::internal)?;
    picker.pick(&mut value);
    Ok(picked(json::to_text(&value)))
}

/// What a call asks for by `fields`.
///
/// # Errors
/// 400 when it cannot be read.
pub(super) fn picker(call: &Call) -> Result<Option<Picker>, Fault> {
    match call.query("fields") {
        None | Some("") => Ok(None),
        Some(text) => Picker::parse(text).map_err(|error| Fault::bad_request().caused_by(error)),
    }
}

/// 200 with a value whose keys are in alphabetical order, narrowed by the call's `fields`.
///
/// # Errors
/// As [`json`].
pub fn value(call: &Call, value: &Json) -> Answer {
    json(call, json::to_text(value))
}

/// 200 with a value whose keys are in the order of its declaration, narrowed by the call's `fields`.
///
/// # Errors
/// As [`json`].
pub fn ordered(call: &Call, value: &impl Serialize) -> Answer {
    json(call, serde_json::to_vec(value).map_err(Fault::internal)?)
}

/// 200 with encoded JSON that was narrowed already.
pub fn picked(encoded: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(encoded.into()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// 204.
#[must_use]
pub fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
