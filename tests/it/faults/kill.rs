//! SIGKILL to the real binary in the middle of every kind of write.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use burrow::kit::id;
use serde_json::{Value as Json, json};

use super::rounds;
use super::work::{KINDS, Kind, Work};
use crate::support::{Person, until};

const EMAIL: &str = "sue@example.com";
const PASSWORD: &str = "1234567890";

struct Home(PathBuf);

impl Drop for Home {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The binary while it serves; killed when it is let go.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_burrow"))
            .args(["serve", "--http", "127.0.0.1:0", "--json", "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said: Json = serde_json::from_str(&line).unwrap();
        let url = said["url"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        Self { child, address }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn kill_in_the_middle_of(kinds: &[Kind], rounds: usize) {
    let home = std::env::temp_dir().join(format!("burrow-kill-{}", id::record_id()));
    let (dir, _home) = (home.join("data"), Home(home));
    let made = Command::new(env!("CARGO_BIN_EXE_burrow"))
        .args(["superuser", "upsert", EMAIL, PASSWORD, "--dir"])
        .arg(&dir)
        .stdout(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let mut server = Server::start(&dir);
    let signed_in = Person::at(server.address)
        .post(
            "/api/collections/_superusers/auth-with-password",
            &json!({"identity": EMAIL, "password": PASSWORD}),
        )
        .ok();
    let token = signed_in["token"].as_str().unwrap();
    let mut work = Arc::new(Work::prepare(server.address, token));
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds {
        let enough = work.acknowledged.load(Ordering::Relaxed) + 1 + id::below(12) as usize;
        let writers = work.begin(kinds);
        until("they have written a while", || {
            work.acknowledged.load(Ordering::Relaxed) >= enough
        });
        server.kill();
        work.end(writers);

        let begun = Instant::now();
        server = Server::start(&dir);
        slowest = slowest.max(begun.elapsed());

        let mine = Arc::get_mut(&mut work).unwrap();
        mine.moved_to(server.address);
        mine.check(&dir);
    }
    let acknowledged = work.acknowledged.load(Ordering::Relaxed);
    eprintln!(
        "{kinds:?}: {rounds} kills, {acknowledged} acknowledged, slowest restart {slowest:?}"
    );
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    kill_in_the_middle_of(&KINDS, rounds(3));
}

#[test]
fn a_kill_in_the_middle_of_each_kind_of_write_leaves_it_whole_or_absent() {
    for kind in KINDS {
        kill_in_the_middle_of(&[kind], rounds(1));
    }
}
