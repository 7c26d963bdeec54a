//! The messages that a WebSocket client may send, parsed once at the rim (realtime protocol, version 1).

use super::channel;
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::limits::{LIVE_QUESTION_BYTES_MAX, LIVE_ROWS_DEFAULT, LIVE_ROWS_MAX};
use crate::realtime::live::Question;
use crate::realtime::topic::{Options, Topic};

/// A message of a client with the id it wants to be answered by.
#[derive(Debug)]
pub struct Message {
    /// String or number, chosen by the client.
    pub id: Json,
    /// What it asks.
    pub ask: Ask,
}

/// What a client asks.
#[derive(Debug)]
pub enum Ask {
    /// Sign in, or out with an empty token.
    Auth {
        /// The token.
        token: String,
    },
    /// Hear of changes.
    Subscribe {
        /// Of what.
        topic: Box<Topic>,
        /// A cursor: first of the changes after it.
        since: Option<String>,
    },
    /// Keep a list true.
    Live {
        /// Which one.
        question: Box<Question>,
    },
    /// Hear no more.
    Unsubscribe {
        /// The subscription.
        sub: String,
    },
    /// Are you there.
    Ping,
    /// Something about a channel.
    Channel(Box<channel::Ask>),
}

impl Ask {
    /// Whether the limits on how often clients may ask count it.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        match self {
            Self::Auth { .. } | Self::Subscribe { .. } | Self::Live { .. } => true,
            Self::Unsubscribe { .. } | Self::Ping => false,
            Self::Channel(ask) => ask.is_counted(),
        }
    }
}

/// A message that cannot be read: answered under `id`, the connection stays.
#[derive(Debug)]
pub struct Malformed {
    /// The message's id as far as it could be read.
    pub id: Json,
    /// For the client's developer.
    pub message: &'static str,
}

/// Reads one text frame.
///
/// # Errors
/// [`Malformed`], to be answered with status 400.
pub fn parse(text: &str) -> Result<Message, Malformed> {
    let Ok(Json::Object(map)) = json::parse(text) else {
        return Err(Malformed {
            id: Json::Null,
            message: "The message must be one JSON object.",
        });
    };
    let (Some(id @ (Json::String(_) | Json::Number(_))), Some(Json::String(_))) =
        (map.get("id"), map.get("type"))
    else {
        return Err(Malformed {
            id: Json::Null,
            message: "The message needs a type (string) and an id (string or integer).",
        });
    };
    let id = id.clone();
    match ask(&map) {
        Ok(ask) => Ok(Message { id, ask }),
        Err(message) => Err(Malformed { id, message }),
    }
}

fn ask(map: &JsonMap) -> Result<Ask, &'static str> {
    match map.get("type").and_then(Json::as_str) {
        Some("auth") => Ok(Ask::Auth {
            token: text(map, "token", "token must be a string.")?,
        }),
        Some("subscribe") => subscribe(map),
        Some("live") => live(map),
        Some("unsubscribe") => Ok(Ask::Unsubscribe {
            sub: text(map, "sub", "sub must be a string.")?,
        }),
        Some("ping") => Ok(Ask::Ping),
        Some(kind) => match channel::parse(kind, map) {
            Some(ask) => ask.map(|ask| Ask::Channel(Box::new(ask))),
            None => Err("Unknown message type."),
        },
        None => Err("Unknown message type."),
    }
}

fn subscribe(map: &JsonMap) -> Result<Ask, &'static str> {
    const TOPIC: &str = "topic must be COLLECTION/* or COLLECTION/RECORD_ID.";
    let since = match map.get("since") {
        None | Some(Json::Null) => None,
        Some(Json::String(since)) => Some(since.clone()),
        Some(_) => return Err("since must be a cursor."),
    };
    let path = text(map, "topic", TOPIC)?;
    if path.len() > crate::kit::limits::SUBSCRIPTION_BYTES_MAX || path.contains('?') {
        return Err(TOPIC);
    }
    let mut options = Options::from_json(map.get("query"), map.get("headers"));
    for name in ["filter", "expand", "fields"] {
        match map.get(name) {
            None | Some(Json::Null) => {}
            Some(Json::String(value)) => options.set_query(name, value),
            Some(_) => return Err("filter, expand and fields must be strings."),
        }
    }
    let topic = Topic::with_options(&path, options).ok_or(TOPIC)?;
    Ok(Ask::Subscribe {
        topic: Box::new(topic),
        since,
    })
}

fn live(map: &JsonMap) -> Result<Ask, &'static str> {
    let optional = |name: &str| match map.get(name) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(value)) => Ok(value.clone()),
        Some(_) => Err("filter, sort, expand and fields must be strings."),
    };
    let limit = match map.get("limit") {
        None | Some(Json::Null) => Some(LIVE_ROWS_DEFAULT),
        // Numbers are doubles, as everywhere in JSON: 10.0 is 10.
        Some(value) => value
            .as_f64()
            .filter(|n| n.fract() == 0.0)
            .and_then(|n| (1..=LIVE_ROWS_MAX).find(|limit| f64::from(*limit) == n)),
    };
    let question = Question {
        collection: text(map, "collection", "collection must be a name or an id.")?,
        filter: optional("filter")?,
        sort: optional("sort")?,
        expand: optional("expand")?,
        fields: optional("fields")?,
        limit: limit.ok_or("limit must be a whole number from 1 to 1000.")?,
    };
    let texts = [
        &question.collection,
        &question.filter,
        &question.sort,
        &question.expand,
        &question.fields,
    ];
    if texts.iter().map(|text| text.len()).sum::<usize>() > LIVE_QUESTION_BYTES_MAX {
        return Err("The query is too long.");
    }
    Ok(Ask::Live {
        question: Box::new(question),
    })
}

fn text(map: &JsonMap, key: &str, wrong: &'static str) -> Result<String, &'static str> {
    map.get(key)
        .and_then(Json::as_str)
        .map(str::to_owned)
        .ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_messages_keep_their_id_where_they_have_one() {
        for (frame, id) in [
            ("", Json::Null),
            ("[]", Json::Null),
            ("{\"type\":\"ping\"}", Json::Null),
            ("{\"type\":\"ping\",\"id\":{}}", Json::Null),
            ("{\"type\":\"nope\",\"id\":7}", Json::from(7)),
            ("{\"type\":\"subscribe\",\"id\":\"a\"}", Json::from("a")),
            (
                "{\"type\":\"subscribe\",\"id\":\"a\",\"topic\":\"\"}",
                Json::from("a"),
            ),
            (
                "{\"type\":\"subscribe\",\"id\":\"a\",\"topic\":\"x/*\",\"filter\":1}",
                Json::from("a"),
            ),
        ] {
            assert_eq!(parse(frame).unwrap_err().id, id, "{frame}");
        }
    }

    #[test]
    fn a_subscription_carries_its_options() {
        let frame = r#"{"type":"subscribe","id":1,"topic":"posts/*","filter":"n > 1","headers":{"X-A":"b"}}"#;
        let Ask::Subscribe { topic, since: None } = parse(frame).unwrap().ask else {
            panic!("not a subscription");
        };
        assert_eq!(topic.options.query("filter"), "n > 1");
        assert_eq!(topic.options.headers, vec![("x_a".into(), "b".into())]);
        assert_ne!(topic.text, "posts/*");
    }
}
