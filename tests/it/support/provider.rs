//! A provider that says whatever a test wants it to say.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value as Json, json};

/// What is answered at a path.
#[derive(Clone)]
pub struct Said {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Said {
    /// 200 with a body of that type.
    pub fn new(kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: vec![("Content-Type".to_owned(), kind.to_owned())],
            body: body.into(),
        }
    }

    /// 200 with JSON.
    pub fn json(body: &Json) -> Self {
        Self::new("application/json", body.to_string())
    }

    /// The same with another status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Heads and bodies of what was asked.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A provider on loopback. Its thread ends with the test's process.
pub struct FakeProvider {
    pub address: SocketAddr,
    says: Arc<Mutex<HashMap<String, Said>>>,
    asked: Asked,
}

impl FakeProvider {
    /// One that gives a token for every code, and knows nobody yet.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (says, asked) = (
            Arc::<Mutex<HashMap<String, Said>>>::default(),
            Asked::default(),
        );
        let (book, notes) = (Arc::clone(&says), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (book, notes) = (Arc::clone(&book), Arc::clone(&notes));
                std::thread::spawn(move || serve(stream, &book, &notes));
            }
        });
        let provider = Self {
            address,
            says,
            asked,
        };
        provider.say("/token", Said::json(&json!({"access_token": "t"})));
        provider
    }

    /// From now on `path` is answered like this.
    pub fn say(&self, path: &str, said: Said) {
        self.says.lock().insert(path.to_owned(), said);
    }

    /// From now on this is who comes.
    pub fn visitor(&self, claims: &Json) {
        self.say("/user", Said::json(claims));
    }

    /// A URL of the provider.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What was asked since the last time somebody wanted to know: head and body.
    pub fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.asked.lock())
    }

    /// The provider as a collection configures it.
    pub fn config(&self) -> Json {
        json!({
            "name": "oidc", "clientId": "id", "clientSecret": "secret",
            "authURL": self.url("/auth"), "tokenURL": self.url("/token"), "userInfoURL": self.url("/user"),
        })
    }
}

fn serve(stream: TcpStream, book: &Mutex<HashMap<String, Said>>, notes: &Asked) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = head.split([' ', '?']).nth(1).unwrap_or("").to_owned();
    let body = String::from_utf8_lossy(&body).into_owned();
    notes.lock().push((head, body));
    let unknown = Said::new("text/plain", "nothing here").status(404);
    let said = book.lock().get(&path).cloned().unwrap_or(unknown);
    let mut answer = format!("HTTP/1.1 {} X\r\n", said.status);
    for (name, value) in &said.headers {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    answer.push_str(&format!("Content-Length: {}\r\n\r\n", said.body.len()));
    let mut stream = reader.into_inner();
    // Whoever had enough may have gone.
    stream.write_all(answer.as_bytes()).ok();
    stream.write_all(&said.body).ok();
}
