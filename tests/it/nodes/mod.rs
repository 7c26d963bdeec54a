//! Several servers of one PostgreSQL: what one of them does, all of them know.

mod away;
mod changes;
mod once;
mod places;
mod pooled;
mod replica;
mod sign_in;

pub(crate) use places::Program;
