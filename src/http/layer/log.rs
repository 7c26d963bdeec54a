//! The line that a request leaves in the log.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode, Uri, header};

use super::named::Names;
use crate::app::App;
use crate::call::Call;
use crate::http::error::FaultLog;
use crate::http::extract::text;
use crate::kit::json;
use crate::kit::limits::LOG_HEADER_CHARS_MAX;
use crate::ops::logs::{Kind, Request, redacted};

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

    /// Counts the request, and hands the line to the log where it is wanted.
    pub(super) fn end(self, app: &App, names: Names, response: &Response<Body>) {
        let took = self.started.elapsed();
        let status = response.status();
        app.metrics
            .answered(&self.call.method, status.as_u16(), took);
        let failure = response.extensions().get::<FaultLog>();
        self.print(&names, status, took, failure);
        if self.only_failures && failure.is_none() {
            return;
        }
        let Some(weight) = app
            .logs
            .wants(self.kind(status, failure), self.call.now, took)
        else {
            return;
        };
        let auth = self.call.actor.record().map(|record| {
            (
                record.collection().name.clone(),
                compact_str::CompactString::from(record.id()),
            )
        });
        let api_key = self.call.actor.key().map(|key| key.id.clone());
        app.logs.request(Request {
            at: self.call.now,
            exec_ms: took.as_secs_f64() * 1000.0,
            method: self.call.method,
            url: self
                .uri
                .path_and_query()
                .map_or("/", |p| p.as_str())
                .to_owned(),
            status: status.as_u16(),
            referer: self.referer,
            user_agent: self.call.user_agent,
            auth,
            api_key,
            user_ip: self.call.client_ip,
            remote_ip: self.call.remote_ip,
            failure: failure.map(|f| (f.message.clone(), f.details.clone())),
            refusal: failure.and_then(|f| f.refusal.clone()),
            request_id: names.request,
            trace_id: names.trace,
            weight,
        });
    }

    fn kind(&self, status: StatusCode, failure: Option<&FaultLog>) -> Kind {
        const ENTRANCES: [&str; 5] = [
            "/auth-with-",
            "/auth-refresh",
            "/confirm-",
            "/request-",
            "/impersonate/",
        ];
        let path = self.uri.path();
        if failure.is_some() {
            Kind::Failure
        } else if status.as_u16() >= 400 || ENTRANCES.iter().any(|part| path.contains(part)) {
            Kind::SignIn
        } else {
            Kind::Ordinary
        }
    }

    /// For standard error: failures of ours always, everything when asked for.
    fn print(&self, names: &Names, status: StatusCode, took: Duration, failure: Option<&FaultLog>) {
        if status.is_server_error() {
            let cause = failure
                .map(|f| json::to_text(&f.details))
                .unwrap_or_default();
            tracing::error!(
                request_id = %names.request,
                status = status.as_u16(),
                %cause,
                "request failed"
            );
        }
        if tracing::enabled!(tracing::Level::INFO) {
            let url = self.uri.path_and_query().map_or("/", |p| p.as_str());
            tracing::info!(
                request_id = %names.request,
                trace_id = names.trace.as_deref().unwrap_or(""),
                method = %self.call.method,
                url = %redacted(url),
                status = status.as_u16(),
                ms = took.as_secs_f64() * 1000.0,
                "request"
            );
        }
    }
}
