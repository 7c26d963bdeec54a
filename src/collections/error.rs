//! What can go wrong with collections, as the caller is told it.

use crate::schema::FieldErrors;
use crate::store::StoreError;

/// A refused or failed request on collections.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404: no such collection.
    #[error("collection not found")]
    NotFound,
    /// 400: a list parameter that cannot be read.
    #[error("bad query: {0}")]
    BadQuery(String),
    /// 400: the type of a new collection cannot be read.
    #[error("Failed to load the collection type data due to invalid formatting.")]
    UnreadableKind,
    /// 400: what was submitted has the wrong shape.
    #[error("Failed to load the submitted data due to invalid formatting.")]
    Unreadable,
    /// 400: what was submitted for a new collection does not do.
    #[error("Failed to create collection.")]
    Create(FieldErrors),
    /// 400: the database refused a new collection.
    #[error("Failed to create collection. Raw error: \n{0}")]
    CreateRaw(String),
    /// 400: what was submitted for a collection does not do.
    #[error("Failed to update collection.")]
    Update(FieldErrors),
    /// 400: the database refused a change.
    #[error("Failed to update collection. Raw error: \n{0}")]
    UpdateRaw(String),
    /// 400: the collection must stay.
    #[error("Failed to delete collection.")]
    Delete,
    /// 400: relations point to it.
    #[error("Failed to delete collection probably due to existing reference in {0}.")]
    Referenced(String),
    /// 400: views have no rows of their own.
    #[error("View collections cannot be truncated since they don't store their own records.")]
    TruncateView,
    /// 400: some record must stay.
    #[error(
        "Failed to truncate collection (most likely due to required cascade delete record references)."
    )]
    Truncate,
    /// 400: the import names nothing.
    #[error("An error occurred while validating the submitted data.")]
    Form(FieldErrors),
    /// 400: nothing was imported.
    #[error("Failed to import collections.")]
    Import(FieldErrors),
    /// 400: the query of a dry run does not work.
    #[error("Invalid view query. Raw error: \n{0}")]
    View(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
