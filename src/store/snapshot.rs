//! A reader that holds one state of the database for as long as its owner wants: the realtime hub keeps two, before
//! and after the changes that it delivers.

use std::sync::Arc;
use std::time::Duration;

use super::{Position, ReadTx, StoreError, postgres, sqlite};
use crate::expr::Catalog;

/// One state of the database. It does not age by itself: whoever holds one keeps what others have removed from being
/// tidied away, and so must move on or drop it.
pub struct Snapshot(pub(super) Held);

/// Of either engine.
pub(super) enum Held {
    /// The embedded one.
    Sqlite(sqlite::Held),
    /// PostgreSQL.
    Postgres(Box<postgres::Held>),
}

impl Snapshot {
    /// Moves on to the present and tells its place in the log.
    ///
    /// # Errors
    /// The store's own.
    pub fn refresh(&mut self) -> Result<Position, StoreError> {
        match &mut self.0 {
            Held::Sqlite(held) => held.refresh(),
            Held::Postgres(held) => held.refresh(),
        }
    }

    /// Lets go of its state, so that it keeps nothing from being tidied away; [`Snapshot::refresh`] brings it back.
    ///
    /// # Errors
    /// The store's own.
    pub fn rest(&mut self) -> Result<(), StoreError> {
        match &mut self.0 {
            Held::Sqlite(held) => held.rest(),
            Held::Postgres(held) => held.rest(),
        }
    }

    /// Whether it holds a state.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &self.0 {
            Held::Sqlite(held) => held.is_open(),
            Held::Postgres(held) => held.is_open(),
        }
    }

    /// What is read from now on has `span` to end; after that it fails.
    pub fn hurry(&self, span: Duration) {
        match &self.0 {
            Held::Sqlite(held) => held.hurry(span),
            Held::Postgres(held) => held.hurry(span),
        }
    }

    /// Reads in this state, under the rules of `catalog`.
    #[must_use]
    pub fn tx_under(&self, catalog: &Arc<Catalog>) -> ReadTx<'_> {
        match &self.0 {
            Held::Sqlite(held) => held.tx_under(catalog),
            Held::Postgres(held) => held.tx_under(catalog),
        }
    }

    /// Reads in this state, under the rules of now.
    #[must_use]
    pub fn tx(&self) -> ReadTx<'_> {
        match &self.0 {
            Held::Sqlite(held) => held.tx(),
            Held::Postgres(held) => held.tx(),
        }
    }
}
