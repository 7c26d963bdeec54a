//! Files of records: what comes back, under which name and headers, to whom, and what stays on the disk.

use std::io::Cursor;
use std::path::Path;

use burrow::files::{RecordKey, Upload, Want};
use image::{DynamicImage, ImageFormat};
use serde_json::{Value as Json, json};

use crate::support::{Person, Reply, Request, TestApp, eventually, files_below};

/// A server with a collection of documents that only their owners may see where they are protected.
fn documents() -> TestApp {
    let t = TestApp::new();
    t.collection(&json!({
        "name": "documents",
        "type": "base",
        "createRule": "",
        "viewRule": "owner = @request.auth.id && @request.context = 'protectedFile'",
        "fields": [
            {"name": "owner", "type": "text"},
            {"name": "open", "type": "file", "maxSelect": 5, "maxSize": 1_000_000, "thumbs": ["30x20f", "0x40"]},
            {"name": "sealed", "type": "file", "protected": true},
        ],
    }));
    t
}

fn upload(who: &Person, texts: &[(&str, &str)], files: &[(&str, &str, &[u8])]) -> Json {
    let request = Request::new("POST", "/api/collections/documents/records");
    who.send(request.multipart(texts, files)).ok()
}

fn path(record: &Json, name: &Json) -> String {
    format!(
        "/api/files/documents/{}/{}",
        record["id"].as_str().unwrap(),
        name.as_str().unwrap()
    )
}

fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(width, height)
        .write_to(&mut out, ImageFormat::Png)
        .unwrap();
    out.into_inner()
}

fn dimensions(reply: &Reply) -> (u32, u32) {
    let picture = image::load_from_memory(&reply.body).unwrap();
    (picture.width(), picture.height())
}

#[test]
fn a_file_comes_back_as_it_was_with_headers_that_keep_browsers_calm() {
    let t = documents();
    let guest = t.guest();
    let record = upload(
        &guest,
        &[],
        &[("open", "Page One.HTML", b"<html><script>x</script>")],
    );
    let name = record["open"][0].as_str().unwrap();
    assert!(
        name.starts_with("page_one_") && name.ends_with(".HTML"),
        "{name}"
    );

    let reply = guest.get(&path(&record, &record["open"][0]));

    assert_eq!(reply.status, 200);
    assert_eq!(reply.text(), "<html><script>x</script>");
    for (header, value) in [
        ("content-type", "text/html; charset=utf-8"),
        (
            "content-disposition",
            &*format!("attachment; filename=\"{name}\""),
        ),
        (
            "content-security-policy",
            "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox",
        ),
        (
            "cache-control",
            "max-age=2592000, stale-while-revalidate=86400",
        ),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        ("content-length", "24"),
        ("x-frame-options", ""),
    ] {
        assert_eq!(reply.header(header), value, "{header}");
    }
    let head = guest.send(Request::new("HEAD", &path(&record, &record["open"][0])));
    assert_eq!((head.status, head.header("content-length")), (200, "24"));
    assert!(head.body.is_empty());
}

#[test]
fn content_decides_what_is_shown_and_what_is_saved() {
    let t = documents();
    let guest = t.guest();
    let png = picture(1, 1);
    for (name, content, kind, shown) in [
        ("a.png", png.as_slice(), "image/png", true),
        ("a.html", &png, "image/png", true),
        ("a.png", b"<svg onload=alert(1)>", "image/svg+xml", false),
        ("a.svg", b"hello", "image/svg+xml", false),
        ("a.js", b"alert(1)", "text/javascript", false),
        ("a.pdf", b"%PDF-1.4", "application/pdf", true),
        ("a.pdf", b"<html></html>", "text/html; charset=utf-8", false),
        ("a", b"\0\x01\x02", "application/octet-stream", false),
    ] {
        let record = upload(&guest, &[], &[("open", name, content)]);
        let at = path(&record, &record["open"][0]);
        let reply = guest.get(&at);
        assert_eq!(reply.header("content-type"), kind, "{name} {content:?}");
        let inline = reply.header("content-disposition").starts_with("inline");
        assert_eq!(inline, shown, "{name} {content:?}");
        let saved = guest.get(&format!("{at}?download=1"));
        assert!(
            saved
                .header("content-disposition")
                .starts_with("attachment")
        );
    }
}

#[test]
fn parts_are_served_one_at_a_time_and_never_more_than_there_is() {
    let t = documents();
    let guest = t.guest();
    let record = upload(&guest, &[], &[("open", "a.txt", b"hello world")]);
    let at = path(&record, &record["open"][0]);
    let many = vec!["0-10"; 1_000].join(",");
    let asked = |range: &str| guest.send(Request::new("GET", &at).header("Range", range));
    for (range, status, body, content_range) in [
        ("bytes=0-3", 206, "hell", "bytes 0-3/11"),
        ("bytes=-3", 206, "rld", "bytes 8-10/11"),
        ("bytes=6-", 206, "world", "bytes 6-10/11"),
        ("bytes=6-999", 206, "world", "bytes 6-10/11"),
        (
            "bytes=50-",
            416,
            "invalid range: failed to overlap\n",
            "bytes */11",
        ),
        ("bytes=5-2", 416, "invalid range\n", ""),
        ("bytes=x", 416, "invalid range\n", ""),
        (&*format!("bytes={many}"), 200, "hello world", ""),
    ] {
        let reply = asked(range);
        assert_eq!(reply.status, status, "{range}");
        assert_eq!(reply.text(), body, "{range}");
        assert_eq!(reply.header("content-range"), content_range, "{range}");
    }

    let stored = guest.get(&at).header("last-modified").to_owned();
    let since = |name: &str, date: &str| guest.send(Request::new("GET", &at).header(name, date));
    let fresh = since("If-Modified-Since", &stored);
    assert_eq!((fresh.status, fresh.body.len()), (304, 0));
    assert_eq!(since("If-Modified-Since", "garbage").status, 200);
    assert_eq!(
        since("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT").status,
        200
    );
    assert_eq!(
        since("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT").status,
        412
    );
    assert_eq!(since("If-Match", "\"x\"").status, 412);
    assert_eq!(since("If-Match", "*").status, 200);
    let resumed = Request::new("GET", &at)
        .header("Range", "bytes=0-3")
        .header("If-Range", "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(guest.send(resumed).status, 200);
}

#[test]
fn large_files_are_spooled_in_and_streamed_out() {
    let t = documents();
    let guest = t.guest();
    let content: Vec<u8> = (0..900_000_u32).map(|n| n.to_le_bytes()[0]).collect();

    let record = upload(&guest, &[], &[("open", "big.bin", &content)]);
    let reply = guest.get(&path(&record, &record["open"][0]));

    assert!(reply.body == content);
    let part = Request::new("GET", &path(&record, &record["open"][0]))
        .header("Range", "bytes=100000-300000");
    assert!(guest.send(part).body == content[100_000..=300_000]);
    let spool = t.dir().join(".burrow/tmp");
    eventually(|| files_below(&spool).is_empty());
}

#[test]
fn only_names_that_the_record_holds_are_found() {
    let t = documents();
    let guest = t.guest();
    let record = upload(&guest, &[], &[("open", "a.txt", b"mine")]);
    let other = upload(&guest, &[], &[("open", "b.txt", b"theirs")]);
    let (id, name) = (
        record["id"].as_str().unwrap(),
        record["open"][0].as_str().unwrap(),
    );
    let theirs = other["open"][0].as_str().unwrap();
    let missing = "The requested resource wasn't found.";

    guest
        .get(&format!("/api/files/nothing/{id}/{name}"))
        .is(404, "Missing or invalid collection context.");
    for tail in [
        format!("{id}/{theirs}"),
        format!("{id}/{name}.attrs"),
        format!("{id}/..%2f{id}%2f{name}"),
        format!("{id}/..%5c{name}"),
        format!("{id}/%252e%252e%252f{name}"),
        format!("..%2f..%2fdata.db/{name}"),
        format!("{id}/thumbs_{name}%2f100x100_{name}"),
        format!("{id}/%00"),
        format!("{id}/owner"),
        format!("nobody/{name}"),
    ] {
        guest
            .get(&format!("/api/files/documents/{tail}"))
            .is(404, missing);
    }
}

#[test]
fn a_protected_file_follows_the_view_rule_under_the_file_token_alone() {
    let t = documents();
    let (ann, bob, sue) = (t.user("ann"), t.user("bob"), t.superuser());
    let record = upload(
        &sue,
        &[("owner", &ann.id)],
        &[("sealed", "a.png", &picture(20, 20))],
    );
    let at = path(&record, &record["sealed"]);
    let token = |who: &Person| {
        let answer = who.post("/api/files/token", &json!({})).ok();
        answer["token"].as_str().unwrap().to_owned()
    };
    t.guest().post("/api/files/token", &json!({})).is(
        401,
        "The request requires valid record authorization token.",
    );

    for query in ["", "?thumb=100x100"] {
        let with = |token: &str| {
            let join = if query.is_empty() { "?" } else { "&" };
            t.guest().get(&format!("{at}{query}{join}token={token}"))
        };
        for refused in [
            ann.get(&format!("{at}{query}")),
            with(&token(&bob)),
            with(ann.token()),
            with("garbage"),
        ] {
            refused.is(404, "The requested resource wasn't found.");
        }
        assert_eq!(with(&token(&ann)).status, 200);
        assert_eq!(with(&token(&sue)).status, 200);
        assert!(
            with(&token(&ann))
                .header("cache-control")
                .starts_with("private, ")
        );
    }

    let soon_stale = token(&ann);
    t.clock.advance(std::time::Duration::from_secs(181));
    let late = t.guest().get(&format!("{at}?token={soon_stale}"));
    late.is(404, "The requested resource wasn't found.");
    ann.with_token(&soon_stale)
        .post("/api/files/token", &json!({}))
        .is(
            401,
            "The request requires valid record authorization token.",
        );
}

#[test]
fn thumbs_are_made_once_in_the_listed_sizes_only() {
    let t = documents();
    let guest = t.guest();
    let record = upload(&guest, &[], &[("open", "a.png", &picture(200, 100))]);
    let at = path(&record, &record["open"][0]);
    for (format, size) in [
        ("100x100", (100, 100)),
        ("30x20f", (30, 15)),
        ("0x40", (80, 40)),
        ("50x50", (200, 100)),
        ("0x0", (200, 100)),
        ("99999x99999", (200, 100)),
        ("-1x5", (200, 100)),
        ("..%2fx", (200, 100)),
    ] {
        let reply = guest.get(&format!("{at}?thumb={format}"));
        assert_eq!((reply.status, dimensions(&reply)), (200, size), "{format}");
    }
    let name = record["open"][0].as_str().unwrap();
    let named = guest.get(&format!("{at}?thumb=100x100"));
    let expected = format!("inline; filename=\"100x100_{name}\"");
    assert_eq!(named.header("content-disposition"), expected);

    let second = upload(&guest, &[], &[("open", "b.png", &picture(300, 300))]);
    let wanted = format!("{}?thumb=0x40", path(&second, &second["open"][0]));
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| guest.get(&wanted)))
            .collect();
        for reply in all {
            assert_eq!(dimensions(&reply.join().unwrap()), (40, 40));
        }
    });
}

#[test]
fn a_picture_that_cannot_be_made_small_is_served_as_it_is() {
    let t = documents();
    let guest = t.guest();
    let mut bomb = picture(20, 20);
    bomb[16..20].copy_from_slice(&40_000_u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&40_000_u32.to_be_bytes());
    for content in [
        bomb.as_slice(),
        &picture(20, 20)[..40],
        b"GIF89a\xff\xff\xff\xff",
    ] {
        let record = upload(&guest, &[], &[("open", "a.png", content)]);
        let reply = guest.get(&format!(
            "{}?thumb=100x100",
            path(&record, &record["open"][0])
        ));
        assert_eq!(reply.status, 200);
        assert!(reply.body == content);
    }
}

#[test]
fn files_go_when_nothing_names_them_any_more() {
    let t = documents();
    let sue = t.superuser();
    let record = upload(
        &sue,
        &[],
        &[("open", "a.txt", b"a"), ("open", "b.txt", b"b")],
    );
    let at = format!(
        "/api/collections/documents/records/{}",
        record["id"].as_str().unwrap()
    );
    let storage = t.dir().join("storage");
    assert_eq!(files_below(&storage).len(), 4);

    let kept = &record["open"][1];
    sue.patch(&at, &json!({"open": [kept]})).ok();
    eventually(|| files_below(&storage).len() == 2);
    assert_eq!(sue.get(&path(&record, kept)).text(), "b");

    sue.delete(&at).ok();
    eventually(|| files_below(&storage).is_empty());
    eventually(|| files_below(&t.dir().join(".burrow/pending")).is_empty());
}

#[test]
fn a_refused_record_leaves_no_file_behind() {
    let t = documents();
    let guest = t.guest();
    let big = vec![b'x'; 1_000_001];
    let request = Request::new("POST", "/api/collections/documents/records")
        .multipart(&[], &[("open", "a.txt", b"fine"), ("open", "b.txt", &big)]);

    let reply = guest.send(request);

    assert_eq!(reply.status, 400, "{}", reply.text());
    eventually(|| files_below(&t.dir().join("storage")).is_empty());
    eventually(|| files_below(&t.dir().join(".burrow/pending")).is_empty());
}

#[test]
fn what_a_crash_left_is_swept_and_what_records_name_is_kept() {
    let t = documents();
    let record = upload(&t.guest(), &[], &[("open", "a.txt", b"kept")]);
    let collection = t.app.store.catalog().find("documents").unwrap().id.clone();
    let folder = RecordKey::new(collection.as_str(), record["id"].as_str().unwrap()).unwrap();
    let kept = folder.blob(record["open"][0].as_str().unwrap()).unwrap();
    let orphan = folder.blob("orphan.txt").unwrap();
    let stranger = RecordKey::new("gone", "gone")
        .unwrap()
        .blob("x.txt")
        .unwrap();
    let upload = Upload::from_bytes("x.txt", "x");
    let added = vec![(orphan, upload.clone()), (stranger, upload)];
    // The power fails between storing and the commit: nobody says how it went.
    drop(
        t.wait(t.app.files.begin(added, vec![kept.clone()]))
            .unwrap(),
    );
    let spooled = t.dir().join(".burrow/tmp/left.tmp");
    std::fs::create_dir_all(spooled.parent().unwrap()).unwrap();
    std::fs::write(&spooled, "half").unwrap();

    t.wait(t.app.files.sweep(&t.app.store)).unwrap();

    assert!(t.wait(t.app.files.open(&kept, Want::Content)).is_ok());
    assert_eq!(files_below(&t.dir().join("storage")).len(), 2);
    assert!(files_below(&t.dir().join(".burrow/pending")).is_empty());
    assert!(!spooled.exists());
}

#[test]
fn what_commits_stopped_naming_before_a_crash_is_swept() {
    let mut t = documents();
    let sue = t.superuser();
    let plain: &[(&str, &str, &[u8])] = &[("open", "a.txt", b"a"), ("open", "b.txt", b"b")];
    let replaced = upload(&sue, &[], plain);
    let removed = upload(&sue, &[], plain);
    let untouched = upload(&sue, &[], plain);
    t.collection(&json!({"name": "doomed", "fields": [{"name": "open", "type": "file"}]}));
    let request = Request::new("POST", "/api/collections/doomed/records");
    sue.send(request.multipart(&[], &[("open", "c.txt", b"c")]))
        .ok();
    let storage = t.dir().join("storage");
    let before = files_below(&storage);
    assert_eq!(before.len(), 14);
    let copy = t.root.join("copy");
    let whole = |from: &Path, to: &Path| {
        let done = std::process::Command::new("cp")
            .arg("-a")
            .arg(from)
            .arg(to)
            .status();
        assert!(done.unwrap().success());
    };
    whole(&storage, &copy);
    let swept = t.dir().join(".burrow/swept");
    let place = std::fs::read(&swept).unwrap();
    let at = |record: &Json| {
        format!(
            "/api/collections/documents/records/{}",
            record["id"].as_str().unwrap()
        )
    };
    let kept = &replaced["open"][1];
    sue.patch(&at(&replaced), &json!({"open": [kept]})).ok();
    sue.delete(&at(&removed)).ok();
    sue.delete("/api/collections/doomed").ok();
    eventually(|| files_below(&storage).len() == 6);

    // As if the power had failed after each commit, before anything was removed.
    t.restart_after(|t| {
        std::fs::remove_dir_all(&storage).unwrap();
        whole(&copy, &storage);
        std::fs::write(&swept, &place).unwrap();
        assert_eq!(files_below(&t.dir().join("storage")), before);
    });

    let names = files_below(&t.dir().join("storage"));
    assert_eq!(names.len(), 6, "{names:?}");
    for name in [kept, &untouched["open"][0], &untouched["open"][1]] {
        assert!(names.iter().any(|there| *name == **there), "{name}");
    }
}

#[test]
fn a_view_shows_the_files_of_its_table_under_its_own_rule() {
    let t = documents();
    let (ann, sue) = (t.user("ann"), t.superuser());
    let files: &[(&str, &str, &[u8])] =
        &[("open", "a.txt", b"open"), ("sealed", "b.txt", b"sealed")];
    let record = upload(&sue, &[("owner", "nobody")], files);
    for (name, query) in [
        ("first", "SELECT id, open AS papers, sealed FROM documents"),
        (
            "second",
            "SELECT id, papers, sealed AS hidden_papers FROM first",
        ),
    ] {
        t.collection(&json!({
            "name": name,
            "type": "view",
            "viewRule": "@request.auth.id != ''",
            "viewQuery": query,
        }));
    }
    let of = |view: &str, name: &Json| {
        format!(
            "/api/files/{view}/{}/{}",
            record["id"].as_str().unwrap(),
            name.as_str().unwrap()
        )
    };
    let token = ann.post("/api/files/token", &json!({})).ok()["token"].clone();
    for view in ["first", "second"] {
        assert_eq!(t.guest().get(&of(view, &record["open"][0])).text(), "open");
        let sealed = of(view, &record["sealed"]);
        t.guest()
            .get(&sealed)
            .is(404, "The requested resource wasn't found.");
        let opened = t
            .guest()
            .get(&format!("{sealed}?token={}", token.as_str().unwrap()));
        assert_eq!(opened.text(), "sealed");
    }
}
