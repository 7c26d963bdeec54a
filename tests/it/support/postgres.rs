//! A real PostgreSQL of this process: the programs of Debian's package, on a free port of loopback, under a user that
//! may not do much. It ends with the process, whatever its end, and leaves nothing behind.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a start may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

struct Server {
    port: u16,
    made: Mutex<u32>,
    /// Its standard input is what keeps it alive.
    _keeper: Child,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// Starts the server and ends it when nobody holds the other end of its standard input any more.
const KEEPER: &str = r#"
set -eu
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then
  who=postgres; id -u postgres >/dev/null 2>&1 || who=nobody
  chown "$who" "$ROOT"
  as() { setpriv --reuid="$who" --regid="$(id -g "$who")" --clear-groups "$@"; }
fi
cd "$ROOT"
as "$BIN/initdb" -D "$ROOT/data" -U burrow -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$ROOT/initdb.log" 2>&1
as "$BIN/postgres" -D "$ROOT/data" -p "$PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$ROOT" \
  -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=600 -c shared_buffers=64MB \
  -c autovacuum=off -c max_wal_size=256MB -c jit=off >"$ROOT/postgres.log" 2>&1 &
server=$!
cat >/dev/null
# Not the shell that waits for it: that one hears no interruption.
kill -QUIT "$(head -n 1 "$ROOT/data/postmaster.pid")" 2>/dev/null || true
wait $server 2>/dev/null || true
rm -rf "$ROOT"
"#;

fn bin() -> PathBuf {
    for version in (15..=20).rev() {
        let bin = PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"));
        if bin.join("postgres").exists() {
            return bin;
        }
    }
    panic!("no PostgreSQL is installed: scripts/setup-tests.sh installs it");
}

fn start() -> Server {
    let port = {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        free.local_addr().unwrap().port()
    };
    let root = std::env::temp_dir().join(format!("burrow-pg-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&root).unwrap();
    let keeper = Command::new("setsid")
        .args(["bash", "-c", KEEPER])
        .env("ROOT", &root)
        .env("BIN", bin())
        .env("PORT", port.to_string())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server {
        port,
        made: Mutex::new(0),
        _keeper: keeper,
    };
    let began = Instant::now();
    while !answers(&server) {
        assert!(
            began.elapsed() < PATIENCE,
            "PostgreSQL did not start: see {}",
            root.display()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

fn answers(server: &Server) -> bool {
    query(server.port, "SELECT 1").is_ok()
}

fn query(port: u16, text: &str) -> Result<(), tokio_postgres::Error> {
    let text = text.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let address = format!("host=127.0.0.1 port={port} user=burrow dbname=postgres");
            let (client, connection) =
                tokio_postgres::connect(&address, tokio_postgres::NoTls).await?;
            let moved = tokio::spawn(connection);
            let done = client.batch_execute(&text).await;
            drop(client);
            moved.await.unwrap().ok();
            done
        })
    })
    .join()
    .unwrap()
}

/// The address of a new, empty database.
pub(crate) fn fresh_database() -> String {
    let server = SERVER.get_or_init(start);
    // One at a time: a template may not be in use.
    let mut made = server.made.lock();
    *made += 1;
    let name = format!("test_{made}");
    query(
        server.port,
        &format!("CREATE DATABASE {name} TEMPLATE template0"),
    )
    .unwrap();
    format!("postgres://burrow@127.0.0.1:{}/{name}", server.port)
}

/// Removes a database that nobody uses.
pub(crate) fn drop_database(address: &str) {
    if let (Some(server), Some((_, name))) = (SERVER.get(), address.rsplit_once('/')) {
        drop(query(
            server.port,
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        ));
    }
}
