//! The world's rows: the only SQL besides the expression compiler's. Reads and writes are synchronous closures on the
//! store's own threads, so that no `.await` can happen while the database is held.

pub mod change;
mod console;
mod cursor;
mod ddl;
mod difference;
mod directory;
mod engine;
mod error;
mod graduate;
mod job;
mod logs;
mod postgres;
mod query;
mod read;
mod shared;
mod snapshot;
mod sqlite;
mod undo;
mod view;
mod write;

pub use change::{Action, Change, ChangeKind, CommitGroup, Cursor, Entry, Position, Subject};
pub use console::{ConsoleColumn, ConsoleRows, SuperuserSql};
pub use cursor::CursorSeal;
pub use ddl::DdlError;
pub use difference::Concerned;
pub use directory::{
    Offline, Restore, Transplanted, free_bytes, hold_alone, is_state, moved_to, transplant,
};
pub use engine::{Access, OpenOptions, Remote, Storage, Store};
pub use error::StoreError;
pub use graduate::{Graduated, Moved, Step, Sum, back, graduate, is_ours};
pub use logs::{LogEntry, LogTx, Logs};
pub use postgres::{Common, Counted, Note};
pub use query::{After, Page, Referring, Select};
pub use read::ReadTx;
pub use snapshot::Snapshot;
pub use sqlite::{
    Baseline, Disk, Examined, Raw, Refused, Replay, TableCopy, Tap, Tapped, check_database,
    examine, put_below, raw_text,
};
pub use write::WriteTx;
