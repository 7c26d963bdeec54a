//! The housekeeper: settings, logs, scheduled jobs, limits, the superuser's console.

pub mod cron;
mod error;
mod limiter;
pub mod settings;

pub use error::Error;
pub use limiter::Limiter;
pub use settings::Settings;
