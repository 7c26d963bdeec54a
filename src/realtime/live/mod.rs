//! Live queries: list requests that stay true. `desk` knows who asks what, `reading` reads results on threads of its
//! own, `query` and `window` keep the results that need no reading, `diff` says what is new.

mod desk;
mod diff;
mod frames;
mod mailbox;
mod query;
mod question;
mod reading;
mod refusal;
mod service;
mod shelf;
mod sub;
mod window;

pub use question::Question;
pub(super) use service::Live;
pub use service::Unanswered;
