//! What clients ask of channels, parsed once at the rim (realtime protocol, version 1).

use bytes::Bytes;
use compact_str::CompactString;

use crate::kit::json::{self, Json, JsonMap};
use crate::kit::limits::{CHANNEL_EVENT_BYTES_MAX, CHANNEL_PRESENCE_BYTES_MAX};
use crate::ops::settings::is_channel_name;

/// What a client asks of a channel.
#[derive(Debug)]
pub enum Ask {
    /// Become a member.
    Join {
        /// Of this channel.
        channel: CompactString,
        /// What the others are to see: a JSON object.
        presence: Option<Bytes>,
        /// A cursor of the channel: first the messages after it.
        since: Option<String>,
    },
    /// Tell all members something.
    Publish {
        /// The channel.
        channel: CompactString,
        /// What kind of thing.
        event: CompactString,
        /// JSON.
        payload: Bytes,
        /// Whether the sender hears it too.
        echo: bool,
    },
    /// Show the others something else.
    Present {
        /// The channel.
        channel: CompactString,
        /// A JSON object.
        presence: Bytes,
    },
    /// Be a member no more.
    Leave {
        /// The channel.
        channel: CompactString,
    },
}

impl Ask {
    /// Whether limits on how often clients may ask count it.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        match self {
            Self::Join { .. } | Self::Publish { .. } | Self::Present { .. } => true,
            Self::Leave { .. } => false,
        }
    }
}

/// Reads a message of type `kind`; nothing when channels know no such type.
pub(in crate::realtime) fn parse(kind: &str, map: &JsonMap) -> Option<Result<Ask, &'static str>> {
    Some(match kind {
        "join" => join(map),
        "publish" => publish(map),
        "presence" => present(map),
        "leave" => channel(map).map(|channel| Ask::Leave { channel }),
        _ => return None,
    })
}

fn join(map: &JsonMap) -> Result<Ask, &'static str> {
    Ok(Ask::Join {
        channel: channel(map)?,
        presence: presence(map)?,
        since: match map.get("since") {
            None | Some(Json::Null) => None,
            Some(Json::String(since)) => Some(since.clone()),
            Some(_) => return Err("since must be a cursor."),
        },
    })
}

fn publish(map: &JsonMap) -> Result<Ask, &'static str> {
    const EVENT: &str = "event must be a string of 1 to 255 bytes.";
    let event = map.get("event").and_then(Json::as_str).ok_or(EVENT)?;
    if event.is_empty() || event.len() > CHANNEL_EVENT_BYTES_MAX {
        return Err(EVENT);
    }
    let echo = match map.get("echo") {
        None | Some(Json::Null) => false,
        Some(Json::Bool(echo)) => *echo,
        Some(_) => return Err("echo must be a bool."),
    };
    Ok(Ask::Publish {
        channel: channel(map)?,
        event: event.into(),
        payload: text(map.get("payload").unwrap_or(&Json::Null)),
        echo,
    })
}

fn present(map: &JsonMap) -> Result<Ask, &'static str> {
    Ok(Ask::Present {
        channel: channel(map)?,
        presence: presence(map)?.ok_or("presence must be an object.")?,
    })
}

fn channel(map: &JsonMap) -> Result<CompactString, &'static str> {
    map.get("channel")
        .and_then(Json::as_str)
        .filter(|name| is_channel_name(name))
        .map(CompactString::from)
        .ok_or("channel must be segments of letters, digits, _, - and . between colons.")
}

fn presence(map: &JsonMap) -> Result<Option<Bytes>, &'static str> {
    match map.get("presence") {
        None | Some(Json::Null) => Ok(None),
        Some(object @ Json::Object(_)) => {
            let text = text(object);
            if text.len() > CHANNEL_PRESENCE_BYTES_MAX {
                return Err("presence must be at most 4 KiB.");
            }
            Ok(Some(text))
        }
        Some(_) => Err("presence must be an object."),
    }
}

fn text(value: &Json) -> Bytes {
    Bytes::from(json::to_text(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Result<Ask, &'static str>> {
        let Ok(Json::Object(map)) = json::parse(text) else {
            panic!("{text}");
        };
        parse(map["type"].as_str().unwrap(), &map)
    }

    #[test]
    fn messages_are_read_whole_or_refused() {
        assert!(read(r#"{"type":"ping"}"#).is_none());
        let Some(Ok(Ask::Publish { payload, echo, .. })) = read(
            r#"{"type":"publish","channel":"room:1","event":"say","payload":{"b":1,"a":[]},"from":"me"}"#,
        ) else {
            panic!("not read");
        };
        assert_eq!((payload.as_ref(), echo), (&br#"{"a":[],"b":1}"#[..], false));
        let long = "x".repeat(5_000);
        for wrong in [
            r#"{"type":"join"}"#.to_owned(),
            r#"{"type":"join","channel":""}"#.to_owned(),
            r#"{"type":"join","channel":"room:*"}"#.to_owned(),
            r#"{"type":"join","channel":"a\nb"}"#.to_owned(),
            r#"{"type":"join","channel":"a","presence":1}"#.to_owned(),
            r#"{"type":"join","channel":"a","since":1}"#.to_owned(),
            format!(r#"{{"type":"join","channel":"{long}"}}"#),
            format!(r#"{{"type":"join","channel":"a","presence":{{"a":"{long}"}}}}"#),
            r#"{"type":"publish","channel":"a"}"#.to_owned(),
            r#"{"type":"publish","channel":"a","event":""}"#.to_owned(),
            r#"{"type":"publish","channel":"a","event":"e","echo":"yes"}"#.to_owned(),
            r#"{"type":"presence","channel":"a"}"#.to_owned(),
            r#"{"type":"leave"}"#.to_owned(),
        ] {
            assert!(matches!(read(&wrong), Some(Err(_))), "{wrong}");
        }
    }
}
