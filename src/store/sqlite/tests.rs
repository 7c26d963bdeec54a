//! The engine: commits, groups, the log, reopening.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::kit::clock::Clock;
use crate::kit::id;
use crate::kit::sql::{Dialect, Sql};
use crate::kit::time::Timestamp;
use crate::kit::value::Value;
use crate::schema::field::TextOptions;
use crate::schema::{Collection, CollectionId, Field, FieldKind, Kind, Record, Rules};
use crate::store::{ChangeKind, OpenOptions, Store, StoreError, WriteTx};

/// A directory that is removed with its test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("burrow-{}", id::record_id())))
    }

    fn open(&self) -> Store {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        Store::open(&OpenOptions::new(&self.0, clock)).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn text(name: &str) -> Field {
    Field {
        id: format!("text_{name}").into(),
        name: name.into(),
        system: false,
        hidden: false,
        presentable: false,
        help: String::new(),
        required: false,
        kind: FieldKind::Text(TextOptions::default()),
    }
}

fn posts() -> Arc<Collection> {
    Arc::new(Collection {
        id: CollectionId::new("posts_id"),
        name: "posts".into(),
        system: false,
        kind: Kind::Base,
        fields: vec![text("id"), text("title")],
        indexes: Vec::new(),
        rules: Rules::default(),
        created: "".into(),
        updated: "".into(),
    })
}

fn post(id: &str, title: &str) -> Record {
    Record::from_cells(posts(), vec![Value::text(id), Value::text(title)])
}

async fn with_posts(dir: &Dir) -> Store {
    let store = dir.open();
    store
        .write_alone(Duration::from_secs(5), |tx| {
            let mut sql = Sql::new(Dialect::Sqlite);
            sql.push("CREATE TABLE posts (id TEXT PRIMARY KEY, title TEXT UNIQUE)");
            tx.execute(&sql)?;
            tx.schema_changed(vec![posts()])
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

#[tokio::test]
async fn a_committed_write_is_there_after_reopening() {
    let dir = Dir::new();
    let store = with_posts(&dir).await;

    store
        .write(|tx| tx.insert(&post("a", "hello")))
        .await
        .unwrap();
    let head = store.head();
    store.close();

    let again = dir.open();
    assert_eq!(find(&again, "a").unwrap().text("title"), "hello");
    assert_eq!(again.head(), head);
}

#[tokio::test]
async fn a_failed_write_leaves_nothing_behind() {
    let dir = Dir::new();
    let store = with_posts(&dir).await;
    let before = store.head();

    let answer: Result<(), StoreError> = store
        .write(|tx| {
            tx.insert(&post("a", "hello"))?;
            Err(StoreError::Gone)
        })
        .await;

    assert!(matches!(answer, Err(StoreError::Gone)));
    assert!(find(&store, "a").is_none());
    assert_eq!(store.head(), before);
}

#[tokio::test]
async fn members_of_a_group_do_not_hurt_each_other() {
    let dir = Dir::new();
    let store = with_posts(&dir).await;
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let blocker = store.write(move |_| {
        held.recv().ok();
        Ok::<_, StoreError>(())
    });
    let mut writes = Vec::new();
    for n in 0..20 {
        // Every second title is taken by the one before it.
        let record = post(&format!("id{n}"), &format!("title{}", n / 2));
        writes.push(tokio::spawn({
            let store = store.clone();
            async move { store.write(move |tx| tx.insert(&record)).await }
        }));
    }

    let (first, ()) = tokio::join!(blocker, async {
        tokio::task::yield_now().await;
        hold.send(()).unwrap();
    });

    first.unwrap();
    let mut stored = 0;
    for write in writes {
        match write.await.unwrap() {
            Ok(()) => stored += 1,
            Err(StoreError::NotUnique { table, columns }) => {
                assert_eq!(
                    (table.as_str(), columns),
                    ("posts", vec!["title".to_owned()])
                );
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(stored, 10);
}

#[tokio::test]
async fn a_panicking_write_is_undone_and_the_store_goes_on() {
    let dir = Dir::new();
    let store = with_posts(&dir).await;

    let answer: Result<(), StoreError> = store
        .write(|tx| {
            tx.insert(&post("a", "hello"))?;
            panic!("on purpose")
        })
        .await;

    assert!(answer.is_err());
    assert!(find(&store, "a").is_none());
    store.write(|tx| tx.insert(&post("b", "x"))).await.unwrap();
}

#[tokio::test]
async fn a_write_past_its_deadline_is_interrupted() {
    let dir = Dir::new();
    let store = with_posts(&dir).await;

    let answer = store
        .write_alone(Duration::from_millis(20), |tx| {
            let mut sql = Sql::new(Dialect::Sqlite);
            sql.push(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                 SELECT count(*) FROM n",
            );
            tx.query_value(&sql)
        })
        .await;

    assert!(matches!(answer, Err(StoreError::Timeout)));
    store.write(|tx| tx.insert(&post("b", "x"))).await.unwrap();
}

#[tokio::test]
async fn listeners_see_changes_in_commit_order_with_images() {
    let dir = Dir::new();
    let store = with_posts(&dir).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&seen);
    store.on_commit(move |group| {
        ear.lock()
            .extend(group.changes.iter().map(|c| (c.position, c.kind.clone())));
    });

    let first = post("a", "one");
    let second = post("a", "two");
    let write = |f: fn(&mut WriteTx<'_>, Record, Record) -> Result<(), StoreError>| {
        let (first, second) = (first.clone(), second.clone());
        store.write(move |tx| f(tx, first, second))
    };
    write(|tx, first, _| tx.insert(&first)).await.unwrap();
    write(|tx, first, second| tx.update(&first, &second))
        .await
        .unwrap();
    write(|tx, _, second| tx.delete(&second)).await.unwrap();

    let seen = seen.lock();
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert!(matches!(&seen[0].1, ChangeKind::Create { after } if **after == first));
    assert!(
        matches!(&seen[1].1, ChangeKind::Update { before, after } if **before == first && **after == second)
    );
    assert!(matches!(&seen[2].1, ChangeKind::Delete { before } if **before == second));
}

#[tokio::test]
async fn the_log_holds_what_undoes_each_change() {
    let dir = Dir::new();
    let store = with_posts(&dir).await;
    let from = store.head().position;
    let (first, second) = (post("a", "one"), post("a", "two"));
    store
        .write(move |tx| {
            tx.insert(&first)?;
            tx.update(&first, &second)?;
            tx.delete(&second)
        })
        .await
        .unwrap();

    let entries = store
        .read(move |tx| tx.changes_after(from, 10))
        .await
        .unwrap();

    let undo: Vec<_> = entries.iter().map(|e| e.undo.len()).collect();
    assert_eq!(undo, [0, 1, 2]);
    assert_eq!(
        entries[1].undo[0],
        ("text_title".into(), Value::text("one"))
    );
    assert!(entries.iter().all(|e| e.tx == entries[0].tx));
}

#[tokio::test]
async fn a_change_to_a_row_that_is_gone_is_an_error() {
    let dir = Dir::new();
    let store = with_posts(&dir).await;

    let answer = store
        .write(|tx| tx.update(&post("a", "x"), &post("a", "y")))
        .await;

    assert!(matches!(answer, Err(StoreError::Gone)));
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let dir = Dir::new();
    let store = with_posts(&dir).await;
    store.close();

    let read: Result<(), StoreError> = store.read(|_| Ok(())).await;
    let write: Result<(), StoreError> = store.write(|_| Ok(())).await;
    let now: Result<(), StoreError> = store.read_now(|_| Ok(()));

    assert!(matches!(read, Err(StoreError::Closed)));
    assert!(matches!(write, Err(StoreError::Closed)));
    assert!(matches!(now, Err(StoreError::Closed)));
    assert!(!dir.0.join("data.db-wal").exists());
}

#[tokio::test]
async fn a_queue_that_does_not_move_is_not_made_longer() {
    use futures_util::FutureExt;
    let dir = Dir::new();
    let store = with_posts(&dir).await;
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let mut blocker = Box::pin(store.write(move |_| {
        held.recv().ok();
        Ok::<_, StoreError>(())
    }));
    assert!((&mut blocker).now_or_never().is_none());
    let record = post("a", "waiting");
    let mut waiting = Box::pin(store.write(move |tx| tx.insert(&record)));
    assert!((&mut waiting).now_or_never().is_none());

    let began = std::time::Instant::now();
    loop {
        let late = store.write(|_| Ok::<_, StoreError>(()));
        if let Some(answer) = late.now_or_never() {
            assert!(matches!(answer, Err(StoreError::Busy)));
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "nobody was refused"
        );
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert!(began.elapsed() > Duration::from_millis(500));

    hold.send(()).unwrap();
    blocker.await.unwrap();
    waiting.await.unwrap();
    store.write(|_| Ok::<_, StoreError>(())).await.unwrap();
}

#[tokio::test]
async fn a_member_that_ends_the_transaction_takes_no_success_with_it() {
    let dir = Dir::new();
    let store = with_posts(&dir).await;
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let blocker = store.write(move |_| {
        held.recv().ok();
        Ok::<_, StoreError>(())
    });
    let mut writes = Vec::new();
    for n in 0..5 {
        let record = post(&format!("id{n}"), &format!("title{n}"));
        writes.push(store.write(move |tx| {
            tx.insert(&record)?;
            if n == 2 {
                let mut sql = Sql::new(Dialect::Sqlite);
                sql.push("ROLLBACK");
                tx.execute(&sql)?;
            }
            Ok::<_, StoreError>(())
        }));
    }

    let (_, answers, ()) = tokio::join!(blocker, futures_util::future::join_all(writes), async {
        tokio::task::yield_now().await;
        hold.send(()).unwrap();
    });

    assert!(answers[2].is_err());
    for (n, answer) in answers.iter().enumerate() {
        let stored = find(&store, &format!("id{n}")).is_some();
        assert_eq!(answer.is_ok(), stored, "{n}: {answer:?}");
    }
    assert!(answers[3].is_ok() && answers[4].is_ok());
}

#[tokio::test]
async fn old_entries_leave_the_log_in_small_steps_and_the_newest_stays() {
    let dir = Dir::new();
    let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
    let store = Store::open(&OpenOptions::new(&dir.0, clock.clone())).unwrap();
    let users = store.catalog().find("users").unwrap().id.clone();
    let touch = async |count: usize| {
        for _ in 0..count {
            let users = users.clone();
            store.write(move |tx| tx.touched(&users)).await.unwrap();
        }
    };
    touch(300).await;

    clock.advance(Duration::from_secs(25 * 60 * 60));
    touch(300).await;

    let (start, end) = store
        .read(|tx| Ok::<_, StoreError>((tx.log_start()?, tx.log_end()?)))
        .await
        .unwrap();
    assert_eq!(start.0, 301);
    assert_eq!(end, store.head().position);
}
