//! The tables of `tests/cases`, one line a fact; each line is judged by every way that there is to judge it.

use super::world::World;
use crate::call::Call;
use crate::expr::{Filter, Guard, Root};
use crate::kit::sql::Dialect;
use crate::schema::Collection;

const FILTERS: &str = include_str!("../../../tests/cases/filters.txt");
const CALLERS: &str = include_str!("../../../tests/cases/callers.txt");
const SORTS: &str = include_str!("../../../tests/cases/sorts.txt");

/// The cells of each line that is no comment; the first and last `|` bound the expression, which may hold some itself.
fn lines(table: &str) -> impl Iterator<Item = (Vec<&str>, &str, &str)> {
    table
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (head, expected) = line.rsplit_once(" | ").unwrap();
            let columns = if line.starts_with("rule:")
                || line.starts_with("client")
                || line.starts_with("trusted")
            {
                3
            } else {
                2
            };
            let mut cells: Vec<&str> = head.splitn(columns, " | ").collect();
            let expression = cells.pop().unwrap();
            (cells, expression, expected)
        })
}

/// What the table says is what every way to judge says.
fn verdicts(world: &World, collection: &Collection, filter: &Filter, call: &Call) -> Vec<String> {
    let by = |root, dialect| world.select(collection, Some(filter), None, call, root, dialect);
    let scanned = by(Root::Table("r"), Dialect::Sqlite);
    for dialect in world.dialects() {
        let again = by(Root::Table("r"), dialect);
        assert_eq!(scanned, again, "many rows, {dialect:?}");
        let probed = by(Root::Row("r"), dialect);
        assert_eq!(scanned, probed, "single rows, {dialect:?}");
    }
    let own = world.catalog.by_id(&collection.id).unwrap();
    let mut remembered = Vec::new();
    for record in world.all(own) {
        for dialect in world.dialects() {
            let statement = filter.write_select_for_row(&world.catalog, call, &record, dialect);
            let apart = !world.texts(&statement).is_empty();
            let stored = scanned.iter().any(|id| id == record.id());
            assert_eq!(
                apart,
                stored,
                "a row in no table: {}, {dialect:?}",
                record.id()
            );
        }
        match filter.holds(call, &record) {
            Some(true) => remembered.push(record.id().to_owned()),
            Some(false) => {}
            None => return scanned,
        }
    }
    assert_eq!(scanned, remembered, "SQL against memory");
    scanned
}

fn said(ids: &[String]) -> String {
    if ids.is_empty() {
        "none".to_owned()
    } else {
        ids.join(" ")
    }
}

#[test]
fn filters_say_what_the_table_says() {
    let world = World::in_both();
    let call = world.call(None);
    for (cells, expression, expected) in lines(FILTERS) {
        let collection = world.catalog.find(cells[0]).unwrap();
        let bound = world.catalog.filter(collection, expression, Guard::Trusted);
        let got = match bound {
            Ok(filter) => said(&verdicts(&world, collection, &filter, &call)),
            Err(_) => "error".to_owned(),
        };
        assert_eq!(got, expected, "{} | {expression}", cells[0]);
    }
}

#[test]
fn callers_see_what_the_table_says() {
    let world = World::in_both();
    for (cells, expression, expected) in lines(CALLERS) {
        let (kind, caller) = cells[0].split_once(':').unwrap();
        let guard = match kind {
            "rule" => Guard::Trusted,
            _ => Guard::Client,
        };
        let call = world.call(Some(caller));
        let collection = world.catalog.find(cells[1]).unwrap();
        let got = match world.catalog.filter(collection, expression, guard) {
            Ok(filter) => said(&verdicts(&world, collection, &filter, &call)),
            Err(_) => "error".to_owned(),
        };
        assert_eq!(got, expected, "{} | {expression}", cells[0]);
    }
}

#[test]
fn sorts_give_the_order_of_the_table() {
    let world = World::in_both();
    let call = world.call(None);
    for (cells, expression, expected) in lines(SORTS) {
        let guard = match cells[0] {
            "trusted" => Guard::Trusted,
            _ => Guard::Client,
        };
        let collection = world.catalog.find(cells[1]).unwrap();
        let got = match world.catalog.sort(collection, expression, guard) {
            Ok(sort) => {
                let root = Root::Table("r");
                let restriction = sort.restriction();
                let by = |dialect| {
                    said(&world.select(collection, restriction, Some(&sort), &call, root, dialect))
                };
                let found = by(Dialect::Sqlite);
                assert_eq!(found, by(Dialect::Postgres), "{expression}");
                found
            }
            Err(_) => "error".to_owned(),
        };
        assert_eq!(got, expected, "{} | {expression}", cells[0]);
    }
}

#[test]
fn rule_and_filter_share_the_joined_row_of_one_path() {
    let world = World::in_both();
    let call = world.call(None);
    let posts = world.catalog.find("posts").unwrap();
    let bind = |text: &str| world.catalog.filter(posts, text, Guard::Trusted).unwrap();

    let both = bind("cats.name ?= 'red'").and(&bind("cats.w ?= 2"));

    assert!(verdicts(&world, posts, &both, &call).is_empty());
}

#[test]
fn a_thousand_brackets_are_an_expression_and_floods_are_refused() {
    let world = World::in_both();
    let posts = world.catalog.find("posts").unwrap();
    let bind = |text: &str| world.catalog.filter(posts, text, Guard::Trusted);

    let deep = format!("{}n=1{}", "(".repeat(1000), ")".repeat(1000));
    let filter = bind(&deep).unwrap();
    assert_eq!(
        said(&verdicts(&world, posts, &filter, &world.call(None))),
        "p1"
    );

    let nested = format!("{}n=1{}", "(n=2||".repeat(199), ")".repeat(199));
    let filter = bind(&nested).unwrap();
    assert_eq!(
        said(&verdicts(&world, posts, &filter, &world.call(None))),
        "p1 p2"
    );

    assert!(bind(&"(".repeat(1_700)).is_err());
    assert!(bind(&"(".repeat(60_000)).is_err());
    assert!(bind(&"n=1||".repeat(200)).is_err());
    assert!(bind(&format!("{}n=1", "n=1||".repeat(200))).is_err());
    assert!(bind(&"// c\n".repeat(10_000)).is_err());
    assert!(bind(&"strftime(".repeat(5_000)).is_err());
    assert!(bind(&"n=1 ".repeat(1 << 20)).is_err());
}
