//! The whole way of a request: refusals first, then its handler, then headers and the log.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, Response, Uri, header};
use axum::response::IntoResponse;
use futures_util::FutureExt;
use tower_service::Service;

use super::headers::{self, Frameable};
use super::named::Names;
use super::{clean, cors, limits, log, packed, www};
use crate::app::App;
use crate::auth::{is_key, is_misplaced_key};
use crate::call::Call;
use crate::http::body;
use crate::http::error::Fault;
use crate::http::extract;
use crate::kit::limits::{BODY_BYTES_MAX, REQUESTS_AT_ONCE_MAX};
use crate::ops::Standing;

/// Answers one request that came from `peer`, over TLS when `secure`.
pub(in crate::http) async fn respond(
    app: &App,
    router: &mut Router,
    peer: IpAddr,
    secure: bool,
    request: Request,
) -> Response<Body> {
    if let Some(redirect) = www::redirect(
        &app.config.www_hosts,
        request.headers(),
        request.uri(),
        secure,
    ) {
        return redirect;
    }
    if let Some(redirect) = clean::redirect(request.method(), request.uri()) {
        return redirect;
    }
    let origins = &app.config.origins;
    if request.method() == Method::OPTIONS {
        return cors::preflight(origins, request.headers());
    }
    let allowed = cors::allowed_origin(origins, request.headers());
    let mut response = handled(app, router, peer, request).await;
    let frameable = response.extensions().get::<Frameable>().is_some();
    headers::secure(response.headers_mut(), frameable);
    cors::mark(response.headers_mut(), allowed);
    response
}

async fn handled(app: &App, router: &mut Router, peer: IpAddr, request: Request) -> Response<Body> {
    let started = Instant::now();
    let names = Names::of(request.headers());
    let Some(_place) = app.metrics.begin(REQUESTS_AT_ONCE_MAX) else {
        // Nothing more is looked at: that is the point of it.
        let mut response = Fault::busy().into_response();
        names.mark(response.headers_mut());
        return response;
    };
    let (mut parts, body) = request.into_parts();
    if let Some(uri) = spelt_plainly(&parts.uri) {
        parts.uri = uri;
    }
    if let Some(collection) = named(parts.uri.path()) {
        app.store.learn_of(collection).await;
    }
    let call = match extract::call(app, &parts, peer).await {
        Ok(call) => call,
        Err(error) => {
            body::discard(body).await;
            let mut response = Fault::from(error).into_response();
            names.mark(response.headers_mut());
            return response;
        }
    };
    let line = log::Line::begin(&parts, &call, started);
    let standing = limits::count(app, &call, &parts);
    let mut response = match refusal(app, &call, &parts, standing) {
        Some(fault) => {
            body::discard(body).await;
            fault.into_response()
        }
        None => {
            let accepted = parts.headers.get(header::ACCEPT_ENCODING).cloned();
            parts.extensions.insert(call);
            let response = routed(router, Request::from_parts(parts, body)).await;
            packed::pack(accepted, response).await
        }
    };
    names.mark(response.headers_mut());
    limits::mark(response.headers_mut(), standing);
    line.end(app, names, &response);
    response
}

/// The collection that a path names.
fn named(path: &str) -> Option<&str> {
    let below = ["/api/collections/", "/api/files/"]
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix));
    below.and_then(|rest| rest.split('/').next())
}

async fn routed(router: &mut Router, request: Request) -> Response<Body> {
    let handled = AssertUnwindSafe(router.call(request)).catch_unwind().await;
    match handled {
        Ok(Ok(mut response)) => {
            // There is no 405 in the contract, and so nothing to allow.
            response.headers_mut().remove(header::ALLOW);
            response
        }
        Ok(Err(never)) => match never {},
        // A panic is one request's misfortune: it ends here, with the answer that any internal failure gets.
        Err(panic) => Fault::internal(panic_text(&*panic)).into_response(),
    }
}

/// The URL with letters, digits and `-._~` of its path as themselves where they were escaped, so that each route and
/// each limit has one spelling; `None` when it is that already.
fn spelt_plainly(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let mut out = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let code = rest.get(at + 1..at + 3);
        let byte = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let plain =
            byte.filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
        out.push_str(&rest[..at]);
        match plain {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            None => {
                out.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    if out.is_empty() {
        return None;
    }
    out.push_str(rest);
    if let Some(query) = uri.query() {
        out.push('?');
        out.push_str(query);
    }
    out.parse().ok()
}

/// Whether a superuser comes from where settings allow none, or a key from where it is not good.
pub(in crate::http) fn is_misplaced(app: &App, call: &Call) -> bool {
    let settings = app.settings.current();
    (call.actor.is_above_rules() && !settings.admits_superuser(call.client_ip))
        || is_misplaced_key(call.actor.key(), call.client_ip)
}

/// Why a request goes no further, whatever its handler would say.
fn refusal(app: &App, call: &Call, parts: &Parts, standing: Standing) -> Option<Fault> {
    if is_misplaced(app, call) {
        return Some(Fault::forbidden().caused_by("superuser or key from an address not listed"));
    }
    // A bad token is a guest's by contract; a machine whose key has ended should not take a guest's view for its own.
    if call.actor.record().is_none() && is_key(extract::token(&parts.headers)) {
        return Some(Fault::unknown_key());
    }
    if let Some(count) = standing.0.filter(|_| !standing.is_admitted()) {
        app.metrics.limit();
        return Some(Fault::limited(count.reset_secs));
    }
    declared_too_large(parts).then(Fault::too_large)
}

/// Whether the declared length is past the limit of a path without a limit of its own.
fn declared_too_large(parts: &Parts) -> bool {
    let own_limit = |path: &str| {
        path == "/api/batch"
            || path == "/api/backups/upload"
            || (path.starts_with("/api/collections/")
                && (path.contains("/records") || path.ends_with("/import")))
    };
    extract::text(&parts.headers, header::CONTENT_LENGTH)
        .parse::<u64>()
        .is_ok_and(|length| length > BODY_BYTES_MAX)
        && !own_limit(parts.uri.path())
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_spelling() {
        for (given, expected) in [
            ("/api/us%65rs?a=%65", Some("/api/users?a=%65")),
            ("/a%2fb%2Ec", Some("/a%2fb.c")),
            ("/a%20b", Some("/a%20b")),
            ("/a%2", Some("/a%2")),
            ("/a?b=%41", None),
        ] {
            let plain = spelt_plainly(&given.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(plain.as_deref(), expected, "{given}");
        }
    }
}
