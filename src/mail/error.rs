//! Why a mail did not leave.

/// A mail that was not sent. The text is for superusers and the log: it names hosts and answers, never credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Mail goes through the local `sendmail`, and there is none.
    #[error("failed to locate a sendmail executable path")]
    NoSendmail,
    /// An address, or a header made of it, is not one that mail can carry.
    #[error("the mail cannot be written: {0}")]
    Unwritable(String),
    /// The server, or the way to it, may do better next time.
    #[error("{0}")]
    Temporary(String),
    /// The server will not take it, now or later.
    #[error("{0}")]
    Refused(String),
    /// It took longer than anybody waits.
    #[error("the mail server takes too long")]
    Late,
    /// Too many mails wait.
    #[error("too many mails wait to be sent")]
    Full,
}

impl Error {
    /// Whether another try may succeed.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Temporary(_) | Self::Late => true,
            Self::NoSendmail | Self::Unwritable(_) | Self::Refused(_) | Self::Full => false,
        }
    }
}
