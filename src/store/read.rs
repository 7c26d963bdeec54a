//! What a read transaction can do.

use std::sync::Arc;

use super::{postgres, sqlite};
use crate::expr::Catalog;
use crate::kit::sql::{Dialect, Sql};
use crate::kit::value::{Columns, Value};
use crate::schema::{Collection, CollectionId, FieldKind, Record, Schema};
use crate::store::change::Entry;
use crate::store::query;
use crate::store::{Position, Referring, Select, StoreError};

/// The connection of a transaction, of either engine.
#[derive(Clone, Copy)]
pub(super) enum Engine<'a> {
    /// The embedded one.
    Sqlite(&'a rusqlite::Connection),
    /// PostgreSQL.
    Postgres(&'a postgres::Session),
}

impl<'a> From<&'a postgres::Session> for Engine<'a> {
    fn from(session: &'a postgres::Session) -> Self {
        Self::Postgres(session)
    }
}

impl<'a> From<&'a rusqlite::Connection> for Engine<'a> {
    fn from(connection: &'a rusqlite::Connection) -> Self {
        Self::Sqlite(connection)
    }
}

/// One snapshot of the database.
pub struct ReadTx<'a> {
    engine: Engine<'a>,
    pub(super) catalog: Arc<Catalog>,
}

impl<'a> ReadTx<'a> {
    pub(super) fn new(engine: impl Into<Engine<'a>>, catalog: Arc<Catalog>) -> Self {
        Self {
            engine: engine.into(),
            catalog,
        }
    }

    /// The connection, for the other files of the store.
    pub(super) fn engine(&self) -> Engine<'a> {
        self.engine
    }

    /// Whose SQL it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.engine {
            Engine::Sqlite(_) => Dialect::Sqlite,
            Engine::Postgres(_) => Dialect::Postgres,
        }
    }

    /// An empty statement in its dialect.
    pub(super) fn sql(&self) -> Sql {
        Sql::new(self.dialect())
    }

    /// Runs a statement of ours that gives no rows; how many rows it changed.
    pub(super) fn run(&self, sql: &Sql) -> Result<usize, StoreError> {
        match self.engine {
            Engine::Sqlite(connection) => sqlite::run(connection, sql),
            Engine::Postgres(session) => session.run(sql),
        }
    }

    /// The schema of this snapshot.
    #[must_use]
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The record `id` of `collection`, rules not asked.
    ///
    /// # Errors
    /// The store's own.
    pub fn find(
        &self,
        collection: &Arc<Collection>,
        id: &str,
    ) -> Result<Option<Record>, StoreError> {
        self.find_by(collection, "id", &Value::text(id))
    }

    /// The first record of `collection` whose fields hold these values, rules not asked.
    ///
    /// # Errors
    /// The store's own.
    pub fn find_by_all(
        &self,
        collection: &Arc<Collection>,
        values: &[(&str, Value)],
    ) -> Result<Option<Record>, StoreError> {
        let mut sql = query::select_all(self.dialect(), collection);
        for (at, (field, value)) in values.iter().enumerate() {
            sql.push(if at == 0 { " WHERE " } else { " AND " })
                .ident(field)
                .push(" = ")
                .arg(value.clone());
        }
        sql.push(" LIMIT 1");
        Ok(self.records(collection, &sql)?.pop())
    }

    /// Where the record `id` stands in the order in which records were made.
    ///
    /// # Errors
    /// The store's own.
    pub fn rowid(&self, collection: &Collection, id: &str) -> Result<Option<i64>, StoreError> {
        let mut sql = self.sql();
        sql.push("SELECT _rowid_ FROM ")
            .ident(&collection.name)
            .push(" WHERE id = ")
            .arg(id);
        let found = self.query_value(&sql)?;
        Ok(found.and_then(|value| match value {
            Value::Int(rowid) => Some(rowid),
            Value::Null | Value::Real(_) | Value::Text(_) | Value::Blob(_) => None,
        }))
    }

    /// The first record of `collection` whose `field` holds `value`, rules not asked.
    ///
    /// # Errors
    /// The store's own.
    pub fn find_by(
        &self,
        collection: &Arc<Collection>,
        field: &str,
        value: &Value,
    ) -> Result<Option<Record>, StoreError> {
        let mut sql = query::select_all(self.dialect(), collection);
        sql.push(" WHERE ")
            .ident(field)
            .push(" = ")
            .arg(value.clone());
        not_empty(field, value, &mut sql);
        sql.push(" LIMIT 1");
        self.query_one(&sql, |row| record(self.dialect(), collection, row))
    }

    /// As [`ReadTx::find_by`], letters of either case being the same.
    ///
    /// # Errors
    /// The store's own.
    pub fn find_by_nocase(
        &self,
        collection: &Arc<Collection>,
        field: &str,
        value: &Value,
    ) -> Result<Option<Record>, StoreError> {
        let mut sql = query::select_all(self.dialect(), collection);
        match self.dialect() {
            Dialect::Sqlite => sql
                .push(" WHERE ")
                .ident(field)
                .push(" = ")
                .arg(value.clone())
                .push(" COLLATE NOCASE"),
            Dialect::Postgres => sql
                .push(" WHERE lower(")
                .ident(field)
                .push(" COLLATE \"C\") = lower(")
                .arg(value.clone())
                .push("::text COLLATE \"C\")"),
        };
        not_empty(field, value, &mut sql);
        sql.push(" LIMIT 1");
        self.query_one(&sql, |row| record(self.dialect(), collection, row))
    }

    /// The first record of `collection` whose file field at `field` holds the stored name `name`.
    ///
    /// # Errors
    /// The store's own.
    pub fn find_by_file(
        &self,
        collection: &Arc<Collection>,
        field: usize,
        name: &str,
    ) -> Result<Option<Record>, StoreError> {
        let column = collection.fields[field].name.as_str();
        let mut sql = query::select_all(self.dialect(), collection);
        sql.push(" WHERE ").ident(column).push(" = ").arg(name);
        if collection.fields[field].kind.is_multiple() {
            match self.dialect() {
                Dialect::Sqlite => sql
                    .push(" OR EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(")
                    .ident(column)
                    .push(") THEN ")
                    .ident(column)
                    .push(" ELSE '[]' END) WHERE value = ")
                    .arg(name)
                    .push(")"),
                Dialect::Postgres => sql
                    .push(" OR EXISTS (SELECT 1 FROM burrow.items(")
                    .ident(column)
                    .push(") AS \"_e\" WHERE \"_e\".\"id\" = ")
                    .arg(name)
                    .push(")"),
            };
        }
        sql.push(" LIMIT 1");
        self.query_one(&sql, |row| record(self.dialect(), collection, row))
    }

    /// All records of a query.
    ///
    /// # Errors
    /// The store's own.
    pub fn select(&self, select: &Select<'_>) -> Result<Vec<Record>, StoreError> {
        self.records(select.collection, &select.rows_sql(self.dialect()))
    }

    /// Gives each row of a query to `each` without making records: the fast way to answers.
    ///
    /// # Errors
    /// The store's own.
    pub fn for_each(
        &self,
        select: &Select<'_>,
        each: &mut dyn FnMut(&dyn Columns),
    ) -> Result<(), StoreError> {
        self.query_rows(&select.rows_sql(self.dialect()), each)
    }

    /// How many rows a query has, its page aside.
    ///
    /// # Errors
    /// The store's own.
    pub fn count(&self, select: &Select<'_>) -> Result<u64, StoreError> {
        self.number(&select.count_sql(self.dialect()))
    }

    /// As [`ReadTx::count`], but it stops counting at `most`.
    ///
    /// # Errors
    /// The store's own.
    pub fn count_up_to(&self, select: &Select<'_>, most: u64) -> Result<u64, StoreError> {
        self.number(&select.count_up_to_sql(self.dialect(), most))
    }

    /// How many records of `collection` there can be at most, told from the first one and the last one made: those
    /// between them may have been removed.
    ///
    /// # Errors
    /// The store's own.
    pub fn rowid_span(&self, collection: &Collection) -> Result<u64, StoreError> {
        let mut sql = self.sql();
        sql.push("SELECT coalesce((SELECT max(_rowid_) FROM ")
            .ident(&collection.name)
            .push(") - (SELECT min(_rowid_) FROM ")
            .ident(&collection.name)
            .push(") + 1, 0)");
        self.number(&sql)
    }

    /// The records that refer to others.
    ///
    /// # Errors
    /// The store's own.
    pub fn referring(&self, referring: &Referring<'_>) -> Result<Vec<Record>, StoreError> {
        self.records(referring.collection, &referring.rows_sql(self.dialect()))
    }

    /// The records of `collection` whose reference pair names `record` of `owner`.
    ///
    /// # Errors
    /// The store's own.
    pub fn owned(
        &self,
        collection: &Arc<Collection>,
        owner: &CollectionId,
        record: &str,
    ) -> Result<Vec<Record>, StoreError> {
        self.records(
            collection,
            &query::owned_sql(self.dialect(), collection, owner, record),
        )
    }

    /// The records that a statement of ours gives: it names all fields of `collection` in their order.
    ///
    /// # Errors
    /// The store's own.
    pub fn records(
        &self,
        collection: &Arc<Collection>,
        sql: &Sql,
    ) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        self.query_rows(sql, &mut |row| {
            records.push(record(self.dialect(), collection, row))
        })?;
        Ok(records)
    }

    fn number(&self, sql: &Sql) -> Result<u64, StoreError> {
        Ok(match self.query_value(sql)? {
            Some(Value::Int(n)) => u64::try_from(n).unwrap_or(0),
            _ => 0,
        })
    }

    /// Gives each row of a statement of ours to `each`, stepped to its end.
    ///
    /// # Errors
    /// The store's own.
    pub fn query_rows(
        &self,
        sql: &Sql,
        each: &mut dyn FnMut(&dyn Columns),
    ) -> Result<(), StoreError> {
        match self.engine {
            Engine::Sqlite(connection) => sqlite::query_rows(connection, sql, each),
            Engine::Postgres(session) => session.query_rows(sql, each),
        }
    }

    /// What `map` makes of the first row of a statement of ours.
    ///
    /// # Errors
    /// The store's own.
    pub fn query_one<T>(
        &self,
        sql: &Sql,
        map: impl FnOnce(&dyn Columns) -> T,
    ) -> Result<Option<T>, StoreError> {
        match self.engine {
            Engine::Sqlite(connection) => sqlite::query_one(connection, sql, map),
            Engine::Postgres(session) => session.query_one(sql, map),
        }
    }

    /// The first cell of the first row of a statement of ours.
    ///
    /// # Errors
    /// The store's own.
    pub fn query_value(&self, sql: &Sql) -> Result<Option<Value>, StoreError> {
        self.query_one(sql, |row| row.cell(0).to_value())
    }

    /// Whether a statement of ours has a row.
    ///
    /// # Errors
    /// The store's own.
    pub fn exists(&self, sql: &Sql) -> Result<bool, StoreError> {
        Ok(self.query_one(sql, |_| ())?.is_some())
    }

    /// Gives each entry after `position` that removes cells of records of `collections`, or changes the schema, to `each`,
    /// in order.
    ///
    /// # Errors
    /// The store's own.
    pub fn removals_after(
        &self,
        position: Position,
        collections: &[CollectionId],
        each: &mut dyn FnMut(Entry),
    ) -> Result<(), StoreError> {
        match self.engine {
            Engine::Sqlite(connection) => {
                sqlite::log::removals_after(connection, position.0, collections, each)
            }
            Engine::Postgres(session) => {
                postgres::log::removals_after(session, position.0, collections, each)
            }
        }
    }

    /// The entries of the change log after `position`, in order, at most `limit`. A gap between `position` and the
    /// first one means that the log does not reach back so far: see [`ReadTx::log_start`].
    ///
    /// # Errors
    /// The store's own.
    pub fn changes_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        match self.engine {
            Engine::Sqlite(connection) => sqlite::log::read_after(connection, position.0, limit),
            Engine::Postgres(session) => postgres::log::read_after(session, position.0, limit),
        }
    }

    /// The entries of the transaction whose first entry stands at `first`, in order, at most `limit`; none when the log
    /// does not reach back so far.
    ///
    /// # Errors
    /// The store's own.
    pub fn changes_of(&self, first: Position, limit: usize) -> Result<Vec<Entry>, StoreError> {
        match self.engine {
            Engine::Sqlite(connection) => sqlite::log::read_tx(connection, first.0, limit),
            Engine::Postgres(session) => postgres::log::read_tx(session, first.0, limit),
        }
    }

    /// Gives place and record id of each change of `collection` after `position` to `each`, in order.
    ///
    /// # Errors
    /// The store's own.
    pub fn changed_after(
        &self,
        position: Position,
        collection: &CollectionId,
        each: &mut dyn FnMut(Position, &str),
    ) -> Result<(), StoreError> {
        match self.engine {
            Engine::Sqlite(connection) => {
                sqlite::log::scan_after(connection, position.0, collection.as_str(), each)
            }
            Engine::Postgres(session) => {
                postgres::log::scan_after(session, position.0, collection.as_str(), each)
            }
        }
    }

    /// Place of the oldest entry that the change log holds; changes after a cursor before the one in front of it are
    /// not all known any more.
    ///
    /// # Errors
    /// The store's own.
    pub fn log_start(&self) -> Result<Position, StoreError> {
        match self.engine {
            Engine::Sqlite(connection) => sqlite::log::first_position(connection).map(Position),
            Engine::Postgres(session) => postgres::log::first_position(session).map(Position),
        }
    }

    /// Place of the newest entry in this snapshot.
    ///
    /// # Errors
    /// The store's own.
    pub fn log_end(&self) -> Result<Position, StoreError> {
        match self.engine {
            Engine::Sqlite(connection) => sqlite::log::last_position(connection).map(Position),
            Engine::Postgres(session) => postgres::log::last_position(session).map(Position),
        }
    }

    /// The collections as their rows tell.
    pub(super) fn load_schema(&self, generation: u64) -> Result<Schema, StoreError> {
        match self.engine {
            Engine::Sqlite(connection) => sqlite::load_schema(connection, generation),
            Engine::Postgres(session) => postgres::load_schema(session, generation),
        }
    }

    /// Whether the migration `file` is recorded as applied.
    ///
    /// # Errors
    /// The store's own.
    pub fn migration_applied(&self, file: &str) -> Result<bool, StoreError> {
        let mut sql = self.sql();
        sql.push("SELECT 1 FROM _migrations WHERE file = ")
            .arg(file);
        self.exists(&sql)
    }

    /// Files of all applied migrations, with the microseconds since 1970 when they were.
    ///
    /// # Errors
    /// The store's own.
    pub fn migrations(&self) -> Result<Vec<(String, i64)>, StoreError> {
        /// Below this a stamp is in seconds: those of older versions of PocketBase are.
        const SECONDS_MAX: i64 = 100_000_000_000;
        let mut sql = self.sql();
        sql.push("SELECT file, applied FROM _migrations ORDER BY file");
        let mut found = Vec::new();
        self.query_rows(&sql, &mut |row| {
            let at = match row.cell(1).to_value() {
                Value::Int(at) if at < SECONDS_MAX => at.saturating_mul(1_000_000),
                Value::Int(at) => at,
                Value::Null | Value::Real(_) | Value::Text(_) | Value::Blob(_) => 0,
            };
            found.push((row.cell(0).text_or_empty().to_owned(), at));
        })?;
        Ok(found)
    }

    /// The value of the row `id` of `_params`.
    ///
    /// # Errors
    /// The store's own.
    pub fn param(&self, id: &str) -> Result<Option<Value>, StoreError> {
        let mut sql = self.sql();
        sql.push("SELECT value FROM _params WHERE id = ").arg(id);
        self.query_value(&sql)
    }
}

/// A record from a row that has the cells of the collection's fields in order.
pub(super) fn record(dialect: Dialect, collection: &Arc<Collection>, row: &dyn Columns) -> Record {
    let cells = collection
        .fields
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let value = row.cell(index).to_value();
            match (dialect, &field.kind) {
                // Numbers stand there as their text.
                (Dialect::Postgres, FieldKind::Json(_)) => value.to_numeric(),
                (Dialect::Sqlite | Dialect::Postgres, _) => value,
            }
        })
        .collect();
    Record::from_cells(Arc::clone(collection), cells)
}

/// Says of a field that is compared with a text that it is not empty, which is true anyway: indexes of fields like e-mail
/// addresses leave empty ones out, and are used only where a statement says so too.
fn not_empty(field: &str, value: &Value, sql: &mut Sql) {
    if field != "id" && !value.text_or_empty().is_empty() {
        sql.push(" AND ").ident(field).push(" != ''");
    }
}
