//! Rules: what is open, locked or broken, and what a batch may not smuggle.

use serde_json::{Value as Json, json};

use super::rows::Answer::{Is, OneOf, Total};
use super::rows::{Row, filtered, get, hold, patch, post, row};
use crate::support::{Person, Request, TestApp, eventually, files_below};

fn text(name: &str) -> Json {
    json!({"name": name, "type": "text"})
}

fn open(name: &str, fields: &[Json]) -> Json {
    json!({
        "name": name, "fields": fields,
        "listRule": "", "viewRule": "", "createRule": "", "updateRule": "", "deleteRule": "",
    })
}

#[test]
fn filters_and_sorts_reach_what_they_may_and_no_further() {
    let t = TestApp::new();
    let sue = t.superuser();
    t.collection(&json!({"id": "pbc_locked", "name": "locked", "fields": [text("title")]}));
    t.collection(&json!({
        "id": "pbc_owned", "name": "owned", "listRule": "owner = @request.auth.id", "viewRule": "",
        "fields": [{"name": "owner", "type": "relation", "collectionId": "_pb_users_auth_", "maxSelect": 1}],
    }));
    let to = |name: &str, id: &str| json!({"name": name, "type": "relation", "collectionId": id, "maxSelect": 1});
    let fields = [
        text("title"),
        json!({"name": "code", "type": "text", "hidden": true}),
        json!({"name": "meta", "type": "json"}),
        to("lock", "pbc_locked"),
        to("of", "_pb_users_auth_"),
    ];
    t.collection(&open("notes", &fields));
    let (guest, ann, bob) = (t.guest(), t.user("ann"), t.user("bob"));
    sue.create("owned", &json!({}));
    sue.create("owned", &json!({"owner": ann.id}));
    sue.create("notes", &json!({"title": "a", "code": "1"}));
    let sort = |key: &str| get(&format!("/api/collections/notes/records?sort={key}"));
    let notes = |filter: &str| filtered("notes", filter);

    let mut rows = Vec::new();
    for who in [&guest, &ann] {
        for filter in [
            "@request.auth.id = ''",
            "@collection.locked.title = 'x'",
            "title = '@request.auth.id'",
            "title = 'a' // @collection.locked",
            "(title = 'x' || @request.body.x:isset = true)",
            "@request.",
        ] {
            rows.push(row("R08", filter, who, notes(filter), Is(403)));
        }
        for key in ["@request.auth.id", "title,-@collection.locked.title"] {
            rows.push(row(
                "R08",
                format!("sort {key}"),
                who,
                sort(key),
                OneOf(&[400, 403]),
            ));
        }
        for filter in [
            "code = '1'",
            "title = 'x' || code ~ '1'",
            "meta.a = 1 && (title = 'a' || (code:lower = '1'))",
            "of.password != ''",
            "of.tokenKey:length > 0",
            "owned_via_owner.id != ''",
        ] {
            rows.push(row("R04", filter, who, notes(filter), Is(400)));
        }
        rows.push(row(
            "R06",
            "a locked target",
            who,
            notes("lock.title = 'x'"),
            Is(400),
        ));
        rows.push(row(
            "R06",
            "the own column of a relation",
            who,
            notes("lock.id = ''"),
            Is(200),
        ));
        rows.push(row(
            "R06",
            "sort by a locked target",
            who,
            sort("lock.title"),
            Is(400),
        ));
        rows.push(row(
            "R05",
            "sort by a hidden field",
            who,
            sort("code"),
            Is(400),
        ));
    }
    // Nothing is nothing: an owner that is not set is what a guest is.
    let all = || get("/api/collections/owned/records");
    rows.push(row(
        "R09",
        "a guest and a row without owner",
        &guest,
        all(),
        Total(1),
    ));
    rows.push(row("R09", "an owner", &ann, all(), Total(1)));
    rows.push(row("R09", "somebody else", &bob, all(), Total(0)));
    hold(&t, rows);
}

/// R05: whoever hides an address is sorted as if there were none.
#[test]
fn the_order_tells_no_hidden_address() {
    let t = TestApp::new();
    let sue = t.superuser();
    let rule = json!({"listRule": "", "viewRule": ""});
    sue.patch("/api/collections/users", &rule).ok();
    for name in ["dora", "carl", "emil"] {
        t.user(name);
    }
    let order = |who: &Person, sort: &str| {
        let page = who
            .get(&format!(
                "/api/collections/users/records?sort={sort},id&fields=id"
            ))
            .ok();
        page["items"].clone()
    };

    assert_eq!(order(&t.guest(), "email"), order(&t.guest(), "-email"));
    assert_ne!(order(&sue, "email"), order(&sue, "-email"));
}

/// R10: a rule that cannot be read any more, however it came to be, is a locked door.
#[test]
fn a_broken_rule_denies_everywhere() {
    let t = TestApp::new();
    let sue = t.superuser();
    t.collection(&open(
        "notes",
        &[
            text("title"),
            json!({"name": "doc", "type": "file", "protected": true}),
        ],
    ));
    let upload = Request::new("POST", "/api/collections/notes/records")
        .multipart(&[("id", "n00000000000001")], &[("doc", "a.txt", b"x")]);
    let doc = sue.send(upload).ok()["doc"].as_str().unwrap().to_owned();
    let list = "/api/collections/notes/records";
    let one = "/api/collections/notes/records/n00000000000001";
    let ann = t.user("ann");
    let token = ann.post("/api/files/token", &json!({})).ok()["token"].clone();
    let file = format!(
        "/api/files/notes/n00000000000001/{doc}?token={}",
        token.as_str().unwrap()
    );
    for broken in [
        "gone = 'x' || title != 'never'",
        "title != 'never' || @collection.gone.id = ''",
        "title != 'never' || nothing(title) > 1",
        "title !=",
        "((",
        "title != 'never' || title.a.b = 1",
    ] {
        let set: Vec<String> = [
            "listRule",
            "viewRule",
            "createRule",
            "updateRule",
            "deleteRule",
        ]
        .iter()
        .map(|rule| format!("\"{rule}\" = '{}'", broken.replace('\'', "''")))
        .collect();
        let query = format!(
            "UPDATE _collections SET {} WHERE name = 'notes'",
            set.join(", ")
        );
        sue.post("/api/sql", &json!({ "query": query })).ok();
        let mut rows: Vec<Row<'_>> = Vec::new();
        let guest = t.guest();
        for who in [&guest, &ann] {
            rows.push(row(
                "R10",
                format!("list: {broken}"),
                who,
                get(list),
                Is(400),
            ));
            rows.push(row(
                "R10",
                format!("view: {broken}"),
                who,
                get(one),
                Is(404),
            ));
            rows.push(row(
                "R10",
                format!("create: {broken}"),
                who,
                post(list, &json!({})),
                Is(400),
            ));
            rows.push(row(
                "R10",
                format!("update: {broken}"),
                who,
                patch(one, &json!({})),
                Is(404),
            ));
            rows.push(row(
                "R10",
                format!("delete: {broken}"),
                who,
                Request::new("DELETE", one),
                Is(404),
            ));
            rows.push(row(
                "R10",
                format!("file: {broken}"),
                who,
                get(&file),
                Is(404),
            ));
        }
        rows.push(row(
            "R10",
            format!("superuser: {broken}"),
            &sue,
            get(one),
            Is(200),
        ));
        hold(&t, rows);
    }
}

/// R02: a rule that is left out is locked, by whatever way the collection comes.
#[test]
fn a_rule_left_out_is_locked_by_every_way_in() {
    let t = TestApp::new();
    let sue = t.superuser();
    let import = json!({"collections": [{"name": "imported", "fields": [text("title")]}]});
    sue.send(Request::new("PUT", "/api/collections/import").json(&import))
        .ok();
    sue.post(
        "/api/collections",
        &json!({"name": "posted", "fields": [text("title")]}),
    )
    .ok();
    sue.post(
        "/api/collections",
        &json!({"name": "accounts", "type": "auth"}),
    )
    .ok();
    sue.post(
        "/api/collections",
        &json!({"name": "seen", "type": "view", "viewQuery": "SELECT id, title FROM posted"}),
    )
    .ok();
    let guest = t.guest();
    let rows = ["imported", "posted", "accounts", "seen"].map(|name| {
        let path = format!("/api/collections/{name}/records");
        row("R02", name, &guest, get(&path), Is(403))
    });
    hold(&t, rows.into());
    let shown = sue.get("/api/collections/accounts").ok();
    for rule in [
        "listRule",
        "viewRule",
        "createRule",
        "updateRule",
        "deleteRule",
        "manageRule",
    ] {
        assert_eq!(shown[rule], Json::Null, "{rule}");
    }
    // A copy through export and import stays what it was.
    let mut copy = sue.get("/api/collections/posted").ok();
    copy["listRule"] = Json::Null;
    sue.send(Request::new("PUT", "/api/collections/import").json(&json!({"collections": [copy]})))
        .ok();
    assert_eq!(guest.get("/api/collections/posted/records").status, 403);
}

/// R14, R16: one record by every way there is, and who may see what of it.
#[test]
fn every_way_to_a_record_hides_the_same() {
    let t = TestApp::new();
    let sue = t.superuser();
    let mut users = sue.get("/api/collections/users").ok()["fields"].clone();
    let hidden = json!({"name": "diary", "type": "text", "hidden": true});
    users.as_array_mut().unwrap().push(hidden);
    let rules = json!({"fields": users, "listRule": "", "viewRule": "", "updateRule": "", "createRule": ""});
    sue.patch("/api/collections/users", &rules).ok();
    sue.patch("/api/settings", &json!({"batch": {"enabled": true}}))
        .ok();
    t.collection(&open("notes", &[json!({"name": "of", "type": "relation", "collectionId": "_pb_users_auth_", "maxSelect": 1})]));
    let (ann, bob) = (t.user("ann"), t.user("bob"));
    let of_ann = format!("/api/collections/users/records/{}", ann.id);
    sue.patch(&of_ann, &json!({"diary": "dear diary"})).ok();
    sue.create("notes", &json!({"id": "n00000000000001", "of": ann.id}));
    let batch = json!({"requests": [
        {"method": "PATCH", "url": format!("{of_ann}?expand=notes_via_of.of"), "body": {"name": "Ann"}},
    ]});
    let ways = |fields: &str| {
        [
            (
                "list",
                get(&format!(
                    "/api/collections/users/records?filter=id='{}'{fields}",
                    ann.id
                )),
            ),
            ("view", get(&format!("{of_ann}?a=b{fields}"))),
            (
                "update",
                patch(&format!("{of_ann}?a=b{fields}"), &json!({"name": "Ann"})),
            ),
            (
                "expand",
                get(&format!(
                    "/api/collections/notes/records/n00000000000001?expand=of{fields}"
                )),
            ),
            (
                "back",
                get(&format!(
                    "/api/collections/notes/records?expand=of.notes_via_of.of{fields}"
                )),
            ),
            ("batch", post("/api/batch", &batch)),
        ]
    };
    let picks = [
        "",
        "&fields=*",
        "&fields=*,diary,email,password,tokenKey",
        "&fields=*,expand.of.diary,expand.*.*.email,items.expand.of.diary:excerpt(9)",
    ];

    // Who asks, and whether address and hidden field are shown to them.
    let guest = t.guest();
    for (name, who, address, diary) in [
        ("guest", &guest, false, false),
        ("bob", &bob, false, false),
        ("ann", &ann, true, false),
        ("sue", &sue, true, true),
    ] {
        for fields in picks {
            for (way, request) in ways(fields) {
                let reply = who.send(request);
                assert_eq!(reply.status, 200, "{name} {way} {fields}: {}", reply.text());
                let text = reply.text();
                assert!(
                    text.contains(&ann.id) || text.contains("n0000"),
                    "{name} {way} {fields}: {text}"
                );
                // A picker may leave out what would be shown; it never adds.
                let whole = fields.is_empty();
                for (word, shown) in [("ann@example.com", address), ("dear diary", diary)] {
                    let there = text.contains(word);
                    assert!(
                        !there || shown,
                        "R14 {name} {way} {fields}: {word} in {text}"
                    );
                    assert!(
                        there || !shown || !whole,
                        "R14 {name} {way} {fields}: no {word} in {text}"
                    );
                }
                for secret in ["argon2", "tokenKey", "\"password\""] {
                    assert!(
                        !text.contains(secret),
                        "R16 {name} {way} {fields}: {secret}"
                    );
                }
            }
        }
    }
    let body = json!({"identity": "ann@example.com", "password": "1234567890"});
    let session = guest.post(
        "/api/collections/users/auth-with-password?expand=notes_via_of.of",
        &body,
    );
    let refreshed = ann.post("/api/collections/users/auth-refresh", &json!({}));
    for reply in [session, refreshed] {
        let text = reply.text();
        assert!(
            reply.status == 200 && text.contains("ann@example.com"),
            "{text}"
        );
        for secret in ["argon2", "tokenKey", "\"password\"", "dear diary"] {
            assert!(!text.contains(secret), "R14 {secret} in {text}");
        }
    }
}

/// R18: that an id exists can be learnt by pointing to it, by contract; nothing more can.
#[test]
fn pointing_to_the_unseen_tells_only_that_it_is_there() {
    let t = TestApp::new();
    let sue = t.superuser();
    t.collection(&json!({"id": "pbc_locked", "name": "locked", "fields": [text("title")]}));
    let to =
        json!({"name": "of", "type": "relation", "collectionId": "pbc_locked", "maxSelect": 1});
    t.collection(&open("notes", &[to]));
    let there = sue.create("locked", &json!({"title": "a secret title"}));
    let path = "/api/collections/notes/records?expand=of&fields=*,expand.of.title";

    let made = t.guest().post(path, &json!({"of": there["id"]}));
    let missing = t.guest().post(path, &json!({"of": "a00000000000001"}));

    assert_eq!(made.status, 200);
    assert!(!made.text().contains("a secret title"), "{}", made.text());
    assert_eq!(missing.code("of"), "validation_missing_rel_records");
    // Ids are drawn, not counted: no two begin alike, whatever the clock says.
    let ids: Vec<String> = (0..50)
        .map(|_| sue.create("locked", &json!({}))["id"].as_str().unwrap()[..6].to_owned())
        .collect();
    let different: std::collections::HashSet<&String> = ids.iter().collect();
    assert!(different.len() > 45, "{ids:?}");
}

/// R21: a part of a batch speaks for the one who sent the batch, and of records only.
#[test]
fn a_part_of_a_batch_is_nobody_else_and_nowhere_else() {
    let t = TestApp::new();
    let sue = t.superuser();
    let settings = json!({
        "batch": {"enabled": true},
        "trustedProxy": {"headers": ["X-Forwarded-For"], "useLeftmostIP": true},
    });
    sue.patch("/api/settings", &settings).ok();
    let rule = "@request.auth.id = '' && @request.headers.authorization:isset = false";
    t.collection(&json!({"name": "guests", "createRule": rule, "fields": [text("title")]}));
    t.collection(&json!({"name": "locked", "fields": [text("title")]}));
    let inner = |url: &str, headers: Json| {
        let part =
            json!({"method": "POST", "url": url, "headers": headers, "body": {"title": "x"}});
        post("/api/batch", &json!({"requests": [part]}))
    };
    let locked = "/api/collections/locked/records";
    let guest = t.guest();
    let token = sue.token();
    let mut rows = Vec::new();
    for headers in [
        json!({"Authorization": token}),
        json!({"authorization": format!("Bearer {token}")}),
        json!({"Cookie": format!("pb_auth={token}")}),
        json!({"Host": "localhost", "X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}),
    ] {
        rows.push(row(
            "R21",
            headers.to_string(),
            &guest,
            inner(locked, headers),
            Is(400),
        ));
    }
    for url in [
        "http://127.0.0.1/api/collections/guests/records",
        "//127.0.0.1/api/collections/guests/records",
        "/api/collections/guests/../guests/records",
        "/api/../api/collections/guests/records",
        "/api/collections/guests/records/../../guests/records",
        "/api/batch",
        "/api/settings",
        "/api/collections",
        "/api/sql",
        "/api/files/token",
        "/api/collections/users/auth-with-password",
        "api/collections/guests/records",
        "",
    ] {
        rows.push(row("R21", url, &guest, inner(url, json!({})), Is(400)));
        rows.push(row("R21", url, &sue, inner(url, json!({})), Is(400)));
    }
    let fine = "/api/collections/guests/records";
    rows.push(row(
        "R21",
        "what is allowed",
        &guest,
        inner(fine, json!({})),
        Is(200),
    ));
    hold(&t, rows);
    assert_eq!(
        sue.get("/api/collections/locked/records").ok()["totalItems"],
        0
    );
    assert_eq!(
        sue.get("/api/collections/guests/records").ok()["totalItems"],
        1
    );
}

/// R22: a batch that fails at its end leaves nothing, wherever one looks.
#[test]
fn a_failed_batch_leaves_no_trace() {
    let t = TestApp::new();
    let sue = t.superuser();
    sue.patch(
        "/api/settings",
        &json!({"batch": {"enabled": true, "maxRequests": 60}}),
    )
    .ok();
    t.collection(&open(
        "notes",
        &[text("title"), json!({"name": "doc", "type": "file"})],
    ));
    t.collection(&open("counts", &[json!({"name": "n", "type": "number"})]));
    sue.create("counts", &json!({"id": "c00000000000001", "n": 1}));
    t.wait(t.app.auth.flush_usage());
    let head = t.app.store.head();
    let count = "/api/collections/counts/records/c00000000000001";
    let mut requests: Vec<Json> = (0..48)
        .map(|n| json!({"method": "POST", "url": "/api/collections/notes/records", "body": {"title": format!("{n}")}}))
        .collect();
    requests.push(json!({"method": "PATCH", "url": count, "body": {"n+": 5}}));
    requests
        .push(json!({"method": "DELETE", "url": "/api/collections/notes/records/nothing00000000"}));
    let payload = json!({"requests": requests}).to_string();
    let names: Vec<String> = (0..48).map(|n| format!("requests.{n}.doc")).collect();
    let files: Vec<(&str, &str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), "a.txt", b"content".as_slice()))
        .collect();

    let reply = t
        .guest()
        .send(Request::new("POST", "/api/batch").multipart(&[("@jsonPayload", &payload)], &files));

    reply.is(400, "Batch transaction failed.");
    let named = reply.json()["data"]["requests"].clone();
    assert_eq!(
        named.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["49"]
    );
    assert_eq!(
        sue.get("/api/collections/notes/records").ok()["totalItems"],
        0
    );
    assert_eq!(sue.get(count).ok()["n"], 1);
    assert_eq!(t.app.store.head(), head, "an entry in the log of changes");
    eventually(|| files_below(&t.dir().join("storage")).is_empty());
}
