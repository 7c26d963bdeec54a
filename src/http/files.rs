//! `/api/files`: stored files and their thumbs, and tokens for the protected ones.

use std::io;
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use futures_util::stream;
use tokio::io::AsyncReadExt as _;

use super::answer::{self, Answer};
use super::error::Fault;
use super::extract::{At, text};
use super::layer::{self, Frameable};
use crate::app::App;
use crate::auth;
use crate::bucket::BucketError;
use crate::call::{Actor, Call};
use crate::files::thumb::Size;
use crate::files::{Blob, Content, Key, Want};
use crate::kit::json::Json;
use crate::kit::limits::FILE_CHUNK_BYTES;
use crate::records::Download;

/// The thumb format that every image has.
const THUMB_ALWAYS: &str = "100x100";
const MAX_AGE: &str = "max-age=2592000, stale-while-revalidate=86400";
/// What a rule decided is not for caches that others share.
const MAX_AGE_PRIVATE: &str = "private, max-age=2592000, stale-while-revalidate=86400";
const POLICY: &str = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox";

/// Types that browsers may show; everything else is saved.
const INLINE: &[&str] = &[
    "image/png",
    "image/jpg",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/x-icon",
    "image/bmp",
    "video/webm",
    "video/mp4",
    "video/3gpp",
    "video/quicktime",
    "video/x-ms-wmv",
    "audio/basic",
    "audio/aiff",
    "audio/mpeg",
    "audio/midi",
    "audio/mp3",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-mpeg",
    "audio/x-m4a",
    "audio/aac",
    "application/pdf",
];

/// Types that the name decides, since their content looks like text or ZIP.
const BY_EXTENSION: &[(&str, &str)] = &[
    (".svg", "image/svg+xml"),
    (".css", "text/css"),
    (".js", "text/javascript"),
    (".mjs", "text/javascript"),
    (
        ".xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    (
        ".docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    (
        ".pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
];

/// `POST /api/files/token`
pub(super) async fn token(call: Call) -> Answer {
    let Actor::Auth(identity) = &call.actor else {
        return Err(Fault::auth_required());
    };
    let token = auth::file_token(identity, call.now).ok_or_else(Fault::bad_request)?;
    answer::value(&call, &serde_json::json!({ "token": Json::from(token) }))
}

/// `GET /api/files/{collection}/{record}/{name}`
pub(super) async fn download(
    State(app): State<App>,
    call: Call,
    At((collection, record, name)): At<(String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let call = Call {
        actor: bearer(&app, &call).await?,
        ..call
    };
    let download = app.records.download(&call, &collection, &record, &name)?;
    if let Some(wish) = Direct::of(&call)?
        && let Some(answer) = direct(&app, &call, &download, &name, wish).await?
    {
        return Ok(answer);
    }
    let want = want(&method, &headers);
    let (blob, name) = open(&app, &call, &download, name, want).await?;
    serve(&call, &headers, &download, blob, &name).await
}

/// How somebody wants to read a file past this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direct {
    /// By being sent there.
    Redirect,
    /// By an address in the answer.
    Url,
}

impl Direct {
    fn of(call: &Call) -> Result<Option<Self>, Fault> {
        match call.query("direct").unwrap_or("") {
            "" => Ok(None),
            "redirect" => Ok(Some(Self::Redirect)),
            "url" => Ok(Some(Self::Url)),
            _ => Err(Fault::bad_request().with_message("direct is \"redirect\" or \"url\".")),
        }
    }
}

/// The answer that leads to the bucket; `None` for a file that is not in one, which is served as ever.
async fn direct(
    app: &App,
    call: &Call,
    download: &Download,
    name: &str,
    wish: Direct,
) -> Result<Option<Response<Body>>, Fault> {
    let shown = thumb(app, call, download).await;
    let (key, name) = match &shown {
        Some((key, format, _)) => (key, format!("{format}_{name}")),
        None => (&download.key, name.to_owned()),
    };
    let save = call.query("download").is_some_and(is_true);
    let shared = app.files.share(key, |mime| {
        let mime = mime_of(&name, mime);
        (disposition(&mime, &name, save), mime)
    });
    match (shared.await.map_err(Fault::storage)?, wish) {
        (None, Direct::Redirect) => Ok(None),
        (None, Direct::Url) => {
            Err(Fault::bad_request().with_message("The file is not in a bucket."))
        }
        (Some(shared), Direct::Url) => {
            let answer = serde_json::json!({ "url": shared.url, "expires": shared.expires });
            Ok(Some(answer::value(call, &answer)?))
        }
        (Some(shared), Direct::Redirect) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::FOUND;
            let headers = response.headers_mut();
            set(headers, header::LOCATION, &shared.url);
            // The address is good for whoever has it, and not for long.
            set(headers, header::CACHE_CONTROL, "private, no-store");
            Ok(Some(response))
        }
    }
}

/// The thumb that is asked for, made if need be, with its format; `None` where there can be none.
async fn thumb(app: &App, call: &Call, download: &Download) -> Option<(Key, String, Blob)> {
    let format = call.query("thumb").unwrap_or("");
    let known = format == THUMB_ALWAYS || download.thumbs.iter().any(|thumb| thumb == format);
    let size = Size::parse(format).filter(|_| known)?;
    let blob = app.files.open_thumb(&download.key, format, size).await?;
    Some((download.key.thumb(format)?, format.to_owned(), blob))
}

/// How much of a file a request is about. What is in a bucket need not be sent for when only its date counts.
pub(super) fn want(method: &Method, asked: &HeaderMap) -> Want {
    let conditions = [
        header::RANGE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
    ];
    if method == Method::GET && !conditions.iter().any(|name| asked.contains_key(name)) {
        Want::Content
    } else {
        Want::Facts
    }
}

/// Who asks for a protected file: the owner of the token in the query, never of the header (contract 6.4).
pub(super) async fn bearer(app: &App, call: &Call) -> Result<Actor, Fault> {
    let token = call.query("token").unwrap_or("");
    let actor = app.auth.resolve_file(token, call.now).await?;
    let bearer = Call {
        actor,
        ..call.clone()
    };
    if layer::is_misplaced(app, &bearer) {
        return Ok(Actor::Guest);
    }
    Ok(bearer.actor)
}

/// The thumb, where one is asked for and can be had, else the file; with the name to save it under.
async fn open(
    app: &App,
    call: &Call,
    download: &Download,
    name: String,
    want: Want,
) -> Result<(Blob, String), Fault> {
    if let Some((_, format, blob)) = thumb(app, call, download).await {
        return Ok((blob, format!("{format}_{name}")));
    }
    let blob = app.files.open(&download.key, want).await;
    blob.map(|blob| (blob, name))
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Fault::not_found().caused_by(error),
            _ if error
                .get_ref()
                .is_some_and(|cause| cause.is::<BucketError>()) =>
            {
                Fault::storage(error)
            }
            _ => Fault::internal(error),
        })
}

async fn serve(
    call: &Call,
    asked: &HeaderMap,
    download: &Download,
    blob: Blob,
    name: &str,
) -> Answer {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Frameable);
    let mime = mime_of(name, &blob.mime);
    let headers = response.headers_mut();
    let wanted = call.query("download").is_some_and(is_true);
    set(
        headers,
        header::CONTENT_DISPOSITION,
        &disposition(&mime, name, wanted),
    );
    set(headers, header::CONTENT_SECURITY_POLICY, POLICY);
    set(headers, header::CONTENT_TYPE, &mime);
    let age = if download.protected {
        MAX_AGE_PRIVATE
    } else {
        MAX_AGE
    };
    set(headers, header::CACHE_CONTROL, age);
    deliver(asked, response, blob).await
}

/// The content of a blob, or as much of it as was asked for, under the headers of `response`.
///
/// # Errors
/// When a bucket does not give what it said it has.
pub(super) async fn deliver(asked: &HeaderMap, mut response: Response<Body>, blob: Blob) -> Answer {
    let modified = whole_seconds(blob.modified);
    set(
        response.headers_mut(),
        header::LAST_MODIFIED,
        &httpdate::fmt_http_date(modified),
    );
    if changed_since_allowed(asked, modified) {
        *response.status_mut() = StatusCode::PRECONDITION_FAILED;
        return Ok(response);
    }
    if unchanged(asked, modified) {
        response.headers_mut().remove(header::CONTENT_TYPE);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let (from, length) = match range(asked, modified, blob.size) {
        Range::Whole => (0, blob.size),
        Range::Part { from, length } => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let value = format!("bytes {from}-{}/{}", from + length - 1, blob.size);
            set(response.headers_mut(), header::CONTENT_RANGE, &value);
            (from, length)
        }
        Range::Bad { overlaps } => return Ok(refused_range(response, overlaps, blob.size)),
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    *response.body_mut() = body(blob, from, length).await?;
    Ok(response)
}

/// A stored value that cannot stand in a header is left out, not answered with a failure.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// 416 as plain text; the type stays that of the refusal, so that nothing is shown as the file's.
fn refused_range(mut response: Response<Body>, overlaps: bool, size: u64) -> Response<Body> {
    let headers = response.headers_mut();
    headers.remove(header::CACHE_CONTROL);
    headers.remove(header::LAST_MODIFIED);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    let text = if overlaps {
        "invalid range\n"
    } else {
        if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
            headers.insert(header::CONTENT_RANGE, value);
        }
        "invalid range: failed to overlap\n"
    };
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    *response.body_mut() = Body::from(text);
    response
}

fn mime_of(name: &str, sniffed: &str) -> String {
    BY_EXTENSION
        .iter()
        .find(|(extension, _)| name.ends_with(extension))
        .map_or_else(|| sniffed.to_owned(), |(_, mime)| (*mime).to_owned())
}

fn disposition(mime: &str, name: &str, download: bool) -> String {
    let inline = !download && INLINE.contains(&mime);
    if !inline {
        return attachment(name);
    }
    format!("inline; filename=\"{}\"", safe(name))
}

/// The header value by which a file is saved under `name`, and not shown.
pub(super) fn attachment(name: &str) -> String {
    format!("attachment; filename=\"{}\"", safe(name))
}

fn safe(name: &str) -> String {
    // Names of files that PocketBase or a person put there may hold anything.
    name.chars()
        .filter(|c| !c.is_control() && *c != '"' && *c != '\\')
        .collect()
}

fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, name)).ok()
}

/// Whether `If-Match` or `If-Unmodified-Since` forbids an answer. There are no entity tags: only `*` matches.
fn changed_since_allowed(asked: &HeaderMap, modified: SystemTime) -> bool {
    if asked.contains_key(header::IF_MATCH) {
        return text(asked, header::IF_MATCH).trim() != "*";
    }
    date(asked, header::IF_UNMODIFIED_SINCE).is_some_and(|date| modified > date)
}

/// Whether the client has it already. There are no entity tags, so only `*` matches one.
fn unchanged(asked: &HeaderMap, modified: SystemTime) -> bool {
    if asked.contains_key(header::IF_NONE_MATCH) {
        return text(asked, header::IF_NONE_MATCH).trim() == "*";
    }
    date(asked, header::IF_MODIFIED_SINCE).is_some_and(|date| modified <= date)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Part { from: u64, length: u64 },
    Bad { overlaps: bool },
}

/// The part of the file to send. One range at most: several are answered with the whole file, so that nobody gets more
/// bytes out than there are.
fn range(asked: &HeaderMap, modified: SystemTime, size: u64) -> Range {
    let value = text(asked, header::RANGE);
    if value.is_empty() {
        return Range::Whole;
    }
    if asked.contains_key(header::IF_RANGE) && date(asked, header::IF_RANGE) != Some(modified) {
        return Range::Whole;
    }
    parse_range(value, size)
}

fn parse_range(value: &str, size: u64) -> Range {
    const BAD: Range = Range::Bad { overlaps: true };
    let Some(list) = value.strip_prefix("bytes=") else {
        return BAD;
    };
    let mut parts = Vec::new();
    let mut missed = false;
    for entry in list.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let Some((first, last)) = entry.split_once('-') else {
            return BAD;
        };
        let (first, last) = (first.trim(), last.trim());
        if first.is_empty() {
            let Some(suffix) = number(last) else {
                return BAD;
            };
            let length = suffix.min(size);
            parts.push((size - length, length));
            continue;
        }
        let Some(first) = number(first) else {
            return BAD;
        };
        if first >= size {
            missed = true;
            continue;
        }
        let last = match last {
            "" => size - 1,
            last => match number(last) {
                Some(last) if last >= first => last.min(size - 1),
                _ => return BAD,
            },
        };
        parts.push((first, last - first + 1));
    }
    match parts.as_slice() {
        [] if missed && size > 0 => Range::Bad { overlaps: false },
        [(from, length)] if *length > 0 => Range::Part {
            from: *from,
            length: *length,
        },
        _ => Range::Whole,
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// The bytes, at once when they are in memory, else in pieces as the client takes them.
async fn body(blob: Blob, from: u64, length: u64) -> Result<Body, Fault> {
    Ok(match blob.content {
        Content::Whole(bytes) => {
            let at = |n: u64| usize::try_from(n).unwrap_or(bytes.len()).min(bytes.len());
            Body::from(bytes.slice(at(from)..at(from + length)))
        }
        Content::Remote(_) if length == 0 => Body::empty(),
        Content::Remote(remote) => {
            let object = remote.part(from, length).await;
            Body::from_stream(object.map_err(Fault::storage)?.pieces())
        }
        Content::File(file) => {
            let file = tokio::fs::File::from_std(file);
            let seek = (from > 0).then_some(from);
            Body::from_stream(stream::try_unfold(
                (file, seek, length),
                |(mut file, seek, left)| async move {
                    if left == 0 {
                        return Ok::<_, io::Error>(None);
                    }
                    if let Some(from) = seek {
                        use tokio::io::AsyncSeekExt as _;
                        file.seek(io::SeekFrom::Start(from)).await?;
                    }
                    let most = usize::try_from(left).unwrap_or(usize::MAX);
                    let mut piece = vec![0; most.min(FILE_CHUNK_BYTES)];
                    let read = file.read(&mut piece).await?;
                    if read == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    piece.truncate(read);
                    Ok(Some((Bytes::from(piece), (file, None, left - read as u64))))
                },
            ))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_one_part_the_whole_or_refused() {
        let part = |from, length| Range::Part { from, length };
        let bad = Range::Bad { overlaps: true };
        let missed = Range::Bad { overlaps: false };
        for (value, size, expected) in [
            ("bytes=0-3", 11, part(0, 4)),
            ("bytes=-3", 11, part(8, 3)),
            ("bytes=5-", 11, part(5, 6)),
            ("bytes=0-999", 11, part(0, 11)),
            ("bytes=-999", 11, part(0, 11)),
            ("bytes=50-", 11, missed),
            ("bytes=0-3", 0, Range::Whole),
            ("bytes=x", 11, bad),
            ("items=0-1", 11, bad),
            ("bytes=5-2", 11, bad),
            ("bytes=99999999999999999999-", 11, bad),
            ("bytes=-", 11, bad),
            ("bytes=+1-2", 11, bad),
            ("bytes=0-1,3-4", 11, Range::Whole),
            ("bytes=0-1,300-400", 11, part(0, 2)),
        ] {
            let found = parse_range(value, size);
            assert_eq!(found, expected, "{value} of {size}");
        }
    }

    #[test]
    fn only_harmless_types_are_shown() {
        assert!(disposition("image/png", "a.png", false).starts_with("inline"));
        assert!(disposition("image/png", "a.png", true).starts_with("attachment"));
        for mime in [
            "text/html; charset=utf-8",
            "image/svg+xml",
            "text/plain; charset=utf-8",
        ] {
            assert!(
                disposition(mime, "a", false).starts_with("attachment"),
                "{mime}"
            );
        }
        assert_eq!(
            disposition("x/y", "a\"\r\n.png", false),
            "attachment; filename=\"a.png\""
        );
    }
}
