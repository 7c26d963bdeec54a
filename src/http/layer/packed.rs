//! Answers that are worth it leave compressed (RFC 9110 8.4): texts of the public directory and large JSON, with brotli or
//! gzip, as the client prefers. Files of records stay as they are: they are asked for in ranges. So do streams of events.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use tower_http::CompressionLevel;
use tower_http::compression::Compression;
use tower_service::Service;

use crate::kit::limits::{PACKED_JSON_BYTES_MIN, PACKED_TEXT_BYTES_MIN};

/// Of 11 (brotli) or 9 (gzip): most of what there is to gain, for a few milliseconds a megabyte.
const QUALITY: CompressionLevel = CompressionLevel::Precise(4);
/// Types besides `text/*` that shrink.
const TEXTS: [&str; 6] = [
    "application/javascript",
    "application/manifest+json",
    "application/wasm",
    "application/xml",
    "font/ttf",
    "image/svg+xml",
];

/// The answer to a client that sent this `Accept-Encoding`, compressed where that is worth it.
pub(super) async fn pack(
    accepted: Option<HeaderValue>,
    response: Response<Body>,
) -> Response<Body> {
    if !is_worth_it(&response) {
        return response;
    }
    let mut request = Request::new(());
    if let Some(accepted) = accepted {
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT_ENCODING, accepted);
    }
    let anything = |_: StatusCode, _: _, _: &HeaderMap, _: &_| true;
    let mut packing = Compression::new(Answered(Some(response)))
        .quality(QUALITY)
        .compress_when(anything);
    match packing.call(request).await {
        Ok(packed) => packed.map(Body::new),
        Err(never) => match never {},
    }
}

fn is_worth_it(response: &Response<Body>) -> bool {
    let headers = response.headers();
    if response.status() != StatusCode::OK
        || headers.contains_key(header::CONTENT_ENCODING)
        || headers.contains_key(header::CONTENT_DISPOSITION)
    {
        return false;
    }
    let mime = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let mime = mime.split(';').next().unwrap_or("").trim();
    let least = if mime == "application/json" {
        PACKED_JSON_BYTES_MIN
    } else if mime.starts_with("text/") || TEXTS.contains(&mime) {
        PACKED_TEXT_BYTES_MIN
    } else {
        return false;
    };
    // Without a length it is a stream; an answer to HEAD has no body that could shrink.
    let length = response.body().size_hint().exact().or_else(|| {
        let declared = headers.get(header::CONTENT_LENGTH)?;
        declared.to_str().ok()?.parse().ok()
    });
    !response.body().is_end_stream() && length.is_some_and(|length| length >= least)
}

/// Something that has its answer already.
struct Answered(Option<Response<Body>>);

impl Service<Request<()>> for Answered {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(self.0.take().unwrap_or_default()))
    }
}
