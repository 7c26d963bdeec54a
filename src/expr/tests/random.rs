//! Random expressions over random rows: what memory says is what SQLite says, for every row (security R11).

use std::sync::Arc;

use proptest::prelude::*;

use super::world::World;
use crate::expr::{Guard, Root};
use crate::kit::sql::Dialect;
use crate::kit::value::Value;
use crate::schema::Schema;

/// Paths of `posts` that memory can decide.
const PATHS: &[&str] = &[
    "title",
    "title:lower",
    "n",
    "ok",
    "d",
    "meta",
    "meta.a",
    "meta.a.b",
    "meta.0",
    "loc",
    "loc.lon",
    "tags",
    "tags:each",
    "tags:length",
    "one",
    "one:length",
    "one:each",
    "cats",
    "cats:each",
    "cats:length",
    "cat",
    "cat:length",
    "author",
    "secret",
    "@request.auth.id",
    "@request.auth.nick",
    "@request.auth.age",
    "@request.auth.meta",
    "@request.body.n",
    "@request.body.cats:length",
    "@request.body.title:changed",
    "@request.body.n:changed",
    "@request.query.q",
    "@request.method",
];
const LITERALS: &[&str] = &[
    "''",
    "'a'",
    "'A'",
    "'1'",
    "'1.0'",
    "'%a'",
    "'a_'",
    "'\\%'",
    "'[]'",
    "'x y'",
    "0",
    "1",
    "1.5",
    "-2",
    "true",
    "false",
    "null",
    "@now",
    "@year",
    "'{\"b\":1}'",
];
const SIGNS: &[&str] = &[
    "=", "!=", "<", "<=", ">", ">=", "~", "!~", "?=", "?!=", "?<", "?>=", "?~", "?!~",
];

fn operand() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        3 => prop::sample::select(PATHS),
        2 => prop::sample::select(LITERALS),
    ]
}

fn comparison() -> impl Strategy<Value = String> {
    (operand(), prop::sample::select(SIGNS), operand())
        .prop_map(|(left, sign, right)| format!("{left} {sign} {right}"))
}

fn expression() -> impl Strategy<Value = String> {
    comparison().prop_recursive(3, 8, 3, |inner| {
        (prop::collection::vec((inner, any::<bool>()), 2..4)).prop_map(|parts| {
            let mut out = String::from("(");
            for (i, (part, and)) in parts.iter().enumerate() {
                if i > 0 {
                    out.push_str(if *and { " && " } else { " || " });
                }
                out.push_str(part);
            }
            out.push(')');
            out
        })
    })
}

fn text() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        "", "a", "A", "ab", "1", "1.0", "5", "x y", "100%", "a_b", "\\", "\u{e9}", "-2", "2024",
        "[]",
    ])
    .prop_map(Value::text)
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-3_i64..4).prop_map(Value::Int),
        prop::sample::select(vec![1.5, -0.25, 1e21, 1e-7, 123_456_789.125]).prop_map(Value::Real),
        Just(Value::Int(i64::MAX)),
    ]
}

fn list() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        "[]",
        "[\"a\"]",
        "[\"a\",\"b\"]",
        "[\"ab\",\"\"]",
        "",
        "plain",
        "[1, 2.0,null,true]",
        "[broken",
    ])
    .prop_map(Value::text)
}

fn json() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        number(),
        prop::sample::select(vec![
            "null",
            "true",
            "\"\"",
            "\"a\"",
            "\"A\\u00e9\"",
            "{\"a\":{\"b\":1}}",
            "{\"a\" : \"x\", \"a\": 2}",
            "[1, \"x\" ,null]",
            "{\"a\":[1,2]}",
            "not json",
            "",
        ])
        .prop_map(Value::text),
    ]
}

/// The cells of a post after its id, in the order of the fields.
fn row() -> impl Strategy<Value = Vec<Value>> {
    let flag = prop::sample::select(vec![Value::Int(0), Value::Int(1)]);
    let place = prop::sample::select(vec!["{\"lon\":0,\"lat\":0}", "{\"lon\":-1.5,\"lat\":2}"]);
    let head = (
        text(),
        number(),
        flag,
        text(),
        json(),
        place.prop_map(Value::text),
        list(),
    );
    let tail = (text(), list(), text(), text(), text());
    (head, tail).prop_map(|((a, b, c, d, e, f, g), (h, i, j, k, l))| {
        vec![a, b, c, d, e, f, g, h, i, j, k, l]
    })
}

/// The schema of the case tables with no row in it.
fn empty_posts(rows: &[Vec<Value>]) -> World {
    let full = World::new();
    let schema = Schema::new(1, full.catalog.iter().cloned().collect());
    let world = World::of_both(schema);
    let posts = Arc::clone(world.catalog.find("posts").unwrap());
    for (i, cells) in rows.iter().enumerate() {
        let mut row = vec![Value::text(format!("p{i}"))];
        row.extend(cells.iter().cloned());
        world.insert(&posts, &row);
    }
    world
}

/// A list that no field makes, and the places of fields that are lists.
const ODD_LIST: &str = "[1, 2.0,null,true]";
const TAGS: usize = 6;
const CATS: usize = 8;

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_both_databases_agree(
        rows in prop::collection::vec(row(), 1..5),
        expressions in prop::collection::vec(expression(), 8),
        signed_in in any::<bool>(),
    ) {
        let world = empty_posts(&rows);
        let call = World::new().call(signed_in.then_some("one"));
        let posts = Arc::clone(world.catalog.find("posts").unwrap());
        for expression in expressions {
            let filter = world.catalog.filter(&posts, &expression, Guard::Trusted).unwrap();
            let by = |dialect| {
                world.select(&posts, Some(&filter), None, &call, Root::Table("r"), dialect)
            };
            let stored = by(Dialect::Sqlite);
            // Whole numbers of PostgreSQL end where doubles do, and its lists hold text, as every field of lists makes
            // them: only a foreign tool can put numbers there.
            let of_text = |cell: &Value| cell.text_or_empty() != ODD_LIST;
            let same_there = |row: &Vec<Value>| {
                row[1] != Value::Int(i64::MAX) && of_text(&row[TAGS]) && of_text(&row[CATS])
            };
            if rows.iter().all(same_there) {
                prop_assert_eq!(&stored, &by(Dialect::Postgres), "{}", expression);
            }
            for record in world.all(&posts) {
                let by_sql = stored.iter().any(|id| id == record.id());
                if let Some(holds) = filter.holds(&call, &record) {
                    prop_assert_eq!(holds, by_sql, "{} for {:?}", expression, record.cells());
                }
            }
        }
    }
}
