//! Headers that every answer but a preflight carries, unless its handler set them otherwise.

use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue};

const SECURITY: [(HeaderName, HeaderValue); 4] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::X_FRAME_OPTIONS,
        HeaderValue::from_static("SAMEORIGIN"),
    ),
    (
        header::X_XSS_PROTECTION,
        HeaderValue::from_static("1; mode=block"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// In an answer's extensions: leave `X-Frame-Options` out (served record files may be framed).
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Frameable;

/// Adds the security headers.
pub(super) fn secure(headers: &mut HeaderMap, frameable: bool) {
    for (name, value) in SECURITY {
        if !(frameable && name == header::X_FRAME_OPTIONS) {
            headers.insert(name, value);
        }
    }
}
