//! The housekeeper: settings, logs, scheduled jobs, limits, the superuser's console.

mod error;

pub use error::Error;
