//! What scenarios are made of: a fresh server each ([`TestApp`]), people with or without a token ([`Person`]), and what
//! they hear ([`Reply`]).

mod app;
mod disk;
mod person;
mod post;
pub mod postgres;
mod provider;
mod s3;
mod wire;

pub use app::{TestApp, on_postgres};
pub use disk::{eventually, files_below};
pub use person::Person;
pub use post::{MailServer, Security};
pub use provider::{FakeProvider, Said};
pub use s3::S3Server;
pub use wire::{Reply, Request, try_exchange};

/// Waits until `check` holds.
#[track_caller]
pub fn until(what: &str, check: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !check() {
        assert!(
            std::time::Instant::now() < deadline,
            "waited in vain until {what}"
        );
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
