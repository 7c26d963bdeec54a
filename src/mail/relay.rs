//! The way out: an SMTP server, or the local `sendmail`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSendmailTransport, AsyncTransport, Message, Tokio1Executor};

use super::Error;
use crate::kit::limits::SMTP_ANSWER_SECS_MAX;
use crate::kit::secret::Secret;

/// The name in EHLO when none is set.
const LOCAL_NAME: &str = "localhost";

/// Who sends, and by which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The way.
    pub relay: Relay,
    /// Name of the sender.
    pub sender_name: String,
    /// Address of the sender.
    pub sender_address: String,
}

/// A way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relay {
    /// The local program.
    Sendmail,
    /// A server.
    Smtp(Smtp),
}

/// How to reach a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// Host.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User name; without one and without a password nobody signs in.
    pub username: String,
    /// Password.
    pub password: Secret<String>,
    /// How to sign in.
    pub login: Login,
    /// TLS from the first byte; otherwise it begins with STARTTLS where the server offers that.
    pub tls: bool,
    /// Name given in EHLO; empty for the default.
    pub local_name: String,
}

/// What of this machine mail needs.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where `sendmail` may be, the first place that has it counts.
    pub sendmail: Vec<PathBuf>,
    /// Authorities whose certificates servers may show, besides the system's.
    pub authorities: Vec<Certificate>,
}

/// A way to sign in to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// RFC 4616.
    Plain,
    /// What older servers ask for.
    Login,
}

/// An open way out. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum Way {
    Sendmail(Option<PathBuf>),
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

impl Way {
    /// Prepares `relay`.
    pub(super) fn open(relay: &Relay, here: &Options) -> Result<Self, Error> {
        match relay {
            Relay::Sendmail => {
                let programs = &here.sendmail;
                let program = programs.iter().find(|program| is_program(program));
                Ok(Self::Sendmail(program.cloned()))
            }
            Relay::Smtp(smtp) => Ok(Self::Smtp(transport(smtp, &here.authorities)?)),
        }
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), Error> {
        match self {
            Self::Sendmail(None) => Err(Error::NoSendmail),
            Self::Sendmail(Some(program)) => {
                let sendmail = AsyncSendmailTransport::<Tokio1Executor>::new_with_command(program);
                let sent = sendmail.send(message).await;
                sent.map_err(|error| Error::Temporary(error.to_string()))
            }
            Self::Smtp(transport) => match transport.send(message).await {
                Ok(_) => Ok(()),
                Err(error) if error.is_permanent() || error.is_client() || error.is_tls() => {
                    Err(Error::Refused(error.to_string()))
                }
                Err(error) => Err(Error::Temporary(error.to_string())),
            },
        }
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file())
}

fn transport(
    smtp: &Smtp,
    authorities: &[Certificate],
) -> Result<AsyncSmtpTransport<Tokio1Executor>, Error> {
    let signs_in = !smtp.username.is_empty() || !smtp.password.reveal().is_empty();
    let tls = || tls(&smtp.host, authorities);
    let tls = if smtp.tls {
        Tls::Wrapper(tls()?)
    } else if signs_in && !is_this_machine(&smtp.host) {
        // A password does not cross a network in the clear, whatever the server offers or hides.
        Tls::Required(tls()?)
    } else {
        Tls::Opportunistic(tls()?)
    };
    let local_name = if smtp.local_name.is_empty() {
        LOCAL_NAME
    } else {
        &smtp.local_name
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host)
        .port(smtp.port)
        .tls(tls)
        .timeout(Some(Duration::from_secs(SMTP_ANSWER_SECS_MAX)))
        .hello_name(ClientId::Domain(local_name.to_owned()));
    if signs_in {
        let password = smtp.password.reveal().clone();
        builder = builder
            .credentials(Credentials::new(smtp.username.clone(), password))
            .authentication(vec![match smtp.login {
                Login::Plain => Mechanism::Plain,
                Login::Login => Mechanism::Login,
            }]);
    }
    Ok(builder.build())
}

/// The system's authorities, else those that are built in: a container of one file has none of its own.
fn tls(host: &str, authorities: &[Certificate]) -> Result<TlsParameters, Error> {
    let store = if rustls_native_certs::load_native_certs().certs.is_empty() {
        CertificateStore::WebpkiRoots
    } else {
        CertificateStore::Default
    };
    let mut builder = TlsParameters::builder(host.to_owned()).certificate_store(store);
    for authority in authorities {
        builder = builder.add_root_certificate(authority.clone());
    }
    builder
        .build_rustls()
        .map_err(|error| Error::Refused(error.to_string()))
}

fn is_this_machine(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_the_program_nothing_is_sent() {
        let nowhere = Options {
            sendmail: vec!["/nowhere/sendmail".into()],
            ..Options::default()
        };
        let message = Message::builder()
            .from("a@example.com".parse().unwrap())
            .to("b@example.com".parse().unwrap())
            .body(String::new())
            .unwrap();
        let way = Way::open(&Relay::Sendmail, &nowhere).unwrap();
        assert_eq!(way.send(message).await, Err(Error::NoSendmail));
    }
}
