//! Who a connection is, is true at every event: tokens end, people change, rules change, while it stays open.

use std::time::Duration;

use serde_json::json;

use super::ears::{Socket, Stream, is};
use super::world::{collection, create, delete, edit, update};
use crate::support::TestApp;

/// For those who are signed in.
const MEMBERS: &str = "@request.auth.id != ''";

/// A members' collection and a public one.
fn with_rooms() -> TestApp {
    let t = TestApp::new();
    collection(&t, "inside", Some(MEMBERS), &[]);
    collection(&t, "outside", Some(""), &[]);
    t
}

/// What Ann hears, over both transports, when something ends her token: nothing from inside, all from outside.
fn is_signed_out(t: &TestApp, end: impl FnOnce(&crate::support::Person, &crate::support::Person)) {
    let (sue, ann) = (t.superuser(), t.user("ann"));
    let mut socket = Socket::of(t, &ann);
    socket.subscribe("inside/*");
    socket.subscribe("outside/*");
    let mut stream = Stream::of(t, &ann, &["inside/*", "outside/*"]);
    create(&sue, "inside", &json!({"title": "in"}));
    assert_eq!(socket.event(), is("create", "in"));
    assert_eq!(stream.event(), is("create", "in"));

    end(&sue, &ann);
    assert_eq!(socket.next()["type"], "signedOut");
    let sue = t.signed_in("_superusers", "sam@example.com");
    create(&sue, "inside", &json!({"title": "secret"}));
    create(&sue, "outside", &json!({"title": "out"}));

    assert_eq!(socket.event(), is("create", "out"));
    assert_eq!(stream.event(), is("create", "out"));
}

#[test]
fn a_token_that_runs_out_ends_its_identity_while_connected() {
    let t = with_rooms();
    is_signed_out(&t, |_, _| {
        t.clock.advance(Duration::from_secs(400 * 24 * 3600))
    });
}

#[test]
fn another_password_ends_the_identity() {
    let t = with_rooms();
    is_signed_out(&t, |sue, ann| {
        let password = json!({"password": "0987654321", "passwordConfirm": "0987654321"});
        update(sue, "users", &ann.id, &password);
    });
}

#[test]
fn a_session_that_is_ended_signs_its_own_connections_out() {
    let t = with_rooms();
    let sue = t.superuser();
    t.user("ann");
    let sign_in = || {
        let body = json!({"identity": "ann@example.com", "password": "1234567890"});
        let path = "/api/collections/users/auth-with-password";
        let answer = t.guest().post(path, &body).ok();
        t.guest().with_token(answer["token"].as_str().unwrap())
    };
    let (phone, desk) = (sign_in(), sign_in());
    let listed = phone
        .get("/api/collections/_sessions/records?sort=@rowid")
        .ok();
    let mut lost = Socket::of(&t, &phone);
    let mut kept = Socket::of(&t, &desk);
    for socket in [&mut lost, &mut kept] {
        socket.subscribe("inside/*");
    }

    let first = listed["items"][0]["id"].as_str().unwrap();
    delete(&desk, "_sessions", first);
    assert_eq!(lost.next()["type"], "signedOut");
    create(&sue, "inside", &json!({"title": "in"}));

    assert_eq!(kept.event(), is("create", "in"));
}

#[test]
fn a_deleted_account_ends_the_identity() {
    let t = with_rooms();
    is_signed_out(&t, |sue, ann| delete(sue, "users", &ann.id));
}

#[test]
fn another_secret_of_the_collection_ends_the_identity() {
    let t = with_rooms();
    is_signed_out(&t, |sue, _| {
        let secret = "s".repeat(50);
        edit(
            sue,
            "users",
            &json!({"authToken": {"secret": secret, "duration": 1000}}),
        );
    });
}

#[test]
fn a_role_that_is_lost_counts_at_the_very_next_event() {
    let t = TestApp::new();
    collection(&t, "inside", Some("@request.auth.name = 'boss'"), &[]);
    collection(&t, "outside", Some(""), &[]);
    let (sue, ann, bob) = (t.superuser(), t.user("ann"), t.user("bob"));
    for person in [&ann, &bob] {
        update(&sue, "users", &person.id, &json!({"name": "boss"}));
    }
    let mut of_ann = Socket::of(&t, &ann);
    let mut of_bob = Socket::of(&t, &bob);
    for socket in [&mut of_ann, &mut of_bob] {
        socket.subscribe("inside/*");
        socket.subscribe("outside/*");
    }

    create(&sue, "inside", &json!({"title": "both"}));
    update(&sue, "users", &ann.id, &json!({"name": "Ann"}));
    create(&sue, "inside", &json!({"title": "one"}));
    create(&sue, "outside", &json!({"title": "last"}));

    assert_eq!(of_ann.event(), is("create", "both"));
    assert_eq!(of_ann.event(), is("create", "last"));
    assert_eq!(of_bob.event(), is("create", "both"));
    assert_eq!(of_bob.event(), is("create", "one"));
}

#[test]
fn a_rule_that_changes_counts_at_the_next_event() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    collection(&t, "bell", Some(""), &[]);
    let sue = t.superuser();
    let mut socket = Socket::open(&t);
    socket.subscribe("posts/*");
    socket.subscribe("bell/*");
    let mut stream = Stream::of(&t, &t.guest(), &["posts/*", "bell/*"]);

    edit(&sue, "posts", &json!({"listRule": "n > 1"}));
    create(&sue, "posts", &json!({"title": "low", "n": 1}));
    create(&sue, "posts", &json!({"title": "high", "n": 2}));
    assert_eq!(socket.event(), is("create", "high"));
    assert_eq!(stream.event(), is("create", "high"));
    edit(&sue, "posts", &json!({"listRule": null}));
    create(&sue, "posts", &json!({"title": "locked", "n": 3}));
    create(&sue, "bell", &json!({"title": "ring"}));

    let ended = socket.next();
    assert_eq!(
        (&ended["type"], &ended["status"]),
        (&json!("error"), &json!(403))
    );
    assert_eq!(socket.event(), is("create", "ring"));
    assert_eq!(stream.event(), is("create", "ring"));
}

#[test]
fn another_collection_under_an_old_name_has_rules_of_its_own() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    collection(&t, "bell", Some(""), &[]);
    let sue = t.superuser();
    let mut stream = Stream::of(&t, &t.guest(), &["posts/*", "bell/*"]);

    edit(&sue, "posts", &json!({"name": "moved"}));
    create(&sue, "moved", &json!({"title": "under another name"}));
    sue.delete("/api/collections/moved").ok();
    collection(&t, "posts", None, &[]);
    create(&sue, "posts", &json!({"title": "locked"}));
    create(&sue, "bell", &json!({"title": "ring"}));

    assert_eq!(stream.event(), is("create", "ring"));
}

#[test]
fn a_connection_does_not_change_hands() {
    let t = with_rooms();
    let (ann, bob) = (t.user("ann"), t.user("bob"));
    let stream = Stream::of(&t, &ann, &["inside/*"]);
    let differ = "The current and the previous request authorization don't match.";

    stream.submit(&bob, &["inside/*"]).is(403, differ);
    stream.submit(&t.guest(), &["inside/*"]).is(403, differ);

    assert_eq!(stream.submit(&ann, &[]).status, 204);
    let mut unknown = Stream::open(&t);
    unknown.id = "A".repeat(40);
    unknown
        .submit(&ann, &[])
        .is(404, "Missing or invalid client id.");
}

#[test]
fn the_id_of_a_connection_is_long_random_and_told_to_nobody_else() {
    let t = with_rooms();
    let sue = t.superuser();
    let mut first = Socket::open(&t);
    let second = Socket::open(&t);
    let id = first.hello["clientId"].as_str().unwrap().to_owned();
    first.subscribe("outside/*");

    create(&sue, "outside", &json!({"title": "a"}));

    assert_eq!(id.len(), 40);
    assert_ne!(second.hello["clientId"], id.as_str());
    let mut other = Socket::open(&t);
    other.subscribe("outside/*");
    create(&sue, "outside", &json!({"title": "b"}));
    assert!(!other.next().to_string().contains(&id));
    assert!(!format!("{:?}", t.app.hub).contains(&id));
}

#[test]
fn a_topic_cannot_forge_lines_of_the_stream() {
    let t = with_rooms();
    let sue = t.superuser();
    let forged = "outside/*\ndata:{\"record\":{},\"action\":\"forged\"}\n\nevent:x";
    let options = "outside/*?options=%7B%7D\r\nid:x";
    let mut stream = Stream::of(&t, &t.guest(), &[forged, options, "outside/*"]);

    create(&sue, "outside", &json!({"title": "a"}));
    create(&sue, "outside", &json!({"title": "b"}));

    assert_eq!(stream.event(), is("create", "a"));
    assert_eq!(stream.event(), is("create", "b"));
}
