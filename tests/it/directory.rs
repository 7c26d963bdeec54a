//! Data directories: fresh ones, those of PocketBase, those that somebody else has written to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burrow::kit::clock::Clock;
use burrow::kit::id;
use burrow::kit::time::Timestamp;
use burrow::kit::value::Value;
use burrow::schema::{Collection, Record};
use burrow::store::{Access, ChangeKind, LogEntry, OpenOptions, Store, StoreError};
use parking_lot::Mutex;
use rusqlite::Connection;

/// A directory that goes with its test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("burrow-it-{}", id::record_id())))
    }

    fn options(&self) -> OpenOptions {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        OpenOptions::new(&self.0, clock)
    }

    fn open(&self) -> Store {
        Store::open(&self.options()).unwrap()
    }

    fn database(&self) -> Connection {
        Connection::open(self.0.join("data.db")).unwrap()
    }

    /// Makes it look as PocketBase leaves it.
    fn forget_burrow(&self) {
        self.database()
            .execute_batch("DROP TABLE _burrow_changes; DROP TABLE _burrow_meta;")
            .unwrap();
        std::fs::remove_dir_all(self.0.join(".burrow")).unwrap();
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn users(store: &Store) -> Arc<Collection> {
    Arc::clone(store.catalog().find("users").unwrap())
}

fn user(store: &Store, id: &str) -> Record {
    let users = users(store);
    let cells = users
        .fields
        .iter()
        .map(|field| match field.name.as_str() {
            "emailVisibility" | "verified" => Value::Int(0),
            "id" => Value::text(id),
            "tokenKey" => Value::from(id::random(50, id::ALNUM)),
            _ => Value::text(""),
        })
        .collect();
    Record::from_cells(users, cells)
}

async fn add_user(store: &Store, id: &str) {
    let record = user(store, id);
    store.write(move |tx| tx.insert(&record)).await.unwrap();
}

fn has_user(store: &Store, id: &str) -> bool {
    let users = users(store);
    store
        .read_now(|tx| -> Result<_, StoreError> { tx.find(&users, id) })
        .unwrap()
        .is_some()
}

fn copies(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir.join(".burrow"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect()
}

#[test]
fn a_fresh_directory_has_the_system_collections() {
    let dir = Dir::new();
    let store = dir.open();

    let catalog = store.catalog();
    let names: Vec<&str> = catalog.iter().map(|c| c.name.as_str()).collect();

    assert_eq!(
        names,
        [
            "_mfas",
            "_otps",
            "_externalAuths",
            "_authOrigins",
            "_superusers",
            "users"
        ]
    );
    assert!(
        !dir.0.join("storage").exists(),
        "made when first needed, as PocketBase does"
    );
}

#[tokio::test]
async fn a_directory_of_pocketbase_is_copied_and_opened() {
    let dir = Dir::new();
    let store = dir.open();
    add_user(&store, "ann").await;
    store.close();
    dir.forget_burrow();

    let store = dir.open();

    assert!(has_user(&store, "ann"));
    let copies = copies(&dir.0);
    assert_eq!(copies.len(), 1);
    let copy = Connection::open(copies[0].join("data.db")).unwrap();
    let users: i64 = copy
        .query_row("SELECT count(*) FROM users", [], |row| row.get(0))
        .unwrap();
    assert_eq!(users, 1);
    assert!(!copy.table_exists(None, "_burrow_changes").unwrap());
}

#[test]
fn the_copy_can_be_gone_without() {
    let dir = Dir::new();
    dir.open().close();
    dir.forget_burrow();

    let options = OpenOptions {
        safety_copy: false,
        ..dir.options()
    };
    Store::open(&options).unwrap().close();

    assert!(copies(&dir.0).is_empty());
}

#[test]
fn a_directory_of_an_old_pocketbase_is_refused_and_not_touched() {
    let dir = Dir::new();
    dir.open().close();
    dir.forget_burrow();
    dir.database()
        .execute("DELETE FROM _migrations WHERE file LIKE '%v0.23%'", [])
        .unwrap();

    let refused = Store::open(&dir.options());

    assert!(matches!(refused, Err(StoreError::Directory(text)) if text.contains("0.40")));
    assert!(
        !dir.database()
            .table_exists(None, "_burrow_changes")
            .unwrap()
    );
}

/// The options of `users` as they are stored.
fn options_of_users(dir: &Dir) -> serde_json::Value {
    let text: String = dir
        .database()
        .query_row(
            "SELECT options FROM _collections WHERE name = 'users'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_a_directory_of_an_older_pocketbase_has_not_seen_is_applied() {
    const LATER: &str = "file > '1763'";
    for (own_words, stays) in [(false, false), (true, true)] {
        let dir = Dir::new();
        dir.open().close();
        let present = options_of_users(&dir);
        let alert = "/authAlert/emailTemplate/body";
        let body = present.pointer(alert).unwrap().as_str().unwrap();
        // As 0.23 to 0.32 worded it: no word of the place, and the all-clear first.
        let calm = "<p>If this was you, you may disregard this email.</p>\n";
        let old = body.replace(calm, "").replace(
            "location:</p>\n<p><em>{ALERT_INFO}</em></p>\n",
            &format!("location.</p>\n{calm}"),
        );
        let mut options = present.clone();
        let stored = if own_words { "<p>Hi</p>" } else { &old };
        *options.pointer_mut(alert).unwrap() = stored.into();
        let database = dir.database();
        database
            .execute(
                "UPDATE _collections SET options = ? WHERE name = 'users'",
                [options.to_string()],
            )
            .unwrap();
        database
            .execute(&format!("DELETE FROM _migrations WHERE {LATER}"), [])
            .unwrap();
        drop(database);
        dir.forget_burrow();

        let store = dir.open();
        let opened = users(&store)
            .auth()
            .unwrap()
            .auth_alert
            .email_template
            .body
            .clone();
        store.close();

        assert_eq!(opened, if stays { stored } else { body });
        assert_eq!(options_of_users(&dir).pointer(alert).unwrap(), &opened);
        let later: i64 = dir
            .database()
            .query_row(
                &format!("SELECT count(*) FROM _migrations WHERE {LATER}"),
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(later, 2);
    }
}

#[test]
fn a_database_of_something_else_is_refused() {
    let dir = Dir::new();
    std::fs::create_dir_all(&dir.0).unwrap();
    dir.database()
        .execute_batch("CREATE TABLE recipes (id)")
        .unwrap();

    let refused = Store::open(&dir.options());

    assert!(matches!(refused, Err(StoreError::Directory(_))));
}

#[tokio::test]
async fn the_log_goes_on_after_a_clean_end() {
    let dir = Dir::new();
    let store = dir.open();
    add_user(&store, "ann").await;
    let head = store.head();
    store.close();

    let store = dir.open();

    assert_eq!(store.head(), head);
}

#[tokio::test]
async fn writes_of_another_program_begin_another_epoch() {
    let dir = Dir::new();
    let store = dir.open();
    add_user(&store, "ann").await;
    let head = store.head();
    store.close();

    dir.database().execute("DELETE FROM users", []).unwrap();
    let store = dir.open();

    assert_ne!(store.head().epoch, head.epoch);
    assert_eq!(store.head().position, head.position);
}

#[test]
fn one_server_at_a_time() {
    let dir = Dir::new();
    let _first = dir.open();

    let second = Store::open(&dir.options());

    assert!(matches!(second, Err(StoreError::Taken { .. })));
}

#[tokio::test]
async fn a_server_learns_what_a_command_wrote_beside_it() {
    let dir = Dir::new();
    let server = dir.open();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    server.on_commit(move |group| {
        let touched = group
            .changes
            .iter()
            .filter_map(|change| match &change.kind {
                ChangeKind::Touched { collection } => Some(collection.clone()),
                _ => None,
            });
        ear.lock().extend(touched);
    });

    let command = Store::open(&OpenOptions {
        access: Access::Beside,
        ..dir.options()
    })
    .unwrap();
    add_user(&command, "ann").await;
    let watching = server.clone();
    let closing = tokio::task::spawn_blocking(move || command.close());
    while !closing.is_finished() {
        watching.notice_neighbours();
        tokio::task::yield_now().await;
    }
    add_user(&server, "bob").await;

    assert!(has_user(&server, "ann"));
    assert!(heard.lock().contains(&users(&server).id));
    assert_eq!(server.head().position.0, 2);
}

#[tokio::test]
async fn request_logs_are_kept_apart() {
    let dir = Dir::new();
    let store = dir.open();
    let entry = LogEntry {
        id: "abc".into(),
        level: 0,
        message: "GET /".to_owned(),
        data: "{}".to_owned(),
        created: "2024-01-01 00:00:00.000Z".into(),
    };

    store
        .logs()
        .run(move |tx| tx.append(&[entry]))
        .await
        .unwrap();
    store.close();

    let logs = Connection::open(dir.0.join("auxiliary.db")).unwrap();
    let message: String = logs
        .query_row("SELECT message FROM _logs", [], |row| row.get(0))
        .unwrap();
    assert_eq!(message, "GET /");
}
