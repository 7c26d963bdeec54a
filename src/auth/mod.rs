//! Who people are: passwords, tokens, sign-in and what ends it. One file per flow; every session begins in `finish`.

mod avatar;
mod callers;
mod error;
mod finish;
mod methods;
mod mfa;
mod oauth2;
mod oauth2_link;
mod oauth2_return;
mod origins;
mod otp;
pub mod password;
pub mod provider;
mod rows;
mod service;
mod sign_in;
mod throttle;
pub mod token;

pub use error::Error;
pub use finish::{Method, Outcome};
pub use methods::Methods;
pub use oauth2::OAuth2Form;
pub use oauth2_return::Returned;
pub use otp::CodeForm;
pub use password::Passwords;
pub use service::{Auth, file_token, session_token, static_token};
pub use sign_in::PasswordForm;
