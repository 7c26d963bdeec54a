//! The filter and rule language: text -> parsed -> bound -> settled for a call -> SQL or a verdict in memory, both
//! saying the same for every row. Pure: no I/O. Only `sql` writes SQL text.

mod ast;
pub mod back_relation;
mod bind;
mod bound;
mod catalog;
mod channel;
mod compare;
mod eval;
mod explain;
mod functions;
mod json_path;
mod leaf;
mod lex;
mod macros;
mod parse;
mod plan;
mod request;
mod settled;
mod sort;
mod sql;
#[cfg(test)]
mod tests;

pub use catalog::{BindError, Catalog, Filter, Guard, Reach, Root, RuleState};
pub use channel::channel_row;
pub use explain::{Clause, Seen, Shape, Shown};
pub use functions::{GEO_DISTANCE, geo_distance};
pub use settled::Settled;
pub use sort::{Sort, SortKey};
