//! Why a live query ends, in the words and with the status that a list request would get.

use std::borrow::Cow;

use crate::records::Error;
use crate::store::StoreError;

/// What its reader is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: Cow<'static, str>,
}

impl Refusal {
    fn new(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// For an error of the list request behind it.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::UnknownCollection => Self::new(404, error.to_string()),
            Error::SuperusersOnly(_) | Error::OutOfScope | Error::SuperusersFilter(_) => {
                Self::new(403, error.to_string())
            }
            Error::TooLarge => Self::too_large(),
            Error::Store(StoreError::Timeout) => {
                Self::new(400, "The query takes too long to be kept true.")
            }
            error => {
                tracing::debug!(%error, "realtime: a live query cannot be read");
                Self::new(400, "Something went wrong while processing your request.")
            }
        }
    }

    /// The result is larger than one may be.
    pub(super) fn too_large() -> Self {
        Self::new(
            400,
            "The result is too large, please ask for fewer records.",
        )
    }

    /// All results together are more than the server keeps.
    pub(super) fn no_room() -> Self {
        Self::new(503, "Too many live queries.")
    }
}
