//! `/api/metrics`: what the server counts of itself, to superusers, at an address of its own to whoever reaches it, and to
//! a collector.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Method, Response, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tower_service::Service;

use super::answer::Answer;
use super::extract::Superuser;
use crate::app::App;
use crate::config::Otlp;
use crate::kit::json;
use crate::kit::limits::OTLP_TIMEOUT_SECS;
use crate::ops::metrics::Reading;
use crate::outbound::{Ask, Outbound, Reach};

/// Bytes of a collector's answer that are read.
const ANSWER_BYTES: usize = 64 << 10;

/// `GET /api/metrics`
pub(super) async fn view(State(app): State<App>, Superuser(_call): Superuser) -> Answer {
    Ok(told(&app))
}

fn told(app: &App) -> Response<Body> {
    let mut response = Response::new(Body::from(app.metrics.prometheus(&readings(app))));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}

/// What other services count.
fn readings(app: &App) -> Vec<Reading> {
    let size = |name: &str| {
        let path = app.config.dir.join(name);
        std::fs::metadata(path).map_or(0, |meta| meta.len())
    };
    let mut all = vec![
        Reading::counter(
            "burrow_changes_total",
            "Place of the newest entry of the change log.",
            app.store.head().position.0,
        ),
        Reading::gauge(
            "burrow_database_bytes",
            "Bytes of the main database.",
            size("data.db"),
        ),
        Reading::gauge(
            "burrow_wal_bytes",
            "Bytes of the write-ahead log.",
            size("data.db-wal"),
        ),
        Reading::gauge(
            "burrow_logs_bytes",
            "Bytes of the database of request logs.",
            size("auxiliary.db"),
        ),
        Reading::counter(
            "burrow_logs_lost_total",
            "Log lines that there was no room for.",
            app.logs.lost(),
        ),
        Reading::gauge(
            "burrow_writes_waiting",
            "Writes that wait for their turn.",
            app.store.writes_waiting() as u64,
        ),
        Reading::gauge(
            "burrow_realtime_connections",
            "Open realtime connections.",
            app.hub.connections() as u64,
        ),
    ];
    if let Some(reads) = app.store.replica_reads() {
        all.push(Reading::counter(
            "burrow_replica_reads_total",
            "Reads that the replica of the database was handed.",
            reads,
        ));
    }
    if app.config.ship.is_some() {
        let state = app.shipping.state();
        let until = state.shipped.map_or(0, |at| at.as_millis() / 1_000);
        all.push(Reading::gauge(
            "burrow_shipped_timestamp_seconds",
            "Until when every write is shipped, in seconds since 1970; 0 before the first copy.",
            u64::try_from(until).unwrap_or(0),
        ));
        all.push(Reading::gauge(
            "burrow_shipping_failing",
            "1 while writes cannot be shipped.",
            u64::from(state.trouble.is_some()),
        ));
    }
    all
}

/// Tells metrics on `listener`, at `/metrics` and `/api/metrics`, without asking who wants to know.
pub async fn serve_metrics(app: App, listener: TcpListener) {
    let tell = |State(app): State<App>| async move { told(&app) };
    let router = Router::new()
        .route("/metrics", get(tell))
        .route("/api/metrics", get(tell))
        .with_state(app);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let router = router.clone();
        let service =
            hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let mut router = router.clone();
                async move { router.call(request.map(Body::new)).await }
            });
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(hyper_util::rt::TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            connection.await.ok();
        });
    }
}

/// Sends metrics to a collector, again and again. One that cannot be reached is told of in the log, once until it is back.
pub async fn export(app: App, otlp: Otlp) {
    let outbound = Outbound::new(Vec::new());
    let mut tick = tokio::time::interval(otlp.every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut lost = false;
    loop {
        tick.tick().await;
        let failed = send(&app, &outbound, &otlp).await.err();
        match (&failed, lost) {
            (Some(why), false) => tracing::warn!(%why, "metrics do not reach their collector"),
            (None, true) => tracing::warn!("metrics reach their collector again"),
            _ => {}
        }
        lost = failed.is_some();
    }
}

async fn send(app: &App, outbound: &Outbound, otlp: &Otlp) -> Result<(), String> {
    let mut url = otlp.endpoint.clone();
    let path = format!("{}/v1/metrics", url.path().trim_end_matches('/'));
    url.set_path(&path);
    let mut headers = hyper::HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    for (name, value) in &otlp.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_str(value.reveal()).map_err(|error| error.to_string())?;
        headers.insert(name, value);
    }
    let body = json::to_text(&app.metrics.otlp(&readings(app), app.clock.now()));
    let reply = outbound
        .send(Ask {
            method: Method::POST,
            url,
            headers,
            body: body.into(),
            reach: Reach::Anywhere,
            timeout: Duration::from_secs(OTLP_TIMEOUT_SECS),
            answer_bytes_max: ANSWER_BYTES,
        })
        .await
        .map_err(|error| error.to_string())?;
    if reply.status.is_success() {
        return Ok(());
    }
    Err(format!("it answered {}", reply.status))
}
