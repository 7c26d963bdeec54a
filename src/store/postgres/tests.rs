//! The engine on a real server: commits, groups, the log, and several nodes on one database.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::kit::clock::Clock;
use crate::kit::id;
use crate::kit::secret::Secret;
use crate::kit::time::Timestamp;
use crate::kit::value::Value;
use crate::schema::field::TextOptions;
use crate::schema::{Collection, CollectionId, Field, FieldKind, Kind, Record, Rules};
use crate::store::{ChangeKind, Cursor, OpenOptions, Remote, Storage, Store, StoreError, WriteTx};
use crate::test_server;

/// A database, with a directory for each node on it; they go with the test.
struct Database {
    address: String,
    dirs: Mutex<Vec<PathBuf>>,
}

impl Database {
    fn new() -> Self {
        Self {
            address: test_server::fresh_database(),
            dirs: Mutex::default(),
        }
    }

    /// One more node on it.
    fn node(&self) -> Store {
        let dir = std::env::temp_dir().join(format!("burrow-node-{}", id::record_id()));
        self.dirs.lock().push(dir.clone());
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let mut options = OpenOptions::new(dir, clock);
        options.database = Some(Remote::at(Secret::new(self.address.clone())));
        let store = Store::open(&options).unwrap();
        store.join(Storage::Shared).unwrap();
        store
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        test_server::drop_database(&self.address);
        for dir in self.dirs.lock().drain(..) {
            drop(std::fs::remove_dir_all(dir));
        }
    }
}

fn text(name: &str, primary_key: bool) -> Field {
    Field {
        id: format!("text_{name}").into(),
        name: name.into(),
        system: false,
        hidden: false,
        presentable: false,
        help: String::new(),
        required: false,
        kind: FieldKind::Text(TextOptions {
            primary_key,
            ..TextOptions::default()
        }),
    }
}

fn posts() -> Arc<Collection> {
    Arc::new(Collection {
        id: CollectionId::new("posts_id"),
        name: "posts".into(),
        system: false,
        kind: Kind::Base,
        fields: vec![text("id", true), text("title", false)],
        indexes: vec!["CREATE UNIQUE INDEX `by_title` ON `posts` (`title` COLLATE NOCASE)".into()],
        rules: Rules::default(),
        created: "".into(),
        updated: "".into(),
    })
}

fn post(id: &str, title: &str) -> Record {
    Record::from_cells(posts(), vec![Value::text(id), Value::text(title)])
}

async fn with_posts(database: &Database) -> Store {
    let store = database.node();
    store
        .write_alone(Duration::from_secs(5), |tx| {
            tx.create_table(&posts())
                .map_err(|error| StoreError::Directory(error.to_string()))?;
            tx.save_collection(&posts())?;
            let mut all: Vec<_> = tx.catalog().iter().cloned().collect();
            all.push(posts());
            tx.schema_changed(all)
        })
        .await
        .unwrap();
    store
}

fn find(store: &Store, id: &str) -> Option<Record> {
    store
        .read_now(|tx| tx.find(&posts(), id))
        .map_err(|e: StoreError| e)
        .unwrap()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(15), "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// What a node tells of records: what happened, the title before and the title after.
fn heard(store: &Store) -> Arc<Mutex<Vec<String>>> {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let to = Arc::clone(&heard);
    store.on_commit(move |commit| {
        for change in &commit.changes {
            let position = change.position.0;
            to.lock().push(match &change.kind {
                ChangeKind::Create { after } => format!("{position} + {}", after.text("title")),
                ChangeKind::Update { before, after } => {
                    format!(
                        "{position} {} > {}",
                        before.text("title"),
                        after.text("title")
                    )
                }
                ChangeKind::Delete { before } => format!("{position} - {}", before.text("title")),
                ChangeKind::Schema { .. } => format!("{position} schema"),
                ChangeKind::Touched { .. } => format!("{position} touched"),
            });
        }
    });
    heard
}

#[tokio::test]
async fn what_was_committed_is_there_for_the_next_node() {
    let database = Database::new();
    let store = with_posts(&database).await;

    store
        .write(|tx| tx.insert(&post("a", "hello")))
        .await
        .unwrap();
    let head = store.head();
    store.close();

    let again = database.node();
    assert_eq!(find(&again, "a").unwrap().text("title"), "hello");
    assert_eq!(again.head(), head);
}

#[tokio::test]
async fn a_refused_value_names_its_field_and_hurts_nobody_in_the_same_group() {
    let database = Database::new();
    let store = with_posts(&database).await;
    store
        .write(|tx| tx.insert(&post("a", "One")))
        .await
        .unwrap();

    let writes: Vec<_> = (0..20)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let title = if n % 5 == 0 {
                    "ONE".to_owned()
                } else {
                    format!("t{n}")
                };
                store
                    .write(move |tx| tx.insert(&post(&format!("p{n}"), &title)))
                    .await
            })
        })
        .collect();
    for (n, write) in writes.into_iter().enumerate() {
        let done = write.await.unwrap();
        if n % 5 == 0 {
            let Err(StoreError::NotUnique { columns, .. }) = done else {
                panic!("{done:?}");
            };
            assert_eq!(columns, ["title"]);
        } else {
            done.unwrap();
        }
        assert_eq!(find(&store, &format!("p{n}")).is_some(), n % 5 != 0);
    }
}

#[tokio::test]
async fn a_node_tells_what_another_did_as_if_it_had_done_it_itself() {
    let database = Database::new();
    let one = with_posts(&database).await;
    let two = database.node();
    assert!(two.catalog().find("posts").is_some());
    let (here, there) = (heard(&one), heard(&two));

    let write = |f: fn(&mut WriteTx<'_>) -> Result<(), StoreError>| one.write(f);
    write(|tx| tx.insert(&post("a", "first"))).await.unwrap();
    write(|tx| {
        tx.update(&post("a", "first"), &post("a", "second"))?;
        tx.update(&post("a", "second"), &post("a", "third"))?;
        tx.insert(&post("b", "other"))
    })
    .await
    .unwrap();
    write(|tx| tx.delete(&post("a", "third"))).await.unwrap();

    wait_until("the other node has heard", || {
        there.lock().len() == here.lock().len()
    });
    assert_eq!(*here.lock(), *there.lock());
    assert_eq!(here.lock().len(), 5);
    assert_eq!(one.head(), two.head());
}

#[tokio::test]
async fn a_schema_that_changes_on_one_node_changes_on_all() {
    let database = Database::new();
    let one = with_posts(&database).await;
    let two = database.node();
    assert!(find(&two, "x").is_none());

    let mut wider = Collection::clone(&posts());
    wider.fields.push(text("note", false));
    let after = Arc::new(wider);
    let changed = Arc::clone(&after);
    one.write_alone(Duration::from_secs(5), move |tx| {
        tx.change_table(&posts(), &changed)
            .map_err(|error| StoreError::Directory(error.to_string()))?;
        tx.save_collection(&changed)?;
        let all = tx.catalog().iter().map(|known| {
            if known.id == changed.id {
                Arc::clone(&changed)
            } else {
                Arc::clone(known)
            }
        });
        let all = all.collect();
        tx.schema_changed(all)
    })
    .await
    .unwrap();

    wait_until("the other node knows the new field", || {
        let catalog = two.catalog();
        catalog
            .find("posts")
            .is_some_and(|posts| posts.fields.len() == 3)
    });
    let wide = |id: &str| {
        Record::from_cells(
            Arc::clone(&after),
            vec![Value::text(id), Value::text("t"), Value::text("noted")],
        )
    };
    let record = wide("n");
    two.write(move |tx| tx.insert(&record)).await.unwrap();
    let found = one.read_now(|tx| tx.find(&after, "n"));
    assert_eq!(
        found
            .map_err(|e: StoreError| e)
            .unwrap()
            .unwrap()
            .text("note"),
        "noted"
    );
}

#[tokio::test]
async fn writes_of_several_nodes_take_turns_and_lose_nothing() {
    let database = Database::new();
    let one = with_posts(&database).await;
    one.write(|tx| tx.insert(&post("sum", "0"))).await.unwrap();
    let nodes = [one, database.node(), database.node()];

    let mut writes = Vec::new();
    for node in &nodes {
        for _ in 0..20 {
            let node = node.clone();
            writes.push(tokio::spawn(async move {
                node.write(|tx| {
                    let before = tx.find(&posts(), "sum")?.ok_or(StoreError::Gone)?;
                    let sum: u32 = before.text("title").parse().unwrap();
                    tx.update(&before, &post("sum", &(sum + 1).to_string()))
                })
                .await
            }));
        }
    }
    for write in writes {
        write.await.unwrap().unwrap();
    }
    assert_eq!(find(&nodes[0], "sum").unwrap().text("title"), "60");
    let heads = || nodes.iter().map(Store::head).collect::<Vec<Cursor>>();
    wait_until("all nodes have come to the end", || {
        heads().windows(2).all(|pair| pair[0] == pair[1])
    });
    let entries = nodes[0].read_now(|tx| tx.changes_after(crate::store::Position(0), 1_000));
    let places: Vec<u64> = entries
        .map_err(|e: StoreError| e)
        .unwrap()
        .iter()
        .map(|entry| entry.position.0)
        .collect();
    assert!(places.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[tokio::test]
async fn a_snapshot_stays_as_it_was_and_holds_up_no_change_of_a_table() {
    let database = Database::new();
    let store = with_posts(&database).await;
    store
        .write(|tx| tx.insert(&post("a", "old")))
        .await
        .unwrap();
    let mut held = store.snapshot().unwrap();
    held.refresh().unwrap();

    store
        .write(|tx| tx.update(&post("a", "old"), &post("a", "new")))
        .await
        .unwrap();
    let seen = held.tx().find(&posts(), "a").unwrap().unwrap();
    assert_eq!(seen.text("title"), "old");

    store
        .write_alone(Duration::from_secs(5), |tx| {
            tx.drop_table(&posts())
                .map_err(|error| StoreError::Directory(error.to_string()))
        })
        .await
        .unwrap();
    assert!(held.tx().find(&posts(), "a").is_err());
    assert!(held.is_open());
}

#[tokio::test]
async fn what_others_made_is_not_taken_for_ours() {
    let database = Database::new();
    let runtime_free = database.address.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (client, connection) =
                tokio_postgres::connect(&runtime_free, tokio_postgres::NoTls)
                    .await
                    .unwrap();
            tokio::spawn(connection);
            client
                .batch_execute("CREATE TABLE theirs (a int)")
                .await
                .unwrap();
        });
    })
    .join()
    .unwrap();

    let dir = std::env::temp_dir().join(format!("burrow-node-{}", id::record_id()));
    database.dirs.lock().push(dir.clone());
    let mut options = OpenOptions::new(dir, Clock::manual(Timestamp::from_millis(0)));
    options.database = Some(Remote::at(Secret::new(database.address.clone())));
    let refused = Store::open(&options).unwrap_err();
    assert!(refused.to_string().contains("theirs"), "{refused}");
}
