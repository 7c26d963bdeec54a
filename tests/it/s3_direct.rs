//! Files that go between clients and the bucket past the server: only where rules allow it, for a short while, and judged as
//! any upload before a record has them.

use std::net::SocketAddr;

use serde_json::{Value as Json, json};

use crate::support::{Person, Reply, Request, S3Server, TestApp, eventually, try_exchange};

const PAPERS: &str = "/api/collections/papers/records";
const INVITE: &str = "/api/collections/papers/direct-upload";

fn on_s3() -> (S3Server, TestApp) {
    let (s3, t) = (S3Server::start(), TestApp::new());
    t.collection(&json!({
        "name": "papers",
        "createRule": "@request.auth.id != '' && owner = @request.auth.id",
        "updateRule": "owner = @request.auth.id",
        "viewRule": "owner = @request.auth.id",
        "fields": [
            {"name": "owner", "type": "text"},
            {"name": "title", "type": "text", "required": true},
            {"name": "scan", "type": "file", "protected": true, "maxSize": 2_000_000, "mimeTypes": ["application/pdf"]},
            {"name": "open", "type": "file", "maxSelect": 3},
        ],
    }));
    let sue = t.superuser();
    sue.patch("/api/settings", &json!({"s3": s3.bucket("files")}))
        .ok();
    (s3, t)
}

/// Asks another server for what an address of its own says.
fn ask(s3: SocketAddr, method: &str, url: &str, body: &[u8]) -> Reply {
    let (_, rest) = url.split_once("://").unwrap();
    let path = &rest[rest.find('/').unwrap()..];
    let mut request = Request::new(method, path).host(&s3.to_string());
    if !body.is_empty() {
        request = request.body("application/octet-stream", body);
    }
    try_exchange(s3, &request).unwrap()
}

fn invite(who: &Person, field: &str, name: &str, size: usize) -> Reply {
    let values = json!({"owner": who.id});
    who.post(
        INVITE,
        &json!({"field": field, "name": name, "size": size, "values": values}),
    )
}

/// Uploads past the server; the token.
fn sent(s3: &S3Server, who: &Person, field: &str, name: &str, content: &[u8]) -> Json {
    let invited = invite(who, field, name, content.len()).ok();
    assert_eq!(invited["method"], "PUT");
    let put = ask(
        s3.address(),
        "PUT",
        invited["url"].as_str().unwrap(),
        content,
    );
    assert_eq!(put.status, 200, "{}", put.text());
    invited["token"].clone()
}

#[test]
fn a_file_that_came_past_the_server_becomes_a_records() {
    let (s3, t) = on_s3();
    let ann = t.user("ann");
    let pdf = [b"%PDF-1.7\n".as_slice(), &[7; 100_000]].concat();
    let token = sent(&s3, &ann, "scan", "My Deed.pdf", &pdf);
    assert!(s3.keys("files")[0].starts_with(".uploads/"));

    let record = ann.create(
        "papers",
        &json!({"owner": ann.id, "title": "deed", "scan": token}),
    );

    let name = record["scan"].as_str().unwrap();
    assert!(
        name.starts_with("my_deed_") && name.ends_with(".pdf"),
        "{name}"
    );
    eventually(|| s3.keys("files").len() == 1);
    assert!(s3.keys("files")[0].ends_with(name));
    let id = record["id"].as_str().unwrap();
    let file_token = ann.post("/api/files/token", &json!({})).ok();
    let file_token = file_token["token"].as_str().unwrap();
    let path = format!("/api/files/papers/{id}/{name}?token={file_token}");
    let whole = t.guest().get(&path);
    assert_eq!(whole.header("content-type"), "application/pdf");
    assert_eq!(whole.body, pdf);

    // More of them beside one that is there, by a change.
    let (a, b) = (
        sent(&s3, &ann, "open", "a.txt", b"a"),
        sent(&s3, &ann, "open", "b.txt", b"b"),
    );
    let at = format!("{PAPERS}/{id}");
    let changed = ann.patch(&at, &json!({"open": [a]})).ok();
    let first = changed["open"][0].clone();
    let changed = ann.patch(&at, &json!({"open": [first, b]})).ok();
    assert_eq!(changed["open"].as_array().unwrap().len(), 2);
    assert_eq!(changed["open"][0], first);
    eventually(|| s3.keys("files").len() == 3);
}

#[test]
fn what_came_is_judged_as_any_upload() {
    let (s3, t) = on_s3();
    let (ann, bob) = (t.user("ann"), t.user("bob"));
    let made = |who: &Person, token: &Json| {
        who.post(
            PAPERS,
            &json!({"owner": who.id, "title": "x", "scan": token}),
        )
    };

    // Not what the field takes, whatever it is called.
    let token = sent(&s3, &ann, "scan", "deed.pdf", b"<html>no paper</html>");
    let refused = made(&ann, &token);
    assert_eq!(
        (refused.status, refused.code("scan").as_str()),
        (400, "validation_invalid_mime_type")
    );
    let pdf = b"%PDF-1.7\n";
    let token = sent(&s3, &ann, "scan", "deed.pdf", pdf);
    // Somebody else's, another field's, a forged one, one that stands for nothing.
    assert_eq!(made(&bob, &token).code("scan"), "validation_invalid_upload");
    let other = ann.post(
        PAPERS,
        &json!({"owner": ann.id, "title": "x", "open": [token]}),
    );
    assert_eq!(other.code("open"), "validation_invalid_upload");
    let forged = json!(format!("{}x", token.as_str().unwrap()));
    assert_eq!(
        made(&ann, &forged).code("scan"),
        "validation_invalid_upload"
    );
    let invited = invite(&ann, "scan", "deed.pdf", 9).ok();
    let missing = made(&ann, &invited["token"]);
    assert_eq!(missing.code("scan"), "validation_missing_upload");
    // The store takes what was said and nothing else.
    let url = invited["url"].as_str().unwrap();
    let longer = ask(s3.address(), "PUT", url, b"%PDF-1.7\n and more");
    assert_eq!(longer.status, 403, "{}", longer.text());
    let moved = url.replace(".uploads/", ".uploads/x");
    assert_eq!(ask(s3.address(), "PUT", &moved, pdf).status, 403);
    assert_eq!(ask(s3.address(), "GET", url, b"").status, 403);
    assert_eq!(made(&ann, &token).status, 200);
    t.clock.advance(std::time::Duration::from_secs(25 * 3_600));
    let late = made(&ann, &token);
    assert!(matches!(late.status, 400 | 401), "{}", late.status);
}

#[test]
fn only_who_may_write_is_invited() {
    let (s3, t) = on_s3();
    let (ann, bob) = (t.user("ann"), t.user("bob"));
    let paper = ann.create("papers", &json!({"owner": ann.id, "title": "x"}));

    assert_eq!(invite(&t.guest(), "open", "a.txt", 1).status, 400);
    let for_ann = json!({"field": "open", "name": "a", "size": 1, "values": {"owner": ann.id}});
    assert_eq!(bob.post(INVITE, &for_ann).status, 400);
    let change = json!({"field": "open", "name": "a", "size": 1, "record": paper["id"]});
    assert_eq!(bob.post(INVITE, &change).status, 404);
    ann.post(INVITE, &change).ok();
    for (field, name, size, key, code) in [
        ("title", "a", 1, "field", "validation_invalid_field"),
        ("open", "", 1, "name", "validation_required"),
        ("open", "a", 0, "size", "validation_required"),
        ("scan", "a", 2_000_001, "size", "validation_file_size_limit"),
    ] {
        let refused = invite(&ann, field, name, size);
        assert_eq!((refused.status, refused.code(key).as_str()), (400, code));
    }
    assert_eq!(invite(&ann, "open", "a", 1).status, 200);
    let sue = t.superuser_again();
    sue.patch("/api/settings", &json!({"s3": {"enabled": false}}))
        .ok();
    let refused = invite(&ann, "open", "a", 1);
    refused.is(
        400,
        "Files are not kept in a bucket: send them with the record.",
    );
    assert!(s3.keys("files").is_empty());
}

#[test]
fn a_file_is_read_past_the_server_by_whoever_may_see_it() {
    let (s3, t) = on_s3();
    let (ann, bob) = (t.user("ann"), t.user("bob"));
    let pdf = b"%PDF-1.7\n";
    let request = Request::new("POST", PAPERS).multipart(
        &[("owner", &ann.id), ("title", "x")],
        &[
            ("scan", "a.pdf", pdf),
            ("open", "a.html", b"<html>hi</html>"),
        ],
    );
    let record = ann.send(request).ok();
    let id = record["id"].as_str().unwrap();
    let path = |name: &Json| format!("/api/files/papers/{id}/{}", name.as_str().unwrap());
    let sealed = path(&record["scan"]);
    let token = |who: &Person| {
        let answer = who.post("/api/files/token", &json!({})).ok();
        answer["token"].as_str().unwrap().to_owned()
    };

    for who in ["", &token(&bob)] {
        let refused = t.guest().get(&format!("{sealed}?direct=url&token={who}"));
        assert_eq!(refused.status, 404);
    }
    let mine = t
        .guest()
        .get(&format!("{sealed}?direct=url&token={}", token(&ann)))
        .ok();
    let read = ask(s3.address(), "GET", mine["url"].as_str().unwrap(), b"");
    assert_eq!((read.status, &read.body[..]), (200, &pdf[..]));
    let other = mine["url"].as_str().unwrap().replace(".pdf", ".png");
    assert_eq!(ask(s3.address(), "GET", &other, b"").status, 403);

    let page = path(&record["open"][0]);
    let sent = t.guest().get(&format!("{page}?direct=redirect"));
    assert_eq!(sent.status, 302);
    assert_eq!(sent.header("cache-control"), "private, no-store");
    let location = sent.header("location");
    assert!(location.contains("response-content-disposition=attachment"));
    assert_eq!(
        ask(s3.address(), "GET", location, b"").text(),
        "<html>hi</html>"
    );
    assert_eq!(t.guest().get(&format!("{page}?direct=x")).status, 400);

    // What is not in the bucket is served as ever.
    let sue = t.superuser_again();
    sue.patch("/api/settings", &json!({"s3": {"enabled": false}}))
        .ok();
    let local = Request::new("POST", PAPERS).multipart(
        &[("owner", &ann.id), ("title", "x")],
        &[("open", "b.txt", b"here")],
    );
    let local = ann.send(local).ok();
    let (id, name) = (&local["id"], &local["open"][0]);
    let path = format!(
        "/api/files/papers/{}/{}",
        id.as_str().unwrap(),
        name.as_str().unwrap()
    );
    assert_eq!(
        t.guest().get(&format!("{path}?direct=redirect")).text(),
        "here"
    );
    t.guest()
        .get(&format!("{path}?direct=url"))
        .is(400, "The file is not in a bucket.");
}
