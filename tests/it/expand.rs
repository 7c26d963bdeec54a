//! Following relations: each target under its own rule, nothing said of what may not be seen.

use serde_json::{Value as Json, json};

use crate::support::TestApp;

/// Cats of which one hides, a locked collection, and owners who point to both.
fn world(t: &TestApp) {
    t.collection(&json!({
        "id": "pbc_cats", "name": "cats", "listRule": "", "viewRule": "name != 'hid'",
        "fields": [{"name": "name", "type": "text"}],
    }));
    t.collection(
        &json!({"id": "pbc_lock", "name": "lock", "fields": [{"name": "name", "type": "text"}]}),
    );
    t.collection(&json!({
        "id": "pbc_owners", "name": "owners", "listRule": "", "viewRule": "",
        "fields": [
            {"name": "one", "type": "relation", "collectionId": "pbc_cats", "maxSelect": 1},
            {"name": "many", "type": "relation", "collectionId": "pbc_cats", "maxSelect": 5},
            {"name": "lk", "type": "relation", "collectionId": "pbc_lock", "maxSelect": 1},
        ],
    }));
    let sue = t.superuser();
    sue.create("cats", &json!({"id": "c00000000000001", "name": "a"}));
    sue.create("cats", &json!({"id": "c00000000000002", "name": "hid"}));
    sue.create("lock", &json!({"id": "l00000000000001", "name": "x"}));
    sue.create(
        "owners",
        &json!({"id": "o00000000000001", "one": "c00000000000001", "many": ["c00000000000002", "c00000000000001"], "lk": "l00000000000001"}),
    );
    sue.create(
        "owners",
        &json!({"id": "o00000000000002", "one": "c00000000000002"}),
    );
}

fn cat() -> Json {
    json!({"collectionId": "pbc_cats", "collectionName": "cats", "id": "c00000000000001", "name": "a"})
}

#[test]
fn what_may_not_be_seen_is_left_out_without_a_word() {
    let t = TestApp::new();
    world(&t);
    let guest = t.guest();
    let expanded = |id: &str, paths: &str| {
        let path = format!("/api/collections/owners/records/{id}?expand={paths}");
        guest.get(&path).ok().get("expand").cloned()
    };

    let (first, second) = ("o00000000000001", "o00000000000002");
    assert_eq!(expanded(first, "one"), Some(json!({"one": cat()})));
    assert_eq!(expanded(first, "many"), Some(json!({"many": [cat()]})));
    assert_eq!(expanded(second, "one"), Some(json!({})), "a hiding cat");
    for nothing in ["lk", "nope", "one.nope", "one.name"] {
        assert_eq!(expanded(first, nothing), None, "{nothing}");
    }
    assert_eq!(expanded(first, "lk,one"), Some(json!({"one": cat()})));
    assert_eq!(
        expanded(second, "one.nope"),
        Some(json!({})),
        "nothing was reached that the rest of the path could be wrong about"
    );
}

#[test]
fn the_way_back_is_followed_too_and_nests() {
    let t = TestApp::new();
    world(&t);
    let path = "/api/collections/owners/records/o00000000000001?expand=one.owners_via_one";

    let seen = t.guest().get(path).ok();

    let back = &seen["expand"]["one"]["expand"]["owners_via_one"];
    assert_eq!(back.as_array().unwrap().len(), 1);
    assert_eq!(back[0]["id"], "o00000000000001");
}

#[test]
fn a_unique_reference_comes_back_as_one_object() {
    let t = TestApp::new();
    t.collection(&json!({"id": "pbc_a", "name": "a", "viewRule": "", "fields": []}));
    t.collection(&json!({
        "name": "b", "viewRule": "",
        "fields": [{"name": "a", "type": "relation", "collectionId": "pbc_a", "maxSelect": 1}],
        "indexes": ["CREATE UNIQUE INDEX idx_ba ON b (a)"],
    }));
    let sue = t.superuser();
    sue.create("a", &json!({"id": "a00000000000001"}));
    sue.create(
        "b",
        &json!({"id": "b00000000000001", "a": "a00000000000001"}),
    );

    let seen = t
        .guest()
        .get("/api/collections/a/records/a00000000000001?expand=b_via_a")
        .ok();

    assert_eq!(seen["expand"]["b_via_a"]["id"], "b00000000000001");
}
