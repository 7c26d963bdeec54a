//! The embedded engine: one writer thread with group commit, reader threads, WAL.

mod baseline;
mod checkpoint;
mod columns;
mod connection;
pub(super) mod console;
mod copy;
pub(super) mod ddl;
pub(super) mod departure;
mod examine;
mod functions;
pub(super) mod homecoming;
pub(super) mod log;
mod open;
mod readers;
mod replay;
#[cfg(test)]
mod rig;
mod row;
mod schema_rows;
mod snapshot;
mod tap;
mod vfs;
pub(super) mod view;
mod writer;

pub use baseline::Baseline;
pub(super) use connection::{Link, Role, optimize, step};
pub use console::raw_text;
pub(super) use copy::copy_compared;
pub use copy::{TableCopy, check_database};
pub use examine::{Examined, examine};
pub(super) use open::Database;
pub use replay::Replay;
pub(super) use row::{query_one, query_rows, run, run_with};
pub(super) use schema_rows::load as load_schema;
pub(super) use snapshot::Held;
pub use tap::{Tap, Tapped};
pub use vfs::{Disk, Raw, Refused, put_below};

#[cfg(test)]
mod tests;
