//! WebSocket: the handshake, and frames between the socket and the hub (realtime protocol, version 1).

use std::future::poll_fn;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use compact_str::CompactString;
use futures_util::task::{ArcWake, AtomicWaker, waker_ref};
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use crate::app::App;
use crate::call::{Actor, Call};
use crate::http::answer::Answer;
use crate::http::error::Fault;
use crate::http::layer;
use crate::http::realtime::pace::Pace;
use crate::kit::json::{Json, JsonMap};
use crate::realtime::{Arrival, Ask, Connection, Ended, Transport, parse, ws_error};
use crate::records::view;

/// The subprotocol that a client may ask for.
const SUBPROTOCOL: &str = "burrow.v1";
/// How often the server asks whether the client is there.
const PING_EVERY: Duration = Duration::from_secs(25);
/// A connection that said nothing for this long is gone; also the longest that one frame may wait to be sent.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The same for one that others see in a channel: they are told within 5 seconds that it has gone.
const PING_EVERY_WATCHED: Duration = Duration::from_secs(2);
/// See [`PING_EVERY_WATCHED`].
const SILENCE_MAX_WATCHED: Duration = Duration::from_millis(4_500);
/// Read buffer of one socket: the library's default would hold 128 KiB for every idle connection.
const READ_BUFFER_BYTES: usize = 2 << 10;
/// Bytes of frames that are joined before they are sent.
const JOINED_BYTES_MAX: usize = 8 << 10;
/// Frames that a session keeps room for.
const FRAMES_KEPT: usize = 4;
/// Pieces of messages that go to the system in one call.
const SLICES_MAX: usize = 128;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether a request wants to leave HTTP for WebSocket.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
}

/// Answers 101 and serves the socket from then on.
pub(super) fn open(app: App, call: &Call, mut request: Request) -> Answer {
    let headers = request.headers();
    let key = match headers.get(header::SEC_WEBSOCKET_KEY) {
        Some(key)
            if has_token(headers, header::CONNECTION, "upgrade")
                && headers
                    .get(header::SEC_WEBSOCKET_VERSION)
                    .is_some_and(|version| version == "13") =>
        {
            derive_accept_key(key.as_bytes())
        }
        _ => return Err(Fault::bad_request().with_message("Invalid WebSocket handshake.")),
    };
    // Browsers do not ask before a WebSocket as they do before other requests: the list of origins is enforced here.
    if headers.contains_key(header::ORIGIN)
        && layer::allowed_origin(&app.config.origins, headers).is_none()
    {
        return Err(Fault::forbidden());
    }
    let wants_v1 = has_token(headers, header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    let connection = app.hub.connect(&Arrival {
        transport: Transport::WebSocket,
        address: call.client_ip,
        user_agent: "",
        since: None,
    })?;
    let upgrade = hyper::upgrade::on(&mut request);
    let address = call.clone();
    let message_bytes_max = app.settings.current().realtime.message_bytes_max();
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let config = WebSocketConfig::default()
                .read_buffer_size(READ_BUFFER_BYTES)
                .write_buffer_size(0)
                .max_message_size(Some(message_bytes_max))
                .max_frame_size(Some(message_bytes_max));
            let socket = WebSocketStream::from_raw_socket(
                TokioIo::new(upgraded),
                Role::Server,
                Some(config),
            )
            .await;
            Session {
                app,
                call: address,
                connection,
            }
            .run(socket)
            .await;
        }
    });
    Ok(switching(&key, wants_v1))
}

fn switching(key: &str, wants_v1: bool) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(key) = HeaderValue::from_str(key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    if wants_v1 {
        headers.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(SUBPROTOCOL),
        );
    }
    response
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

struct Session {
    app: App,
    call: Call,
    connection: Connection,
}

/// Why a session is over.
enum Over {
    /// The peer is gone or spoke nonsense: nothing more can be said.
    Gone,
    /// Say why, then leave.
    Close(CloseCode, &'static str),
}

/// What a message of the client comes as.
type Heard = Option<Result<Message, tungstenite::Error>>;

/// What a session wakes up for.
enum Event {
    Frames(Result<(), Ended>),
    Message(Heard),
    Alarm,
}

/// Rings when the socket has something to say. Looking there at each event, of which most connections hear many and to
/// which they say nothing, would cost more than sending it.
#[derive(Default)]
struct Bell {
    /// Whether it has not rung since the socket was last looked at and had nothing.
    silent: AtomicBool,
    session: AtomicWaker,
}

impl Bell {
    /// The next message, looked for only if there may be one.
    fn poll(self: &Arc<Self>, context: &Context<'_>, socket: &mut Socket) -> Poll<Heard> {
        self.session.register(context.waker());
        // Set before the look: what comes during it rings again.
        if self.silent.swap(true, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let waker = waker_ref(self);
        let message = socket.poll_next_unpin(&mut Context::from_waker(&waker));
        if message.is_ready() {
            self.ring();
        }
        message
    }

    fn ring(&self) {
        self.silent.store(false, Ordering::Release);
    }
}

impl ArcWake for Bell {
    fn wake_by_ref(bell: &Arc<Self>) {
        bell.ring();
        bell.session.wake();
    }
}

impl Session {
    async fn run(self, mut socket: Socket) {
        let over = self.serve(&mut socket).await;
        if let Over::Close(code, reason) = over {
            let frame = CloseFrame {
                code,
                reason: Utf8Bytes::from_static(reason),
            };
            // The peer may be gone already, and then there is nobody to tell.
            tokio::time::timeout(Duration::from_secs(1), socket.close(Some(frame)))
                .await
                .ok();
        }
    }

    async fn serve(&self, socket: &mut Socket) -> Over {
        let mut heard = Instant::now();
        let mut pinged = heard;
        // Whether the library may have something to say itself, such as a pong: that goes first and whole.
        let mut owes = true;
        let mut pace = Pace::new(heard);
        let bell = Arc::new(Bell::default());
        let mut frames = Vec::new();
        let alarm = tokio::time::sleep_until(heard + PING_EVERY);
        tokio::pin!(alarm);
        loop {
            let (ping_every, silence_max) = if self.connection.is_watched() {
                (PING_EVERY_WATCHED, SILENCE_MAX_WATCHED)
            } else {
                (PING_EVERY, SILENCE_MAX)
            };
            let next = (pinged + ping_every).min(heard + silence_max);
            if alarm.deadline() != next {
                alarm.as_mut().reset(next);
            }
            let event = poll_fn(|context| {
                if let Poll::Ready(message) = bell.poll(context, socket) {
                    return Poll::Ready(Event::Message(message));
                }
                if let Poll::Ready(done) = self.connection.poll_next(context, &mut frames) {
                    return Poll::Ready(Event::Frames(done));
                }
                alarm.as_mut().poll(context).map(|()| Event::Alarm)
            });
            let message = match event.await {
                Event::Frames(Ok(())) => {
                    if owes && within(silence_max, socket.flush()).await.is_err() {
                        return Over::Gone;
                    }
                    owes = false;
                    if send_all(socket, &frames, silence_max).await.is_err() {
                        return Over::Gone;
                    }
                    frames.clear();
                    frames.shrink_to(FRAMES_KEPT);
                    continue;
                }
                Event::Frames(Err(ended)) => return over(ended),
                Event::Message(message) => message,
                Event::Alarm => {
                    if heard.elapsed() < silence_max {
                        pinged = Instant::now();
                        if send(socket, Message::Ping(Bytes::new()), silence_max)
                            .await
                            .is_err()
                        {
                            return Over::Gone;
                        }
                        continue;
                    }
                    // A long write may have kept us from reading: what has arrived meanwhile counts.
                    match socket.next().now_or_never() {
                        Some(message) => message,
                        None => return Over::Gone,
                    }
                }
            };
            heard = Instant::now();
            owes = true;
            bell.ring();
            // Who sends too fast is read later: what waits meanwhile waits on his side of the wire.
            pace.take(heard).await;
            if let Some(over) = self.hear(message).await {
                return over;
            }
        }
    }

    async fn hear(&self, message: Heard) -> Option<Over> {
        match message {
            Some(Ok(Message::Text(text))) => {
                self.answer(&text).await;
                None
            }
            Some(Ok(Message::Binary(_))) => Some(Over::Close(
                CloseCode::Unsupported,
                "Only text frames are understood.",
            )),
            // The library answers pings and closes by itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => None,
            Some(Ok(Message::Close(_))) | None => Some(Over::Gone),
            Some(Err(tungstenite::Error::Capacity(_))) => {
                Some(Over::Close(CloseCode::Size, "The message is too large."))
            }
            Some(Err(tungstenite::Error::Utf8(_))) => {
                Some(Over::Close(CloseCode::Invalid, "Text must be UTF-8."))
            }
            Some(Err(tungstenite::Error::Protocol(_))) => {
                Some(Over::Close(CloseCode::Protocol, "Protocol error."))
            }
            Some(Err(_)) => Some(Over::Gone),
        }
    }

    /// Answers one message, exactly once.
    async fn answer(&self, text: &str) {
        let hub = &self.app.hub;
        let id = self.connection.id();
        let message = match parse(text) {
            Ok(message) => message,
            Err(malformed) => {
                let empty = Json::Object(JsonMap::new());
                return hub.answer(id, ws_error(&malformed.id, 400, malformed.message, empty));
            }
        };
        let ask = message.id;
        if message.ask.is_counted() && !self.is_admitted() {
            let (status, message, data) = Fault::too_many_requests().parts();
            return hub.answer(id, ws_error(&ask, status, &message, data));
        }
        let done = match message.ask {
            Ask::Ping => {
                hub.ping(id, &ask);
                Ok(())
            }
            Ask::Subscribe { topic, since } => {
                self.app.store.learn_of(&topic.collection).await;
                hub.subscribe(id, &ask, *topic, since.as_deref())
                    .map_err(Fault::from)
            }
            Ask::Live { question } => {
                self.app.store.learn_of(&question.collection).await;
                hub.live(id, &ask, *question).map_err(Fault::from)
            }
            Ask::Unsubscribe { sub } => hub.unsubscribe(id, &ask, &sub).map_err(Fault::from),
            Ask::Auth { token } => self.sign_in(&ask, &token).await,
            Ask::Channel(wanted) => hub
                .channel(&self.connection, &ask, *wanted)
                .await
                .map_err(Fault::from),
        };
        if let Err(fault) = done {
            let (status, message, data) = fault.parts();
            hub.answer(id, ws_error(&ask, status, &message, data));
        }
    }

    /// Whether limits let the client ask once more: each message counts as a request to the endpoint would (security
    /// S16).
    fn is_admitted(&self) -> bool {
        let call = Call {
            actor: self.app.hub.actor(self.connection.id()),
            now: self.app.clock.now(),
            method: CompactString::const_new("POST"),
            ..self.call.clone()
        };
        !self.app.limiter.binds(&call)
            || self
                .app
                .limiter
                .count_path(&call, "/api/realtime")
                .is_admitted()
    }

    async fn sign_in(&self, ask: &Json, token: &str) -> Result<(), Fault> {
        if token.is_empty() {
            self.app
                .hub
                .sign_in(self.connection.id(), ask, &Actor::Guest, b"null");
            return Ok(());
        }
        let now = self.app.clock.now();
        let actor = self.app.auth.resolve(token, now).await?;
        let Some(record) = actor.record() else {
            return Err(Fault::auth_required());
        };
        let call = Call {
            actor: actor.clone(),
            now,
            ..self.call.clone()
        };
        if layer::is_misplaced(&self.app, &call) {
            return Err(Fault::forbidden().caused_by("superuser or key from an address not listed"));
        }
        let shown = self.app.store.read_now(|tx| view::own(tx, &call, record))?;
        self.app
            .hub
            .sign_in(self.connection.id(), ask, &actor, &shown);
        Ok(())
    }
}

/// Why the hub ended it, as the client is told.
fn over(ended: Ended) -> Over {
    match ended {
        Ended::Shutdown => Over::Close(CloseCode::Away, "The server is shutting down."),
        Ended::Crowded => Over::Close(CloseCode::Again, "The server is full."),
        Ended::Expired => Over::Close(CloseCode::Again, "Changes cannot be read now."),
    }
}

/// Sends frames, each after the head that makes it a message; fails when the peer takes nothing for `patience`. The bytes
/// are shared with other connections and are not looked through again; large ones are not copied either.
async fn send_all(socket: &mut Socket, frames: &[Bytes], patience: Duration) -> Result<(), ()> {
    let stream = socket.get_mut();
    let mut written = 0;
    if let [only] = frames
        && let Some(done) = send_at_once(stream, only)
    {
        match done.map_err(drop)? {
            0 => return Err(()),
            whole if whole == Head::of(only.len()).len + only.len() => return Ok(()),
            some => written = some,
        }
    }
    let heads: Vec<Head> = frames.iter().map(|frame| Head::of(frame.len())).collect();
    let pairs = heads.iter().zip(frames);
    if written == 0 && frames.iter().map(Bytes::len).sum::<usize>() <= JOINED_BYTES_MAX {
        // One piece is cheaper for the system than many, and than the copy.
        let mut joined = Vec::with_capacity(JOINED_BYTES_MAX.min(512 * frames.len()));
        for (head, frame) in pairs {
            joined.extend_from_slice(head.bytes());
            joined.extend_from_slice(frame);
        }
        return send_pieces(stream, &mut [IoSlice::new(&joined)], patience).await;
    }
    let mut pieces: Vec<IoSlice<'_>> = pairs
        .flat_map(|(head, frame)| [IoSlice::new(head.bytes()), IoSlice::new(frame)])
        .collect();
    let mut rest = pieces.as_mut_slice();
    IoSlice::advance_slices(&mut rest, written);
    send_pieces(stream, rest, patience).await
}

/// Sends a small frame after its head as far as the system takes it now, without asking for memory; none where it is not
/// small or the system takes nothing.
fn send_at_once(stream: &mut TokioIo<Upgraded>, frame: &[u8]) -> Option<std::io::Result<usize>> {
    const BYTES_MAX: usize = 1 << 10;
    if frame.len() > BYTES_MAX {
        return None;
    }
    let head = Head::of(frame.len());
    let mut whole = [0; BYTES_MAX + Head::BYTES_MAX];
    let whole = &mut whole[..head.len + frame.len()];
    let (front, rest) = whole.split_at_mut(head.len);
    front.copy_from_slice(head.bytes());
    rest.copy_from_slice(frame);
    stream.write(whole).now_or_never()
}

async fn send_pieces(
    stream: &mut TokioIo<Upgraded>,
    mut rest: &mut [IoSlice<'_>],
    patience: Duration,
) -> Result<(), ()> {
    while !rest.is_empty() {
        // Mostly the system takes everything at once, and no clock need be set.
        let written = match write_some(stream, rest).now_or_never() {
            Some(written) => written.map_err(drop)?,
            None => within(patience, write_some(stream, rest)).await?,
        };
        if written == 0 {
            return Err(());
        }
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

async fn write_some(
    stream: &mut TokioIo<Upgraded>,
    pieces: &[IoSlice<'_>],
) -> std::io::Result<usize> {
    match pieces {
        [only] => stream.write(only).await,
        many => {
            stream
                .write_vectored(&many[..many.len().min(SLICES_MAX)])
                .await
        }
    }
}

async fn within<T, E>(
    patience: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, ()> {
    tokio::time::timeout(patience, work)
        .await
        .map_err(drop)?
        .map_err(drop)
}

/// What stands before the text of a message of the server: final, text, its length (RFC 6455, 5.2).
struct Head {
    bytes: [u8; Self::BYTES_MAX],
    len: usize,
}

impl Head {
    const BYTES_MAX: usize = 10;

    fn of(length: usize) -> Self {
        const FINAL_TEXT: u8 = 0x81;
        let mut bytes = [0; Self::BYTES_MAX];
        bytes[0] = FINAL_TEXT;
        let len = if let Ok(short @ 0..=125) = u8::try_from(length) {
            bytes[1] = short;
            2
        } else if let Ok(medium) = u16::try_from(length) {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        } else {
            bytes[1] = 127;
            bytes[2..].copy_from_slice(&(length as u64).to_be_bytes());
            10
        };
        Self { bytes, len }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

async fn send(socket: &mut Socket, message: Message, patience: Duration) -> Result<(), ()> {
    tokio::time::timeout(patience, socket.send(message))
        .await
        .map_err(drop)?
        .map_err(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_message_tells_its_length() {
        assert_eq!(Head::of(5).bytes(), [0x81, 5]);
        assert_eq!(Head::of(125).bytes(), [0x81, 125]);
        assert_eq!(Head::of(126).bytes(), [0x81, 126, 0, 126]);
        assert_eq!(Head::of(65_535).bytes(), [0x81, 126, 0xff, 0xff]);
        let large = [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        assert_eq!(Head::of(65_536).bytes(), large);
    }
}
