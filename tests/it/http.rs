//! The rim: hostile bodies, headers around every answer, callers, paths. Nothing here may end in a 500, a panic or a hang.

use serde_json::json;

use crate::support::{Request, TestApp};

fn posts() -> serde_json::Value {
    json!({
        "name": "posts",
        "type": "base",
        "fields": [
            {"type": "text", "name": "title"},
            {"type": "number", "name": "n"},
            {"type": "json", "name": "data"},
            {"type": "bool", "name": "flag"},
        ],
        "listRule": "", "viewRule": "", "createRule": "", "updateRule": "", "deleteRule": "",
    })
}

const CREATE: &str = "/api/collections/posts/records";

/// Every malformed body: its name, type, bytes and the status that the contract gives it.
#[expect(clippy::too_many_lines, reason = "a table: one row a body")]
fn hostile() -> Vec<(&'static str, &'static str, Vec<u8>, u16)> {
    let deep = |open: &str, close: &str| {
        format!("{}{}", open.repeat(100_000), close.repeat(100_000)).into_bytes()
    };
    let multipart = "multipart/form-data; boundary=XX";
    let part = |name: &str, value: &str| {
        format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    vec![
        (
            "truncated",
            "application/json",
            b"{\"title\":".to_vec(),
            400,
        ),
        ("array", "application/json", b"[]".to_vec(), 400),
        ("scalar", "application/json", b"1".to_vec(), 400),
        ("null is empty", "application/json", b"null".to_vec(), 200),
        (
            "trailing text",
            "application/json",
            b"{\"title\":\"x\"} tail".to_vec(),
            200,
        ),
        (
            "duplicate keys",
            "application/json",
            b"{\"title\":1,\"title\":2}".to_vec(),
            400,
        ),
        (
            "invalid UTF-8",
            "application/json",
            b"{\"title\":\"\xff\"}".to_vec(),
            400,
        ),
        (
            "lone surrogate",
            "application/json",
            b"{\"title\":\"\\ud800\"}".to_vec(),
            400,
        ),
        ("deep arrays", "application/json", deep("[", "]"), 400),
        (
            "deep objects",
            "application/json",
            deep("{\"a\":", "}"),
            400,
        ),
        (
            "deep json field",
            "application/json",
            [b"{\"data\":".to_vec(), deep("[", "]"), b"}".to_vec()].concat(),
            400,
        ),
        (
            "huge number",
            "application/json",
            b"{\"n\":1e400}".to_vec(),
            400,
        ),
        (
            "long digits",
            "application/json",
            format!("{{\"n\":{}}}", "9".repeat(300)).into_bytes(),
            200,
        ),
        (
            "prototype keys",
            "application/json",
            b"{\"__proto__\":{\"a\":1},\"constructor\":1,\"title\":\"x\"}".to_vec(),
            200,
        ),
        (
            "SQL in keys",
            "application/json",
            b"{\"title\\\"; DROP TABLE posts; --\":1}".to_vec(),
            200,
        ),
        (
            "prefix of the type counts",
            "application/jsonx",
            b"{}".to_vec(),
            200,
        ),
        (
            "case of the type counts",
            "APPLICATION/JSON",
            b"{}".to_vec(),
            400,
        ),
        ("plain text", "text/plain", b"x".to_vec(), 400),
        (
            "xml with entities",
            "application/xml",
            b"<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>".to_vec(),
            400,
        ),
        ("no type", "", b"{}".to_vec(), 400),
        (
            "multipart without boundary",
            "multipart/form-data",
            b"--XX--\r\n".to_vec(),
            400,
        ),
        (
            "multipart without end",
            multipart,
            part("title", "x").into_bytes(),
            400,
        ),
        (
            "multipart of nothing",
            multipart,
            b"--XX--\r\n".to_vec(),
            200,
        ),
        ("multipart garbage", multipart, b"garbage".to_vec(), 400),
        (
            "multipart bad header",
            multipart,
            b"--XX\r\n\xff\xfe\r\n\r\nx\r\n--XX--\r\n".to_vec(),
            400,
        ),
        (
            "bad @jsonPayload",
            multipart,
            format!("{}--XX--\r\n", part("@jsonPayload", "{")).into_bytes(),
            400,
        ),
        (
            "deep @jsonPayload",
            multipart,
            format!("{}--XX--\r\n", part("@jsonPayload", &"[".repeat(100_000))).into_bytes(),
            400,
        ),
        (
            "many parts",
            multipart,
            format!("{}--XX--\r\n", part("a", "b").repeat(3_000)).into_bytes(),
            400,
        ),
        (
            "many pairs",
            "application/x-www-form-urlencoded",
            "a=b&".repeat(200_000).into_bytes(),
            200,
        ),
        (
            "bad escapes",
            "application/x-www-form-urlencoded",
            b"title=%zz&%=1&;=2".to_vec(),
            200,
        ),
        (
            "bad urlencoded payload",
            "application/x-www-form-urlencoded",
            b"@jsonPayload=%7B".to_vec(),
            400,
        ),
    ]
}

#[test]
fn every_malformed_body_gets_the_contracts_status() {
    let t = TestApp::new();
    t.collection(&posts());

    for (name, content_type, body, status) in hostile() {
        let mut request = Request::new("POST", CREATE);
        request = if content_type.is_empty() {
            request.body("X-Nothing", body)
        } else {
            request.body(content_type, body)
        };
        let reply = t.guest().send(request);
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        if status == 400 {
            assert_eq!(reply.json()["data"], json!({}), "{name}");
        }
    }
    assert_eq!(t.guest().get("/api/health").status, 200);
}

#[test]
fn forms_with_values_of_another_type_are_400() {
    let t = TestApp::new();
    let sue = t.superuser();

    for (path, body) in [
        (
            "/api/collections/users/auth-with-password",
            json!({"identity": 1}),
        ),
        ("/api/sql", json!({"query": ["x"]})),
        ("/api/settings/test/s3", json!({"filesystem": {}})),
        ("/api/settings/test/email", json!({"email": false})),
    ] {
        let reply = sue.post(path, &body);
        reply.is(400, "An error occurred while loading the submitted data.");
    }
}

#[test]
fn bodies_past_their_limit_are_413_declared_or_not() {
    let t = TestApp::new();
    t.collection(&posts());
    let large = vec![b' '; 34 << 20];

    let declared = Request::new("POST", CREATE).body("application/json", large.clone());
    t.guest()
        .send(declared)
        .is(413, "Request entity too large.");
    let size = format!("{:x}\r\n", large.len()).into_bytes();
    let chunked = [size, large, b"\r\n0\r\n\r\n".to_vec()].concat();
    let chunked = Request::new("POST", CREATE)
        .header("Transfer-Encoding", "chunked")
        .body("application/json", chunked)
        .without_length();
    t.guest().send(chunked).is(413, "Request entity too large.");
    let elsewhere =
        Request::new("PATCH", "/api/settings").body("application/json", vec![b' '; 33 << 20]);
    t.guest()
        .send(elsewhere)
        .is(413, "Request entity too large.");
}

#[test]
fn bodies_of_gets_and_deletes_are_parsed_too() {
    let t = TestApp::new();
    t.collection(&posts());

    for method in ["GET", "DELETE"] {
        let path = if method == "GET" {
            CREATE.to_owned()
        } else {
            format!("{CREATE}/x")
        };
        let reply = t
            .guest()
            .send(Request::new(method, &path).body("text/plain", "x"));
        reply.is(400, "Unsupported Content-Type.");
    }
    let empty = Request::new("GET", CREATE).header("Content-Type", "text/plain");
    assert_eq!(t.guest().send(empty).status, 200);
}

#[test]
fn form_values_are_inferred_and_the_query_leaks_into_forms() {
    let t = TestApp::new();
    t.collection(&posts());
    let create = |path: &str, request: fn(Request) -> Request| {
        t.guest().send(request(Request::new("POST", path))).ok()
    };

    let made = create(&format!("{CREATE}?title=abc"), |r| {
        r.multipart(
            &[
                ("n", "1.5"),
                ("data", "0010"),
                ("@jsonPayload", "{\"flag\":true}"),
            ],
            &[],
        )
    });
    assert_eq!(made["title"], "abc");
    assert_eq!((&made["n"], &made["flag"]), (&json!(1.5), &json!(true)));
    let made = create(&format!("{CREATE}?data=2"), |r| {
        r.body("application/x-www-form-urlencoded", "data=1")
    });
    assert_eq!(made["data"], json!([1, 2]));
    let made = create(&format!("{CREATE}?title=abc"), |r| r.json(&json!({})));
    assert_eq!(made["title"], "");
}

#[test]
fn every_answer_carries_the_security_headers() {
    let t = TestApp::new();
    for path in ["/api/health", "/api/nope", "/_/", "/api/settings"] {
        let reply = t.guest().get(path);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "SAMEORIGIN"),
            ("x-xss-protection", "1; mode=block"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), value, "{path}");
        }
        assert!(
            reply
                .headers
                .contains(&("vary".to_owned(), "Origin".to_owned()))
        );
        assert_eq!(reply.header("access-control-allow-origin"), "");
    }
    let foreign = Request::new("GET", "/api/nope").header("Origin", "https://a.example.com");
    let reply = t.guest().send(foreign);
    assert_eq!(reply.header("access-control-allow-origin"), "*");
}

#[test]
fn preflights_succeed_anywhere_and_leave_no_line() {
    let t = TestApp::new();
    let preflight = Request::new("OPTIONS", "/api/no/such/path")
        .header("Origin", "https://a.example.com")
        .header("Access-Control-Request-Method", "PATCH")
        .header("Access-Control-Request-Headers", "authorization,x-a");

    let reply = t.guest().send(preflight);

    assert_eq!(reply.status, 204);
    assert_eq!(
        reply.header("access-control-allow-methods"),
        "GET,HEAD,PUT,PATCH,POST,DELETE"
    );
    assert_eq!(
        reply.header("access-control-allow-headers"),
        "authorization,x-a"
    );
    assert_eq!(reply.header("x-frame-options"), "");
    t.wait(t.app.logs.flush());
    assert_eq!(t.superuser().get("/api/logs").ok()["totalItems"], 0);
}

#[test]
fn origins_match_exactly_when_they_are_listed() {
    let t = TestApp::configured(|config| {
        config.origins = vec!["https://app.example.com".to_owned()];
    });
    for (origin, allowed) in [
        ("https://app.example.com", "https://app.example.com"),
        ("https://app.example.com.evil.com", ""),
        ("http://app.example.com", ""),
        ("null", ""),
    ] {
        let reply = t
            .guest()
            .send(Request::new("GET", "/api/health").header("Origin", origin));
        assert_eq!(
            reply.header("access-control-allow-origin"),
            allowed,
            "{origin}"
        );
    }
}

#[test]
fn there_is_no_405_and_slashes_count() {
    let t = TestApp::new();
    let guest = t.guest();

    guest.get("/api/batch").is(404, "File not found.");
    guest.get("/api/health/").is(404, "File not found.");
    for method in ["POST", "PUT", "DELETE"] {
        let reply = guest.send(Request::new(method, "/api/health"));
        reply.is(404, "The requested resource wasn't found.");
        assert_eq!(reply.header("allow"), "");
    }
    let head = guest.send(Request::new("HEAD", "/api/health"));
    let get = guest.get("/api/health");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

#[test]
fn health_tells_superusers_more_and_fields_narrow_it() {
    let t = TestApp::new();

    assert_eq!(
        t.guest().get("/api/health").text(),
        r#"{"message":"API is healthy.","code":200,"data":{}}"#
    );
    let proxied = Request::new("GET", "/api/health").header("CF-Connecting-IP", "9.9.9.9");
    assert_eq!(
        t.superuser().send(proxied).ok()["data"],
        json!({"canBackup": true, "realIP": "127.0.0.1", "possibleProxyHeader": "CF-Connecting-IP"})
    );
    assert_eq!(
        t.guest().get("/api/health?fields=code").text(),
        r#"{"code":200}"#
    );
    t.guest()
        .get("/api/health?fields=message:excerpt(0)")
        .is(400, "Something went wrong while processing your request.");
}

#[test]
fn urls_are_taken_as_browsers_write_them() {
    let t = TestApp::new();
    t.collection(&posts());
    t.guest().create("posts", &json!({"n": 2}));

    let found = t
        .guest()
        .get("/api/collections/posts/records?filter=n>1&&title=\"\"")
        .ok();

    assert_eq!(found["totalItems"], 1);
}

#[test]
fn bad_tokens_are_guests() {
    let t = TestApp::new();
    let sue = t.superuser();
    let long = "x".repeat(50_000);
    for token in ["", "x", "a.b.c", "Bearer", long.as_str()] {
        assert_eq!(
            sue.with_token(token).get("/api/health").ok()["data"],
            json!({}),
            "{token:.20}"
        );
        assert_eq!(sue.with_token(token).get("/api/settings").status, 401);
    }
    let bearer = sue.with_token(&format!("bEaReR {}", sue.token()));
    assert_eq!(bearer.get("/api/settings").status, 200);
    let spaced = sue.with_token(&format!("Bearer  {}", sue.token()));
    assert_eq!(spaced.get("/api/settings").status, 401);
}
