//! Records: reading, writing and following them, each under the rules of its collection. Knows no HTTP: answers are
//! encoded bytes, made by the one encoder in [`sight`].

pub mod access;
mod error;
pub mod expand;
pub mod list;
pub mod sight;
pub mod view;

pub use error::Error;
pub use list::{ListQuery, Listed};
pub use sight::{Lens, Sight};
