//! One order for many records: done to each under the ordinary validations, with progress, stoppable, taken back.

use serde_json::{Value as Json, json};

use crate::support::{Person, Reply, Request, TestApp, until};

fn world() -> (TestApp, Person) {
    let t = TestApp::new();
    t.collection(&json!({
        "name": "posts", "type": "base", "updateRule": "", "deleteRule": "", "listRule": "", "viewRule": "",
        "fields": [
            {"name": "title", "type": "text", "required": true},
            {"name": "n", "type": "number", "max": 100},
            {"name": "tags", "type": "select", "values": ["a", "b"], "maxSelect": 2},
            {"name": "docs", "type": "file", "maxSelect": 2},
            {"name": "meta", "type": "json"},
            {"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true},
        ],
    }));
    let sue = t.superuser();
    for n in 0..60 {
        let body = json!({"id": format!("p{n:014}"), "title": format!("post {n}"), "n": n, "meta": "\"7\""});
        sue.create("posts", &body);
    }
    (t, sue)
}

const PATH: &str = "/api/collections/posts/bulk";

fn lines(reply: &Reply) -> Vec<Json> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn end(reply: &Reply) -> Json {
    lines(reply).pop().unwrap()
}

fn total(who: &Person, filter: &str) -> i64 {
    let page = who
        .get(&format!(
            "/api/collections/posts/records?perPage=1&filter={filter}"
        ))
        .ok();
    page["totalItems"].as_i64().unwrap()
}

fn undo(who: &Person, done: &Json) -> Json {
    let id = done["id"].as_str().unwrap();
    end(&who.post(&format!("/api/bulk/{id}/undo"), &json!({})))
}

#[test]
fn many_records_are_changed_and_each_that_cannot_be_is_told() {
    let (_t, sue) = world();

    let order =
        json!({"action": "update", "filter": "n >= 20", "values": {"n+": 50, "tags": ["a"]}});
    let done = end(&sue.post(PATH, &order));

    assert_eq!(done["state"], "finished");
    assert_eq!(
        (&done["total"], &done["done"], &done["failed"]),
        (&json!(40), &json!(31), &json!(9))
    );
    let errors = done["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 9);
    assert_eq!(
        errors[0]["data"]["n"]["code"],
        "validation_max_number_constraint"
    );
    assert_eq!(
        total(&sue, "tags~'a'"),
        31,
        "those that failed are as they were"
    );
    let id = done["id"].as_str().unwrap();
    assert_eq!(
        sue.get(&format!("/api/bulk/{id}")).ok(),
        done,
        "it can be asked for later"
    );
}

#[test]
fn an_order_is_taken_back_where_nobody_has_changed_the_same_since() {
    let (_t, sue) = world();
    let order =
        json!({"action": "update", "filter": "n < 10", "values": {"title": "all the same"}});
    let done = end(&sue.post(PATH, &order));
    assert_eq!(done["undo"], true);
    let record = |n: usize| format!("/api/collections/posts/records/p{n:014}");
    sue.patch(&record(1), &json!({"title": "changed since"}))
        .ok();
    sue.patch(&record(2), &json!({"n": 99})).ok();

    let undone = undo(&sue, &done);

    assert_eq!((&undone["done"], &undone["failed"]), (&json!(9), &json!(1)));
    assert_eq!(undone["errors"][0]["id"], "p00000000000001");
    assert_eq!(sue.get(&record(0)).ok()["title"], "post 0");
    assert_eq!(sue.get(&record(1)).ok()["title"], "changed since");
    let third = sue.get(&record(2)).ok();
    assert_eq!(
        (&third["title"], &third["n"]),
        (&json!("post 2"), &json!(99)),
        "another field does not matter"
    );
    let id = done["id"].as_str().unwrap();
    sue.post(&format!("/api/bulk/{id}/undo"), &json!({}))
        .is(400, "Invalid bulk request.");
}

#[test]
fn removed_records_come_back_with_what_went_along_and_with_their_files() {
    let (t, sue) = world();
    t.collection(&json!({
        "name": "notes",
        "fields": [
            {"name": "post", "type": "relation", "collectionId": t.app.store.catalog().find("posts").unwrap().id.as_str(),
             "maxSelect": 1, "cascadeDelete": true},
            {"name": "others", "type": "relation", "collectionId": t.app.store.catalog().find("posts").unwrap().id.as_str(),
             "maxSelect": 9},
        ],
    }));
    let path = "/api/collections/posts/records/p00000000000003";
    let form = Request::new("PATCH", path).multipart(&[], &[("docs", "a.txt", b"hello")]);
    let before = sue.send(form).ok();
    let file = format!(
        "/api/files/posts/p00000000000003/{}",
        before["docs"][0].as_str().unwrap()
    );
    sue.create(
        "notes",
        &json!({"id": "n00000000000001", "post": "p00000000000003"}),
    );
    sue.create(
        "notes",
        &json!({"id": "n00000000000002", "others": ["p00000000000003", "p00000000000004"]}),
    );

    let order = json!({"action": "delete", "ids": ["p00000000000003", "p00000000000004", "p00000000000003", "nope"]});
    let done = end(&sue.post(PATH, &order));

    assert_eq!(
        (&done["total"], &done["done"], &done["failed"]),
        (&json!(3), &json!(2), &json!(1))
    );
    assert_eq!(sue.get(&file).status, 404);
    assert_eq!(
        sue.get("/api/collections/notes/records/n00000000000001")
            .status,
        404
    );

    let undone = undo(&sue, &done);

    assert_eq!(
        (&undone["done"], &undone["failed"]),
        (&json!(2), &json!(0)),
        "{undone}"
    );
    assert_eq!(sue.get(path).ok(), before);
    assert_eq!(sue.get(&file).text(), "hello");
    assert_eq!(
        sue.get("/api/collections/notes/records/n00000000000001")
            .ok()["post"],
        "p00000000000003"
    );
    let mut others: Vec<String> = serde_json::from_value(
        sue.get("/api/collections/notes/records/n00000000000002")
            .ok()["others"]
            .clone(),
    )
    .unwrap();
    others.sort();
    assert_eq!(others, ["p00000000000003", "p00000000000004"]);
}

#[test]
fn duplicates_are_new_records_with_the_same_values() {
    let (_t, sue) = world();

    let order =
        json!({"action": "duplicate", "ids": ["p00000000000005"], "values": {"title": "copy"}});
    let done = end(&sue.post(PATH, &order));

    assert_eq!(done["done"], 1, "{done}");
    let page = sue
        .get("/api/collections/posts/records?filter=title='copy'")
        .ok();
    let copy = &page["items"][0];
    assert_eq!((&copy["n"], &copy["meta"]), (&json!(5), &json!("7")));
    assert_ne!(copy["id"], "p00000000000005");
    assert_eq!(undo(&sue, &done)["done"], 1);
    assert_eq!(total(&sue, "title='copy'"), 0);
}

#[test]
fn an_order_that_waits_is_stopped_as_if_it_had_never_been_given() {
    let (_t, sue) = world();
    let order = json!({"action": "delete", "filter": "", "delay": 60_000});

    let reply = std::thread::scope(|scope| {
        let posting = scope.spawn(|| sue.post(PATH, &order));
        let known = || sue.get("/api/bulk").ok()["items"][0].clone();
        until("the order to be known", || known()["state"] == "waiting");
        let id = known()["id"].as_str().unwrap().to_owned();
        assert_eq!(sue.delete(&format!("/api/bulk/{id}")).status, 204);
        posting.join().unwrap()
    });

    let done = end(&reply);
    assert_eq!(
        (&done["state"], &done["done"], &done["undo"]),
        (&json!("stopped"), &json!(0), &json!(false))
    );
    assert_eq!(lines(&reply)[0]["state"], "waiting");
    assert_eq!(total(&sue, ""), 60);
}

#[test]
fn orders_that_make_no_sense_are_refused_before_anything_is_done() {
    let (t, sue) = world();
    t.user("ann");
    for (path, order, at) in [
        (PATH, json!({}), "action.code"),
        (
            PATH,
            json!({"action": "update", "filter": "", "values": {"nope": 1}}),
            "values.nope.code",
        ),
        (
            PATH,
            json!({"action": "update", "filter": "", "values": {"id": "x"}}),
            "values.id.code",
        ),
        (
            PATH,
            json!({"action": "update", "filter": "", "values": {"updated": ""}}),
            "values.updated.code",
        ),
        (
            PATH,
            json!({"action": "update", "filter": "", "values": {}}),
            "values.code",
        ),
        (
            PATH,
            json!({"action": "delete", "filter": "nope = 1"}),
            "filter.code",
        ),
        (PATH, json!({"action": "delete", "ids": [1]}), "ids.code"),
        (
            PATH,
            json!({"action": "delete", "ids": [], "filter": ""}),
            "ids.code",
        ),
        (
            PATH,
            json!({"action": "delete", "ids": [], "delay": 60_001}),
            "delay.code",
        ),
        (
            "/api/collections/users/bulk",
            json!({"action": "duplicate", "ids": []}),
            "action.code",
        ),
        (
            "/api/collections/users/bulk",
            json!({"action": "update", "filter": "", "values": {"password": "12345678"}}),
            "values.password.code",
        ),
    ] {
        let refused = sue.post(path, &order);
        refused.is(400, "Invalid bulk request.");
        assert!(
            !refused.code(at.trim_end_matches(".code")).is_empty(),
            "{order}: {}",
            refused.text()
        );
    }
    assert_eq!(
        sue.post("/api/collections/nope/bulk", &json!({})).status,
        404
    );
    assert_eq!(total(&sue, ""), 60);
}

#[test]
fn only_superusers_give_orders_look_at_them_or_take_them_back() {
    let (t, sue) = world();
    let order = json!({"action": "delete", "ids": ["p00000000000000"]});
    let done = end(&sue.post(PATH, &order));
    let job = format!("/api/bulk/{}", done["id"].as_str().unwrap());

    for (who, status) in [(t.guest(), 401), (t.user("ann"), 403)] {
        assert_eq!(who.post(PATH, &order).status, status);
        assert_eq!(who.get(&job).status, status);
        assert_eq!(who.delete(&job).status, status);
        assert_eq!(who.post(&format!("{job}/undo"), &json!({})).status, status);
    }
    assert_eq!(sue.get("/api/bulk/nope").status, 404);
    assert_eq!(sue.post("/api/bulk/nope/undo", &json!({})).status, 404);
}
