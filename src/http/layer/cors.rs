//! Which web pages may read our answers.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};

const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");

/// The `Access-Control-Allow-Origin` that a request from a page gets.
pub(in crate::http) fn allowed_origin(
    origins: &[String],
    request: &HeaderMap,
) -> Option<HeaderValue> {
    let origin = request.get(header::ORIGIN)?;
    if origins.iter().any(|allowed| allowed == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    let text = origin.to_str().ok()?;
    origins
        .iter()
        .any(|pattern| matches(pattern.as_bytes(), text.as_bytes()))
        .then(|| origin.clone())
}

/// Adds what every answer carries.
pub(super) fn mark(headers: &mut HeaderMap, allowed: Option<HeaderValue>) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

/// The answer to a preflight: always 204, with permissions only for allowed origins.
pub(super) fn preflight(origins: &[String], request: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let allowed = allowed_origin(origins, request);
    let known = allowed.is_some();
    mark(headers, allowed);
    if known {
        for name in [
            "Access-Control-Request-Method",
            "Access-Control-Request-Headers",
        ] {
            headers.append(header::VARY, HeaderValue::from_static(name));
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        if let Some(wanted) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
    }
    response
}

/// Whether `text` is what `pattern` describes: `*` any run of characters, `?` exactly one. Linear but for one way back.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else {
                    return false;
                };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_whole_origins_only() {
        for (pattern, origin, expected) in [
            ("https://*.example.com", "https://app.example.com", true),
            (
                "https://*.example.com",
                "https://app.example.com.evil.com",
                false,
            ),
            ("https://app.example.com", "https://app.example.com", true),
            (
                "https://app.example.com",
                "https://app.example.com:8080",
                false,
            ),
            ("https://app?.example.com", "https://app1.example.com", true),
            ("https://app?.example.com", "https://app.example.com", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), origin.as_bytes()),
                expected,
                "{pattern} {origin}"
            );
        }
    }
}
