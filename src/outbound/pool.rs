//! Requests to one place that is asked again and again: connections stay open between them, and bodies of any size flow in
//! both directions. Only for addresses that a superuser chose: the address behind a name is not judged.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tower_service::Service;

use super::{OutboundError, tls};
use crate::kit::limits::{POOL_CONNECT_SECS_MAX, POOL_HEAD_SECS_MAX, POOL_IDLE_SECS_MAX};

/// The body of a request.
pub type Payload = BoxBody<Bytes, io::Error>;

/// Connections to wherever requests were sent lately. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Client<Connector, Payload>);

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

impl Pool {
    /// A pool without a connection yet.
    #[must_use]
    pub fn new() -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(POOL_IDLE_SECS_MAX))
            .pool_timer(TokioTimer::new())
            .build(Connector::default());
        Self(client)
    }

    /// Sends a request and waits for the head of the answer, no longer than is reasonable for `body_bytes` of body.
    ///
    /// # Errors
    /// Whatever hindered an answer; an answer of any status is none.
    pub async fn send(
        &self,
        request: Request<Payload>,
        body_bytes: u64,
    ) -> Result<Response<Incoming>, OutboundError> {
        // A large body may take its time; one that makes no headway at all is given up.
        let patience = POOL_HEAD_SECS_MAX + body_bytes / SLOWEST_BYTES_PER_SEC;
        tokio::time::timeout(Duration::from_secs(patience), self.0.request(request))
            .await
            .map_err(|_| OutboundError::Timeout)?
            .map_err(|error| OutboundError::Connection(causes(&error)))
    }
}

/// A line slower than this is as good as none.
const SLOWEST_BYTES_PER_SEC: u64 = 64 << 10;

/// An error with what lies under it: the outermost says only "client error".
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        below = cause.source();
    }
    text
}

#[derive(Clone, Default)]
struct Connector(Arc<OnceCell<Option<TlsConnector>>>);

impl Service<Uri> for Connector {
    type Response = Wire;
    type Error = io::Error;
    type Future = BoxFuture<'static, Result<Wire, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let tls = Arc::clone(&self.0);
        Box::pin(async move {
            let span = Duration::from_secs(POOL_CONNECT_SECS_MAX);
            tokio::time::timeout(span, connect(&to, &tls))
                .await
                .unwrap_or_else(|_| {
                    Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "cannot connect in time",
                    ))
                })
        })
    }
}

async fn connect(to: &Uri, tls: &OnceCell<Option<TlsConnector>>) -> io::Result<Wire> {
    let host = to.host().unwrap_or("");
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let secure = to.scheme_str() == Some("https");
    let port = to.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((bare, port)).await?;
    stream.set_nodelay(true)?;
    if !secure {
        return Ok(Wire(TokioIo::new(Box::new(stream))));
    }
    let load = async || {
        tokio::task::spawn_blocking(|| tls::connector(None))
            .await
            .ok()
            .flatten()
    };
    let Some(connector) = tls.get_or_init(load).await else {
        return Err(io::Error::other("TLS cannot be set up"));
    };
    let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
    let stream = connector.connect(name, stream).await?;
    Ok(Wire(TokioIo::new(Box::new(stream))))
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, in the clear or not.
struct Wire(TokioIo<Box<dyn Duplex>>);

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
