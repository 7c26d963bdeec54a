//! Security cases of subscriptions and live queries, a row each: what is asked, by whom, and what must come back.

use std::sync::Arc;

use burrow::realtime::{Arrival, Connection, Question, Topic, Transport};
use serde_json::{Value as Json, json};

use super::ears::{Socket, is};
use super::live::Folded;
use super::world::{collection, create, delete, edit, relation, update};
use crate::support::{Person, TestApp};

/// What must come back.
enum Answer {
    /// An error of this status.
    Refused(u16),
    /// A result with these titles.
    Shows(&'static [&'static str]),
}

use Answer::{Refused, Shows};

/// Posts with a hidden field and a relation to a locked collection; two of them are public.
fn world() -> (TestApp, Person) {
    let t = TestApp::new();
    collection(&t, "vault", None, &[]);
    let vault = relation(&t, "vault", "vault", false);
    let code = json!({"type": "text", "name": "code", "hidden": true});
    collection(&t, "posts", Some("n > 0"), &[code, vault]);
    let sue = t.superuser();
    let secret = create(&sue, "vault", &json!({"title": "gold"}));
    for (title, n, code) in [("one", 1, "x1"), ("two", 2, "x2"), ("none", 0, "x3")] {
        let post = json!({"title": title, "n": n, "code": code, "vault": secret});
        create(&sue, "posts", &post);
    }
    (t, sue)
}

/// S10, R04, R06, R08 over sockets: what may not be asked of a list may not be asked here, by either message.
#[test]
fn nothing_hidden_can_be_asked_for() {
    let (t, sue) = world();
    let ann = t.user("ann");
    let both: &[&str] = &["one", "two"];
    for (label, asked, answer) in [
        (
            "S10 hidden field in a filter",
            json!({"filter": "code = 'x1'"}),
            Refused(400),
        ),
        (
            "S10 hidden field, modified",
            json!({"filter": "code:lower ~ 'x'"}),
            Refused(400),
        ),
        (
            "S10 hidden field in a branch",
            json!({"filter": "n > 0 || (code ~ 'x')"}),
            Refused(400),
        ),
        (
            "R06 locked relation",
            json!({"filter": "vault.title = 'gold'"}),
            Refused(400),
        ),
        (
            "R08 other collections",
            json!({"filter": "@collection.vault.n = 1"}),
            Refused(403),
        ),
        (
            "R08 the request",
            json!({"filter": "@request.auth.id != ''"}),
            Refused(403),
        ),
        (
            "S10 array-shaped logic",
            json!({"filter": ["n > 0"]}),
            Refused(400),
        ),
        (
            "S10 operators in an object",
            json!({"filter": {"n": {"$gt": 0}}}),
            Refused(400),
        ),
        (
            "S10 hidden field picked",
            json!({"fields": "title,code"}),
            Shows(both),
        ),
        (
            "S10 locked relation expanded",
            json!({"expand": "vault"}),
            Shows(both),
        ),
    ] {
        for kind in ["subscribe", "live"] {
            let mut socket = Socket::of(&t, &ann);
            let mut message = asked.clone();
            message["topic"] = json!("posts/*");
            message["collection"] = json!("posts");
            match &answer {
                Refused(status) => {
                    let reply = socket.ask(kind, message);
                    let told = (&reply["type"], &reply["status"]);
                    assert_eq!(
                        told,
                        (&json!("error"), &json!(status)),
                        "{label}, {kind}: {reply}"
                    );
                }
                Shows(titles) if kind == "live" => {
                    let live = Folded::ask(&mut socket, message);
                    assert_eq!(live.titles(), *titles, "{label}");
                    let text = json!(live.items).to_string();
                    assert!(
                        !text.contains("x1") && !text.contains("gold"),
                        "{label}: {text}"
                    );
                }
                Shows(_) => {
                    socket.subscribe_with(message);
                    let post = json!({"title": "new", "n": 5, "code": "x9"});
                    let id = create(&sue, "posts", &post);
                    let event = socket.next();
                    assert_eq!(event["record"]["title"], "new", "{label}");
                    assert!(event["record"].get("code").is_none(), "{label}: {event}");
                    delete(&sue, "posts", &id);
                }
            }
        }
    }
    let mut socket = Socket::of(&t, &ann);
    for sort in ["code", "-vault.title", "@random", "nope"] {
        let answer = socket.ask("live", json!({"collection": "posts", "sort": sort}));
        assert_eq!(answer["status"], 400, "{sort}");
    }
}

/// S08, S10: a live query says nothing of what its reader never saw, nor of changes that cannot be seen.
#[test]
fn what_was_never_seen_is_never_told() {
    let (t, sue) = world();
    let list = sue.get("/api/collections/posts/records?sort=n").ok();
    let id = |at: usize| list["items"][at]["id"].as_str().unwrap().to_owned();
    let mut socket = Socket::open(&t);
    let mut live = Folded::ask(
        &mut socket,
        json!({"collection": "posts", "sort": "n", "fields": "id,title,n"}),
    );

    update(&sue, "posts", &id(0), &json!({"title": "still hidden"}));
    update(&sue, "posts", &id(1), &json!({"code": "other"}));
    delete(&sue, "posts", &id(0));
    update(&sue, "posts", &id(2), &json!({"n": -1}));

    let frame = socket.next();
    assert_eq!(
        frame["changes"],
        json!([{"op": "remove", "id": id(2)}]),
        "{frame}"
    );
    live.take(&frame);
    assert_eq!(live.titles(), ["one"]);
}

/// S06: who loses the row that a rule reads loses what it gave, also in a group with others.
#[test]
fn a_membership_that_is_lost_counts_at_once() {
    let t = TestApp::new();
    let user = relation(&t, "user", "users", false);
    collection(&t, "members", None, &[user]);
    let rule = "@collection.members.user ?= @request.auth.id";
    collection(&t, "posts", Some(rule), &[]);
    let (sue, ann, bob) = (t.superuser(), t.user("ann"), t.user("bob"));
    let of_ann = create(&sue, "members", &json!({"user": ann.id}));
    create(&sue, "members", &json!({"user": bob.id}));
    create(&sue, "posts", &json!({"title": "a"}));
    let mut sockets = [Socket::of(&t, &ann), Socket::of(&t, &bob)];
    let [mut one, mut two] = sockets
        .each_mut()
        .map(|socket| Folded::ask(socket, json!({"collection": "posts"})));
    let [ann, bob] = &mut sockets;
    let mut events = Socket::of(&t, &t.user("eve"));
    events.subscribe("posts/*");

    delete(&sue, "members", &of_ann);
    one.until(ann, &[]);
    create(&sue, "posts", &json!({"title": "b"}));
    two.until(bob, &["a", "b"]);

    assert_eq!(one.titles(), Vec::<&str>::new());
    assert_eq!(events.ask("ping", json!({}))["type"], "ok");
}

/// S07: a rule that is nulled ends the query, a field that is hidden leaves it, another collection under the old name
/// has nothing to do with it.
#[test]
fn rules_and_fields_that_close_count_at_once() {
    let t = TestApp::new();
    collection(
        &t,
        "posts",
        Some(""),
        &[json!({"type": "text", "name": "code"})],
    );
    let sue = t.superuser();
    create(&sue, "posts", &json!({"title": "a", "code": "secret"}));
    let mut socket = Socket::open(&t);
    let mut live = Folded::ask(&mut socket, json!({"collection": "posts"}));
    assert_eq!(live.items[0]["code"], "secret");

    let fields = sue.get("/api/collections/posts").ok()["fields"].clone();
    let hidden: Vec<Json> = fields
        .as_array()
        .unwrap()
        .iter()
        .map(|field| {
            let mut field = field.clone();
            if field["name"] == "code" {
                field["hidden"] = json!(true);
            }
            field
        })
        .collect();
    edit(&sue, "posts", &json!({"fields": hidden}));
    live.take(&socket.next());
    assert!(live.items[0].get("code").is_none());
    edit(&sue, "posts", &json!({"listRule": null}));
    assert_eq!(socket.next()["status"], 403);
    sue.delete("/api/collections/posts").ok();
    collection(&t, "posts", Some(""), &[]);
    create(&sue, "posts", &json!({"title": "b"}));
    assert_eq!(socket.ask("ping", json!({}))["type"], "ok");
}

/// S05: frames that were queued for an identity that has ended are not sent any more.
#[test]
fn frames_queued_for_an_ended_identity_are_taken_back() {
    let t = TestApp::new();
    collection(&t, "inside", Some("@request.auth.id != ''"), &[]);
    collection(&t, "outside", Some(""), &[]);
    let (sue, ann) = (t.superuser(), t.user("ann"));
    let listener = direct(&t, &ann);
    let hub = &t.app.hub;
    hub.subscribe(
        listener.id(),
        &json!(1),
        Topic::parse("inside/*").unwrap(),
        None,
    )
    .unwrap();
    hub.live(listener.id(), &json!(2), question("inside"))
        .unwrap();
    hub.live(listener.id(), &json!(3), question("outside"))
        .unwrap();
    read_until(&t, &listener, "\"snapshot\"", 2);
    let mut bell = Socket::of(&t, &sue);
    let mut live_bell = Folded::ask(&mut bell, json!({"collection": "inside"}));
    let mut end_bell = Socket::of(&t, &sue);
    let mut live_end = Folded::ask(&mut end_bell, json!({"collection": "outside"}));

    create(&sue, "inside", &json!({"title": "secret"}));
    live_bell.until(&mut bell, &["secret"]);
    let password = json!({"password": "0987654321", "passwordConfirm": "0987654321"});
    update(&sue, "users", &ann.id, &password);
    create(&sue, "outside", &json!({"title": "open"}));
    // Nothing was read meanwhile; the hub has come to the end.
    live_end.until(&mut end_bell, &["open"]);

    let heard = read_until(&t, &listener, "open", 1);
    assert!(
        heard.contains("signedOut") && !heard.contains("secret"),
        "{heard}"
    );
}

/// S13: who never reads costs a bounded queue, and finds the last state when he does.
#[test]
fn a_live_reader_who_does_not_read_is_bounded_and_gets_the_end() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    sue.patch("/api/settings", &json!({"realtime": {"maxBacklog": 16}}))
        .ok();
    let post = create(&sue, "posts", &json!({"title": "a"}));
    let listener = direct(&t, &sue);
    t.app
        .hub
        .live(listener.id(), &json!(1), question("posts"))
        .unwrap();
    read_until(&t, &listener, "\"snapshot\"", 1);
    let mut other = Socket::open(&t);
    let mut live = Folded::ask(&mut other, json!({"collection": "posts"}));

    for n in 0..200 {
        update(
            &sue,
            "posts",
            &post,
            &json!({"title": format!("title {n}")}),
        );
    }
    live.until(&mut other, &["title 199"]);

    let frames = t.wait(listener.next()).unwrap();
    assert!(frames.len() <= 16, "{}", frames.len());
    let rest = read_until(&t, &listener, "title 199", 1);
    assert!(rest.contains("\"snapshot\""), "{rest}");
}

/// S19: a pattern made to be slow is matched in linear time, and others do not wait for it.
#[test]
fn a_costly_pattern_holds_up_nobody() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let mut mal = Socket::open(&t);
    let pattern = format!("title ~ '{}b'", "%a".repeat(400));
    for _ in 0..20 {
        Folded::ask(&mut mal, json!({"collection": "posts", "filter": pattern}));
    }
    let mut socket = Socket::open(&t);
    let mut live = Folded::ask(&mut socket, json!({"collection": "posts", "fields": "n"}));

    create(&sue, "posts", &json!({"title": "a".repeat(4_000), "n": 7}));

    live.take(&socket.next());
    assert_eq!(live.items[0]["n"], 7);
}

/// S11: what a subscription says of headers is no identity.
#[test]
fn headers_of_a_subscription_are_nobodys_identity() {
    let t = TestApp::new();
    collection(&t, "posts", Some("@request.auth.id != ''"), &[]);
    collection(&t, "bell", Some(""), &[]);
    let (sue, ann) = (t.superuser(), t.user("ann"));
    let mut socket = Socket::open(&t);
    socket.subscribe_with(json!({
        "topic": "posts/*",
        "headers": {"Authorization": ann.token(), "X-Forwarded-For": "10.0.0.1"},
        "query": {"token": ann.token()},
    }));
    socket.subscribe("bell/*");

    create(&sue, "posts", &json!({"title": "secret"}));
    create(&sue, "bell", &json!({"title": "ring"}));

    assert_eq!(socket.event(), is("create", "ring"));
}

/// S12: what all live queries hold together is bounded, and guests cannot take all of it.
#[test]
fn guests_leave_room_for_others() {
    let t = TestApp::new();
    let body = json!({"type": "text", "name": "body", "max": 2_000_000});
    collection(&t, "posts", Some(""), &[body]);
    let (sue, ann) = (t.superuser(), t.user("ann"));
    for n in 0..6 {
        create(
            &sue,
            "posts",
            &json!({"title": "a", "n": n, "body": "x".repeat(1_000_000)}),
        );
    }
    let mut guest = Socket::open(&t);
    let ask = |socket: &mut Socket, n: usize| {
        let filter = format!("n >= 0 && title != 'b{n}'");
        socket.ask("live", json!({"collection": "posts", "filter": filter}))
    };

    let first_refused = (0..20).find(|n| {
        let answer = ask(&mut guest, *n);
        let is_full = answer["status"] == 503;
        if !is_full {
            assert_eq!(guest.next()["type"], "snapshot");
        }
        is_full
    });

    // Half of 64 MiB, at 6 MB each.
    assert_eq!(first_refused, Some(5));
    let mut user = Socket::of(&t, &ann);
    assert_eq!(ask(&mut user, 100)["type"], "ok");
}

fn question(collection: &str) -> Question {
    Question {
        collection: collection.to_owned(),
        filter: String::new(),
        sort: String::new(),
        expand: String::new(),
        fields: String::new(),
        limit: 100,
    }
}

/// A connection that takes nothing until it is asked to.
fn direct(t: &TestApp, person: &Person) -> Connection {
    let hub = &t.app.hub;
    let address = std::net::Ipv4Addr::LOCALHOST.into();
    let connection = hub
        .connect(&Arrival {
            transport: Transport::WebSocket,
            address,
            user_agent: "",
            since: None,
        })
        .unwrap();
    let actor = t
        .wait(t.app.auth.resolve(person.token(), t.clock.now()))
        .unwrap();
    assert!(actor.record().is_some());
    hub.sign_in(connection.id(), &json!(0), &actor, b"null");
    connection
}

/// Takes frames until `word` has come `times` times; gives all of them.
fn read_until(t: &TestApp, listener: &Connection, word: &str, times: usize) -> String {
    let mut heard = String::new();
    while heard.matches(word).count() < times {
        let frames: Arc<_> = Arc::new(t.wait(listener.next()).unwrap());
        for frame in frames.iter() {
            heard.push_str(&String::from_utf8_lossy(frame));
        }
    }
    heard
}
