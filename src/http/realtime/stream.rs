//! Server-Sent Events (contract 7.1).

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::time::Instant;

use crate::app::App;
use crate::call::Call;
use crate::http::answer::Answer;
use crate::realtime::{Connection, Transport};

/// A comment line keeps proxies from cutting a quiet stream.
const COMMENT_EVERY: Duration = Duration::from_secs(25);
/// A stream ends after this, as the reference's does; the SDK reconnects by itself.
const STREAM_MAX: Duration = Duration::from_secs(30 * 60);

struct Open {
    connection: Connection,
    id_line: Bytes,
    ends: Instant,
}

pub(super) fn open(app: &App, call: &Call) -> Answer {
    let connection = app.hub.connect(Transport::Sse, call.client_ip)?;
    let id_line = Bytes::from(format!("id:{}\n", connection.id().as_str()));
    let open = Open {
        connection,
        id_line,
        ends: Instant::now() + STREAM_MAX,
    };
    let mut response = Response::new(Body::from_stream(stream::unfold(open, step)));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("X-Accel-Buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The next piece of the stream; none once it must end.
async fn step(open: Open) -> Option<(Result<Bytes, Infallible>, Open)> {
    let patience = open.ends.min(Instant::now() + COMMENT_EVERY);
    match tokio::time::timeout_at(patience, open.connection.next()).await {
        Ok(Ok(frames)) => {
            let mut out = BytesMut::new();
            for frame in frames {
                out.extend_from_slice(&open.id_line);
                out.extend_from_slice(&frame);
            }
            Some((Ok(out.freeze()), open))
        }
        Ok(Err(_)) => None,
        Err(_) if Instant::now() >= open.ends => None,
        Err(_) => Some((Ok(Bytes::from_static(b":\n\n")), open)),
    }
}
