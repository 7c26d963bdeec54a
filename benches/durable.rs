//! `--durability full` on a disk whose every sync takes two milliseconds more: how many creates of 64 clients share one.
//! `cargo bench --bench durable`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement says what it found, and ends where it cannot be made"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use burrow::app::App;
use burrow::call::{Actor, Call};
use burrow::config::Config;
use burrow::kit::clock::Clock;
use burrow::kit::id;
use burrow::store::{Access, Disk, Raw, Refused, put_below};
use serde_json::json;
use tokio::net::TcpListener;

const CLIENTS: usize = 64;
const SYNC: Duration = Duration::from_millis(2);
const SPAN: Duration = Duration::from_secs(4);

/// A disk that takes its time to sync.
#[derive(Default)]
struct SlowDisk {
    syncs: AtomicU64,
    micros: AtomicU64,
}

impl Disk for SlowDisk {
    fn before_write(&self, _: &Raw<'_>, _: u64, _: usize) -> Result<(), Refused> {
        Ok(())
    }

    fn before_truncate(&self, _: &Raw<'_>, _: u64) -> Result<(), Refused> {
        Ok(())
    }

    fn sync(&self, file: &Raw<'_>) -> Result<(), Refused> {
        let begun = Instant::now();
        std::thread::sleep(SYNC);
        if file.path().to_string_lossy().ends_with("data.db-wal") {
            self.syncs.fetch_add(1, Ordering::Relaxed);
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(0);
            self.micros.fetch_add(micros, Ordering::Relaxed);
        }
        Ok(())
    }

    fn before_delete(&self, _: &Path) -> Result<(), Refused> {
        Ok(())
    }
}

/// Creates records one after the other over one connection.
fn create(address: SocketAddr, stop: &AtomicBool, done: &AtomicU64) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let body = r#"{"title":"a title","views":7}"#;
    let request = format!(
        "POST /api/collections/posts/records HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(request.as_bytes()).unwrap();
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).unwrap();
        assert!(line.contains(" 200 "), "{line}");
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let header = line.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(text) = header.strip_prefix("content-length: ") {
                length = text.parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        done.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() {
    let dir = std::env::temp_dir().join(format!("burrow-bench-{}", id::record_id()));
    let disk = Arc::new(SlowDisk::default());
    put_below(&dir, disk.clone());
    let mut config = Config::new(dir.clone());
    config.durable = true;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (app, listener) = runtime.block_on(async {
        let app = App::open(config, Clock::system(), Access::Alone)
            .await
            .unwrap();
        let definition = json!({"name": "posts", "type": "base", "createRule": "", "fields": [
            {"name": "title", "type": "text"}, {"name": "views", "type": "number"}
        ]});
        let call = Call::new(Actor::Guest, app.clock.now());
        let definition = definition.as_object().unwrap().clone();
        app.collections.create(&call, definition).await.unwrap();
        (app, TcpListener::bind("127.0.0.1:0").await.unwrap())
    });
    let address = listener.local_addr().unwrap();
    let served = burrow::http::serve(
        app.clone(),
        listener,
        std::future::pending(),
        Duration::ZERO,
    );
    let _served = runtime.spawn(served);
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| create(address, &stop, &done));
        }
        std::thread::sleep(Duration::from_secs(1));
        let (done_before, syncs, micros) = (
            done.load(Ordering::Relaxed),
            disk.syncs.load(Ordering::Relaxed),
            disk.micros.load(Ordering::Relaxed),
        );
        std::thread::sleep(SPAN);
        let creates = done.load(Ordering::Relaxed) - done_before;
        let syncs = disk.syncs.load(Ordering::Relaxed) - syncs;
        let micros = disk.micros.load(Ordering::Relaxed) - micros;
        stop.store(true, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (creates, syncs, micros) = (creates as f64, syncs as f64, micros as f64);
        let flush = micros / syncs / 1e6;
        let rate = creates / SPAN.as_secs_f64();
        println!(
            "{rate:.0} creates a second, {:.1} a sync, a sync takes {:.2} ms: {:.1} creates in the time of one sync ({:.0} % of the clients)",
            creates / syncs,
            flush * 1e3,
            rate * flush,
            rate * flush / 64.0 * 100.0
        );
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    app.close();
    drop(std::fs::remove_dir_all(dir));
}
