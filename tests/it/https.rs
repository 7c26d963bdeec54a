//! HTTPS: certificates given as files, and certificates from a real authority (Pebble) on loopback; asked with curl.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use burrow::kit::id;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value as Json, json};

use crate::support::until;

const NAME: &str = "app.burrow.test";

struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("burrow-https-{}", id::record_id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A process that ends with its handle.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

struct Server {
    _process: Running,
    http: SocketAddr,
    https: SocketAddr,
}

impl Server {
    fn start(dir: &Dir, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_burrow"))
            .arg("--dir")
            .arg(dir.path("data"))
            .args(["serve", "--json"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let told: Json = serde_json::from_str(&line).unwrap();
        let address = |key: &str| told[key].as_str().unwrap().parse().unwrap();
        Self {
            http: address("http"),
            https: address("https"),
            _process: Running(child),
        }
    }

    /// What curl says of `path` of `NAME` at the secure door, trusting `ca`: the HTTP version and the status.
    fn get(&self, ca: &Path, path: &str, flags: &[&str]) -> Option<String> {
        let port = self.https.port();
        let out = Command::new("curl")
            .args([
                "-sS",
                "-o",
                "/dev/null",
                "-w",
                "%{http_version} %{http_code}",
            ])
            .arg("--cacert")
            .arg(ca)
            .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
            .args(flags)
            .arg(format!("https://{NAME}:{port}{path}"))
            .output()
            .unwrap();
        out.status
            .success()
            .then(|| String::from_utf8(out.stdout).unwrap())
    }

    /// Status and `Location` of a request at the plain door.
    fn plain(&self, host: &str, path: &str) -> String {
        let out = Command::new("curl")
            .args([
                "-sS",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %{redirect_url}",
            ])
            .args(["-H", &format!("Host: {host}")])
            .arg(format!("http://{}{path}", self.http))
            .output()
            .unwrap();
        String::from_utf8(out.stdout).unwrap()
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = format!("An authority {}", id::record_id());
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// The PEM of a certificate for `name`, and of its key; `days` is how long it holds still, of 90.
fn issue(by: &CertifiedIssuer<'static, KeyPair>, name: &str, days: i64) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let day = 86_400;
    let at = |days: i64| {
        let seconds = i64::try_from(now).unwrap() + days * day;
        let days = seconds.div_euclid(day);
        let (year, month, of_month) = civil(days);
        rcgen::date_time_ymd(year, month, of_month)
    };
    params.not_before = at(days - 90);
    params.not_after = at(days);
    (
        params.signed_by(&key, by).unwrap().pem(),
        key.serialize_pem(),
    )
}

/// The date of a day since 1970 (proleptic Gregorian).
fn civil(days: i64) -> (i32, u8, u8) {
    let date = jiff::civil::date(1970, 1, 1)
        .checked_add(jiff::Span::new().days(days))
        .unwrap();
    (
        date.year().into(),
        date.month().unsigned_abs(),
        date.day().unsigned_abs(),
    )
}

#[test]
fn a_given_certificate_is_shown_and_read_again() {
    let dir = Dir::new();
    let (first, second) = (authority(), authority());
    let (chain, key) = issue(&first, NAME, 90);
    let (ca, other_ca) = (
        dir.write("ca.pem", &first.pem()),
        dir.write("other-ca.pem", &second.pem()),
    );
    let (chain, key) = (dir.write("chain.pem", &chain), dir.write("key.pem", &key));
    let flags = [
        "--http",
        "127.0.0.1:0",
        "--https",
        "127.0.0.1:0",
        "--tls-cert",
        chain.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let server = Server::start(&dir, &flags);
    let port = server.https.port();

    let health = "/api/health";
    assert_eq!(server.get(&ca, health, &[]).as_deref(), Some("2 200"));
    let old = ["--http1.1"];
    assert_eq!(server.get(&ca, health, &old).as_deref(), Some("1.1 200"));
    // A body, and an answer to it, by HTTP/2.
    let sign_in = ["--json", r#"{"identity": "a@b.co", "password": "x"}"#];
    let path = "/api/collections/users/auth-with-password";
    assert_eq!(server.get(&ca, path, &sign_in).as_deref(), Some("2 400"));
    assert_eq!(server.get(&other_ca, health, &[]), None);
    // TLS 1.1 is not spoken.
    assert_eq!(server.get(&ca, health, &["--tls-max", "1.1"]), None);
    assert_eq!(
        server.plain(NAME, "/a%20b?c=d"),
        format!("307 https://{NAME}:{port}/a%20b?c=d")
    );
    assert_eq!(
        server.plain(&format!("{NAME}:80"), "/"),
        format!("307 https://{NAME}:{port}/")
    );
    assert_eq!(server.plain("a@evil.test", "/"), "404 ");
    assert_eq!(server.plain("", "/"), "404 ");

    let (new_chain, new_key) = issue(&second, NAME, 90);
    std::fs::write(&chain, "no certificate").unwrap();
    std::fs::write(&key, new_key).unwrap();
    std::fs::write(&chain, new_chain).unwrap();
    until("the new certificate is shown", || {
        server.get(&other_ca, health, &[]).is_some()
    });
}

#[test]
fn what_is_no_pair_stops_the_start() {
    let dir = Dir::new();
    let by = authority();
    let (chain, _) = issue(&by, NAME, 90);
    let (_, key) = issue(&by, NAME, 90);
    let (chain, key) = (dir.write("chain.pem", &chain), dir.write("key.pem", &key));
    let (chain, key) = (chain.to_str().unwrap(), key.to_str().unwrap());
    let pair = ["--tls-cert", chain, "--tls-key", key];
    let missing = ["--tls-cert", "/nowhere.pem", "--tls-key", key];
    let cases: [(&[&str], i32, &str); 5] = [
        (&pair, 1, "key and certificate are not a pair"),
        (&missing, 1, "/nowhere.pem: "),
        (&["--tls-cert", chain], 2, "--tls-key"),
        (&[], 1, "--https needs the domains"),
        (&["https://app.test"], 1, "is not a domain"),
    ];
    for (flags, code, complaint) in cases {
        let out = Command::new(env!("CARGO_BIN_EXE_burrow"))
            .arg("--dir")
            .arg(dir.path("data"))
            .args(["serve", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"])
            .args(flags)
            .output()
            .unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{flags:?}: {said}");
        assert!(said.contains(complaint), "{flags:?}: {said}");
    }
}

/// Pebble: a certificate authority that asks for real, with a name server that knows every name as loopback.
struct Pebble {
    _processes: [Running; 2],
    /// The file of the authority that vouches for Pebble's own address.
    ca: PathBuf,
    directory: String,
    management: u16,
}

/// A free port, for a program that cannot choose one by itself.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Pebble {
    /// It looks for challenges at these doors.
    fn start(dir: &Dir, http: u16, https: u16) -> Self {
        let by = authority();
        let (chain, key) = issue(&by, "localhost", 90);
        let ca = dir.write("pebble-ca.pem", &by.pem());
        let [names, port, management] = [free_port(), free_port(), free_port()];
        let config = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": dir.write("pebble.pem", &chain),
            "privateKey": dir.write("pebble-key.pem", &key),
            "httpPort": http,
            "tlsPort": https,
        }});
        let config = dir.write("pebble.json", &config.to_string());
        let names_at = format!("127.0.0.1:{names}");
        let resolver = Command::new("pebble-challtestsrv")
            .args(["-dns01", &names_at, "-defaultIPv4", "127.0.0.1"])
            .args(["-defaultIPv6", "", "-http01", "", "-https01", ""])
            .args(["-tlsalpn01", "", "-management", ""])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pebble = Command::new("pebble")
            .args(["-dnsserver", &names_at, "-config"])
            .arg(config)
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pebble = Self {
            _processes: [Running(resolver), Running(pebble)],
            ca,
            directory: format!("https://localhost:{port}/dir"),
            management,
        };
        until("the authority answers", || pebble.root().is_some());
        pebble
    }

    /// The root that certificates are issued from, made anew at each start.
    fn root(&self) -> Option<String> {
        let out = Command::new("curl")
            .args(["-sS", "--fail", "--cacert"])
            .arg(&self.ca)
            .arg(format!("https://localhost:{}/roots/0", self.management))
            .output()
            .unwrap();
        out.status
            .success()
            .then(|| String::from_utf8(out.stdout).unwrap())
    }
}

fn with_authority<'a>(pebble: &'a Pebble, http: &'a str, https: &'a str) -> [&'a str; 9] {
    [
        NAME,
        "--http",
        http,
        "--https",
        https,
        "--acme-directory",
        &pebble.directory,
        "--acme-ca",
        pebble.ca.to_str().unwrap(),
    ]
}

#[test]
fn certificates_come_from_an_authority_and_are_kept_and_renewed() {
    let dir = Dir::new();
    let [http, https] = [free_port(), free_port()];
    let pebble = Pebble::start(&dir, http, https);
    let root = dir.write("root.pem", &pebble.root().unwrap());
    let (http, https) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{https}"));
    let flags = with_authority(&pebble, &http, &https);
    let kept = dir.path("data/.autocert_cache").join(NAME);

    // One of another server that ends in ten days: good enough until there is a better one.
    let old_authority = authority();
    let (chain, key) = issue(&old_authority, NAME, 10);
    let old_root = dir.write("old-root.pem", &old_authority.pem());
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    let old = format!("{key}{chain}");
    std::fs::write(&kept, &old).unwrap();

    let server = Server::start(&dir, &flags);
    until("a certificate is shown", || {
        server.get(&root, "/api/health", &[]).is_some()
    });
    assert_eq!(server.get(&old_root, "/api/health", &[]), None);
    let issued = std::fs::read_to_string(&kept).unwrap();
    assert!(issued.starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_ne!(issued, old);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&kept.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    drop(server);

    // What is good is used again: nobody is asked, here nobody is there.
    drop(pebble);
    let directory = format!("https://localhost:{}/dir", free_port());
    let ca = dir.path("pebble-ca.pem");
    let flags = [
        NAME,
        "--http",
        &http,
        "--https",
        &https,
        "--acme-directory",
        &directory,
        "--acme-ca",
        ca.to_str().unwrap(),
    ];
    let server = Server::start(&dir, &flags);
    until("the kept certificate is shown", || {
        server.get(&root, "/api/health", &[]).is_some()
    });
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), issued);
}

#[test]
fn an_authority_that_reaches_only_the_plain_door_is_answered_there() {
    let dir = Dir::new();
    let [http, https] = [free_port(), free_port()];
    let pebble = Pebble::start(&dir, http, free_port());
    let root = dir.write("root.pem", &pebble.root().unwrap());
    let (http, https) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{https}"));

    let server = Server::start(&dir, &with_authority(&pebble, &http, &https));

    until("a certificate is shown", || {
        server.get(&root, "/api/health", &[]).is_some()
    });
    let unknown = server.plain(NAME, "/.well-known/acme-challenge/unknown");
    assert_eq!(unknown, "404 ");
}
