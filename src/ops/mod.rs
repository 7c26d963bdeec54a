//! The housekeeper: settings, logs, scheduled jobs, limits, the superuser's console.

mod backup;
pub mod console;
pub mod cron;
mod error;
mod limiter;
pub mod logs;
pub mod settings;

pub use backup::Backups;
pub use error::Error;
pub use limiter::Limiter;
pub use logs::Logs;
pub use settings::Settings;
