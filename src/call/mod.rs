//! Who asks, when, from where, and with what: everything a service may know of a caller. No headers types, no axum.

mod caller;
mod key;

pub use caller::{Actor, Call, Context, Identity};
pub use key::{Key, Reach, ScopeError, Scopes};
