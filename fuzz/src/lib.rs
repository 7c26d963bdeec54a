//! What every way into the server makes of arbitrary bytes. Each function takes one input and panics where a promise is
//! broken; a panic of the server's own is one. They run under cargo-fuzz (`cargo +nightly fuzz run filter_parser`), and under
//! `make test`, which changes the inputs of `corpus` at random.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{FromRequest as _, Request};
use burrow::app::App;
use burrow::auth::token::{self, Purpose};
use burrow::call::{Actor, Call};
use burrow::config::Config;
use burrow::expr::{Catalog, Guard};
use burrow::files::thumb;
use burrow::http::body::Unread;
use burrow::kit::clock::Clock;
use burrow::kit::id;
use burrow::kit::time::Timestamp;
use burrow::kit::value::Value;
use burrow::ops::extract_archive;
use burrow::realtime::{self, Topic};
use burrow::records::Submission;
use burrow::schema::{Collection, Record};
use burrow::store::{Access, ReadTx, Select, StoreError};
use serde_json::{Map, Value as Json, json};
use tokio::runtime::Runtime;

/// A name and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target by its name.
pub const TARGETS: [Target; 9] = [
    ("filter_parser", filter_parser),
    ("evaluator", evaluator),
    ("body", body),
    ("multipart", multipart),
    ("token", token),
    ("schema_import", schema_import),
    ("realtime_message", realtime_message),
    ("archive", archive),
    ("thumb", thumb),
];

/// Bytes of a body that are read.
const BODY_MAX: u64 = 1 << 20;

/// A server without a wire, over a directory of its own.
struct World {
    app: App,
    runtime: Runtime,
    root: PathBuf,
    catalog: Arc<Catalog>,
    posts: Arc<Collection>,
    records: Vec<Record>,
    user: Record,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

impl World {
    fn new() -> Self {
        let root = std::env::temp_dir().join(format!("burrow-fuzz-{}", id::record_id()));
        let runtime = Runtime::new().unwrap();
        let clock = Clock::manual(Timestamp::from_millis(1_767_323_045_678));
        let config = Config::new(root.join("data"));
        let app = runtime
            .block_on(App::open(config, clock, Access::Alone))
            .unwrap();
        let call = Call::new(Actor::Guest, app.clock.now());
        let users = app
            .store
            .catalog()
            .find("users")
            .unwrap()
            .id
            .as_str()
            .to_owned();
        let posts = json!({"name": "posts", "type": "base", "createRule": "", "fields": [
            {"name": "title", "type": "text"}, {"name": "n", "type": "number"}, {"name": "yes", "type": "bool"},
            {"name": "at", "type": "date"}, {"name": "any", "type": "json"}, {"name": "place", "type": "geoPoint"},
            {"name": "tags", "type": "select", "values": ["a", "b", "c"], "maxSelect": 3},
            {"name": "owner", "type": "relation", "collectionId": users, "maxSelect": 1}
        ]});
        runtime
            .block_on(app.collections.create(&call, object(posts)))
            .unwrap();
        let rows = [
            json!({"title": "Ünï", "n": -1.5, "yes": true, "tags": ["a", "c"], "any": {"a": [1, null, "x"]}}),
            json!({"title": "", "n": 0, "at": "2026-01-02 03:04:05.678Z", "any": "text", "place": {"lon": 10, "lat": -20}}),
            json!({"title": "100%_\\", "n": 9e15, "any": [true, 2.5], "tags": "b"}),
            json!({"title": "7", "n": 7, "any": 7}),
        ];
        for row in rows {
            let submission = Submission {
                values: object(row),
                ..Submission::default()
            };
            runtime
                .block_on(app.records.create(&call, "posts", submission))
                .unwrap();
        }
        let catalog = app.store.catalog();
        let posts = Arc::clone(catalog.find("posts").unwrap());
        let all = |tx: &ReadTx<'_>| -> Result<_, StoreError> {
            tx.select(&Select::all(tx.catalog(), &call, &posts))
        };
        let records = app.store.read_now(all).unwrap();
        assert_eq!(records.len(), 4);
        let users = Arc::clone(catalog.find("users").unwrap());
        let cells = users
            .fields
            .iter()
            .map(|field| Value::text(field.name.as_str()))
            .collect();
        let user = Record::from_cells(users, cells);
        Self {
            app,
            runtime,
            root,
            catalog,
            posts,
            records,
            user,
        }
    }

    fn call(&self) -> Call {
        Call::new(Actor::Guest, self.app.clock.now())
    }
}

/// An expression is understood or refused, by clients and in rules alike, and sorts are too.
pub fn filter_parser(data: &[u8]) {
    let world = world();
    let text = String::from_utf8_lossy(data);
    for guard in [Guard::Client, Guard::Trusted] {
        drop(world.catalog.filter(&world.posts, &text, guard));
        drop(world.catalog.sort(&world.posts, &text, guard));
    }
}

/// Where memory judges, the database says the same.
pub fn evaluator(data: &[u8]) {
    let world = world();
    let text = String::from_utf8_lossy(data);
    let Ok(filter) = world.catalog.filter(&world.posts, &text, Guard::Client) else {
        return;
    };
    let call = world.call();
    for record in &world.records {
        let Some(verdict) = filter.holds_for_draft(&call, record) else {
            continue;
        };
        let ask =
            |tx: &ReadTx<'_>| -> Result<_, StoreError> { tx.holds_for(&call, &filter, record) };
        match world.app.store.read_now(ask) {
            Ok(found) => assert_eq!(verdict, found, "{text:?} of {record:?}"),
            Err(error) => panic!("{error} for {text:?}"),
        }
    }
}

fn read_body(content_type: &str, data: &[u8]) {
    let world = world();
    let request = Request::builder()
        .uri("/?a=1&b")
        .header("Content-Type", content_type)
        .body(Body::from(data.to_vec()))
        .unwrap();
    world.runtime.block_on(async {
        let unread = Unread::from_request(request, &world.app).await.unwrap();
        if let Ok(submitted) = unread.read(BODY_MAX).await {
            drop(submitted.record());
            drop(submitted.form());
        }
    });
}

/// Bodies of JSON and forms.
pub fn body(data: &[u8]) {
    read_body("application/json", data);
    read_body("application/x-www-form-urlencoded", data);
}

/// Bodies of parts.
pub fn multipart(data: &[u8]) {
    read_body("multipart/form-data; boundary=XX", data);
}

/// No bytes are a token of anybody whose key was not used.
pub fn token(data: &[u8]) {
    let world = world();
    let text = String::from_utf8_lossy(data);
    let purposes = [Purpose::Auth, Purpose::File];
    drop(token::read_unproven(
        &text,
        &purposes,
        world.app.clock.now(),
    ));
    drop(token::unproven_text(&text, "email"));
    for purpose in purposes {
        assert!(!token::is_signed(&text, &world.user, purpose), "{text:?}");
    }
}

/// A schema is taken whole or not at all.
pub fn schema_import(data: &[u8]) {
    let world = world();
    let Ok(Json::Array(items)) = serde_json::from_slice::<Json>(data) else {
        return;
    };
    let items: Vec<_> = items.into_iter().take(4).map(object).collect();
    let (call, before) = (world.call(), world.app.store.catalog().iter().count());
    let imported = world
        .runtime
        .block_on(world.app.collections.import(&call, items, false));
    let catalog = world.app.store.catalog();
    if imported.is_err() {
        assert_eq!(catalog.iter().count(), before);
    }
    // What was made goes again, so that the world stays small.
    let made: Vec<String> = catalog
        .iter()
        .filter(|collection| {
            !collection.system && !["posts", "users"].contains(&collection.name.as_str())
        })
        .map(|collection| collection.name.to_string())
        .collect();
    if made.len() > 20 {
        for name in made {
            drop(
                world
                    .runtime
                    .block_on(world.app.collections.delete(&call, &name)),
            );
        }
    }
}

/// Frames and topics of realtime.
pub fn realtime_message(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    drop(realtime::parse(&text));
    drop(Topic::parse(&text));
}

/// An archive lays out files below its folder only.
pub fn archive(data: &[u8]) {
    let world = world();
    let place = world.root.join(id::record_id().as_str());
    let into = place.join("in").join("here");
    std::fs::create_dir_all(&into).unwrap();
    let path = place.join("archive");
    File::create(&path).unwrap().write_all(data).unwrap();
    drop(extract_archive(File::open(&path).unwrap(), &into));
    let outside = std::fs::read_dir(&place).unwrap().count()
        + std::fs::read_dir(place.join("in")).unwrap().count();
    std::fs::remove_dir_all(&place).unwrap();
    assert_eq!(outside, 3, "something was written outside");
}

/// A picture is made small, or is none.
pub fn thumb(data: &[u8]) {
    for (name, size) in [("a.png", "8x8"), ("a.jpg", "0x5"), ("a.gif", "9x3f")] {
        if let Some(size) = thumb::Size::parse(size) {
            drop(thumb::make(data, name, size));
        }
    }
}
