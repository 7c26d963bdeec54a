//! Tables, columns, indexes and views of collections, and their rows in `_collections`. Runs inside a write transaction:
//! what fails half-way is undone with it. The raw text here is generated from quoted names, column types of our own, and
//! a superuser's index expressions and view queries, which were parsed and are one statement each.

use std::collections::HashSet;

use rusqlite::Connection;

use super::WriteTx;
use crate::kit::id;
use crate::kit::sql::Sql;
use crate::kit::value::Value;
use crate::schema::index::Index;
use crate::schema::{Collection, Field, Kind, StoredCollection};
use crate::store::StoreError;

/// Why a table could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum DdlError {
    /// The index at this place of the collection's list was refused.
    #[error("failed to create index {name} - {text}")]
    Index {
        /// Place in the list.
        at: usize,
        /// Name of the index.
        name: String,
        /// SQLite's words.
        text: String,
    },
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
            let broken = Views::set_aside(connection, Views::is_broken)?;
            rename_table(connection, &old.name, &new.name)?;
            broken.put_back(connection)?;
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
        for name in ["_authOrigins", "_externalAuths", "_mfas", "_otps"] {
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
        for (at, text) in collection.indexes.iter().enumerate() {
            let Some(index) = Index::parse(text) else {
                continue;
            };
            let statement = index.build();
            if kept.contains(&statement) {
                continue;
            }
            run(self.connection(), &statement).map_err(|error| match error {
                DdlError::Refused(text) => DdlError::Index {
                    at,
                    name: index.name.clone(),
                    text,
                },
                other => other,
            })?;
        }
        Ok(())
    }
}

/// What happens to the columns of a table, by field ids.
struct Columns<'a> {
    dropped: Vec<&'a Field>,
    renamed: Vec<(&'a Field, &'a Field)>,
    converted: Vec<(&'a Field, &'a Field)>,
    added: Vec<&'a Field>,
}

impl<'a> Columns<'a> {
    fn between(old: &'a Collection, new: &'a Collection) -> Self {
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

    fn is_empty(&self) -> bool {
        self.dropped.is_empty()
            && self.renamed.is_empty()
            && self.converted.is_empty()
            && self.added.is_empty()
    }

    fn apply(&self, connection: &Connection, table: &str) -> Result<(), DdlError> {
        if !self.dropped.is_empty() || !self.converted.is_empty() {
            let views = Views::set_aside(connection, |_, _| true)?;
            for field in &self.dropped {
                drop_column(connection, table, &field.name)?;
            }
            let dropped = self.dropped.first().map_or("", |field| field.name.as_str());
            for (was, is) in &self.converted {
                convert(connection, table, &was.name, is)?;
            }
            views.put_back_whole(connection, dropped)?;
        }
        if !self.renamed.is_empty() {
            let broken = Views::set_aside(connection, Views::is_broken)?;
            // Names may be swapped: every column moves out of the way first.
            let passing: Vec<String> = self.renamed.iter().map(|_| passing_name()).collect();
            for ((was, _), passing) in self.renamed.iter().zip(&passing) {
                rename_column(connection, table, &was.name, passing)
                    .map_err(|error| failed("rename", &was.name, error))?;
            }
            for ((_, is), passing) in self.renamed.iter().zip(&passing) {
                rename_column(connection, table, passing, &is.name)?;
            }
            broken.put_back(connection)?;
        }
        for field in &self.added {
            add_column(connection, table, &field.name, field)?;
        }
        Ok(())
    }
}

fn rename_table(connection: &Connection, from: &str, to: &str) -> Result<(), DdlError> {
    let rename = |from: &str, to: &str| {
        run(
            connection,
            &format!("ALTER TABLE {} RENAME TO {}", quoted(from), quoted(to)),
        )
    };
    if from.eq_ignore_ascii_case(to) {
        // Names that differ in case only are the same to SQLite.
        let passing = passing_name();
        rename(from, &passing)?;
        return rename(&passing, to);
    }
    rename(from, to)
}

fn rename_column(
    connection: &Connection,
    table: &str,
    from: &str,
    to: &str,
) -> Result<(), DdlError> {
    let table = quoted(table);
    let text = format!(
        "ALTER TABLE {table} RENAME COLUMN {} TO {}",
        quoted(from),
        quoted(to)
    );
    run(connection, &text)
}

fn drop_column(connection: &Connection, table: &str, name: &str) -> Result<(), DdlError> {
    let text = format!("ALTER TABLE {} DROP COLUMN {}", quoted(table), quoted(name));
    run(connection, &text)
}

fn add_column(
    connection: &Connection,
    table: &str,
    name: &str,
    field: &Field,
) -> Result<(), DdlError> {
    let text = format!(
        "ALTER TABLE {} ADD COLUMN {} {}",
        quoted(table),
        quoted(name),
        field.column_type()
    );
    run(connection, &text)
}

/// Moves values between a text column and a column of JSON arrays.
fn convert(
    connection: &Connection,
    table: &str,
    name: &str,
    field: &Field,
) -> Result<(), DdlError> {
    let passing = passing_name();
    add_column(connection, table, &passing, field)?;
    let (from, to) = (quoted(name), quoted(&passing));
    let is_list = format!("json_valid({from}) AND json_type({from}) = 'array'");
    let value = if field.kind.is_multiple() {
        format!(
            "CASE WHEN COALESCE({from}, '') = '' THEN '[]' WHEN {is_list} THEN {from} ELSE json_array({from}) END"
        )
    } else {
        format!(
            "CASE WHEN COALESCE({from}, '[]') = '[]' THEN '' WHEN {is_list} \
             THEN COALESCE(json_extract({from}, '$[#-1]'), '') ELSE {from} END"
        )
    };
    run(
        connection,
        &format!("UPDATE {} SET {to} = {value}", quoted(table)),
    )?;
    drop_column(connection, table, name)?;
    rename_column(connection, table, &passing, name)
}

/// Views that are out of the way while a table changes, for SQLite refuses most changes while one of them is broken.
struct Views {
    /// Names and texts.
    all: Vec<(String, String)>,
    /// Names of those that did not work before.
    broken: Vec<String>,
}

impl Views {
    fn set_aside(
        connection: &Connection,
        which: impl Fn(&Connection, &str) -> bool,
    ) -> Result<Self, DdlError> {
        let read = || -> rusqlite::Result<Vec<(String, String)>> {
            let mut statement = connection.prepare(
                "SELECT name, sql FROM sqlite_master WHERE type = 'view' ORDER BY rowid",
            )?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        let mut views = read().map_err(StoreError::from)?;
        views.retain(|(name, _)| which(connection, name));
        let broken: Vec<String> = views
            .iter()
            .map(|(name, _)| name.clone())
            .filter(|name| Self::is_broken(connection, name))
            .collect();
        for (name, _) in &views {
            run(connection, &format!("DROP VIEW {}", quoted(name)))?;
        }
        Ok(Self { all: views, broken })
    }

    fn is_broken(connection: &Connection, name: &str) -> bool {
        connection
            .prepare(&format!("SELECT * FROM {}", quoted(name)))
            .is_err()
    }

    /// As [`Views::put_back`]; a view that worked before must work again, without the column called `dropped`.
    fn put_back_whole(self, connection: &Connection, dropped: &str) -> Result<(), DdlError> {
        let names: Vec<String> = self.all.iter().map(|(name, _)| name.clone()).collect();
        let were_broken = self.broken.clone();
        self.put_back(connection)?;
        for name in names.iter().filter(|name| !were_broken.contains(name)) {
            if let Err(error) = connection.prepare(&format!("SELECT * FROM {}", quoted(name))) {
                let text = words(&error).replacen(
                    "SQL logic error: ",
                    &format!("SQL logic error: error in view {name} after drop column: "),
                    1,
                );
                return Err(failed("drop", dropped, DdlError::Refused(text)));
            }
        }
        Ok(())
    }

    fn put_back(self, connection: &Connection) -> Result<(), DdlError> {
        self.all
            .iter()
            .try_for_each(|(_, text)| run(connection, text))
    }
}

/// The words of a refusal with what was tried before them.
fn failed(verb: &str, column: &str, error: DdlError) -> DdlError {
    match error {
        DdlError::Refused(text) => {
            DdlError::Refused(format!("failed to {verb} column {column} - {text}"))
        }
        other => other,
    }
}

fn run(connection: &Connection, text: &str) -> Result<(), DdlError> {
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

/// A name that no collection and no field has.
fn passing_name() -> String {
    format!("_burrow_{}", id::random(12, id::LOWER_ALNUM))
}

/// An identifier in backticks.
pub(in crate::store) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``").replace('\0', ""))
}
