//! From a request's head to a [`Call`]: who asks, when, from where. The only reader of headers for services.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use compact_str::CompactString;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::error::Fault;
use crate::app::App;
use crate::auth;
use crate::call::{Actor, Call, Context};
use crate::kit::json::JsonMap;
use crate::kit::limits::FORM_PAIRS_MAX;
use crate::kit::time::Timestamp;
use crate::store::StoreError;

/// Builds the call of a request that came from `peer`; the body is not read yet.
///
/// # Errors
/// When nobody can tell now who asks: that is not the same as nobody asking.
pub(super) async fn call(app: &App, parts: &Parts, peer: IpAddr) -> Result<Call, StoreError> {
    let now = app.clock.now();
    let remote_ip = peer.to_canonical();
    Ok(Call {
        actor: actor(app, &parts.headers, now).await?,
        now,
        context: Context::Default,
        method: parts.method.as_str().into(),
        query: Arc::new(first_values(parts.uri.query().unwrap_or(""))),
        headers: Arc::new(snake_headers(&parts.headers)),
        channel: CompactString::const_new(""),
        body: Arc::new(JsonMap::new()),
        client_ip: client_ip(app, &parts.headers, remote_ip),
        remote_ip,
        user_agent: text(&parts.headers, header::USER_AGENT).into(),
    })
}

/// The owner of the request's token; a missing, expired or revoked one is a guest's (contract-auth 0.3).
async fn actor(app: &App, headers: &HeaderMap, now: Timestamp) -> Result<Actor, StoreError> {
    match app.auth.resolve(token(headers), now).await {
        Err(error) if error.is_passing() => Err(error),
        // The token itself is never an error.
        resolved => Ok(resolved.unwrap_or_default()),
    }
}

/// The caller's address: what the first configured proxy header that is present says, else the other end's. A proxy
/// adds to the right, so that what stands leftmost is the client's own claim.
fn client_ip(app: &App, headers: &HeaderMap, remote: IpAddr) -> IpAddr {
    let settings = app.settings.current();
    let proxy = &settings.trusted_proxy;
    if !settings.trusts(remote) {
        return remote;
    }
    for name in &proxy.headers {
        let last = headers.get_all(name.as_str()).iter().next_back();
        let Some(list) = last.and_then(|value| value.to_str().ok()) else {
            continue;
        };
        let mut addresses = list.split(',').filter_map(|ip| ip.trim().parse().ok());
        let chosen: Option<IpAddr> = if proxy.use_leftmost_ip {
            addresses.next()
        } else {
            addresses.next_back()
        };
        if let Some(ip) = chosen {
            return ip.to_canonical();
        }
    }
    remote
}

/// The token of the `Authorization` header: as it is, or after exactly `Bearer ` in any case.
pub(super) fn token(headers: &HeaderMap) -> &str {
    let value = text(headers, header::AUTHORIZATION);
    match value.split_at_checked(7) {
        Some((scheme, rest)) if !rest.is_empty() && scheme.eq_ignore_ascii_case("bearer ") => rest,
        _ => value,
    }
}

/// The first value of a header as text, `""` when there is none or it is not text.
pub(super) fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
}

fn snake_headers(headers: &HeaderMap) -> Vec<(CompactString, CompactString)> {
    headers
        .keys()
        .filter_map(|name| {
            let value = std::str::from_utf8(headers.get(name)?.as_bytes()).ok()?;
            Some((
                name.as_str()
                    .bytes()
                    .map(|b| char::from(if b == b'-' { b'_' } else { b }))
                    .collect(),
                CompactString::from(value),
            ))
        })
        .collect()
}

/// The pairs of a query string or form body. A pair with a bad escape or a semicolon is left out, as the contract's
/// parser does.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (CompactString, CompactString)> + '_ {
    text.split('&')
        .filter(|pair| !pair.is_empty() && !pair.contains(';'))
        .take(FORM_PAIRS_MAX)
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((unescape(name)?, unescape(value)?))
        })
}

/// A segment of a path, decoded; `None` when an escape is broken.
pub(super) fn unescape_path(text: &str) -> Option<CompactString> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into())
}

fn unescape(text: &str) -> Option<CompactString> {
    if !text.contains(['%', '+']) {
        return Some(CompactString::from(text));
    }
    let bytes = text.as_bytes();
    let whole_escapes = bytes.iter().enumerate().all(|(at, &byte)| {
        byte != b'%'
            || bytes
                .get(at + 1..at + 3)
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if !whole_escapes {
        return None;
    }
    let spaced = text.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8_lossy().into())
}

/// The first value of each name of a query string.
pub(super) fn first_values(query: &str) -> Vec<(CompactString, CompactString)> {
    let mut values: Vec<(CompactString, CompactString)> = Vec::new();
    for (name, value) in pairs(query) {
        // Query strings are short: a scan is cheaper than a map, and FORM_PAIRS_MAX bounds it.
        if !values.iter().any(|(known, _)| *known == name) {
            values.push((name, value));
        }
    }
    values
}

impl FromRequestParts<App> for Call {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Fault> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Fault::internal("a request without its call"))
    }
}

/// A call by a superuser; anybody else is answered 401 or 403.
#[derive(Debug)]
pub struct Superuser(pub Call);

impl FromRequestParts<App> for Superuser {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let call = Call::from_request_parts(parts, app).await?;
        if call.actor.is_superuser() {
            return Ok(Self(call));
        }
        Err(match call.actor {
            Actor::Guest => Fault::auth_required(),
            Actor::Auth(_) => Fault::forbidden()
                .with_message("The authorized record is not allowed to perform this action."),
        })
    }
}

/// A superuser who signed in: for what would make a key as good as its owner for ever. Keys are answered 403.
#[derive(Debug)]
pub struct InPerson(pub Call);

impl FromRequestParts<App> for InPerson {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let Superuser(call) = Superuser::from_request_parts(parts, app).await?;
        if call.actor.key().is_some() {
            return Err(Fault::forbidden().with_message(auth::Error::NoSession.to_string()));
        }
        Ok(Self(call))
    }
}

/// The parameters of the path, decoded; what cannot be decoded is not found.
#[derive(Debug)]
pub struct At<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for At<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        // PostgreSQL knows no such letter, and so nothing of that name.
        if !app.store.is_embedded() && parts.uri.path().contains("%00") {
            return Err(Fault::not_found());
        }
        let Path(path) = Path::<T>::from_request_parts(parts, app)
            .await
            .map_err(|rejection| Fault::not_found().caused_by(rejection))?;
        Ok(Self(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_dropped_only_with_exactly_one_space() {
        for (value, expected) in [
            ("abc", "abc"),
            ("Bearer abc", "abc"),
            ("bEARER abc", "abc"),
            ("Bearer  abc", " abc"),
            ("Basic abc", "Basic abc"),
            ("Bearer ", "Bearer "),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(token(&headers), expected, "{value}");
        }
    }

    #[test]
    fn the_first_value_of_a_query_name_counts_and_bad_pairs_are_left_out() {
        let values = first_values("a=1&a=2&b=%zz&c=x+y%21&d;e=1&&f");
        let flat: Vec<_> = values
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(flat, [("a", "1"), ("c", "x y!"), ("f", "")]);
    }
}
