//! A real PostgreSQL: the programs of Debian's package, on a free port of loopback, under a user that may not do much. It
//! ends with the process, whatever its end, and leaves nothing behind. One serves all tests, each with a database of its
//! own; a test that stops and starts its own has a [`Cluster`].

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a start may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server of PostgreSQL.
pub(crate) struct Cluster {
    port: u16,
    made: Mutex<u32>,
    /// Its standard input is what keeps the server alive.
    keeper: Mutex<Child>,
}

static SHARED: OnceLock<Cluster> = OnceLock::new();

/// Starts the server, does as it is told, and ends it when nobody holds the other end of its standard input any more.
const KEEPER: &str = r#"
set -eu
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then
  who=postgres; id -u postgres >/dev/null 2>&1 || who=nobody
  chown "$who" "$ROOT"
  as() { setpriv --reuid="$who" --regid="$(id -g "$who")" --clear-groups "$@"; }
fi
cd "$ROOT"
start() {
  as "$BIN/postgres" -D "$ROOT/data" -p "$PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$ROOT" \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=600 -c shared_buffers=64MB \
    -c autovacuum=off -c max_wal_size=256MB -c jit=off -c wal_level=replica -c max_wal_senders=4 \
    -c hot_standby_feedback=on >>"$ROOT/postgres.log" 2>&1 &
  server=$!
}
# Not the shell that waits for it: that one hears no interruption.
stop() {
  kill "-$1" "$(head -n 1 "$ROOT/data/postmaster.pid")" 2>/dev/null || true
  wait $server 2>/dev/null || true
}
if [ -n "${SOURCE:-}" ]; then
  as "$BIN/pg_basebackup" -h 127.0.0.1 -p "$SOURCE" -U burrow -D "$ROOT/data" -R --no-sync -c fast >"$ROOT/copy.log" 2>&1
else
  as "$BIN/initdb" -D "$ROOT/data" -U burrow -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$ROOT/initdb.log" 2>&1
fi
start
while read -r word; do
  case "$word" in
    stop) stop QUIT ;;
    start) start ;;
    promote) as "$BIN/pg_ctl" promote -D "$ROOT/data" >>"$ROOT/postgres.log" 2>&1 ;;
  esac
done
stop QUIT
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

/// A port that nobody listens at. Not one of those that the system gives to connections that go out: a server may start
/// seconds later.
pub(crate) fn free_port() -> u16 {
    const FROM: u16 = 15_000;
    const COUNT: u64 = 15_000;
    let chance = RandomState::new();
    let tried = (0_u64..).map(|nth| FROM + u16::try_from(chance.hash_one(nth) % COUNT).unwrap());
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    tried.take(1_000).find(is_free).unwrap()
}

impl Cluster {
    /// One of its own.
    pub(crate) fn start() -> Self {
        Self::begin(None)
    }

    /// A replica of this one.
    pub(crate) fn replica(&self) -> Self {
        Self::begin(Some(self.port))
    }

    fn begin(source: Option<u16>) -> Self {
        let port = free_port();
        let root = std::env::temp_dir().join(format!("burrow-pg-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let keeper = Command::new("setsid")
            .args(["bash", "-c", KEEPER])
            .env("ROOT", &root)
            .env("BIN", bin())
            .env("PORT", port.to_string())
            .env(
                "SOURCE",
                source.map(|port| port.to_string()).unwrap_or_default(),
            )
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let cluster = Self {
            port,
            made: Mutex::new(0),
            keeper: Mutex::new(keeper),
        };
        cluster.until(true);
        cluster
    }

    /// Whether it answers, once it is as wanted.
    fn until(&self, answers: bool) {
        let began = Instant::now();
        while self.query("postgres", "SELECT 1").is_ok() != answers {
            assert!(
                began.elapsed() < PATIENCE,
                "PostgreSQL did not start or stop: see burrow-pg-*-{} in the folder for temporary files",
                self.port
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn say(&self, word: &str) {
        let mut keeper = self.keeper.lock();
        let input = keeper.stdin.as_mut().unwrap();
        writeln!(input, "{word}").unwrap();
        input.flush().unwrap();
    }

    /// Ends the server at once, as a crash would; what was committed before is on the disk, although commits do not wait
    /// for it here.
    pub(crate) fn stop(&self) {
        self.query("postgres", "CHECKPOINT").unwrap();
        self.say("stop");
        self.until(false);
    }

    /// Starts it again.
    pub(crate) fn start_again(&self) {
        self.say("start");
        self.until(true);
    }

    /// Makes a replica the one that is written to.
    pub(crate) fn promote(&self) {
        self.say("promote");
        let began = Instant::now();
        while self
            .query("postgres", "CREATE TEMPORARY TABLE it (a int)")
            .is_err()
        {
            assert!(began.elapsed() < PATIENCE, "the replica was not promoted");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs statements on one of its databases.
    pub(crate) fn query(&self, database: &str, text: &str) -> Result<(), tokio_postgres::Error> {
        let address = format!(
            "host=127.0.0.1 port={} user=burrow dbname={database} connect_timeout=5",
            self.port
        );
        let text = text.to_owned();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
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

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address of one of its databases.
    pub(crate) fn address(&self, name: &str) -> String {
        format!("postgres://burrow@127.0.0.1:{}/{name}", self.port)
    }

    /// The address of a new database: empty, or a copy of one that nobody uses.
    pub(crate) fn database(&self, template: &str) -> String {
        // One at a time: a template may not be in use.
        let mut made = self.made.lock();
        *made += 1;
        let name = format!("test_{made}");
        let text = format!("CREATE DATABASE {name} TEMPLATE {template}");
        let began = Instant::now();
        // Whoever used the template may not have gone quite yet.
        while let Err(error) = self.query("postgres", &text) {
            assert!(began.elapsed() < PATIENCE, "{error:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.address(&name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut();
        drop(keeper.stdin.take());
        keeper.wait().ok();
    }
}

/// The one that serves all tests.
pub(crate) fn shared() -> &'static Cluster {
    SHARED.get_or_init(Cluster::start)
}

/// The address of a new, empty database.
pub(crate) fn fresh_database() -> String {
    shared().database("template0")
}

/// The address of a copy of the database at `address`, which nobody uses now.
pub(crate) fn copied_database(address: &str) -> String {
    shared().database(name_of(address))
}

fn name_of(address: &str) -> &str {
    address.rsplit_once('/').map_or("", |(_, name)| name)
}

/// Removes a database of the shared server that nobody uses.
pub(crate) fn drop_database(address: &str) {
    if let Some(server) = SHARED.get() {
        let name = name_of(address);
        drop(server.query(
            "postgres",
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        ));
    }
}

/// Whether this process may become somebody else.
pub(crate) fn is_root() -> bool {
    let out = Command::new("id").arg("-u").output().unwrap();
    out.stdout.starts_with(b"0")
}

/// A folder that goes with the value.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let nth = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("burrow-it-{}-{nth}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
