//! A small world of collections and records in an in-memory SQLite and in a real PostgreSQL, with the column types that
//! the store declares.

use std::sync::Arc;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value as Sqlite;
use rusqlite::{Connection, params_from_iter};
use serde_json::json;

use crate::call::{Actor, Call, Identity};
use crate::expr::{Catalog, Filter, GEO_DISTANCE, Root, Sort, geo_distance};
use crate::kit::json::Json;
use crate::kit::sql::{Dialect, Sql};
use crate::kit::time::Timestamp;
use crate::kit::value::Value;
use crate::schema::{Collection, FieldKind, Record, Rules, Schema, StoredCollection};
use crate::test_server;

/// 2024-02-03 04:05:06.789Z
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_706_933_106_789);

pub(super) struct World {
    pub(super) catalog: Catalog,
    db: Connection,
    postgres: Option<Postgres>,
}

/// A collection whose fields are `name: kind`, with `?` after a kind for many and `>target` for relations; `!` before
/// a name hides the field.
fn collection(name: &str, kind: &str, list: Option<&str>, fields: &str) -> Collection {
    let mut json = vec![json!({"id": "text_id", "name": "id", "type": "text", "primaryKey": true})];
    if kind == "auth" {
        json.extend([
            json!({"id": "f_password", "name": "password", "type": "password", "hidden": true}),
            json!({"id": "f_token", "name": "tokenKey", "type": "text", "hidden": true}),
            json!({"id": "f_email", "name": "email", "type": "email"}),
            json!({"id": "f_vis", "name": "emailVisibility", "type": "bool"}),
            json!({"id": "f_verified", "name": "verified", "type": "bool"}),
        ]);
    }
    for field in fields.split_whitespace() {
        let (name, kind) = field.split_once(':').unwrap();
        let (kind, target) = kind.split_once('>').unwrap_or((kind, ""));
        let (kind, many) = match kind.strip_suffix('?') {
            Some(kind) => (kind, 9),
            None => (kind, 1),
        };
        let hidden = name.starts_with('!');
        let name = name.trim_start_matches('!');
        let values = ["a", "b", "c", "ab", "x", "y", "1", "2", "3"];
        json.push(json!({
            "id": format!("f_{name}"), "name": name, "type": kind, "hidden": hidden,
            "maxSelect": many, "collectionId": format!("id_{target}"), "values": values,
        }));
    }
    let indexes = if name == "one" {
        json!(["CREATE UNIQUE INDEX `i` ON `one` (`post`)"])
    } else {
        json!([])
    };
    StoredCollection {
        id: format!("id_{name}"),
        system: false,
        kind: kind.to_owned(),
        name: name.to_owned(),
        fields: Json::Array(json).to_string(),
        indexes: indexes.to_string(),
        rules: Rules {
            list: list.map(str::to_owned),
            ..Rules::default()
        },
        options: String::new(),
        created: String::new(),
        updated: String::new(),
    }
    .parse()
    .unwrap()
}

fn schema() -> Schema {
    let open = Some("");
    let people = "nick:text age:number meta:json tags:select? !secret:text friend:relation>people";
    let posts = "title:text n:number ok:bool d:date meta:json loc:geoPoint tags:select? one:select \
                 cats:relation?>cats cat:relation>cats author:relation>people !secret:text";
    let collections = [
        collection("people", "auth", open, people),
        collection("cats", "base", open, "name:text w:number"),
        collection("posts", "base", open, posts),
        collection(
            "com",
            "base",
            open,
            "body:text post:relation>posts posts:relation?>posts by:relation>people",
        ),
        collection("one", "base", open, "t:text post:relation>posts"),
        collection("none", "base", open, "t:text"),
        collection("guarded", "base", Some("pub = true"), "t:text pub:bool"),
        collection("locked", "base", None, "t:text post:relation>posts"),
        collection(
            "hol",
            "base",
            open,
            "t:text g:relation>guarded l:relation>locked",
        ),
        collection("C", "base", open, "w:number nm:text"),
        collection("B", "base", open, "t:text c:relation>C sl:select?"),
        collection("A", "base", open, "t:text bs:relation?>B b:relation>B"),
    ];
    Schema::new(1, collections.into_iter().map(Arc::new).collect())
}

#[expect(clippy::too_many_lines, reason = "a list")]
fn records() -> Vec<(&'static str, Json)> {
    let text = |value: Json| Json::from(value.to_string());
    let list = |ids: &str| text(ids.split_whitespace().collect::<Vec<_>>().into());
    let day = "2024-01-15 10:00:00.000Z";
    vec![
        (
            "people",
            json!({"id": "one", "email": "one@x.com", "emailVisibility": 1, "nick": "One", "age": 30, "meta": text(json!({"lvl": 1})), "tags": list("a b"), "secret": "hush", "friend": "two"}),
        ),
        (
            "people",
            json!({"id": "two", "email": "two@x.com", "emailVisibility": 0, "nick": "two", "age": 20}),
        ),
        ("cats", json!({"id": "cr", "name": "red", "w": 1})),
        ("cats", json!({"id": "cg", "name": "green", "w": 2})),
        ("cats", json!({"id": "cb", "name": "blue", "w": 1})),
        (
            "posts",
            json!({"id": "p1", "title": "Alpha", "n": 1, "ok": 1, "d": day, "meta": text(json!({"a": {"b": 1}, "l": [1, "x"]})), "loc": text(json!({"lon": 23.3, "lat": 42.7})), "tags": list("a b"), "one": "a", "cats": list("cr cg"), "cat": "cr", "author": "one", "secret": "x"}),
        ),
        (
            "posts",
            json!({"id": "p2", "title": "beta 100%", "n": 2, "meta": text(json!("plain")), "tags": list("a"), "cats": list("cg"), "cat": "cg", "author": "two"}),
        ),
        ("posts", json!({"id": "p3"})),
        (
            "posts",
            json!({"id": "p4", "title": "back\\slash_under", "n": -5, "ok": 1, "meta": text(json!([1, 2, 3])), "tags": list("a b c"), "cats": list("cr cg cb"), "author": "one"}),
        ),
        (
            "com",
            json!({"id": "c1", "body": "c1", "post": "p1", "posts": list("p1 p2"), "by": "one"}),
        ),
        (
            "com",
            json!({"id": "c2", "body": "c2", "post": "p1", "posts": list("p2"), "by": "two"}),
        ),
        (
            "com",
            json!({"id": "c3", "body": "x", "post": "p2", "by": "one"}),
        ),
        ("one", json!({"id": "o1", "t": "u1", "post": "p1"})),
        ("guarded", json!({"id": "g1", "t": "a", "pub": 1})),
        ("guarded", json!({"id": "g2", "t": "a", "pub": 0})),
        ("locked", json!({"id": "l1", "t": "a", "post": "p1"})),
        ("hol", json!({"id": "h0", "t": "a", "g": "g1", "l": "l1"})),
        ("hol", json!({"id": "h1", "t": "b", "g": "g2"})),
        ("hol", json!({"id": "h2", "t": "c"})),
        ("hol", json!({"id": "h3", "t": "d"})),
        ("C", json!({"id": "five", "w": 5, "nm": "five"})),
        ("C", json!({"id": "zero"})),
        (
            "B",
            json!({"id": "b1", "t": "b1", "c": "five", "sl": list("x")}),
        ),
        ("B", json!({"id": "b2", "t": "b2"})),
        (
            "B",
            json!({"id": "b3", "t": "b3", "c": "zero", "sl": list("x y")}),
        ),
        ("A", json!({"id": "a0", "t": "a0"})),
        (
            "A",
            json!({"id": "a1", "t": "a1", "bs": list("b1"), "b": "b1"}),
        ),
        (
            "A",
            json!({"id": "a12", "t": "a12", "bs": list("b1 b2"), "b": "b2"}),
        ),
        (
            "A",
            json!({"id": "a13", "t": "a13", "bs": list("b1 b3"), "b": "b3"}),
        ),
    ]
}

/// The declared type and default of a field's column (contract 2.12).
fn declaration(kind: &FieldKind) -> (&'static str, Value) {
    match kind {
        FieldKind::Number(_) => ("NUMERIC DEFAULT 0 NOT NULL", Value::Int(0)),
        FieldKind::Bool => ("BOOLEAN DEFAULT FALSE NOT NULL", Value::Int(0)),
        FieldKind::Json(_) => ("JSON DEFAULT NULL", Value::Null),
        FieldKind::GeoPoint => ("JSON NOT NULL", Value::text("{\"lon\":0,\"lat\":0}")),
        kind if kind.is_multiple() => ("JSON DEFAULT '[]' NOT NULL", Value::text("[]")),
        _ => ("TEXT DEFAULT '' NOT NULL", Value::text("")),
    }
}

pub(super) fn to_sqlite(value: &Value) -> Sqlite {
    match value {
        Value::Null => Sqlite::Null,
        Value::Int(n) => Sqlite::Integer(*n),
        Value::Real(n) => Sqlite::Real(*n),
        Value::Text(text) => Sqlite::Text(text.to_string()),
        Value::Blob(bytes) => Sqlite::Blob(bytes.clone()),
    }
}

fn from_sqlite(value: Sqlite) -> Value {
    match value {
        Sqlite::Null => Value::Null,
        Sqlite::Integer(n) => Value::Int(n),
        Sqlite::Real(n) => Value::Real(n),
        Sqlite::Text(text) => Value::text(text),
        Sqlite::Blob(bytes) => Value::Blob(bytes),
    }
}

impl World {
    /// The world of the case tables.
    pub(super) fn new() -> Self {
        Self::filled(Self::of(schema()))
    }

    /// The same, in both databases.
    pub(super) fn in_both() -> Self {
        Self::filled(Self::of_both(schema()))
    }

    fn filled(world: Self) -> Self {
        for (collection, json) in records() {
            let collection = Arc::clone(world.catalog.find(collection).unwrap());
            let cells = collection
                .fields
                .iter()
                .map(|field| match &json[field.name.as_str()] {
                    Json::Null => declaration(&field.kind).1,
                    Json::String(text) => Value::text(text.as_str()),
                    number => Value::number(number.as_f64().unwrap()),
                });
            let cells: Vec<Value> = cells.collect();
            world.insert(&collection, &cells);
        }
        world
    }

    /// Empty tables of any schema, in both databases.
    pub(super) fn of_both(schema: Schema) -> Self {
        let postgres = Postgres::with_tables_of(&schema);
        let mut world = Self::of(schema);
        world.postgres = Some(postgres);
        world
    }

    /// Empty tables of any schema.
    pub(super) fn of(schema: Schema) -> Self {
        let db = Connection::open_in_memory().unwrap();
        let flags = FunctionFlags::SQLITE_DETERMINISTIC;
        db.create_scalar_function(GEO_DISTANCE, 4, flags, |call| {
            let args = std::array::from_fn(|i| from_sqlite(call.get(i).unwrap()));
            Ok(to_sqlite(&geo_distance(&args)))
        })
        .unwrap();
        for collection in schema.iter() {
            let columns: Vec<String> = collection
                .fields
                .iter()
                .map(|field| format!("\"{}\" {}", field.name, declaration(&field.kind).0))
                .collect();
            db.execute_batch(&format!(
                "CREATE TABLE \"{}\" ({})",
                collection.name,
                columns.join(", ")
            ))
            .unwrap();
        }
        Self {
            catalog: Catalog::new(schema),
            db,
            postgres: None,
        }
    }

    pub(super) fn insert(&self, collection: &Collection, cells: &[Value]) {
        for dialect in self.dialects() {
            let mut sql = Sql::new(dialect);
            sql.push("INSERT INTO ")
                .ident(&collection.name)
                .push(" VALUES (");
            for (i, cell) in cells.iter().enumerate() {
                sql.push(if i > 0 { ", " } else { "" }).arg(cell.clone());
            }
            sql.push(")");
            self.texts(&sql);
        }
    }

    /// Those of the databases that it is in.
    pub(super) fn dialects(&self) -> Vec<Dialect> {
        if self.postgres.is_some() {
            vec![Dialect::Sqlite, Dialect::Postgres]
        } else {
            vec![Dialect::Sqlite]
        }
    }

    /// The first column of a statement's rows.
    pub(super) fn texts(&self, sql: &Sql) -> Vec<String> {
        if sql.dialect() == Dialect::Postgres {
            return self.postgres.as_ref().unwrap().texts(sql);
        }
        let mut statement = self
            .db
            .prepare(sql.text())
            .unwrap_or_else(|error| panic!("{error}\n{}", sql.text()));
        let args = params_from_iter(sql.args().iter().map(to_sqlite));
        let rows = statement
            .query_map(args, |row| row.get(0).map(from_sqlite))
            .unwrap();
        rows.map(|row| row.unwrap().to_display().to_string())
            .collect()
    }

    /// All records of a collection, in insertion order.
    pub(super) fn all(&self, collection: &Arc<Collection>) -> Vec<Record> {
        let text = format!("SELECT * FROM \"{}\" ORDER BY rowid", collection.name);
        let mut statement = self.db.prepare(&text).unwrap();
        let rows = statement.query_map([], |row| {
            let cells = (0..collection.fields.len())
                .map(|i| row.get(i).map(from_sqlite))
                .collect::<Result<_, _>>()?;
            Ok(Record::from_cells(Arc::clone(collection), cells))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// The ids that a filter and a sort give.
    pub(super) fn select(
        &self,
        collection: &Collection,
        filter: Option<&Filter>,
        sort: Option<&Sort>,
        call: &Call,
        root: Root<'_>,
        dialect: Dialect,
    ) -> Vec<String> {
        let mut sql = Sql::new(dialect);
        sql.push("SELECT \"r\".\"id\" FROM ")
            .ident(&collection.name);
        sql.push(" AS \"r\" WHERE ");
        match filter {
            Some(filter) => filter.write_sql(&self.catalog, root, call, &mut sql),
            None => {
                sql.push_either("1", "TRUE");
            }
        }
        sql.push(" ORDER BY ");
        if let Some(sort) = sort {
            sort.write_sql(&self.catalog, root, call, &mut sql);
            sql.push(", ");
        }
        sql.push("\"r\"._rowid_");
        self.texts(&sql)
    }

    /// A guest's call, or one by a record of `people`, with something submitted.
    pub(super) fn call(&self, caller: Option<&str>) -> Call {
        let people = self.catalog.find("people").unwrap();
        let record = caller.map(|id| {
            let all = self.all(people);
            all.into_iter().find(|record| record.id() == id).unwrap()
        });
        let actor = record.map_or(Actor::Guest, |record| {
            Actor::Auth(Arc::new(Identity {
                record,
                expires: None,
                refreshable: true,
                session: None,
                key: None,
            }))
        });
        let mut call = Call::new(actor, NOW);
        call.query = Arc::new(vec![("q".into(), "one".into())]);
        call.headers = Arc::new(vec![("x_token".into(), "secret".into())]);
        let body = json!({"n": 2, "cats": ["cr", "cg"], "author": "one", "meta": {"a": ["x"]}});
        call.body = Arc::new(body.as_object().unwrap().clone());
        call
    }
}

/// A connection to a database of this test's own.
struct Postgres {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

/// Those that no test uses now: making one takes far longer than emptying it.
static IDLE: parking_lot::Mutex<Vec<Postgres>> = parking_lot::Mutex::new(Vec::new());

impl Drop for World {
    fn drop(&mut self) {
        IDLE.lock().extend(self.postgres.take());
    }
}

impl Postgres {
    fn with_tables_of(schema: &Schema) -> Self {
        if let Some(known) = IDLE.lock().pop() {
            let empty: Vec<String> = schema
                .iter()
                .map(|collection| format!("DELETE FROM \"{}\"", collection.name))
                .collect();
            known.run(&empty.join("; "));
            return known;
        }
        let address = test_server::fresh_database();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            client.batch_execute("CREATE SCHEMA burrow").await.unwrap();
            let functions = include_str!("../../store/postgres/functions.sql");
            client.batch_execute(functions).await.unwrap();
            client
        });
        let postgres = Self { runtime, client };
        for collection in schema.iter() {
            let columns: Vec<String> = collection
                .fields
                .iter()
                .map(|field| {
                    let kind = match &field.kind {
                        FieldKind::Number(_) => "float8",
                        FieldKind::Bool => "smallint",
                        _ => "text COLLATE \"C\"",
                    };
                    format!("\"{}\" {kind}", field.name)
                })
                .collect();
            postgres.run(&format!(
                "CREATE TABLE \"{}\" ({}, _rowid_ bigint GENERATED BY DEFAULT AS IDENTITY)",
                collection.name,
                columns.join(", ")
            ));
        }
        postgres
    }

    fn run(&self, text: &str) -> Vec<String> {
        let rows = self.runtime.block_on(self.client.simple_query(text));
        let rows = rows.unwrap_or_else(|error| panic!("{:?}\n{text}", error.as_db_error()));
        rows.iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => {
                    Some(row.get(0).unwrap_or("").to_owned())
                }
                _ => None,
            })
            .collect()
    }

    /// The first column of a statement's rows; its arguments stand in its text as literals.
    fn texts(&self, sql: &Sql) -> Vec<String> {
        let mut text = String::new();
        let mut args = sql.args().iter();
        for (nth, part) in sql.text().split('?').enumerate() {
            if nth > 0 {
                text.push_str(&match args.next().unwrap() {
                    Value::Null => "NULL".to_owned(),
                    value => format!("'{}'", value.to_display().replace('\'', "''")),
                });
            }
            text.push_str(part);
        }
        self.run(&text)
    }
}
