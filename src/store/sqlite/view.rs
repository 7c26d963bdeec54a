//! View queries: what columns they have, whether their ids will do, and the text of the view that the database keeps.

use rusqlite::Connection;

use super::console;
use super::ddl::{quoted, words};
use super::row::RowCells;
use crate::kit::value::{Columns, Value};
use crate::schema::Field;
use crate::schema::view::ViewQuery;
use crate::store::StoreError;
use crate::store::view::PROBED_ROWS;

/// The names of the columns of a query.
pub(in crate::store) fn columns(
    connection: &Connection,
    query: &ViewQuery,
) -> Result<Vec<String>, String> {
    let statement = connection
        .prepare(&wrapped(query))
        .map_err(|error| in_view(&words(&error)))?;
    if !statement.readonly() {
        return Err("only SELECT queries are supported".to_owned());
    }
    let names = statement.column_names();
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// The first rows of a query, cells in the order of its columns.
pub(in crate::store) fn sample(
    connection: &Connection,
    query: &ViewQuery,
) -> Result<Vec<Vec<Value>>, String> {
    first_rows(connection, query).map_err(|error| words(&error))
}

/// Whether a query comes to an end within the deadline.
pub(in crate::store) fn try_run(
    connection: &Connection,
    query: &ViewQuery,
) -> Result<(), StoreError> {
    match first_rows(connection, query).map_err(StoreError::from) {
        Err(StoreError::Timeout) => Err(StoreError::Timeout),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn first_rows(connection: &Connection, query: &ViewQuery) -> rusqlite::Result<Vec<Vec<Value>>> {
    let text = format!("{} LIMIT {PROBED_ROWS}", wrapped(query));
    let mut statement = connection.prepare(&text)?;
    let width = statement.column_count();
    let mut rows = statement.query([])?;
    let mut sample = Vec::new();
    while let Some(row) = rows.next()? {
        let cells = RowCells(row);
        sample.push((0..width).map(|at| cells.cell(at).to_value()).collect());
    }
    Ok(sample)
}

/// The names of the tables and views that a saved view reads.
pub(in crate::store) fn tables_behind(
    connection: &Connection,
    view: &str,
) -> Result<Vec<String>, StoreError> {
    let text = format!("SELECT * FROM {}", quoted(view));
    let read = console::tables_read(connection, &text)?;
    Ok(read.into_iter().collect())
}

/// Whether everything that a saved view reads is there.
pub(in crate::store) fn works(connection: &Connection, name: &str) -> bool {
    connection
        .prepare(&format!("SELECT * FROM {}", quoted(name)))
        .is_ok()
}

/// The words of SQLite about a query, as it would say them of the view made from it.
fn in_view(words: &str) -> String {
    const MISSING: &str = "no such table: ";
    match words.split_once(MISSING) {
        Some((front, name)) if !name.contains('.') => format!("{front}{MISSING}main.{name}"),
        _ => words.to_owned(),
    }
}

/// The query as a table: whatever it says, only a SELECT can stand here. Its last line may be a comment.
fn wrapped(query: &ViewQuery) -> String {
    format!("SELECT * FROM ({})", query.text())
}

/// What follows `CREATE VIEW name AS`. Ids that SQLite does not know as text are cast to it.
pub(super) fn physical_text(
    connection: &Connection,
    query: &ViewQuery,
    fields: &[Field],
) -> Result<String, String> {
    let wrapped = wrapped(query);
    let statement = connection.prepare(&wrapped).map_err(|e| words(&e))?;
    let id_is_text = statement.columns().any(|column| {
        column.name() == "id"
            && column
                .decl_type()
                .is_some_and(|kind| kind.eq_ignore_ascii_case("TEXT"))
    });
    if id_is_text {
        return Ok(wrapped);
    }
    let columns: Vec<String> = fields
        .iter()
        .map(|field| {
            if field.name == "id" {
                "CAST(`id` as TEXT) `id`".to_owned()
            } else {
                quoted(&field.name)
            }
        })
        .collect();
    Ok(format!(
        "SELECT * FROM (SELECT {} FROM ({}))",
        columns.join(","),
        query.text()
    ))
}
