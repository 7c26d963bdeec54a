//! Backups in a bucket: the same life as in the folder, and none that is half there.

use std::io::{Cursor, Read as _};
use std::time::Duration;

use serde_json::{Value as Json, json};
use zip::ZipArchive;

use crate::restore::{Server, make_notes, titles};
use crate::support::{Person, Request, S3Server, TestApp, until};

const BACKUPS: &str = "/api/backups";

fn on_s3() -> (S3Server, TestApp) {
    let (s3, t) = (S3Server::start(), TestApp::new());
    let bucket = json!({"backups": {"s3": s3.bucket("backups")}});
    t.superuser_again().patch("/api/settings", &bucket).ok();
    (s3, t)
}

fn keys(person: &Person) -> Vec<String> {
    let listed = person.get(BACKUPS).ok();
    let key = |backup: &Json| backup["key"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(key).collect()
}

fn file_token(person: &Person) -> String {
    let answer = person.post("/api/files/token", &json!({})).ok();
    answer["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_backup_lives_in_the_bucket_from_its_making_to_its_end() {
    let (s3, t) = on_s3();
    let sue = t.superuser();
    t.collection(&json!({"name": "notes", "fields": [{"name": "title", "type": "text"}]}));

    assert_eq!(sue.post(BACKUPS, &json!({"name": "one.zip"})).status, 204);

    assert_eq!(s3.keys("backups"), ["one.zip"]);
    assert!(!t.dir().join("backups").exists());
    assert_eq!(t.dir().join(".burrow/tmp").read_dir().unwrap().count(), 0);
    let listed = sue.get(BACKUPS).ok();
    let on_disk = std::fs::read(s3.path("backups", "one.zip")).unwrap();
    assert_eq!(listed[0]["key"], "one.zip");
    assert_eq!(listed[0]["size"], on_disk.len());
    assert!(listed[0]["modified"].as_str().unwrap().ends_with('Z'));
    let taken = sue.post(BACKUPS, &json!({"name": "one.zip"}));
    assert_eq!(taken.code("name"), "validation_backup_name_exists");

    let link = format!("{BACKUPS}/one.zip?token={}", file_token(&sue));
    let saved = t.guest().get(&link);
    assert_eq!(saved.header("content-type"), "application/zip");
    assert_eq!(saved.body, on_disk);
    let mut zip = ZipArchive::new(Cursor::new(saved.body)).unwrap();
    let mut data = Vec::new();
    zip.by_name("data.db")
        .unwrap()
        .read_to_end(&mut data)
        .unwrap();
    assert!(data.starts_with(b"SQLite format 3"));
    let part = t
        .guest()
        .send(Request::new("GET", &link).header("Range", "bytes=0-3"));
    assert_eq!((part.status, &part.body[..]), (206, &on_disk[..4]));

    let sent = sue.send(
        Request::new("POST", "/api/backups/upload")
            .multipart(&[], &[("file", "my copy.zip", &on_disk)]),
    );
    assert_eq!(sent.status, 204);
    assert_eq!(keys(&sue), ["my copy.zip", "one.zip"]);
    assert_eq!(sue.delete(&format!("{BACKUPS}/one.zip")).status, 204);
    assert_eq!(sue.delete(&format!("{BACKUPS}/one.zip")).status, 400);
    assert_eq!(s3.keys("backups"), ["my copy.zip"]);
    assert_eq!(
        t.guest()
            .get(&format!("{BACKUPS}/one.zip?token={}", file_token(&sue)))
            .status,
        404
    );
}

#[test]
fn what_else_is_in_the_bucket_is_no_backup() {
    let (s3, t) = on_s3();
    let sue = t.superuser();
    for strange in ["c/r/a.txt", ".hidden", "a.zip.attrs"] {
        let path = s3.path("backups", strange);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }

    assert!(keys(&sue).is_empty());
    for strange in ["c%2Fr%2Fa.txt", ".hidden", "..%2Ffiles%2Fx"] {
        let path = format!("{BACKUPS}/{strange}");
        assert_eq!(sue.delete(&path).status, 400, "{strange}");
        assert_eq!(sue.post(&format!("{path}/restore"), &json!({})).status, 400);
    }
    assert_eq!(s3.keys("backups").len(), 3);
}

#[test]
fn the_clock_keeps_no_more_than_it_may_in_the_bucket() {
    let (s3, t) = on_s3();
    let sue = t.superuser();
    sue.patch(
        "/api/settings",
        &json!({"backups": {"cron": "0 3 * * *", "cronMaxKeep": 2}}),
    )
    .ok();
    assert_eq!(sue.post(BACKUPS, &json!({"name": "mine.zip"})).status, 204);

    let mut names = Vec::new();
    for _ in 0..3 {
        t.clock.advance(Duration::from_secs(1));
        t.wait(t.app.backups.create_automatic()).unwrap();
        names = s3.keys("backups");
    }

    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[0] < names[1] && names[1].starts_with("@auto_pb_backup_acme_"));
    assert_eq!(names[2], "mine.zip");
}

#[test]
fn a_store_that_fails_leaves_no_half_backup() {
    let (s3, t) = on_s3();
    let sue = t.superuser();
    assert_eq!(sue.post(BACKUPS, &json!({"name": "one.zip"})).status, 204);

    s3.break_down(true);
    for refused in [
        sue.post(BACKUPS, &json!({"name": "two.zip"})),
        sue.post(BACKUPS, &json!({})),
        sue.get(BACKUPS),
        sue.delete(&format!("{BACKUPS}/one.zip")),
        sue.post(&format!("{BACKUPS}/one.zip/restore"), &json!({})),
    ] {
        assert_eq!(refused.status, 400);
        let said = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(said.contains("the store refused it with 503"), "{said}");
    }
    s3.break_down(false);

    assert_eq!(keys(&sue), ["one.zip"]);
    assert_eq!(t.dir().join(".burrow/tmp").read_dir().unwrap().count(), 0);
    until("another one may be made", || {
        sue.get("/api/health").ok()["data"]["canBackup"] == true
    });
    assert_eq!(sue.post(BACKUPS, &json!({"name": "two.zip"})).status, 204);
}

#[test]
fn a_backup_comes_back_from_the_bucket() {
    let s3 = S3Server::start();
    let mut server = Server::start();
    let sue = server.superuser();
    make_notes(&sue);
    let bucket = json!({"backups": {"s3": s3.bucket("backups")}});
    sue.patch("/api/settings", &bucket).ok();
    sue.create("notes", &json!({"title": "old"}));
    assert_eq!(sue.post(BACKUPS, &json!({"name": "one.zip"})).status, 204);
    sue.create("notes", &json!({"title": "young"}));

    server.restore(&sue, "one.zip");

    assert_eq!(titles(&sue), ["old"]);
    assert_eq!(keys(&sue), ["one.zip"]);
    let data = server.dir.join("data");
    assert!(data.join(".burrow/before-restore/data.db").exists());
    assert_eq!(data.join(".burrow/tmp").read_dir().unwrap().count(), 0);
}

#[test]
#[cfg(unix)]
fn a_kill_between_the_directory_and_the_bucket_leaves_whole_things() {
    let s3 = S3Server::start();
    for round in 0..6 {
        let server = Server::start();
        let sue = server.superuser();
        make_notes(&sue);
        let bucket = json!({"backups": {"s3": s3.bucket("backups")}});
        sue.patch("/api/settings", &bucket).ok();
        sue.create("notes", &json!({"title": "old"}));
        let (first, second) = (format!("{round}-one.zip"), format!("{round}-two.zip"));
        assert_eq!(sue.post(BACKUPS, &json!({"name": first})).status, 204);
        sue.create("notes", &json!({"title": "young"}));

        // While it is looked whether there is one of that name, while it is sent, and when it is there.
        let enough = s3.requests() + 1 + round % 3;
        let (asker, body) = (sue.clone(), json!({"name": second}));
        let asked = std::thread::spawn(move || asker.try_send("POST", BACKUPS, Some(&body)));
        until("the backup is so far", || {
            s3.requests() >= enough || asked.is_finished()
        });
        let server = server.killed();
        drop(asked.join());

        let sue = server.superuser();
        assert_eq!(titles(&sue), ["old", "young"]);
        let listed = keys(&sue);
        assert!(listed.contains(&first), "{listed:?}");
        for key in listed {
            let link = format!("{BACKUPS}/{key}?token={}", file_token(&sue));
            let archive = sue.get(&link).body;
            let mut zip = ZipArchive::new(Cursor::new(archive)).unwrap();
            assert!(zip.by_name("data.db").is_ok(), "{key}");
        }

        let before = s3.requests();
        assert_eq!(
            sue.post(&format!("{BACKUPS}/{first}/restore"), &json!({}))
                .status,
            204
        );
        let restoring = server.dir.join("data/.burrow/restore");
        until("the restore is so far", || match round % 3 {
            0 => true,
            1 => s3.requests() > before + 1,
            _ => restoring.exists() || restoring.with_file_name("before-restore").exists(),
        });
        let server = server.killed();
        let found = titles(&server.superuser());
        assert!(
            found == ["old", "young"] || found == ["old"],
            "round {round}: {found:?}"
        );
    }
}
