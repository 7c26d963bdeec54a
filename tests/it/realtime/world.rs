//! What is written while people listen.

use serde_json::{Value as Json, json};

use crate::support::{Person, TestApp};

/// A collection with a `title`, an `n` and whatever else; it can be listed and read under `rule`.
pub(crate) fn collection(t: &TestApp, name: &str, rule: Option<&str>, more: &[Json]) {
    let mut fields = vec![
        json!({"type": "text", "name": "title"}),
        json!({"type": "number", "name": "n"}),
    ];
    fields.extend_from_slice(more);
    t.collection(&json!({
        "name": name, "type": "base", "fields": fields, "listRule": rule, "viewRule": rule,
    }));
}

/// A relation field to a collection.
pub(crate) fn relation(t: &TestApp, name: &str, to: &str, cascade: bool) -> Json {
    let id = t
        .app
        .store
        .catalog()
        .find(to)
        .unwrap()
        .id
        .as_str()
        .to_owned();
    json!({"type": "relation", "name": name, "collectionId": id, "maxSelect": 1, "cascadeDelete": cascade})
}

pub(crate) fn create(who: &Person, collection: &str, body: &Json) -> String {
    who.create(collection, body)["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub(crate) fn update(who: &Person, collection: &str, id: &str, body: &Json) {
    who.patch(&format!("/api/collections/{collection}/records/{id}"), body)
        .ok();
}

pub(crate) fn delete(who: &Person, collection: &str, id: &str) {
    who.delete(&format!("/api/collections/{collection}/records/{id}"))
        .ok();
}

/// Changes a collection.
pub(crate) fn edit(who: &Person, collection: &str, body: &Json) {
    who.patch(&format!("/api/collections/{collection}"), body)
        .ok();
}
