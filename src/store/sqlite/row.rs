//! Between SQLite's values and ours.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, Statement, ToSql};

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
