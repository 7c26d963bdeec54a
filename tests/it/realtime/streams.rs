//! Event streams that come back: by a cursor, by the `id:` of the last message, and, for the unmodified SDK, by who they are.

use std::time::Duration;

use serde_json::json;

use super::ears::{Stream, is};
use super::world::{collection, create, update};
use crate::support::{Person, TestApp};

/// A server with a public collection `posts`.
fn with_posts() -> (TestApp, Person) {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    (t, sue)
}

/// Waits until the server has noticed that a stream broke off.
fn until_gone(t: &TestApp, left: usize) {
    while t.app.hub.connections() > left {
        std::thread::yield_now();
    }
}

/// Nothing of the past comes: the next event is that of a change made now.
#[track_caller]
fn hears_only_the_present(sue: &Person, stream: &mut Stream) {
    create(sue, "posts", &json!({"title": "now"}));
    assert_eq!(stream.event(), is("create", "now"));
}

#[test]
fn each_event_says_where_it_is_and_a_stream_resumes_there() {
    let (t, sue) = with_posts();
    let mut first = Stream::of(&t, &t.guest(), &["posts/*"]);
    let id = create(&sue, "posts", &json!({"title": "one"}));
    assert_eq!(first.event(), is("create", "one"));
    let one = first.last.clone();
    assert_ne!(one, first.id);
    update(&sue, "posts", &id, &json!({"title": "two"}));
    assert_eq!(first.event(), is("update", "two"));
    assert_ne!(first.last, one);
    drop(first);
    create(&sue, "posts", &json!({"title": "three"}));

    for (query, headers) in [
        (format!("?since={one}"), String::new()),
        (String::new(), format!("Last-Event-ID: {one}\r\n")),
    ] {
        let mut again = Stream::open_with(&t, &query, &headers);
        again.submit(&t.guest(), &["posts/*"]);
        assert_eq!(again.event(), is("update", "two"));
        assert_eq!(again.event(), is("create", "three"));
        // It waited for the past alone, so that each of its events said where it was.
        assert_ne!(again.last, again.id);
    }
}

#[test]
fn what_is_no_cursor_is_refused_as_a_parameter_and_ignored_as_a_header() {
    let (t, sue) = with_posts();

    assert_eq!(t.guest().get("/api/realtime?since=forged").status, 400);
    let mut stream = Stream::open_with(&t, "", "Last-Event-ID: forged\r\n");
    stream.submit(&t.guest(), &["posts/*"]);

    hears_only_the_present(&sue, &mut stream);
}

#[test]
fn a_past_that_is_gone_is_told_to_those_who_came_with_a_cursor() {
    let (t, sue) = with_posts();
    let mut first = Stream::of(&t, &t.guest(), &["posts/*"]);
    create(&sue, "posts", &json!({"title": "one"}));
    first.event();
    let cursor = first.last.clone();
    sue.patch(
        "/api/collections/posts",
        &json!({"fields": [{"name": "title", "type": "text"}]}),
    )
    .ok();
    // Whoever comes before the hub has got there is live, and has missed nothing.
    create(&sue, "posts", &json!({"title": "two"}));
    assert_eq!(first.event(), is("create", "two"));

    let mut again = Stream::open_with(&t, &format!("?since={cursor}"), "");
    again.submit(&t.guest(), &["posts/*"]);

    let (name, data) = again.message();
    assert_eq!(name, "reset");
    assert_eq!(
        (&data["topic"], &data["reason"]),
        (&json!("posts/*"), &json!("expired"))
    );
    let mut on = Stream::open_with(
        &t,
        &format!("?since={}", data["cursor"].as_str().unwrap()),
        "",
    );
    on.submit(&t.guest(), &["posts/*"]);
    hears_only_the_present(&sue, &mut on);
    assert_eq!(again.event(), is("create", "now"));
}

#[test]
fn a_signed_in_client_whose_stream_broke_off_gets_once_what_it_missed() {
    let (t, sue) = with_posts();
    let ann = t.user("ann");
    let mut first = Stream::of(&t, &ann, &["posts/*", "users/*"]);
    create(&sue, "posts", &json!({"title": "heard"}));
    assert_eq!(first.event(), is("create", "heard"));
    drop(first);
    until_gone(&t, 0);
    for n in 0..10 {
        create(&sue, "posts", &json!({"title": format!("missed {n}")}));
    }
    t.clock.advance(Duration::from_secs(59));

    let mut back = Stream::of(&t, &ann, &["users/*", "posts/*"]);

    for n in 0..10 {
        assert_eq!(back.event(), is("create", &format!("missed {n}")));
    }
    hears_only_the_present(&sue, &mut back);
    let mut second_tab = Stream::of(&t, &ann, &["users/*", "posts/*"]);
    hears_only_the_present(&sue, &mut second_tab);
}

#[test]
fn nobody_else_gets_it() {
    let (t, sue) = with_posts();
    let (ann, bob) = (t.user("ann"), t.user("bob"));
    let missed = |who: &Person, topics: &[&str], agent: &str| {
        let stream = Stream::open_with(&t, "", &format!("User-Agent: {agent}\r\n"));
        stream.submit(who, topics);
        drop(stream);
        until_gone(&t, 0);
        create(&sue, "posts", &json!({"title": "missed"}));
    };
    let comes = |who: &Person, topics: &[&str], agent: &str| {
        let stream = Stream::open_with(&t, "", &format!("User-Agent: {agent}\r\n"));
        stream.submit(who, topics);
        stream
    };

    missed(&ann, &["posts/*"], "a");
    for (who, topics, agent) in [
        (&bob, &["posts/*"][..], "a"),
        (&ann, &["posts/*", "users/*"][..], "a"),
        (&ann, &["posts/*"][..], "b"),
    ] {
        let mut stream = comes(who, topics, agent);
        hears_only_the_present(&sue, &mut stream);
        drop(stream);
        until_gone(&t, 0);
    }
    let guest = t.guest();
    missed(&guest, &["posts/*"], "a");
    hears_only_the_present(&sue, &mut comes(&guest, &["posts/*"], "a"));
    until_gone(&t, 0);
    missed(&bob, &["posts/*"], "late");
    t.clock.advance(Duration::from_secs(61));
    hears_only_the_present(&sue, &mut comes(&bob, &["posts/*"], "late"));
}

#[test]
fn who_unsubscribed_from_everything_or_where_it_is_switched_off_gets_nothing() {
    let (t, sue) = with_posts();
    let ann = t.user("ann");
    let stream = Stream::of(&t, &ann, &["posts/*"]);
    stream.submit(&ann, &[]);
    drop(stream);
    until_gone(&t, 0);
    create(&sue, "posts", &json!({"title": "missed"}));
    let mut back = Stream::of(&t, &ann, &["posts/*"]);
    hears_only_the_present(&sue, &mut back);

    sue.patch("/api/settings", &json!({"realtime": {"catchUp": false}}))
        .ok();
    drop(back);
    until_gone(&t, 0);
    create(&sue, "posts", &json!({"title": "missed"}));
    hears_only_the_present(&sue, &mut Stream::of(&t, &ann, &["posts/*"]));
}

#[test]
fn what_was_missed_is_judged_by_the_rules_of_now() {
    let t = TestApp::new();
    collection(&t, "posts", Some("n < 5"), &[]);
    let (sue, ann) = (t.superuser(), t.user("ann"));
    let stream = Stream::of(&t, &ann, &["posts/*"]);
    drop(stream);
    until_gone(&t, 0);
    create(&sue, "posts", &json!({"title": "hidden now", "n": 3}));
    create(&sue, "posts", &json!({"title": "shown", "n": 1}));
    sue.patch("/api/collections/posts", &json!({"listRule": "n < 2"}))
        .ok();

    let mut back = Stream::of(&t, &ann, &["posts/*"]);

    assert_eq!(back.event(), is("create", "shown"));
}
