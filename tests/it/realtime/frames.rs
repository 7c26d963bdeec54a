//! What the endpoint bears: odd frames, too many subscriptions, foreign pages, readers that do not read, the end.

use serde_json::json;
use tokio_tungstenite::tungstenite::client;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Message};

use super::ears::{Socket, Stream, dial, is};
use super::world::{collection, create};
use crate::support::{Request, TestApp};

#[test]
fn a_message_too_large_closes_with_1009() {
    let t = TestApp::new();
    let mut socket = Socket::open(&t);

    socket.say(&" ".repeat((64 << 10) + 1));

    assert_eq!(socket.close_code(), 1009);
}

#[test]
fn binary_closes_with_1003() {
    let t = TestApp::new();
    let mut socket = Socket::open(&t);

    socket.raw.send(Message::binary(vec![1, 2, 3])).unwrap();

    assert_eq!(socket.close_code(), 1003);
}

#[test]
fn text_that_is_not_utf8_closes_with_1007() {
    let t = TestApp::new();
    let mut socket = Socket::open(&t);
    let header = FrameHeader {
        opcode: OpCode::Data(Data::Text),
        ..FrameHeader::default()
    };

    let frame = Frame::from_payload(header, vec![b'"', 0xff, 0xfe, b'"'].into());
    socket.raw.send(Message::Frame(frame)).unwrap();

    assert_eq!(socket.close_code(), 1007);
}

#[test]
fn garbage_is_answered_and_the_connection_stays() {
    let t = TestApp::new();
    let mut socket = Socket::open(&t);

    let deep = "[".repeat(60_000);
    for garbage in ["", "{", "[]", "null", "{\"type\":\"ping\"}", &deep] {
        socket.say(garbage);
        let answer = socket.next();
        assert_eq!(answer["type"], "error", "{answer}");
        assert_eq!(
            (&answer["id"], &answer["status"]),
            (&json!(null), &json!(400))
        );
    }

    assert_eq!(socket.ask("dance", json!({}))["status"], 400);
    assert_eq!(socket.ask("ping", json!({}))["type"], "ok");
}

#[test]
fn subscriptions_are_counted() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let mut socket = Socket::open(&t);

    for n in 0..1_000 {
        socket.subscribe(&format!("posts/{n}"));
    }

    assert_eq!(
        socket.ask("subscribe", json!({"topic": "posts/x"}))["status"],
        400
    );
    let topics: Vec<String> = (0..1_001).map(|n| format!("posts/{n}")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let refused = Stream::open(&t).submit(&t.guest(), &topics);
    assert_eq!(refused.status, 400);
    assert_eq!(refused.code("subscriptions"), "validation_length_too_long");
    let long = "x".repeat(2_501);
    let refused = Stream::open(&t).submit(&t.guest(), &["posts/*", &long]);
    assert_eq!(
        refused.code("subscriptions.1"),
        "validation_length_too_long"
    );
}

#[test]
fn pages_of_other_origins_are_refused_where_origins_are_listed() {
    let t = TestApp::configured(|config| config.origins = vec!["https://app.example".to_owned()]);
    let knock = |origin: &str| {
        let uri = format!("ws://{}/api/realtime", t.address());
        let request = ClientRequestBuilder::new(uri.parse().unwrap()).with_header("Origin", origin);
        client(request, dial(&t)).is_ok()
    };

    assert!(knock("https://app.example"));
    assert!(!knock("https://evil.example"));
}

/// A page elsewhere can make a browser send cookies, and an address ends up in logs: neither says who somebody is.
#[test]
fn a_token_in_the_address_or_in_a_cookie_is_nobodys_identity() {
    let t = TestApp::new();
    collection(&t, "locked", None, &[]);
    collection(&t, "open", Some(""), &[]);
    let sue = t.superuser();
    let token = sue.token();
    let query = format!("?token={token}&access_token={token}&authorization={token}");
    let cookie = format!("pb_auth={token}; token={token}");
    let mut socket = Socket::open_with(&t, &query, &[("Cookie", &cookie)]);
    let headers = format!("Cookie: {cookie}\r\n");
    let mut stream = Stream::open_with(&t, &query, &headers);

    let refused = socket.ask("subscribe", json!({"topic": "locked/*"}));
    socket.subscribe("open/*");
    assert_eq!(
        stream.submit(&t.guest(), &["locked/*", "open/*"]).status,
        204
    );
    create(&sue, "locked", &json!({"title": "locked"}));
    create(&sue, "open", &json!({"title": "open"}));

    assert_eq!(refused["status"], 403);
    assert_eq!(socket.event(), is("create", "open"));
    assert_eq!(stream.event(), is("create", "open"));
}

#[test]
fn a_broken_handshake_is_a_bad_request() {
    let t = TestApp::new();
    let request = Request::new("GET", "/api/realtime")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "12");

    assert_eq!(t.guest().send(request).status, 400);
}

#[test]
fn a_reader_that_does_not_read_holds_up_nobody_and_misses_nothing() {
    const RECORDS: usize = 3_000;
    let t = TestApp::new();
    collection(
        &t,
        "posts",
        Some(""),
        &[json!({"type": "text", "name": "body"})],
    );
    let sue = t.superuser();
    let mut slow = Socket::open(&t);
    slow.subscribe("posts/*");
    let mut stalled = Stream::of(&t, &t.guest(), &["posts/*"]);
    let mut quick = Socket::open(&t);
    quick.subscribe("posts/*");

    // Far more than the sockets' own buffers and both queues hold.
    let body = "x".repeat(4_000);
    let reader = std::thread::spawn(move || {
        for n in 0..RECORDS {
            assert_eq!(quick.next()["record"]["n"], n);
        }
    });
    for n in 0..RECORDS {
        create(&sue, "posts", &json!({"n": n, "body": body}));
    }
    reader.join().unwrap();

    for n in 0..RECORDS {
        assert_eq!(slow.next()["record"]["n"], n);
        assert_eq!(stalled.message().1["record"]["n"], n);
    }
    create(&sue, "posts", &json!({"title": "now"}));
    assert_eq!(slow.event(), is("create", "now"));
    assert_eq!(stalled.event(), is("create", "now"));
}

#[test]
fn sockets_hear_that_the_server_goes() {
    let t = TestApp::new();
    let mut socket = Socket::open(&t);

    t.app.hub.shutdown();

    assert_eq!(socket.close_code(), 1001);
}
