//! The names of a request: its own, which stands in its answer and in every log, and that of the trace it is part of.

use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue};
use compact_str::CompactString;

use crate::kit::id;
use crate::kit::limits::REQUEST_ID_CHARS_MAX;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What a request is called.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// As a proxy in front called it, else drawn here.
    pub(super) request: CompactString,
    /// 32 hexadecimal digits.
    pub(super) trace: Option<CompactString>,
}

impl Names {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let given = text(&REQUEST_ID).filter(|id| is_plain(id));
        Self {
            request: given.map_or_else(id::record_id, CompactString::from),
            trace: text(&TRACEPARENT)
                .and_then(trace_id)
                .map(CompactString::from),
        }
    }

    /// Tells the caller what the request is called.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        // Only plain letters get this far.
        if let Ok(value) = HeaderValue::from_str(&self.request) {
            headers.insert(REQUEST_ID, value);
        }
    }
}

/// Whether an id that came along can stand in a log as it is.
fn is_plain(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= REQUEST_ID_CHARS_MAX
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The trace of a `traceparent` header (W3C Trace Context, version 00 and what looks like it).
fn trace_id(text: &str) -> Option<&str> {
    let mut parts = text.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (parent, flags) = (parts.next()?, parts.next()?);
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let zero = |text: &str| text.bytes().all(|b| b == b'0');
    let whole = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && is_hex(parent, 16)
        && is_hex(flags, 2)
        && !zero(trace)
        && !zero(parent)
        && (version != "00" || parts.next().is_none());
    whole.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_traces_and_plain_ids_are_taken_over() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let parent = "b7ad6b7169203331";
        for (text, expected) in [
            (format!("00-{trace}-{parent}-01"), true),
            (format!("cc-{trace}-{parent}-01-more"), true),
            (format!("00-{trace}-{parent}-01-more"), false),
            (format!("ff-{trace}-{parent}-01"), false),
            (format!("00-{}-{parent}-01", "0".repeat(32)), false),
            (format!("00-{}-{parent}-01", trace.to_uppercase()), false),
            (trace.to_owned(), false),
        ] {
            assert_eq!(trace_id(&text).is_some(), expected, "{text}");
        }
        assert!(is_plain("a-B_9.c"));
        for id in ["", "a b", "a\u{e4}", &"x".repeat(65)] {
            assert!(!is_plain(id), "{id}");
        }
    }
}
