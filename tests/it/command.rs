//! The command line, as a person or a script meets it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use burrow::kit::id;

struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("burrow-it-{}", id::record_id())))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn burrow(dir: &Dir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_burrow"));
    command.arg("--dir").arg(dir.0.join("data"));
    command
}

fn run(dir: &Dir, arguments: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = burrow(dir).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn the_version_is_told() {
    let (code, out, _) = run(&Dir::new(), &["--version"]);
    assert_eq!(
        (code, out),
        (0, format!("burrow version {}", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn superusers_come_and_go() {
    let dir = Dir::new();
    let (ann, bob) = ("ann@example.com", "bob@example.com");

    let made = run(&dir, &["superuser", "create", ann, "1234567890"]);
    let again = run(&dir, &["superuser", "create", ann, "1234567890"]);
    let changed = run(&dir, &["superuser", "upsert", ann, "0987654321"]);
    let missing = run(&dir, &["superuser", "update", bob, "1234567890"]);
    let short = run(&dir, &["superuser", "upsert", bob, "123"]);
    let last = run(&dir, &["superuser", "delete", ann]);
    let nobody = run(&dir, &["superuser", "delete", bob, "--json"]);

    assert_eq!(
        (made.0, made.1.as_str()),
        (0, "Successfully saved superuser \"ann@example.com\"!")
    );
    assert_eq!(
        (again.0, again.2.as_str()),
        (1, "Error: email: Value must be unique.")
    );
    assert_eq!(changed.0, 0);
    assert_eq!(
        (missing.0, missing.2.as_str()),
        (
            1,
            "Error: superuser with email \"bob@example.com\" doesn't exist"
        )
    );
    assert_eq!(
        (short.0, short.2.as_str()),
        (1, "Error: password: Must be at least 8 character(s).")
    );
    assert_eq!(
        (last.0, last.2.as_str()),
        (1, "Error: You can't delete the only existing superuser.")
    );
    assert_eq!(
        (nobody.0, nobody.1.as_str()),
        (0, r#"{"action":"none","email":"bob@example.com"}"#)
    );
}

#[test]
fn hooks_that_cannot_run_stop_the_start() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.0.join("pb_hooks")).unwrap();
    std::fs::write(dir.0.join("pb_hooks/main.pb.js"), "").unwrap();

    let (code, _, complaint) = run(&dir, &["serve", "--http", "127.0.0.1:0"]);

    assert_eq!(code, 1);
    assert!(complaint.contains("main.pb.js"), "{complaint}");
}

#[test]
#[cfg(unix)]
fn a_server_says_where_it_is_and_ends_at_a_signal() {
    let dir = Dir::new();
    let mut server = burrow(&dir)
        .args(["serve", "--http", "127.0.0.1:0", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();

    let started = lines.next().unwrap().unwrap();
    let installer = lines.next().unwrap().unwrap();
    let second = run(&dir, &["serve", "--http", "127.0.0.1:0"]);
    let killed = Command::new("kill").arg(server.id().to_string()).status();

    assert!(started.contains(r#""event":"started""#), "{started}");
    assert!(installer.contains("/_/#/pbinstall/"), "{installer}");
    assert_eq!(second.0, 3, "{}", second.2);
    assert!(killed.unwrap().success());
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(
        !dir.0.join("data/data.db-wal").exists(),
        "closed in good order"
    );
}
