//! `www.` twins of our own hosts lead to the host without it; no other host redirects.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};

/// The redirect of a request to the `www.` twin of one of `hosts`.
pub(super) fn redirect(
    hosts: &[String],
    headers: &HeaderMap,
    uri: &Uri,
    secure: bool,
) -> Option<Response<Body>> {
    if hosts.is_empty() {
        return None;
    }
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let bare = host.strip_prefix("www.")?;
    let known = hosts.iter().find(|known| *known == bare)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let scheme = if secure { "https" } else { "http" };
    let location = HeaderValue::try_from(format!("{scheme}://{known}{path}")).ok()?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(header::LOCATION, location);
    Some(response)
}
