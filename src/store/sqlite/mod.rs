//! The embedded engine: one writer thread with group commit, reader threads, WAL.

mod checkpoint;
mod columns;
mod connection;
mod console;
mod copy;
mod ddl;
mod examine;
mod functions;
mod job;
mod log;
mod open;
mod read;
mod readers;
mod row;
mod schema_rows;
mod snapshot;
mod view;
mod write;
mod writer;

pub(super) use connection::{Link, Role};
pub use console::{ConsoleColumn, ConsoleRows, SuperuserSql, raw_text};
pub(super) use copy::copy_compared;
pub use copy::{TableCopy, check_database};
pub use ddl::DdlError;
pub use examine::{Examined, examine};
pub use open::{Access, OpenOptions, Store};
pub use read::ReadTx;
pub use snapshot::Snapshot;
pub use write::WriteTx;

#[cfg(test)]
mod tests;
