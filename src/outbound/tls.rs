//! TLS to others: the roots that this machine trusts, or Mozilla's where it has none (a bare container).

use std::path::Path;
use std::sync::Arc;

use rustls_native_certs::load_native_certs;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// A connector that verifies everybody, by what this machine trusts and by the `authorities` of a PEM file. Reads files;
/// `None` where no protocol version can be spoken.
pub(super) fn connector(authorities: Option<&Path>) -> Option<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let native = load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = authorities {
        match CertificateDer::pem_file_iter(path) {
            Ok(given) => {
                roots.add_parsable_certificates(given.filter_map(Result::ok));
            }
            Err(error) => tracing::warn!(%error, path = %path.display(), "no authority is trusted"),
        }
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(TlsConnector::from(Arc::new(config)))
}
