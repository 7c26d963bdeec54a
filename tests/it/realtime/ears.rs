//! Those who listen: over a WebSocket and over a stream of events.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite::protocol::WebSocket;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message, client};

use crate::support::{Person, Reply, TestApp};

/// How long something may take before the test is called broken; nothing waits this long on purpose.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn dial(t: &TestApp) -> TcpStream {
    let stream = TcpStream::connect(t.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A WebSocket client.
pub(crate) struct Socket {
    pub(super) raw: WebSocket<TcpStream>,
    pub(crate) hello: Json,
    news: VecDeque<Json>,
    asked: u64,
}

impl Socket {
    pub(crate) fn open(t: &TestApp) -> Self {
        Self::open_with(t, "", &[])
    }

    /// Opens with a query and further headers.
    pub(super) fn open_with(t: &TestApp, query: &str, headers: &[(&str, &str)]) -> Self {
        let uri = format!("ws://{}/api/realtime{query}", t.address());
        let mut request =
            ClientRequestBuilder::new(uri.parse().unwrap()).with_sub_protocol("burrow.v1");
        for (name, value) in headers {
            request = request.with_header(*name, *value);
        }
        let (raw, _) = client(request, dial(t)).unwrap();
        let mut socket = Self {
            raw,
            hello: Json::Null,
            news: VecDeque::new(),
            asked: 0,
        };
        socket.hello = socket.read();
        socket
    }

    /// Opens and signs in.
    pub(crate) fn of(t: &TestApp, person: &Person) -> Self {
        let mut socket = Self::open(t);
        let answer = socket.ask("auth", json!({"token": person.token()}));
        assert_eq!(answer["type"], "ok", "{answer}");
        socket
    }

    fn read(&mut self) -> Json {
        loop {
            match self.raw.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(super) fn say(&mut self, text: &str) {
        self.raw.send(Message::text(text)).unwrap();
    }

    /// Sends a message and gives its answer; what comes before it is kept.
    pub(crate) fn ask(&mut self, kind: &str, mut fields: Json) -> Json {
        self.asked += 1;
        fields["type"] = json!(kind);
        fields["id"] = json!(self.asked);
        self.say(&fields.to_string());
        loop {
            let frame = self.read();
            if frame["id"] == json!(self.asked) {
                return frame;
            }
            self.news.push_back(frame);
        }
    }

    /// Subscribes, which must be granted, and gives the answer.
    pub(crate) fn subscribe(&mut self, topic: &str) -> Json {
        self.subscribe_with(json!({"topic": topic}))
    }

    pub(crate) fn subscribe_with(&mut self, fields: Json) -> Json {
        let answer = self.ask("subscribe", fields);
        assert_eq!(answer["type"], "ok", "{answer}");
        answer
    }

    /// The next frame that answers nothing.
    pub(crate) fn next(&mut self) -> Json {
        match self.news.pop_front() {
            Some(frame) => frame,
            None => self.read(),
        }
    }

    /// Action and title of the next event.
    #[track_caller]
    pub(crate) fn event(&mut self) -> (String, String) {
        let frame = self.next();
        assert_eq!(frame["type"], "event", "{frame}");
        told(&frame)
    }

    /// The code of the close frame that comes next.
    pub(super) fn close_code(&mut self) -> u16 {
        loop {
            match self.raw.read() {
                Ok(Message::Close(Some(frame))) => return frame.code.into(),
                Ok(_) => {}
                Err(Error::ConnectionClosed) => panic!("closed without a code"),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// A client of the event stream.
pub(crate) struct Stream {
    reader: BufReader<TcpStream>,
    text: String,
    pub(crate) id: String,
    /// The `id:` line of the last message that had one.
    pub(crate) last: String,
}

impl Stream {
    pub(crate) fn open(t: &TestApp) -> Self {
        Self::open_with(t, "", "")
    }

    /// Opens with a query and further header lines.
    pub(crate) fn open_with(t: &TestApp, query: &str, headers: &str) -> Self {
        let mut raw = dial(t);
        let head = format!("GET /api/realtime{query} HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
        raw.write_all(head.as_bytes()).unwrap();
        let mut stream = Self {
            reader: BufReader::new(raw),
            text: String::new(),
            id: String::new(),
            last: String::new(),
        };
        while stream.line() != "\r\n" {}
        let connect = stream.message();
        assert_eq!(connect.0, "PB_CONNECT");
        stream.id = connect.1["clientId"].as_str().unwrap().to_owned();
        assert_eq!(stream.last, stream.id);
        stream
    }

    /// Opens and subscribes.
    pub(crate) fn of(t: &TestApp, person: &Person, topics: &[&str]) -> Self {
        let stream = Self::open(t);
        assert_eq!(stream.submit(person, topics).status, 204);
        stream
    }

    pub(crate) fn submit(&self, person: &Person, topics: &[&str]) -> Reply {
        let body = json!({"clientId": self.id, "subscriptions": topics});
        person.post("/api/realtime", &body)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line
    }

    /// The next chunk, or nothing at the end of the stream.
    fn chunk(&mut self) -> Option<String> {
        let size = usize::from_str_radix(self.line().trim(), 16).unwrap_or(0);
        if size == 0 {
            return None;
        }
        let mut bytes = vec![0; size + 2];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes.truncate(size);
        Some(String::from_utf8(bytes).unwrap())
    }

    /// Name and data of the next message.
    #[track_caller]
    pub(crate) fn message(&mut self) -> (String, Json) {
        let begun = Instant::now();
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let message: String = self.text.drain(..end + 2).collect();
                let lines: Vec<&str> = message.trim_end().lines().collect();
                if lines == [":"] {
                    // They come for ever, and would make a wait in vain one without end.
                    assert!(begun.elapsed() < PATIENCE, "nothing came");
                    continue;
                }
                let lines = match lines[0].strip_prefix("id:") {
                    Some(id) => {
                        id.clone_into(&mut self.last);
                        &lines[1..]
                    }
                    None => &lines[..],
                };
                assert_eq!(lines.len(), 2, "{message}");
                let name = lines[0].strip_prefix("event:").unwrap().to_owned();
                let data = lines[1].strip_prefix("data:").unwrap();
                return (name, serde_json::from_str(data).unwrap());
            }
            let Some(more) = self.chunk() else {
                panic!("the stream ended");
            };
            self.text.push_str(&more);
        }
    }

    /// Action and title of the next event.
    #[track_caller]
    pub(crate) fn event(&mut self) -> (String, String) {
        told(&self.message().1)
    }
}

fn told(event: &Json) -> (String, String) {
    let text = |value: &Json| value.as_str().unwrap_or("").to_owned();
    (text(&event["action"]), text(&event["record"]["title"]))
}

/// An event as [`Socket::event`] and [`Stream::event`] give it.
pub(crate) fn is(action: &str, title: &str) -> (String, String) {
    (action.to_owned(), title.to_owned())
}
