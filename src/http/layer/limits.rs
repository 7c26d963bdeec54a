//! Which limit a request falls under: the path's, or the action's on a collection (contract-auth 6.4); and what the
//! answer says of it.

use axum::http::header::HeaderName;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};

use crate::app::App;
use crate::call::Call;
use crate::ops::Standing;

/// Where the caller stands with this request counted.
pub(super) fn count(app: &App, call: &Call, parts: &Parts) -> Standing {
    if !app.limiter.binds(call) {
        return Standing::default();
    }
    let path = parts.uri.path();
    let Some((collection, actions)) = action(&parts.method, path) else {
        return app.limiter.count_path(call, path);
    };
    let catalog = app.store.catalog();
    // An unknown collection is refused by its handler.
    catalog
        .find(collection)
        .map_or_else(Standing::default, |collection| {
            // Writes to a view are refused as such, and count for nothing.
            let is_refused =
                collection.is_view() && matches!(actions, ["create" | "update" | "delete"]);
            if is_refused {
                return Standing::default();
            }
            app.limiter.count_action(call, collection, actions, path)
        })
}

/// Says how many requests there are to a window, how many are left, and when the next one begins.
pub(super) fn mark(headers: &mut HeaderMap, standing: Standing) {
    let Some(count) = standing.0 else { return };
    for (name, value) in [
        ("ratelimit-limit", count.limit),
        ("ratelimit-remaining", count.left.max(0)),
        ("ratelimit-reset", count.reset_secs.max(0)),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
}

/// The collection that a path names and the actions that the request is on it.
fn action<'p>(method: &Method, path: &'p str) -> Option<(&'p str, &'static [&'static str])> {
    if let Some(rest) = path.strip_prefix("/api/files/") {
        let mut segments = rest.split('/');
        let collection = segments.next()?;
        let is_download = matches!(method.as_str(), "GET" | "HEAD") && segments.count() == 2;
        return is_download.then_some((collection, &["file"]));
    }
    let rest = path.strip_prefix("/api/collections/")?;
    let (collection, below) = rest.split_once('/')?;
    let actions: &[&str] = match (method.as_str(), below) {
        ("GET" | "HEAD", "records") => &["list"],
        ("POST", "records" | "direct-upload") => &["create"],
        ("GET" | "HEAD", "auth-methods") => &["listAuthMethods"],
        ("POST", "auth-refresh" | "end-other-sessions") => &["authRefresh"],
        ("POST", "auth-with-password") => &["authWithPassword", "auth"],
        ("POST", "auth-with-oauth2") => &["authWithOAuth2", "auth"],
        ("POST", "auth-with-otp") => &["authWithOTP", "auth"],
        ("POST", "auth-with-passkey") => &["authWithPasskey", "auth"],
        ("POST", "auth-with-totp") => &["authWithTOTP", "auth"],
        ("POST", "request-otp") => &["requestOTP"],
        ("POST", "request-password-reset") => &["requestPasswordReset"],
        ("POST", "confirm-password-reset") => &["confirmPasswordReset"],
        ("POST", "request-verification") => &["requestVerification"],
        ("POST", "confirm-verification") => &["confirmVerification"],
        ("POST", "request-email-change") => &["requestEmailChange"],
        ("POST", "confirm-email-change") => &["confirmEmailChange"],
        (method, below) => record_action(method, below)?,
    };
    Some((collection, actions))
}

fn record_action(method: &str, below: &str) -> Option<&'static [&'static str]> {
    let id = below.strip_prefix("records/")?;
    if id.is_empty() || id.contains('/') {
        return None;
    }
    match method {
        "GET" | "HEAD" => Some(&["view"]),
        "PATCH" => Some(&["update"]),
        "DELETE" => Some(&["delete"]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_collections_are_actions() {
        for (method, path, expected) in [
            (
                Method::GET,
                "/api/collections/a/records",
                Some(("a", "list")),
            ),
            (
                Method::HEAD,
                "/api/collections/a/records/x",
                Some(("a", "view")),
            ),
            (
                Method::POST,
                "/api/collections/a/auth-with-otp",
                Some(("a", "authWithOTP")),
            ),
            (Method::GET, "/api/files/a/b/c.png", Some(("a", "file"))),
            (Method::PUT, "/api/files/a/b/c.png", None),
            (Method::POST, "/api/files/token", None),
            (Method::GET, "/api/collections/a", None),
            (Method::GET, "/api/health", None),
        ] {
            let found = action(&method, path).map(|(c, actions)| (c, actions[0]));
            assert_eq!(found, expected, "{method} {path}");
        }
    }
}
