//! Many listeners: a change costs nothing for those whom it does not concern.

use std::net::Ipv4Addr;
use std::sync::Arc;

use burrow::call::{Actor, Identity};
use burrow::kit::id;
use burrow::realtime::{Arrival, Connection, Topic, Transport};
use burrow::schema::Record;
use burrow::store::StoreError;
use serde_json::json;

use super::ears::{Socket, is};
use super::world::{collection, create, update};
use crate::support::TestApp;

/// Somebody who listens without a socket, signed in under an id of the test's choice.
fn listener(t: &TestApp, user: &Record, topic: &str) -> Connection {
    let hub = &t.app.hub;
    let address = Ipv4Addr::LOCALHOST.into();
    let connection = hub
        .connect(&Arrival {
            transport: Transport::WebSocket,
            address,
            user_agent: "",
            since: None,
        })
        .unwrap();
    let identity = Identity {
        record: user.clone(),
        expires: None,
        refreshable: false,
        session: None,
        key: None,
    };
    let ask = json!(1);
    hub.sign_in(
        connection.id(),
        &ask,
        &Actor::Auth(Arc::new(identity)),
        b"null",
    );
    let topic = Topic::parse(topic).unwrap();
    hub.subscribe(connection.id(), &ask, topic, None).unwrap();
    connection
}

/// Users without passwords, which would take their time.
fn users(t: &TestApp, count: usize) -> Vec<Record> {
    let users = t.app.store.catalog().find("users").unwrap().clone();
    let all: Vec<Record> = (0..count)
        .map(|n| {
            let zeros = users.fields.iter().map(|field| field.zero()).collect();
            let mut record = Record::from_cells(users.clone(), zeros);
            record.set("id", id::random(15, id::LOWER_ALNUM));
            record.set("email", format!("user{n}@example.com"));
            record.set("tokenKey", id::random(50, id::LOWER_ALNUM));
            record
        })
        .collect();
    let rows = all.clone();
    let write = t.app.store.write(move |tx| -> Result<(), StoreError> {
        rows.iter().try_for_each(|record| tx.insert(record))
    });
    t.wait(write).unwrap();
    all
}

/// What waits for a listener, as text.
fn heard(t: &TestApp, listener: &Connection) -> String {
    let frames = t.wait(listener.next()).unwrap();
    let texts = frames
        .iter()
        .map(|frame| String::from_utf8_lossy(frame).into_owned());
    texts.collect()
}

/// 10,000 identities under `owner = @request.auth.id`: a change is judged for its owner alone.
#[test]
fn ten_thousand_owners_cost_a_change_of_one_nothing() {
    let t = TestApp::new();
    collection(&t, "posts", Some("title = @request.auth.id"), &[]);
    let sue = t.superuser();
    let users = users(&t, 10_000);
    let names: Vec<&str> = users.iter().map(Record::id).collect();
    let crowd: Vec<Connection> = users
        .iter()
        .map(|user| listener(&t, user, "posts/*"))
        .collect();
    let mut bell = Socket::of(&t, &sue);
    bell.subscribe("posts/*");
    let judged = || t.app.hub.survey().judged;
    assert_eq!(t.app.hub.survey().groups, 10_001);

    let before = judged();
    let post = create(&sue, "posts", &json!({"title": names[7]}));
    assert_eq!(bell.event(), is("create", names[7]));
    let created = judged();
    update(&sue, "posts", &post, &json!({"title": names[8]}));
    assert_eq!(bell.event(), is("update", names[8]));
    let moved = judged();

    // The owner and the superuser; then both owners and the superuser.
    assert_eq!((created - before, moved - created), (2, 3));
    let (old, new) = (heard(&t, &crowd[7]), heard(&t, &crowd[8]));
    assert!(
        old.contains("\"action\":\"create\"") && old.contains("\"action\":\"leave\""),
        "{old}"
    );
    assert!(new.contains("\"action\":\"update\""), "{new}");
    assert!(!heard(&t, &crowd[9]).contains("event"));
}

/// The same for filters of subscribers, and one group for all who ask alike.
#[test]
fn those_who_ask_alike_are_judged_once() {
    let t = TestApp::new();
    collection(&t, "posts", Some("n > 0"), &[]);
    let sue = t.superuser();
    let crowd: Vec<Connection> = users(&t, 1_000)
        .iter()
        .map(|user| listener(&t, user, "posts/*"))
        .collect();
    let mut socket = Socket::open(&t);
    for n in 0..100 {
        let filter = format!("title = 'topic{n}'");
        socket.subscribe_with(json!({"topic": "posts/*", "filter": filter}));
    }

    let before = t.app.hub.survey().judged;
    create(&sue, "posts", &json!({"title": "topic5", "n": 1}));
    assert_eq!(socket.event(), is("create", "topic5"));

    assert_eq!(t.app.hub.survey().judged - before, 2);
    assert!(crowd.iter().all(|one| heard(&t, one).contains("topic5")));
}
