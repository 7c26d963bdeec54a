//! Paths with empty segments, `.` or `..` are sent to what they mean, as PocketBase's router does it.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri, header};

/// Where a request with such a path is sent.
pub(super) fn redirect(method: &Method, uri: &Uri) -> Option<Response<Body>> {
    let path = cleaned(uri.path())?;
    // It begins with exactly one slash, so that it stays on this host.
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let value = HeaderValue::from_str(&target).ok()?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    if matches!(*method, Method::GET | Method::HEAD) {
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
    }
    response.headers_mut().insert(header::LOCATION, value);
    Some(response)
}

/// The path without empty segments, `.` and `..`; `None` when it is that already.
fn cleaned(path: &str) -> Option<String> {
    let rest = path.strip_prefix('/')?;
    let odd = |segment: &str| matches!(segment, "." | "..");
    let is_plain = !path.contains("//") && !rest.split('/').any(odd);
    if is_plain {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in rest.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let mut out = format!("/{}", kept.join("/"));
    if path.ends_with('/') && out.len() > 1 {
        out.push('/');
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_stay_on_this_host() {
        for (path, expected) in [
            ("/api/health", None),
            ("/", None),
            ("/_/", None),
            ("/a..b/.c", None),
            ("//api/health", Some("/api/health")),
            ("//evil.com/x/", Some("/evil.com/x/")),
            ("/api/../../x", Some("/x")),
            ("/a/./b//", Some("/a/b/")),
            ("///", Some("/")),
            ("/a/..", Some("/")),
        ] {
            assert_eq!(cleaned(path).as_deref(), expected, "{path}");
        }
    }
}
