//! The three runs that tell a realtime that can be trusted from one that cannot: 2,000 updates in batches of 20 in order,
//! 300 batches without a stale end, and ten events that were missed.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::ears::{Socket, Stream};
use super::live::Folded;
use super::world::{collection, create};
use crate::support::{Person, TestApp};

/// Updates each of `ids` once, in one transaction, to `n` and the numbers after it.
fn batch(who: &Person, ids: &[String], n: usize) {
    let requests: Vec<Json> = ids
        .iter()
        .enumerate()
        .map(|(at, id)| {
            json!({
                "method": "PATCH", "url": format!("/api/collections/posts/records/{id}"),
                "body": {"n": n + at},
            })
        })
        .collect();
    who.post("/api/batch", &json!({"requests": requests})).ok();
}

fn posts(who: &Person, count: usize) -> Vec<String> {
    (0..count)
        .map(|at| create(who, "posts", &json!({"title": at.to_string(), "n": 0})))
        .collect()
}

#[test]
fn two_thousand_updates_in_batches_of_twenty_arrive_in_order() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let ids = posts(&sue, 20);
    let mut socket = Socket::open(&t);
    socket.subscribe("posts/*");
    let mut stream = Stream::of(&t, &t.guest(), &["posts/*"]);

    for round in 0..100 {
        batch(&sue, &ids, round * 20);
    }

    let numbers = |next: &mut dyn FnMut() -> Json| -> Vec<u64> {
        (0..2_000)
            .map(|_| next()["record"]["n"].as_u64().unwrap())
            .collect()
    };
    let expected: Vec<u64> = (0..2_000).collect();
    assert_eq!(numbers(&mut || socket.next()), expected);
    assert_eq!(numbers(&mut || stream.message().1), expected);
}

#[test]
fn after_each_of_three_hundred_batches_nobody_holds_anything_stale() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let ids = posts(&sue, 10);
    let mut socket = Socket::open(&t);
    socket.subscribe("posts/*");
    let mut live_socket = Socket::open(&t);
    let mut live = Folded::ask(
        &mut live_socket,
        json!({"collection": "posts", "sort": "n"}),
    );
    let mut held: HashMap<String, u64> = HashMap::new();

    for round in 1..=300 {
        batch(&sue, &ids, round * 10);
        for _ in 0..10 {
            let event = socket.next();
            let id = event["record"]["id"].as_str().unwrap().to_owned();
            held.insert(id, event["record"]["n"].as_u64().unwrap());
        }
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(held[id], (round * 10 + at) as u64);
        }
        live.take(&live_socket.next());
        let numbers: Vec<_> = live
            .items
            .iter()
            .map(|item| item["n"].as_u64().unwrap())
            .collect();
        let expected: Vec<_> = (0..10).map(|at| (round * 10 + at) as u64).collect();
        assert_eq!(numbers, expected);
    }
}

#[test]
fn ten_events_that_were_missed_are_heard_ten_of_ten() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let mut socket = Socket::open(&t);
    let cursor = socket.subscribe("posts/*")["cursor"].clone();
    drop(socket);

    let missed = posts(&sue, 10);

    let mut socket = Socket::open(&t);
    socket.subscribe_with(json!({"topic": "posts/*", "since": cursor}));
    let heard: Vec<String> = (0..10)
        .map(|_| socket.next()["record"]["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(heard, missed);
}
