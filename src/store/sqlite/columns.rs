//! Bringing the columns of a table from one list of fields to another, rows and dependent views included.

use rusqlite::Connection;

use super::ddl::{quoted, run, words};
use crate::kit::id;
use crate::schema::Field;
use crate::store::StoreError;
use crate::store::ddl::{ColumnChanges, DdlError};

/// Makes the changes, in the table that has its new name already.
pub(super) fn apply(
    changes: &ColumnChanges<'_>,
    connection: &Connection,
    table: &str,
) -> Result<(), DdlError> {
    if !changes.dropped.is_empty() || !changes.converted.is_empty() {
        let views = Views::set_aside(connection, |_, _| true)?;
        for field in &changes.dropped {
            drop_column(connection, table, &field.name)?;
        }
        let dropped = changes
            .dropped
            .first()
            .map_or("", |field| field.name.as_str());
        for (was, is) in &changes.converted {
            convert(connection, table, &was.name, is)?;
        }
        views.put_back_whole(connection, dropped)?;
    }
    if !changes.renamed.is_empty() {
        let broken = Views::set_aside(connection, Views::is_broken)?;
        // Names may be swapped: every column moves out of the way first.
        let passing: Vec<String> = changes.renamed.iter().map(|_| passing_name()).collect();
        for ((was, _), passing) in changes.renamed.iter().zip(&passing) {
            rename_column(connection, table, &was.name, passing)
                .map_err(|error| failed("rename", &was.name, error))?;
        }
        for ((_, is), passing) in changes.renamed.iter().zip(&passing) {
            rename_column(connection, table, passing, &is.name)?;
        }
        broken.put_back(connection)?;
    }
    for field in &changes.added {
        add_column(connection, table, &field.name, field)?;
    }
    Ok(())
}
/// Renames a table; views that read it follow.
pub(super) fn rename_table(connection: &Connection, from: &str, to: &str) -> Result<(), DdlError> {
    let broken = Views::set_aside(connection, Views::is_broken)?;
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
        rename(&passing, to)?;
    } else {
        rename(from, to)?;
    }
    broken.put_back(connection)
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

/// A name that no collection and no field has.
fn passing_name() -> String {
    format!("_burrow_{}", id::random(12, id::LOWER_ALNUM))
}
