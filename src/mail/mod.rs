//! Mails: what they say, and how they leave. Sending happens off the request path, with retries; whoever posts a letter
//! learns how it ended. Knows no flow and no settings: what to send with is handed in.

mod error;
mod layout;
mod letter;
mod mailer;
mod plain;
mod relay;
mod template;

pub use error::Error;
pub use letter::Letter;
pub use mailer::{Mailer, Receipt, authorities};
pub use relay::{Login, Options, Outgoing, Relay, Smtp};
pub use template::{escaped, field_text, fill};
