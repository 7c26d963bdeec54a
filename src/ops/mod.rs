//! The housekeeper: settings, logs, scheduled jobs, limits, the superuser's console.

mod backup;
pub mod console;
pub mod cron;
pub mod doctor;
mod error;
mod limiter;
pub mod logs;
pub mod metrics;
pub mod settings;
pub mod ship;

pub use backup::{ArchiveError, Backups, extract_archive};
pub use error::Error;
pub use limiter::{Limiter, Standing};
pub use logs::Logs;
pub use metrics::Metrics;
pub use settings::Settings;
