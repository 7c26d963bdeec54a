//! What can go wrong with the database, by what the caller should do about it.

use rusqlite::ErrorCode;
use rusqlite::ffi;
use tokio_postgres::error::SqlState;

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
    /// The database cannot be reached: try later (503).
    #[error("the database cannot be reached: {0}")]
    Away(String),
    /// What only the embedded engine has.
    #[error("not with PostgreSQL")]
    Elsewhere,
    /// A text that the database cannot hold (a NUL in it).
    #[error("the text cannot be stored")]
    Unstorable,
    /// Anything else of PostgreSQL; as [`StoreError::Sqlite`].
    #[error("{}", postgres_words(.0))]
    Postgres(tokio_postgres::Error),
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

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else {
            if error.is_closed() || is_broken(&error) {
                return Self::unreachable(&error);
            }
            return Self::Postgres(error);
        };
        match *said.code() {
            SqlState::UNIQUE_VIOLATION => Self::NotUnique {
                table: said.table().unwrap_or("").to_owned(),
                columns: key_columns(said.detail().unwrap_or("")),
            },
            SqlState::QUERY_CANCELED => Self::Timeout,
            SqlState::LOCK_NOT_AVAILABLE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::T_R_SERIALIZATION_FAILURE => Self::Busy,
            SqlState::DISK_FULL => Self::Full,
            SqlState::READ_ONLY_SQL_TRANSACTION => Self::Refused,
            SqlState::CHARACTER_NOT_IN_REPERTOIRE | SqlState::UNTRANSLATABLE_CHARACTER => {
                Self::Unstorable
            }
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::TOO_MANY_CONNECTIONS
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
            | SqlState::CONNECTION_EXCEPTION
            | SqlState::CONNECTION_DOES_NOT_EXIST
            | SqlState::CONNECTION_FAILURE => Self::unreachable(&error),
            _ => Self::Postgres(error),
        }
    }
}

impl StoreError {
    /// Whether the same may go well a little later: the database is away, or held by somebody.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Busy)
    }

    /// The database is away, with the reason that the client gives.
    pub(super) fn unreachable(error: &tokio_postgres::Error) -> Self {
        Self::Away(postgres_words(error))
    }
}

/// What went wrong, with its cause: the client's own words are too short.
fn postgres_words(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => said.message().to_owned(),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

/// Whether the connection is what failed.
fn is_broken(error: &tokio_postgres::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if inner.is::<std::io::Error>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// Columns of `Key (a, "b", lower(c))=(...) already exists.`, expressions by the column that they are over.
fn key_columns(detail: &str) -> Vec<String> {
    let Some(list) = detail
        .strip_prefix("Key (")
        .and_then(|rest| rest.split_once(")=("))
        .map(|(list, _)| list)
    else {
        return Vec::new();
    };
    list.split(", ")
        .map(|column| {
            let inner = column
                .strip_prefix("lower(")
                .map_or(column, |inner| inner.trim_end_matches(')'));
            let inner = inner.split(" COLLATE ").next().unwrap_or(inner);
            inner.trim_matches(['(', ')', '"']).to_owned()
        })
        .collect()
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
    fn keys_of_postgresql_name_their_columns() {
        let detail = "Key (\"collectionRef\", lower(email COLLATE \"C\"))=(a, b) already exists.";
        assert_eq!(key_columns(detail), ["collectionRef", "email"]);
        assert!(key_columns("something else").is_empty());
    }

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
