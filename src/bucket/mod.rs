//! A bucket of an S3 store: objects put, read, listed, copied and removed, and addresses signed for others to use. Every
//! request has bounds and is tried again where that may help; what goes over the wire is checked by its digest. Knows
//! neither records nor backups. Requests are signed with the world's time, not a handed-in clock: the store at the other
//! end judges them by it.

mod chosen;
mod client;
mod compare;
mod error;
mod list;
mod options;
mod put;
mod read;
mod share;
mod source;

pub use chosen::Chosen;
pub use client::Bucket;
pub use compare::digest_of_tag;
pub use error::BucketError;
pub use list::{Listed, Page};
pub use options::Options;
pub use put::Put;
pub use read::{Facts, Object};
pub use source::Source;
