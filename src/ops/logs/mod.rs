//! The log that superusers read: one line a request and what services report, written in batches off the request path.

mod entry;
mod query;
mod sampler;
mod service;

pub use entry::{Entry, Request, expanded, redacted};
pub use query::{LogHour, LogList, LogRow};
pub use sampler::Kind;
pub use service::Logs;
