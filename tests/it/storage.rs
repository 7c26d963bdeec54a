//! Moving files between the data directory and a bucket, with the real binary: beside a server, killed in the middle, and
//! begun again.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use burrow::kit::id;
use serde_json::{Value as Json, json};

use crate::support::{Person, Request, S3Server, files_below};

const PAPERS: &str = "/api/collections/papers/records";

/// A data directory, with or without a server.
struct Home {
    root: PathBuf,
    server: Option<(Child, SocketAddr)>,
    /// What each path of a file must answer.
    contents: BTreeMap<String, Vec<u8>>,
    token: String,
}

impl Home {
    fn new() -> Self {
        let root = std::env::temp_dir().join(format!("burrow-storage-{}", id::record_id()));
        let mut home = Self {
            root,
            server: None,
            contents: BTreeMap::new(),
            token: String::new(),
        };
        let made = home.run(&["superuser", "upsert", "sue@example.com", "1234567890"]);
        assert!(made.status.success());
        home.start();
        let fields =
            json!([{"name": "sheets", "type": "file", "maxSelect": 9, "maxSize": 90_000_000}]);
        let made = json!({"name": "papers", "fields": fields, "viewRule": ""});
        home.sue().post("/api/collections", &made).ok();
        home
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_burrow"));
        command.args(arguments).arg("--json").arg("--dir");
        command.arg(self.root.join("data"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a move to its end; what it said.
    #[track_caller]
    fn moved(&self, arguments: &[&str]) -> Json {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{complaint}");
        serde_json::from_str(&said).unwrap()
    }

    fn start(&mut self) {
        let mut child = self
            .command(&["serve", "--http", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let said: Json = serde_json::from_str(&line).unwrap();
        let url = said["url"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        self.server = Some((child, address));
        let sign_in = json!({"identity": "sue@example.com", "password": "1234567890"});
        let path = "/api/collections/_superusers/auth-with-password";
        let answer = Person::at(address).post(path, &sign_in).ok();
        answer["token"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.token);
    }

    fn stop(&mut self) {
        if let Some((mut child, _)) = self.server.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn sue(&self) -> Person {
        Person::at(self.server.as_ref().unwrap().1).with_token(&self.token)
    }

    /// Makes a record with one file; gives its id.
    fn add(&mut self, content: Vec<u8>) -> String {
        let request = Request::new("POST", PAPERS).multipart(&[], &[("sheets", "a.bin", &content)]);
        let record = self.sue().send(request).ok();
        let (id, name) = (&record["id"], &record["sheets"][0]);
        let (id, name) = (id.as_str().unwrap(), name.as_str().unwrap());
        let path = format!("/api/files/papers/{id}/{name}");
        self.contents.insert(path, content);
        id.to_owned()
    }

    /// Every file is there, as it was.
    #[track_caller]
    fn check(&self) {
        for (path, content) in &self.contents {
            let found = self.sue().get(path);
            assert!(found.status == 200 && found.body == *content, "{path}");
        }
    }

    /// Blobs in the data directory.
    fn local(&self) -> usize {
        let mut names = files_below(&self.root.join("data/storage"));
        names.retain(|name| !name.ends_with(".attrs"));
        names.len()
    }

    fn names(&self, s3: &S3Server, enabled: bool) {
        let mut bucket = s3.bucket("files");
        bucket["enabled"] = json!(enabled);
        self.sue()
            .patch("/api/settings", &json!({ "s3": bucket }))
            .ok();
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.server {
            drop(child.kill());
            drop(child.wait());
        }
        drop(std::fs::remove_dir_all(&self.root));
    }
}

fn content(nth: usize) -> Vec<u8> {
    let length = 1 + nth * 7_919 % 150_000;
    (0..length).map(|at| (at * 31 + nth) as u8).collect()
}

#[test]
fn files_move_out_and_home_beside_a_server_that_serves_them() {
    let (s3, mut home) = (S3Server::start(), Home::new());
    for nth in 0..30 {
        home.add(content(nth));
    }
    // Larger than what goes in one request.
    home.add(vec![7; (66 << 20) + 1]);
    home.names(&s3, false);
    std::fs::write(home.root.join("data/storage/stray.txt"), "?").unwrap();

    let said = home.moved(&["storage", "move", "s3"]);

    assert_eq!(
        (&said["files"], &said["left"]),
        (&json!(31), &json!(["stray.txt"]))
    );
    assert_eq!((home.local(), s3.keys("files").len()), (1, 31));
    assert_eq!(home.sue().get("/api/settings").ok()["s3"]["enabled"], true);
    home.check();
    let id = home.add(content(40));
    assert_eq!(s3.keys("files").len(), 32);
    assert_eq!(home.moved(&["storage", "move", "s3"])["files"], 0);

    let kept = home.moved(&["storage", "move", "local", "--keep"]);
    assert_eq!(kept["files"], 32);
    assert_eq!((home.local(), s3.keys("files").len()), (33, 32));
    assert!(!home.root.join("data/.burrow/files-come-home").exists());
    home.check();
    let said = home.moved(&["storage", "move", "local"]);
    assert_eq!(said["files"], 32);
    assert!(s3.keys("files").is_empty());
    assert_eq!(home.sue().get("/api/settings").ok()["s3"]["enabled"], false);
    home.check();
    // What PocketBase keeps beside a file has come back too.
    let beside = files_below(&home.root.join("data/storage"));
    assert!(
        beside
            .iter()
            .filter(|name| name.ends_with(".attrs"))
            .count()
            == 32
    );
    assert_eq!(home.sue().delete(&format!("{PAPERS}/{id}")).status, 204);
}

#[test]
fn a_move_that_cannot_be_made_changes_nothing() {
    let (s3, mut home) = (S3Server::start(), Home::new());
    home.add(content(1));
    let refused = |arguments: &[&str], word: &str| {
        let output = home.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(word), "{said}");
        assert!(!said.contains("not-told-to-anybody"), "{said}");
        assert_eq!(home.sue().get("/api/settings").ok()["s3"]["enabled"], false);
    };
    refused(&["storage", "move", "s3"], "name no bucket");

    home.names(&s3, false);
    home.sue()
        .patch("/api/settings", &json!({"s3": {"secret": "wrong"}}))
        .ok();
    refused(&["storage", "move", "s3"], "SignatureDoesNotMatch");
    refused(&["storage", "move", "local"], "SignatureDoesNotMatch");
    home.names(&s3, false);
    s3.break_down(true);
    refused(&["storage", "move", "s3"], "503");
    assert_eq!((home.local(), s3.keys("files").len()), (1, 0));
    home.check();
}

/// Kills a move in the middle, time and again, until one comes to its end.
fn kill_moves(home: &mut Home, s3: &S3Server, to: &str, with_server: bool) {
    let mut kills = 0;
    loop {
        let before = s3.requests();
        let mut child = home
            .command(&["storage", "move", to])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Each try may come further than the one before it.
        let enough = before + 6 + kills * 12 + id::below(6) as usize;
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success());
                break true;
            }
            if s3.requests() >= enough {
                child.kill().unwrap();
                break child.wait().unwrap().success();
            }
            std::thread::park_timeout(Duration::from_millis(1));
        };
        if ended {
            break;
        }
        kills += 1;
        if !with_server {
            home.start();
        }
        home.check();
        home.add(content(100 + kills));
        if !with_server {
            home.stop();
        }
        assert!(kills < 60, "it never came to its end");
    }
    assert!(kills > 2, "it was killed {kills} times only");
}

#[test]
fn a_move_that_is_killed_loses_nothing_and_goes_on() {
    for with_server in [true, false] {
        let (s3, mut home) = (S3Server::start(), Home::new());
        for nth in 0..40 {
            home.add(content(nth));
        }
        home.names(&s3, false);
        if !with_server {
            home.stop();
        }

        kill_moves(&mut home, &s3, "s3", with_server);
        assert_eq!(home.local(), 0);
        assert_eq!(s3.keys("files").len(), home.contents.len());
        kill_moves(&mut home, &s3, "local", with_server);

        assert!(s3.keys("files").is_empty());
        assert_eq!(home.local(), home.contents.len());
        if !with_server {
            home.start();
        }
        home.check();
    }
}
