//! What a subscriber asks for: `COLLECTION/*` or `COLLECTION/RECORD`, with options. Pure.

use compact_str::{CompactString, ToCompactString};
use percent_encoding::percent_decode_str;

use crate::kit::json::{self, Json, JsonMap};

/// Options of a subscription, as rules see them in `@request.query` and `@request.headers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `@request.query`; `filter`, `expand` and `fields` are honoured.
    pub query: Vec<(CompactString, CompactString)>,
    /// `@request.headers`, names snake-cased.
    pub headers: Vec<(CompactString, CompactString)>,
}

impl Options {
    /// From the `query` and `headers` objects of a client; scalars are cast to text, anything else is left out.
    #[must_use]
    pub fn from_json(query: Option<&Json>, headers: Option<&Json>) -> Self {
        let mut headers = scalars(headers);
        for (name, _) in &mut headers {
            *name = snake(name);
        }
        Self {
            query: scalars(query),
            headers,
        }
    }

    /// A query value, `""` when there is none.
    #[must_use]
    pub fn query(&self, name: &str) -> &str {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }

    /// Sets a query value.
    pub fn set_query(&mut self, name: &str, value: &str) {
        self.query.retain(|(key, _)| key != name);
        self.query.push((name.into(), value.into()));
    }
}

/// A parsed topic. Two topics with equal `text` are the same subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The subscription exactly as sent: SSE messages carry it as their event name.
    pub text: CompactString,
    /// Collection name or id, case-sensitive.
    pub collection: CompactString,
    /// A record id, or `None` for every record.
    pub record: Option<CompactString>,
    /// What came with it.
    pub options: Options,
}

impl Topic {
    /// Reads a subscription. Texts that are no topic of records are kept by the connection and never match.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let (collection, record) = path.split_once('/').unwrap_or((path, "*"));
        if collection.is_empty() || record.is_empty() {
            return None;
        }
        Some(Self {
            text: text.into(),
            collection: collection.into(),
            record: (record != "*").then(|| record.into()),
            options: options_of(query),
        })
    }

    /// A topic with options given apart, as the WebSocket protocol does; its text identifies both.
    #[must_use]
    pub fn with_options(path: &str, options: Options) -> Option<Self> {
        let mut topic = Self::parse(path)?;
        if options != Options::default() {
            topic.text = format!("{path}?{}", json::to_text(&options_json(&options))).into();
            topic.options = options;
        }
        Some(topic)
    }
}

fn options_of(query: &str) -> Options {
    for pair in query.split('&') {
        let Some(encoded) = pair.strip_prefix("options=") else {
            continue;
        };
        let spaced = encoded.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8_lossy();
        if let Ok(Json::Object(map)) = json::parse(&decoded) {
            return Options::from_json(map.get("query"), map.get("headers"));
        }
    }
    Options::default()
}

fn options_json(options: &Options) -> Json {
    let object = |pairs: &[(CompactString, CompactString)]| {
        let map: JsonMap = pairs
            .iter()
            .map(|(key, value)| (key.to_string(), Json::from(value.as_str())))
            .collect();
        Json::Object(map)
    };
    Json::Array(vec![object(&options.query), object(&options.headers)])
}

fn scalars(object: Option<&Json>) -> Vec<(CompactString, CompactString)> {
    let Some(Json::Object(map)) = object else {
        return Vec::new();
    };
    let text = |value: &Json| match value {
        Json::String(text) => Some(text.to_compact_string()),
        Json::Bool(_) | Json::Number(_) => Some(json::to_text(value).into()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    };
    map.iter()
        .filter_map(|(key, value)| Some((key.to_compact_string(), text(value)?)))
        .collect()
}

/// `X-Token` and `xToken` become `x_token` (contract 4.9).
fn snake(name: &str) -> CompactString {
    let mut out = CompactString::const_new("");
    let mut after_lower = false;
    for c in name.chars() {
        if c == '-' || c == ' ' {
            out.push('_');
            after_lower = false;
        } else {
            if c.is_ascii_uppercase() && after_lower {
                out.push('_');
            }
            after_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
            out.push(c.to_ascii_lowercase());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_name_a_collection_and_perhaps_a_record() {
        let all = Topic::parse("posts/*").unwrap();
        assert_eq!((all.collection.as_str(), all.record), ("posts", None));
        assert_eq!(Topic::parse("posts").unwrap().record, None);
        assert_eq!(
            Topic::parse("posts/abc").unwrap().record.as_deref(),
            Some("abc")
        );
        assert_eq!(Topic::parse(""), None);
        assert_eq!(Topic::parse("/x"), None);
    }

    #[test]
    fn options_are_read_and_cast_to_text() {
        let text = "posts/*?options=%7B%22query%22%3A%7B%22filter%22%3A%22n%3E1%22%2C%22n%22%3A5%7D%2C%22headers%22%3A%7B%22X-Token%22%3Atrue%7D%7D";
        let topic = Topic::parse(text).unwrap();
        assert_eq!(topic.text, text);
        assert_eq!(topic.options.query("filter"), "n>1");
        assert_eq!(topic.options.query("n"), "5");
        assert_eq!(
            topic.options.headers,
            vec![("x_token".into(), "true".into())]
        );
    }

    #[test]
    fn broken_options_are_no_options() {
        assert_eq!(
            Topic::parse("posts/*?options=%7B").unwrap().options,
            Options::default()
        );
    }
}
