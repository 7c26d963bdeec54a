//! Migrations: what is changed by hand becomes a file, and the file makes the same change elsewhere.

use std::path::PathBuf;

use burrow::collections::migrations::Folder;
use serde_json::{Value as Json, json};

use crate::support::TestApp;

fn app(shared: Option<&PathBuf>) -> TestApp {
    TestApp::configured(|config| {
        let beside = config.dir.parent().unwrap().join("pb_migrations");
        config.migrations_dir = Some(shared.cloned().unwrap_or(beside));
        config.automigrate = true;
    })
}

fn folder(t: &TestApp) -> Folder {
    Folder::new(t.app.config.migrations_dir.clone().unwrap())
}

fn up(t: &TestApp) -> Result<Vec<String>, String> {
    let mut applied = Vec::new();
    let folder = folder(t);
    let done = t
        .app
        .collections
        .migrate_up(&folder, t.clock.now(), |name| {
            applied.push(name.to_owned());
        });
    t.wait(done).map_err(|error| error.to_string())?;
    Ok(applied)
}

fn down(t: &TestApp, count: i64) -> Result<(), String> {
    let files = t.wait(t.app.collections.last_migrations(count)).unwrap();
    let folder = folder(t);
    let done = t
        .app
        .collections
        .migrate_down(&folder, &files, t.clock.now(), |_| {});
    t.wait(done).map_err(|error| error.to_string())
}

fn write(t: &TestApp, name: &str, text: &str) {
    folder(t).write(name, text).unwrap();
}

#[test]
fn changes_are_written_down_and_make_the_same_collections_elsewhere() {
    let t = app(None);
    let sue = t.superuser();
    sue.post(
        "/api/collections",
        &json!({"name": "posts", "type": "base", "fields": [{"name": "title", "type": "text"}]}),
    )
    .ok();
    sue.post(
        "/api/collections",
        &json!({"name": "authors", "type": "auth", "fields": [{"name": "age", "type": "number"}],
            "oauth2": {"enabled": true, "providers": [
                {"name": "github", "clientId": "id", "clientSecret": "very secret"}]}}),
    )
    .ok();
    let posts = sue.get("/api/collections/posts").ok();
    let mut fields = posts["fields"].as_array().unwrap().clone();
    fields.push(json!({"name": "tags", "type": "select", "values": ["a"]}));
    let change = json!({"name": "articles", "listRule": "", "fields": fields,
        "indexes": ["CREATE INDEX idx_title ON posts (title)"]});
    sue.patch("/api/collections/posts", &change).ok();
    // Nothing changed, nothing is written.
    sue.patch("/api/collections/articles", &json!({"listRule": ""}))
        .ok();
    let refused = sue.patch(
        "/api/collections/articles",
        &json!({"listRule": "nobody = 1"}),
    );
    assert_eq!(refused.status, 400);

    let names = folder(&t).names().unwrap();
    let what: Vec<&str> = names
        .iter()
        .map(|name| name.split_once('_').unwrap().1)
        .collect();
    assert_eq!(
        what,
        [
            "created_posts.json",
            "created_authors.json",
            "updated_posts.json"
        ]
    );
    for name in &names {
        let text = std::fs::read_to_string(folder(&t).path().join(name)).unwrap();
        assert!(
            !text.contains("very secret") && !text.contains("secret\""),
            "{text}"
        );
    }

    let other = app(t.app.config.migrations_dir.as_ref());
    assert_eq!(up(&other).unwrap(), names);
    assert_eq!(
        other.app.collections.shown_collections(),
        t.app.collections.shown_collections()
    );
    // There is nothing left to do, here and there.
    assert_eq!(up(&other).unwrap(), Vec::<String>::new());
    assert_eq!(up(&t).unwrap(), Vec::<String>::new());
}

#[test]
fn the_way_back_undoes_what_the_way_forward_did() {
    let t = app(None);
    let sue = t.superuser();
    let before = t.app.collections.shown_collections();
    sue.post(
        "/api/collections",
        &json!({"name": "posts", "type": "base", "fields": [{"name": "title", "type": "text"}]}),
    )
    .ok();
    let made = t.app.collections.shown_collections();
    sue.create("posts", &json!({"title": "kept"}));
    sue.patch(
        "/api/collections/posts",
        &json!({"viewRule": "title != ''", "name": "articles"}),
    )
    .ok();
    sue.delete("/api/collections/articles");

    down(&t, 2).unwrap();
    assert_eq!(t.app.collections.shown_collections(), made);
    down(&t, -1).unwrap();
    assert_eq!(t.app.collections.shown_collections(), before);
    assert_eq!(up(&t).unwrap().len(), 3);
    assert_eq!(
        t.app.collections.shown_collections(),
        before,
        "made, changed, deleted again"
    );
}

#[test]
fn imports_are_written_down_and_can_be_undone() {
    let t = app(None);
    let sue = t.superuser();
    let before = t.app.collections.shown_collections();
    let list = json!({"collections": [
        {"id": "pbc_aaaaaaaaaa1", "name": "a", "type": "base",
            "fields": [{"name": "b", "type": "relation", "collectionId": "pbc_bbbbbbbbbb1"}]},
        {"id": "pbc_bbbbbbbbbb1", "name": "b", "type": "base",
            "fields": [{"name": "a", "type": "relation", "collectionId": "pbc_aaaaaaaaaa1"}]},
    ]});
    let reply =
        sue.send(crate::support::Request::new("PUT", "/api/collections/import").json(&list));
    assert_eq!(reply.status, 204, "{}", reply.text());

    let other = app(t.app.config.migrations_dir.as_ref());
    up(&other).unwrap();
    assert_eq!(
        other.app.collections.shown_collections(),
        t.app.collections.shown_collections()
    );
    down(&t, 1).unwrap();
    assert_eq!(t.app.collections.shown_collections(), before);
}

#[test]
fn statements_are_applied_whole_or_not_at_all() {
    let t = app(None);
    t.collection(&json!({"name": "posts", "fields": [{"name": "title", "type": "text"}]}));
    let sue = t.superuser();
    sue.create("posts", &json!({"title": "a"}));
    let head = t.app.store.head().position.0;
    write(
        &t,
        "9000000001_titles.sql",
        "-- migrate:up\nUPDATE posts SET title = title || '!';\nUPDATE posts SET title = title || '?';\n\
         -- migrate:down\nUPDATE posts SET title = rtrim(title, '!?');\n",
    );
    write(
        &t,
        "9000000002_broken.sql",
        "UPDATE posts SET title = 'x';\nUPDATE nowhere SET a = 1;\n",
    );
    write(
        &t,
        "9000000003_later.sql",
        "UPDATE posts SET title = 'later';\n",
    );

    let error = up(&t).unwrap_err();

    let title = || sue.get("/api/collections/posts/records").ok()["items"][0]["title"].clone();
    assert!(
        error.starts_with("migration 9000000002_broken.sql: "),
        "{error}"
    );
    assert!(error.contains("nowhere"), "{error}");
    assert_eq!(
        title(),
        "a!?",
        "the first one stands, nothing of the second does"
    );
    assert!(t.app.store.head().position.0 > head, "listeners are told");
    down(&t, 1).unwrap();
    assert_eq!(title(), "a");
}

#[test]
fn files_that_are_gone_or_broken_are_named() {
    let t = app(None);
    write(&t, "9000000001_a.sql", "SELECT 1;\n");
    up(&t).unwrap();
    std::fs::remove_file(folder(&t).path().join("9000000001_a.sql")).unwrap();
    write(&t, "9000000002_b.json", "{\"up\": [{\"drop\": \"users\"}]}");
    write(&t, "9000000003_c.json.pending", "{}");
    let status = |t: &TestApp| -> Vec<String> {
        let lines = t
            .wait(t.app.collections.migration_status(&folder(t)))
            .unwrap();
        lines
            .iter()
            .map(|line| format!("{} {}", line.file, line.state.name()))
            .collect()
    };
    assert_eq!(
        status(&t),
        ["9000000001_a.sql missing", "9000000002_b.json pending"]
    );

    let error = up(&t).unwrap_err();
    let back = down(&t, 1).unwrap_err();
    let forgotten = t
        .wait(t.app.collections.sync_migrations(&folder(&t)))
        .unwrap();

    assert!(
        error.contains("9000000002_b.json: step 1 is none"),
        "{error}"
    );
    assert!(back.contains("9000000001_a.sql"), "{back}");
    assert_eq!(forgotten, ["9000000001_a.sql"]);
    assert_eq!(status(&t), ["9000000002_b.json pending"]);
    assert!(
        !folder(&t).path().join("9000000003_c.json.pending").exists(),
        "what a crash left of a change that was not committed is gone"
    );
}

#[test]
fn a_snapshot_makes_everything_at_once() {
    let t = app(None);
    let sue = t.superuser();
    t.collection(&json!({"name": "posts", "fields": [{"name": "title", "type": "text"}]}));
    t.collection(
        &json!({"name": "titles", "type": "view", "viewQuery": "SELECT id, title FROM posts"}),
    );
    let own = folder(&t);
    for name in own.names().unwrap() {
        std::fs::remove_file(own.path().join(name)).unwrap();
    }
    let name = t
        .wait(t.app.collections.snapshot_migration(&own, t.clock.now()))
        .unwrap();

    let other = app(t.app.config.migrations_dir.as_ref());
    assert_eq!(up(&other).unwrap(), std::slice::from_ref(&name));

    assert_eq!(
        other.app.collections.shown_collections(),
        t.app.collections.shown_collections()
    );
    assert!(
        up(&t).unwrap().is_empty(),
        "it counts as applied where it was made"
    );
    let text = std::fs::read_to_string(own.path().join(name)).unwrap();
    let snapshot: Json = serde_json::from_str(&text).unwrap();
    assert!(!snapshot.to_string().contains("_sessions"));
    drop(sue);
}

#[test]
fn a_directory_that_cannot_be_written_keeps_nobody_from_changing_collections() {
    let t = app(Some(&PathBuf::from("/dev/null/nowhere")));
    let sue = t.superuser();
    let made = sue.post(
        "/api/collections",
        &json!({"name": "posts", "type": "base"}),
    );
    assert_eq!(made.status, 200, "{}", made.text());
}
