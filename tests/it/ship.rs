//! Point-in-time recovery: every write is shipped as it happens, and any moment of it can be had back.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use burrow::kit::clock::Clock;
use burrow::kit::id;
use burrow::kit::time::Timestamp;
use rusqlite::Connection;
use serde_json::{Value as Json, json};

use crate::restore::{Server, make_notes, titles};
use crate::support::{Person, S3Server, until};

const NOTES: &str = "/api/collections/notes/records";

/// A directory, and where its writes are shipped to.
struct Home {
    dir: PathBuf,
    shipped: PathBuf,
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

impl Home {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("burrow-it-{}", id::record_id()));
        let shipped = dir.join("shipped");
        Self { dir, shipped }
    }

    fn serve(&self) -> Server {
        let to = self.shipped.to_str().unwrap();
        Server::start_with(self.dir.clone(), &["--ship-to", to])
    }

    /// `burrow restore` over a directory; what it says, or its complaint.
    fn restore(&self, data: &str, arguments: &[&str]) -> Result<Json, String> {
        restore(&self.dir.join(data), &self.shipped, arguments, &[])
    }

    fn generations(&self) -> usize {
        let listed = self.restore("data", &["--list"]).unwrap();
        listed["generations"].as_array().unwrap().len()
    }
}

fn restore(
    data: &Path,
    to: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<Json, String> {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_burrow"))
        .args(["restore", "--json", "--dir"])
        .arg(data)
        .arg("--ship-to")
        .arg(to)
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    if status.success() {
        Ok(serde_json::from_slice(&stdout).unwrap())
    } else {
        Err(String::from_utf8(stderr).unwrap())
    }
}

fn note(person: &Person, title: &str) {
    person.post(NOTES, &json!({ "title": title })).ok();
}

/// The moment, once the clock has gone on: whatever is written from now on is later.
fn moment() -> Timestamp {
    let clock = Clock::system();
    let now = clock.now();
    until("the clock goes on", || clock.now() > now);
    now
}

/// Titles in a directory that nobody serves.
fn titles_in(data: &Path) -> Vec<String> {
    let database = Connection::open(data.join("data.db")).unwrap();
    let check: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let mut statement = database
        .prepare("SELECT title FROM notes ORDER BY rowid")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// A server that ships, with a collection of notes, once a copy is there that what is written now follows.
fn shipping() -> (Home, Server, Person) {
    let home = Home::new();
    let server = home.serve();
    let sue = server.superuser();
    make_notes(&sue);
    based(&home, 1);
    (home, server, sue)
}

/// Waits until everything of now is shipped, by what the metrics say.
fn shipped(sue: &Person) {
    let now = moment().as_millis() / 1_000;
    until("everything is shipped", || {
        let told = sue.get("/api/metrics").text();
        let mut lines = told.lines();
        let value = lines.find_map(|line| line.strip_prefix("burrow_shipped_timestamp_seconds "));
        value.is_some_and(|seconds| seconds.parse::<i64>().unwrap() > now)
    });
}

/// Waits until there is a copy that what is written now follows.
fn based(home: &Home, times: usize) {
    until("a copy is shipped", || home.generations() >= times);
}

#[test]
fn any_moment_comes_back_as_it_was() {
    let (home, server, sue) = shipping();
    let mut moments = vec![(moment(), Vec::new())];
    let mut present = Vec::new();
    for nth in 0..20 {
        let title = format!("{nth:02}");
        note(&sue, &title);
        present.push(title);
        moments.push((moment(), present.clone()));
    }
    server.end();

    for _ in 0..20 {
        let (at, expected) = &moments[id::below(21) as usize];
        let said = home.restore("data", &["--at", &at.to_text()]).unwrap();
        assert!(
            said["asOf"].as_str().unwrap() <= at.to_text().as_str(),
            "{said}"
        );
        assert_eq!(titles_in(&home.dir.join("data")), *expected, "at {at}");
    }

    // It is a directory like any other; and what was there before the restore is kept.
    let server = home.serve();
    let (sue, expected) = (server.superuser(), titles_in(&home.dir.join("data")));
    assert_eq!(titles(&sue), expected);
    assert!(
        home.dir
            .join("data/.burrow/before-restore/data.db")
            .exists()
    );
    drop(server);
}

#[test]
fn when_the_machine_is_lost_what_was_shipped_has_no_gap() {
    let (home, server, sue) = shipping();
    for nth in 0..30 {
        note(&sue, &format!("{nth:02}"));
    }
    shipped(&sue);
    note(&sue, "perhaps");
    let dir = server.kill();
    drop(std::fs::remove_dir_all(dir.join("data")));

    home.restore("elsewhere", &["--at", "latest"]).unwrap();

    let back = titles_in(&home.dir.join("elsewhere"));
    let all: Vec<String> = (0..30).map(|nth| format!("{nth:02}")).collect();
    assert!(
        back == all || back == [all, vec!["perhaps".to_owned()]].concat(),
        "{back:?}"
    );
}

#[test]
fn what_a_command_writes_beside_the_server_is_shipped_too() {
    let (home, server, _) = shipping();

    let made = Command::new(env!("CARGO_BIN_EXE_burrow"))
        .args([
            "superuser",
            "create",
            "bob@example.com",
            "1234567890",
            "--dir",
        ])
        .arg(home.dir.join("data"))
        .output();
    assert!(made.unwrap().status.success());
    based(&home, 2);
    note(&server.superuser(), "after");
    server.end();

    home.restore("data", &["--at", "latest"]).unwrap();
    assert_eq!(titles_in(&home.dir.join("data")), ["after"]);
    let database = Connection::open(home.dir.join("data/data.db")).unwrap();
    let bob = "SELECT count(*) FROM _superusers WHERE email = 'bob@example.com'";
    let there: i64 = database.query_row(bob, [], |row| row.get(0)).unwrap();
    assert_eq!(there, 1);
}

#[test]
fn a_restore_that_cannot_be_done_changes_nothing_and_says_why() {
    let home = Home::new();
    let nothing = home.restore("data", &["--at", "latest"]).unwrap_err();
    assert!(
        nothing.contains("nothing was shipped before that moment"),
        "{nothing}"
    );
    drop(home);
    let (home, server, sue) = shipping();
    note(&sue, "one");

    let inside = home.dir.join("other");
    let to = inside.join("shipped");
    let refused = Command::new(env!("CARGO_BIN_EXE_burrow"))
        .args(["serve", "--http", "127.0.0.1:0", "--dir"])
        .args([&inside, Path::new("--ship-to"), &to])
        .output()
        .unwrap();
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert!(
        complaint.contains("must not lie in the data directory"),
        "{complaint}"
    );

    let served = home.restore("data", &["--at", "latest"]).unwrap_err();
    assert!(
        served.contains("another server uses this data directory"),
        "{served}"
    );
    home.restore("data", &["--drill"]).unwrap();
    server.end();
    for (at, why) in [
        ("2001-01-01T00:00:00Z", "nothing was shipped before"),
        ("soon", "is no moment"),
        ("2026-02-30T00:00:00Z", "is no moment"),
    ] {
        let complaint = home.restore("data", &["--at", at]).unwrap_err();
        assert!(complaint.contains(why), "{complaint}");
    }
    let drilled = home.restore("data", &["--drill"]).unwrap();
    assert!(drilled["bytes"].as_u64().unwrap() > 0, "{drilled}");

    // A part that is not whole any more: said by the drill, and by the restore before it touches anything.
    let mut parts = Vec::new();
    for folder in std::fs::read_dir(&home.shipped).unwrap() {
        let files = std::fs::read_dir(folder.unwrap().path()).unwrap();
        parts.extend(files.map(|file| file.unwrap().path()));
    }
    parts.retain(|path| path.extension().is_some_and(|e| e == "log"));
    assert!(!parts.is_empty());
    let broken = |why: &str| {
        for arguments in [&["--drill"][..], &["--at", "latest"]] {
            let complaint = home.restore("data", arguments).unwrap_err();
            assert!(complaint.contains(why), "{complaint}");
        }
    };
    for part in &parts {
        let bytes = std::fs::read(part).unwrap();
        std::fs::write(part, &bytes[..bytes.len() / 2]).unwrap();
    }
    broken("");
    // And one that is missing before another.
    for part in &parts {
        std::fs::rename(part, part.with_file_name("0000000007.log")).unwrap();
    }
    broken("a part of what was shipped is missing");
    assert_eq!(titles_in(&home.dir.join("data")), ["one"]);
    assert!(!home.dir.join("data/.burrow/before-restore").exists());
}

#[test]
fn it_goes_to_a_bucket_as_well_and_goes_on_when_that_was_away() {
    let s3 = S3Server::start();
    let home = Home::new();
    let bucket = s3.bucket("backups");
    let text = |key: &str| bucket[key].as_str().unwrap().to_owned();
    let values = [
        ("BURROW_BACKUPS_S3_ENDPOINT", text("endpoint")),
        ("BURROW_BACKUPS_S3_BUCKET", text("bucket")),
        ("BURROW_BACKUPS_S3_REGION", text("region")),
        ("BURROW_BACKUPS_S3_ACCESS_KEY", text("accessKey")),
        ("BURROW_BACKUPS_S3_SECRET", text("secret")),
        ("BURROW_BACKUPS_S3_FORCE_PATH_STYLE", "true".to_owned()),
    ];
    let variables = values
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let server = Server::start_in(home.dir.clone());
    let sue = server.superuser();
    sue.patch("/api/settings", &json!({"backups": {"s3": bucket}}))
        .ok();
    make_notes(&sue);
    server.end();
    let server = Server::start_with(home.dir.clone(), &["--ship-to", "s3"]);
    let sue = server.superuser();
    let shipped = |ending: &str| s3.keys("backups").iter().any(|key| key.ends_with(ending));
    until("a copy is shipped", || shipped("base.db.gz"));
    let metrics = || sue.get("/api/metrics").text();

    s3.break_down(true);
    note(&sue, "while it was away");
    until("that is noticed", || {
        metrics().contains("burrow_shipping_failing 1")
    });
    s3.break_down(false);
    until("it goes on", || {
        metrics().contains("burrow_shipping_failing 0")
    });
    until("it is shipped", || shipped(".log"));
    server.end();

    let elsewhere = home.dir.join("elsewhere");
    restore(&elsewhere, Path::new("s3"), &["--at", "latest"], &variables).unwrap();
    assert_eq!(titles_in(&elsewhere), ["while it was away"]);
}

#[test]
fn what_is_too_old_goes_but_never_what_the_oldest_moment_needs() {
    let home = Home::new();
    for times in 1..=3 {
        let server = home.serve();
        based(&home, times);
        server.end();
    }
    // Two of them become twenty and ten days old: with seven days to keep, the second still is where those seven begin.
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&home.shipped)
        .unwrap()
        .map(|folder| folder.unwrap().path())
        .collect();
    folders.sort();
    for (folder, days) in folders.iter().zip([20, 10]) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let (millis, unique) = name.split_once('-').unwrap();
        let millis = millis.parse::<i64>().unwrap() - days * 86_400_000;
        let aged = format!("{millis:015}-{unique}");
        std::fs::rename(folder, folder.with_file_name(aged)).unwrap();
    }

    let server = home.serve();
    until("the oldest is gone and a new one there", || {
        let listed = home.restore("data", &["--list"]).unwrap();
        let listed = listed["generations"].as_array().unwrap().clone();
        let ten_days_ago = Clock::system()
            .now()
            .plus_millis(-11 * 86_400_000)
            .to_text();
        listed.len() == 3 && listed[0].as_str().unwrap() > ten_days_ago.as_str()
    });
    drop(server);
}
