//! What the server counts of itself, and how it is told: as Prometheus reads it, and as OTLP sends it. Nothing here names
//! a person, an address, a collection or a record.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::kit::json::Json;
use crate::kit::time::Timestamp;

/// Upper ends of the buckets of durations, in microseconds.
const BUCKETS: [u64; 12] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 2_500_000,
    10_000_000,
];
/// Methods that are told apart.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OTHER"];
/// Statuses begin at 100.
const STATUSES: usize = 500;

/// Counters of this process. Cheap to clone, and to count with.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    started_at: Timestamp,
    /// By method, then by status.
    requests: Vec<AtomicU64>,
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
    at_once: AtomicU64,
    turned_away: AtomicU64,
    limited: AtomicU64,
    connections: AtomicU64,
    body_bytes: AtomicU64,
}

/// How a value behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// One value that is told.
#[derive(Clone, Debug)]
pub struct Reading {
    name: &'static str,
    help: &'static str,
    nature: Nature,
    labels: Vec<(&'static str, String)>,
    value: f64,
}

impl Reading {
    /// A value that only grows.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::new(name, help, Nature::Counter, precise(value))
    }

    /// A value that goes up and down.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::new(name, help, Nature::Gauge, precise(value))
    }

    fn new(name: &'static str, help: &'static str, nature: Nature, value: f64) -> Self {
        Self {
            name,
            help,
            nature,
            labels: Vec::new(),
            value,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "both formats speak in doubles")]
fn precise(value: u64) -> f64 {
    value as f64
}

/// A number that is one higher while this lives.
#[derive(Debug)]
pub struct Held {
    metrics: Metrics,
    of: fn(&Inner) -> &AtomicU64,
    by: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        (self.of)(&self.metrics.0).fetch_sub(self.by, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            started_at: now,
            requests: (0..METHODS.len() * STATUSES)
                .map(|_| AtomicU64::new(0))
                .collect(),
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            micros: AtomicU64::new(0),
            at_once: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            limited: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
        }))
    }

    /// A request was answered.
    pub fn answered(&self, method: &str, status: u16, took: Duration) {
        let known = METHODS.iter().position(|known| *known == method);
        let method = known.unwrap_or(METHODS.len() - 1);
        let status = usize::from(status).saturating_sub(100).min(STATUSES - 1);
        self.0.requests[method * STATUSES + status].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|end| *end < micros);
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// A place among at most `most` requests that are answered at the same time.
    #[must_use]
    pub fn begin(&self, most: usize) -> Option<Held> {
        self.hold(|inner| &inner.at_once, 1, most)
    }

    /// A place among at most `most` connections.
    #[must_use]
    pub fn connect(&self, most: usize) -> Option<Held> {
        self.hold(|inner| &inner.connections, 1, most)
    }

    /// Room for `bytes` among at most `most` of request bodies in memory.
    #[must_use]
    pub fn room(&self, bytes: usize, most: usize) -> Option<Held> {
        self.hold(|inner| &inner.body_bytes, bytes, most)
    }

    fn hold(&self, of: fn(&Inner) -> &AtomicU64, by: usize, most: usize) -> Option<Held> {
        let by = by as u64;
        let held = of(&self.0).fetch_add(by, Ordering::Relaxed);
        let held = (
            held.saturating_add(by) <= most as u64,
            Held {
                metrics: self.clone(),
                of,
                by,
            },
        );
        match held {
            (true, held) => Some(held),
            (false, _) => {
                self.0.turned_away.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// A client asked too often.
    pub fn limit(&self) {
        self.0.limited.fetch_add(1, Ordering::Relaxed);
    }

    /// As Prometheus reads it, with what others count.
    #[must_use]
    pub fn prometheus(&self, others: &[Reading]) -> String {
        let mut out = String::with_capacity(8 << 10);
        let mut last = "";
        for reading in self.own().iter().chain(others) {
            if reading.name != last {
                let nature = match reading.nature {
                    Nature::Counter => "counter",
                    Nature::Gauge => "gauge",
                };
                head(&mut out, reading.name, reading.help, nature);
                last = reading.name;
            }
            let labels: Vec<String> = reading
                .labels
                .iter()
                .map(|(key, value)| format!("{key}=\"{value}\""))
                .collect();
            let labels = match labels.as_slice() {
                [] => String::new(),
                labels => format!("{{{}}}", labels.join(",")),
            };
            line(
                &mut out,
                &format!("{}{labels} {}", reading.name, reading.value),
            );
        }
        self.durations(&mut out);
        out
    }

    fn durations(&self, out: &mut String) {
        const NAME: &str = "burrow_http_request_duration_seconds";
        head(
            out,
            NAME,
            "Time until the answer to a request was ready.",
            "histogram",
        );
        let mut count = 0;
        for (bucket, end) in self.0.buckets.iter().zip(BUCKETS) {
            count += bucket.load(Ordering::Relaxed);
            line(
                out,
                &format!("{NAME}_bucket{{le=\"{}\"}} {count}", seconds(end)),
            );
        }
        count += self.0.buckets[BUCKETS.len()].load(Ordering::Relaxed);
        line(out, &format!("{NAME}_bucket{{le=\"+Inf\"}} {count}"));
        line(
            out,
            &format!(
                "{NAME}_sum {}",
                seconds(self.0.micros.load(Ordering::Relaxed))
            ),
        );
        line(out, &format!("{NAME}_count {count}"));
    }

    fn own(&self) -> Vec<Reading> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut info = Reading::gauge("burrow_build_info", "1, with the version.", 1);
        info.labels
            .push(("version", env!("CARGO_PKG_VERSION").to_owned()));
        let mut all = vec![
            info,
            Reading::gauge(
                "burrow_uptime_seconds",
                "Time since the start.",
                self.0.started.elapsed().as_secs(),
            ),
            Reading::gauge(
                "burrow_http_requests_in_flight",
                "Requests that are being answered.",
                of(&self.0.at_once),
            ),
            Reading::gauge(
                "burrow_http_connections",
                "Open connections.",
                of(&self.0.connections),
            ),
            Reading::gauge(
                "burrow_http_body_bytes",
                "Bytes of request bodies in memory.",
                of(&self.0.body_bytes),
            ),
            Reading::counter(
                "burrow_http_turned_away_total",
                "Requests and connections turned away because the server was full.",
                of(&self.0.turned_away),
            ),
            Reading::counter(
                "burrow_http_rate_limited_total",
                "Requests refused by rate limits.",
                of(&self.0.limited),
            ),
        ];
        all.extend(process());
        for (at, counter) in self.0.requests.iter().enumerate() {
            let count = of(counter);
            if count == 0 {
                continue;
            }
            let mut reading =
                Reading::counter("burrow_http_requests_total", "Requests answered.", count);
            let status = at % STATUSES + 100;
            reading
                .labels
                .push(("method", METHODS[at / STATUSES].to_owned()));
            reading.labels.push(("status", status.to_string()));
            all.push(reading);
        }
        all
    }

    /// As one request of OTLP in JSON, with what others count, at `now`.
    #[must_use]
    pub fn otlp(&self, others: &[Reading], now: Timestamp) -> Json {
        let (start, now) = (nanos(self.0.started_at), nanos(now));
        let own = self.own();
        let mut metrics: Vec<Json> = own
            .iter()
            .chain(others)
            .map(|reading| reading.to_otlp(&start, &now))
            .collect();
        metrics.push(self.durations_otlp(&start, &now));
        serde_json::json!({ "resourceMetrics": [{
            "resource": { "attributes": [
                attribute("service.name", "burrow"),
                attribute("service.version", env!("CARGO_PKG_VERSION")),
            ]},
            "scopeMetrics": [{ "scope": { "name": "burrow" }, "metrics": metrics }],
        }]})
    }

    fn durations_otlp(&self, start: &str, now: &str) -> Json {
        let counts: Vec<u64> = self
            .0
            .buckets
            .iter()
            .map(|b| b.load(Ordering::Relaxed))
            .collect();
        let texts: Vec<String> = counts.iter().map(u64::to_string).collect();
        serde_json::json!({
            "name": "burrow_http_request_duration_seconds",
            "unit": "s",
            "histogram": {
                "aggregationTemporality": CUMULATIVE,
                "dataPoints": [{
                    "startTimeUnixNano": start,
                    "timeUnixNano": now,
                    "count": counts.iter().sum::<u64>().to_string(),
                    "sum": seconds(self.0.micros.load(Ordering::Relaxed)),
                    "bucketCounts": texts,
                    "explicitBounds": BUCKETS.map(seconds).to_vec(),
                }],
            },
        })
    }
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`
const CUMULATIVE: u8 = 2;

impl Reading {
    fn to_otlp(&self, start: &str, now: &str) -> Json {
        let attributes: Vec<Json> = self
            .labels
            .iter()
            .map(|(key, value)| attribute(key, value))
            .collect();
        let points = serde_json::json!([{
            "startTimeUnixNano": start,
            "timeUnixNano": now,
            "asDouble": self.value,
            "attributes": attributes,
        }]);
        let mut metric = serde_json::json!({ "name": self.name, "description": self.help });
        match self.nature {
            Nature::Gauge => metric["gauge"] = serde_json::json!({ "dataPoints": points }),
            Nature::Counter => {
                metric["sum"] = serde_json::json!({
                    "aggregationTemporality": CUMULATIVE,
                    "isMonotonic": true,
                    "dataPoints": points,
                });
            }
        }
        metric
    }
}

fn attribute(key: &str, value: &str) -> Json {
    serde_json::json!({ "key": key, "value": { "stringValue": value } })
}

fn nanos(at: Timestamp) -> String {
    i128::from(at.as_millis())
        .saturating_mul(1_000_000)
        .to_string()
}

fn seconds(micros: u64) -> f64 {
    precise(micros) / 1e6
}

fn head(out: &mut String, name: &str, help: &str, nature: &str) {
    line(out, &format!("# HELP {name} {help}"));
    line(out, &format!("# TYPE {name} {nature}"));
}

fn line(out: &mut String, text: &str) {
    // Writing to a text does not fail.
    writeln!(out, "{text}").ok();
}

/// What the system says of this process, where it does.
#[cfg(target_os = "linux")]
fn process() -> Vec<Reading> {
    let mut all = Vec::new();
    let page = rustix::param::page_size() as u64;
    let ticks = rustix::param::clock_ticks_per_second();
    let field =
        |text: &str, at: usize| text.split_whitespace().nth(at).and_then(|n| n.parse().ok());
    if let Ok(text) = std::fs::read_to_string("/proc/self/statm")
        && let Some(resident) = field(&text, 1)
    {
        let resident: u64 = resident;
        all.push(Reading::gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            resident.saturating_mul(page),
        ));
    }
    if let Ok(text) = std::fs::read_to_string("/proc/self/stat")
        && let Some((_, rest)) = text.rsplit_once(") ")
        && let (Some(user), Some(system)) = (field(rest, 11), field(rest, 12))
    {
        let (user, system): (u64, u64) = (user, system);
        all.push(Reading::new(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            Nature::Counter,
            precise(user + system) / precise(ticks.max(1)),
        ));
    }
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        all.push(Reading::gauge(
            "process_open_fds",
            "Number of open file descriptors.",
            entries.count() as u64,
        ));
    }
    all
}

/// What the system says of this process, where it does.
#[cfg(not(target_os = "linux"))]
fn process() -> Vec<Reading> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_by_method_and_status_and_as_a_histogram() {
        let metrics = Metrics::new(Timestamp::from_millis(0));
        metrics.answered("GET", 200, Duration::from_micros(700));
        metrics.answered("GET", 200, Duration::from_secs(100));
        metrics.answered("BREW", 418, Duration::ZERO);
        let text = metrics.prometheus(&[Reading::gauge("burrow_x", "X.", 7)]);
        for line in [
            "burrow_http_requests_total{method=\"GET\",status=\"200\"} 2",
            "burrow_http_requests_total{method=\"OTHER\",status=\"418\"} 1",
            "burrow_http_request_duration_seconds_bucket{le=\"0.0005\"} 1",
            "burrow_http_request_duration_seconds_bucket{le=\"0.001\"} 2",
            "burrow_http_request_duration_seconds_bucket{le=\"+Inf\"} 3",
            "# TYPE burrow_x gauge",
            "burrow_x 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        let heads = text.lines().filter(|line| line.starts_with("# TYPE"));
        let mut names: Vec<&str> = heads.collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "each name is introduced once");
    }

    #[test]
    fn places_are_given_up_when_they_are_dropped() {
        let metrics = Metrics::new(Timestamp::from_millis(0));
        let first = metrics.begin(2);
        let second = metrics.begin(2);
        assert!(first.is_some() && second.is_some() && metrics.begin(2).is_none());
        drop(first);
        assert!(metrics.begin(2).is_some());
        assert!(metrics.room(100, 99).is_none() && metrics.room(99, 99).is_some());
    }
}
