//! The embedded engine: one writer thread with group commit, reader threads, WAL.

mod open;
mod read;
mod write;

pub use open::{OpenOptions, Store};
pub use read::ReadTx;
pub use write::WriteTx;
