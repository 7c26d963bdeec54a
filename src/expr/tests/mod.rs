//! The language as a whole: tables of facts, and the evaluator against SQLite.

mod cases;
mod random;
mod world;
