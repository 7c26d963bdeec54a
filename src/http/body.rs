//! Request bodies: JSON, multipart and urlencoded, read under a limit and handed on as a record's map or as a form
//! (contract 1.3, 1.10). Nothing here trusts a declared length, and nothing is read before a handler asks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use bytes::BytesMut;
use compact_str::CompactString;
use futures_util::StreamExt;

use super::error::Fault;
use super::extract::{pairs, text};
use super::form::Form;
use crate::app::App;
use crate::files::name::base_name;
use crate::files::{Upload, UploadWriter};
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::limits::{
    BODIES_BYTES_MAX, BODY_SECS_MAX, MULTIPART_PARTS_MAX, REFUSED_BODY_BYTES_MAX,
};
use crate::ops::Metrics;
use crate::ops::metrics::Held;

/// Name of the form field that holds JSON.
const JSON_PAYLOAD: &str = "@jsonPayload";

/// A body that was not read yet.
#[derive(Debug)]
pub struct Unread {
    content_type: String,
    length: Option<u64>,
    query: String,
    spool: PathBuf,
    metrics: Metrics,
    body: Body,
}

impl FromRequest<App> for Unread {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &App) -> Result<Self, Fault> {
        let (parts, body) = request.into_parts();
        Ok(Self {
            content_type: text(&parts.headers, header::CONTENT_TYPE).to_owned(),
            length: text(&parts.headers, header::CONTENT_LENGTH).parse().ok(),
            query: parts.uri.query().unwrap_or("").to_owned(),
            spool: app.config.dir.join(".burrow").join("tmp"),
            metrics: app.metrics.clone(),
            body,
        })
    }
}

/// A body that was read, not understood yet.
#[derive(Debug)]
pub struct Submitted {
    content: Content,
    /// What the content takes of the memory for bodies.
    _room: Option<Held>,
    /// Uploaded files by the name of their part, in order.
    pub files: Vec<(CompactString, Upload)>,
}

/// A file that was received, with the texts beside it.
#[derive(Debug)]
pub(super) struct Spooled {
    /// Of the body, where it was the file itself.
    pub(super) content_type: String,
    texts: Vec<(CompactString, CompactString)>,
    pub(super) file: Upload,
}

impl Spooled {
    /// The first text called `name`, `""` when there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        let found = self.texts.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, text)| text.as_str())
    }
}

#[derive(Debug)]
enum Content {
    Nothing,
    Json(Bytes),
    Pairs(Vec<(CompactString, CompactString)>),
    /// The parser gave up: an error once somebody wants the content.
    Broken(String),
}

enum Trouble {
    TooLarge,
    Full,
    Slow,
    Broken(String),
}

impl Unread {
    /// Whether there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == Some(0) || self.body.is_end_stream()
    }

    /// Reads at most `limit` bytes.
    ///
    /// # Errors
    /// 413 past the limit, 400 for a content type that is not understood.
    pub async fn read(self, limit: u64) -> Result<Submitted, Fault> {
        if self.is_empty() {
            return Ok(Submitted {
                content: Content::Nothing,
                _room: None,
                files: Vec::new(),
            });
        }
        if self.length.is_some_and(|length| length > limit) {
            discard(self.body).await;
            return Err(Fault::too_large());
        }
        let deadline = Duration::from_secs(BODY_SECS_MAX);
        let read = tokio::time::timeout(deadline, self.read_content(limit))
            .await
            .unwrap_or(Err(Trouble::Slow));
        match read {
            Ok(submitted) => Ok(submitted),
            Err(Trouble::TooLarge) => Err(Fault::too_large()),
            Err(Trouble::Full) => Err(Fault::busy()),
            Err(Trouble::Slow) => Err(Fault::bad_request().caused_by("the body took too long")),
            Err(Trouble::Broken(cause)) if cause.is_empty() => {
                Err(Fault::bad_request().with_message("Unsupported Content-Type."))
            }
            Err(Trouble::Broken(cause)) => Ok(Submitted {
                content: Content::Broken(cause),
                _room: None,
                files: Vec::new(),
            }),
        }
    }

    /// Takes a body that is one file, or a form with one: to memory while it is small, else to the disk. However slow it
    /// comes, it must not stand still.
    ///
    /// # Errors
    /// 413 past `limit`, 400 for a form without a file.
    pub(super) async fn spool(self, limit: u64) -> Result<Spooled, Fault> {
        if self.content_type.starts_with("multipart/form-data") {
            let submitted = self.read(limit).await?;
            let texts = match submitted.content {
                Content::Pairs(pairs) => pairs,
                Content::Broken(cause) => return Err(Fault::bad_request().caused_by(cause)),
                Content::Nothing | Content::Json(_) => Vec::new(),
            };
            let file = submitted.files.into_iter().next().map(|(_, file)| file);
            return Ok(Spooled {
                content_type: String::new(),
                texts,
                file: file.ok_or_else(Fault::unreadable_form)?,
            });
        }
        if self.length.is_some_and(|length| length > limit) {
            discard(self.body).await;
            return Err(Fault::too_large());
        }
        let mut writer = UploadWriter::new(&self.spool, String::new());
        let mut stream = self.body.into_data_stream();
        let mut total = 0_u64;
        let slow = || Fault::bad_request().caused_by("the body took too long");
        loop {
            let pause = Duration::from_secs(BODY_SECS_MAX);
            let Some(piece) = tokio::time::timeout(pause, stream.next())
                .await
                .map_err(|_| slow())?
            else {
                break;
            };
            let piece = piece.map_err(|e| Fault::bad_request().caused_by(e))?;
            total += piece.len() as u64;
            if total > limit {
                discard(Body::from_stream(stream)).await;
                return Err(Fault::too_large());
            }
            writer.push(&piece).map_err(Fault::internal)?;
        }
        Ok(Spooled {
            content_type: self.content_type,
            texts: Vec::new(),
            file: writer.finish(),
        })
    }

    async fn read_content(self, limit: u64) -> Result<Submitted, Trouble> {
        // The comparison is of prefixes and of the exact case: the contract's own.
        if self.content_type.starts_with("application/json") {
            let (bytes, room) = collect(self.body, limit, &self.metrics).await?;
            return Ok(Submitted {
                content: Content::Json(bytes),
                _room: room,
                files: Vec::new(),
            });
        }
        if self.content_type.starts_with("multipart/form-data") {
            return self.read_multipart(limit).await;
        }
        if self
            .content_type
            .starts_with("application/x-www-form-urlencoded")
        {
            let (bytes, room) = collect(self.body, limit, &self.metrics).await?;
            let text = String::from_utf8_lossy(&bytes);
            // Body values stand before those of the query string here, after them in multipart.
            let all = pairs(&text).chain(pairs(&self.query)).collect();
            return Ok(Submitted {
                content: Content::Pairs(all),
                _room: room,
                files: Vec::new(),
            });
        }
        Err(Trouble::Broken(String::new()))
    }

    async fn read_multipart(self, limit: u64) -> Result<Submitted, Trouble> {
        let broken = |error: multer::Error| Trouble::Broken(error.to_string());
        let boundary = multer::parse_boundary(&self.content_type).map_err(broken)?;
        let seen = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&seen);
        let stream = self.body.into_data_stream().map(move |piece| {
            let piece = piece.map_err(std::io::Error::other)?;
            let total = counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
            if total + piece.len() as u64 > limit {
                return Err(std::io::Error::other("too large"));
            }
            Ok(piece)
        });
        let mut multipart = multer::Multipart::new(stream, boundary);
        let read = parts(&mut multipart, &self.query, &self.spool).await;
        if seen.load(Ordering::Relaxed) > limit {
            return Err(Trouble::TooLarge);
        }
        read
    }
}

async fn parts(
    multipart: &mut multer::Multipart<'_>,
    query: &str,
    spool: &std::path::Path,
) -> Result<Submitted, Trouble> {
    let broken = |error: multer::Error| Trouble::Broken(error.to_string());
    let mut values: Vec<_> = pairs(query).collect();
    let mut files = Vec::new();
    let mut count = 0;
    while let Some(mut field) = multipart.next_field().await.map_err(broken)? {
        count += 1;
        if count > MULTIPART_PARTS_MAX {
            return Err(Trouble::Broken("too many parts".to_owned()));
        }
        let name = CompactString::from(field.name().unwrap_or(""));
        let file_name = field
            .file_name()
            .map(base_name)
            .unwrap_or_default()
            .to_owned();
        if name.is_empty() {
            continue;
        }
        if file_name.is_empty() && field.content_type().is_none() {
            let bytes = field.bytes().await.map_err(broken)?;
            values.push((name, String::from_utf8_lossy(&bytes).into()));
            continue;
        }
        let mut writer = UploadWriter::new(spool, file_name);
        while let Some(piece) = field.chunk().await.map_err(broken)? {
            writer
                .push(&piece)
                .map_err(|error| Trouble::Broken(error.to_string()))?;
        }
        files.push((name, writer.finish()));
    }
    Ok(Submitted {
        content: Content::Pairs(values),
        _room: None,
        files,
    })
}

/// Bodies up to this size are not counted: what all requests at once can hold of them is little.
const UNCOUNTED_BYTES: usize = 32 << 10;

async fn collect(
    body: Body,
    limit: u64,
    metrics: &Metrics,
) -> Result<(Bytes, Option<Held>), Trouble> {
    let mut rooms = Vec::new();
    let bytes = collect_counted(body, limit, metrics, &mut rooms).await?;
    // One count for the whole takes the place of those for its pieces.
    let whole = bytes.len();
    let counted = !rooms.is_empty();
    drop(rooms);
    let room = counted.then(|| metrics.room(whole, usize::MAX)).flatten();
    Ok((bytes, room))
}

async fn collect_counted(
    body: Body,
    limit: u64,
    metrics: &Metrics,
    rooms: &mut Vec<Held>,
) -> Result<Bytes, Trouble> {
    let mut stream = body.into_data_stream();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut total = 0_u64;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| Trouble::Broken(error.to_string()))?;
        total += piece.len() as u64;
        if total > limit {
            discard(Body::from_stream(stream)).await;
            return Err(Trouble::TooLarge);
        }
        let held: usize = first.len().max(rest.len()) + piece.len();
        if held > UNCOUNTED_BYTES {
            let Some(room) = metrics.room(piece.len(), BODIES_BYTES_MAX) else {
                discard(Body::from_stream(stream)).await;
                return Err(Trouble::Full);
            };
            rooms.push(room);
        }
        // Most bodies come in one piece, which is then never copied.
        if first.is_empty() {
            first = piece;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&piece);
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

/// A client that sends nothing for so long while its body is refused is taken to listen.
const REFUSED_BODY_PAUSE: Duration = Duration::from_millis(500);

/// Reads a refused body to its end, within bounds: a client that is still sending would otherwise miss the answer.
pub(super) async fn discard(body: Body) {
    let mut stream = body.into_data_stream();
    let reading = async {
        let mut total = 0_u64;
        // Whoever has stopped sending is listening.
        while let Ok(Some(Ok(piece))) =
            tokio::time::timeout(REFUSED_BODY_PAUSE, stream.next()).await
        {
            total += piece.len() as u64;
            if total > REFUSED_BODY_BYTES_MAX {
                break;
            }
        }
    };
    // Running out of time is as good as an end here.
    tokio::time::timeout(Duration::from_secs(5), reading)
        .await
        .ok();
}

impl Submitted {
    /// As the free map of a record: values of forms are inferred, `@jsonPayload` is laid over them.
    ///
    /// # Errors
    /// 400 when it cannot be understood.
    pub fn record(&self) -> Result<JsonMap, Fault> {
        match &self.content {
            Content::Nothing => Ok(JsonMap::new()),
            Content::Broken(cause) => Err(Fault::bad_request().caused_by(cause)),
            Content::Json(bytes) => object(bytes).map_err(|e| Fault::bad_request().caused_by(e)),
            Content::Pairs(pairs) => {
                merged(pairs, infer).map_err(|e| Fault::bad_request().caused_by(e))
            }
        }
    }

    /// As a form with known names, whose letters may be of any case.
    ///
    /// # Errors
    /// 400 when it cannot be understood.
    pub fn form(&self) -> Result<Form, Fault> {
        let unreadable = |cause: String| Fault::unreadable_form().caused_by(cause);
        match &self.content {
            Content::Nothing => Ok(Form::new(JsonMap::new(), false)),
            Content::Broken(cause) => Err(unreadable(cause.clone())),
            Content::Json(bytes) => Ok(Form::new(object(bytes).map_err(unreadable)?, false)),
            Content::Pairs(pairs) => {
                let map = merged(pairs, |raw| Json::from(raw)).map_err(unreadable)?;
                Ok(Form::new(map, true))
            }
        }
    }
}

fn object(bytes: &[u8]) -> Result<JsonMap, String> {
    match json::parse_first(bytes).map_err(|error| error.to_string())? {
        Json::Object(map) => Ok(map),
        Json::Null => Ok(JsonMap::new()),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            Err("not an object".to_owned())
        }
    }
}

fn merged(
    pairs: &[(CompactString, CompactString)],
    value_of: impl Fn(&str) -> Json,
) -> Result<JsonMap, String> {
    let mut map = JsonMap::new();
    for (name, raw) in pairs.iter().filter(|(name, _)| name != JSON_PAYLOAD) {
        let value = value_of(raw);
        match map.get_mut(name.as_str()) {
            None => {
                map.insert(name.to_string(), value);
            }
            Some(Json::Array(items)) => items.push(value),
            Some(single) => *single = Json::Array(vec![single.take(), value]),
        }
    }
    for (_, raw) in pairs.iter().filter(|(name, _)| name == JSON_PAYLOAD) {
        map.extend(object(raw.as_bytes())?);
    }
    Ok(map)
}

/// The value that a form's text means where no type is known (contract 1.3).
fn infer(raw: &str) -> Json {
    match raw {
        "true" => return Json::Bool(true),
        "false" => return Json::Bool(false),
        _ => {}
    }
    let numeric = raw.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && raw
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'-' || b == b'.');
    if numeric
        && let Ok(n) = raw.parse::<f64>()
        && n.to_string() == raw
    {
        return json::number(n);
    }
    Json::from(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_text_is_inferred_only_where_it_is_the_shortest_form() {
        for (raw, expected) in [
            ("", "\"\""),
            ("true", "true"),
            ("12", "12"),
            ("-1.5", "-1.5"),
            ("0010", "\"0010\""),
            ("1.0", "\"1.0\""),
            ("1e3", "\"1e3\""),
            (".5", "\".5\""),
            ("Infinity", "\"Infinity\""),
            ("--1", "\"--1\""),
            ("-", "\"-\""),
        ] {
            assert_eq!(json::to_text(&infer(raw)), expected, "{raw}");
        }
    }

    #[test]
    fn repeated_names_become_lists_and_json_payloads_win() {
        let pairs: Vec<(CompactString, CompactString)> = [
            ("@jsonPayload", r#"{"a":[1,2],"b":1}"#),
            ("a", "x"),
            ("c", "1"),
            ("c", "x"),
            ("@jsonPayload", r#"{"b":2}"#),
        ]
        .map(|(n, v)| (n.into(), v.into()))
        .into();
        let map = merged(&pairs, infer).unwrap();
        assert_eq!(
            json::to_text(&Json::Object(map)),
            r#"{"a":[1,2],"b":2,"c":[1,"x"]}"#
        );
        assert!(merged(&[(JSON_PAYLOAD.into(), "{".into())], infer).is_err());
    }
}
