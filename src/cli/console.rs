//! What commands say: answers on standard output, complaints on standard error, each for people or for programs.

use std::io::Write;
use std::process::ExitCode;

use crate::app::OpenError;
use crate::kit::json::{self, Json, JsonMap};
use crate::store::StoreError;

/// How a command ended when not well.
#[derive(Debug)]
pub(super) enum Failure {
    /// What went wrong, for whoever typed it.
    Message(String),
    /// Another process serves the data directory.
    Taken(String),
}

impl Failure {
    pub(super) fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }

    fn code(&self) -> u8 {
        match self {
            Self::Message(_) => 1,
            Self::Taken(_) => 3,
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::Settings(_)
            | OpenError::Collections(_)
            | OpenError::Threads(_)
            | OpenError::Authorities(..) => Self::Message(error.to_string()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::Taken { .. } => Self::Taken(text),
            _ => Self::Message(text),
        }
    }
}

/// Where a command speaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Console {
    /// In JSON, for programs.
    pub(super) json: bool,
}

impl Console {
    /// Says `text`, or `facts` to a program. A reader that has gone misses it: nothing to be done.
    pub(super) fn say(self, text: &str, facts: &[(&str, Json)]) {
        let line = if self.json {
            let facts = facts
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()));
            json::to_text(&Json::Object(facts.collect::<JsonMap>()))
        } else {
            text.to_owned()
        };
        let mut out = std::io::stdout().lock();
        drop(writeln!(out, "{line}"));
        drop(out.flush());
    }

    /// Says what whoever typed it should think about; on standard error, so that answers stay what they are.
    pub(super) fn warn(self, text: &str) {
        let line = if self.json {
            json::to_text(&serde_json::json!({ "warning": text }))
        } else {
            format!("Warning: {text}")
        };
        drop(writeln!(std::io::stderr().lock(), "{line}"));
    }

    /// Says why it failed; the exit code.
    pub(super) fn complain(self, failure: &Failure) -> ExitCode {
        let (Failure::Message(text) | Failure::Taken(text)) = failure;
        let line = if self.json {
            json::to_text(&serde_json::json!({ "error": text }))
        } else {
            format!("Error: {text}")
        };
        drop(writeln!(std::io::stderr().lock(), "{line}"));
        ExitCode::from(failure.code())
    }
}
