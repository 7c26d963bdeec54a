//! Servers come and go, and keep files where all of them find them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value as Json, json};

use crate::realtime::ears::{Socket, is};
use crate::realtime::world::{collection, create};
use crate::support::postgres::Folder;
use crate::support::{Person, Request, TestApp, until};

/// The real program, killed when it is let go.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
    _dir: Folder,
}

impl Program {
    pub(crate) fn start(database: &str, files: &Path) -> Self {
        let dir = Folder::new();
        let mut child = Command::new(env!("CARGO_BIN_EXE_burrow"))
            .args(["serve", "--http", "127.0.0.1:0", "--json", "--dir"])
            .arg(dir.0.join("data"))
            .arg("--files-dir")
            .arg(files)
            .args(["--database", database])
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
        Self {
            child,
            address,
            _dir: dir,
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn what_a_killed_server_has_answered_is_there_and_the_others_go_on() {
    let a = TestApp::node();
    collection(&a, "posts", Some(""), &[]);
    let sue = a.superuser();
    let posts = json!({"createRule": ""});
    sue.patch("/api/collections/posts", &posts).ok();
    let config = &a.app.config;
    let database = config.database.as_ref().unwrap().reveal();
    let files = config.files_dir.as_ref().unwrap();
    let mut socket = Socket::open(&a);
    socket.subscribe("posts/*");

    let mut answered = Vec::new();
    for round in 0..3 {
        let mut program = Program::start(database, files);
        let who = Person::at(program.address);
        let title = |n: usize| format!("{round} {n}");
        for n in 0..5 {
            create(&who, "posts", &json!({"title": title(n)}));
            answered.push(title(n));
        }
        program.kill();
        create(&sue, "posts", &json!({"title": title(5)}));
        answered.push(title(5));
    }

    for title in &answered {
        assert_eq!(socket.event(), is("create", title));
    }
}

#[test]
fn a_file_uploaded_to_one_server_is_had_from_another() {
    let a = TestApp::node();
    let b = a.beside();
    let file = json!({"type": "file", "name": "paper", "maxSelect": 1, "maxSize": 1000});
    collection(&a, "posts", Some(""), &[file]);
    let sue = a.superuser();
    let request = Request::new("POST", "/api/collections/posts/records")
        .multipart(&[("title", "one")], &[("paper", "a.txt", b"hello")]);
    let made = sue.send(request).ok();
    let (id, name) = (
        made["id"].as_str().unwrap(),
        made["paper"].as_str().unwrap(),
    );
    let path = format!("/api/files/posts/{id}/{name}");

    assert_eq!(b.guest().get(&path).text(), "hello");

    let there = b.guest().with_token(sue.token());
    let gone = there.delete(&format!("/api/collections/posts/records/{id}"));
    assert_eq!(gone.status, 204);
    until("the file has gone with its record", || {
        a.guest().get(&path).status == 404
    });
}

#[test]
fn a_server_that_keeps_files_in_its_own_directory_stays_alone() {
    let a = TestApp::node();
    let refused = a
        .try_beside(|config| config.files_dir = None)
        .err()
        .unwrap();
    let text = refused.to_string();
    assert!(text.contains("--files-dir"), "{text}");
    // Who shares them is welcome all the same.
    let b = a.beside();
    assert_eq!(b.guest().get("/api/health").status, 200);
}
