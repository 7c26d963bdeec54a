//! `/_/`: the dashboard, a single page that was built into the program. Without it the program says how to build it.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::{LazyLock, OnceLock};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::Embed;

use super::answer::Answer;
use super::error::Fault;
use super::extract::{At, text};
use crate::files::public::mime_of;

const ROOT: &str = "index.html";
/// Scripts and styles come from the program only, and nobody may frame it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
     media-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);
const MAX_AGE: HeaderValue =
    HeaderValue::from_static("max-age=1209600, stale-while-revalidate=86400");
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Burrow</title>\
<body style=\"font: 16px/1.5 system-ui; max-width: 40em; margin: 4em auto\"><h1>The dashboard was not built</h1>\
<p>This program was compiled without its dashboard. Run <code>make run</code>, or build it with \
<code>npm ci &amp;&amp; npm run build</code> in <code>admin-ui</code> and compile again. The API works without it.</p>";

#[derive(Embed)]
#[folder = "admin-ui/dist/"]
#[allow_missing = true]
struct Dist;

/// A file of the dashboard; the packed form is made when it is first asked for.
struct Asset {
    plain: Bytes,
    gzip: OnceLock<Option<Bytes>>,
    tag: String,
    mime: &'static str,
}

static ASSETS: LazyLock<HashMap<String, Asset>> = LazyLock::new(|| {
    Dist::iter()
        .filter_map(|name| {
            let file = Dist::get(&name)?;
            let hash = file.metadata.sha256_hash();
            let tag: String = hash[..8].iter().map(|b| format!("{b:02x}")).collect();
            let asset = Asset {
                plain: Bytes::from(file.data.into_owned()),
                gzip: OnceLock::new(),
                tag: format!("\"{tag}\""),
                mime: mime_of(Path::new(name.as_ref())),
            };
            Some((name.into_owned(), asset))
        })
        .collect()
});

/// `GET /_`
pub(super) async fn redirect() -> Answer {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response
        .headers_mut()
        .insert(header::LOCATION, HeaderValue::from_static("/_/"));
    Ok(response)
}

/// `GET /_/`
pub(super) async fn root(asked: HeaderMap) -> Answer {
    match ASSETS.get(ROOT) {
        Some(asset) => Ok(asset.answer(&asked, REVALIDATE)),
        None => {
            let mut response = Response::new(Body::from(NOT_BUILT));
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, html);
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, REVALIDATE);
            Ok(response)
        }
    }
}

/// `GET /_/{file}`
pub(super) async fn file(At(name): At<String>, asked: HeaderMap) -> Answer {
    let asset = ASSETS
        .get(&name)
        .ok_or_else(|| Fault::not_found().with_message("File not found."))?;
    let cache = if name == ROOT { REVALIDATE } else { MAX_AGE };
    Ok(asset.answer(&asked, cache))
}

/// `GET /_/extensions.js`: what extends the dashboard; nothing does yet.
pub(super) async fn extensions() -> Answer {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    let script = HeaderValue::from_static("text/javascript; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, script);
    headers.insert(header::CACHE_CONTROL, REVALIDATE);
    Ok(response)
}

impl Asset {
    fn answer(&self, asked: &HeaderMap, cache: HeaderValue) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.mime));
        headers.insert(header::CACHE_CONTROL, cache);
        headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(
            HeaderName::from_static("referrer-policy"),
            HeaderValue::from_static("no-referrer"),
        );
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            headers.insert(header::ETAG, tag);
        }
        let known = text(asked, header::IF_NONE_MATCH);
        if known.split(',').any(|tag| tag.trim() == self.tag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let gzip = text(asked, header::ACCEPT_ENCODING).contains("gzip");
        let packed = if gzip { self.packed() } else { None };
        let body = match packed {
            Some(packed) => {
                let gzip = HeaderValue::from_static("gzip");
                response
                    .headers_mut()
                    .insert(header::CONTENT_ENCODING, gzip);
                packed
            }
            None => &self.plain,
        };
        *response.body_mut() = Body::from(body.clone());
        response
    }

    /// The packed form, where it is smaller.
    fn packed(&self) -> Option<&Bytes> {
        self.gzip
            .get_or_init(|| {
                let mut packer = GzEncoder::new(Vec::new(), Compression::default());
                packer.write_all(&self.plain).ok()?;
                let packed = packer.finish().ok()?;
                (packed.len() < self.plain.len()).then(|| Bytes::from(packed))
            })
            .as_ref()
    }
}
