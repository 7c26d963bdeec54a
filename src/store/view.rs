//! View queries: what columns they have, and whether their ids will do.

use super::read::Engine;
use super::{ReadTx, StoreError, postgres, sqlite};
use crate::kit::value::Value;
use crate::schema::view::ViewQuery;

/// Rows of a view that are looked at when it is saved.
pub(super) const PROBED_ROWS: usize = 10;

impl ReadTx<'_> {
    /// The names of the columns of a query.
    ///
    /// # Errors
    /// The database's words.
    pub fn view_columns(&self, query: &ViewQuery) -> Result<Vec<String>, String> {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::view::columns(connection, query),
            Engine::Postgres(session) => postgres::view_columns(session, query),
        }
    }

    /// The first rows of a query, cells in the order of its columns.
    ///
    /// # Errors
    /// The database's words.
    pub fn view_sample(&self, query: &ViewQuery) -> Result<Vec<Vec<Value>>, String> {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::view::sample(connection, query),
            Engine::Postgres(session) => postgres::view_sample(session, query),
        }
    }

    /// Whether a query comes to an end within the deadline. What else may be wrong with it is told elsewhere.
    ///
    /// # Errors
    /// [`StoreError::Timeout`] when it does not.
    pub fn try_view(&self, query: &ViewQuery) -> Result<(), StoreError> {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::view::try_run(connection, query),
            Engine::Postgres(session) => postgres::try_view(session, query),
        }
    }

    /// The names of the tables and views that a saved view reads.
    ///
    /// # Errors
    /// The store's own.
    pub fn tables_behind(&self, view: &str) -> Result<Vec<String>, StoreError> {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::view::tables_behind(connection, view),
            Engine::Postgres(session) => postgres::tables_behind(session, view),
        }
    }

    /// Whether everything that a saved view reads is there.
    #[must_use]
    pub fn view_works(&self, name: &str) -> bool {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::view::works(connection, name),
            Engine::Postgres(session) => postgres::view_works(session, name),
        }
    }

    /// Whether the ids of a query are all there and all different, as far as its first rows tell.
    ///
    /// # Errors
    /// What to tell its owner.
    pub fn check_view_ids(&self, query: &ViewQuery, id_at: usize) -> Result<(), String> {
        let mut seen = std::collections::HashSet::new();
        for row in self.view_sample(query)? {
            let id = row.get(id_at).map(Value::to_display).unwrap_or_default();
            if id.is_empty() || !seen.insert(id) {
                return Err("the query could return records with empty or invalid ids".to_owned());
            }
        }
        Ok(())
    }
}
