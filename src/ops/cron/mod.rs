//! Scheduled jobs: when they are due, what they do, and running one on demand.

mod expression;
mod jobs;
mod scheduler;

pub use expression::Expression;
pub use jobs::Job;
pub use scheduler::{Crons, Work};
