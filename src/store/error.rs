//! What can go wrong with the database, by what the caller should do about it.

use rusqlite::ErrorCode;
use rusqlite::ffi;

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
    /// The row to change is not there any more.
    #[error("the row is gone")]
    Gone,
    /// The queue is full or too old: try later (503).
    #[error("the database is busy")]
    Busy,
    /// A superuser's statement that may not run: it writes where only reading is allowed, or reaches for files.
    #[error("the statement is not allowed here")]
    Refused,
    /// The deadline passed; nothing was changed.
    #[error("the database took too long")]
    Timeout,
    /// No room left on the disk; nothing was changed.
    #[error("no space left on the disk")]
    Full,
    /// The store is closing.
    #[error("the database is closed")]
    Closed,
    /// Another process serves the data directory.
    #[error("another server uses this data directory (process {holder})")]
    Taken {
        /// Its number.
        holder: String,
    },
    /// The data directory cannot be opened or holds what this program does not understand; the text is for its owner.
    #[error("{0}")]
    Directory(String),
    /// Anything else of the database; the text is for logs and for superusers' own SQL.
    #[error(transparent)]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, message) = &error else {
            return Self::Sqlite(error);
        };
        match failure.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                let (table, columns) = unique_columns(message.as_deref().unwrap_or(""));
                return Self::NotUnique { table, columns };
            }
            _ => {}
        }
        match failure.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::OperationInterrupted => Self::Timeout,
            _ => Self::Sqlite(error),
        }
    }
}

/// Table and columns of `UNIQUE constraint failed: t.a, t.b`; nothing for `... failed: index 'name'`, which SQLite
/// says of indexes over expressions.
fn unique_columns(message: &str) -> (String, Vec<String>) {
    let Some(list) = message.strip_prefix("UNIQUE constraint failed: ") else {
        return Default::default();
    };
    if list.starts_with("index '") {
        return Default::default();
    }
    let mut table = String::new();
    let mut columns = Vec::new();
    for part in list.split(", ") {
        if let Some((owner, column)) = part.split_once('.') {
            owner.clone_into(&mut table);
            columns.push(column.to_owned());
        }
    }
    (table, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_messages_name_their_columns() {
        let (table, columns) = unique_columns("UNIQUE constraint failed: posts.a, posts.b");
        assert_eq!((table.as_str(), columns.len()), ("posts", 2));
        assert_eq!(columns, ["a", "b"]);
        assert!(
            unique_columns("UNIQUE constraint failed: index 'low'")
                .1
                .is_empty()
        );
    }
}
