//! Tables, columns, indexes and views of collections, and their rows in `_collections`. Runs inside a write transaction:
//! what fails half-way is undone with it.

use super::read::Engine;
use super::{StoreError, WriteTx, postgres, sqlite};
use crate::kit::value::Value;
use crate::schema::{Collection, Field, StoredCollection, system};

/// Why an index could not be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to create index {name} - {text}")]
pub struct IndexError {
    /// Place in the collection's list.
    pub at: usize,
    /// Name of the index.
    pub name: String,
    /// SQLite's words.
    pub text: String,
}

/// Why a table could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum DdlError {
    /// Indexes were refused, at least one.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Indexes(Vec<IndexError>),
    /// The database refused something else, in its words.
    #[error("{0}")]
    Refused(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What happens to the columns of a table, by field ids.
pub(super) struct ColumnChanges<'a> {
    pub(super) dropped: Vec<&'a Field>,
    pub(super) renamed: Vec<(&'a Field, &'a Field)>,
    pub(super) converted: Vec<(&'a Field, &'a Field)>,
    pub(super) added: Vec<&'a Field>,
}

impl<'a> ColumnChanges<'a> {
    /// What turns the columns of `old` into those of `new`.
    pub(super) fn between(old: &'a Collection, new: &'a Collection) -> Self {
        let find = |fields: &'a [Field], id: &str| fields.iter().find(|field| field.id == id);
        let both = || {
            let pair = |field: &'a Field| Some((find(&old.fields, &field.id)?, field));
            new.fields.iter().filter_map(pair)
        };
        Self {
            dropped: old
                .fields
                .iter()
                .filter(|field| find(&new.fields, &field.id).is_none())
                .collect(),
            renamed: both().filter(|(was, is)| was.name != is.name).collect(),
            converted: both()
                .filter(|(was, is)| was.kind.is_multiple() != is.kind.is_multiple())
                .collect(),
            added: new
                .fields
                .iter()
                .filter(|field| find(&old.fields, &field.id).is_none())
                .collect(),
        }
    }

    /// Whether nothing happens.
    pub(super) fn is_empty(&self) -> bool {
        self.dropped.is_empty()
            && self.renamed.is_empty()
            && self.converted.is_empty()
            && self.added.is_empty()
    }
}

impl WriteTx<'_> {
    /// Makes the table of a base or auth collection, with its indexes.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn create_table(&mut self, collection: &Collection) -> Result<(), DdlError> {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::ddl::create_table(connection, collection),
            Engine::Postgres(session) => postgres::create_table(session, collection),
        }
    }

    /// Brings the table of `old` to the shape of `new`, rows and all.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn change_table(&mut self, old: &Collection, new: &Collection) -> Result<(), DdlError> {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::ddl::change_table(connection, old, new),
            Engine::Postgres(session) => postgres::change_table(session, old, new),
        }
    }

    /// Removes the table or view of a collection.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn drop_table(&mut self, collection: &Collection) -> Result<(), DdlError> {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::ddl::drop_table(connection, collection),
            Engine::Postgres(session) => postgres::drop_table(session, collection),
        }
    }

    /// Makes a view collection's view; an older one of the name `before` goes.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn create_view(&mut self, view: &Collection, before: Option<&str>) -> Result<(), DdlError> {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::ddl::create_view(connection, view, before),
            Engine::Postgres(session) => postgres::create_view(session, view, before),
        }
    }

    /// Writes the row of a collection, a new one or the one of its id.
    ///
    /// # Errors
    /// The store's own.
    pub fn save_collection(&mut self, collection: &Collection) -> Result<(), StoreError> {
        let row = StoredCollection::of(collection);
        let rule = |rule: Option<String>| rule.map_or(Value::Null, Value::from);
        let values: [(&'static str, Value); 13] = [
            ("system", Value::from(row.system)),
            ("type", Value::from(row.kind)),
            ("name", Value::from(row.name)),
            ("fields", Value::from(row.fields)),
            ("indexes", Value::from(row.indexes)),
            ("listRule", rule(row.rules.list)),
            ("viewRule", rule(row.rules.view)),
            ("createRule", rule(row.rules.create)),
            ("updateRule", rule(row.rules.update)),
            ("deleteRule", rule(row.rules.delete)),
            ("options", Value::from(row.options)),
            ("created", Value::from(row.created)),
            ("updated", Value::from(row.updated)),
        ];
        let mut sql = self.sql();
        sql.push("INSERT INTO _collections (id");
        for (column, _) in &values {
            sql.push(", ").ident(column);
        }
        sql.push(") VALUES (").arg(row.id);
        for (_, value) in &values {
            sql.push(", ").arg(value.clone());
        }
        sql.push(") ON CONFLICT (id) DO UPDATE SET ");
        for (at, (column, _)) in values.iter().enumerate() {
            sql.push(if at == 0 { "" } else { ", " });
            sql.ident(column).push(" = excluded.").ident(column);
        }
        self.execute(&sql).map(drop)
    }

    /// Removes the row of a collection, and the rows of system collections that belong to its accounts.
    ///
    /// # Errors
    /// The store's own.
    pub fn delete_collection(&mut self, collection: &Collection) -> Result<(), StoreError> {
        let mut sql = self.sql();
        sql.push("DELETE FROM _collections WHERE id = ")
            .arg(collection.id.as_str());
        self.execute(&sql)?;
        let names = ["_authOrigins", "_externalAuths", "_mfas", "_otps"];
        for name in names.into_iter().chain(system::OWN) {
            let Some(system) = self.catalog().find(name).map(|system| system.id.clone()) else {
                continue;
            };
            let mut sql = self.sql();
            sql.push("DELETE FROM ").ident(name);
            sql.push(" WHERE ")
                .ident("collectionRef")
                .push(" = ")
                .arg(collection.id.as_str());
            if self.execute(&sql)? > 0 {
                self.touched(&system)?;
            }
        }
        Ok(())
    }

    /// Whether the database has a table, view or index of this name, in any case.
    ///
    /// # Errors
    /// The store's own.
    pub fn has_table(&self, name: &str) -> Result<bool, StoreError> {
        let mut sql = self.sql();
        match self.engine() {
            Engine::Sqlite(_) => sql
                .push("SELECT 1 FROM sqlite_master WHERE name = ")
                .arg(name)
                .push(" COLLATE NOCASE AND type IN ('table', 'view')"),
            Engine::Postgres(_) => sql
                .push(
                    "SELECT 1 FROM pg_class WHERE relnamespace = current_schema()::regnamespace \
                     AND relkind IN ('r', 'p', 'v', 'm') AND lower(relname) = lower(",
                )
                .arg(name)
                .push("::text)"),
        };
        self.exists(&sql)
    }
}
