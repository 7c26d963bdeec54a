//! Names -> meaning: an expression against a schema. What a guard forbids is refused here, before any row is read.

mod binder;
mod path;
mod request;

pub(super) use binder::{bind, bind_identifier, error};
