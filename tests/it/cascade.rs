//! Removing a record and what hangs on it.

use serde_json::{Value as Json, json};

use crate::support::TestApp;

/// `parents`, and `children` that point to them by a field with these options.
fn world(t: &TestApp, options: &Json) {
    t.collection(&json!({"id": "pbc_par", "name": "parents", "deleteRule": "", "fields": []}));
    let mut field =
        json!({"name": "of", "type": "relation", "collectionId": "pbc_par", "maxSelect": 1});
    for (key, value) in options.as_object().unwrap() {
        field[key] = value.clone();
    }
    t.collection(&json!({
        "id": "pbc_chi", "name": "children", "viewRule": "", "listRule": "",
        "fields": [field, {"name": "up", "type": "relation", "collectionId": "pbc_chi", "cascadeDelete": true}],
    }));
    let sue = t.superuser();
    for n in 1..=2 {
        sue.create("parents", &json!({"id": format!("p0000000000000{n}")}));
    }
}

const FIRST: &str = "/api/collections/parents/records/p00000000000001";

#[test]
fn children_go_with_their_last_parent_and_theirs_with_them() {
    let t = TestApp::new();
    world(
        &t,
        &json!({"cascadeDelete": true, "maxSelect": 2, "required": true}),
    );
    let sue = t.signed_in("_superusers", "root@example.com");
    let only = json!({"id": "c00000000000001", "of": ["p00000000000001"]});
    sue.create("children", &only);
    let both = json!({"id": "c00000000000002", "of": ["p00000000000001", "p00000000000002"]});
    sue.create("children", &both);
    sue.create(
        "children",
        &json!({"id": "c00000000000003", "of": "p00000000000002", "up": "c00000000000001"}),
    );

    assert_eq!(t.guest().delete(FIRST).status, 204);

    let left = t.guest().get("/api/collections/children/records").ok();
    assert_eq!(left["totalItems"], 1);
    assert_eq!(left["items"][0]["of"], json!(["p00000000000002"]));
}

#[test]
fn a_required_reference_keeps_the_record() {
    let t = TestApp::new();
    world(&t, &json!({"required": true}));
    let sue = t.signed_in("_superusers", "root@example.com");
    sue.create(
        "children",
        &json!({"id": "c00000000000001", "of": "p00000000000001"}),
    );

    t.guest().delete(FIRST).is(
        400,
        "Failed to delete record. Make sure that the record is not part of a required relation reference.",
    );

    assert_eq!(sue.get(FIRST).status, 200);
}

#[test]
fn other_references_are_emptied() {
    let t = TestApp::new();
    world(&t, &json!({}));
    let sue = t.signed_in("_superusers", "root@example.com");
    sue.create(
        "children",
        &json!({"id": "c00000000000001", "of": "p00000000000001"}),
    );

    assert_eq!(t.guest().delete(FIRST).status, 204);

    let child = sue
        .get("/api/collections/children/records/c00000000000001")
        .ok();
    assert_eq!(child["of"], "");
}
