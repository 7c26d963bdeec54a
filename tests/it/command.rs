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
    // It is about the tests, and no setting of the program.
    command.env_remove("BURROW_TEST_DATABASE");
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

/// Writes a file into the directory; its path.
fn file(dir: &Dir, name: &str, text: &str) -> String {
    std::fs::create_dir_all(&dir.0).unwrap();
    let path = dir.0.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A directory with a collection of books.
fn library() -> Dir {
    let dir = Dir::new();
    let text = r#"[{"name":"books","type":"base","fields":[{"name":"title","type":"text","required":true}]}]"#;
    let collections = file(&dir, "collections.json", text);
    let made = run(&dir, &["import", "collections", &collections]);
    let said = (made.0, made.1.as_str());
    assert_eq!(said, (0, "Imported 1 collections"), "{}", made.2);
    dir
}

#[test]
fn files_of_records_go_in() {
    let dir = library();
    let books = file(&dir, "books.csv", "title\nOne\n\"\"\nTwo\n");
    let whole = file(&dir, "whole.csv", "Name\nThree\n");

    let dry = run(&dir, &["import", &books, "--dry-run"]);
    let some = run(&dir, &["import", &books]);
    let mapped = ["import", &whole, "--into", "books", "--map", "Name=title"];
    let all = run(&dir, &mapped);
    let gone = run(&dir, &["import", "absent.csv"]);

    assert_eq!(dry.0, 1);
    let told = "Dry run, nothing was kept: 3 rows into books: 2 created";
    assert!(dry.1.starts_with(told), "{}", dry.1);
    assert_eq!(some.0, 1);
    let told = "Warning: line 3: title: Cannot be blank. (validation_required)";
    assert!(some.2.starts_with(told), "{}", some.2);
    assert_eq!(all.0, 0, "{}", all.2);
    assert_eq!(gone.0, 1);
}

#[test]
fn records_come_out_to_a_file_or_to_a_pipe() {
    let dir = library();
    let books = file(&dir, "books.csv", "title\nTwo\nOne\n");
    run(&dir, &["import", &books]);
    let out = dir.0.join("out.csv");
    let out = out.to_str().unwrap();

    let fields = ["--fields", "title"];
    let saved = [
        &["export", "books", "-o", out, "--sort", "title"],
        &fields[..],
    ]
    .concat();
    let saved = run(&dir, &saved);
    let shown = [
        "export",
        "books",
        "--format",
        "ndjson",
        "--filter",
        "title='Two'",
    ];
    let shown = run(&dir, &[&shown, &fields[..]].concat());

    assert_eq!(saved.0, 0, "{}", saved.2);
    assert_eq!(
        std::fs::read_to_string(out).unwrap(),
        "title\r\nOne\r\nTwo\r\n"
    );
    assert_eq!(shown.1, r#"{"title":"Two"}"#);
}

#[test]
fn a_directory_of_pocketbase_is_copied_and_compared() {
    let dir = Dir::new();
    let theirs = Dir(dir.0.join("theirs"));
    let other = Dir(dir.0.join("beside"));
    let made = run(
        &theirs,
        &["superuser", "create", "ann@example.com", "1234567890"],
    );
    let source = theirs.0.join("data");
    std::fs::create_dir_all(source.join("storage/a/b")).unwrap();
    std::fs::write(source.join("storage/a/b/file.txt"), "content").unwrap();
    let source = source.to_str().unwrap();

    let copied = run(&other, &["import", "pocketbase", source, "--json"]);
    let again = run(&other, &["import", "pocketbase", source]);
    let nothing = run(
        &Dir(dir.0.join("third")),
        &["import", "pocketbase", "/nonexistent"],
    );

    assert_eq!(made.0, 0, "{}", made.2);
    assert_eq!(copied.0, 0, "{}", copied.2);
    let facts: serde_json::Value = serde_json::from_str(&copied.1).unwrap();
    assert_eq!(
        (&facts["tables"]["_superusers"], &facts["files"]),
        (&1.into(), &1.into()),
        "{facts}"
    );
    let file = other.0.join("data/storage/a/b/file.txt");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "content");
    assert!(again.2.contains("not empty"), "{}", again.2);
    assert!(
        nothing.2.contains("no directory of PocketBase"),
        "{}",
        nothing.2
    );
    assert!(!dir.0.join("third/data").exists(), "nothing half done");
}

#[test]
fn a_doctor_says_what_is_wrong_and_changes_nothing() {
    let dir = Dir::new();
    let say = |arguments: &[&str]| {
        let mut all = vec!["doctor", "--json"];
        all.extend(arguments);
        let (code, out, _) = run(&dir, &all);
        (
            code,
            serde_json::from_str::<serde_json::Value>(&out).unwrap(),
        )
    };
    let found = |told: &serde_json::Value, subject: &str, status: &str, text: &str| {
        told["findings"].as_array().unwrap().iter().any(|one| {
            one["subject"] == subject
                && one["status"] == status
                && one["message"].as_str().unwrap().contains(text)
        })
    };

    let (code, empty) = say(&[]);
    assert_eq!((code, empty["status"].as_str()), (0, Some("warning")));
    assert!(
        found(&empty, "directory", "warning", "is not there"),
        "{empty}"
    );
    assert!(!dir.0.join("data").exists());

    run(
        &dir,
        &["superuser", "create", "ann@example.com", "1234567890"],
    );
    let (code, fresh) = say(&[]);
    assert_eq!(code, 0, "{fresh}");
    assert!(found(&fresh, "database", "ok", "whole"), "{fresh}");
    assert!(found(&fresh, "superusers", "ok", "1"), "{fresh}");

    std::fs::create_dir_all(dir.0.join("pb_hooks")).unwrap();
    std::fs::write(dir.0.join("pb_hooks/main.pb.js"), "").unwrap();
    let (code, hooked) = say(&[]);
    assert_eq!((code, hooked["status"].as_str()), (1, Some("error")));
    assert!(
        found(&hooked, "configuration", "error", "main.pb.js"),
        "{hooked}"
    );
    let (_, unkeyed) = say(&["--encryptionEnv", "BURROW_TEST_NO_SUCH_KEY"]);
    assert!(
        found(&unkeyed, "configuration", "error", "empty or not set"),
        "{unkeyed}"
    );

    // A page in the middle of the file is overwritten: rows are lost, and that is said.
    let data = dir.0.join("data/data.db");
    let mut bytes = std::fs::read(&data).unwrap();
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 4_096].fill(0xAB);
    std::fs::write(&data, bytes).unwrap();
    let (code, damaged) = say(&[]);
    assert_eq!(code, 1, "{damaged}");
    let damage = damaged["findings"].as_array().unwrap();
    assert!(
        damage
            .iter()
            .any(|one| one["subject"] == "database" && one["status"] == "error"),
        "{damaged}"
    );
}

#[test]
#[cfg(unix)]
fn a_server_is_asked_for_its_health() {
    let dir = Dir::new();
    let mut server = burrow(&dir)
        .args(["serve", "--http", "127.0.0.1:0", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let started: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let http = started["http"].as_str().unwrap();
    let everywhere = http.replace("127.0.0.1", "0.0.0.0");

    let well = run(&dir, &["health", "--http", http]);
    let by_url = run(&dir, &["health", &format!("http://{http}/api/health")]);
    let at_any = run(&dir, &["health", "--http", &everywhere]);
    let elsewhere = run(&dir, &["health", &format!("http://{http}/api/nothing")]);
    server.kill().unwrap();
    server.wait().unwrap();
    let gone = run(&dir, &["health", "--http", http]);

    assert_eq!([well.0, by_url.0, at_any.0], [0, 0, 0], "{}", well.2);
    assert_eq!(elsewhere.0, 1);
    assert!(elsewhere.2.contains("answered 404"), "{}", elsewhere.2);
    assert_eq!(gone.0, 1);
}
