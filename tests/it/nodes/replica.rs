//! A replica of the database answers reads, and everybody sees what was answered before.

use burrow::kit::secret::Secret;
use serde_json::json;

use crate::realtime::world::{collection, create};
use crate::support::postgres::{Cluster, Folder};
use crate::support::{Person, TestApp, until};

const POSTS: &str = "/api/collections/posts/records";

fn titles(who: &Person) -> u64 {
    who.get(POSTS).ok()["totalItems"].as_u64().unwrap()
}

#[test]
fn what_was_written_through_any_server_is_read_from_a_replica() {
    let primary = Cluster::start();
    let files = Folder::new();
    let address = primary.database("template0");
    let name = address.rsplit_once('/').unwrap().1.to_owned();
    let replica = primary.replica();
    let a = TestApp::configured(|config| {
        config.database = Some(Secret::new(address.clone()));
        config.database_read = Some(Secret::new(replica.address(&name)));
        config.files_dir = Some(files.0.clone());
    });
    collection(&a, "posts", Some(""), &[]);
    let b = a.beside();
    let sue = a.superuser();
    let there = b.guest().with_token(sue.token());
    let reads = || a.app.store.replica_reads().unwrap();
    let handed = |what: &str| {
        let before = reads();
        until(what, || {
            titles(&sue);
            reads() > before
        });
    };

    handed("the replica answers");
    for n in 1..=30 {
        let writer = if n % 2 == 0 { &sue } else { &there };
        create(writer, "posts", &json!({"title": n.to_string()}));
        assert_eq!(titles(&sue), n, "what was answered is seen");
        assert_eq!(titles(&there), n, "on the other server, too");
    }
    handed("it still does");

    // It falls behind: the database is read.
    replica
        .query("postgres", "SELECT pg_wal_replay_pause()")
        .unwrap();
    let is_paused = "DO $$ BEGIN ASSERT pg_get_wal_replay_pause_state() = 'paused'; END $$";
    until("it has stopped", || {
        replica.query("postgres", is_paused).is_ok()
    });
    create(&there, "posts", &json!({"title": "31"}));
    assert_eq!(titles(&sue), 31);
    let before = reads();
    for _ in 0..5 {
        assert_eq!(titles(&sue), 31);
    }
    assert_eq!(reads(), before, "it has not come as far");
    replica
        .query("postgres", "SELECT pg_wal_replay_resume()")
        .unwrap();
    handed("it has caught up");

    // It goes away, and comes again.
    replica.stop();
    until("nobody is sent there", || {
        let reply = sue.get(POSTS);
        assert!([200, 503].contains(&reply.status), "{}", reply.text());
        reply.status == 200
    });
    create(&sue, "posts", &json!({"title": "32"}));
    assert_eq!(titles(&sue), 32);
    replica.start_again();
    handed("it is there again");
    assert_eq!(titles(&sue), 32);
}
