//! What can go wrong with a bucket.

use std::io;

use crate::outbound::OutboundError;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The bucket cannot even be asked for.
    #[error("{0}")]
    Options(String),
    /// There is no such object.
    #[error("there is no such object")]
    Missing,
    /// The object is another one by now.
    #[error("the object has changed meanwhile")]
    Changed,
    /// The store said no.
    #[error("the store refused it with {status} {code}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The store's word for it.
        code: String,
        /// The store's sentence.
        message: String,
    },
    /// No answer came.
    #[error("the store cannot be reached: {0}")]
    Unreachable(#[from] OutboundError),
    /// The answer was none of S3.
    #[error("the answer of the store cannot be read: {0}")]
    Answer(String),
    /// Our own disk, under what was to be sent.
    #[error("{0}")]
    Disk(#[from] io::Error),
}

impl BucketError {
    /// Whether the same request may go well a moment later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
            Self::Unreachable(_) => true,
            Self::Options(_) | Self::Missing | Self::Changed | Self::Answer(_) | Self::Disk(_) => {
                false
            }
        }
    }
}

impl From<BucketError> for io::Error {
    fn from(error: BucketError) -> Self {
        let kind = match error {
            BucketError::Disk(error) => return error,
            BucketError::Missing => io::ErrorKind::NotFound,
            BucketError::Unreachable(_) => io::ErrorKind::NetworkUnreachable,
            BucketError::Options(_)
            | BucketError::Changed
            | BucketError::Refused { .. }
            | BucketError::Answer(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
