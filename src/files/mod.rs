//! Files of records: what clients upload, how it is named, kept, shown small and thrown away.

mod blob;
mod direct;
mod key;
mod local;
pub mod name;
mod pending;
mod place;
pub mod public;
mod relocate;
mod service;
pub mod sniff;
mod sweep;
pub mod thumb;
mod upload;

pub use blob::{Blob, Content, Remote, Want};
pub use direct::Shared;
pub use key::{Key, RecordKey};
pub use pending::{Pending, named_by, stored_names};
pub use relocate::{MoveError, Progress, Relocation};
pub use service::{Buckets, Files};
pub use upload::{Upload, UploadWriter};
