//! OAuth2 with a provider (contract-auth 2.11, 2.14): the link that sends somebody there, the token that their code buys,
//! and who the provider says they are. What a provider is made of stands in `schema::provider`; what becomes of the
//! person here is `oauth2`'s to decide. Believes only addresses that the provider has proven.

mod ask;
mod id_token;
mod offer;
mod profile;
mod service;

pub use offer::{Offer, logo};
pub use profile::Profile;
pub use service::{Code, ProviderError, Providers, Token};
