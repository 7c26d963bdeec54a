//! A mail server: real SMTP on loopback, with STARTTLS or TLS where a test wants it. It keeps what it was given, and
//! refuses when it is told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parking_lot::{Condvar, Mutex};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::{Person, TestApp};

/// How long a mail may take before the test is called broken.
const PATIENCE: Duration = Duration::from_secs(15);

/// When the server speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Never.
    None,
    /// After STARTTLS, which it offers.
    StartTls,
    /// From the first byte.
    Tls,
}

/// A mail as it arrived.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Recipients of the envelope.
    pub to: Vec<String>,
    /// The message, its quoted-printable lines decoded.
    pub text: String,
    /// How the client signed in: method, name and password.
    pub login: Option<(String, String, String)>,
    /// Whether it came over TLS.
    pub secure: bool,
}

impl Mail {
    /// The value of a header, its lines as one.
    pub fn header(&self, name: &str) -> String {
        let head = self.text.split("\n\n").next().unwrap_or("");
        let head = head.replace("\n ", " ");
        let found = head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or("").to_owned()
    }

    /// The token of its link.
    #[track_caller]
    pub fn token(&self) -> String {
        let (_, rest) = self.text.split_once("/#/auth/confirm-").unwrap();
        let (_, token) = rest.split_once('/').unwrap();
        let letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        token.chars().take_while(|c| letter(*c)).collect()
    }

    /// Its code.
    #[track_caller]
    pub fn code(&self) -> String {
        let (_, rest) = self.text.split_once("one-time password is: ").unwrap();
        rest.chars().take_while(char::is_ascii_digit).collect()
    }
}

#[derive(Default)]
struct State {
    mails: Vec<Mail>,
    /// Mails that a test has looked at.
    taken: usize,
    /// Answers to the next mails, instead of taking them.
    refusals: Vec<&'static str>,
    refused: usize,
}

/// The server; it ends with the value.
pub struct MailServer {
    port: u16,
    security: Security,
    certificate: String,
    state: Arc<(Mutex<State>, Condvar)>,
    _runtime: Runtime,
}

impl MailServer {
    /// A server on a port of its own.
    pub fn start(security: Security) -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(TcpListener::bind(anywhere)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::default();
        runtime.spawn(listen(listener, acceptor, security, Arc::clone(&state)));
        Self {
            port,
            security,
            certificate: made.cert.pem(),
            state,
            _runtime: runtime,
        }
    }

    /// The settings to send by this server.
    pub fn settings(&self) -> Json {
        let tls = self.security == Security::Tls;
        json!({"smtp": {"enabled": true, "host": "localhost", "port": self.port, "tls": tls}})
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Writes its certificate to a file that a server may be told to trust.
    pub fn write_certificate(&self, file: &Path) {
        std::fs::write(file, &self.certificate).unwrap();
    }

    /// The next mail, once it is there.
    #[track_caller]
    pub fn next(&self) -> Mail {
        let (lock, changed) = &*self.state;
        let deadline = Instant::now() + PATIENCE;
        let mut state = lock.lock();
        while state.mails.len() <= state.taken {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for a mail");
            changed.wait_for(&mut state, left);
        }
        state.taken += 1;
        state.mails[state.taken - 1].clone()
    }

    /// How many mails there are that no test has looked at.
    pub fn waiting(&self) -> usize {
        let state = self.state.0.lock();
        state.mails.len() - state.taken
    }

    /// Refuses the next mails with these answers, one each.
    pub fn refuse(&self, answers: &[&'static str]) {
        self.state.0.lock().refusals.extend(answers);
    }

    /// Waits until it has refused that many mails in all.
    #[track_caller]
    pub fn has_refused(&self, count: usize) {
        let (lock, changed) = &*self.state;
        let deadline = Instant::now() + PATIENCE;
        let mut state = lock.lock();
        while state.refused < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for a mail to refuse");
            changed.wait_for(&mut state, left);
        }
    }
}

impl TestApp {
    /// A server that sends its mails to a mail server, and its superuser.
    pub fn with_mail() -> (Self, MailServer, Person) {
        let post = MailServer::start(Security::None);
        let t = Self::new();
        let sue = t.superuser();
        sue.patch("/api/settings", &post.settings()).ok();
        (t, post, sue)
    }
}

async fn listen(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    security: Security,
    state: Arc<(Mutex<State>, Condvar)>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        // A client may break off whenever it likes.
        tokio::spawn(async move { serve(stream, &acceptor, security, &state).await.ok() });
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    security: Security,
    state: &(Mutex<State>, Condvar),
) -> std::io::Result<()> {
    if security == Security::Tls {
        let stream = acceptor.accept(stream).await?;
        return talk(stream, true, true, state).await.map(drop);
    }
    let offers = security == Security::StartTls;
    let Some(stream) = talk(stream, true, !offers, state).await? else {
        return Ok(());
    };
    let stream = acceptor.accept(stream).await?;
    talk(stream, false, true, state).await.map(drop)
}

/// Speaks SMTP until the client leaves, or gives the stream back to go on in TLS. `last` says that TLS is not offered.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    greets: bool,
    last: bool,
    state: &(Mutex<State>, Condvar),
) -> std::io::Result<Option<S>> {
    let mut stream = BufReader::new(stream);
    if greets {
        stream.write_all(b"220 post\r\n").await?;
    }
    let secure = !greets || std::any::type_name::<S>().contains("Tls");
    let mut mail = Mail {
        to: Vec::new(),
        text: String::new(),
        login: None,
        secure,
    };
    while let Some(line) = read_line(&mut stream).await? {
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match verb.to_ascii_uppercase().as_str() {
            "EHLO" if last => "250-post\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN".to_owned(),
            "EHLO" => "250-post\r\n250-8BITMIME\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN".to_owned(),
            "STARTTLS" => {
                stream.write_all(b"220 go ahead\r\n").await?;
                return Ok(Some(stream.into_inner()));
            }
            "AUTH" => {
                mail.login = login(&mut stream, rest).await?;
                "235 welcome".to_owned()
            }
            "RCPT" => {
                let address = rest.trim_start_matches("TO:<").split('>').next();
                mail.to.push(address.unwrap_or("").to_owned());
                "250 ok".to_owned()
            }
            "DATA" => {
                stream.write_all(b"354 go ahead\r\n").await?;
                mail.text = data(&mut stream).await?;
                let given = Mail {
                    to: std::mem::take(&mut mail.to),
                    ..mail.clone()
                };
                take(state, given)
            }
            "QUIT" => return Ok(None),
            _ => "250 ok".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(None)
}

fn take(state: &(Mutex<State>, Condvar), mail: Mail) -> String {
    let mut inside = state.0.lock();
    let answer = if inside.refusals.is_empty() {
        inside.mails.push(mail);
        "250 taken".to_owned()
    } else {
        inside.refused += 1;
        inside.refusals.remove(0).to_owned()
    };
    state.1.notify_all();
    answer
}

async fn login<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    rest: &str,
) -> std::io::Result<Option<(String, String, String)>> {
    let plain = |text: &str| {
        let bytes = BASE64_STANDARD.decode(text.trim()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    if let Some(response) = rest.strip_prefix("PLAIN ") {
        let response = plain(response);
        let mut parts = response.split('\0').skip(1).map(str::to_owned);
        let (name, password) = (parts.next(), parts.next());
        return Ok(name
            .zip(password)
            .map(|(name, password)| ("PLAIN".to_owned(), name, password)));
    }
    let mut answers = Vec::new();
    for question in ["Username:", "Password:"] {
        let question = BASE64_STANDARD.encode(question);
        stream
            .write_all(format!("334 {question}\r\n").as_bytes())
            .await?;
        answers.push(plain(&read_line(stream).await?.unwrap_or_default()));
    }
    let password = answers.pop().unwrap_or_default();
    let name = answers.pop().unwrap_or_default();
    Ok(Some((rest.to_owned(), name, password)))
}

async fn read_line<S: AsyncRead + Unpin>(
    stream: &mut BufReader<S>,
) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await?;
    Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The message up to the lone dot, with the soft line breaks and escapes of quoted-printable undone.
async fn data<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    while let Some(line) = read_line(stream).await? {
        if line == "." {
            break;
        }
        let line = line.strip_prefix('.').unwrap_or(&line);
        match line.strip_suffix('=') {
            Some(soft) => unescape(soft, &mut bytes),
            None => {
                unescape(line, &mut bytes);
                bytes.push(b'\n');
            }
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unescape(line: &str, out: &mut Vec<u8>) {
    let mut rest = line.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) if first == b'=' => {
                out.push(byte);
                rest = &after[2..];
            }
            _ => {
                out.push(first);
                rest = after;
            }
        }
    }
}
