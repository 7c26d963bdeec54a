//! Burrow: a backend in one executable. The map of the house is in `ARCHITECTURE.md`; floors look down only:
//! `http` and `cli` over `records`, `auth`, `realtime`, `ops` over `store`, `files`, `mail`, `bucket`, `outbound`, `certs` over `expr`, `schema`, `call` over `kit`.

pub mod app;
pub mod auth;
pub mod bucket;
pub mod call;
pub mod certs;
pub mod cli;
pub mod collections;
pub mod config;
pub mod expr;
pub mod files;
pub mod http;
pub mod kit;
pub mod mail;
pub mod ops;
pub mod outbound;
pub mod realtime;
pub mod records;
pub mod schema;
pub mod store;
#[cfg(test)]
#[expect(
    dead_code,
    reason = "the integration tests stop and copy theirs as well"
)]
#[path = "../tests/it/support/postgres.rs"]
mod test_server;
