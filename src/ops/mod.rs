//! The housekeeper: settings, logs, scheduled jobs, limits, the superuser's console.

pub mod cron;
mod error;
pub mod settings;

pub use error::Error;
pub use settings::Settings;
