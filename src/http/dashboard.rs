//! `/_/`: the dashboard, a single page that was built into the program. Without it the program says how to build it.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::{LazyLock, OnceLock};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::Embed;

use super::answer::Answer;
use super::error::Fault;
use super::extract::{At, text};
use crate::app::App;
use crate::files::public::mime_of;
use crate::kit::id;

const ROOT: &str = "index.html";
const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
/// What the page may do, around the word that its scripts carry and the origin that maps may come from. Only they, and what they load, run: not a
/// file that somebody has uploaded to the same origin. Browsers that know `strict-dynamic` skip `'self'`. Nobody may
/// frame the page.
const POLICY: [&str; 3] = [
    "default-src 'none'; script-src 'self' 'strict-dynamic' 'nonce-",
    "'; style-src 'self'; img-src 'self' data: blob:",
    "; font-src 'self'; media-src 'self'; connect-src 'self'; \
     frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
];
/// What the other files may do: nothing, should anybody open one as a page.
const FILE_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Every answer has a word of its own, so none is kept.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
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
pub(super) async fn root(State(app): State<App>) -> Answer {
    let text = ASSETS.get(ROOT).map_or(NOT_BUILT.into(), |asset| {
        String::from_utf8_lossy(&asset.plain)
    });
    let tiles = app.settings.current().maps.origin();
    Ok(page(&text, tiles.as_deref()))
}

fn page(text: &str, tiles: Option<&str>) -> Response<Body> {
    let nonce = id::random(24, id::ALNUM);
    let mut html = text.to_owned();
    for tag in ["<script", "<link rel=\"modulepreload\""] {
        html = html.replace(tag, &format!("{tag} nonce=\"{nonce}\""));
    }
    let mut response = Response::new(Body::from(html));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    let [before, between, after] = POLICY;
    let tiles = tiles.map_or(String::new(), |origin| format!(" {origin}"));
    let policy = format!("{before}{nonce}{between}{tiles}{after}");
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// `GET /_/{file}`
pub(super) async fn file(state: State<App>, At(name): At<String>, asked: HeaderMap) -> Answer {
    if name == ROOT {
        return root(state).await;
    }
    let asset = ASSETS
        .get(&name)
        .ok_or_else(|| Fault::not_found().with_message("File not found."))?;
    Ok(asset.answer(&asked))
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
    fn answer(&self, asked: &HeaderMap) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.mime));
        headers.insert(header::CACHE_CONTROL, MAX_AGE);
        headers.insert(header::CONTENT_SECURITY_POLICY, FILE_POLICY);
        headers.insert(REFERRER_POLICY, NO_REFERRER);
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
