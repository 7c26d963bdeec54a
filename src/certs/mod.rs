//! Certificates of our own HTTPS: given as files and read again when they change, or had from an authority that speaks
//! ACME (RFC 8555), renewed in time and kept in the data directory. Knows no HTTP but the answers to an authority's
//! challenges.

mod acme;
mod cache;
mod file;
mod keyed;
mod shelf;

pub use acme::{Acme, LETS_ENCRYPT, is_certifiable};
pub use file::Pair;
pub use shelf::{ACME_PROTOCOL, Shelf};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// Not PEM, not a key, not a pair.
    #[error("{0}")]
    Unusable(String),
    /// The authority, or the way to it.
    #[error("the certificate authority: {0}")]
    Authority(String),
}
