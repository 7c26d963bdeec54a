//! One request, one connection: few are sent, and none should wait in a pool for a server that closed it long ago.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};

use super::guard::is_public;
use super::tls;
use crate::kit::limits::{OUTBOUND_HEADERS_MAX, OUTBOUND_REDIRECTS_MAX};
use crate::kit::task::Task;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("burrow/", env!("CARGO_PKG_VERSION")));

/// How far a URL may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere: a superuser chose the URL.
    Anywhere,
    /// Out of this machine and its network: somebody else sent the URL.
    Public,
}

/// What is asked of whom.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The method.
    pub method: Method,
    /// Where; `http` or `https`.
    pub url: Url,
    /// Headers besides those that every request has.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How far the URL, and where it redirects to, may lead.
    pub reach: Reach,
    /// Time for everything, redirects included.
    pub timeout: Duration,
    /// Bytes that the answer may have.
    pub answer_bytes_max: usize,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
    /// Where it came from, after redirects.
    pub url: Url,
}

/// Why nothing came back. Never shown to who sent the URL: it would tell of the network behind the server.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// Not a URL of the web.
    #[error("the URL cannot be asked")]
    Url,
    /// The address is not public, or there is none.
    #[error("no address of the host may be asked")]
    Address,
    /// Too late.
    #[error("no answer in time")]
    Timeout,
    /// Too many redirects, or one to somewhere less safe.
    #[error("redirected too often or out of TLS")]
    Redirect,
    /// The answer is too large or packed.
    #[error("the answer is too large or packed")]
    Body,
    /// The connection.
    #[error("the connection failed: {0}")]
    Connection(String),
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    /// Private networks that anybody's URL may lead to.
    open: Vec<IpNet>,
    /// PEM file of further authorities to trust.
    authorities: Option<PathBuf>,
    tls: OnceCell<Option<TlsConnector>>,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound")
            .field("open", &self.0.open)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// A client; URLs sent by anybody may lead to the networks of `open` although they are private.
    #[must_use]
    pub fn new(open: Vec<IpNet>) -> Self {
        Self::trusting(open, None)
    }

    /// The same, trusting also whom the authorities in a PEM file vouch for.
    #[must_use]
    pub fn trusting(open: Vec<IpNet>, authorities: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner {
            open,
            authorities,
            tls: OnceCell::new(),
        }))
    }

    /// Asks and follows redirects (of GET only) within the same bounds.
    ///
    /// # Errors
    /// Whatever hindered an answer; an answer of any status is none.
    pub async fn send(&self, ask: Ask) -> Result<Reply, OutboundError> {
        let timeout = ask.timeout;
        tokio::time::timeout(timeout, Box::pin(self.follow(ask)))
            .await
            .map_err(|_| OutboundError::Timeout)?
    }

    async fn follow(&self, mut ask: Ask) -> Result<Reply, OutboundError> {
        for _ in 0..=OUTBOUND_REDIRECTS_MAX {
            let response = self.once(&ask).await?;
            let target = response.headers().get(header::LOCATION);
            if ask.method != Method::GET || !response.status().is_redirection() || target.is_none()
            {
                return read(response, ask).await;
            }
            let next = target
                .and_then(|value| value.to_str().ok())
                .and_then(|text| ask.url.join(text).ok())
                .ok_or(OutboundError::Redirect)?;
            if ask.url.scheme() == "https" && next.scheme() != "https" {
                return Err(OutboundError::Redirect);
            }
            if next.origin() != ask.url.origin() {
                // Credentials are for whom they were meant.
                ask.headers.clear();
            }
            ask.url = next;
        }
        Err(OutboundError::Redirect)
    }

    async fn once(&self, ask: &Ask) -> Result<Response<Incoming>, OutboundError> {
        let secure = match ask.url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(OutboundError::Url),
        };
        let host = ask.url.host().ok_or(OutboundError::Url)?;
        let stream = self.connect(ask, &host).await?;
        let request = request(ask)?;
        if !secure {
            return exchange(TokioIo::new(stream), request).await;
        }
        let name = match host {
            Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
                .map_err(|_| OutboundError::Url)?,
            Host::Ipv4(ip) => ServerName::IpAddress(std::net::IpAddr::V4(ip).into()),
            Host::Ipv6(ip) => ServerName::IpAddress(std::net::IpAddr::V6(ip).into()),
        };
        let tls = self.tls().await?;
        let stream = tls.connect(name, stream).await.map_err(failed)?;
        exchange(TokioIo::new(stream), request).await
    }

    /// Connects to the first address that may be asked and answers. The name is resolved here and nowhere else, so that
    /// a second answer of the resolver cannot lead elsewhere.
    async fn connect(&self, ask: &Ask, host: &Host<&str>) -> Result<TcpStream, OutboundError> {
        let port = ask.url.port_or_known_default().ok_or(OutboundError::Url)?;
        let addresses: Vec<SocketAddr> = match host {
            Host::Ipv4(ip) => vec![(*ip, port).into()],
            Host::Ipv6(ip) => vec![(*ip, port).into()],
            Host::Domain(name) => tokio::net::lookup_host((*name, port))
                .await
                .map_err(failed)?
                .collect(),
        };
        let mut trouble = OutboundError::Address;
        for address in addresses {
            let ip = address.ip();
            let allowed = ask.reach == Reach::Anywhere
                || is_public(ip)
                || self
                    .0
                    .open
                    .iter()
                    .any(|net| net.contains(&ip.to_canonical()));
            if !allowed {
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => trouble = failed(error),
            }
        }
        Err(trouble)
    }

    async fn tls(&self) -> Result<&TlsConnector, OutboundError> {
        // Reading a machine's certificates takes a while, and most servers never ask anybody.
        let authorities = self.0.authorities.clone();
        let load = async || {
            tokio::task::spawn_blocking(move || tls::connector(authorities.as_deref()))
                .await
                .ok()
                .flatten()
        };
        let connector = self.0.tls.get_or_init(load).await;
        connector
            .as_ref()
            .ok_or_else(|| OutboundError::Connection("TLS cannot be set up".to_owned()))
    }
}

fn request(ask: &Ask) -> Result<Request<Full<Bytes>>, OutboundError> {
    let url = &ask.url;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or("")),
        None => url.host_str().unwrap_or("").to_owned(),
    };
    let mut request = Request::new(Full::new(ask.body.clone()));
    *request.method_mut() = ask.method.clone();
    *request.uri_mut() = target.parse().map_err(|_| OutboundError::Url)?;
    let headers = request.headers_mut();
    headers.extend(ask.headers.clone());
    let host = HeaderValue::from_str(&authority).map_err(|_| OutboundError::Url)?;
    headers.insert(header::HOST, host);
    headers.insert(header::USER_AGENT, AGENT);
    // What is not packed cannot be a bomb.
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, OutboundError>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(OUTBOUND_HEADERS_MAX)
        .handshake(stream)
        .await
        .map_err(failed)?;
    let driver = Task::spawn(async move {
        connection.await.ok();
    });
    let mut response = sender.send_request(request).await.map_err(failed)?;
    // The connection is driven as long as somebody reads the answer, and cut when nobody does.
    response.extensions_mut().insert(Arc::new(driver));
    Ok(response)
}

async fn read(response: Response<Incoming>, ask: Ask) -> Result<Reply, OutboundError> {
    let (parts, mut body) = response.into_parts();
    let packed = parts.headers.get(header::CONTENT_ENCODING);
    if packed.is_some_and(|encoding| encoding != "identity") {
        return Err(OutboundError::Body);
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(failed)?.into_data() else {
            continue;
        };
        if whole.len() + piece.len() > ask.answer_bytes_max {
            return Err(OutboundError::Body);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(Reply {
        status: parts.status,
        headers: parts.headers,
        body: whole.freeze(),
        url: ask.url,
    })
}

fn failed(error: impl std::fmt::Display) -> OutboundError {
    OutboundError::Connection(error.to_string())
}
