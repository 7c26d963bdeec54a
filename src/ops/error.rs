//! What can go wrong in the housekeeping services.

use crate::schema::FieldErrors;
use crate::store::StoreError;

/// A failure of a housekeeping service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The submitted settings do not hold.
    #[error("invalid settings")]
    InvalidSettings(FieldErrors),
    /// The submitted document has values of the wrong type.
    #[error("unreadable settings")]
    UnreadableSettings,
    /// There is no such log entry or job.
    #[error("{0}")]
    NotFound(&'static str),
    /// It cannot be done now, or not here, as the sentence says.
    #[error("{0}")]
    Refused(&'static str),
    /// The submitted form does not hold.
    #[error("{message}")]
    Invalid {
        /// What was being done.
        message: &'static str,
        /// What is wrong.
        data: FieldErrors,
    },
    /// Shown to superusers with the cause.
    #[error("{message} Raw error:{gap}\n{raw}")]
    Raw {
        /// What was being done, as a sentence.
        message: &'static str,
        /// What the contract has between the words and the new line: a space or nothing.
        gap: &'static str,
        /// The cause.
        raw: String,
    },
    /// The settings are not readable with the given key, or the key is of a wrong size.
    #[error("{0}")]
    Encryption(String),
    /// What the environment of the process says of settings does not hold.
    #[error("{0}")]
    Fixed(String),
    /// A filter, sort or page parameter does not hold.
    #[error("{0}")]
    BadQuery(&'static str),
    /// The database's own.
    #[error(transparent)]
    Store(#[from] StoreError),
}
