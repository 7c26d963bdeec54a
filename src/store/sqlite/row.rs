//! Between SQLite's values and ours.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, Statement, ToSql};

use crate::kit::sql::Sql;
use crate::kit::value::{Cell, Columns, Value};
use crate::store::StoreError;

/// A row of a running statement; columns count from its first one.
pub(in crate::store) struct RowCells<'a, 'stmt>(pub(in crate::store) &'a Row<'stmt>);

impl Columns for RowCells<'_, '_> {
    fn cell(&self, index: usize) -> Cell<'_> {
        self.0.get_ref(index).map_or(Cell::Null, cell)
    }
}

/// Text that is not UTF-8 (other tools can store it) is given as bytes.
fn cell(value: ValueRef<'_>) -> Cell<'_> {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(n) => Cell::Int(n),
        ValueRef::Real(n) => Cell::Real(n),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_or(Cell::Blob(bytes), Cell::Text),
        ValueRef::Blob(bytes) => Cell::Blob(bytes),
    }
}

/// A borrowed argument.
struct Argument<'a>(Cell<'a>);

impl ToSql for Argument<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Cell::Null => ValueRef::Null,
            Cell::Int(n) => ValueRef::Integer(n),
            Cell::Real(n) => ValueRef::Real(n),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Binds `args` to the parameters of `statement`, from the one at `first` (counted from 1).
pub(in crate::store) fn bind<'v>(
    statement: &mut Statement<'_>,
    first: usize,
    args: impl IntoIterator<Item = &'v Value>,
) -> Result<usize, StoreError> {
    let mut at = first;
    for value in args {
        bind_cell(statement, at, value.as_cell())?;
        at += 1;
    }
    Ok(at)
}

/// Binds one parameter (counted from 1).
pub(in crate::store) fn bind_cell(
    statement: &mut Statement<'_>,
    at: usize,
    cell: Cell<'_>,
) -> Result<(), StoreError> {
    statement.raw_bind_parameter(at, Argument(cell))?;
    Ok(())
}

/// Runs a statement of ours that gives no rows; how many rows it changed.
pub(in crate::store) fn run(connection: &Connection, sql: &Sql) -> Result<usize, StoreError> {
    let mut statement = connection.prepare_cached(sql.text())?;
    bind(&mut statement, 1, sql.args())?;
    Ok(statement.raw_execute()?)
}

/// Gives each row of a statement of ours to `each`, stepped to its end.
pub(in crate::store) fn query_rows(
    connection: &Connection,
    sql: &Sql,
    each: &mut dyn FnMut(&dyn Columns),
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql.text())?;
    bind(&mut statement, 1, sql.args())?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        each(&RowCells(row));
    }
    Ok(())
}

/// What `map` makes of the first row of a statement of ours.
pub(in crate::store) fn query_one<T>(
    connection: &Connection,
    sql: &Sql,
    map: impl FnOnce(&dyn Columns) -> T,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql.text())?;
    bind(&mut statement, 1, sql.args())?;
    let mut rows = statement.raw_query();
    Ok(rows.next()?.map(|row| map(&RowCells(row))))
}

/// As [`run`], with borrowed arguments.
pub(in crate::store) fn run_with<'v>(
    connection: &Connection,
    text: &str,
    cells: impl Iterator<Item = Cell<'v>>,
) -> Result<usize, StoreError> {
    let mut statement = connection.prepare_cached(text)?;
    for (at, cell) in cells.enumerate() {
        bind_cell(&mut statement, at + 1, cell)?;
    }
    Ok(statement.raw_execute()?)
}
