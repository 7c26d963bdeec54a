//! What scenarios are made of: a fresh server each ([`TestApp`]), people with or without a token ([`Person`]), and what
//! they hear ([`Reply`]).

mod app;
mod person;
mod provider;
mod wire;

pub use app::TestApp;
pub use person::Person;
pub use provider::{FakeProvider, Said};
pub use wire::{Reply, Request};
