//! Putting a backup back: the process opens the directory anew and finds that state, or the one it had.

use std::io::{BufRead as _, BufReader, Cursor, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use burrow::kit::id;
use serde_json::{Value as Json, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::{Person, Request, until};

/// The executable over a directory of its own.
pub(super) struct Server {
    pub(super) dir: PathBuf,
    process: Child,
    address: SocketAddr,
    /// Where it says that it started.
    said: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Server {
    pub(super) fn start() -> Self {
        let dir = std::env::temp_dir().join(format!("burrow-it-{}", id::record_id()));
        Self::start_in(dir)
    }

    pub(super) fn start_in(dir: PathBuf) -> Self {
        Self::start_with(dir, &[])
    }

    pub(super) fn start_with(dir: PathBuf, flags: &[&str]) -> Self {
        let burrow = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_burrow"));
            command.arg("--dir").arg(dir.join("data")).arg("--json");
            command
        };
        let upsert = ["superuser", "upsert", "sue@example.com", "1234567890"];
        assert!(burrow().args(upsert).output().unwrap().status.success());
        let mut process = burrow()
            .args(["serve", "--http", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = started(&mut said);
        Self {
            dir,
            process,
            address,
            said,
        }
    }

    pub(super) fn superuser(&self) -> Person {
        let guest = Person::at(self.address);
        let sign_in = json!({"identity": "sue@example.com", "password": "1234567890"});
        let answer = guest
            .post("/api/collections/_superusers/auth-with-password", &sign_in)
            .ok();
        guest.with_token(answer["token"].as_str().unwrap())
    }

    /// Kills it, and gives the directory.
    pub(super) fn kill(mut self) -> PathBuf {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::mem::take(&mut self.dir)
    }

    /// Ends it as a person does, and gives the directory.
    pub(super) fn end(mut self) -> PathBuf {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
        std::mem::take(&mut self.dir)
    }

    /// Kills it, and starts another one over the same directory.
    pub(super) fn killed(self) -> Self {
        Self::start_in(self.kill())
    }

    /// Asks for a restore and waits until the server has begun anew, at the same address.
    pub(super) fn restore(&mut self, person: &Person, key: &str) {
        assert_eq!(
            person
                .post(&format!("/api/backups/{key}/restore"), &json!({}))
                .status,
            204
        );
        assert_eq!(started(&mut self.said), self.address);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

fn started(said: &mut std::io::Lines<BufReader<std::process::ChildStdout>>) -> SocketAddr {
    let line = said.next().unwrap().unwrap();
    let event: Json = serde_json::from_str(&line).unwrap();
    assert_eq!(event["event"], "started", "{line}");
    event["url"]
        .as_str()
        .unwrap()
        .trim_start_matches("http://")
        .parse()
        .unwrap()
}

const NOTES: &str = "/api/collections/notes/records";

pub(super) fn titles(person: &Person) -> Vec<String> {
    let list = person.get(&format!("{NOTES}?sort=title")).ok();
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|note| note["title"].as_str().unwrap().to_owned())
        .collect()
}

pub(super) fn make_notes(person: &Person) {
    let fields = json!([{"name": "title", "type": "text"}, {"name": "paper", "type": "file"}]);
    person
        .post(
            "/api/collections",
            &json!({"name": "notes", "fields": fields}),
        )
        .ok();
}

#[test]
fn a_restored_backup_is_the_state_it_was_made_of() {
    let mut server = Server::start();
    let sue = server.superuser();
    make_notes(&sue);
    let first = sue
        .send(
            Request::new("POST", NOTES)
                .multipart(&[("title", "first")], &[("paper", "a.txt", b"on paper")]),
        )
        .ok();
    let (id, paper) = (
        first["id"].as_str().unwrap(),
        first["paper"].as_str().unwrap(),
    );
    assert_eq!(
        sue.post("/api/backups", &json!({"name": "one.zip"})).status,
        204
    );
    sue.create("notes", &json!({"title": "second"}));
    assert_eq!(sue.delete(&format!("{NOTES}/{id}")).status, 204);

    server.restore(&sue, "one.zip");

    // The session is of that state too.
    assert_eq!(titles(&sue), ["first"]);
    assert_eq!(
        sue.get(&format!("/api/files/notes/{id}/{paper}")).text(),
        "on paper"
    );
    let own = server.dir.join("data/.burrow");
    assert!(own.join("before-restore/data.db").exists());
    assert!(!own.join("restore").exists());
    assert_eq!(sue.get("/api/backups").ok()[0]["key"], "one.zip");
    sue.create("notes", &json!({"title": "third"}));
}

#[test]
fn a_backup_that_cannot_be_opened_leaves_what_was_there() {
    let mut server = Server::start();
    let sue = server.superuser();
    make_notes(&sue);
    sue.create("notes", &json!({"title": "mine"}));
    // Whole as a database, and nobody's directory.
    let strange = server.dir.join("strange.db");
    rusqlite::Connection::open(&strange)
        .unwrap()
        .execute_batch("CREATE TABLE _collections (id, name); CREATE TABLE other (x)")
        .unwrap();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("data.db", SimpleFileOptions::default())
        .unwrap();
    zip.write_all(&std::fs::read(&strange).unwrap()).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    let sent = sue.send(
        Request::new("POST", "/api/backups/upload")
            .multipart(&[], &[("file", "strange.zip", &zip)]),
    );
    assert_eq!(sent.status, 204);

    server.restore(&sue, "strange.zip");

    assert_eq!(titles(&sue), ["mine"]);
    assert!(!server.dir.join("data/.burrow/restore").exists());
}

#[test]
#[cfg(unix)]
fn a_kill_while_a_backup_is_put_back_leaves_one_state_or_the_other() {
    for round in 0..6 {
        let server = Server::start();
        let sue = server.superuser();
        make_notes(&sue);
        sue.create("notes", &json!({"title": "old"}));
        assert_eq!(
            sue.post("/api/backups", &json!({"name": "one.zip"})).status,
            204
        );
        sue.create("notes", &json!({"title": "young"}));

        assert_eq!(
            sue.post("/api/backups/one.zip/restore", &json!({})).status,
            204
        );
        // At another step in each round: steps are told apart by what is on the disk.
        let own = server.dir.join("data/.burrow");
        let reached = || match round {
            0 => true,
            1 => own.join("restore/new").exists(),
            2 => own.join("restore/phase").exists(),
            3 => own.join("restore/old").exists(),
            _ => own.join("before-restore").exists(),
        };
        until("the restore came so far", || {
            reached() || own.join("before-restore").exists()
        });
        let server = server.killed();
        let found = titles(&server.superuser());
        assert!(
            found == ["old", "young"] || found == ["old"],
            "round {round}: {found:?}"
        );
    }
}
