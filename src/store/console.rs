//! A superuser's own SQL: the only text from outside that the database runs. Bounded, read-only where it should only
//! read, and with entries in the change log for every table that it may have written.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::read::Engine;
use super::{ReadTx, StoreError, WriteTx, postgres, sqlite};

/// SQL text as a superuser wrote it.
#[derive(Clone, Debug)]
pub struct SuperuserSql(String);

impl SuperuserSql {
    /// From what a superuser submitted.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the engines.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Whether its first word is one of those that change things, as the contract decides it.
    #[must_use]
    pub fn writes(&self) -> bool {
        const WORDS: [&str; 8] = [
            "INSERT", "CREATE", "UPDATE", "DELETE", "DROP", "DETACH", "ALTER", "REPLACE",
        ];
        let text = self.0.trim_start().as_bytes();
        WORDS.iter().any(|word| {
            text.get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        })
    }
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleColumn {
    /// Its name.
    pub name: String,
    /// Its declared type, empty for expressions.
    pub declared: String,
}

/// The rows of the last statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsoleRows {
    /// Columns.
    pub columns: Vec<ConsoleColumn>,
    /// Cells as text.
    pub rows: Vec<Vec<Option<String>>>,
}

impl ReadTx<'_> {
    /// Runs statements that only read; the answer is the last one's.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for whatever would write or touch a file; else the database's own.
    pub fn console(&self, sql: &SuperuserSql) -> Result<ConsoleRows, StoreError> {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::console::read(connection, sql),
            Engine::Postgres(session) => postgres::console_read(session, sql),
        }
    }
}

impl WriteTx<'_> {
    /// Runs statements that write; how many rows the last one changed.
    ///
    /// # Errors
    /// As [`ReadTx::console`]; nothing is changed then.
    pub fn console(&mut self, sql: &SuperuserSql) -> Result<u64, StoreError> {
        let (affected, written) = match self.engine() {
            Engine::Sqlite(connection) => sqlite::console::write(connection, sql)?,
            Engine::Postgres(session) => postgres::console_write(session, sql)?,
        };
        self.console_wrote(&written)?;
        Ok(affected)
    }

    /// Entries for what raw statements may have changed; the schema is read again when it is concerned.
    fn console_wrote(&mut self, tables: &BTreeSet<String>) -> Result<(), StoreError> {
        let schema = ["_collections", "_params", "sqlite_master"];
        if schema.iter().any(|table| tables.contains(*table)) {
            let generation = self.catalog().generation();
            let schema = self.load_schema(generation)?;
            self.schema_changed(schema.iter().cloned().collect())?;
        }
        let catalog = Arc::clone(self.catalog());
        for collection in tables.iter().filter_map(|table| catalog.find(table)) {
            self.touched(&collection.id)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_decides() {
        for (text, writes) in [
            (" insert into t", true),
            ("REPLACE", true),
            ("with a as (select 1) delete", false),
            ("-- x\ndelete", false),
            ("select", false),
            ("", false),
        ] {
            assert_eq!(SuperuserSql::new(text).writes(), writes, "{text}");
        }
    }
}
