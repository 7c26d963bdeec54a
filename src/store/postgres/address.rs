//! Where the database is, and how to speak to it: the usual connection strings, several hosts included, with the modes of
//! TLS that PostgreSQL's own programs know.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls_native_certs::load_native_certs;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};

use super::session::{Notice, driver};
use crate::kit::limits;
use crate::kit::secret::Secret;
use crate::store::StoreError;

/// How much of the server's certificate must be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verify {
    /// Nothing: the connection is private, and nobody knows with whom.
    Nothing,
    /// Its issuer.
    Issuer,
    /// Its issuer and its name.
    All,
}

/// A parsed connection string.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    tls: MakeRustlsConnect,
    /// Whether connections are shared between transactions.
    pooled: bool,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(***)")
    }
}

impl Address {
    /// Parses a connection string: `postgres://...`, or `key=value` pairs.
    pub(super) fn parse(text: &Secret<String>) -> Result<Self, StoreError> {
        let wrong = |cause: String| {
            StoreError::Directory(format!("the address of the database is wrong: {cause}"))
        };
        let (text, options) = take_options(text.reveal().trim()).map_err(wrong)?;
        let mut config: Config = text.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            wrong(cause.unwrap_or_else(|| error.to_string()))
        })?;
        let verify = match options.mode.as_deref() {
            Some("verify-full") => Verify::All,
            Some("verify-ca") => Verify::Issuer,
            Some("require") if options.roots.is_some() => Verify::Issuer,
            _ => Verify::Nothing,
        };
        if verify != Verify::Nothing {
            config.ssl_mode(SslMode::Require);
        }
        config
            .application_name("burrow")
            .connect_timeout(Duration::from_secs(limits::DATABASE_CONNECT_SECS_MAX))
            .keepalives_idle(Duration::from_secs(limits::DATABASE_SILENCE_SECS_MAX))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(limits::DATABASE_SILENCE_SECS_MAX));
        if config.get_hosts().len() > 1 {
            // Of several servers the one that takes writes, wherever it has moved.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Self {
            config,
            tls: connector(verify, options.roots).map_err(wrong)?,
            pooled: false,
        })
    }

    /// Where it is, without who asks.
    pub(super) fn place(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let hosts: Vec<String> = hosts.collect();
        let ports: Vec<String> = self.config.get_ports().iter().map(u16::to_string).collect();
        let name = self.config.get_dbname().or(self.config.get_user());
        format!(
            "{}:{}/{}",
            hosts.join(","),
            ports.join(","),
            name.unwrap_or("")
        )
    }

    /// The same, of a pooler: nothing that is said in one transaction holds in the next.
    pub(super) fn pooled(mut self) -> Self {
        self.pooled = true;
        self
    }

    /// The same, where any server of the list will do: what is read need not be the one that takes writes.
    pub(super) fn of_replica(mut self) -> Self {
        self.config.target_session_attrs(TargetSessionAttrs::Any);
        self
    }

    pub(super) fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// A client and what moves its connection.
    pub(super) async fn connect(
        &self,
        told: crossbeam_channel::Sender<Notice>,
    ) -> Result<(Client, std::pin::Pin<Box<dyn Future<Output = ()> + Send>>), StoreError> {
        let (client, connection) = self
            .config
            .connect(self.tls.clone())
            .await
            .map_err(|error| StoreError::unreachable(&error))?;
        Ok((client, driver(connection, told)))
    }
}

#[derive(Default)]
struct TlsOptions {
    mode: Option<String>,
    roots: Option<PathBuf>,
}

/// The connection string without what only we understand of it: `sslrootcert`, and the modes that verify.
fn take_options(text: &str) -> Result<(String, TlsOptions), String> {
    let mut options = TlsOptions::default();
    let mut take = |key: &str, value: &str| match key {
        "sslmode" => {
            options.mode = Some(value.to_owned());
            value.starts_with("verify-")
        }
        "sslrootcert" => {
            options.roots = (value != "system").then(|| PathBuf::from(value));
            true
        }
        _ => false,
    };
    let rest = if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        let Some((base, query)) = text.split_once('?') else {
            return Ok((text.to_owned(), options));
        };
        let kept: Vec<&str> = query
            .split('&')
            .filter(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
                !take(key, &value)
            })
            .collect();
        if kept.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", kept.join("&"))
        }
    } else {
        if !text.contains('=') {
            return Err("expected postgres://user:password@host/name".to_owned());
        }
        let kept: Vec<&str> = text
            .split_whitespace()
            .filter(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                !take(key, value.trim_matches('\''))
            })
            .collect();
        kept.join(" ")
    };
    Ok((rest, options))
}

fn connector(verify: Verify, roots: Option<PathBuf>) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(crypto::ring::default_provider());
    let mut store = RootCertStore::empty();
    match roots {
        Some(file) => {
            let failed = |error: &dyn std::fmt::Display| {
                format!("cannot use sslrootcert {}: {error}", file.display())
            };
            let read = CertificateDer::pem_file_iter(&file).map_err(|error| failed(&error))?;
            for certificate in read {
                let certificate = certificate.map_err(|error| failed(&error))?;
                store.add(certificate).map_err(|error| failed(&error))?;
            }
        }
        None => {
            store.add_parsable_certificates(load_native_certs().certs);
            if store.is_empty() {
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
        }
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider))
        .build()
        .map_err(|error| error.to_string())?;
    let verifier = Arc::new(Verifier {
        inner,
        verify,
        provider: Arc::clone(&provider),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Verifies as much as the mode says.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    verify: Verify,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let verified = || {
            self.inner
                .verify_server_cert(certificate, intermediates, name, ocsp, now)
        };
        match self.verify {
            Verify::Nothing => Ok(ServerCertVerified::assertion()),
            Verify::All => verified(),
            Verify::Issuer => match verified() {
                // The name is looked at last, when the issuer was right.
                Err(TlsError::InvalidCertificate(
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. },
                )) => Ok(ServerCertVerified::assertion()),
                other => other,
            },
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
