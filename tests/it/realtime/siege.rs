//! What hostile clients ask of connections and channels, a row for each case, and what they try to use up; odd frames are
//! in `hostile`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::ears::{Socket, dial, is};
use super::world::{collection, create};
use crate::support::TestApp;

/// A short frame as bytes, masked with zeros: the payload stays as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    out.push(0x80 | u8::try_from(payload.len()).unwrap());
    out.extend([0; 4]);
    out.extend(payload);
    out
}

/// A WebSocket of which every byte is ours; nothing but its handshake has been read.
fn raw(t: &TestApp) -> TcpStream {
    let mut wire = dial(t);
    wire.write_all(
        b"GET /api/realtime HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
    )
    .unwrap();
    let mut answer = [0; 12];
    wire.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    wire
}

#[test]
fn messages_that_reach_for_more() {
    let t = TestApp::new();
    collection(
        &t,
        "posts",
        Some(""),
        &[json!({"type": "text", "name": "secret", "hidden": true})],
    );
    t.collection(&json!({"name": "locked", "type": "base"}));
    let root = t.superuser();
    root.patch(
        "/api/settings",
        &json!({"realtime": {"channels": [{"pattern": "room:*", "joinRule": "", "publishRule": ""}]}}),
    )
    .ok();
    let mut mal = Socket::of(&t, &t.user("mal"));
    mal.ask("join", json!({"channel": "room:1"}));
    let long = "x".repeat(3_000);
    for (kind, message, status) in [
        ("subscribe", json!({"topic": "locked/*"}), 403),
        ("subscribe", json!({"topic": "nowhere/*"}), 404),
        (
            "subscribe",
            json!({"topic": "posts/*", "filter": "secret = 'x'"}),
            400,
        ),
        (
            "subscribe",
            json!({"topic": "posts/*", "filter": "@request.auth.id = ''"}),
            403,
        ),
        (
            "subscribe",
            json!({"topic": "posts/*", "filter": "@collection.users.id = ''"}),
            403,
        ),
        (
            "subscribe",
            json!({"topic": "posts/*", "filter": "(".repeat(2_000)}),
            400,
        ),
        ("subscribe", json!({"topic": "posts/*", "filter": 7}), 400),
        ("subscribe", json!({"topic": format!("posts/{long}")}), 400),
        (
            "subscribe",
            json!({"topic": "posts/*", "since": "forged"}),
            400,
        ),
        (
            "subscribe",
            json!({"topic": "posts/*", "since": {"a": 1}}),
            400,
        ),
        ("unsubscribe", json!({"sub": "#room:1"}), 404),
        ("unsubscribe", json!({"sub": "999"}), 404),
        ("auth", json!({"token": "a.b.c"}), 401),
        ("auth", json!({"token": long}), 401),
        ("auth", json!({}), 400),
        ("publish", json!({"channel": "@oauth2", "event": "e"}), 400),
        ("publish", json!({"channel": "room:2", "event": "e"}), 400),
        ("publish", json!({"channel": "room:1", "event": long}), 400),
        (
            "presence",
            json!({"channel": "room:2", "presence": {}}),
            400,
        ),
        ("leave", json!({"channel": "room:2"}), 400),
        ("join", json!({"channel": "locked"}), 403),
        ("join", json!({"channel": ["room:1"]}), 400),
        ("hello", json!({}), 400),
        ("event", json!({"sub": "1", "record": {}}), 400),
    ] {
        let answer = mal.ask(kind, message.clone());
        assert_eq!(answer["type"], "error", "{kind} {message}: {answer}");
        assert_eq!(answer["status"], status, "{kind} {message}: {answer}");
        assert!(
            answer["message"].is_string() && answer["data"].is_object(),
            "{answer}"
        );
    }
    assert_eq!(mal.ask("ping", json!({}))["type"], "ok");
}

#[test]
fn what_others_are_told_of_a_connection_opens_nothing() {
    let t = TestApp::new();
    let root = t.superuser();
    root.patch(
        "/api/settings",
        &json!({"realtime": {"channels": [{"pattern": "*", "joinRule": "", "publishRule": ""}]}}),
    )
    .ok();
    let (mut ann, mut mal) = (Socket::open(&t), Socket::open(&t));
    ann.ask(
        "join",
        json!({"channel": "hall", "presence": {"name": "Ann"}}),
    );
    let joined = mal.ask("join", json!({"channel": "hall"}));
    ann.ask(
        "publish",
        json!({"channel": "hall", "event": "e", "payload": {"from": "mal"}}),
    );
    let secret = ann.hello["clientId"].as_str().unwrap();

    let told = format!("{joined}{}", mal.next());

    assert!(!told.contains(secret));
    assert_eq!(secret.len(), 40);
    for member in joined["members"].as_array().unwrap() {
        let body = json!({"clientId": member["member"], "subscriptions": ["hall"]});
        assert_eq!(t.guest().post("/api/realtime", &body).status, 404);
    }
    // The id of a socket is no id of a stream's either: its topics are its own.
    let body = json!({"clientId": secret, "subscriptions": []});
    let status = t.guest().post("/api/realtime", &body).status;
    assert!(status == 204 || status == 404);
    assert_eq!(ann.ask("ping", json!({}))["type"], "ok");
}

#[test]
fn a_client_that_talks_without_end_costs_nobody_else_anything() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let root = t.superuser();
    let mut neighbour = Socket::open(&t);
    neighbour.subscribe("posts/*");
    let mut wire = raw(&t);
    wire.set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let flood = frame(0x81, br#"{"type":"ping","id":1}"#).repeat(1_000);

    // It never reads: at some point nothing more is taken from it.
    let mut sent = 0_usize;
    while sent < 200 << 20 {
        match wire.write(&flood) {
            Ok(bytes) => sent += bytes,
            Err(_) => break,
        }
    }

    assert!(sent < 200 << 20, "the server takes whatever is sent");
    let began = Instant::now();
    create(&root, "posts", &json!({"title": "heard"}));
    assert_eq!(neighbour.event(), is("create", "heard"));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn connecting_and_dropping_leaves_nothing_behind() {
    let t = TestApp::new();
    let root = t.superuser();
    root.patch(
        "/api/settings",
        &json!({"realtime": {"channels": [{"pattern": "*", "joinRule": "", "publishRule": ""}]}}),
    )
    .ok();

    for n in 0..200 {
        let mut socket = Socket::open(&t);
        socket.ask(
            "join",
            json!({"channel": format!("c{n}"), "presence": {"n": n}}),
        );
        if n % 2 == 0 {
            socket.raw.send(Message::Close(None)).ok();
        }
    }

    let begin = Instant::now();
    loop {
        let stats = root.get("/api/realtime/stats").ok();
        let left = (
            &stats["connections"]["webSocket"],
            &stats["channels"]["open"],
            &stats["channels"]["members"],
        );
        if left == (&json!(0), &json!(0), &json!(0)) {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{stats}");
        std::thread::yield_now();
    }
}
