//! Tables, columns, indexes and views of collections, and their rows in `_collections`. Runs inside a write transaction:
//! what fails half-way is undone with it. The raw text here is generated from quoted names, column types of our own, and
//! a superuser's index expressions and view queries, which were parsed and are one statement each.

use std::collections::HashSet;

use rusqlite::Connection;

use super::WriteTx;
use super::columns::{Columns, rename_table};
use crate::kit::sql::Sql;
use crate::kit::value::Value;
use crate::schema::index::Index;
use crate::schema::{Collection, Field, Kind, StoredCollection, system};
use crate::store::StoreError;

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

impl WriteTx<'_> {
    /// Makes the table of a base or auth collection, with its indexes.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn create_table(&mut self, collection: &Collection) -> Result<(), DdlError> {
        let mut fields: Vec<&Field> = collection.fields.iter().collect();
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        let columns: Vec<String> = fields
            .into_iter()
            .map(|field| format!("{} {}", quoted(&field.name), field.column_type()))
            .collect();
        let name = quoted(&collection.name);
        run(
            self.connection(),
            &format!("CREATE TABLE {name} ({})", columns.join(", ")),
        )?;
        self.create_indexes(collection, &HashSet::new())
    }

    /// Brings the table of `old` to the shape of `new`, rows and all.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn change_table(&mut self, old: &Collection, new: &Collection) -> Result<(), DdlError> {
        let connection = self.connection();
        let columns = Columns::between(old, new);
        let built = |collection: &Collection| -> HashSet<String> {
            let parsed = collection
                .indexes
                .iter()
                .filter_map(|text| Index::parse(text));
            parsed.map(|index| index.build()).collect()
        };
        // Indexes that stay as they are need not be built again.
        let kept = if columns.is_empty() && old.name == new.name {
            built(old).intersection(&built(new)).cloned().collect()
        } else {
            HashSet::new()
        };
        for index in old.indexes.iter().filter_map(|text| Index::parse(text)) {
            if !kept.contains(&index.build()) {
                run(
                    connection,
                    &format!("DROP INDEX IF EXISTS {}", quoted(&index.name)),
                )?;
            }
        }
        if old.name != new.name {
            rename_table(connection, &old.name, &new.name)?;
        }
        columns.apply(connection, &new.name)?;
        self.create_indexes(new, &kept)
    }

    /// Removes the table or view of a collection.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn drop_table(&mut self, collection: &Collection) -> Result<(), DdlError> {
        let kind = if collection.is_view() {
            "VIEW"
        } else {
            "TABLE"
        };
        run(
            self.connection(),
            &format!("DROP {kind} IF EXISTS {}", quoted(&collection.name)),
        )
    }

    /// Makes a view collection's view; an older one of the name `before` goes.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn create_view(&mut self, view: &Collection, before: Option<&str>) -> Result<(), DdlError> {
        if let Some(before) = before {
            run(
                self.connection(),
                &format!("DROP VIEW IF EXISTS {}", quoted(before)),
            )?;
        }
        let Kind::View(options) = &view.kind else {
            return Ok(());
        };
        let query = crate::schema::view::ViewQuery::parse(&options.view_query)
            .map_err(DdlError::Refused)?;
        let text = super::view::physical_text(self.connection(), &query, &view.fields)
            .map_err(DdlError::Refused)?;
        run(
            self.connection(),
            &format!("CREATE VIEW {} AS {text}", quoted(&view.name)),
        )
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
        let mut sql = Sql::new();
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
        let mut sql = Sql::new();
        sql.push("DELETE FROM _collections WHERE id = ")
            .arg(collection.id.as_str());
        self.execute(&sql)?;
        let names = ["_authOrigins", "_externalAuths", "_mfas", "_otps"];
        for name in names.into_iter().chain(system::OWN) {
            let Some(system) = self.catalog().find(name).map(|system| system.id.clone()) else {
                continue;
            };
            let mut sql = Sql::new();
            sql.push("DELETE FROM ").ident(name);
            sql.push(" WHERE collectionRef = ")
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
        let mut sql = Sql::new();
        sql.push("SELECT 1 FROM sqlite_master WHERE name = ")
            .arg(name)
            .push(" COLLATE NOCASE AND type IN ('table', 'view')");
        self.exists(&sql)
    }

    fn create_indexes(
        &mut self,
        collection: &Collection,
        kept: &HashSet<String>,
    ) -> Result<(), DdlError> {
        let mut refused = Vec::new();
        for (at, text) in collection.indexes.iter().enumerate() {
            let Some(index) = Index::parse(text) else {
                continue;
            };
            let statement = index.build();
            if kept.contains(&statement) {
                continue;
            }
            match run(self.connection(), &statement) {
                Ok(()) => {}
                Err(DdlError::Refused(text)) => refused.push(IndexError {
                    at,
                    name: index.name,
                    text,
                }),
                Err(other) => return Err(other),
            }
        }
        if !refused.is_empty() {
            return Err(DdlError::Indexes(refused));
        }
        Ok(())
    }
}

/// Runs one statement that gives no rows.
pub(super) fn run(connection: &Connection, text: &str) -> Result<(), DdlError> {
    connection
        .prepare(text)
        .and_then(|mut statement| statement.raw_execute())
        .map(drop)
        .map_err(|error| match StoreError::from(error) {
            StoreError::Sqlite(error) => DdlError::Refused(words(&error)),
            StoreError::NotUnique { table, columns } => DdlError::Refused(format!(
                "constraint failed: UNIQUE constraint failed: {} (2067)",
                columns
                    .iter()
                    .map(|column| format!("{table}.{column}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
            other => DdlError::Store(other),
        })
}

/// What SQLite says, as the contract shows it to superusers: class, message, code.
pub(in crate::store) fn words(error: &rusqlite::Error) -> String {
    let (failure, message) = match error {
        rusqlite::Error::SqliteFailure(failure, Some(message)) => (failure, message),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, msg),
        other => return other.to_string(),
    };
    let class = match failure.extended_code & 0xff {
        rusqlite::ffi::SQLITE_ERROR => "SQL logic error",
        rusqlite::ffi::SQLITE_CONSTRAINT => "constraint failed",
        rusqlite::ffi::SQLITE_AUTH => "not authorized",
        _ => "database error",
    };
    format!("{class}: {message} ({})", failure.extended_code)
}

/// An identifier in backticks.
pub(in crate::store) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``").replace('\0', ""))
}
