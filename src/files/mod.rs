//! Files: what was uploaded, and where it is kept.

mod upload;

pub use upload::{Upload, UploadWriter};
