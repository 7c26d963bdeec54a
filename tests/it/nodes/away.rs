//! The database goes away and comes back, moves to another server, or is held by somebody.

use std::time::{Duration, Instant};

use burrow::kit::secret::Secret;
use serde_json::json;

use crate::realtime::ears::{Socket, Stream, is};
use crate::realtime::world::{collection, create};
use crate::support::postgres::{Cluster, Folder};
use crate::support::{TestApp, until};

const POSTS: &str = "/api/collections/posts/records";

/// A server of a database on a PostgreSQL of its own.
fn on(address: &str, files: &Folder) -> TestApp {
    let t = TestApp::configured(|config| {
        config.database = Some(Secret::new(address.to_owned()));
        config.files_dir = Some(files.0.clone());
    });
    collection(&t, "posts", Some(""), &[]);
    t
}

/// A PostgreSQL, a replica of it, and the address of a database on whichever of them takes writes.
fn pair() -> (Cluster, Cluster, String) {
    let first = Cluster::start();
    let database = first.database("template0");
    let name = database.rsplit_once('/').unwrap().1;
    let second = first.replica();
    let (one, two) = (first.port(), second.port());
    let both = format!("postgres://burrow@127.0.0.1:{one},127.0.0.1:{two}/{name}");
    (first, second, both)
}

#[test]
fn while_the_database_is_away_everybody_is_told_so_and_afterwards_served() {
    let cluster = Cluster::start();
    let files = Folder::new();
    let a = on(&cluster.database("template0"), &files);
    let b = a.beside();
    let sue = a.superuser();
    create(&sue, "posts", &json!({"title": "before"}));
    let mut socket = Socket::open(&b);
    socket.subscribe("posts/*");
    let mut stream = Stream::of(&b, &b.guest(), &["posts/*"]);
    let live = socket.ask("live", json!({"collection": "posts", "sort": "title"}));
    assert_eq!(live["type"], "ok", "{live}");
    assert_eq!(socket.next()["items"].as_array().unwrap().len(), 1);

    cluster.stop();

    until("the servers know", || {
        a.guest().get("/api/health").status == 503
    });
    let begun = Instant::now();
    for _ in 0..20 {
        for reply in [
            a.guest().get("/api/health"),
            a.guest().get(POSTS),
            sue.get(POSTS),
            sue.post(POSTS, &json!({"title": "no"})),
        ] {
            assert_eq!(reply.status, 503, "{}", reply.text());
            assert_eq!(reply.header("retry-after"), "1");
        }
    }
    // Eighty questions: each is refused at once, or the first few wait for what a connection may take.
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );

    cluster.start_again();

    for node in [&a, &b] {
        until("the server is well again", || {
            node.guest().get("/api/health").status == 200
        });
    }
    until("writes go through again", || {
        sue.post(POSTS, &json!({"title": "after"})).status == 200
    });
    assert_eq!(
        socket.event(),
        is("create", "after"),
        "on the same connection"
    );
    assert_eq!(
        stream.event(),
        is("create", "after"),
        "on the same connection"
    );
    let diff = socket.next();
    assert_eq!(diff["changes"][0]["record"]["title"], "after", "{diff}");
}

#[test]
fn whoever_holds_a_table_is_waited_for_in_bounds() {
    let cluster = Cluster::start();
    let files = Folder::new();
    let a = on(&cluster.database("template0"), &files);
    let sue = a.superuser();
    create(&sue, "posts", &json!({"title": "one"}));
    let mut socket = Socket::open(&a);
    socket.subscribe("posts/*");

    std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            cluster.query(
                "test_1",
                "BEGIN; LOCK TABLE posts IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(20); COMMIT",
            )
        });
        until("reads of the table are refused", || {
            let reply = a.guest().get(POSTS);
            reply.status == 503 && reply.header("retry-after") == "1"
        });
        let refused = sue.post(POSTS, &json!({"title": "two"}));
        assert_eq!(refused.status, 503, "{}", refused.text());
        // What does not need it goes on.
        assert_eq!(a.guest().get("/api/health").status, 200);
        assert_eq!(sue.get("/api/collections/users/records").status, 200);
        holder.join().unwrap().unwrap();
    });

    until("it is free again", || {
        sue.post(POSTS, &json!({"title": "three"})).status == 200
    });
    assert_eq!(socket.event(), is("create", "three"));
}

#[test]
fn the_servers_follow_the_database_to_a_replica_that_takes_over() {
    let (first, second, database) = pair();
    let (files, name) = (Folder::new(), database.rsplit_once('/').unwrap().1);
    let a = on(&database, &files);
    let b = a.beside();
    let sue = a.superuser();
    let there = b.guest().with_token(sue.token());
    create(&sue, "posts", &json!({"title": "kept"}));
    let kept = "SELECT 1 / count(*) FROM posts WHERE title = 'kept'";
    until("the replica has it", || second.query(name, kept).is_ok());
    let mut socket = Socket::open(&b);
    socket.subscribe("posts/*");

    first.stop();
    second.promote();

    until("writes go through", || {
        there.post(POSTS, &json!({"title": "new"})).status == 200
    });
    assert_eq!(socket.event(), is("create", "new"));
    until("the other one writes too", || {
        sue.post(POSTS, &json!({"title": "more"})).status == 200
    });
    assert_eq!(socket.event(), is("create", "more"));
    assert_eq!(there.get(POSTS).ok()["totalItems"], 3);
}

#[test]
fn commits_that_a_failover_loses_are_not_believed_any_more() {
    let (first, second, database) = pair();
    let (files, name) = (Folder::new(), database.rsplit_once('/').unwrap().1);
    let a = on(&database, &files);
    let sue = a.superuser();
    create(&sue, "posts", &json!({"title": "kept"}));
    let kept = "SELECT 1 / count(*) FROM posts WHERE title = 'kept'";
    until("the replica has it", || second.query(name, kept).is_ok());
    let mut socket = Socket::open(&a);
    socket.subscribe("posts/*");
    second.stop();
    create(&sue, "posts", &json!({"title": "lost"}));
    let lost = socket.next();
    assert_eq!(lost["record"]["title"], "lost");
    first.stop();
    second.start_again();
    second.promote();

    until("writes go through", || {
        sue.post(POSTS, &json!({"title": "new"})).status == 200
    });

    // Who heard of what is no more is told to fetch again, on the same connection.
    let frame = socket.next();
    assert_eq!(frame["type"], "reset", "{frame}");
    let again = Socket::open(&a).ask(
        "subscribe",
        json!({"topic": "posts/*", "since": lost["cursor"]}),
    );
    assert_eq!(again["type"], "ok", "{again}");
    let titles = sue.get(&format!("{POSTS}?fields=title")).ok();
    assert_eq!(
        titles["items"],
        json!([{"title": "kept"}, {"title": "new"}])
    );
}
