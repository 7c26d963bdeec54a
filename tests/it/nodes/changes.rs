//! Changes made on one server are heard on all others, in order, and hold there.

use std::thread;

use serde_json::json;

use crate::realtime::ears::{Socket, Stream, is};
use crate::realtime::world::{collection, create, delete, edit, update};
use crate::support::{Person, Request, TestApp, until};

/// The same person, who asks another server.
fn at(t: &TestApp, who: &Person) -> Person {
    t.guest().with_token(who.token())
}

#[test]
fn a_client_of_one_server_hears_what_is_written_on_another_in_order() {
    let a = TestApp::node();
    let b = a.beside();
    collection(&a, "posts", Some(""), &[]);
    let sue = a.superuser();
    let mut socket = Socket::open(&b);
    socket.subscribe("posts/*");
    let mut stream = Stream::of(&b, &b.guest(), &["posts/*"]);

    let one = create(&sue, "posts", &json!({"title": "one"}));
    let two = create(&sue, "posts", &json!({"title": "two"}));
    update(&sue, "posts", &one, &json!({"title": "uno"}));
    update(&sue, "posts", &one, &json!({"title": "eins"}));
    delete(&sue, "posts", &two);

    let expected = [
        is("create", "one"),
        is("create", "two"),
        is("update", "uno"),
        is("update", "eins"),
        is("delete", "two"),
    ];
    for event in expected {
        assert_eq!(socket.event(), event);
        assert_eq!(stream.event(), event);
    }
}

#[test]
fn everybody_hears_the_same_order_whoever_writes() {
    const WRITES: usize = 25;
    let a = TestApp::node();
    let (b, c) = (a.beside(), a.beside());
    collection(&a, "posts", Some(""), &[]);
    let sue = a.superuser();
    let mut ears: Vec<Socket> = [&a, &b, &c]
        .map(|node| {
            let mut socket = Socket::open(node);
            socket.subscribe("posts/*");
            socket
        })
        .into();

    thread::scope(|scope| {
        for (name, node) in [("a", &a), ("b", &b), ("c", &c)] {
            let who = at(node, &sue);
            scope.spawn(move || {
                for n in 0..WRITES {
                    create(&who, "posts", &json!({"title": format!("{name}{n}")}));
                }
            });
        }
    });

    let heard: Vec<Vec<_>> = ears
        .iter_mut()
        .map(|socket| (0..3 * WRITES).map(|_| socket.event().1).collect())
        .collect();
    assert_eq!(heard[0], heard[1]);
    assert_eq!(heard[0], heard[2]);
    for name in ["a", "b", "c"] {
        let of_one: Vec<_> = heard[0].iter().filter(|t| t.starts_with(name)).collect();
        let in_order: Vec<_> = (0..WRITES).map(|n| format!("{name}{n}")).collect();
        assert_eq!(of_one, in_order.iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_client_goes_on_at_another_server_where_it_was() {
    let a = TestApp::node();
    let b = a.beside();
    collection(&a, "posts", Some(""), &[]);
    let sue = a.superuser();
    let mut socket = Socket::open(&a);
    socket.subscribe("posts/*");
    create(&sue, "posts", &json!({"title": "heard"}));
    let frame = socket.next();
    assert_eq!(frame["record"]["title"], "heard");
    let cursor = frame["cursor"].as_str().unwrap().to_owned();
    drop(socket);
    create(&sue, "posts", &json!({"title": "missed on a"}));
    create(&at(&b, &sue), "posts", &json!({"title": "missed on b"}));

    let mut socket = Socket::open(&b);
    socket.subscribe_with(json!({"topic": "posts/*", "since": cursor}));
    create(&sue, "posts", &json!({"title": "live"}));

    for title in ["missed on a", "missed on b", "live"] {
        assert_eq!(socket.event(), is("create", title));
    }
}

#[test]
fn a_live_query_is_true_whoever_writes() {
    let a = TestApp::node();
    let b = a.beside();
    collection(&a, "posts", Some(""), &[]);
    let sue = a.superuser();
    create(&sue, "posts", &json!({"title": "one", "n": 1}));
    let mut socket = Socket::open(&b);
    let answer = socket.ask("live", json!({"collection": "posts", "sort": "n"}));
    assert_eq!(answer["type"], "ok", "{answer}");
    let snapshot = socket.next();
    assert_eq!(snapshot["items"].as_array().unwrap().len(), 1, "{snapshot}");

    create(&sue, "posts", &json!({"title": "zero", "n": 0}));

    let diff = socket.next();
    assert_eq!(diff["changes"][0]["record"]["title"], "zero", "{diff}");
    assert_eq!(diff["changes"][0]["index"], 0, "{diff}");
}

#[test]
fn a_collection_is_there_on_every_server_once_it_was_made_on_one() {
    let a = TestApp::node();
    let b = a.beside();
    let mut socket = Socket::open(&b);
    for n in 0..5 {
        let name = format!("heard{n}");
        collection(&a, &name, Some(""), &[]);
        socket.subscribe(&format!("{name}/*"));
        let name = format!("asked{n}");
        collection(&a, &name, Some(""), &[]);
        let answer = socket.ask("live", json!({"collection": name}));
        assert_eq!(answer["type"], "ok", "{answer}");
        let name = format!("posts{n}");
        collection(&a, &name, Some(""), &[]);
        // No waiting: the other server looks before it says that there is none.
        let path = format!("/api/collections/{name}/records");
        assert_eq!(b.guest().get(&path).status, 200);
    }
    let nothing = b.guest().get("/api/collections/nothing/records");
    assert_eq!(nothing.status, 404);
}

#[test]
fn rules_and_fields_changed_on_one_server_hold_on_the_others() {
    let a = TestApp::node();
    let b = a.beside();
    collection(&a, "posts", Some(""), &[]);
    let sue = a.superuser();
    create(&sue, "posts", &json!({"title": "one"}));
    let mut socket = Socket::open(&b);
    socket.subscribe("posts/*");
    let path = "/api/collections/posts/records";
    assert_eq!(b.guest().get(path).status, 200);

    edit(&sue, "posts", &json!({"listRule": null}));

    assert_eq!(
        a.guest().get(path).status,
        403,
        "where it was changed, at once"
    );
    until("the rule holds on the other server", || {
        b.guest().get(path).status == 403
    });
    let ended = socket.next();
    assert_eq!(ended["status"], 403, "{ended}");
    create(&at(&b, &sue), "posts", &json!({"title": "two"}));
}

#[test]
fn settings_changed_on_one_server_hold_on_the_others_and_none_is_lost() {
    let a = TestApp::node();
    let b = a.beside();
    let sue = a.superuser();
    let there = at(&b, &sue);
    let name = |who: &Person| who.get("/api/settings").ok()["meta"]["appName"].clone();

    sue.patch("/api/settings", &json!({"meta": {"appName": "Two"}}))
        .ok();
    assert_eq!(name(&sue), "Two");
    until("the other server knows the name", || name(&there) == "Two");

    // At the same time, of different things: each is laid over what the other one has saved.
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..10 {
                let patch = json!({"batch": {"maxRequests": 100 + n}});
                sue.patch("/api/settings", &patch).ok();
            }
        });
        for n in 0..10 {
            let patch = json!({"logs": {"maxDays": 10 + n}});
            there.patch("/api/settings", &patch).ok();
        }
    });
    for who in [&sue, &there] {
        until("both hold on both", || {
            let settings = who.get("/api/settings").ok();
            settings["batch"]["maxRequests"] == 109 && settings["logs"]["maxDays"] == 19
        });
    }
}

#[test]
fn views_that_stand_on_views_go_together() {
    let a = TestApp::node();
    collection(&a, "posts", Some(""), &[]);
    let sue = a.superuser();
    for (name, from) in [("seen", "posts"), ("shown", "seen")] {
        let query = format!("SELECT id, title FROM {from}");
        let view = json!({"name": name, "type": "view", "viewQuery": query});
        sue.post("/api/collections", &view).ok();
    }
    let only = json!({"deleteMissing": true, "collections": [{"name": "other"}]});
    let request = Request::new("PUT", "/api/collections/import").json(&only);

    assert_eq!(sue.send(request).status, 204);

    assert_eq!(sue.get("/api/collections/posts").status, 404);
    assert_eq!(sue.get("/api/collections/other").status, 200);
}
