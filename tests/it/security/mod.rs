//! Security cases, a row each: the label in `docs/security-cases.md`, what is tried, and what must come back.

#![expect(clippy::too_many_lines, reason = "tables: one row a case")]

mod files;
mod identity;
mod injection;
mod load;
mod operations;
mod register;
mod rows;
mod rules;
mod same;
