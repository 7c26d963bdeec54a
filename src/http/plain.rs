//! The plain door of a server that speaks HTTPS: an authority's challenges, and the way to the other door.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};

use crate::certs::Shelf;

/// Where an authority looks for what proves a name (RFC 8555, 8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// Answers one request; the secure door is at `port`.
pub(super) fn answer(shelf: &Shelf, port: u16, headers: &HeaderMap, uri: &Uri) -> Response<Body> {
    let answer = match uri.path().strip_prefix(CHALLENGES) {
        Some(token) => shelf.answer(token).map(challenge),
        None => redirect(port, headers, uri),
    };
    answer.unwrap_or_else(|| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    })
}

fn challenge(answer: String) -> Response<Body> {
    let mut response = Response::new(Body::from(answer));
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// 307, so that a POST stays one. Who names no host cannot be sent anywhere.
fn redirect(port: u16, headers: &HeaderMap, uri: &Uri) -> Option<Response<Body>> {
    let asked = headers.get(header::HOST)?.to_str().ok()?;
    let host = match asked.rsplit_once(':') {
        Some((host, given)) if given.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => asked,
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let location = if port == 443 {
        format!("https://{host}{path}")
    } else {
        format!("https://{host}:{port}{path}")
    };
    // Only a host may have come: what would make it anything else is not sent back.
    let url = url::Url::parse(&location).ok()?;
    if !url.username().is_empty() || url.host_str()?.is_empty() {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::try_from(location).ok()?);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Some(response)
}
