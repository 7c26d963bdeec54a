//! Migrations: changes of collections as files that people read, review and apply elsewhere. A file of JSON holds steps
//! forward and back; a file of SQL holds statements. Each is applied in one transaction, which also notes its name.

mod apply;
mod difference;
mod file;
mod folder;
mod journal;

pub use apply::{Applied, MigrationError, State, Status};
pub use file::{Migration, Step};
pub use folder::Folder;
pub(super) use journal::Journal;
