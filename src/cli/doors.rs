//! Where `serve` listens, and with which certificates: from its flags to open listeners.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::console::Failure;
use crate::certs::{Acme, Pair, Shelf, is_certifiable};
use crate::config::Serve;
use crate::http;
use crate::kit::clock::Clock;
use crate::kit::task::Task;
use crate::outbound::Outbound;

const HTTP: &str = "127.0.0.1:8090";
const HTTP_BESIDE_HTTPS: &str = "0.0.0.0:80";
const HTTPS: &str = "0.0.0.0:443";

/// What the flags ask for.
#[derive(Debug)]
pub(super) struct Doors {
    http: String,
    https: Option<Https>,
    names: Vec<String>,
}

#[derive(Clone, Debug)]
struct Https {
    address: String,
    source: Source,
}

/// Where certificates come from.
#[derive(Clone, Debug)]
enum Source {
    Files(Pair),
    Authority {
        directory: String,
        email: Option<String>,
        outbound: Outbound,
    },
}

/// Doors that are open.
pub(super) struct Open {
    pub(super) doors: http::Doors,
    /// What greets the user.
    pub(super) url: String,
    pub(super) at: Bound,
    /// Keeps certificates fresh for as long as it is held.
    pub(super) keepers: Vec<Task>,
}

/// The addresses that the system gave, so that who asked for port 0 finds the server there again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) http: SocketAddr,
    pub(super) https: Option<SocketAddr>,
}

impl Doors {
    pub(super) fn of(flags: &Serve) -> Result<Self, Failure> {
        let secure = !flags.domains.is_empty() || flags.tls_cert.is_some() || flags.https.is_some();
        let http = flags.http.clone().unwrap_or_else(|| {
            let usual = if secure { HTTP_BESIDE_HTTPS } else { HTTP };
            usual.to_owned()
        });
        let names = names(flags)?;
        let pair = match (&flags.tls_cert, &flags.tls_key) {
            (Some(chain), Some(key)) => Some(Pair {
                chain: chain.clone(),
                key: key.clone(),
            }),
            _ => None,
        };
        if !secure {
            let https = None;
            return Ok(Self { http, https, names });
        }
        let address = flags.https.clone().unwrap_or_else(|| HTTPS.to_owned());
        let source = match pair {
            Some(pair) => Source::Files(pair),
            None => authority(flags, &names)?,
        };
        let https = Some(Https { address, source });
        Ok(Self { http, https, names })
    }

    /// Hosts whose `www.` twin leads to them.
    pub(super) fn www_hosts(&self) -> Vec<String> {
        let bare = self.names.iter().filter(|name| !name.starts_with("www."));
        bare.cloned().collect()
    }

    /// Uses the addresses that the system gave before.
    pub(super) fn again_at(&mut self, bound: Bound) {
        self.http = bound.http.to_string();
        if let (Some(https), Some(at)) = (&mut self.https, bound.https) {
            https.address = at.to_string();
        }
    }

    pub(super) async fn open(&self, data_dir: &Path) -> Result<Open, Failure> {
        let (http, at) = listen(&self.http).await?;
        let mut open = Open {
            doors: http.into(),
            url: format!("http://{at}"),
            at: Bound {
                http: at,
                https: None,
            },
            keepers: Vec::new(),
        };
        if let Some(https) = &self.https {
            let (listener, at) = listen(&https.address).await?;
            let shelf = Arc::new(Shelf::default());
            open.keepers = self.stock(&https.source, &shelf, data_dir)?;
            open.url = self.secure_url(at);
            open.at.https = Some(at);
            open.doors.https = Some((listener, shelf));
        }
        Ok(open)
    }

    /// Puts certificates on the shelf, and keeps them fresh.
    fn stock(
        &self,
        source: &Source,
        shelf: &Arc<Shelf>,
        data_dir: &Path,
    ) -> Result<Vec<Task>, Failure> {
        match source {
            Source::Files(pair) => {
                pair.show(shelf)
                    .map_err(|error| Failure::message(error.to_string()))?;
                Ok(vec![Task::spawn(pair.clone().follow(shelf.clone()))])
            }
            Source::Authority {
                directory,
                email,
                outbound,
            } => {
                let acme = Acme {
                    directory: directory.clone(),
                    email: email.clone(),
                    outbound: outbound.clone(),
                    clock: Clock::system(),
                };
                let keep = |name: &String| {
                    let acme = acme.clone();
                    Task::spawn(acme.keep(name.clone(), data_dir.to_owned(), shelf.clone()))
                };
                Ok(self.names.iter().map(keep).collect())
            }
        }
    }

    fn secure_url(&self, at: SocketAddr) -> String {
        let host = self
            .names
            .first()
            .cloned()
            .unwrap_or_else(|| at.ip().to_string());
        match at.port() {
            443 => format!("https://{host}"),
            port => format!("https://{host}:{port}"),
        }
    }
}

/// The domains, lower-case, each once.
fn names(flags: &Serve) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    for domain in &flags.domains {
        let name = domain.trim().trim_end_matches('.').to_ascii_lowercase();
        if !is_certifiable(&name) {
            return Err(Failure::message(format!(
                "{domain:?} is not a domain: give names as they stand in DNS, without scheme, port or wildcard"
            )));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn authority(flags: &Serve, names: &[String]) -> Result<Source, Failure> {
    if names.is_empty() {
        return Err(Failure::message(
            "--https needs the domains to have certificates for, or --tls-cert and --tls-key",
        ));
    }
    if let Some(path) = &flags.acme_ca
        && let Err(error) = std::fs::metadata(path)
    {
        return Err(Failure::message(format!("{}: {error}", path.display())));
    }
    Ok(Source::Authority {
        directory: flags.acme_directory.clone(),
        email: flags.acme_email.clone(),
        outbound: Outbound::trusting(Vec::new(), flags.acme_ca.clone()),
    })
}

async fn listen(address: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::message(format!("cannot listen at {address}: {error}")))?;
    let at = listener
        .local_addr()
        .map_err(|error| Failure::message(format!("cannot listen: {error}")))?;
    Ok((listener, at))
}
