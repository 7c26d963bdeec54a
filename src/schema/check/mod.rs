//! Judging a draft: every error of contract 1.12 that needs no database. Rules are judged where the language is.

mod auth;
mod collection;
mod field;
mod limit;

pub use collection::{ACTIONS, World, check, check_stored_rules};
