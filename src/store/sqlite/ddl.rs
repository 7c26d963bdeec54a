//! Tables, columns, indexes and views of collections, in SQLite's words. Runs inside a write transaction: what fails
//! half-way is undone with it. The raw text here is generated from quoted names, column types of our own, and a
//! superuser's index expressions and view queries, which were parsed and are one statement each.

use std::collections::HashSet;

use rusqlite::Connection;

use super::columns::{self, rename_table};
use crate::schema::index::Index;
use crate::schema::{Collection, Field, Kind};
use crate::store::StoreError;
use crate::store::ddl::{ColumnChanges, DdlError, IndexError};

/// Makes the table of a base or auth collection, with its indexes.
pub(in crate::store) fn create_table(
    connection: &Connection,
    collection: &Collection,
) -> Result<(), DdlError> {
    let mut fields: Vec<&Field> = collection.fields.iter().collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    let columns: Vec<String> = fields
        .into_iter()
        .map(|field| format!("{} {}", quoted(&field.name), field.column_type()))
        .collect();
    let name = quoted(&collection.name);
    run(
        connection,
        &format!("CREATE TABLE {name} ({})", columns.join(", ")),
    )?;
    create_indexes(connection, collection, &HashSet::new())
}

/// Brings the table of `old` to the shape of `new`, rows and all.
pub(in crate::store) fn change_table(
    connection: &Connection,
    old: &Collection,
    new: &Collection,
) -> Result<(), DdlError> {
    let changes = ColumnChanges::between(old, new);
    let built = |collection: &Collection| -> HashSet<String> {
        let parsed = collection
            .indexes
            .iter()
            .filter_map(|text| Index::parse(text));
        parsed.map(|index| index.build()).collect()
    };
    // Indexes that stay as they are need not be built again.
    let kept = if changes.is_empty() && old.name == new.name {
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
    columns::apply(&changes, connection, &new.name)?;
    create_indexes(connection, new, &kept)
}

/// Removes the table or view of a collection.
pub(in crate::store) fn drop_table(
    connection: &Connection,
    collection: &Collection,
) -> Result<(), DdlError> {
    let kind = if collection.is_view() {
        "VIEW"
    } else {
        "TABLE"
    };
    run(
        connection,
        &format!("DROP {kind} IF EXISTS {}", quoted(&collection.name)),
    )
}

/// Makes a view collection's view; an older one of the name `before` goes.
pub(in crate::store) fn create_view(
    connection: &Connection,
    view: &Collection,
    before: Option<&str>,
) -> Result<(), DdlError> {
    if let Some(before) = before {
        run(
            connection,
            &format!("DROP VIEW IF EXISTS {}", quoted(before)),
        )?;
    }
    let Kind::View(options) = &view.kind else {
        return Ok(());
    };
    let query =
        crate::schema::view::ViewQuery::parse(&options.view_query).map_err(DdlError::Refused)?;
    let text =
        super::view::physical_text(connection, &query, &view.fields).map_err(DdlError::Refused)?;
    run(
        connection,
        &format!("CREATE VIEW {} AS {text}", quoted(&view.name)),
    )
}

fn create_indexes(
    connection: &Connection,
    collection: &Collection,
    kept: &HashSet<String>,
) -> Result<(), DdlError> {
    let mut refused = Vec::new();
    for (at, text) in collection.indexes.iter().enumerate() {
        let Some(mut index) = Index::parse(text) else {
            continue;
        };
        if kept.contains(&index.build()) {
            continue;
        }
        // System collections of old directories name a table that is not theirs.
        index.table = collection.name.to_string();
        match run(connection, &index.build()) {
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
