//! What a write transaction can do: everything a read can, and changes, each with its entry in the log.

use std::ops::Deref;

use super::ReadTx;
use crate::schema::Record;
use crate::store::StoreError;

/// A write transaction; reads see its own changes.
pub struct WriteTx<'a> {
    read: ReadTx<'a>,
}

impl<'a> Deref for WriteTx<'a> {
    type Target = ReadTx<'a>;

    fn deref(&self) -> &ReadTx<'a> {
        &self.read
    }
}

impl WriteTx<'_> {
    /// Adds a record.
    ///
    /// # Errors
    /// The store's own; [`StoreError::NotUnique`] for a taken value.
    pub fn insert(&mut self, _record: &Record) -> Result<(), StoreError> {
        todo!()
    }

    /// Replaces a record by another state of it; only changed cells are written.
    ///
    /// # Errors
    /// As [`WriteTx::insert`].
    pub fn update(&mut self, _before: &Record, _after: &Record) -> Result<(), StoreError> {
        todo!()
    }

    /// Removes a record; references to it are the caller's business.
    ///
    /// # Errors
    /// The store's own.
    pub fn delete(&mut self, _record: &Record) -> Result<(), StoreError> {
        todo!()
    }
}
