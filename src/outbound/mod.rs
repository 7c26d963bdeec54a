//! Requests that the server itself sends: to providers, for their keys, for pictures. Everything is bounded (time, bytes,
//! redirects), and a URL that users or providers send never leads into a private network: the address that is connected to
//! is the one that was judged. Knows neither providers nor records.

mod client;
mod guard;
mod pool;
mod tls;

pub use client::{Ask, Outbound, OutboundError, Reach, Reply};
pub use pool::{Payload, Pool};
