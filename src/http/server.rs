//! The listeners: connections in, answers out, a polite end. With HTTPS the plain door only answers the challenges of a
//! certificate authority and sends everybody else to the other one (contract-auth 9.3).

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::error::Fault;
use super::lenient::{Lenient, Taken};
use super::{layer, plain, routes};
use crate::app::App;
use crate::certs::{ACME_PROTOCOL, CertError, Shelf};
use crate::kit::json;
use crate::kit::limits::{
    CONNECTIONS_MAX, HEADER_BYTES_MAX, HEADER_SECS_MAX, HTTP2_HEADER_BYTES_MAX, HTTP2_PING_SECS,
    HTTP2_STREAMS_MAX, RETRY_SECS, TLS_HANDSHAKE_SECS_MAX,
};
use crate::ops::metrics::Held;

/// Where a server listens.
#[derive(Debug)]
pub struct Doors {
    /// Plain HTTP.
    pub http: TcpListener,
    /// HTTPS, and what is shown there.
    pub https: Option<(TcpListener, Arc<Shelf>)>,
}

impl From<TcpListener> for Doors {
    fn from(http: TcpListener) -> Self {
        Self { http, https: None }
    }
}

/// Serves `app` at `doors` until `shutdown` resolves; open requests then have `grace` to finish.
///
/// # Errors
/// When TLS cannot be spoken; nothing was served then.
pub async fn serve(
    app: App,
    doors: impl Into<Doors>,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) -> Result<(), CertError> {
    let Doors { http, https } = doors.into();
    let (secure, tls) = match https {
        Some((listener, shelf)) => {
            let acceptor = TlsAcceptor::from(Arc::new(shelf.config()?));
            let port = listener.local_addr().map_or(0, |address| address.port());
            (Some((listener, acceptor)), Some((shelf, port)))
        }
        None => (None, None),
    };
    let router = routes(app.clone());
    // Connections hold a receiver each: it tells them to end, and the last one gone tells us that they have.
    let (closing, open) = watch::channel(false);
    tokio::pin!(shutdown);
    loop {
        let (accepted, acceptor) = tokio::select! {
            accepted = http.accept() => (accepted, None),
            (accepted, acceptor) = at_secure(secure.as_ref()) => (accepted, Some(acceptor)),
            () = &mut shutdown => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors or a client that left already: waiting a little is all that helps.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Latency matters more than packets; where it cannot be set, nothing breaks.
        stream.set_nodelay(true).ok();
        let Some(place) = app.metrics.connect(CONNECTIONS_MAX) else {
            // Where TLS is spoken there is nobody yet to tell it to.
            if acceptor.is_none() {
                turn_away(stream);
            }
            continue;
        };
        let visit = Visit {
            peer: peer.ip(),
            closing: open.clone(),
            _place: place,
        };
        match (acceptor, &tls) {
            (Some(acceptor), _) => {
                tokio::spawn(visit.secure(acceptor, stream, app.clone(), router.clone()));
            }
            (None, Some((shelf, port))) => {
                tokio::spawn(visit.sent_on(stream, shelf.clone(), *port));
            }
            (None, None) => {
                tokio::spawn(visit.http1(stream, false, app.clone(), router.clone()));
            }
        }
    }
    drop(open);
    closing.send_replace(true);
    // Streams of events would last: they end now, and sockets hear why.
    app.hub.shutdown();
    let ended = async { tokio::join!(closing.closed(), app.hub.emptied()) };
    // What is still open after the grace is dropped with the runtime.
    tokio::time::timeout(grace, ended).await.ok();
    Ok(())
}

/// The next connection at the secure door, if there is one.
async fn at_secure(
    secure: Option<&(TcpListener, TlsAcceptor)>,
) -> (std::io::Result<(TcpStream, SocketAddr)>, TlsAcceptor) {
    match secure {
        Some((listener, acceptor)) => (listener.accept().await, acceptor.clone()),
        None => std::future::pending().await,
    }
}

/// The body of a request, which says when it has come to its end.
fn whole(body: Incoming, taken: Taken) -> Body {
    if body.is_end_stream() {
        taken.whole();
        return Body::empty();
    }
    Body::new(body.with_trailers(async move {
        taken.whole();
        None
    }))
}

/// How long a client that was turned away may take to leave.
const TURNED_AWAY: Duration = Duration::from_millis(500);

/// Says that there is no room, without reading what is asked.
fn turn_away(mut stream: TcpStream) {
    let body = json::to_text(&Fault::busy().to_json());
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: {RETRY_SECS}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::spawn(async move {
        // Whoever has left already misses it.
        stream.write_all(answer.as_bytes()).await.ok();
        stream.shutdown().await.ok();
        // What was sent already is read, so that it does not take the answer along.
        let mut unread = [0; 4_096];
        let reading = async { while matches!(stream.read(&mut unread).await, Ok(1..)) {} };
        tokio::time::timeout(TURNED_AWAY, reading).await.ok();
    });
}

/// One connection.
struct Visit {
    peer: IpAddr,
    /// Turns true when it should end.
    closing: watch::Receiver<bool>,
    /// Its place among all connections.
    _place: Held,
}

/// Drives a connection of hyper to its end, which is asked for when `closing` turns true.
macro_rules! drive {
    ($connection:expr, $closing:expr) => {{
        let connection = $connection;
        let mut closing = $closing;
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = async { drop(closing.wait_for(|closing| *closing).await) } => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
    }};
}

impl Visit {
    /// TLS, and then whichever version of HTTP both speak.
    async fn secure(
        self,
        acceptor: TlsAcceptor,
        stream: TcpStream,
        app: App,
        router: axum::Router,
    ) {
        let most = Duration::from_secs(TLS_HANDSHAKE_SECS_MAX);
        let stream = match tokio::time::timeout(most, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS was agreed on");
                return;
            }
            Err(_) => return,
        };
        match stream.get_ref().1.alpn_protocol() {
            // The authority has seen what it looked for.
            Some(protocol) if protocol == ACME_PROTOCOL => {}
            Some(b"h2") => self.http2(stream, app, router).await,
            _ => self.http1(stream, true, app, router).await,
        }
    }

    async fn http1<S>(self, stream: S, secure: bool, app: App, router: axum::Router)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let taken = Taken::default();
        let stream = Lenient::new(stream, taken.clone());
        let peer = self.peer;
        let service = service_fn(move |request: Request<Incoming>| {
            let app = app.clone();
            let mut router = router.clone();
            let taken = taken.clone();
            async move {
                // What follows an upgrade is not HTTP any more, and passes untouched.
                let request = if request.headers().contains_key(header::UPGRADE) {
                    request.map(Body::new)
                } else {
                    request.map(|body| whole(body, taken))
                };
                let response = layer::respond(&app, &mut router, peer, secure, request).await;
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(HEADER_SECS_MAX))
            .max_buf_size(HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        drive!(connection, self.closing);
    }

    /// Many requests side by side on one connection. Sockets come by HTTP/1.1: browsers ask for it where the server does
    /// not say that it takes them otherwise.
    async fn http2(self, stream: TlsStream<TcpStream>, app: App, router: axum::Router) {
        let peer = self.peer;
        let service = service_fn(move |request: Request<Incoming>| {
            let app = app.clone();
            let mut router = router.clone();
            async move {
                let request = with_host(request.map(Body::new));
                let response = layer::respond(&app, &mut router, peer, true, request).await;
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let ping = Duration::from_secs(HTTP2_PING_SECS);
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(HTTP2_STREAMS_MAX)
            .max_header_list_size(HTTP2_HEADER_BYTES_MAX)
            .keep_alive_interval(ping)
            .keep_alive_timeout(ping)
            .serve_connection(TokioIo::new(stream), service);
        drive!(connection, self.closing);
    }

    /// The plain door beside a secure one.
    async fn sent_on(self, stream: TcpStream, shelf: Arc<Shelf>, port: u16) {
        let service = service_fn(move |request: Request<Incoming>| {
            let response = plain::answer(&shelf, port, request.headers(), request.uri());
            async move { Ok::<_, std::convert::Infallible>(response) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(HEADER_SECS_MAX))
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        drive!(connection, self.closing);
    }
}

/// HTTP/2 names the host beside the headers: whatever looks for `Host` finds it there too.
fn with_host(mut request: Request) -> Request {
    if request.version() == Version::HTTP_2
        && let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}
