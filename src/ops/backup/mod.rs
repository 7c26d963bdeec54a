//! Backups: the whole state of the directory as one archive, made while writes go on, and put back as a whole.

mod archive;
mod name;
mod service;
mod shelf;

pub use archive::{ArchiveError, extract as extract_archive};
pub use service::Backups;
