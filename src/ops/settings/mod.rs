//! The settings of the whole product: one document, kept in the database, held in memory, changed by merging.

mod accounts;
pub mod apple;
mod crypt;
mod document;
mod fixed;
mod maps;
mod merge;
mod outgoing;
mod passkeys;
pub mod probe;
mod realtime;
mod service;
mod validate;

pub use document::{
    Backups, Batch, Document, Logs, Meta, RateLimits, RateRule, S3, Smtp, TrustedProxy,
};
pub use fixed::{Answered, Fixed};
pub use realtime::{ChannelRules, Realtime, fits, is_channel_name};
pub use service::{InForce, Settings};
pub(crate) use validate::network;
