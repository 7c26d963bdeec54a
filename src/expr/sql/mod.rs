//! A settled expression as SQL: one boolean over the row under judgement. Joined rows are reached by `IN` and `EXISTS`,
//! never by a join of the statement itself, so that no row comes twice and counting and paging stay simple.
//!
//! The expression is cut at its disjunctions and wherever two conditions share no joined row of many: what hangs
//! together is searched together (contract 4.7), everything else on its own.

mod compare;
mod postgres;
mod row;
mod writer;

pub(super) use postgres::{Kind, column_kind};
pub(super) use row::{ROW_ALIAS, row_statement};
pub(super) use writer::Writer;
