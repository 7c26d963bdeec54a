//! One line of the log before it is written: cheap to make on the request path, encoded on the log's own thread.

use std::net::{IpAddr, Ipv6Addr};

use compact_str::CompactString;
use percent_encoding::percent_decode_str;

use crate::kit::id;
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::limits::{LOG_DATA_BYTES_DEFAULT, LOG_HEADER_CHARS_MAX, LOG_URL_CHARS_MAX};
use crate::kit::time::Timestamp;
use crate::ops::settings::Logs as LogSettings;
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
    /// The caller's address, seen through trusted proxies.
    pub user_ip: IpAddr,
    /// Address of the other end of the connection.
    pub remote_ip: IpAddr,
    /// What the client was told, and why, when it failed.
    pub failure: Option<(String, Json)>,
}

impl Request {
    /// -4 debug, 0 info, 4 warning, 8 error.
    pub(super) fn level(&self) -> i64 {
        if self.failure.is_some() { 8 } else { 0 }
    }

    /// As a line of the log.
    pub(super) fn into_entry(self, settings: &LogSettings) -> Entry {
        let level = self.level();
        let url = redacted(&self.url);
        let message = format!(
            "{} {}",
            self.method,
            percent_decode_str(&url).decode_utf8_lossy()
        );
        let mut data = JsonMap::new();
        let mut put = |key: &str, value: Json| data.insert(key.to_owned(), value);
        put("type", Json::from("request"));
        put("execTime", json::number(self.exec_ms));
        put("method", Json::from(self.method.as_str()));
        put("url", Json::from(cut(&url, LOG_URL_CHARS_MAX)));
        put("status", Json::from(self.status));
        put(
            "referer",
            Json::from(cut(&self.referer, LOG_HEADER_CHARS_MAX)),
        );
        put(
            "userAgent",
            Json::from(cut(&self.user_agent, LOG_HEADER_CHARS_MAX)),
        );
        let (collection, id) = self.auth.unwrap_or_default();
        put("auth", Json::from(collection.as_str()));
        if settings.log_auth_id {
            put("authId", Json::from(id.as_str()));
        }
        if settings.log_ip {
            put("userIP", Json::from(expanded(self.user_ip)));
            put("remoteIP", Json::from(expanded(self.remote_ip)));
        }
        if let Some((error, details)) = self.failure {
            put("error", Json::from(error));
            put("details", details);
        }
        Entry {
            at: self.at,
            level,
            message,
            data,
        }
    }
}

impl Entry {
    /// As it is stored.
    pub(super) fn into_stored(self, settings: &LogSettings) -> LogEntry {
        let most = usize::try_from(settings.max_data_size)
            .ok()
            .filter(|most| *most > 0)
            .unwrap_or(LOG_DATA_BYTES_DEFAULT);
        LogEntry {
            id: id::record_id(),
            level: self.level,
            message: self.message,
            data: bounded(self.data, most),
            created: self.at.to_text(),
        }
    }
}

/// The data as text of at most about `most` bytes: values that do not fit any more become null.
fn bounded(data: JsonMap, most: usize) -> String {
    let whole = Json::Object(data);
    let text = json::to_text(&whole);
    let Json::Object(data) = whole else {
        return text;
    };
    if text.len() <= most {
        return text;
    }
    let mut room = most;
    let mut small = JsonMap::new();
    for (key, value) in data {
        let size = json::to_text(&value).len();
        let kept = if size <= room { value } else { Json::Null };
        room = room.saturating_sub(size);
        small.insert(key, kept);
    }
    small.insert("__pb_truncated__".to_owned(), Json::from(true));
    json::to_text(&Json::Object(small))
}

/// At most `most` characters; what was cut ends in dots.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// The URL with the values of secret parameters hidden.
fn redacted(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else {
        return url.to_owned();
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
    format!("{path}?{}", pairs.join("&"))
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
        let mut data = JsonMap::new();
        data.insert("a".to_owned(), Json::from("x".repeat(50)));
        data.insert("b".to_owned(), Json::from(1));
        assert_eq!(
            bounded(data, 20),
            r#"{"__pb_truncated__":true,"a":null,"b":null}"#
        );
    }

    #[test]
    fn ipv6_is_spelt_out() {
        assert_eq!(
            expanded("::1".parse().unwrap()),
            "0000:0000:0000:0000:0000:0000:0000:0001"
        );
    }
}
