//! Scheduled jobs: when they are due, what they do, and running one on demand.

mod expression;

pub use expression::Expression;
