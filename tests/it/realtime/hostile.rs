//! Frames that no honest client sends, and what HTTP refuses tried over a socket.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::ears::{Socket, dial};
use super::world::collection;
use crate::support::{Request, TestApp};

/// Opens a socket by hand, offering compression; the stream behind the handshake, and the head of its answer.
fn knock(t: &TestApp) -> (TcpStream, String) {
    let mut stream = dial(t);
    stream
        .write_all(
            b"GET /api/realtime HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
              Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        )
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend_from_slice(&byte);
    }
    (stream, String::from_utf8(head).unwrap())
}

/// A masked frame: first byte, declared length, payload.
fn frame(first: u8, length: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match length {
        0..=125 => out.push(0x80 | u8::try_from(length).unwrap()),
        126..=65_535 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    // Masked with zeros: the payload is as it is.
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
    out
}

fn whole(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload.len() as u64, payload)
}

/// Reads to the end; the code of the close frame, or nothing when the connection was cut without one.
fn closed_with(stream: &mut TcpStream) -> Option<u16> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok();
    let mut rest = bytes.as_slice();
    while let [first, length, tail @ ..] = rest {
        let (length, tail) = match length {
            126 => (
                usize::from(u16::from_be_bytes([tail[0], tail[1]])),
                &tail[2..],
            ),
            127 => return None,
            short => (usize::from(*short), tail),
        };
        if first & 0x0f == 8 {
            return Some(u16::from_be_bytes([tail[0], tail[1]]));
        }
        rest = tail.get(length..)?;
    }
    None
}

/// S15: each breaks the connection that sent it, by the code that says why, and no other.
#[test]
fn odd_frames_end_their_own_connection() {
    const TEXT: u8 = 0x81;
    const FRAGMENT: u8 = 0x01;
    const MORE: u8 = 0x00;
    let t = TestApp::new();
    let mut bystander = Socket::open(&t);
    let kib = vec![b' '; 1 << 10];
    let endless: Vec<u8> = std::iter::once(whole(FRAGMENT, &kib))
        .chain((0..200).map(|_| whole(MORE, &kib)))
        .flatten()
        .collect();
    let empty_fragments: Vec<u8> = std::iter::once(whole(FRAGMENT, b"{"))
        .chain((0..20_000).map(|_| whole(MORE, b"")))
        .chain(std::iter::once(whole(0x80 | MORE, &vec![b' '; 70_000])))
        .flatten()
        .collect();
    let large = vec![b' '; (64 << 10) + 1];
    let mut unmasked = vec![TEXT, 2];
    unmasked.extend_from_slice(b"{}");
    for (what, bytes, codes) in [
        ("one byte too many", whole(TEXT, &large), &[1009_u16][..]),
        ("a length past all", frame(TEXT, 1 << 40, b"{"), &[1009]),
        (
            "a length with its first bit set",
            frame(TEXT, u64::MAX, b"{"),
            &[1009, 1002],
        ),
        ("fragments without end", endless, &[1009]),
        ("thousands of empty fragments", empty_fragments, &[1009]),
        ("a fragment of nothing", whole(MORE, b"x"), &[1002]),
        (
            "a text within a text",
            [whole(FRAGMENT, b"{"), whole(TEXT, b"}")].concat(),
            &[1002],
        ),
        (
            "compressed without agreement",
            whole(TEXT | 0x40, b"\x00"),
            &[1002],
        ),
        ("reserved bits", whole(TEXT | 0x30, b"{}"), &[1002]),
        ("an unknown kind", whole(0x83, b"{}"), &[1002]),
        ("a large ping", whole(0x89, &[b'x'; 126]), &[1002]),
        ("a ping in pieces", whole(0x09, b"x"), &[1002]),
        ("no mask", unmasked, &[1002]),
        ("binary", whole(0x82, b"x"), &[1003]),
        ("no UTF-8", whole(TEXT, b"\xff\xfe"), &[1007]),
        (
            "no UTF-8 over two fragments",
            [whole(FRAGMENT, b"\"\xc3"), whole(0x80 | MORE, b"\"")].concat(),
            &[1007],
        ),
    ] {
        let (mut stream, head) = knock(&t);
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(
            !head.to_lowercase().contains("extensions"),
            "compression was granted: {head}"
        );
        stream.write_all(&bytes).ok();

        let code = closed_with(&mut stream);

        // A client that is still sending may find the connection cut before the code reaches it.
        assert!(
            code.is_none_or(|code| codes.contains(&code)),
            "{what}: {code:?}"
        );
        assert_eq!(bystander.ask("ping", json!({}))["type"], "ok", "{what}");
    }
}

/// S15: what is only too much is worked off.
#[test]
fn floods_of_small_frames_are_worked_off() {
    let t = TestApp::new();
    let mut bystander = Socket::open(&t);
    let (mut stream, _) = knock(&t);
    let mut reader = stream.try_clone().unwrap();
    let pings: Vec<u8> = (0..20_000)
        .flat_map(|_| whole(0x89, b"are you there"))
        .collect();
    let reading = std::thread::spawn(move || {
        let mut seen = 0_usize;
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            seen += count;
            if buffer[..count]
                .windows(7)
                .any(|window| window == b"\"last\":")
                || String::from_utf8_lossy(&buffer[..count]).contains("\"id\":\"last\"")
            {
                return Some(seen);
            }
        }
        None
    });
    stream.write_all(&pings).unwrap();
    stream
        .write_all(&whole(0x81, br#"{"type":"ping","id":"last"}"#))
        .unwrap();

    assert!(
        reading.join().unwrap().is_some(),
        "the last message was not answered"
    );
    assert_eq!(bystander.ask("ping", json!({}))["type"], "ok");
}

/// S15: a handshake that is too large is no handshake.
#[test]
fn a_giant_handshake_is_refused() {
    let t = TestApp::new();
    let request = Request::new("GET", "/api/realtime")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", &"A".repeat(2 << 20));

    let status = t.guest().send(request).status;

    assert!([400, 431].contains(&status), "{status}");
}

/// S16: a socket is no way around what HTTP refuses.
#[test]
fn a_socket_refuses_what_http_refuses() {
    let t = TestApp::new();
    collection(&t, "locked", None, &[]);
    collection(
        &t,
        "open",
        Some(""),
        &[json!({"name": "secret", "type": "text", "hidden": true})],
    );
    let sue = t.superuser();
    let mut socket = Socket::open(&t);
    let deep = format!("{}n = 1{}", "(".repeat(1_300), ")".repeat(1_300));
    let long = format!("title = '{}'", "x".repeat(4_000));
    for (fields, status) in [
        (json!({"topic": "locked/*"}), 403),
        (json!({"topic": "nothing/*"}), 404),
        (json!({"topic": "open/*", "filter": "secret = 'x'"}), 400),
        (
            json!({"topic": "open/*", "filter": "@request.auth.id = ''"}),
            403,
        ),
        (
            json!({"topic": "open/*", "filter": "@collection.locked.n = 1"}),
            403,
        ),
        (json!({"topic": "open/*", "filter": deep}), 400),
        (json!({"topic": "open/*", "filter": long}), 400),
        (
            json!({"topic": "open/*", "filter": vec!["n = 1"; 201].join("||")}),
            400,
        ),
        (json!({"topic": "x".repeat(2_600)}), 400),
    ] {
        let answer = socket.ask("subscribe", fields.clone());
        assert_eq!(answer["status"], status, "{fields:.80}: {answer}");
    }

    let body = json!({"superuserIPs": ["10.1.2.0/24"], "trustedProxy": {"headers": []}});
    sue.patch("/api/settings", &body).ok();
    let answer = socket.ask("auth", json!({"token": sue.token()}));
    assert_eq!(
        answer["status"], 403,
        "a superuser from an address that is not listed"
    );
    assert_eq!(
        socket.ask("subscribe", json!({"topic": "locked/*"}))["status"],
        403
    );
}
