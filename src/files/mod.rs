//! Files of records: what clients upload, how it is named, kept, shown small and thrown away.

pub mod name;
pub mod sniff;
mod upload;

pub use upload::{Upload, UploadWriter};
