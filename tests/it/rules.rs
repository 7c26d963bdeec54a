//! Who may do what: security cases R01 to R20 as far as they speak of records, one table of identity and route where
//! that fits.

use serde_json::{Value as Json, json};

use crate::support::{Person, Request, TestApp};

const LOCKED: &str = "/api/collections/locked/records";

/// R01: a collection without rules answers every verb of everybody alike and looks no row up.
#[test]
fn a_locked_collection_says_the_same_to_everybody() {
    let t = TestApp::new();
    t.collection(&json!({"name": "locked", "fields": [{"name": "title", "type": "text"}]}));
    let sue = t.superuser();
    let real = sue.create("locked", &json!({"title": "x"}));
    let real = real["id"].as_str().unwrap().to_owned();
    let ann = t.user("ann");

    for who in [&t.guest(), &ann] {
        for id in [real.as_str(), "invented"] {
            let record = format!("{LOCKED}/{id}");
            let replies = [
                who.get(LOCKED),
                who.get(&record),
                who.post(LOCKED, &json!({})),
                who.patch(&record, &json!({})),
                who.delete(&record),
            ];
            for reply in replies {
                reply.is(403, "Only superusers can perform this action.");
            }
        }
        let broken = Request::new("POST", LOCKED).body("application/json", "{");
        assert_eq!(who.send(broken).status, 400);
    }
}

fn secrets(t: &TestApp) -> Person {
    t.collection(&json!({
        "id": "pbc_sec", "name": "notes", "listRule": "", "viewRule": "", "createRule": "", "updateRule": "",
        "fields": [
            {"name": "title", "type": "text"},
            {"name": "code", "type": "text", "hidden": true},
            {"name": "role", "type": "text"},
            {"name": "of", "type": "relation", "collectionId": "_pb_users_auth_", "maxSelect": 1},
        ],
    }));
    t.superuser()
}

/// R04, R05, R06: hidden fields and locked collections cannot be reached by filter or sort.
#[test]
fn a_filter_does_not_reach_what_is_hidden() {
    let t = TestApp::new();
    let sue = secrets(&t);
    t.collection(&json!({
        "name": "locked",
        "fields": [{"name": "note", "type": "relation", "collectionId": "pbc_sec", "maxSelect": 1}],
    }));
    sue.create("notes", &json!({"title": "a", "code": "1234"}));
    let list = |who: &Person, query: &str| {
        let path = format!("/api/collections/notes/records?{query}");
        who.get(&path).status
    };

    for query in [
        "filter=code='1234'",
        "filter=title='a'||code~'1'",
        "filter=code:lower='1234'",
        "filter=strftime('%25Y',code)='1'",
        "filter=(title='a'%26%26(code='1'))",
        "filter=of.tokenKey!=''",
        "filter=of.password!=''",
        "filter=locked_via_note.id!=''",
        "sort=code",
        "sort=of.tokenKey",
        "sort=locked_via_note.id",
    ] {
        assert_eq!(list(&t.guest(), query), 400, "{query}");
        assert_eq!(list(&sue, query), 200, "{query}");
    }
}

/// R15, R16: `fields` only takes away, and no way shows a hash or a token key.
#[test]
fn no_picker_brings_back_what_is_hidden() {
    let t = TestApp::new();
    let ann = t.user("ann");
    let sue = t.superuser();
    let path = format!("/api/collections/users/records/{}", ann.id);

    for who in [&ann, &sue] {
        for fields in [
            "password,tokenKey",
            "*",
            "*,password,tokenKey:excerpt(9)",
            "id,password",
        ] {
            let reply = who.get(&format!("{path}?fields={fields}"));
            assert_eq!(reply.status, 200);
            for word in ["argon2", "tokenKey", "\"password\""] {
                assert!(!reply.text().contains(word), "{fields}: {}", reply.text());
            }
        }
    }
}

/// R17: a refusing create rule hides what else would be wrong.
#[test]
fn a_refused_create_says_nothing_of_the_values() {
    let t = TestApp::new();
    t.collection(&json!({
        "name": "clubs", "createRule": "@request.auth.id != ''",
        "fields": [
            {"name": "name", "type": "text", "required": true},
            {"name": "of", "type": "relation", "collectionId": "_pb_users_auth_", "maxSelect": 1},
        ],
        "indexes": ["CREATE UNIQUE INDEX idx_club ON clubs (name)"],
    }));
    t.superuser().create("clubs", &json!({"name": "taken"}));

    for body in [
        json!({"name": "taken"}),
        json!({"name": "free"}),
        json!({}),
        json!({"name": "x", "of": "missing"}),
    ] {
        let reply = t.guest().post("/api/collections/clubs/records", &body);
        reply.is(400, "Failed to create record.");
        assert_eq!(reply.json()["data"], json!({}), "{body}");
    }
}

/// R19: a rule over a field sees it however it is sent.
#[test]
fn a_rule_sees_every_way_of_writing_a_field() {
    let t = TestApp::new();
    t.collection(&json!({
        "name": "members", "createRule": "@request.body.role:isset = false", "viewRule": "",
        "fields": [
            {"name": "role", "type": "select", "values": ["admin", "guest"], "maxSelect": 2},
            {"name": "nick", "type": "text", "autogeneratePattern": "[a-z]{4}"},
        ],
    }));
    let guest = t.guest();
    let path = "/api/collections/members/records";

    guest.post(path, &json!({"nick": "x"})).ok();
    for key in ["role", "role+", "+role", "role-"] {
        let reply = guest.post(path, &json!({key: "admin"}));
        assert_eq!(reply.status, 400, "{key}");
    }
    let doubled = Request::new("POST", path).body(
        "application/json",
        r#"{"nick":"x","role":"admin","role":""}"#,
    );
    assert_eq!(guest.send(doubled).status, 400);
    let form = Request::new("POST", path).multipart(&[("nick", "x"), ("role", "admin")], &[]);
    assert_eq!(guest.send(form).status, 400);
    let payload = Request::new("POST", path).multipart(
        &[("nick", "x"), ("@jsonPayload", r#"{"role":"admin"}"#)],
        &[],
    );
    assert_eq!(guest.send(payload).status, 400);
    let merged =
        Request::new("POST", &format!("{path}?role=admin")).multipart(&[("nick", "x")], &[]);
    assert_eq!(guest.send(merged).status, 400);
}

/// R20: what an owner may not set is refused by its code or ignored.
#[test]
fn an_owner_cannot_promote_themselves() {
    let t = TestApp::new();
    let ann = t.user("ann");
    let path = format!("/api/collections/users/records/{}", ann.id);
    let before = t.superuser().get(&path).ok();

    let refused = ann
        .patch(&path, &json!({"verified": true, "id": "other0000000000"}))
        .json();
    assert_eq!(
        refused["data"]["verified"]["code"],
        "validation_values_mismatch"
    );
    let after = ann
        .patch(
            &path,
            &json!({"tokenKey": "x", "created": "2020-01-01", "collectionId": "x", "name": "Ann"}),
        )
        .ok();

    assert_eq!(after["created"], before["created"]);
    assert_eq!(after["collectionId"], "_pb_users_auth_");
    assert_eq!(ann.get(&path).status, 200, "the token key is as it was");
}

/// R12: totals count what the caller may see.
#[test]
fn totals_count_under_rule_and_filter() {
    let t = TestApp::new();
    t.collection(&json!({
        "name": "mine", "listRule": "owner = @request.auth.id && owner != ''", "viewRule": null,
        "fields": [{"name": "owner", "type": "text"}, {"name": "n", "type": "number"}],
    }));
    let sue = t.superuser();
    let ann = t.user("ann");
    for n in 0..4 {
        let owner: Json = if n % 2 == 0 {
            json!(ann.id)
        } else {
            json!("other")
        };
        sue.create("mine", &json!({"owner": owner, "n": n}));
    }

    let page = |who: &Person, query: &str| {
        who.get(&format!("/api/collections/mine/records?{query}"))
            .ok()["totalItems"]
            .clone()
    };
    assert_eq!(page(&ann, ""), 2);
    assert_eq!(page(&ann, "filter=n>0"), 1);
    assert_eq!(page(&ann, "count=estimate"), 2);
    assert_eq!(page(&ann, "page=9"), 2);
    assert_eq!(page(&t.guest(), ""), 0);
    assert_eq!(page(&sue, ""), 4);
}
