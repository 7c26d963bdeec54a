//! What a TLS listener shows to whom: one pair for every name, or a pair of its own for each of some names; and the
//! answers to an authority's challenges while it asks.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::CertError;
use super::keyed::Keyed;

/// The protocol of RFC 8737, spoken by an authority that looks for its challenge, and by nobody else.
pub const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// Pairs by name. Changed while listeners use it.
#[derive(Debug, Default)]
pub struct Shelf(RwLock<Shown>);

#[derive(Debug, Default)]
struct Shown {
    /// For whoever asks for no name that has a pair of its own.
    anybody: Option<Arc<CertifiedKey>>,
    named: HashMap<String, Arc<CertifiedKey>>,
    /// Challenges over TLS, by name.
    proofs: HashMap<String, Arc<CertifiedKey>>,
    /// Challenges over HTTP: token to answer.
    answers: HashMap<String, String>,
}

impl Shelf {
    /// The answer to an authority that asks for `token` under `/.well-known/acme-challenge/`.
    #[must_use]
    pub fn answer(&self, token: &str) -> Option<String> {
        self.0.read().answers.get(token).cloned()
    }

    /// Whether anything can be shown yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let shown = self.0.read();
        shown.anybody.is_none() && shown.named.is_empty()
    }

    /// How a listener speaks TLS with what stands here: 1.2 and 1.3, HTTP/2 before HTTP/1.1.
    ///
    /// # Errors
    /// When no version of TLS can be spoken.
    pub fn config(self: &Arc<Self>) -> Result<ServerConfig, CertError> {
        let provider = Arc::new(crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| CertError::Unusable(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), ACME_PROTOCOL.to_vec()];
        Ok(config)
    }

    pub(super) fn show_anybody(&self, keyed: &Keyed) {
        self.0.write().anybody = Some(keyed.key.clone());
    }

    pub(super) fn show(&self, name: &str, keyed: &Keyed) {
        let mut shown = self.0.write();
        shown.named.insert(name.to_owned(), keyed.key.clone());
    }

    pub(super) fn prove(&self, name: &str, keyed: &Keyed) {
        let mut shown = self.0.write();
        shown.proofs.insert(name.to_owned(), keyed.key.clone());
    }

    pub(super) fn reply(&self, token: &str, answer: &str) {
        let mut shown = self.0.write();
        shown.answers.insert(token.to_owned(), answer.to_owned());
    }

    /// Forgets what an order had to prove.
    pub(super) fn forget(&self, name: &str, token: &str) {
        let mut shown = self.0.write();
        shown.proofs.remove(name);
        shown.answers.remove(token);
    }
}

impl ResolvesServerCert for Shelf {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let challenged = hello
            .alpn()
            .is_some_and(|mut protocols| protocols.any(|protocol| protocol == ACME_PROTOCOL));
        let shown = self.0.read();
        if challenged {
            return shown.proofs.get(&name?).cloned();
        }
        let own = name.and_then(|name| shown.named.get(&name));
        own.or(shown.anybody.as_ref()).cloned()
    }
}
