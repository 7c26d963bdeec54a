//! Backups: the whole state in one archive, made while writes go on; and what must never get into one or out of one.

use std::io::{Cursor, Read as _, Write as _};

use serde_json::{Value as Json, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::support::{Person, Reply, Request, TestApp, until};

const BACKUPS: &str = "/api/backups";

fn at(key: &str) -> String {
    format!("{BACKUPS}/{key}")
}

fn keys(person: &Person) -> Vec<String> {
    let all = person.get(BACKUPS).ok();
    let key = |backup: &Json| backup["key"].as_str().unwrap().to_owned();
    all.as_array().unwrap().iter().map(key).collect()
}

fn file_token(person: &Person) -> String {
    let answer = person.post("/api/files/token", &json!({})).ok();
    answer["token"].as_str().unwrap().to_owned()
}

fn upload(person: &Person, name: &str, content: &[u8]) -> Reply {
    person.send(
        Request::new("POST", "/api/backups/upload").multipart(&[], &[("file", name, content)]),
    )
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_backup_holds_the_databases_and_the_files_and_nothing_else() {
    let t = TestApp::new();
    let sue = t.superuser();
    t.collection(&json!({"name": "notes", "fields": [
        {"name": "title", "type": "text"}, {"name": "paper", "type": "file", "maxSize": 99}
    ]}));
    let note = sue
        .send(
            Request::new("POST", "/api/collections/notes/records")
                .multipart(&[("title", "kept")], &[("paper", "a.txt", b"on paper")]),
        )
        .ok();
    let paper = note["paper"].as_str().unwrap();

    // The log's database is made with its first lines.
    t.wait(t.app.logs.flush());
    assert_eq!(sue.post(BACKUPS, &json!({"name": "one.zip"})).status, 204);
    let token = file_token(&sue);
    let saved = t.guest().get(&format!("{}?token={token}", at("one.zip")));

    assert_eq!(saved.header("content-type"), "application/zip");
    assert_eq!(saved.header("cache-control"), "private, no-store");
    assert_eq!(
        saved.header("content-disposition"),
        "attachment; filename=\"one.zip\""
    );
    let mut zip = ZipArchive::new(Cursor::new(saved.body.clone())).unwrap();
    let names: Vec<String> = zip
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    assert!(names.contains(&"data.db".to_owned()), "{names:?}");
    assert!(names.contains(&"auxiliary.db".to_owned()), "{names:?}");
    let stored = names.iter().find(|name| name.ends_with(paper)).unwrap();
    let mut content = String::new();
    zip.by_name(stored)
        .unwrap()
        .read_to_string(&mut content)
        .unwrap();
    assert_eq!(content, "on paper");
    for name in names {
        assert!(
            !name.starts_with(".burrow") && !name.starts_with("backups") && !name.contains("-wal"),
            "{name}"
        );
    }
}

#[test]
fn backups_are_named_listed_and_removed() {
    let t = TestApp::new();
    let sue = t.superuser();

    assert!(keys(&sue).is_empty());
    for name in ["b.zip", "a-1_x.zip"] {
        assert_eq!(sue.post(BACKUPS, &json!({"name": name})).status, 204);
    }
    assert_eq!(sue.post(BACKUPS, &json!({})).status, 204);
    let all = keys(&sue);
    assert_eq!((all[0].as_str(), all[1].as_str()), ("a-1_x.zip", "b.zip"));
    assert!(
        all[2].starts_with("pb_backup_acme_")
            && all[2].len() == "pb_backup_acme_20000101000000.zip".len(),
        "{}",
        all[2]
    );

    for (name, code) in [
        ("b.zip", "validation_backup_name_exists"),
        ("B.zip", "validation_match_invalid"),
        ("../b.zip", "validation_match_invalid"),
        (
            &format!("{}.zip", "b".repeat(147)),
            "validation_length_out_of_range",
        ),
    ] {
        let refused = sue.post(BACKUPS, &json!({"name": name}));
        refused.is(
            400,
            "An error occurred while validating the submitted data.",
        );
        assert_eq!(refused.code("name"), code, "{name}");
    }
    assert_eq!(sue.delete(&at("b.zip")).status, 204);
    assert_eq!(sue.delete(&at("b.zip")).status, 400);
    assert_eq!(keys(&sue).len(), 2);
}

#[test]
fn only_superusers_touch_backups_and_no_key_leads_out_of_their_folder() {
    let t = TestApp::new();
    let (guest, ann, sue) = (t.guest(), t.user("ann"), t.superuser());
    assert_eq!(sue.post(BACKUPS, &json!({"name": "one.zip"})).status, 204);

    for (person, status) in [(&guest, 401), (&ann, 403)] {
        assert_eq!(person.get(BACKUPS).status, status);
        assert_eq!(
            person.post(BACKUPS, &json!({"name": "x.zip"})).status,
            status
        );
        assert_eq!(upload(person, "x.zip", &archive(&[])).status, status);
        assert_eq!(person.delete(&at("one.zip")).status, status);
        assert_eq!(
            person.post(&at("one.zip/restore"), &json!({})).status,
            status
        );
    }
    // A download is for links: the token in the address counts, the header does not.
    for (token, person) in [
        ("", &sue),
        (file_token(&ann).as_str(), &ann),
        (sue.token(), &sue),
    ] {
        person
            .get(&format!("{}?token={token}", at("one.zip")))
            .is(403, "Insufficient permissions to access the resource.");
    }
    let token = file_token(&sue);
    for key in [
        "..%2Fdata.db",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2fdata.db",
        "one.zip%00",
        "..%5Cdata.db",
    ] {
        let status = guest.get(&format!("{}?token={token}", at(key))).status;
        assert_eq!(status, 404, "{key}");
        assert_eq!(sue.delete(&at(key)).status, 400, "{key}");
        assert_eq!(
            sue.post(&at(&format!("{key}/restore")), &json!({})).status,
            400,
            "{key}"
        );
    }
    assert_eq!(keys(&sue), ["one.zip"]);
}

#[test]
fn uploads_must_be_archives_with_names_of_their_own() {
    let t = TestApp::new();
    let sue = t.superuser();
    let empty = archive(&[]);

    assert_eq!(upload(&sue, "my copy@home.zip", &empty).status, 204);
    assert_eq!(upload(&sue, "..\\..\\x;y.zip", &empty).status, 204);
    for (reply, code) in [
        (
            upload(&sue, "my copy@home.zip", &empty),
            "validation_backup_name_exists",
        ),
        (
            upload(&sue, "a.zip", b"not an archive"),
            "validation_invalid_mime_type",
        ),
        (
            sue.post("/api/backups/upload", &json!({})),
            "validation_required",
        ),
    ] {
        assert_eq!((reply.status, reply.code("file").as_str()), (400, code));
    }
    assert_eq!(keys(&sue), ["_.._x_y.zip", "my copy@home.zip"]);
}

#[test]
fn an_archive_that_is_no_state_changes_nothing() {
    let t = TestApp::new();
    let sue = t.superuser();
    t.collection(&json!({"name": "notes", "fields": [{"name": "title", "type": "text"}]}));
    for (name, content) in [
        ("empty.zip", archive(&[])),
        ("text.zip", archive(&[("data.db", b"not a database")])),
        (
            "out.zip",
            archive(&[("../../out", b"x"), ("data.db", b"x")]),
        ),
        (
            "cut.zip",
            archive(&[("data.db", &[7; 4096])])[..100].to_vec(),
        ),
    ] {
        assert_eq!(upload(&sue, name, &content).status, 204, "{name}");
        assert_eq!(
            sue.post(&at(&format!("{name}/restore")), &json!({})).status,
            204,
            "{name}"
        );
        until("the restore was given up", || {
            sue.get("/api/health").ok()["data"]["canBackup"] == true
        });
        assert!(!t.dir().join(".burrow/restore").exists(), "{name}");
    }
    sue.post(&at("none.zip/restore"), &json!({}))
        .is(400, "Missing or invalid backup file.");
    sue.create("notes", &json!({"title": "still here"}));
}

#[test]
fn the_clock_makes_backups_and_drops_the_oldest() {
    let t = TestApp::new();
    let sue = t.superuser();
    let job = |reply: &Json| {
        reply
            .as_array()
            .unwrap()
            .iter()
            .any(|job| job["id"] == "__pbAutoBackup__" && job["expression"] == "0 3 * * *")
    };
    assert!(!job(&sue.get("/api/crons").ok()));
    sue.patch(
        "/api/settings",
        &json!({"backups": {"cron": "0 3 * * *", "cronMaxKeep": 2}}),
    )
    .ok();
    assert!(job(&sue.get("/api/crons").ok()));
    assert_eq!(sue.post(BACKUPS, &json!({"name": "mine.zip"})).status, 204);

    let made = t.wait(async {
        for _ in 0..3 {
            t.clock.advance(std::time::Duration::from_secs(1));
            t.app.backups.create_automatic().await.unwrap();
        }
        t.app.backups.list().await.unwrap()
    });

    assert_eq!(made.len(), 3);
    let keys = keys(&sue);
    assert!(
        keys[0].starts_with("@auto_pb_backup_acme_") && keys[1].starts_with("@auto"),
        "{keys:?}"
    );
    assert_eq!(keys[2], "mine.zip");
}
