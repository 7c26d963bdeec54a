//! Collections as superusers manage them: list, view, create, update, delete, truncate, import. Every change is one
//! transaction with the rows that it moves.

mod describe;
mod dry_run;
mod error;
mod exposure;
mod import;
mod list;
pub mod migrations;
mod own;
mod save;
mod service;

pub use error::Error;
pub use exposure::{Exposed, Level};
pub use service::Collections;
