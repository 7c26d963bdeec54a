//! Frames of channels. What is a client's own JSON (payload, presence) is put in as it was read.

use bytes::Bytes;

use crate::kit::json::{self, Json, JsonMap};

/// A member as others see it.
pub(super) struct Face<'a> {
    pub(super) member: &'a str,
    /// A JSON object, or nothing.
    pub(super) presence: Option<&'a [u8]>,
    /// A JSON object, or nothing.
    pub(super) record: Option<&'a [u8]>,
}

pub(super) fn message(
    channel: &str,
    event: &str,
    payload: &[u8],
    from: &str,
    cursor: &str,
) -> Bytes {
    let mut out = Vec::with_capacity(payload.len() + channel.len() + event.len() + 160);
    out.extend_from_slice(b"{\"type\":\"message\",\"channel\":");
    json::write_str(channel, &mut out);
    out.extend_from_slice(b",\"event\":");
    json::write_str(event, &mut out);
    out.extend_from_slice(b",\"payload\":");
    out.extend_from_slice(payload);
    out.extend_from_slice(b",\"from\":");
    json::write_str(from, &mut out);
    out.extend_from_slice(b",\"cursor\":");
    json::write_str(cursor, &mut out);
    out.push(b'}');
    Bytes::from(out)
}

/// One change of who is there.
pub(super) enum News<'a> {
    Joined(Face<'a>),
    Left(&'a str),
    Changed(Face<'a>),
}

pub(super) fn presence(channel: &str, news: &News<'_>) -> Bytes {
    let mut out = b"{\"type\":\"presence\",\"channel\":".to_vec();
    json::write_str(channel, &mut out);
    out.extend_from_slice(b",\"joined\":[");
    if let News::Joined(face) = news {
        write_face(face, &mut out);
    }
    out.extend_from_slice(b"],\"left\":[");
    if let News::Left(member) = news {
        json::write_str(member, &mut out);
    }
    out.extend_from_slice(b"],\"changed\":[");
    if let News::Changed(face) = news {
        write_face(face, &mut out);
    }
    out.extend_from_slice(b"]}");
    Bytes::from(out)
}

fn write_face(face: &Face<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"member\":");
    json::write_str(face.member, out);
    out.extend_from_slice(b",\"presence\":");
    out.extend_from_slice(face.presence.unwrap_or(b"null"));
    out.extend_from_slice(b",\"record\":");
    out.extend_from_slice(face.record.unwrap_or(b"null"));
    out.push(b'}');
}

/// The answer to `join`.
pub(super) fn joined(id: &Json, member: &str, members: &[Face<'_>], cursor: &str) -> Bytes {
    let mut out = b"{\"type\":\"ok\",\"id\":".to_vec();
    json::write(id, &mut out);
    out.extend_from_slice(b",\"member\":");
    json::write_str(member, &mut out);
    out.extend_from_slice(b",\"members\":[");
    for (at, face) in members.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_face(face, &mut out);
    }
    out.extend_from_slice(b"],\"cursor\":");
    json::write_str(cursor, &mut out);
    out.push(b'}');
    Bytes::from(out)
}

/// The past of the channel cannot be had: the client goes on from `cursor`.
pub(super) fn reset(channel: &str, reason: &str, cursor: &str) -> Bytes {
    object([
        ("type", Json::from("reset")),
        ("channel", Json::from(channel)),
        ("reason", Json::from(reason)),
        ("cursor", Json::from(cursor)),
    ])
}

/// A membership has ended.
pub(super) fn ended(channel: &str, status: u16, message: &str) -> Bytes {
    object([
        ("type", Json::from("error")),
        ("id", Json::Null),
        ("channel", Json::from(channel)),
        ("status", Json::from(status)),
        ("message", Json::from(message)),
        ("data", Json::Object(JsonMap::new())),
    ])
}

fn object<const N: usize>(members: [(&str, Json); N]) -> Bytes {
    let map: JsonMap = members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    Bytes::from(json::to_text(&Json::Object(map)))
}
