//! The listener: connections in, answers out, a polite end.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::error::Fault;
use super::lenient::{Lenient, Taken};
use super::{layer, routes};
use crate::app::App;
use crate::kit::json;
use crate::kit::limits::{CONNECTIONS_MAX, HEADER_BYTES_MAX, HEADER_SECS_MAX, RETRY_SECS};

/// Serves `app` on `listener` until `shutdown` resolves; open requests then have `grace` to finish.
pub async fn serve(
    app: App,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) {
    let router = routes(app.clone());
    // Connections hold a receiver each: it tells them to end, and the last one gone tells us that they have.
    let (closing, open) = watch::channel(false);
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => connection(&app, &router, stream, peer, open.clone()),
            Err(error) => {
                // Out of descriptors or a client that left already: waiting a little is all that helps.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
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

fn connection(
    app: &App,
    router: &axum::Router,
    stream: TcpStream,
    peer: SocketAddr,
    mut closing: watch::Receiver<bool>,
) {
    // Latency matters more than packets; where it cannot be set, nothing breaks.
    stream.set_nodelay(true).ok();
    let Some(place) = app.metrics.connect(CONNECTIONS_MAX) else {
        turn_away(stream);
        return;
    };
    let app = app.clone();
    let router = router.clone();
    let taken = Taken::default();
    let stream = Lenient::new(stream, taken.clone());
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
            let response = layer::respond(&app, &mut router, peer.ip(), request).await;
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEADER_SECS_MAX))
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::spawn(async move {
        let _place = place;
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
    });
}
