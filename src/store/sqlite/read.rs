//! What a read transaction can do.

use std::sync::Arc;

use crate::expr::Catalog;
use crate::kit::value::Columns;
use crate::schema::{Collection, Record};
use crate::store::{Select, StoreError};

/// One snapshot of the database.
pub struct ReadTx<'a> {
    _connection: &'a rusqlite::Connection,
}

impl ReadTx<'_> {
    /// The schema of this snapshot.
    #[must_use]
    pub fn catalog(&self) -> &Arc<Catalog> {
        todo!()
    }

    /// The record `id` of `collection`, rules not asked.
    ///
    /// # Errors
    /// The store's own.
    pub fn find(
        &self,
        _collection: &Arc<Collection>,
        _id: &str,
    ) -> Result<Option<Record>, StoreError> {
        todo!()
    }

    /// All records of a query.
    ///
    /// # Errors
    /// The store's own.
    pub fn select(&self, _select: &Select<'_>) -> Result<Vec<Record>, StoreError> {
        todo!()
    }

    /// Gives each row of a query to `each` without making records: the fast way to answers.
    ///
    /// # Errors
    /// The store's own.
    pub fn for_each(
        &self,
        _select: &Select<'_>,
        _each: &mut dyn FnMut(&dyn Columns),
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// How many rows a query has, its page aside.
    ///
    /// # Errors
    /// The store's own.
    pub fn count(&self, _select: &Select<'_>) -> Result<u64, StoreError> {
        todo!()
    }
}
