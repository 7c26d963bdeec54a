//! The world's rows: the only SQL besides the expression compiler's. Reads and writes are synchronous closures on the
//! store's own threads, so that no `.await` can happen while the database is held.

pub mod change;
mod cursor;
mod difference;
mod directory;
mod error;
mod logs;
mod query;
mod sqlite;

pub use change::{Action, Change, ChangeKind, CommitGroup, Cursor, Entry, Position, Subject};
pub use cursor::CursorSeal;
pub use difference::Concerned;
pub use directory::{Restore, Transplanted, free_bytes, is_state, transplant};
pub use error::StoreError;
pub use logs::{LogEntry, LogTx, Logs};
pub use query::{After, Page, Referring, Select};
pub use sqlite::{
    Access, ConsoleColumn, ConsoleRows, DdlError, Examined, OpenOptions, ReadTx, Snapshot, Store,
    SuperuserSql, TableCopy, WriteTx, check_database, examine, raw_text,
};
