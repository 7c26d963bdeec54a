//! Files and backups in buckets of an S3 server: as on the disk for whoever asks, and nothing half done when it fails.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};
use serde_json::{Value as Json, json};

use crate::support::{Person, Reply, Request, S3Server, TestApp, eventually, files_below};

const DOCUMENTS: &str = "/api/collections/documents/records";
const FILES: [&str; 2] = ["s3", "files"];

fn with_documents() -> TestApp {
    let t = TestApp::new();
    t.collection(&json!({
        "name": "documents",
        "createRule": "", "updateRule": "", "deleteRule": "", "listRule": "",
        "viewRule": "owner = @request.auth.id",
        "fields": [
            {"name": "owner", "type": "text"},
            {"name": "open", "type": "file", "maxSelect": 5, "maxSize": 200_000_000, "thumbs": ["30x20f"]},
            {"name": "sealed", "type": "file", "protected": true},
            {"name": "only", "type": "text", "pattern": "^(|ok)$"},
        ],
    }));
    t
}

/// A server that keeps its files in the bucket `files`.
fn on_s3() -> (S3Server, TestApp) {
    let (s3, t) = (S3Server::start(), with_documents());
    let saved = t
        .superuser()
        .patch("/api/settings", &json!({"s3": s3.bucket(FILES[1])}));
    assert_eq!(saved.status, 200, "{}", saved.text());
    (s3, t)
}

fn upload(who: &Person, texts: &[(&str, &str)], files: &[(&str, &str, &[u8])]) -> Json {
    who.send(Request::new("POST", DOCUMENTS).multipart(texts, files))
        .ok()
}

fn path(record: &Json, name: &Json) -> String {
    let (id, name) = (record["id"].as_str().unwrap(), name.as_str().unwrap());
    format!("/api/files/documents/{id}/{name}")
}

fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(width, height)
        .write_to(&mut out, ImageFormat::Png)
        .unwrap();
    out.into_inner()
}

fn test(who: &Person, filesystem: &str) -> Reply {
    who.post(
        "/api/settings/test/s3",
        &json!({ "filesystem": filesystem }),
    )
}

#[test]
fn a_file_in_a_bucket_comes_back_as_from_the_disk() {
    let (s3, t) = on_s3();
    let guest = t.guest();
    let texts: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();

    let record = upload(
        &guest,
        &[],
        &[
            ("open", "A b.bin", &texts),
            ("open", "\u{e9}.txt", b"hello"),
        ],
    );

    let id = record["id"].as_str().unwrap();
    let keys = s3.keys("files");
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(keys.iter().all(|key| key.contains(&format!("/{id}/"))));
    assert!(files_below(&t.dir().join("storage")).is_empty());
    let large = path(&record, &record["open"][0]);
    let whole = guest.get(&large);
    assert_eq!((whole.status, &whole.body), (200, &texts));
    assert_eq!(whole.header("content-type"), "application/octet-stream");
    assert_eq!(whole.header("content-length"), "300000");
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let small = guest.get(&path(&record, &record["open"][1]));
    assert_eq!(small.text(), "hello");
    assert_eq!(small.header("content-type"), "text/plain; charset=utf-8");

    // Parts, conditions, and heads.
    let ask =
        |method, name, value: &str| guest.send(Request::new(method, &large).header(name, value));
    let part = ask("GET", "Range", "bytes=100000-100009");
    assert_eq!(
        (part.status, &part.body[..]),
        (206, &texts[100_000..100_010])
    );
    assert_eq!(part.header("content-range"), "bytes 100000-100009/300000");
    let end = ask("GET", "Range", "bytes=-5");
    assert_eq!((end.status, &end.body[..]), (206, &texts[299_995..]));
    assert_eq!(ask("GET", "Range", "bytes=300000-").status, 416);
    let date = whole.header("last-modified");
    assert_eq!(ask("GET", "If-Modified-Since", date).status, 304);
    let past = "Mon, 01 Jan 2001 00:00:00 GMT";
    assert_eq!(ask("GET", "If-Unmodified-Since", past).status, 412);
    assert_eq!(ask("GET", "If-Modified-Since", past).body, texts);
    let head = ask("HEAD", "X-None", "");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, "300000")
    );
    assert!(head.body.is_empty());
    assert_eq!(guest.get(&format!("{large}x")).status, 404);
}

#[test]
fn large_files_go_in_parts_and_come_back_whole() {
    let (s3, t) = on_s3();
    let guest = t.guest();
    let mut content = vec![0_u8; (70 << 20) + 12_345];
    for (at, byte) in content.iter_mut().enumerate().step_by(4_096) {
        *byte = (at / 4_096 % 255) as u8;
    }

    let record = upload(&guest, &[], &[("open", "big.bin", &content)]);

    assert_eq!(s3.keys("files").len(), 1);
    let found = guest.get(&path(&record, &record["open"][0]));
    assert!(found.status == 200 && found.body == content);
}

#[test]
fn protected_files_and_thumbs_of_a_bucket_follow_the_same_rules() {
    let (s3, t) = on_s3();
    let (ann, bob) = (t.user("ann"), t.user("bob"));
    let token = |who: &Person| {
        let answer = who.post("/api/files/token", &json!({})).ok();
        answer["token"].as_str().unwrap().to_owned()
    };
    let picture = picture(200, 100);
    let record = upload(
        &ann,
        &[("owner", &ann.id)],
        &[("sealed", "deed.txt", b"mine"), ("open", "p.png", &picture)],
    );

    let sealed = path(&record, &record["sealed"]);
    assert_eq!(t.guest().get(&sealed).status, 404);
    let asked = |who| t.guest().get(&format!("{sealed}?token={}", token(who)));
    assert_eq!(asked(&bob).status, 404);
    assert_eq!(asked(&ann).text(), "mine");

    let thumb = format!("{}?thumb=30x20f", path(&record, &record["open"][0]));
    for _ in 0..2 {
        let small = t.guest().get(&thumb);
        assert_eq!(small.header("content-type"), "image/png");
        let small = image::load_from_memory(&small.body).unwrap();
        assert_eq!((small.width(), small.height()), (30, 15));
    }
    let keys = s3.keys("files");
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert!(keys.iter().any(|key| key.contains("/thumbs_p")), "{keys:?}");
    assert!(files_below(&t.dir().join("storage")).is_empty());
}

#[test]
fn what_nothing_names_any_more_leaves_the_bucket() {
    let (s3, t) = on_s3();
    let guest = t.guest();
    let picture = picture(200, 100);
    let first = upload(
        &guest,
        &[],
        &[("open", "a.txt", b"a"), ("open", "p.png", &picture)],
    );
    let second = upload(&guest, &[], &[("open", "b.txt", b"b")]);
    let thumb = format!("{}?thumb=30x20f", path(&first, &first["open"][1]));
    assert_eq!(guest.get(&thumb).status, 200);
    assert_eq!(s3.keys("files").len(), 4);

    // A refused change leaves nothing.
    let request = Request::new("POST", DOCUMENTS);
    let refused = guest.send(request.multipart(&[("only", "no")], &[("open", "c.txt", b"c")]));
    assert_eq!(refused.status, 400);
    eventually(|| s3.keys("files").len() == 4);
    let id = first["id"].as_str().unwrap();
    let remove = json!({"open-": [first["open"][1]]});
    guest.patch(&format!("{DOCUMENTS}/{id}"), &remove).ok();
    eventually(|| s3.keys("files").len() == 2);
    assert_eq!(guest.delete(&format!("{DOCUMENTS}/{id}")).status, 204);
    eventually(|| s3.keys("files").len() == 1);
    assert!(s3.keys("files")[0].contains(second["id"].as_str().unwrap()));
    let gone = t.superuser_again().delete("/api/collections/documents");
    assert_eq!(gone.status, 204);
    eventually(|| s3.keys("files").is_empty());
}

#[test]
fn a_change_of_the_settings_counts_at_once_and_hides_no_file() {
    let (s3, t) = (S3Server::start(), with_documents());
    let (guest, sue) = (t.guest(), t.superuser());
    let old = upload(&guest, &[], &[("open", "old.txt", b"old")]);

    sue.patch("/api/settings", &json!({"s3": s3.bucket("files")}))
        .ok();
    let new = upload(&guest, &[], &[("open", "new.txt", b"new")]);

    assert_eq!(s3.keys("files").len(), 1);
    assert_eq!(guest.get(&path(&old, &old["open"][0])).text(), "old");
    assert_eq!(guest.get(&path(&new, &new["open"][0])).text(), "new");
    let id = old["id"].as_str().unwrap();
    assert_eq!(guest.delete(&format!("{DOCUMENTS}/{id}")).status, 204);
    eventually(|| files_below(&t.dir().join("storage")).is_empty());
    sue.patch("/api/settings", &json!({"s3": {"enabled": false}}))
        .ok();
    let third = upload(&guest, &[], &[("open", "third.txt", b"third")]);
    assert_eq!(guest.get(&path(&third, &third["open"][0])).text(), "third");
    assert_eq!(s3.keys("files").len(), 1);
}

#[test]
fn the_bucket_is_tried_when_a_superuser_asks() {
    let (s3, t) = (S3Server::start(), TestApp::new());
    let sue = t.superuser();
    let said = |reply: &Reply| reply.json()["message"].as_str().unwrap().to_owned();

    let off = test(&sue, "storage");
    assert_eq!(
        (off.status, said(&off).as_str()),
        (
            400,
            "Failed to test the S3 filesystem. Raw error: \nS3 storage filesystem is not enabled."
        )
    );
    sue.patch(
        "/api/settings",
        &json!({"s3": s3.bucket("files"), "backups": {"s3": s3.bucket("backups")}}),
    )
    .ok();
    for filesystem in ["storage", "backups"] {
        assert_eq!(test(&sue, filesystem).status, 204);
    }
    assert!(s3.keys("files").is_empty() && s3.keys("backups").is_empty());
    for (change, word) in [
        (json!({"secret": "wrong"}), "SignatureDoesNotMatch"),
        (
            json!({"secret": "x", "accessKey": "nobody"}),
            "the store refused it with 403",
        ),
        (
            json!({"secret": "x", "endpoint": "http://127.0.0.1:1"}),
            "the store cannot be reached",
        ),
        (
            json!({"secret": "x", "endpoint": "http://127.0.0.1:1", "forcePathStyle": false}),
            "force path style",
        ),
    ] {
        sue.patch("/api/settings", &json!({"s3": s3.bucket("files")}))
            .ok();
        sue.patch("/api/settings", &json!({ "s3": change })).ok();
        let reply = test(&sue, "storage");
        assert_eq!(reply.status, 400);
        let said = said(&reply);
        assert!(said.contains(word), "{change}: {said}");
        assert!(!said.contains("not-told-to-anybody") && !said.contains("X-Amz"));
    }
    assert_eq!(test(&t.user("ann"), "storage").status, 403);
}

#[test]
fn a_store_that_fails_makes_nothing_half_done() {
    let (mut s3, t) = on_s3();
    let guest = t.guest();
    let kept = upload(&guest, &[], &[("open", "kept.txt", b"kept")]);
    let count = || guest.get(DOCUMENTS).ok()["totalItems"].clone();
    let down = || {
        let request = Request::new("POST", DOCUMENTS).multipart(&[], &[("open", "a.txt", b"a")]);
        let refused = guest.send(request);
        refused.is(503, "The file storage cannot be used at the moment.");
        assert_eq!(refused.header("retry-after"), "1");
        assert!(!refused.text().contains("127.0.0.1"));
        guest
            .get(&path(&kept, &kept["open"][0]))
            .is(503, "The file storage cannot be used at the moment.");
        assert_eq!(count(), 1);
        // What has no files is served as ever.
        let plain = guest.post(DOCUMENTS, &json!({"owner": "x"})).ok();
        let id = plain["id"].as_str().unwrap();
        assert_eq!(guest.delete(&format!("{DOCUMENTS}/{id}")).status, 204);
    };

    s3.break_down(true);
    down();
    s3.break_down(false);
    assert_eq!(guest.get(&path(&kept, &kept["open"][0])).text(), "kept");
    assert_eq!(s3.keys("files").len(), 1);
    s3.end();
    down();
}

#[test]
fn a_start_does_not_wait_for_a_bucket_and_sweeps_it_when_it_can() {
    let (s3, mut t) = on_s3();
    let guest = t.guest();
    let record = upload(&guest, &[], &[("open", "a.txt", b"a")]);
    s3.break_down(true);
    let id = record["id"].as_str().unwrap();
    assert_eq!(guest.delete(&format!("{DOCUMENTS}/{id}")).status, 204);

    t.restart();
    assert_eq!(t.guest().get("/api/health").status, 200);
    assert_eq!(s3.keys("files").len(), 1);
    s3.break_down(false);
    t.restart();

    eventually(|| s3.keys("files").is_empty());
}
