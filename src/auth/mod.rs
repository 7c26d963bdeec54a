//! Who people are: passwords, tokens, sign-in and what ends it.

mod address;
mod callers;
pub mod password;
mod service;
pub mod token;

pub use address::superuser_address;
pub use password::Passwords;
pub use service::{Auth, file_token, session_token, static_token};
