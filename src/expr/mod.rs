//! The filter and rule language: text -> parsed -> bound -> SQL or a verdict in memory, both saying the same for every row.
//! Pure: no I/O. Only `sql` writes SQL text.

mod catalog;

pub use catalog::{BindError, Catalog, Filter, Guard, Reach, Root, RuleState, Sort};
