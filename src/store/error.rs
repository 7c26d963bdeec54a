//! What can go wrong with the database, by what the caller should do about it.

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A unique index refused a row; the columns it names (empty for expression indexes).
    #[error("unique constraint failed: {columns:?}")]
    NotUnique {
        /// Table whose index refused.
        table: String,
        /// Columns of the index.
        columns: Vec<String>,
    },
    /// The queue is full or too old: try later (503).
    #[error("the database is busy")]
    Busy,
    /// The deadline passed; nothing was changed.
    #[error("the database took too long")]
    Timeout,
    /// No room left on the disk; nothing was changed.
    #[error("no space left on the disk")]
    Full,
    /// The store is closing.
    #[error("the database is closed")]
    Closed,
    /// Anything else of the database; the text is for logs and for superusers' own SQL.
    #[error(transparent)]
    Sqlite(rusqlite::Error),
}
