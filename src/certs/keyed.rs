//! A private key with the chain that proves it.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::CertError;
use crate::kit::time::Timestamp;

/// What a listener shows, and the time in which it holds.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Keyed {
    /// The pair of a key and a chain, both PEM; they may stand in one text.
    pub(super) fn from_pem(key: &[u8], chain: &[u8]) -> Result<Self, CertError> {
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| unusable("the private key cannot be read", error))?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| unusable("the certificates cannot be read", error))?;
        Self::new(&key, chain)
    }

    fn new(
        key: &PrivateKeyDer<'static>,
        chain: Vec<CertificateDer<'static>>,
    ) -> Result<Self, CertError> {
        let leaf = chain
            .first()
            .ok_or_else(|| CertError::Unusable("there is no certificate".to_owned()))?;
        let (_, leaf) = X509Certificate::from_der(leaf)
            .map_err(|error| unusable("the certificate cannot be read", error))?;
        let validity = leaf.validity();
        let seconds = |at: i64| Timestamp::from_millis(at.saturating_mul(1_000));
        let (from, until) = (
            seconds(validity.not_before.timestamp()),
            seconds(validity.not_after.timestamp()),
        );
        let signer = any_supported_type(key)
            .map_err(|error| unusable("the private key is of no known kind", error))?;
        let key = CertifiedKey::new(chain, signer);
        key.keys_match()
            .map_err(|error| unusable("key and certificate are not a pair", error))?;
        Ok(Self {
            key: Arc::new(key),
            from,
            until,
        })
    }

    /// From when on it is to be renewed: when a third of its time is left, as authorities ask.
    pub(super) fn renew_at(&self) -> Timestamp {
        let (from, until) = (self.from.as_millis(), self.until.as_millis());
        Timestamp::from_millis(until - (until - from) / 3)
    }
}

fn unusable(what: &str, error: impl std::fmt::Display) -> CertError {
    CertError::Unusable(format!("{what}: {error}"))
}
