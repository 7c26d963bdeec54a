//! Records in and out in bulk: CSV, JSON and NDJSON, as a stream in flat memory. An import judges each row as a create or
//! update by a superuser would be judged, and says what is wrong with each that is refused; an export gives what a list
//! gives.

mod csv;
mod export;
mod import;
mod items;
mod options;
mod report;
mod rows;
mod source;
mod write;

pub use export::Export;
pub use import::Watch;
pub use options::{Asked, Format, ImportOptions, OnError};
pub use report::{ImportReport, Progress, RowError};
pub use source::Input;
