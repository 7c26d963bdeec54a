//! Records over HTTP: reading, making, changing and removing them.

use serde_json::{Value as Json, json};

use crate::support::{Person, Request, TestApp};

fn text(name: &str) -> Json {
    json!({"name": name, "type": "text"})
}

fn posts() -> Json {
    json!({
        "id": "pbc_posts", "name": "posts", "type": "base",
        "listRule": "", "viewRule": "", "createRule": "", "updateRule": "", "deleteRule": "",
        "fields": [
            {"name": "title", "type": "text", "min": 2},
            {"name": "n", "type": "number"},
            {"name": "tags", "type": "select", "values": ["a", "b", "c"], "maxSelect": 3},
            {"name": "secret", "type": "text", "hidden": true},
            {"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true},
        ],
        "indexes": ["CREATE UNIQUE INDEX idx_title ON posts (title) WHERE title != ''"],
    })
}

fn titles(page: &Json) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|i| i["title"].as_str().unwrap()).collect()
}

const PATH: &str = "/api/collections/posts/records";

fn make(who: &Person, title: &str, n: i64) -> Json {
    who.create("posts", &json!({"title": title, "n": n}))
}

#[test]
fn a_record_is_written_with_its_keys_in_order_and_nothing_hidden() {
    let t = TestApp::new();
    t.collection(&posts());

    let reply = t.guest().post(
        PATH,
        &json!({"id": "p00000000000001", "title": "<b>", "n": 1.50, "tags": ["b", "a", "b"], "secret": "s"}),
    );

    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.text(),
        r#"{"collectionId":"pbc_posts","collectionName":"posts","id":"p00000000000001","n":1.5,"tags":["b","a"],"title":"<b>","updated":"2026-01-02 03:04:05.678Z"}"#
    );
    let sue = t.superuser();
    let seen = sue.get(&format!("{PATH}/p00000000000001")).ok();
    assert_eq!(seen["secret"], "", "a guest's value is dropped");
}

#[test]
fn pages_count_and_clamp_as_the_contract_says() {
    let t = TestApp::new();
    t.collection(&posts());
    let guest = t.guest();
    for n in 0..5 {
        make(&guest, &format!("post {n}"), n);
    }

    let page = guest.get(&format!("{PATH}?perPage=2&page=2&sort=-n")).ok();
    assert_eq!(titles(&page), ["post 2", "post 1"]);
    assert_eq!(page["totalItems"], 5);
    assert_eq!(page["totalPages"], 3);
    let far = guest
        .get(&format!("{PATH}?page=99&perPage=9999&skipTotal=1"))
        .ok();
    assert_eq!(far["perPage"], 1000);
    assert_eq!((&far["totalItems"], &far["page"]), (&json!(-1), &json!(99)));
    for bad in [
        "page=x",
        "skipTotal=x",
        "filter=nope=1",
        "sort=nope",
        "sort=secret",
    ] {
        assert_eq!(guest.get(&format!("{PATH}?{bad}")).status, 400, "{bad}");
    }
    guest
        .get(&format!("{PATH}?filter=title='@request.'"))
        .is(403, "Only superusers can filter by @request.");
}

#[test]
fn a_cursor_goes_through_all_records_once_and_fits_one_list_only() {
    let t = TestApp::new();
    t.collection(&posts());
    let guest = t.guest();
    for n in 0..7 {
        make(&guest, &format!("post {n}"), n % 3);
    }

    let mut seen = Vec::new();
    let mut cursor = String::new();
    let mut first = String::new();
    loop {
        let page = guest
            .get(&format!("{PATH}?perPage=2&sort=-n&cursor={cursor}"))
            .ok();
        assert_eq!(page["totalItems"], -1);
        seen.extend(titles(&page).into_iter().map(str::to_owned));
        let Some(next) = page["nextCursor"].as_str() else {
            break;
        };
        cursor = next.to_owned();
        if first.is_empty() {
            first.clone_from(&cursor);
        }
    }

    assert_eq!(seen.len(), 7);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 7);
    let other = guest.get(&format!("{PATH}?perPage=2&sort=n&cursor={first}"));
    assert_eq!(other.status, 400, "the cursor of another order");
    let ann = t.user("ann");
    let stolen = ann.get(&format!("{PATH}?perPage=2&sort=-n&cursor={first}"));
    assert_eq!(stolen.status, 400, "the cursor of another caller");
    assert_eq!(guest.get(&format!("{PATH}?cursor=x")).status, 400);
}

#[test]
fn cursors_lead_both_ways_and_from_the_middle() {
    let t = TestApp::new();
    t.collection(&posts());
    let guest = t.guest();
    for n in 0..9 {
        make(&guest, &format!("post {n}"), n % 2);
    }
    for sort in ["-n,title", "n", "-@rowid", "title"] {
        let page = |query: &str| {
            guest
                .get(&format!("{PATH}?perPage=2&sort={sort}&{query}"))
                .ok()
        };
        let all = guest.get(&format!("{PATH}?perPage=99&sort={sort},id")).ok();
        let all = titles(&all);

        let middle = page("cursor=&page=3");
        assert_eq!(titles(&middle), all[4..6], "{sort}");
        let cursor = |page: &Json, name: &str| page[name].as_str().unwrap().to_owned();
        let back = page(&format!("cursor={}", cursor(&middle, "prevCursor")));
        assert_eq!(titles(&back), all[2..4], "{sort}");
        let start = page(&format!("cursor={}", cursor(&back, "prevCursor")));
        assert_eq!(titles(&start), all[..2], "{sort}");
        let again = page(&format!("cursor={}", cursor(&start, "nextCursor")));
        assert_eq!(titles(&again), all[2..4], "{sort}");
        let nothing = page(&format!("cursor={}", cursor(&start, "prevCursor")));
        assert_eq!(
            (titles(&nothing).len(), &nothing["prevCursor"]),
            (0, &Json::Null)
        );

        let first = page("cursor=");
        assert_eq!(
            first["prevCursor"],
            Json::Null,
            "nothing is before the beginning"
        );
        let last = page("cursor=&page=5");
        assert_eq!((titles(&last).len(), &last["nextCursor"]), (1, &Json::Null));
    }
}

#[test]
fn a_change_for_another_state_is_refused_with_the_present_one() {
    let t = TestApp::new();
    t.collection(&posts());
    let guest = t.guest();
    let post = make(&guest, "first", 1);
    let path = format!("{PATH}/{}", post["id"].as_str().unwrap());
    let seen = guest.get(&path).header("etag").to_owned();
    assert!(seen.starts_with('"'), "{seen:?}");
    let held = |method: &str, tag: &str| Request::new(method, &path).header("If-Match", tag);
    t.superuser().patch(&path, &json!({"secret": "s"})).ok();
    assert_eq!(
        guest.get(&path).header("etag"),
        seen,
        "a hidden field tells nothing"
    );

    let changed = guest.send(held("PATCH", &seen).json(&json!({"n": 2})));
    assert_eq!(changed.status, 200);
    let stale = guest.send(held("PATCH", &seen).json(&json!({"n": "rubbish"})));

    stale.is(412, "The record was changed meanwhile.");
    assert_eq!(stale.json()["record"]["n"], 2);
    assert_eq!(stale.header("etag"), changed.header("etag"));
    assert_eq!(guest.send(held("DELETE", &seen)).status, 412);
    let either = format!("\"other\", {}", changed.header("etag"));
    assert_eq!(
        guest
            .send(held("PATCH", &either).json(&json!({"n": 3})))
            .status,
        200
    );
    assert_eq!(guest.send(held("DELETE", "*")).status, 204);
    assert_eq!(
        guest.send(held("PATCH", "*").json(&json!({"n": 4}))).status,
        404
    );
}

#[test]
fn a_precondition_says_nothing_to_whom_the_rule_refuses() {
    let t = TestApp::new();
    let mut posts = posts();
    posts["updateRule"] = json!("n = 5");
    posts["deleteRule"] = json!("n = 5");
    t.collection(&posts);
    let guest = t.guest();
    let post = make(&guest, "first", 1);
    let path = format!("{PATH}/{}", post["id"].as_str().unwrap());

    for method in ["PATCH", "DELETE"] {
        let request = Request::new(method, &path).header("If-Match", "\"x\"");
        let reply = guest.send(request.json(&json!({})));
        reply.is(404, "The requested resource wasn't found.");
    }
}

#[test]
fn an_update_changes_what_was_sent_and_modifiers_add_up() {
    let t = TestApp::new();
    t.collection(&posts());
    let guest = t.guest();
    let post = make(&guest, "first", 1);
    let path = format!("{PATH}/{}", post["id"].as_str().unwrap());

    let changed = guest
        .patch(
            &path,
            &json!({"n": 10, "n+": 5, "n-": 1, "tags+": ["c"], "+tags": "a"}),
        )
        .ok();

    assert_eq!(changed["n"], 14);
    assert_eq!(changed["tags"], json!(["a", "c"]));
    assert_eq!(changed["title"], "first");
    let refused = guest.patch(&path, &json!({"title": "x", "id": "p00000000000009"}));
    refused.is(400, "Failed to update record.");
    let data = &refused.json()["data"];
    assert_eq!(data["title"]["code"], "validation_min_text_constraint");
    assert_eq!(data["id"]["code"], "validation_pk_change");
}

#[test]
fn a_taken_value_is_named_and_a_missing_record_is_not_found() {
    let t = TestApp::new();
    t.collection(&posts());
    let guest = t.guest();
    make(&guest, "taken", 1);

    let refused = guest.post(PATH, &json!({"title": "taken"}));

    refused.is(400, "Failed to create record.");
    assert_eq!(
        refused.json()["data"]["title"]["code"],
        "validation_not_unique"
    );
    guest
        .get(&format!("{PATH}/nope"))
        .is(404, "The requested resource wasn't found.");
    assert_eq!(guest.delete(&format!("{PATH}/nope")).status, 404);
    guest
        .get("/api/collections/nope/records")
        .is(404, "Missing collection context.");
    guest
        .post("/api/collections/nope/records", &json!({}))
        .is(404, "Missing or invalid collection context.");
}

#[test]
fn forms_files_and_payload_parts_make_one_record() {
    let t = TestApp::new();
    t.collection(&json!({
        "name": "docs", "createRule": "", "updateRule": "", "viewRule": "", "deleteRule": "",
        "fields": [text("title"), {"name": "files", "type": "file", "maxSelect": 3}],
    }));
    let guest = t.guest();
    let path = "/api/collections/docs/records";

    let made = guest
        .send(Request::new("POST", path).multipart(
            &[
                ("title", "plain"),
                ("@jsonPayload", r#"{"title":"payload"}"#),
            ],
            &[("files", "a b.txt", b"one"), ("files", "c.txt", b"two")],
        ))
        .ok();

    assert_eq!(made["title"], "payload");
    let names = made["files"].as_array().unwrap();
    assert_eq!(names.len(), 2);
    let folder = t
        .dir()
        .join("storage")
        .join(made["collectionId"].as_str().unwrap());
    let folder = folder.join(made["id"].as_str().unwrap());
    for name in names {
        assert!(folder.join(name.as_str().unwrap()).is_file());
    }
    let record = format!("{path}/{}", made["id"].as_str().unwrap());
    let kept = guest.patch(&record, &json!({"files-": names[0]})).ok();
    assert_eq!(kept["files"], json!([names[1]]));
    let refused = guest.patch(&record, &json!({"files": "other.txt"}));
    assert_eq!(
        refused.json()["data"]["files"]["code"],
        "validation_invalid_file"
    );
}

#[test]
fn an_account_guards_its_password_address_and_verified_flag() {
    let t = TestApp::new();
    let ann = t.user("ann");
    let path = format!("/api/collections/users/records/{}", ann.id);

    let refused = ann.patch(
        &path,
        &json!({"email": "new@example.com", "verified": true, "password": "abcdefgh", "passwordConfirm": "abcdefgx"}),
    );

    refused.is(400, "Failed to update record.");
    let data = &refused.json()["data"];
    assert_eq!(data["email"]["code"], "validation_values_mismatch");
    assert_eq!(data["verified"]["code"], "validation_values_mismatch");
    assert_eq!(data["oldPassword"]["code"], "validation_required");
    assert_eq!(
        data["passwordConfirm"]["code"],
        "validation_values_mismatch"
    );
    // Without a new password nothing is said of the old one.
    let blank = ann.patch(&path, &json!({"oldPassword": "nope"})).json();
    assert_eq!(blank["data"]["password"]["code"], "validation_required");
    assert_eq!(blank["data"]["oldPassword"], Json::Null);
    let long = "x".repeat(73);
    let wrong = json!({"password": &long, "passwordConfirm": &long, "email": "x@example.com"});
    let refused = t.guest().post("/api/collections/users/records", &wrong);
    refused.is(400, "Failed to create record.");
    assert_eq!(refused.json()["data"], json!({}));
    let refused = t.superuser().patch(&path, &wrong).json();
    assert_eq!(
        refused["data"]["password"]["code"],
        "validation_invalid_value"
    );
    let wrong =
        json!({"oldPassword": "nope", "password": "abcdefgh", "passwordConfirm": "abcdefgh"});
    let refused = ann.patch(&path, &wrong).json();
    assert_eq!(
        refused["data"]["oldPassword"]["code"],
        "validation_invalid_old_password"
    );

    let right =
        json!({"oldPassword": "1234567890", "password": "abcdefgh", "passwordConfirm": "abcdefgh"});
    ann.patch(&path, &right).ok();

    assert_eq!(ann.get(&path).status, 404, "the old token is dead");
}

#[test]
fn the_last_superuser_stays() {
    let t = TestApp::new();
    let sue = t.superuser();

    sue.delete(&format!("/api/collections/_superusers/records/{}", sue.id))
        .is(400, "You can't delete the only existing superuser.");
}
