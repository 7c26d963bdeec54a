//! Records: reading, writing and following them, each under the rules of its collection. Knows no HTTP: answers are
//! encoded bytes, made by the one encoder in [`sight`].

pub mod access;
pub mod account;
pub mod batch;
mod blobs;
pub mod bulk;
pub mod check;
pub mod create;
mod cursor;
mod direct;
mod download;
pub mod draft;
mod error;
pub mod expand;
mod explain;
mod footprint;
pub mod list;
mod proof;
mod refusal;
pub mod remove;
mod service;
pub mod sight;
mod system;
pub mod transfer;
pub mod update;
pub mod version;
pub mod view;

pub use direct::{Expected, Invited};
pub use download::Download;
pub use draft::{Draft, Submission};
pub use error::Error;
pub use explain::{Explained, Question};
pub use footprint::Footprint;
pub use list::{ListQuery, Listed};
pub use refusal::{Refusal, rule_name};
pub use service::{Records, delete};
pub use sight::{Lens, Sight};
pub use system::INSTALLER_EMAIL;
