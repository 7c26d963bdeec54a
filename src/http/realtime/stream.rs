//! Server-Sent Events (contract 7.1).

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use futures_util::stream;
use tokio::time::{Instant, Sleep};

use crate::app::App;
use crate::call::Call;
use crate::http::answer::Answer;
use crate::http::error::Fault;
use crate::realtime::{Arrival, Connection, Transport};

/// A comment line keeps proxies from cutting a quiet stream.
const COMMENT_EVERY: Duration = Duration::from_secs(25);
/// A stream ends after this, as the reference's does; the SDK reconnects by itself.
const STREAM_MAX: Duration = Duration::from_secs(30 * 60);

struct Open {
    connection: Connection,
    ends: Instant,
    /// Rings for the next comment, or for the end. Events do not move it: setting a clock for each would cost more than
    /// they do.
    alarm: Pin<Box<Sleep>>,
}

pub(super) fn open(app: &App, call: &Call) -> Answer {
    let connection = app.hub.connect(&Arrival {
        transport: Transport::Sse,
        address: call.client_ip,
        user_agent: &call.user_agent,
        since: cursor(app, call)?,
    })?;
    let now = Instant::now();
    let open = Open {
        connection,
        ends: now + STREAM_MAX,
        alarm: Box::pin(tokio::time::sleep_until(now + COMMENT_EVERY)),
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

/// Where the client was: the parameter `since`, else what a browser's `EventSource` sends when it connects again. There,
/// anything that is no cursor was the id of a connection that heard nothing yet.
fn cursor<'c>(app: &App, call: &'c Call) -> Result<Option<&'c str>, Fault> {
    if let Some(since) = call.query("since").filter(|since| !since.is_empty()) {
        if !app.hub.is_cursor(since) {
            return Err(Fault::bad_request().with_message("Invalid cursor."));
        }
        return Ok(Some(since));
    }
    let last = call
        .headers
        .iter()
        .find(|(name, _)| name == "last_event_id")
        .map(|(_, value)| value.as_str());
    Ok(last.filter(|last| app.hub.is_cursor(last)))
}

/// The next piece of the stream; none once it must end.
async fn step(mut open: Open) -> Option<(Result<Bytes, Infallible>, Open)> {
    tokio::select! {
        frames = open.connection.next() => match frames {
            Ok(frames) => Some((Ok(joined(frames)), open)),
            Err(_) => None,
        },
        () = open.alarm.as_mut() => {
            let now = Instant::now();
            if now >= open.ends {
                return None;
            }
            open.alarm.as_mut().reset(open.ends.min(now + COMMENT_EVERY));
            Some((Ok(Bytes::from_static(b":\n\n")), open))
        }
    }
}

/// Mostly there is one, shared with other connections: it goes out as it is.
fn joined(mut frames: Vec<Bytes>) -> Bytes {
    if frames.len() == 1
        && let Some(only) = frames.pop()
    {
        return only;
    }
    frames.concat().into()
}
