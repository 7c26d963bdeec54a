//! Who people are: passwords, tokens, sign-in and what ends it. One file per flow; every session begins in `finish`.

mod callers;
mod error;
mod finish;
mod methods;
mod mfa;
mod origins;
mod otp;
pub mod password;
mod rows;
mod service;
mod sign_in;
mod throttle;
pub mod token;

pub use error::Error;
pub use finish::{Method, Outcome};
pub use methods::Methods;
pub use otp::CodeForm;
pub use password::Passwords;
pub use service::{Auth, file_token, session_token, static_token};
pub use sign_in::PasswordForm;
