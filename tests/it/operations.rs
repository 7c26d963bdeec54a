//! What whoever runs a server relies on: names of requests, metrics, samples in the log, limits and their headers, settings
//! that the environment decides.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use burrow::kit::secret::Secret;
use burrow::ops::settings::Logs;
use serde_json::{Value as Json, json};

use crate::support::{Person, Reply, Request, TestApp, until};

fn lines(t: &TestApp, sue: &Person, filter: &str) -> Vec<Json> {
    t.wait(t.app.logs.flush());
    let page = sue
        .get(&format!("/api/logs?perPage=1000&filter={filter}"))
        .ok();
    page["items"].as_array().unwrap().clone()
}

#[test]
fn every_answer_and_its_line_carry_the_name_of_the_request() {
    let t = TestApp::new();
    let sue = t.superuser();
    let ask = |headers: &[(&str, &str)]| -> Reply {
        let request = Request::new("GET", "/api/health");
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        t.guest().send(request)
    };
    let trace = "0af7651916cd43dd8448eb211c80319c";

    let drawn = ask(&[]);
    let given = ask(&[
        ("X-Request-Id", "from-the-proxy.1"),
        ("traceparent", &format!("00-{trace}-b7ad6b7169203331-01")),
    ]);
    let forged = ask(&[("X-Request-Id", "a b{\"c\"}")]);
    let refused = t.guest().get("/api/collections");

    assert_eq!(drawn.header("x-request-id").len(), 15);
    assert_eq!(given.header("x-request-id"), "from-the-proxy.1");
    assert_eq!(forged.header("x-request-id").len(), 15, "{forged:?}");
    assert_eq!(refused.header("x-request-id").len(), 15);
    let all = lines(&t, &sue, "data.requestId!=''");
    let line = |id: &str| {
        all.iter()
            .find(|line| line["data"]["requestId"] == id)
            .cloned()
    };
    assert_eq!(line("from-the-proxy.1").unwrap()["data"]["traceId"], trace);
    assert_eq!(
        line(refused.header("x-request-id")).unwrap()["data"]["status"],
        401
    );
    assert!(
        line(drawn.header("x-request-id")).unwrap()["data"]
            .get("traceId")
            .is_none()
    );
}

#[test]
fn beyond_the_limit_the_log_keeps_a_sample_that_stands_for_all_and_everything_that_matters() {
    let t = TestApp::new();
    let sue = t.superuser();
    sue.patch("/api/settings", &json!({"logs": {"maxPerSecond": 8}}))
        .ok();
    t.clock.advance(std::time::Duration::from_secs(3600));
    let guest = t.guest();
    for _ in 0..100 {
        assert_eq!(guest.get("/api/health").status, 200);
        assert_eq!(guest.get("/api/collections").status, 401);
    }

    let kept = lines(&t, &sue, "data.url='/api/health'");
    let refused = lines(&t, &sue, "data.status=401");

    assert!(kept.len() < 60, "{} lines", kept.len());
    assert_eq!(refused.len(), 100);
    assert!(
        refused
            .iter()
            .all(|line| line["data"].get("weight").is_none())
    );
    let stats = sue
        .get("/api/logs/stats?filter=data.url='/api/health'")
        .ok();
    let stands_for = stats[0]["total"].as_u64().unwrap();
    assert!((60..=140).contains(&stands_for), "{stands_for}");
}

#[test]
fn the_file_of_the_log_is_bounded_and_the_oldest_lines_go_first() {
    let t = TestApp::new();
    let sue = t.superuser();
    sue.patch(
        "/api/settings",
        &json!({"logs": {"maxSize": 400_000, "maxPerSecond": 0}}),
    )
    .ok();
    let long = "x".repeat(1_500);
    for n in 0..600 {
        t.guest().get(&format!("/api/health?n={n}&x={long}"));
        if n == 300 {
            t.clock.advance(std::time::Duration::from_secs(60));
        }
    }

    t.wait(t.app.logs.flush());
    let page = sue
        .get("/api/logs?perPage=1&sort=-@rowid&filter=data.url~'n=599'")
        .ok();

    assert_eq!(page["totalItems"], 1, "the newest is there");
    let all = sue.get("/api/logs?perPage=1").ok()["totalItems"]
        .as_u64()
        .unwrap();
    assert!(all < 600, "{all} lines");
    let refused = sue.patch("/api/settings", &json!({"logs": {"maxSize": -1}}));
    assert_eq!(
        refused.code("logs.maxSize"),
        "validation_min_greater_equal_than_required"
    );
}

#[test]
fn what_is_ours_in_the_settings_stays_when_pocketbase_saves() {
    let mut t = TestApp::new();
    let sue = t.superuser();
    sue.patch("/api/settings", &json!({"logs": {"maxPerSecond": 7}}))
        .ok();

    t.restart();

    let logs: Logs = t.app.settings.current().logs.clone();
    assert_eq!((logs.max_per_second, logs.max_size), (7, 1 << 30));
    let stored = t.superuser_again().post(
        "/api/sql",
        &json!({"query": "SELECT CAST(value AS TEXT) FROM _params WHERE id = 'settings'"}),
    );
    assert!(!stored.text().contains("maxPerSecond"), "{}", stored.text());
}

#[test]
fn metrics_count_requests_and_name_nobody() {
    let t = TestApp::new();
    let sue = t.superuser();
    t.user("ann");
    t.guest().get("/api/health");
    t.guest()
        .get("/api/collections/users/records?filter=email='x'");

    let reply = sue.get("/api/metrics");
    let text = reply.text();

    assert_eq!(
        reply.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    for part in [
        "burrow_http_requests_total{method=\"GET\",status=\"200\"} ",
        "burrow_http_request_duration_seconds_bucket{le=\"+Inf\"} ",
        "burrow_http_requests_in_flight 1",
        "burrow_changes_total ",
        "burrow_build_info{version=",
        "process_resident_memory_bytes ",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    for name in ["users", "ann", "127.0.0.1", "_superusers", "email"] {
        assert!(!text.contains(name), "{name}");
    }
    assert_eq!(t.guest().get("/api/metrics").status, 401);
    assert_eq!(t.user("bob").get("/api/metrics").status, 403);
}

#[test]
fn metrics_are_told_at_an_address_of_their_own() {
    let t = TestApp::new();
    let address = t.wait(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(burrow::http::serve_metrics(t.app.clone(), listener));
        address
    });
    let scraper = Person::at(address);

    assert!(
        scraper
            .get("/metrics")
            .text()
            .contains("burrow_uptime_seconds")
    );
    assert_eq!(
        scraper.get("/api/health").status,
        404,
        "and nothing else is"
    );
}

#[test]
fn metrics_reach_a_collector() {
    let t = TestApp::new();
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/base/", collector.local_addr().unwrap());
    t.guest().get("/api/health");
    let otlp = burrow::config::Otlp {
        endpoint: endpoint.parse().unwrap(),
        headers: vec![("x-api-key".to_owned(), Secret::new("hush".to_owned()))],
        every: std::time::Duration::from_secs(60),
    };
    assert!(!format!("{otlp:?}").contains("hush"));
    t.wait(async {
        tokio::spawn(burrow::http::export(t.app.clone(), otlp));
    });

    let (mut stream, _) = collector.accept().unwrap();
    let mut got = Vec::new();
    let mut buffer = [0; 65_536];
    let body = loop {
        let read = stream.read(&mut buffer).unwrap();
        got.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&got).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str::<Json>(body)
        {
            assert!(head.starts_with("POST /base/v1/metrics HTTP/1.1"), "{head}");
            assert!(
                head.to_ascii_lowercase().contains("x-api-key: hush"),
                "{head}"
            );
            break body;
        }
        assert!(read > 0, "{text}");
    };
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        .unwrap();

    let resource = &body["resourceMetrics"][0];
    assert_eq!(
        resource["resource"]["attributes"][0]["value"]["stringValue"],
        "burrow"
    );
    let metrics = resource["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let named = |name: &str| {
        metrics
            .iter()
            .find(|metric| metric["name"] == name)
            .unwrap()
    };
    let requests = named("burrow_http_requests_total");
    assert_eq!(requests["sum"]["isMonotonic"], true);
    assert_eq!(requests["sum"]["dataPoints"][0]["asDouble"], 1);
    assert_eq!(
        named("burrow_http_request_duration_seconds")["histogram"]["dataPoints"][0]["count"],
        "1"
    );
}

#[test]
fn limits_say_where_a_client_stands() {
    let t = TestApp::new();
    let sue = t.superuser();
    let rules = json!([{"label": "/api/health", "audience": "", "duration": 10, "maxRequests": 2}]);
    sue.patch(
        "/api/settings",
        &json!({"rateLimits": {"enabled": true, "rules": rules}}),
    )
    .ok();
    let guest = t.guest();
    let standing = |reply: &Reply| {
        [
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-reset",
            "retry-after",
        ]
        .map(|name| reply.header(name).to_owned())
    };

    let first = guest.get("/api/health");
    t.clock.advance(std::time::Duration::from_secs(4));
    let second = guest.get("/api/health");
    let third = guest.get("/api/health");
    let unbound = sue.get("/api/health");

    assert_eq!(standing(&first), ["2", "1", "10", ""]);
    assert_eq!(standing(&second), ["2", "0", "6", ""]);
    assert_eq!(standing(&third), ["2", "0", "6", "6"]);
    third.is(429, "Too Many Requests.");
    assert_eq!(standing(&unbound), ["", "", "", ""]);
    t.clock.advance(std::time::Duration::from_secs(6));
    assert_eq!(guest.get("/api/health").status, 200);
    assert!(
        sue.get("/api/metrics")
            .text()
            .contains("burrow_http_rate_limited_total 1")
    );
}

#[test]
fn only_a_listed_proxy_says_who_a_client_is() {
    let t = TestApp::new();
    let sue = t.superuser();
    let seen = |claims: &[&str]| {
        let request = Request::new("GET", "/api/health");
        let request = claims.iter().fold(request, |request, claim| {
            request.header("X-Forwarded-For", claim)
        });
        sue.send(request).ok()["data"]["realIP"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let set = |proxy: &Json| sue.patch("/api/settings", &json!({ "trustedProxy": proxy }));

    assert_eq!(
        seen(&["9.9.9.9"]),
        "127.0.0.1",
        "nobody is believed by default"
    );
    set(&json!({"headers": ["X-Forwarded-For"]})).ok();
    assert_eq!(seen(&["9.9.9.9, 8.8.8.8"]), "8.8.8.8");
    assert_eq!(
        seen(&["9.9.9.9", "7.7.7.7"]),
        "7.7.7.7",
        "the last line, the rightmost"
    );
    set(&json!({"addresses": ["10.0.0.0/8"]})).ok();
    assert_eq!(seen(&["9.9.9.9"]), "127.0.0.1", "past the proxy");
    set(&json!({"addresses": ["10.0.0.0/8", "127.0.0.1"]})).ok();
    assert_eq!(seen(&["9.9.9.9"]), "9.9.9.9");
    let refused = set(&json!({"addresses": ["nowhere"]}));
    assert_eq!(
        refused.code("trustedProxy.addresses.0"),
        "validation_invlaid_ip_or_subnet"
    );
}

#[test]
fn a_full_server_turns_away_and_recovers() {
    let t = TestApp::new();
    let guest = t.guest();
    let places: Vec<_> = std::iter::from_fn(|| {
        t.app
            .metrics
            .begin(burrow::kit::limits::REQUESTS_AT_ONCE_MAX)
    })
    .collect();

    let busy = guest.get("/api/health");

    busy.is(503, "The server is busy, please try again.");
    assert_eq!(busy.header("retry-after"), "1");
    drop(places);
    assert_eq!(guest.get("/api/health").status, 200);

    let room = t.app.metrics.room(
        burrow::kit::limits::BODIES_BYTES_MAX - 1_000,
        burrow::kit::limits::BODIES_BYTES_MAX,
    );
    let large = json!({"identity": "x".repeat(100_000), "password": "x"});
    let path = "/api/collections/users/auth-with-password";
    let refused = guest.post(path, &large);
    refused.is(503, "The server is busy, please try again.");
    drop(room);
    assert_eq!(guest.post(path, &large).status, 400);

    let connections: Vec<_> =
        std::iter::from_fn(|| t.app.metrics.connect(burrow::kit::limits::CONNECTIONS_MAX))
            .collect();
    assert_eq!(guest.get("/api/health").status, 503);
    drop(connections);
    until("there is room again", || {
        guest.get("/api/health").status == 200
    });
    // What is held is given back: nothing of all this stays counted.
    until("nothing is held", || {
        let text = t.superuser_again().get("/api/metrics").text();
        text.contains("burrow_http_body_bytes 0")
            && text.contains("burrow_http_requests_in_flight 1")
    });
    drop(TcpStream::connect(t.address()));
}

#[test]
fn what_the_environment_decides_holds_and_is_shown_as_fixed() {
    let variables = [
        ("BURROW_META_APP_NAME", "Decided"),
        ("BURROW_SMTP_PASSWORD", "hush"),
        ("BURROW_BATCH_MAX_REQUESTS", "7"),
    ];
    let mut t = TestApp::configured(|config| {
        let secret = |text: &str| Secret::new(text.to_owned());
        let pairs = variables.map(|(name, text)| (name.to_owned(), secret(text)));
        config.variables = pairs.to_vec();
    });
    let sue = t.superuser();

    let shown = sue.get("/api/settings").ok();
    assert_eq!(shown["meta"]["appName"], "Decided");
    assert_eq!(
        shown["fixed"],
        json!(["batch.maxRequests", "meta.appName", "smtp.password"])
    );
    assert!(!shown.to_string().contains("hush"));

    let refused = sue.patch("/api/settings", &json!({"META": {"AppName": "Mine"}}));
    assert_eq!(refused.code("meta.appName"), "validation_fixed");
    // A form sends all that it was shown, and changes something else.
    let mut form = shown.clone();
    form["meta"]["senderName"] = json!("Somebody");
    let saved = sue.patch("/api/settings", &form).ok();
    assert_eq!(saved["meta"]["senderName"], "Somebody");
    assert_eq!(
        t.app.settings.current().smtp.password.as_deref(),
        Some("hush")
    );

    t.restart_configured(|config| config.variables.clear());
    let sue = t.superuser_again();
    let shown = sue.get("/api/settings").ok();
    assert_eq!(
        shown["meta"]["appName"], "Acme",
        "what was stored is there again"
    );
    assert_eq!(shown["meta"]["senderName"], "Somebody");
    assert_eq!(t.app.settings.current().smtp.password.as_deref(), Some(""));
    assert!(shown.get("fixed").is_none());
}
