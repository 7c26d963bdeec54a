//! Channels: who may join and speak, what members hear and see of each other, and what they can have again.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::ears::Socket;
use super::world::{create, delete, relation, update};
use crate::support::{Person, TestApp};

/// For those who are signed in.
const PEOPLE: &str = "@request.auth.id != ''";

/// A server on which everybody may use `room:*`, and only superusers anything else.
fn with_rooms() -> TestApp {
    let t = TestApp::new();
    let root = t.signed_in("_superusers", "root@example.com");
    set(
        &root,
        &json!([{"pattern": "room:*", "joinRule": "", "publishRule": ""}]),
    );
    t
}

fn set(sue: &Person, channels: &Json) {
    sue.patch(
        "/api/settings",
        &json!({"realtime": {"channels": channels}}),
    )
    .ok();
}

#[track_caller]
fn join(socket: &mut Socket, channel: &str, presence: &Json) -> Json {
    let answer = socket.ask("join", json!({"channel": channel, "presence": presence}));
    assert_eq!(answer["type"], "ok", "{answer}");
    answer
}

#[track_caller]
fn say(socket: &mut Socket, channel: &str, payload: &Json) {
    let message = json!({"channel": channel, "event": "say", "payload": payload});
    let answer = socket.ask("publish", message);
    assert_eq!(answer["type"], "ok", "{answer}");
}

/// The next frame, which is of this type.
#[track_caller]
fn next(socket: &mut Socket, kind: &str) -> Json {
    let frame = socket.next();
    assert_eq!(frame["type"], kind, "{frame}");
    frame
}

/// The payload of the next message; who comes and goes is passed over.
#[track_caller]
fn heard(socket: &mut Socket) -> Json {
    loop {
        let frame = socket.next();
        if frame["type"] != "presence" {
            assert_eq!(frame["type"], "message", "{frame}");
            return frame["payload"].clone();
        }
    }
}

fn members(answer: &Json) -> Vec<Json> {
    let members = answer["members"].as_array().unwrap();
    members.iter().map(|face| face["member"].clone()).collect()
}

#[test]
fn members_hear_each_other_in_one_order_and_the_sender_only_if_he_asks() {
    let t = with_rooms();
    let (mut ann, mut bob) = (Socket::open(&t), Socket::open(&t));
    let own = join(&mut ann, "room:1", &json!(null))["member"].clone();
    join(&mut bob, "room:1", &json!(null));
    next(&mut ann, "presence");

    say(&mut ann, "room:1", &json!({"n": 1}));
    let loud =
        json!({"channel": "room:1", "event": "shout", "payload": [2], "echo": true, "from": "me"});
    assert_eq!(ann.ask("publish", loud)["type"], "ok");

    let first = next(&mut bob, "message");
    assert_eq!(first["channel"], "room:1");
    assert_eq!(first["event"], "say");
    assert_eq!(first["payload"], json!({"n": 1}));
    assert_eq!(first["from"], own);
    assert!(first["cursor"].is_string());
    assert_eq!(heard(&mut bob), json!([2]));
    let echo = next(&mut ann, "message");
    assert_eq!((&echo["event"], &echo["from"]), (&json!("shout"), &own));
}

#[test]
fn members_see_who_is_there_who_comes_changes_and_goes() {
    let t = with_rooms();
    let (mut ann, mut bob) = (Socket::open(&t), Socket::open(&t));
    let first = join(&mut ann, "room:1", &json!({"name": "Ann"}));
    assert_eq!(first["members"][0]["member"], first["member"]);

    let second = join(&mut bob, "room:1", &json!({"name": "Bob"}));
    assert_eq!(
        members(&second),
        [first["member"].clone(), second["member"].clone()]
    );
    assert_eq!(second["members"][0]["presence"], json!({"name": "Ann"}));
    let came = next(&mut ann, "presence");
    assert_eq!(
        came["joined"],
        json!([{"member": second["member"], "presence": {"name": "Bob"}, "record": null}])
    );
    assert_eq!((&came["left"], &came["changed"]), (&json!([]), &json!([])));

    bob.ask(
        "presence",
        json!({"channel": "room:1", "presence": {"away": true}}),
    );
    let changed = next(&mut ann, "presence");
    assert_eq!(changed["changed"][0]["presence"], json!({"away": true}));
    assert_eq!(changed["changed"][0]["member"], second["member"]);

    assert_eq!(bob.ask("leave", json!({"channel": "room:1"}))["type"], "ok");
    assert_eq!(
        next(&mut ann, "presence")["left"],
        json!([second["member"]])
    );
    assert_eq!(
        bob.ask("leave", json!({"channel": "room:1"}))["status"],
        400
    );
    let again = join(&mut bob, "room:1", &json!(null));
    assert_ne!(again["member"], second["member"]);
}

#[test]
fn a_connection_that_ends_is_gone_at_once() {
    let t = with_rooms();
    let (mut ann, mut bob) = (Socket::open(&t), Socket::open(&t));
    join(&mut ann, "room:1", &json!(null));
    let member = join(&mut bob, "room:1", &json!(null))["member"].clone();
    next(&mut ann, "presence");

    drop(bob);

    assert_eq!(next(&mut ann, "presence")["left"], json!([member]));
}

#[test]
fn a_connection_that_falls_silent_is_gone_within_five_seconds() {
    let t = with_rooms();
    let (mut ann, mut bob) = (Socket::open(&t), Socket::open(&t));
    join(&mut ann, "room:1", &json!(null));
    let member = join(&mut bob, "room:1", &json!(null))["member"].clone();
    next(&mut ann, "presence");

    // Bob's end stays open and answers nothing; Ann's answers pings while she waits.
    let began = Instant::now();
    let left = next(&mut ann, "presence");

    assert_eq!(left["left"], json!([member]));
    assert!(
        began.elapsed() < Duration::from_millis(5_500),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(ann.ask("ping", json!({}))["type"], "ok");
}

#[test]
fn patterns_and_rules_say_who_may() {
    let t = TestApp::new();
    let (sue, ann, bob) = (t.superuser(), t.user("ann"), t.user("bob"));
    set(
        &sue,
        &json!([
            {"pattern": "news", "joinRule": "", "publishRule": null},
            {"pattern": "desk:*", "joinRule": "@channel.parts.1 = @request.auth.id", "publishRule": ""},
            {"pattern": "pair:*:*", "joinRule": "@channel.parts:each ?= @request.auth.id && @channel.parts:length = 3"},
            {"pattern": "named:*", "joinRule": "@channel.name = 'named:a' && @request.context = 'realtime'"},
            {"pattern": "locked:*"},
        ]),
    );
    let mut people = [Socket::open(&t), Socket::of(&t, &ann), Socket::of(&t, &sue)];
    let mine = format!("desk:{}", ann.id);
    let ours = format!("pair:{}:{}", bob.id, ann.id);
    for (channel, expected) in [
        ("news", [true, true, true]),
        (mine.as_str(), [false, true, true]),
        (ours.as_str(), [false, true, true]),
        ("pair:x:y", [false, false, true]),
        ("named:a", [true, true, true]),
        ("named:b", [false, false, true]),
        ("locked:a", [false, false, true]),
        ("news:more", [false, false, true]),
        ("desk", [false, false, true]),
        ("unknown", [false, false, true]),
    ] {
        for (socket, expected) in people.iter_mut().zip(expected) {
            let answer = socket.ask("join", json!({"channel": channel}));
            let joined = answer["type"] == "ok";
            assert_eq!(joined, expected, "{channel}: {answer}");
            if !joined {
                assert_eq!(answer["status"], 403, "{answer}");
            }
        }
    }
    let speak = |socket: &mut Socket, channel: &str| {
        socket.ask("publish", json!({"channel": channel, "event": "e"}))["status"].clone()
    };
    assert_eq!(speak(&mut people[0], "news"), 403);
    assert_eq!(speak(&mut people[1], "news"), 403);
    assert_eq!(speak(&mut people[2], "news"), json!(null));
    assert_eq!(speak(&mut people[1], &mine), json!(null));
    assert_eq!(speak(&mut people[1], "locked:a"), 400, "not joined");
}

#[test]
fn a_membership_in_another_collection_counts_at_the_very_next_message() {
    let t = TestApp::new();
    let sue = t.superuser();
    let (ann, bob) = (t.user("ann"), t.user("bob"));
    t.collection(&json!({"name": "seats", "type": "base", "fields": [
        {"type": "text", "name": "room"}, relation(&t, "who", "users", true),
    ]}));
    let rule =
        "@collection.seats.room ?= @channel.parts.1 && @collection.seats.who ?= @request.auth.id";
    set(
        &sue,
        &json!([{"pattern": "room:*", "joinRule": rule, "publishRule": ""}]),
    );
    create(&sue, "seats", &json!({"room": "1", "who": ann.id}));
    let seat = create(&sue, "seats", &json!({"room": "1", "who": bob.id}));
    let (mut ann, mut bob) = (Socket::of(&t, &ann), Socket::of(&t, &bob));
    assert_eq!(ann.ask("join", json!({"channel": "room:2"}))["status"], 403);
    join(&mut ann, "room:1", &json!(null));
    join(&mut bob, "room:1", &json!(null));
    next(&mut ann, "presence");

    delete(&sue, "seats", &seat);
    say(&mut ann, "room:1", &json!("not for Bob"));

    let ended = next(&mut bob, "error");
    assert_eq!(
        (&ended["channel"], &ended["status"]),
        (&json!("room:1"), &json!(403))
    );
    assert_eq!(
        next(&mut ann, "presence")["left"].as_array().unwrap().len(),
        1
    );
    let refused = bob.ask("publish", json!({"channel": "room:1", "event": "e"}));
    assert_eq!(refused["status"], 400);
}

#[test]
fn rights_end_with_the_identity_the_rule_and_the_token() {
    let t = TestApp::new();
    let sue = t.superuser();
    let rooms = json!([{"pattern": "room:*", "joinRule": PEOPLE, "publishRule": PEOPLE}]);
    set(&sue, &rooms);
    let ann = t.user("ann");
    let expelled = |socket: &mut Socket| {
        let mut frame = socket.next();
        if frame["type"] == "signedOut" {
            frame = socket.next();
        }
        assert_eq!(
            (&frame["type"], &frame["channel"]),
            (&json!("error"), &json!("room:1"))
        );
        socket.ask("publish", json!({"channel": "room:1", "event": "e"}))["status"].clone()
    };

    let mut signs_out = Socket::of(&t, &ann);
    join(&mut signs_out, "room:1", &json!(null));
    signs_out.ask("auth", json!({"token": ""}));
    assert_eq!(expelled(&mut signs_out), 400);

    let mut ruled_out = Socket::of(&t, &ann);
    join(&mut ruled_out, "room:1", &json!(null));
    set(
        &sue,
        &json!([{"pattern": "room:*", "joinRule": "@request.auth.name = 'x'"}]),
    );
    assert_eq!(expelled(&mut ruled_out), 400);
    set(&sue, &rooms);

    let mut deleted = Socket::of(&t, &ann);
    join(&mut deleted, "room:1", &json!(null));
    delete(&sue, "users", &ann.id);
    assert_eq!(expelled(&mut deleted), 400);
}

#[test]
fn a_role_that_is_lost_counts_at_the_very_next_message() {
    let t = TestApp::new();
    let sue = t.superuser();
    set(
        &sue,
        &json!([{"pattern": "*", "joinRule": "@request.auth.name = 'staff' || @request.auth.id = ''", "publishRule": ""}]),
    );
    let ann = t.user("ann");
    update(&sue, "users", &ann.id, &json!({"name": "staff"}));
    let (mut listener, mut speaker) = (Socket::of(&t, &ann), Socket::open(&t));
    join(&mut listener, "staff", &json!(null));
    join(&mut speaker, "staff", &json!(null));
    next(&mut listener, "presence");

    update(&sue, "users", &ann.id, &json!({"name": "gone"}));
    say(&mut speaker, "staff", &json!("secret"));

    assert_eq!(next(&mut listener, "error")["channel"], "staff");
    assert_eq!(listener.ask("ping", json!({}))["type"], "ok");
}

#[test]
fn the_record_of_a_member_is_shown_as_the_viewer_may_see_it() {
    let t = TestApp::new();
    let sue = t.superuser();
    set(&sue, &json!([{"pattern": "*", "joinRule": ""}]));
    let (ann, bob) = (t.user("ann"), t.user("bob"));
    sue.patch(
        "/api/collections/users",
        &json!({"viewRule": "id = @request.auth.id || name = 'public'"}),
    )
    .ok();
    update(&sue, "users", &bob.id, &json!({"name": "public"}));
    let mut root = Socket::of(&t, &sue);
    join(&mut root, "hall", &json!(null));
    let mut guest = Socket::open(&t);
    join(&mut guest, "hall", &json!(null));
    next(&mut root, "presence");

    let seen = join(&mut Socket::of(&t, &ann), "hall", &json!(null));
    // Ann's connection was dropped at once: both hear that she came and went.
    let came = |socket: &mut Socket| next(socket, "presence")["joined"][0]["record"].clone();
    assert_eq!(came(&mut root)["email"], "ann@example.com");
    assert_eq!(came(&mut guest), json!(null));
    let of = |id: &Json| -> Json {
        let members = seen["members"].as_array().unwrap();
        members.iter().find(|face| face["member"] == *id).unwrap()["record"].clone()
    };
    assert_eq!(of(&seen["member"])["email"], "ann@example.com");
    assert_eq!(
        seen["members"][0]["record"],
        json!(null),
        "a superuser is not hers to see"
    );
    next(&mut root, "presence");
    next(&mut guest, "presence");

    let mut bob = Socket::of(&t, &bob);
    join(&mut bob, "hall", &json!(null));
    assert_eq!(came(&mut root)["email"], "bob@example.com");
    let shown = came(&mut guest);
    assert_eq!(shown["name"], "public");
    assert!(
        shown.get("email").is_none() && shown.get("tokenKey").is_none(),
        "{shown}"
    );
}

#[test]
fn what_was_missed_can_be_had_again_and_what_is_gone_is_a_reset() {
    let t = with_rooms();
    let (mut ann, mut bob) = (Socket::open(&t), Socket::open(&t));
    join(&mut ann, "room:1", &json!(null));
    let cursor = join(&mut bob, "room:1", &json!(null))["cursor"].clone();
    next(&mut ann, "presence");
    say(&mut bob, "room:1", &json!(0));
    assert_eq!(heard(&mut ann), json!(0));
    drop(bob);
    next(&mut ann, "presence");
    say(&mut ann, "room:1", &json!(1));
    say(&mut ann, "room:1", &json!(2));
    let back = |since: &Json| {
        let mut bob = Socket::open(&t);
        let answer = bob.ask("join", json!({"channel": "room:1", "since": since}));
        (bob, answer)
    };

    let (mut again, answer) = back(&cursor);
    say(&mut ann, "room:1", &json!(3));
    assert_eq!(answer["cursor"], cursor);
    let missed: Vec<Json> = (0..3).map(|_| heard(&mut again)).collect();
    assert_eq!(missed, [json!(0), json!(1), json!(2)]);
    let last = next(&mut again, "message");
    assert_eq!(last["payload"], 3);
    drop(again);

    let (mut level, _) = back(&last["cursor"]);
    say(&mut ann, "room:1", &json!(4));
    assert_eq!(heard(&mut level), json!(4));

    for n in 0..300 {
        say(&mut ann, "room:1", &json!(n));
    }
    let (mut late, _) = back(&cursor);
    let reset = next(&mut late, "reset");
    assert_eq!(
        (&reset["channel"], &reset["reason"]),
        (&json!("room:1"), &json!("expired"))
    );
    let (mut goes_on, _) = back(&reset["cursor"]);
    say(&mut ann, "room:1", &json!("on"));
    assert_eq!(heard(&mut goes_on), json!("on"));
    assert_eq!(heard(&mut late), json!("on"));

    t.clock.advance(Duration::from_secs(61));
    say(&mut ann, "room:1", &json!("new"));
    let (mut old, _) = back(&reset["cursor"]);
    assert_eq!(next(&mut old, "reset")["reason"], "expired");
}

#[test]
fn a_cursor_holds_for_its_own_channel_and_start_of_the_server() {
    let t = with_rooms();
    let mut ann = Socket::open(&t);
    let cursor = join(&mut ann, "room:1", &json!(null))["cursor"].clone();
    let other = Socket::open(&t).ask("join", json!({"channel": "room:2", "since": cursor}));
    assert_eq!(other["status"], 400);
    let record = ann.hello["cursor"].clone();
    let foreign = Socket::open(&t).ask("join", json!({"channel": "room:1", "since": record}));
    assert_eq!(foreign["status"], 400);

    let text = t
        .app
        .store
        .cursors()
        .seal_text("another.1", "channel room:1");
    let mut bob = Socket::open(&t);
    let answer = bob.ask("join", json!({"channel": "room:1", "since": text}));

    assert_eq!(answer["type"], "ok");
    assert_eq!(next(&mut bob, "reset")["reason"], "restarted");
}

#[test]
fn a_member_who_does_not_read_holds_up_nobody() {
    let t = with_rooms();
    let sue = t.superuser();
    sue.patch(
        "/api/settings",
        &json!({"realtime": {"channels": [
            {"pattern": "room:*", "joinRule": "", "publishRule": "", "presence": false},
        ]}}),
    )
    .ok();
    let (mut speaker, mut quick, mut slow) = (Socket::open(&t), Socket::open(&t), Socket::open(&t));
    for socket in [&mut speaker, &mut quick, &mut slow] {
        assert_eq!(join(socket, "room:1", &json!(null))["members"], json!([]));
    }
    let body = "x".repeat(50_000);

    for n in 0..400 {
        say(&mut speaker, "room:1", &json!({"n": n, "body": body}));
        assert_eq!(heard(&mut quick)["n"], n);
    }

    // 20 MB do not fit into what waits for one connection: it hears in order, or is told that it missed something.
    let mut expected = 0;
    while expected < 400 {
        let frame = slow.next();
        if frame["type"] == "reset" {
            assert_eq!(frame["reason"], "expired");
            break;
        }
        assert_eq!(frame["payload"]["n"], expected);
        expected += 1;
    }
    say(&mut speaker, "room:1", &json!({"n": 400}));
    let mut last = slow.next();
    while last["payload"]["n"] != 400 {
        last = slow.next();
    }
}

#[test]
fn names_of_others_and_reserved_names_cannot_be_used() {
    let t = with_rooms();
    let (mut root, mut ann) = (Socket::of(&t, &t.superuser()), Socket::open(&t));
    let long = "x".repeat(10_000);
    for name in [
        "",
        "room:*",
        "room:",
        ":",
        "@oauth2",
        "room:a b",
        "room:a\nb",
        "room:a/b",
        &long,
    ] {
        let refused = root.ask("join", json!({"channel": name}));
        assert_eq!(refused["status"], 400, "{name}");
    }
    assert_eq!(
        ann.ask("join", json!({"channel": "room:a:b"}))["status"],
        403
    );
    join(&mut ann, "room:a", &json!(null));
    assert_eq!(ann.ask("join", json!({"channel": "room:a"}))["status"], 400);
    let big = "x".repeat(4_096);
    for wrong in [
        json!({"channel": "room:b", "presence": {"a": big}}),
        json!({"channel": "room:b", "presence": [1]}),
        json!({"channel": "room:b", "since": "forged"}),
    ] {
        assert_eq!(ann.ask("join", wrong.clone())["status"], 400, "{wrong}");
    }
    let big = json!({"channel": "room:a", "presence": {"a": big}});
    assert_eq!(ann.ask("presence", big)["status"], 400);
}

#[test]
fn channels_are_counted_with_subscriptions() {
    let t = with_rooms();
    let sue = t.superuser();
    sue.patch(
        "/api/settings",
        &json!({"realtime": {"maxSubscriptions": 2}}),
    )
    .ok();
    let mut ann = Socket::open(&t);
    join(&mut ann, "room:1", &json!(null));
    join(&mut ann, "room:2", &json!(null));

    assert_eq!(ann.ask("join", json!({"channel": "room:3"}))["status"], 400);
    let stats = sue.get("/api/realtime/stats").ok();
    assert_eq!(stats["channels"]["open"], 2);
    assert_eq!(stats["channels"]["members"], 2);
    drop(ann);
    let mut next = Socket::open(&t);
    assert_eq!(next.ask("ping", json!({}))["type"], "ok");
}
