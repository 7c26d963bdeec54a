//! Whoever comes back with a cursor hears what he missed: everything he may see now, once, in order, then the present.

use std::sync::atomic::{AtomicBool, Ordering};

use burrow::store::{Cursor, Position};
use serde_json::{Value as Json, json};

use super::ears::{Socket, Stream, is};
use super::world::{collection, create, delete, edit, relation, update};
use crate::support::TestApp;

/// The cursor of the present.
fn now(t: &TestApp) -> String {
    let answer = Socket::open(t).ask("ping", json!({}));
    answer["cursor"].as_str().unwrap().to_owned()
}

fn since(socket: &mut Socket, topic: &str, cursor: &str) -> Json {
    let answer = socket.subscribe_with(json!({"topic": topic, "since": cursor}));
    assert_eq!(answer["cursor"], cursor);
    answer
}

#[test]
fn what_happened_meanwhile_is_told_once_in_its_last_state() {
    let t = TestApp::new();
    collection(&t, "posts", Some("n > 0"), &[]);
    let sue = t.superuser();
    let changed = create(&sue, "posts", &json!({"title": "changed", "n": 1}));
    let left = create(&sue, "posts", &json!({"title": "left", "n": 1}));
    let gone = create(&sue, "posts", &json!({"title": "gone", "n": 1}));
    let hidden = create(&sue, "posts", &json!({"title": "hidden", "n": 0}));
    let cursor = now(&t);

    update(&sue, "posts", &changed, &json!({"title": "once"}));
    update(&sue, "posts", &left, &json!({"n": 0}));
    update(&sue, "posts", &hidden, &json!({"title": "still hidden"}));
    let brief = create(&sue, "posts", &json!({"title": "brief", "n": 1}));
    delete(&sue, "posts", &brief);
    update(
        &sue,
        "posts",
        &hidden,
        &json!({"title": "hidden to the end"}),
    );
    delete(&sue, "posts", &hidden);
    create(&sue, "posts", &json!({"title": "new", "n": 1}));
    update(&sue, "posts", &changed, &json!({"title": "twice"}));
    delete(&sue, "posts", &gone);

    let mut socket = Socket::open(&t);
    since(&mut socket, "posts/*", &cursor);
    create(&sue, "posts", &json!({"title": "live", "n": 1}));
    assert_eq!(socket.event(), is("leave", ""));
    assert_eq!(socket.event(), is("delete", "brief"));
    assert_eq!(socket.event(), is("create", "new"));
    assert_eq!(socket.event(), is("update", "twice"));
    assert_eq!(socket.event(), is("delete", "gone"));
    assert_eq!(socket.event(), is("create", "live"));
}

/// A list that is fetched after a cursor was given holds what came since. What went again before the client resumes (or
/// before the hub reads the log for a slow one) was never at the cursor and is not there now, and yet must be told, or the
/// client holds it for ever.
#[test]
fn what_came_and_went_is_told_as_gone_to_whoever_may_have_fetched_it_between() {
    let t = TestApp::new();
    collection(&t, "posts", Some("n > 0"), &[]);
    let sue = t.superuser();
    let glimpsed = create(&sue, "posts", &json!({"title": "glimpsed", "n": 0}));
    let hidden = create(&sue, "posts", &json!({"title": "hidden", "n": 0}));
    let counted = create(&sue, "posts", &json!({"title": "counted", "n": 1}));
    let cursor = now(&t);

    let brief = create(&sue, "posts", &json!({"title": "brief", "n": 1}));
    let secret = create(&sue, "posts", &json!({"title": "secret", "n": 0}));
    update(&sue, "posts", &glimpsed, &json!({"n": 1}));
    for n in 0..5 {
        update(
            &sue,
            "posts",
            &glimpsed,
            &json!({"title": format!("glimpsed {n}")}),
        );
        update(
            &sue,
            "posts",
            &hidden,
            &json!({"title": format!("hidden {n}")}),
        );
        update(
            &sue,
            "posts",
            &counted,
            &json!({"title": format!("counted {n}")}),
        );
    }
    let list = t
        .guest()
        .get("/api/collections/posts/records?sort=title")
        .ok();
    let held: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["id"].as_str().unwrap())
        .collect();
    assert_eq!(held, [&*brief, &*counted, &*glimpsed]);
    update(&sue, "posts", &glimpsed, &json!({"n": 0}));
    update(&sue, "posts", &secret, &json!({"title": "still secret"}));
    delete(&sue, "posts", &secret);
    delete(&sue, "posts", &brief);

    let mut socket = Socket::open(&t);
    since(&mut socket, "posts/*", &cursor);
    create(&sue, "posts", &json!({"title": "live", "n": 1}));
    assert_eq!(socket.event(), is("update", "counted 4"));
    let left = socket.next();
    assert_eq!(
        (&left["action"], &left["record"]["id"]),
        (&json!("leave"), &json!(glimpsed))
    );
    assert_eq!(socket.event(), is("delete", "brief"));
    assert_eq!(socket.event(), is("create", "live"));
}

#[test]
fn every_cursor_on_the_way_misses_nothing() {
    let t = TestApp::new();
    collection(&t, "posts", Some("n > 0"), &[]);
    let sue = t.superuser();
    let first = create(&sue, "posts", &json!({"title": "first", "n": 1}));
    let second = create(&sue, "posts", &json!({"title": "second", "n": 1}));
    let cursor = now(&t);
    // The first one goes out of sight before the second one changes, and is told of after it.
    update(&sue, "posts", &first, &json!({"n": 0}));
    update(&sue, "posts", &second, &json!({"title": "changed"}));
    update(&sue, "posts", &first, &json!({"title": "hidden"}));

    let mut socket = Socket::open(&t);
    since(&mut socket, "posts/*", &cursor);
    let change = socket.next();
    assert_eq!(change["record"]["title"], "changed");
    assert_eq!(socket.next()["action"], "leave");

    let mut again = Socket::open(&t);
    let on_the_way = change["cursor"].as_str().unwrap();
    since(&mut again, "posts/*", on_the_way);
    let heard = [again.next(), again.next()];
    assert!(heard.iter().any(|event| event["action"] == "leave"));
}

#[test]
fn the_past_is_judged_by_the_identity_of_now() {
    let t = TestApp::new();
    let owner = relation(&t, "owner", "users", false);
    collection(
        &t,
        "posts",
        Some("owner = @request.auth.id || n = 7"),
        &[owner],
    );
    let (sue, ann, bob) = (t.superuser(), t.user("ann"), t.user("bob"));
    let cursor = now(&t);
    create(&sue, "posts", &json!({"title": "Ann's", "owner": ann.id}));
    create(&sue, "posts", &json!({"title": "Bob's", "owner": bob.id}));
    create(&sue, "posts", &json!({"title": "all", "n": 7}));

    let mut of_bob = Socket::of(&t, &bob);
    since(&mut of_bob, "posts/*", &cursor);
    let mut guest = Socket::open(&t);
    since(&mut guest, "posts/*", &cursor);

    assert_eq!(of_bob.event(), is("create", "Bob's"));
    assert_eq!(of_bob.event(), is("create", "all"));
    assert_eq!(guest.event(), is("create", "all"));
}

#[test]
fn one_record_can_be_resumed_alone_with_filter_and_fields() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let one = create(&sue, "posts", &json!({"title": "one", "n": 1}));
    let other = create(&sue, "posts", &json!({"title": "other", "n": 1}));
    let cursor = now(&t);
    update(&sue, "posts", &other, &json!({"n": 2}));
    update(&sue, "posts", &one, &json!({"n": 2}));

    let mut socket = Socket::open(&t);
    let topic = format!("posts/{one}");
    socket
        .subscribe_with(json!({"topic": topic, "since": cursor, "filter": "n = 2", "fields": "n"}));

    assert_eq!(socket.next()["record"], json!({"n": 2}));
}

#[test]
fn a_past_that_is_not_ours_any_more_is_a_reset() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    create(&sue, "posts", &json!({"title": "before"}));
    let head = t.app.store.head();
    let seal = |epoch, position| t.app.store.cursors().seal(Cursor { epoch, position });
    let foreign = seal(head.epoch + 1, head.position);
    let future = seal(head.epoch, Position(head.position.0 + 1_000));

    for cursor in [foreign, future] {
        let mut socket = Socket::open(&t);
        let sub = since(&mut socket, "posts/*", &cursor)["sub"].clone();
        let reset = socket.next();
        assert_eq!(reset["type"], "reset");
        assert_eq!((&reset["sub"], &reset["reason"]), (&sub, &json!("expired")));
        assert!(reset["cursor"].is_string());
        create(&sue, "posts", &json!({"title": "after"}));
        assert_eq!(socket.event(), is("create", "after"));
    }
}

#[test]
fn only_a_change_that_hides_the_past_of_the_collection_is_a_reset() {
    let t = TestApp::new();
    for name in ["posts", "others", "doomed"] {
        collection(&t, name, Some(""), &[]);
    }
    let sue = t.superuser();
    let rule = |text: &str| json!({"listRule": text, "viewRule": text});
    let fields = |name: &str| {
        let mut fields = sue.get(&format!("/api/collections/{name}")).ok()["fields"].clone();
        let count = fields.as_array().unwrap().len();
        let more = json!({"type": "text", "name": format!("more{count}")});
        fields.as_array_mut().unwrap().push(more);
        json!({"fields": fields})
    };
    let change = |name: &str, body: &Json| edit(&sue, name, body);
    let cases: [(&str, bool, &dyn Fn()); 9] = [
        ("settings", false, &|| {
            let body = json!({"meta": {"appName": "another"}});
            sue.patch("/api/settings", &body).ok();
        }),
        ("another collection's fields", false, &|| {
            change("others", &fields("others"));
        }),
        ("another collection's rule", false, &|| {
            change("others", &rule("@collection.posts.n = n"));
        }),
        ("a new collection", false, &|| {
            collection(&t, "new", None, &[])
        }),
        ("a collection that goes", false, &|| {
            sue.delete("/api/collections/doomed").ok();
        }),
        ("a rule on the record alone", false, &|| {
            change("posts", &rule("n > 0"));
        }),
        ("a rule that reads other tables", true, &|| {
            change("posts", &rule("n > 0 && @collection.others.n ?!= 99"));
        }),
        ("the end of such a rule", true, &|| {
            change("posts", &rule("n > 0"));
        }),
        ("the collection's fields", true, &|| {
            change("posts", &fields("posts"));
        }),
    ];
    create(&sue, "others", &json!({"n": 1}));
    for (name, reset, happens) in cases {
        let cursor = now(&t);
        create(&sue, "posts", &json!({"title": "missed", "n": 1}));
        happens();

        let mut socket = Socket::open(&t);
        since(&mut socket, "posts/*", &cursor);

        let first = socket.next();
        if reset {
            assert_eq!(first["reason"], "expired", "{name}: {first}");
        } else {
            assert_eq!(first["record"]["title"], "missed", "{name}: {first}");
        }
        create(&sue, "posts", &json!({"title": "next", "n": 1}));
        assert_eq!(socket.event(), is("create", "next"), "{name}");
    }
}

#[test]
fn a_collection_made_anew_under_an_old_id_has_no_past() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let old = sue.get("/api/collections/posts").ok();
    let cursor = now(&t);
    sue.delete("/api/collections/posts").ok();
    sue.post("/api/collections", &old).ok();

    let mut socket = Socket::open(&t);
    since(&mut socket, "posts/*", &cursor);

    assert_eq!(socket.next()["type"], "reset");
}

#[test]
fn a_forged_cursor_is_refused() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let elsewhere = now(&TestApp::new());
    let mut socket = Socket::open(&t);

    for cursor in ["", "x", "AAAA", &elsewhere] {
        let answer = socket.ask("subscribe", json!({"topic": "posts/*", "since": cursor}));
        assert_eq!(
            (&answer["type"], &answer["status"]),
            (&json!("error"), &json!(400))
        );
    }
    let answer = socket.ask("subscribe", json!({"topic": "posts/*", "since": 5}));
    assert_eq!(answer["status"], 400);
}

#[test]
fn between_the_past_and_the_present_nothing_is_missed_and_nothing_told_twice() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let cursor = now(&t);
    // Several steps of a replay, while others write on.
    for n in 0..700 {
        create(&sue, "posts", &json!({"n": n}));
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut n = 700;
            while !stop.load(Ordering::SeqCst) {
                create(&sue, "posts", &json!({"n": n}));
                n += 1;
            }
            n
        });
        let mut sockets: Vec<_> = (0..5)
            .map(|_| {
                let mut socket = Socket::open(&t);
                since(&mut socket, "posts/*", &cursor);
                socket
            })
            .collect();
        for socket in &mut sockets {
            for n in 0..700 {
                assert_eq!(socket.next()["record"]["n"], n);
            }
        }
        stop.store(true, Ordering::SeqCst);
        let end = writer.join().unwrap();
        for socket in &mut sockets {
            for n in 700..end {
                assert_eq!(socket.next()["record"]["n"], n);
            }
        }
    });
}

#[test]
fn a_commit_too_large_for_memory_is_told_from_the_log() {
    let t = TestApp::new();
    let body = json!({"type": "editor", "name": "body"});
    collection(&t, "posts", Some("@request.auth.id != ''"), &[body]);
    collection(&t, "bell", Some(""), &[]);
    let (sue, ann) = (t.superuser(), t.user("ann"));
    sue.patch("/api/settings", &json!({"batch": {"enabled": true}}))
        .ok();
    let mut socket = Socket::of(&t, &ann);
    socket.subscribe("posts/*");
    let mut stream = Stream::of(&t, &ann, &["posts/*"]);

    let body = "x".repeat(3_000_000);
    let requests: Vec<Json> = (0..3)
        .map(|n| {
            json!({
                "method": "POST", "url": "/api/collections/posts/records",
                "body": {"title": format!("{n}"), "body": body},
            })
        })
        .collect();
    sue.post("/api/batch", &json!({"requests": requests})).ok();
    create(&sue, "posts", &json!({"title": "small"}));

    for title in ["0", "1", "2", "small"] {
        assert_eq!(socket.event(), is("create", title));
        assert_eq!(stream.event(), is("create", title));
    }
}
