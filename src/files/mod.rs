//! Files of records: what clients upload, how it is named, kept, shown small and thrown away.

mod local;
pub mod name;
mod pending;
pub mod public;
mod service;
pub mod sniff;
mod sweep;
pub mod thumb;
mod upload;

pub use local::{Blob, Content, Key, RecordKey};
pub use pending::{Pending, named_by, stored_names};
pub use service::Files;
pub use upload::{Upload, UploadWriter};
