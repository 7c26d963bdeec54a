//! What no route takes: files of the public directory for GET and HEAD, 404 for everything else.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};

use super::answer::Answer;
use super::error::Fault;
use super::files;
use crate::app::App;
use crate::files::public::{self, Found};

/// The browser asks each time whether its copy is still good (304): a new version of an app is seen at once.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
/// What is named after its content is never another: a year, as long as caches care.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Answers a request that no route takes.
pub(super) async fn fallback(
    State(app): State<App>,
    method: Method,
    uri: Uri,
    asked: HeaderMap,
) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        return Err(Fault::not_found());
    }
    let missing = || Fault::not_found().with_message("File not found.");
    let Some(root) = app.config.public_dir.clone() else {
        return Err(missing());
    };
    let path = uri.path().to_owned();
    let fallback = app.config.index_fallback;
    let found = tokio::task::spawn_blocking(move || public::find(&root, &path, fallback))
        .await
        .map_err(Fault::internal)?
        .map_err(|error| missing().caused_by(error))?;
    match found {
        Found::Missing => Err(missing()),
        Found::Moved(path) => moved(&path, uri.query()).ok_or_else(missing),
        Found::File(blob) => {
            let mut response = Response::new(Body::empty());
            let headers = response.headers_mut();
            let immutable = public::is_named_after_content(uri.path()) && !is_page(&blob.mime);
            let cached = if immutable { IMMUTABLE } else { REVALIDATE };
            headers.insert(header::CACHE_CONTROL, cached);
            if let Ok(mime) = HeaderValue::from_str(&blob.mime) {
                headers.insert(header::CONTENT_TYPE, mime);
            }
            files::deliver(&asked, response, blob).await
        }
    }
}

/// 301 to the canonical path. It begins with exactly one slash: two would name another host.
fn moved(path: &str, query: Option<&str>) -> Option<Response<Body>> {
    let path = path.trim_start_matches('/');
    let location = match query {
        Some(query) => format!("/{path}?{query}"),
        None => format!("/{path}"),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response
        .headers_mut()
        .insert(header::LOCATION, HeaderValue::try_from(location).ok()?);
    Some(response)
}

/// A page may be the fallback, and so stand for any path.
fn is_page(mime: &str) -> bool {
    mime.starts_with("text/html")
}
