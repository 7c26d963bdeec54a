//! The line that a request leaves in the log.

use std::time::Instant;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Response, Uri, header};

use crate::app::App;
use crate::call::Call;
use crate::http::error::FaultLog;
use crate::http::extract::text;
use crate::kit::limits::LOG_HEADER_CHARS_MAX;
use crate::ops::logs::Request;

/// A line that waits for its answer.
pub(super) struct Line {
    call: Call,
    uri: Uri,
    referer: String,
    started: Instant,
    /// Paths whose successes are not worth a line: static files, the dashboard, the logs themselves.
    only_failures: bool,
}

impl Line {
    /// Notes what is known of a request before it is answered.
    pub(super) fn begin(parts: &Parts, call: &Call, started: Instant) -> Self {
        let path = parts.uri.path();
        let only_failures = !path.starts_with("/api/")
            || path == "/api/oauth2-redirect"
            || path == "/api/logs"
            || path.starts_with("/api/logs/");
        let referer = text(&parts.headers, header::REFERER);
        Self {
            call: call.clone(),
            uri: parts.uri.clone(),
            // A little more than is kept, so that the log can tell that something was cut.
            referer: referer.chars().take(LOG_HEADER_CHARS_MAX + 1).collect(),
            started,
            only_failures,
        }
    }

    /// Hands the line to the log.
    pub(super) fn end(self, app: &App, response: &Response<Body>) {
        let failure = response.extensions().get::<FaultLog>();
        if self.only_failures && failure.is_none() {
            return;
        }
        let auth = self.call.actor.record().map(|record| {
            (
                record.collection().name.clone(),
                compact_str::CompactString::from(record.id()),
            )
        });
        app.logs.request(Request {
            at: self.call.now,
            exec_ms: self.started.elapsed().as_secs_f64() * 1000.0,
            method: self.call.method,
            url: self
                .uri
                .path_and_query()
                .map_or("/", |p| p.as_str())
                .to_owned(),
            status: response.status().as_u16(),
            referer: self.referer,
            user_agent: self.call.user_agent,
            auth,
            user_ip: self.call.client_ip,
            remote_ip: self.call.remote_ip,
            failure: failure.map(|f| (f.message.clone(), f.details.clone())),
            refusal: failure.and_then(|f| f.refusal.clone()),
        });
    }
}
