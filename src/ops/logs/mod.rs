//! The log that superusers read: one line a request and what services report, written in batches off the request path.

mod entry;
mod query;
mod service;

pub use entry::{Entry, Request, expanded};
pub use query::{LogHour, LogList, LogRow};
pub use service::Logs;
