//! Rules that explain themselves: what a superuser is told of a rule, what a refusal leaves in the log, and which
//! collections are open.

use serde_json::{Value as Json, json};

use crate::support::{Person, TestApp};

const RULE: &str = "owner = @request.auth.id && (status = 'open' || @request.auth.verified = true)";

fn notes(t: &TestApp) -> (Person, Person, Json) {
    t.collection(&json!({
        "name": "notes", "listRule": RULE, "viewRule": RULE, "createRule": "owner = @request.auth.id && rank > 3",
        "updateRule": "@request.body.status:isset = false && owner = @request.auth.id", "deleteRule": null,
        "fields": [
            {"name": "title", "type": "text"},
            {"name": "status", "type": "text"},
            {"name": "rank", "type": "number"},
            {"name": "owner", "type": "relation", "collectionId": "_pb_users_auth_", "maxSelect": 1},
        ],
    }));
    let (sue, ann) = (t.superuser(), t.user("ann"));
    let note = sue.create(
        "notes",
        &json!({"title": "a", "status": "closed", "owner": ann.id, "rank": 1}),
    );
    (sue, ann, note)
}

fn explain(sue: &Person, body: &Json) -> Json {
    sue.post("/api/collections/notes/explain", body).ok()
}

#[test]
fn each_clause_says_whether_it_held_and_of_what() {
    let t = TestApp::new();
    let (sue, ann, note) = notes(&t);

    let told = explain(
        &sue,
        &json!({"rule": "viewRule", "record": note["id"], "caller": {"collection": "users", "id": ann.id}}),
    );

    assert_eq!(told["holds"], false);
    assert_eq!(told["state"], "rule");
    assert_eq!(told["record"], "here");
    let clause = &told["clause"];
    assert_eq!(
        (&clause["shape"], &clause["holds"]),
        (&json!("all"), &json!(false))
    );
    let (owner, either) = (&clause["parts"][0], &clause["parts"][1]);
    assert_eq!(owner["text"], "owner = @request.auth.id");
    assert_eq!(owner["holds"], true);
    assert_eq!(
        owner["left"],
        json!({"text": "owner", "kind": "value", "value": ann.id})
    );
    assert_eq!(owner["right"]["value"], ann.id.as_str());
    assert_eq!(
        (&either["shape"], &either["holds"]),
        (&json!("any"), &json!(false))
    );
    assert_eq!(either["parts"][0]["left"]["value"], "closed");
    assert_eq!(either["parts"][1]["left"]["text"], "@request.auth.verified");
    // What is said is what the rule does.
    let path = format!(
        "/api/collections/notes/records/{}",
        note["id"].as_str().unwrap()
    );
    assert_eq!(ann.get(&path).status, 404);
    sue.patch(&path, &json!({"status": "open"})).ok();
    assert_eq!(ann.get(&path).status, 200);
    let told = explain(
        &sue,
        &json!({"rule": "viewRule", "record": note["id"], "caller": {"collection": "users", "id": ann.id}}),
    );
    assert_eq!(told["holds"], true);
}

#[test]
fn what_is_submitted_is_judged_as_a_request_would_be() {
    let t = TestApp::new();
    let (sue, ann, note) = notes(&t);
    let caller = json!({"collection": "users", "id": ann.id});

    let low =
        json!({"rule": "createRule", "caller": caller, "values": {"owner": ann.id, "rank": 2}});
    let told = explain(&sue, &low);
    assert_eq!(told["holds"], false);
    assert_eq!(
        told["clause"]["parts"][1]["left"],
        json!({"text": "rank", "kind": "value", "value": 2})
    );
    let high =
        json!({"rule": "createRule", "caller": caller, "values": {"owner": ann.id, "rank": 4}});
    assert_eq!(explain(&sue, &high)["holds"], true);
    let update = |values: Json| {
        let question =
            json!({"rule": "updateRule", "caller": caller, "record": note["id"], "values": values});
        explain(&sue, &question)["holds"].clone()
    };
    assert_eq!(update(json!({"title": "b"})), true);
    assert_eq!(update(json!({"status": "b"})), false);
    // Nothing was written.
    assert_eq!(
        sue.get("/api/collections/notes/records").ok()["totalItems"],
        1
    );
}

#[test]
fn guests_superusers_drafts_and_what_is_missing() {
    let t = TestApp::new();
    let (sue, ann, note) = notes(&t);

    let guest = explain(&sue, &json!({"rule": "listRule"}));
    assert_eq!(
        (&guest["holds"], &guest["record"]),
        (&Json::Null, &json!("none"))
    );
    let locked = explain(&sue, &json!({"rule": "deleteRule", "record": note["id"]}));
    assert_eq!(
        (&locked["state"], &locked["holds"]),
        (&json!("locked"), &json!(false))
    );
    let gone = explain(&sue, &json!({"rule": "viewRule", "record": "nothere"}));
    assert_eq!(
        (&gone["record"], &gone["holds"]),
        (&json!("missing"), &json!(false))
    );
    let own = json!({"rule": "viewRule", "record": note["id"], "caller": {"collection": "_superusers", "id": sue.id}});
    let own = explain(&sue, &own);
    assert_eq!(
        (&own["superuser"], &own["holds"]),
        (&json!(true), &json!(true))
    );
    let draft =
        json!({"rule": "viewRule", "text": "title = 'a' && nonsense = 1", "record": note["id"]});
    assert_eq!(explain(&sue, &draft)["state"], "broken");
    let draft = json!({"rule": "viewRule", "text": "title = 'a' // fine", "record": note["id"]});
    assert_eq!(explain(&sue, &draft)["holds"], true);

    let ask = |body: Json| sue.post("/api/collections/notes/explain", &body).status;
    assert_eq!(ask(json!({"rule": "authRule"})), 400);
    assert_eq!(
        ask(json!({"rule": "viewRule", "caller": {"collection": "users", "id": "nobody"}})),
        400
    );
    assert_eq!(ask(json!({"rule": "viewRule", "caller": 7})), 400);
    let body = json!({"rule": "viewRule"});
    assert_eq!(sue.post("/api/collections/nope/explain", &body).status, 404);
    assert_eq!(
        ann.post("/api/collections/notes/explain", &body).status,
        403
    );
    assert_eq!(
        t.guest()
            .post("/api/collections/notes/explain", &body)
            .status,
        401
    );
}

#[test]
fn parts_that_hold_for_different_records_are_told_apart() {
    let t = TestApp::new();
    let (sue, _, note) = notes(&t);
    t.collection(&json!({
        "name": "replies", "fields": [
            {"name": "note", "type": "relation", "collectionId": sue.get("/api/collections/notes").ok()["id"], "maxSelect": 1},
            {"name": "by", "type": "text"}, {"name": "kind", "type": "text"},
        ],
    }));
    sue.create(
        "replies",
        &json!({"note": note["id"], "by": "ann", "kind": "x"}),
    );
    sue.create(
        "replies",
        &json!({"note": note["id"], "by": "bob", "kind": "y"}),
    );

    let text = "replies_via_note.by ?= 'ann' && replies_via_note.kind ?= 'y'";
    let told = explain(
        &sue,
        &json!({"rule": "viewRule", "text": text, "record": note["id"]}),
    );

    let clause = &told["clause"];
    assert_eq!(
        (&told["holds"], &clause["apart"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(clause["parts"][0]["holds"], true);
    assert_eq!(clause["parts"][0]["left"]["kind"], "elsewhere");
}

#[test]
fn secrets_are_not_shown_in_an_explanation() {
    let t = TestApp::new();
    let (sue, ann) = (t.superuser(), t.user("ann"));
    let body = json!({
        "rule": "viewRule", "record": ann.id, "caller": {"collection": "users", "id": ann.id},
        "text": "password != '' && tokenKey != '' && @request.headers.authorization = ''",
        "headers": {"Authorization": "very-secret"},
    });
    let reply = sue.post("/api/collections/users/explain", &body);
    let told = reply.ok();
    for part in told["clause"]["parts"].as_array().unwrap() {
        assert_eq!(part["left"]["kind"], "secret", "{part}");
        assert_eq!(part["left"]["value"], Json::Null);
    }
}

/// The refusal of the latest request that failed, as the log keeps it.
fn logged(t: &TestApp, sue: &Person) -> Json {
    t.wait(t.app.logs.flush());
    let page = sue
        .get("/api/logs?filter=data.status>=400&sort=-@rowid&perPage=1")
        .ok();
    page["items"][0]["data"]["refusal"].clone()
}

#[test]
fn a_refusal_leaves_rule_clause_and_record_in_the_log() {
    let t = TestApp::new();
    let (sue, ann, note) = notes(&t);
    let id = note["id"].as_str().unwrap();
    let path = format!("/api/collections/notes/records/{id}");

    ann.get(&path)
        .is(404, "The requested resource wasn't found.");
    let either = "status = \"open\" || @request.auth.verified = true";
    assert_eq!(
        logged(&t, &sue),
        json!({"collection": "notes", "rule": "viewRule", "clause": either, "record": id})
    );
    t.guest().get(&path);
    assert_eq!(logged(&t, &sue)["clause"], "owner = @request.auth.id");
    ann.patch(&path, &json!({"status": "secret-value"}));
    let refusal = logged(&t, &sue);
    assert_eq!(refusal["clause"], "@request.body.status:isset = false");
    assert!(!refusal.to_string().contains("secret-value"));
    let body = json!({"owner": ann.id, "rank": 1});
    ann.post("/api/collections/notes/records", &body)
        .is(400, "Failed to create record.");
    assert_eq!(
        logged(&t, &sue),
        json!({"collection": "notes", "rule": "createRule", "clause": "rank > 3", "record": ""})
    );
    ann.delete(&path)
        .is(403, "Only superusers can perform this action.");
    assert_eq!(logged(&t, &sue)["rule"], "deleteRule");
    // Nobody is refused a record that is not there.
    ann.get("/api/collections/notes/records/nothere");
    assert_eq!(logged(&t, &sue), Json::Null);
}

#[test]
fn what_is_open_is_listed_with_the_worst_first() {
    let t = TestApp::new();
    let sue = t.superuser();
    t.collection(&json!({
        "name": "people", "listRule": "1 = 1", "viewRule": "@request.auth.id != ''", "createRule": "",
        "updateRule": "@request.auth.id != ''", "deleteRule": "",
        "fields": [{"name": "mail", "type": "email"}, {"name": "photo", "type": "file", "maxSelect": 1}],
    }));
    t.collection(&json!({
        "name": "safe", "listRule": "title = @request.auth.id",
        "fields": [{"name": "title", "type": "text"}],
    }));

    let told = sue.get("/api/collections/meta/exposure").ok();
    let of = |name: &str| -> Vec<(String, String, String)> {
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        told["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|item| item["collectionName"] == name)
            .map(|item| {
                (
                    text(&item["level"]),
                    text(&item["rule"]),
                    text(&item["code"]),
                )
            })
            .collect()
    };
    let expected = [
        ("danger", "deleteRule", "open_delete"),
        ("danger", "listRule", "public_emails"),
        ("warning", "createRule", "open_create"),
        ("warning", "updateRule", "any_user_update"),
        ("info", "viewRule", "open_files"),
    ]
    .map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(of("people"), expected);
    assert_eq!(of("safe"), []);
    let accounts = [
        ("info", "createRule", "open_sign_up"),
        ("info", "viewRule", "open_files"),
    ]
    .map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(of("users"), accounts);
    assert_eq!(t.guest().get("/api/collections/meta/exposure").status, 401);
}

#[test]
fn a_console_that_only_reads_lets_nothing_be_written() {
    let t = TestApp::new();
    let (sue, _, note) = notes(&t);
    let run = |query: &str| sue.post("/api/sql", &json!({"query": query, "readOnly": true}));

    assert_eq!(run("SELECT title FROM notes").ok()["rows"], json!([["a"]]));
    assert_eq!(run("EXPLAIN SELECT * FROM notes").status, 200);
    for query in [
        "DELETE FROM notes",
        "  update notes set title = 'b'",
        "WITH x AS (SELECT 1) DELETE FROM notes",
        "SELECT 1; DROP TABLE notes",
    ] {
        assert_eq!(run(query).status, 400, "{query}");
    }
    let path = format!(
        "/api/collections/notes/records/{}",
        note["id"].as_str().unwrap()
    );
    assert_eq!(sue.get(&path).ok()["title"], "a");
}
