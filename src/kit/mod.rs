//! The ground: ids, clock, numbers, JSON text, limits, tasks. Knows nothing of collections, callers or databases.

pub mod address;
pub mod clock;
mod excerpt;
pub mod fields;
pub mod id;
pub mod json;
pub mod limits;
pub mod paging;
pub mod secret;
pub mod sql;
pub mod task;
pub mod time;
pub mod value;
