//! Scenarios: one file a feature.

mod command;
mod directory;
