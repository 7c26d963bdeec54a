//! What happens around every handler, in the contract's order (contract 1.2), as plain functions: a stack of boxed
//! middlewares would cost more than many handlers.

mod around;
mod clean;
mod cors;
mod headers;
mod limits;
mod log;
mod named;
mod packed;
mod www;

pub(super) use around::{is_misplaced, respond};
pub(super) use cors::allowed_origin;
pub(super) use headers::Frameable;
