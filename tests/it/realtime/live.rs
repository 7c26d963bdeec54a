//! Live queries: at every cursor what a list request would answer.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::ears::Socket;
use super::world::{collection, create, delete, edit, relation, update};
use crate::support::{TestApp, until};

/// What a client of a live query holds.
#[derive(Default)]
pub(super) struct Folded {
    pub(super) sub: String,
    pub(super) items: Vec<Json>,
}

impl Folded {
    /// Asks, which must be granted, and takes the snapshot.
    #[track_caller]
    pub(super) fn ask(socket: &mut Socket, question: Json) -> Self {
        let answer = socket.ask("live", question);
        assert_eq!(answer["type"], "ok", "{answer}");
        let mut folded = Self {
            sub: answer["sub"].as_str().unwrap().to_owned(),
            items: Vec::new(),
        };
        let snapshot = socket.next();
        assert_eq!(snapshot["type"], "snapshot", "{snapshot}");
        assert_eq!(snapshot["cursor"], answer["cursor"]);
        folded.take(&snapshot);
        folded
    }

    /// Does what the protocol says a client does with a frame.
    #[track_caller]
    pub(super) fn take(&mut self, frame: &Json) {
        assert_eq!(frame["sub"], self.sub.as_str(), "{frame}");
        if frame["type"] == "snapshot" {
            self.items = frame["items"].as_array().unwrap().clone();
            return;
        }
        assert_eq!(frame["type"], "diff", "{frame}");
        for change in frame["changes"].as_array().unwrap() {
            let at = usize::try_from(change["index"].as_u64().unwrap_or(0)).unwrap();
            if change["op"] != "add" {
                let place = self
                    .items
                    .iter()
                    .position(|item| item["id"] == change["id"]);
                self.items
                    .remove(place.unwrap_or_else(|| panic!("{change}")));
            }
            if change["op"] != "remove" {
                self.items.insert(at, change["record"].clone());
            }
        }
    }

    /// Takes frames until `done` of the titles.
    #[track_caller]
    pub(super) fn until(&mut self, socket: &mut Socket, titles: &[&str]) {
        while self.titles() != titles {
            let frame = socket.next();
            self.take(&frame);
        }
    }

    pub(super) fn titles(&self) -> Vec<&str> {
        self.items
            .iter()
            .map(|item| item["title"].as_str().unwrap_or(""))
            .collect()
    }
}

#[test]
fn records_come_change_move_and_go() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let first = create(&sue, "posts", &json!({"title": "first", "n": 5}));
    create(&sue, "posts", &json!({"title": "hidden", "n": 0}));
    let mut socket = Socket::open(&t);

    let question = json!({"collection": "posts", "filter": "n > 0", "sort": "n"});
    let mut live = Folded::ask(&mut socket, question);
    assert_eq!(live.titles(), ["first"]);
    let second = create(&sue, "posts", &json!({"title": "second", "n": 7}));
    live.until(&mut socket, &["first", "second"]);
    update(&sue, "posts", &first, &json!({"n": 9}));
    live.until(&mut socket, &["second", "first"]);
    update(&sue, "posts", &second, &json!({"n": -1}));
    live.until(&mut socket, &["first"]);
    delete(&sue, "posts", &first);
    live.until(&mut socket, &[]);

    // Kept in memory: read once, and never again.
    assert_eq!(t.app.hub.live_queries(), (1, 1));
}

/// A view of which each row takes long: what else a story does happens meanwhile, and two rows take longer than one.
const LONG: &str = "SELECT posts.id, posts.title, (WITH RECURSIVE c(x) AS \
    (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1500000 + posts.n) SELECT count(*) FROM c) AS work FROM posts";

#[test]
fn a_question_asked_again_is_not_answered_with_what_was_read_before() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    t.collection(
        &json!({"name": "slow", "type": "view", "listRule": "", "viewRule": "", "viewQuery": LONG}),
    );
    let sue = t.superuser();
    create(&sue, "posts", &json!({"title": "first"}));
    let question = json!({"collection": "slow", "sort": "title"});
    let mut gone = Socket::open(&t);
    let mut ask = question.clone();
    ask["type"] = json!("live");
    ask["id"] = json!(1);
    gone.say(&ask.to_string());
    until("it is being read", || t.app.hub.live_queries() == (1, 1));
    drop(gone);
    until("nobody asks it", || t.app.hub.live_queries().0 == 0);
    create(&sue, "posts", &json!({"title": "second"}));

    let mut socket = Socket::open(&t);
    let live = Folded::ask(&mut socket, question);

    assert_eq!(live.titles(), ["first", "second"]);
}

#[test]
fn a_diff_is_the_fewest_steps() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let ids: Vec<String> = (0..4)
        .map(|n| create(&sue, "posts", &json!({"title": n.to_string(), "n": n})))
        .collect();
    let mut socket = Socket::open(&t);
    Folded::ask(
        &mut socket,
        json!({"collection": "posts", "sort": "n", "fields": "id,n"}),
    );

    update(&sue, "posts", &ids[0], &json!({"n": 2.5}));
    let diff = socket.next();

    assert_eq!(
        diff["changes"],
        json!([
            {"op": "update", "id": ids[0], "index": 2, "record": {"id": ids[0], "n": 2.5}}
        ])
    );
}

#[test]
fn a_limit_that_runs_short_is_filled_from_the_database() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let ids: Vec<String> = (0..40)
        .map(|n| create(&sue, "posts", &json!({"title": n.to_string(), "n": n})))
        .collect();
    let mut socket = Socket::open(&t);
    let mut live = Folded::ask(
        &mut socket,
        json!({"collection": "posts", "sort": "n", "limit": 2}),
    );

    for id in &ids[..38] {
        delete(&sue, "posts", id);
    }

    live.until(&mut socket, &["38", "39"]);
    delete(&sue, "posts", &ids[38]);
    live.until(&mut socket, &["39"]);
}

#[test]
fn what_reads_other_tables_is_read_again_and_once_for_all() {
    let t = TestApp::new();
    collection(&t, "teams", Some(""), &[]);
    let team = relation(&t, "team", "teams", false);
    collection(&t, "posts", Some("team.n > 0"), &[team]);
    collection(&t, "other", Some(""), &[]);
    let sue = t.superuser();
    let team = create(&sue, "teams", &json!({"title": "red", "n": 0}));
    create(&sue, "posts", &json!({"title": "a", "team": team}));
    let question = json!({"collection": "posts", "expand": "team"});
    let by_rule = json!({"collection": "posts"});
    let (mut one, mut two) = (Socket::open(&t), Socket::open(&t));
    let mut of_one = Folded::ask(&mut one, by_rule.clone());
    let mut of_two = Folded::ask(&mut two, by_rule);
    assert_eq!(t.app.hub.live_queries(), (1, 1));
    let mut with_team = Folded::ask(&mut one, question);

    update(&sue, "teams", &team, &json!({"n": 1}));
    let frames = [one.next(), one.next()];
    for frame in &frames {
        if frame["sub"] == of_one.sub.as_str() {
            of_one.take(frame)
        } else {
            with_team.take(frame)
        }
    }
    of_two.until(&mut two, &["a"]);
    assert_eq!(of_one.titles(), ["a"]);
    assert_eq!(with_team.items[0]["expand"]["team"]["title"], "red");
    let (_, reads) = t.app.hub.live_queries();
    assert_eq!(reads, 4);

    // What stands outside costs nothing: the next frame is of the next change inside.
    create(&sue, "other", &json!({"title": "x"}));
    update(&sue, "teams", &team, &json!({"title": "blue"}));
    let frame = one.next();
    with_team.take(&frame);
    assert_eq!(with_team.items[0]["expand"]["team"]["title"], "blue");
    assert!(t.app.hub.live_queries().1 <= reads + 2);
}

#[test]
fn a_view_follows_the_tables_behind_it() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    t.collection(&json!({
        "name": "totals", "type": "view", "listRule": "", "viewRule": "",
        "viewQuery": "SELECT 'all' AS id, count(*) AS n FROM posts",
    }));
    let sue = t.superuser();
    let mut socket = Socket::open(&t);
    let mut live = Folded::ask(&mut socket, json!({"collection": "totals"}));
    assert_eq!(live.items[0]["n"], 0);

    create(&sue, "posts", &json!({"title": "a"}));

    live.take(&socket.next());
    assert_eq!(live.items[0]["n"], 1);
}

#[test]
fn another_identity_is_another_result() {
    let t = TestApp::new();
    collection(
        &t,
        "posts",
        Some("title = @request.auth.name || title = 'all'"),
        &[],
    );
    let (sue, ann) = (t.superuser(), t.user("ann"));
    update(&sue, "users", &ann.id, &json!({"name": "ann"}));
    for title in ["all", "ann", "bob"] {
        create(&sue, "posts", &json!({"title": title}));
    }
    let mut socket = Socket::of(&t, &ann);
    let mut live = Folded::ask(&mut socket, json!({"collection": "posts"}));
    assert_eq!(live.titles(), ["all", "ann"]);

    update(&sue, "users", &ann.id, &json!({"name": "bob"}));
    live.until(&mut socket, &["all", "bob"]);
    socket.ask("auth", json!({"token": ""}));
    live.until(&mut socket, &["all"]);
    socket.ask("auth", json!({"token": sue.token()}));
    live.until(&mut socket, &["all", "ann", "bob"]);
    t.clock.advance(Duration::from_secs(400 * 24 * 3600));
    assert_eq!(socket.next()["type"], "signedOut");
    live.until(&mut socket, &["all"]);
}

#[test]
fn rules_and_fields_that_change_count_at_once() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    create(&sue, "posts", &json!({"title": "one", "n": 1}));
    create(&sue, "posts", &json!({"title": "two", "n": 2}));
    let mut socket = Socket::open(&t);
    let mut live = Folded::ask(&mut socket, json!({"collection": "posts", "sort": "n"}));

    edit(&sue, "posts", &json!({"listRule": "n > 1"}));
    live.until(&mut socket, &["two"]);
    edit(&sue, "posts", &json!({"name": "texts"}));
    let ended = socket.next();

    assert_eq!(
        (&ended["type"], &ended["status"]),
        (&json!("error"), &json!(404))
    );
    assert_eq!(ended["sub"], live.sub.as_str());
    let again = socket.ask("unsubscribe", json!({"sub": live.sub}));
    assert_eq!(again["status"], 404);
}

#[test]
fn what_a_list_would_refuse_is_refused() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    collection(&t, "locked", None, &[]);
    let mut socket = Socket::open(&t);
    for (question, status) in [
        (json!({"collection": "nope"}), 404),
        (json!({"collection": "locked"}), 403),
        (json!({"collection": "posts", "filter": "n >"}), 400),
        (
            json!({"collection": "posts", "filter": "@request.auth.id != ''"}),
            403,
        ),
        (json!({"collection": "posts", "sort": "nope"}), 400),
        (json!({"collection": "posts", "sort": "@random"}), 400),
        (json!({"collection": "posts", "limit": 0}), 400),
        (json!({"collection": "posts", "limit": 1001}), 400),
        (json!({"collection": "posts", "limit": 1.5}), 400),
        (json!({"collection": "posts", "filter": 5}), 400),
        (json!({"filter": "n > 1"}), 400),
    ] {
        let answer = socket.ask("live", question.clone());
        assert_eq!(
            (&answer["type"], &answer["status"]),
            (&json!("error"), &json!(status)),
            "{question}"
        );
    }
    assert_eq!(t.app.hub.live_queries(), (0, 0));
}

#[test]
fn a_transaction_is_never_split() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let mut socket = Socket::open(&t);
    let mut live = Folded::ask(&mut socket, json!({"collection": "posts"}));

    for round in 0..20 {
        let requests: Vec<Json> = (0..5)
            .map(|n| {
                json!({
                    "method": "POST", "url": "/api/collections/posts/records",
                    "body": {"title": format!("{round}"), "n": n},
                })
            })
            .collect();
        sue.post("/api/batch", &json!({"requests": requests})).ok();
    }

    while live.items.len() < 100 {
        let frame = socket.next();
        live.take(&frame);
        assert_eq!(live.items.len() % 5, 0, "{frame}");
    }
}

#[test]
fn what_reads_the_clock_follows_it() {
    let t = TestApp::new();
    let at = json!({"type": "date", "name": "at"});
    collection(&t, "posts", Some("at <= @now"), &[at]);
    let sue = t.superuser();
    create(
        &sue,
        "posts",
        &json!({"title": "later", "at": "2026-01-02 03:04:30.000Z"}),
    );
    let mut socket = Socket::open(&t);
    let mut live = Folded::ask(&mut socket, json!({"collection": "posts"}));
    assert_eq!(live.titles(), Vec::<&str>::new());

    t.clock.advance(Duration::from_secs(60));

    live.until(&mut socket, &["later"]);
}

#[test]
fn equality_spares_those_whom_a_change_does_not_concern() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let mut socket = Socket::open(&t);
    let mut all = Vec::new();
    for n in 0..50 {
        let filter = format!("title = 'owner{n}'");
        all.push(Folded::ask(
            &mut socket,
            json!({"collection": "posts", "filter": filter}),
        ));
    }

    let id = create(&sue, "posts", &json!({"title": "owner7"}));
    let frame = socket.next();
    assert_eq!(frame["sub"], all[7].sub.as_str());
    update(&sue, "posts", &id, &json!({"title": "owner8"}));
    let mut told = [socket.next(), socket.next()].map(|frame| frame["sub"].clone());
    told.sort_by_key(ToString::to_string);
    assert_eq!(told, [all[7].sub.as_str(), all[8].sub.as_str()]);
    assert_eq!(t.app.hub.live_queries(), (50, 50));
}
