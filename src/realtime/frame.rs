//! Frames as bytes: the SSE messages of the contract (7.1, 7.4) and the objects of the WebSocket protocol.

use bytes::Bytes;

use crate::kit::json::{self, Json, JsonMap};

/// What an event says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// A record was made.
    Create,
    /// A record was changed.
    Update,
    /// A record was removed.
    Delete,
    /// A record went out of sight (WebSocket only).
    Leave,
}

impl Happened {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Leave => "leave",
        }
    }
}

/// An SSE message. `id` is where its connection can resume, if one place says that. `topic` has no line break: such
/// subscriptions are refused.
pub(super) fn sse_event(id: Option<&str>, topic: &str, happened: Happened, record: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(topic.len() + record.len() + 112);
    if let Some(id) = id {
        out.extend_from_slice(b"id:");
        out.extend_from_slice(id.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"event:");
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(b"\ndata:{\"record\":");
    out.extend_from_slice(record);
    out.extend_from_slice(b",\"action\":\"");
    out.extend_from_slice(happened.as_str().as_bytes());
    out.extend_from_slice(b"\"}\n\n");
    Bytes::from(out)
}

/// The first SSE message. The official SDK takes the id of its connection from the `id:` line.
#[must_use]
pub fn sse_connect(client_id: &str) -> Bytes {
    Bytes::from(format!(
        "id:{client_id}\nevent:PB_CONNECT\ndata:{{\"clientId\":\"{client_id}\"}}\n\n"
    ))
}

/// The past cannot be told any more: a client that came with a cursor fetches again, and may resume at `cursor`.
pub(super) fn sse_reset(topic: &str, cursor: &str) -> Bytes {
    let data = object([
        ("topic", Json::from(topic)),
        ("reason", Json::from("expired")),
        ("cursor", Json::from(cursor)),
    ]);
    sse_message("reset", &data)
}

/// A message that is no event of a record. `topic` has no line break, and JSON text has none.
pub(super) fn sse_message(topic: &str, data: &[u8]) -> Bytes {
    let parts: [&[u8]; 5] = [b"event:", topic.as_bytes(), b"\ndata:", data, b"\n\n"];
    Bytes::from(parts.concat())
}

pub(super) fn ws_event(sub: &str, happened: Happened, record: &[u8], cursor: &str) -> Bytes {
    let mut out = Vec::with_capacity(record.len() + cursor.len() + sub.len() + 72);
    out.extend_from_slice(b"{\"type\":\"event\",\"sub\":");
    json::write_str(sub, &mut out);
    out.extend_from_slice(b",\"action\":\"");
    out.extend_from_slice(happened.as_str().as_bytes());
    out.extend_from_slice(b"\",\"record\":");
    out.extend_from_slice(record);
    out.extend_from_slice(b",\"cursor\":");
    json::write_str(cursor, &mut out);
    out.push(b'}');
    Bytes::from(out)
}

/// A `snapshot` with its items, or a `diff` with its changes.
pub(super) fn ws_result(kind: &str, sub: &str, content: &[u8], cursor: &str) -> Bytes {
    let member = if kind == "diff" { "changes" } else { "items" };
    let mut out = Vec::with_capacity(content.len() + cursor.len() + sub.len() + 64);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"sub\":");
    json::write_str(sub, &mut out);
    out.extend_from_slice(b",\"");
    out.extend_from_slice(member.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(content);
    out.extend_from_slice(b",\"cursor\":");
    json::write_str(cursor, &mut out);
    out.push(b'}');
    Bytes::from(out)
}

pub(super) fn ws_hello(client_id: &str, cursor: &str) -> Bytes {
    object([
        ("type", Json::from("hello")),
        ("clientId", Json::from(client_id)),
        ("cursor", Json::from(cursor)),
        ("version", Json::from(1)),
    ])
}

pub(super) fn ws_ok(id: &Json, more: JsonMap) -> Bytes {
    let mut map = more;
    map.insert("type".to_owned(), Json::from("ok"));
    map.insert("id".to_owned(), id.clone());
    Bytes::from(json::to_text(&Json::Object(map)))
}

/// The answer to a `live`.
pub(super) fn ws_ok_sub(id: &Json, sub: &str, cursor: &str) -> Bytes {
    let more = [("sub", sub), ("cursor", cursor)];
    let more = more
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Json::from(value)));
    ws_ok(id, more.collect())
}

/// An `ok` whose `record` is ready-made JSON.
pub(super) fn ws_ok_record(id: &Json, record: &[u8]) -> Bytes {
    let mut out = b"{\"type\":\"ok\",\"id\":".to_vec();
    json::write(id, &mut out);
    out.extend_from_slice(b",\"record\":");
    out.extend_from_slice(record);
    out.push(b'}');
    Bytes::from(out)
}

/// The answer to a message that failed: the status and data that the HTTP API would give.
#[must_use]
pub fn ws_error(id: &Json, status: u16, message: &str, data: Json) -> Bytes {
    object([
        ("type", Json::from("error")),
        ("id", id.clone()),
        ("status", Json::from(status)),
        ("message", Json::from(message)),
        ("data", data),
    ])
}

pub(super) fn ws_sub_ended(sub: &str, status: u16, message: &str) -> Bytes {
    object([
        ("type", Json::from("error")),
        ("id", Json::Null),
        ("sub", Json::from(sub)),
        ("status", Json::from(status)),
        ("message", Json::from(message)),
        ("data", Json::Object(JsonMap::new())),
    ])
}

/// The past cannot be had any more: the client fetches again and goes on from `cursor`.
pub(super) fn ws_reset(sub: &str, cursor: &str) -> Bytes {
    object([
        ("type", Json::from("reset")),
        ("sub", Json::from(sub)),
        ("reason", Json::from("expired")),
        ("cursor", Json::from(cursor)),
    ])
}

pub(super) fn ws_signed_out() -> Bytes {
    Bytes::from_static(b"{\"type\":\"signedOut\"}")
}

fn object<const N: usize>(members: [(&str, Json); N]) -> Bytes {
    let map: JsonMap = members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    Bytes::from(json::to_text(&Json::Object(map)))
}
