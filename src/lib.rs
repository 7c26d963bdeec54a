//! Burrow: a backend in one executable. The map of the house is in `ARCHITECTURE.md`; floors look down only:
//! `http` and `cli` over `records`, `auth`, `realtime`, `ops` over `store`, `files` over `expr`, `schema`, `call` over `kit`.

pub mod call;
pub mod expr;
pub mod kit;
pub mod schema;
pub mod store;
