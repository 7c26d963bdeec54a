//! One line of the log before it is written: cheap to make on the request path, encoded on the log's own thread.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use compact_str::CompactString;
use percent_encoding::percent_decode_str;

use crate::kit::id;
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::limits::{LOG_DATA_BYTES_DEFAULT, LOG_HEADER_CHARS_MAX, LOG_URL_CHARS_MAX};
use crate::kit::time::Timestamp;
use crate::ops::settings::Logs as LogSettings;
use crate::records::Refusal;
use crate::store::LogEntry;

/// Query parameters whose values never reach the log.
const SECRET_PARAMS: [&str; 5] = ["token", "code", "state", "password", "secret"];

/// A line of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it happened.
    pub at: Timestamp,
    /// -4 debug, 0 info, 4 warning, 8 error.
    pub level: i64,
    /// What happened, for people.
    pub message: String,
    /// What happened, for filters.
    pub data: JsonMap,
}

/// An answered request.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it came.
    pub at: Timestamp,
    /// Milliseconds until its answer was ready.
    pub exec_ms: f64,
    /// Its method.
    pub method: CompactString,
    /// Path and query as sent.
    pub url: String,
    /// Status of the answer.
    pub status: u16,
    /// `Referer`.
    pub referer: String,
    /// `User-Agent`.
    pub user_agent: CompactString,
    /// Collection and id of the signed-in record.
    pub auth: Option<(CompactString, CompactString)>,
    /// Id of the API key that stood for it.
    pub api_key: Option<CompactString>,
    /// The caller's address, seen through trusted proxies.
    pub user_ip: IpAddr,
    /// Address of the other end of the connection.
    pub remote_ip: IpAddr,
    /// What the client was told, and why, when it failed.
    pub failure: Option<(String, Json)>,
    /// The rule that said no.
    pub refusal: Option<Box<Refusal>>,
    /// Names the request in its answer and in the logs.
    pub request_id: CompactString,
    /// Names the trace that the caller says the request is part of.
    pub trace_id: Option<CompactString>,
    /// How many requests this line stands for.
    pub weight: u32,
}

impl Request {
    /// -4 debug, 0 info, 4 warning, 8 error.
    pub(super) fn level(&self) -> i64 {
        if self.failure.is_some() { 8 } else { 0 }
    }

    /// As it is stored.
    pub(super) fn into_stored(self, settings: &LogSettings) -> LogEntry {
        let level = self.level();
        let url = redacted(&self.url);
        let message = format!(
            "{} {}",
            self.method,
            percent_decode_str(&url).decode_utf8_lossy()
        );
        let data = self.data(&url, settings);
        LogEntry {
            id: id::record_id(),
            level,
            message,
            data: fitted(data, most_bytes(settings)),
            created: self.at.to_text(),
        }
    }

    /// The data as JSON, keys in alphabetical order. Written without a map: there is one line for each request.
    fn data(&self, url: &str, settings: &LogSettings) -> String {
        let mut out = Vec::with_capacity(384);
        let (collection, record) = match &self.auth {
            Some((collection, record)) => (collection.as_str(), record.as_str()),
            None => ("", ""),
        };
        match self.api_key.as_ref().filter(|_| settings.log_auth_id) {
            Some(key) => {
                text(&mut out, "{\"apiKey\":", key);
                text(&mut out, ",\"auth\":", collection);
            }
            None => text(&mut out, "{\"auth\":", collection),
        }
        if settings.log_auth_id {
            text(&mut out, ",\"authId\":", record);
        }
        if let Some((error, details)) = &self.failure {
            out.extend_from_slice(b",\"details\":");
            json::write(details, &mut out);
            text(&mut out, ",\"error\":", error);
        }
        out.extend_from_slice(b",\"execTime\":");
        out.extend_from_slice(json::number_text(self.exec_ms).as_bytes());
        text(&mut out, ",\"method\":", &self.method);
        text(
            &mut out,
            ",\"referer\":",
            &cut(&self.referer, LOG_HEADER_CHARS_MAX),
        );
        if let Some(refusal) = &self.refusal {
            text(&mut out, ",\"refusal\":{\"clause\":", &refusal.clause);
            text(&mut out, ",\"collection\":", &refusal.collection);
            text(&mut out, ",\"record\":", &refusal.record);
            text(&mut out, ",\"rule\":", refusal.rule);
            out.push(b'}');
        }
        if settings.log_ip {
            text(&mut out, ",\"remoteIP\":", &expanded(self.remote_ip));
        }
        text(&mut out, ",\"requestId\":", &self.request_id);
        out.extend_from_slice(b",\"status\":");
        out.extend_from_slice(self.status.to_string().as_bytes());
        if let Some(trace) = &self.trace_id {
            text(&mut out, ",\"traceId\":", trace);
        }
        text(&mut out, ",\"type\":", "request");
        text(&mut out, ",\"url\":", &cut(url, LOG_URL_CHARS_MAX));
        text(
            &mut out,
            ",\"userAgent\":",
            &cut(&self.user_agent, LOG_HEADER_CHARS_MAX),
        );
        if settings.log_ip {
            text(&mut out, ",\"userIP\":", &expanded(self.user_ip));
        }
        if self.weight > 1 {
            out.extend_from_slice(b",\"weight\":");
            out.extend_from_slice(self.weight.to_string().as_bytes());
        }
        out.push(b'}');
        String::from_utf8(out).unwrap_or_default()
    }
}

fn text(out: &mut Vec<u8>, key: &'static str, value: &str) {
    out.extend_from_slice(key.as_bytes());
    json::write_str(value, out);
}

fn most_bytes(settings: &LogSettings) -> usize {
    usize::try_from(settings.max_data_size)
        .ok()
        .filter(|most| *most > 0)
        .unwrap_or(LOG_DATA_BYTES_DEFAULT)
}

impl Entry {
    /// As it is stored.
    pub(super) fn into_stored(self, settings: &LogSettings) -> LogEntry {
        LogEntry {
            id: id::record_id(),
            level: self.level,
            message: self.message,
            data: fitted(
                json::to_text(&Json::Object(self.data)),
                most_bytes(settings),
            ),
            created: self.at.to_text(),
        }
    }
}

/// JSON text of at most about `most` bytes: values that do not fit any more become null.
fn fitted(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let Ok(Json::Object(data)) = json::parse(&text) else {
        return text;
    };
    let mut room = most;
    let mut small = JsonMap::new();
    for (key, value) in data {
        let size = json::to_text(&value).len();
        if size <= room {
            room -= size;
            small.insert(key, value);
        } else {
            small.insert(key, Json::Null);
        }
    }
    small.insert("__pb_truncated__".to_owned(), Json::from(true));
    json::to_text(&Json::Object(small))
}

/// At most `most` characters; what was cut ends in dots.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    match text.char_indices().nth(most) {
        Some((at, _)) => Cow::Owned(format!("{}...", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

/// The URL with the values of secret parameters hidden.
#[must_use]
pub fn redacted(url: &str) -> Cow<'_, str> {
    let Some((path, query)) = url.split_once('?') else {
        return Cow::Borrowed(url);
    };
    let secret = |name: &str| {
        SECRET_PARAMS
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if secret(name) && !value.is_empty() => format!("{name}=***"),
            _ => pair.to_owned(),
        })
        .collect();
    Cow::Owned(format!("{path}?{}", pairs.join("&")))
}

/// An address with every group of an IPv6 one spelt out, as the contract writes them.
#[must_use]
pub fn expanded(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => spelt_out(v6),
    }
}

fn spelt_out(v6: Ipv6Addr) -> String {
    v6.segments().map(|group| format!("{group:04x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_url_are_hidden() {
        assert_eq!(
            redacted("/api/files/a/b/c.png?token=abc&thumb=1x1&Code=x"),
            "/api/files/a/b/c.png?token=***&thumb=1x1&Code=***"
        );
        assert_eq!(redacted("/api/health"), "/api/health");
    }

    #[test]
    fn data_too_large_is_marked_and_still_json() {
        let data = format!("{{\"a\":\"{}\",\"b\":1}}", "x".repeat(50));
        assert_eq!(
            fitted(data, 20),
            r#"{"__pb_truncated__":true,"a":null,"b":1}"#
        );
    }

    #[test]
    fn ipv6_is_spelt_out() {
        assert_eq!(
            expanded("::1".parse().unwrap()),
            "0000:0000:0000:0000:0000:0000:0000:0001"
        );
    }

    #[test]
    fn a_line_has_its_keys_in_order() {
        let ip = "::1".parse().unwrap();
        let request = Request {
            at: Timestamp::from_millis(0),
            exec_ms: 1.5,
            method: "GET".into(),
            url: "/a?x=%22&token=abc".to_owned(),
            status: 404,
            referer: String::new(),
            user_agent: "ua\"".into(),
            auth: Some(("users".into(), "id1".into())),
            api_key: None,
            user_ip: ip,
            remote_ip: ip,
            failure: Some(("No.".to_owned(), Json::Null)),
            refusal: Some(Box::new(Refusal {
                collection: "posts".into(),
                rule: "viewRule",
                clause: "a = \"b\"".to_owned(),
                record: "id2".into(),
            })),
            request_id: "r1".into(),
            trace_id: Some("t1".into()),
            weight: 3,
        };
        let settings = LogSettings {
            log_auth_id: true,
            log_ip: true,
            ..LogSettings::default()
        };
        let stored = request.into_stored(&settings);
        assert_eq!(stored.message, "GET /a?x=\"&token=***");
        let value = json::parse(&stored.data).unwrap();
        assert_eq!(json::to_text(&value), stored.data);
        assert_eq!(value["url"], "/a?x=%22&token=***");
        assert_eq!(value["authId"], "id1");
    }
}
