//! Who people are: passwords, tokens, sign-in and what ends it.

pub mod password;

pub use password::Passwords;
