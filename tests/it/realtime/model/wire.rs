//! A connection as its client has it: something to say messages to, and frames that have come.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use burrow::call::Actor;
use burrow::realtime::{Arrival, Ask, Connection, Transport, parse, ws_error};
use futures_util::FutureExt;
use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite::protocol::WebSocket;
use tokio_tungstenite::tungstenite::{Message, client};

use crate::support::TestApp;

/// Why a connection is of no use any more.
#[derive(Debug)]
pub(super) struct Broken;

pub(super) trait Wire {
    fn say(&mut self, message: &Json) -> Result<(), Broken>;
    /// The frames that have come; may wait a moment for one.
    fn hear(&mut self) -> Result<Vec<Json>, Broken>;
}

/// A connection of the hub in this process: what its client does not take stays in its queue, as behind a socket that
/// takes nothing.
pub(super) struct Direct {
    app: Arc<TestApp>,
    connection: Connection,
}

impl Direct {
    pub(super) fn open(app: &Arc<TestApp>) -> Self {
        let address = Ipv4Addr::LOCALHOST.into();
        let connection = app.app.hub.connect(&Arrival {
            transport: Transport::WebSocket,
            address,
            user_agent: "",
            since: None,
        });
        Self {
            app: Arc::clone(app),
            connection: connection.unwrap(),
        }
    }

    fn ask(&self, ask: &Json, what: Ask) -> Result<(), (u16, String)> {
        let hub = &self.app.app.hub;
        let id = self.connection.id();
        let refused = |error: &dyn std::fmt::Display| (400, error.to_string());
        match what {
            Ask::Ping => hub.ping(id, ask),
            Ask::Subscribe { topic, since } => hub
                .subscribe(id, ask, *topic, since.as_deref())
                .map_err(|error| refused(&error))?,
            Ask::Live { question } => hub
                .live(id, ask, *question)
                .map_err(|error| refused(&error))?,
            Ask::Unsubscribe { sub } => hub
                .unsubscribe(id, ask, &sub)
                .map_err(|error| refused(&error))?,
            Ask::Auth { token } => {
                let now = self.app.clock.now();
                let actor = if token.is_empty() {
                    Actor::Guest
                } else {
                    let resolved = self.app.wait(self.app.app.auth.resolve(&token, now));
                    resolved.map_err(|error| refused(&error))?
                };
                if !token.is_empty() && actor.record().is_none() {
                    return Err((401, "no such token".to_owned()));
                }
                hub.sign_in(id, ask, &actor, b"null");
            }
            Ask::Channel(_) => unreachable!("no reader asks for channels"),
        }
        Ok(())
    }
}

impl Wire for Direct {
    fn say(&mut self, message: &Json) -> Result<(), Broken> {
        let message = parse(&message.to_string()).unwrap();
        if let Err((status, text)) = self.ask(&message.id, message.ask) {
            let frame = ws_error(&message.id, status, &text, json!({}));
            self.app.app.hub.answer(self.connection.id(), frame);
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<Vec<Json>, Broken> {
        match self.connection.next().now_or_never() {
            None => Ok(Vec::new()),
            Some(Ok(frames)) => Ok(frames
                .iter()
                .map(|frame| serde_json::from_slice(frame).unwrap())
                .collect()),
            Some(Err(_)) => Err(Broken),
        }
    }
}

/// A WebSocket.
pub(super) struct Wired(WebSocket<TcpStream>);

impl Wired {
    pub(super) fn open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        let (mut socket, _) = client(format!("ws://{address}/api/realtime"), stream).ok()?;
        let moment = Some(Duration::from_millis(5));
        socket.get_mut().set_read_timeout(moment).unwrap();
        Some(Self(socket))
    }
}

impl Wire for Wired {
    fn say(&mut self, message: &Json) -> Result<(), Broken> {
        let message = Message::text(message.to_string());
        self.0.send(message).map_err(|_| Broken)
    }

    fn hear(&mut self) -> Result<Vec<Json>, Broken> {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        use tokio_tungstenite::tungstenite::Error;
        let mut frames = Vec::new();
        while frames.len() < 64 {
            match self.0.read() {
                Ok(Message::Text(text)) => frames.push(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) => return Err(Broken),
                Ok(_) => {}
                Err(Error::Io(error)) if matches!(error.kind(), TimedOut | WouldBlock) => break,
                Err(_) => return Err(Broken),
            }
        }
        Ok(frames)
    }
}
