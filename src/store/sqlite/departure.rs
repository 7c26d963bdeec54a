//! A directory whose data goes to PostgreSQL: states of it to read from, what changed between two of them, and the mark
//! that it has gone. A server may use the directory meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::connection::step;
use super::row::{RowCells, bind_cell};
use super::{log, schema_rows};
use crate::kit::limits;
use crate::kit::sql::{Dialect, Sql};
use crate::kit::value::{Cell, Columns, Value};
use crate::schema::Schema;
use crate::store::change::Action;
use crate::store::graduate::{Sum, Table};
use crate::store::{Position, StoreError};

/// Entries of the change log that are read at a time.
const ENTRIES: usize = 10_000;
/// Bytes of lines that are read at a time, and rows.
const CHUNK_BYTES: usize = 4 << 20;
const CHUNK_ROWS: u64 = 20_000;

/// The databases of the directory.
pub(in crate::store) struct Departure {
    data: Connection,
    logs: PathBuf,
}

/// What happened between two states.
#[derive(Debug, Default)]
pub(in crate::store) struct Changed {
    /// Records by collection.
    pub(in crate::store) records: BTreeMap<String, BTreeSet<String>>,
    /// Collections whose rows may have changed without a word.
    pub(in crate::store) touched: BTreeSet<String>,
    /// How many entries of the log say so.
    pub(in crate::store) entries: u64,
}

/// Some rows of a table.
#[derive(Debug, Default)]
pub(in crate::store) struct Chunk {
    /// As COPY takes them.
    pub(in crate::store) lines: Vec<u8>,
    pub(in crate::store) rows: u64,
    /// Number of the last row; none when there was no row.
    pub(in crate::store) last: Option<i64>,
}

impl Departure {
    /// The directory `dir`, which was opened as Burrow's before.
    pub(in crate::store) fn open(dir: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let data = Connection::open_with_flags(dir.join("data.db"), flags)?;
        data.busy_timeout(Duration::from_secs(limits::LOCK_WAIT_SECS_MAX))?;
        // The server that uses the directory does it, or the next one.
        data.pragma_update(None, "wal_autocheckpoint", 0)?;
        Ok(Self {
            data,
            logs: dir.join("auxiliary.db"),
        })
    }

    /// Holds the present state, which everything is read from until [`Departure::let_go`].
    pub(in crate::store) fn hold(&self) -> Result<(), StoreError> {
        step(&self.data, "BEGIN")?;
        log::last_position(&self.data).map(drop)
    }

    /// The same, and nobody writes until then.
    pub(in crate::store) fn freeze(&self) -> Result<(), StoreError> {
        step(&self.data, "BEGIN IMMEDIATE")
    }

    /// Lets the state go.
    pub(in crate::store) fn let_go(&self) -> Result<(), StoreError> {
        if self.data.is_autocommit() {
            return Ok(());
        }
        step(&self.data, "ROLLBACK")
    }

    /// Marks a frozen directory as gone, and lets it go.
    pub(in crate::store) fn leave(&self, to: &str) -> Result<(), StoreError> {
        log::set_meta(&self.data, log::GONE, &Value::from(to))?;
        step(&self.data, "COMMIT")
    }

    /// Where it has gone, if it has.
    pub(in crate::store) fn gone_to(&self) -> Result<Option<String>, StoreError> {
        let found = log::meta(&self.data, log::GONE)?;
        Ok(found.map(|value| value.to_display().to_string()))
    }

    /// What the log is.
    pub(in crate::store) fn log(&self) -> Result<log::Meta, StoreError> {
        log::known(&self.data)?.ok_or_else(|| {
            StoreError::Directory("the directory was never opened by Burrow".to_owned())
        })
    }

    /// Where the log ends.
    pub(in crate::store) fn position(&self) -> Result<u64, StoreError> {
        log::last_position(&self.data)
    }

    /// The collections.
    pub(in crate::store) fn schema(&self) -> Result<Schema, StoreError> {
        schema_rows::load(&self.data, 1)
    }

    /// What happened after `position`; nothing when the log does not reach back so far.
    pub(in crate::store) fn changed_since(
        &self,
        position: u64,
    ) -> Result<Option<Changed>, StoreError> {
        let last = self.position()?;
        let mut changed = Changed::default();
        if last <= position {
            return Ok((last == position).then_some(changed));
        }
        if log::first_position(&self.data)? > position + 1 {
            return Ok(None);
        }
        let mut at = position;
        while at < last {
            let entries = log::read_after(&self.data, at, ENTRIES)?;
            let Some(Position(end)) = entries.last().map(|entry| entry.position) else {
                break;
            };
            at = end;
            changed.entries += entries.len() as u64;
            for entry in entries {
                let Some(subject) = entry.subject else {
                    continue;
                };
                let collection = subject.collection.as_str().to_owned();
                match (entry.action, subject.record) {
                    (Action::Create | Action::Update | Action::Delete, Some(record)) => {
                        let records = changed.records.entry(collection).or_default();
                        records.insert(record.as_str().to_owned());
                    }
                    (Action::Touched, _) => {
                        changed.touched.insert(collection);
                    }
                    _ => {}
                }
            }
        }
        Ok(Some(changed))
    }

    /// Rows of `table` after the one of the number `after`.
    pub(in crate::store) fn chunk(&self, table: &Table, after: i64) -> Result<Chunk, StoreError> {
        chunk(&self.data, table, after)
    }

    /// Request logs after the one of the number `after`.
    pub(in crate::store) fn logs(&self, after: i64) -> Result<Chunk, StoreError> {
        if !self.logs.is_file() {
            return Ok(Chunk::default());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let logs = Connection::open_with_flags(&self.logs, flags)?;
        logs.busy_timeout(Duration::from_secs(limits::LOCK_WAIT_SECS_MAX))?;
        chunk(&logs, &Table::logs(), after)
    }

    /// The row of a record, if it is there with a number of at most `most`.
    pub(in crate::store) fn record(
        &self,
        table: &Table,
        id: &str,
        most: i64,
        into: &mut Chunk,
    ) -> Result<(), StoreError> {
        let mut sql = selected(table);
        sql.push(" WHERE id = ? AND _rowid_ <= ?");
        let mut statement = self.data.prepare_cached(sql.text())?;
        bind_cell(&mut statement, 1, Cell::Text(id))?;
        bind_cell(&mut statement, 2, Cell::Int(most))?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            add(table, row, into)?;
        }
        Ok(())
    }

    /// How many rows `table` has.
    pub(in crate::store) fn count(&self, table: &Table) -> Result<u64, StoreError> {
        let mut sql = Sql::new(Dialect::Sqlite);
        sql.push("SELECT count(*) FROM ").ident(&table.name);
        let count: i64 = self.data.query_row(sql.text(), [], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    /// All rows of `table`.
    pub(in crate::store) fn sum(&self, table: &Table) -> Result<Sum, StoreError> {
        sum(&self.data, table)
    }
}

/// All rows of a table of `connection`.
pub(in crate::store) fn sum(connection: &Connection, table: &Table) -> Result<Sum, StoreError> {
    let mut statement = connection.prepare(selected(table).text())?;
    let mut rows = statement.raw_query();
    let (mut sum, mut line) = (Sum::default(), Vec::new());
    while let Some(row) = rows.next()? {
        line.clear();
        table
            .write(&RowCells(row), &mut line)
            .map_err(StoreError::Directory)?;
        sum.add(&line);
    }
    Ok(sum)
}

/// The columns of a table, and the number of each row behind them.
fn selected(table: &Table) -> Sql {
    let mut sql = Sql::new(Dialect::Sqlite);
    sql.push("SELECT ");
    table.push_columns(&mut sql);
    sql.push(", _rowid_ FROM ").ident(&table.name);
    sql
}

fn chunk(connection: &Connection, table: &Table, after: i64) -> Result<Chunk, StoreError> {
    let mut sql = selected(table);
    sql.push(" WHERE _rowid_ > ? ORDER BY _rowid_");
    let mut statement = connection.prepare_cached(sql.text())?;
    bind_cell(&mut statement, 1, Cell::Int(after))?;
    let mut rows = statement.raw_query();
    let mut chunk = Chunk::default();
    while chunk.lines.len() < CHUNK_BYTES
        && chunk.rows < CHUNK_ROWS
        && let Some(row) = rows.next()?
    {
        add(table, row, &mut chunk)?;
    }
    Ok(chunk)
}

fn add(table: &Table, row: &rusqlite::Row<'_>, into: &mut Chunk) -> Result<(), StoreError> {
    let cells = RowCells(row);
    table
        .write(&cells, &mut into.lines)
        .map_err(StoreError::Directory)?;
    into.rows += 1;
    if let Cell::Int(number) = cells.cell(table.columns.len()) {
        into.last = Some(number);
    }
    Ok(())
}
