//! Files: names, places and owners.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::rows::Answer::{Is, OneOf};
use super::rows::{get, hold, patch, row};
use crate::support::{Person, Reply, Request, TestApp, eventually, files_below};

const PAPERS: &str = "/api/collections/papers/records";

fn papers(t: &TestApp) {
    t.collection(&json!({
        "id": "pbc_papers", "name": "papers",
        "listRule": "", "viewRule": "", "createRule": "", "updateRule": "", "deleteRule": "",
        "fields": [{"name": "doc", "type": "file", "maxSelect": 3}, {"name": "title", "type": "text"}],
    }));
}

fn upload(who: &Person, path: &str, id: &str, name: &str) -> Json {
    try_upload(who, path, id, name).ok()
}

fn try_upload(who: &Person, path: &str, id: &str, name: &str) -> Reply {
    let texts: &[(&str, &str)] = if id.is_empty() { &[] } else { &[("id", id)] };
    let request = Request::new("POST", path).multipart(texts, &[("doc", name, b"content")]);
    who.send(request)
}

fn first(record: &Json) -> &str {
    record["doc"][0].as_str().unwrap()
}

/// What a stored name is: small words, ten random letters, perhaps an ending.
fn is_stored_name(name: &str) -> bool {
    let (stem, ending) = name.split_once('.').unwrap_or((name, ""));
    let Some((words, random)) = stem.rsplit_once('_') else {
        return false;
    };
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
    !words.is_empty()
        && words
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && random.len() == 10
        && is_plain(random)
        && ending.split('.').all(is_plain)
        && name.len() < 200
}

/// F01, F08: whatever an upload is called, it is stored under a plain name with letters that nobody guesses, in the
/// folder of its record.
#[test]
fn stored_names_are_plain_and_stay_in_their_folder() {
    let t = TestApp::new();
    papers(&t);
    let guest = t.guest();
    let long = format!("{}.txt", "x".repeat(5_000));
    for name in [
        "../../x.txt",
        "..\\..\\x.txt",
        "/etc/passwd",
        "C:\\x.txt",
        "\\\\host\\share",
        "a\u{0}b.txt",
        "%2e%2e%2fx.txt",
        "...",
        "..",
        ".",
        "",
        "con",
        "NUL.txt",
        "x.txt.",
        "x.txt ",
        ".htaccess",
        "a;b.txt",
        "a%0d%0aX: y.txt",
        "\u{202e}gpj.exe",
        "thumbs_x/y.png",
        "x.txt.attrs",
        "\u{fc}.txt",
        &long,
    ] {
        let reply = try_upload(&guest, PAPERS, "", name);
        if reply.status == 400 {
            continue;
        }
        let record = reply.ok();
        let Some(stored) = record["doc"][0].as_str() else {
            assert_eq!(record["doc"], json!([]), "F01 {name:?}: {record}");
            continue;
        };
        assert!(is_stored_name(stored), "F01 {name:?} became {stored:?}");
        let id = record["id"].as_str().unwrap();
        let folder = t.dir().join("storage/pbc_papers").join(id);
        assert!(folder.join(stored).is_file(), "F01 {name:?} is elsewhere");
        let at = format!("/api/files/papers/{id}/{stored}");
        assert_eq!(guest.get(&at).text(), "content", "F01 {name:?}");
    }
    assert!(!t.root.join("x.txt").exists() && !t.dir().join("x.txt").exists());
    let drawn = |record: &Json| first(record).rsplit('_').next().unwrap().to_owned();
    let again = [
        upload(&guest, PAPERS, "", "a.txt"),
        upload(&guest, PAPERS, "", "a.txt"),
    ];
    assert_ne!(drawn(&again[0]), drawn(&again[1]), "F08");
}

/// F08: a file that is not protected is public by contract, whatever the rules; only its name guards it.
#[test]
fn an_unprotected_file_of_a_locked_collection_is_public() {
    let t = TestApp::new();
    t.collection(
        &json!({"name": "locked", "fields": [{"name": "doc", "type": "file", "maxSelect": 2}]}),
    );
    let record = upload(
        &t.superuser(),
        "/api/collections/locked/records",
        "",
        "a.txt",
    );
    let at = format!(
        "/api/files/locked/{}/{}",
        record["id"].as_str().unwrap(),
        first(&record)
    );
    let guest = t.guest();

    hold(
        &t,
        vec![
            row("F08", "by its name", &guest, get(&at), Is(200)),
            row(
                "F08",
                "by a guess",
                &guest,
                get(&at.replace(".txt", "x.txt")),
                Is(404),
            ),
            row(
                "F08",
                "the record",
                &guest,
                get("/api/collections/locked/records"),
                Is(403),
            ),
        ],
    );
}

/// F02, F03: paths that leave the folder lead nowhere.
#[test]
fn paths_lead_to_named_files_only() {
    let t = TestApp::configured(|config| {
        let public = config.dir.parent().unwrap().join("public");
        std::fs::create_dir_all(&public).unwrap();
        std::fs::write(public.join("index.html"), "home").unwrap();
        std::fs::write(public.join(".hidden"), "hidden").unwrap();
        std::fs::write(config.dir.parent().unwrap().join("secret"), "secret").unwrap();
        let link = public.join("link");
        std::os::unix::fs::symlink(config.dir.parent().unwrap().join("secret"), link).unwrap();
        config.public_dir = Some(public);
    });
    papers(&t);
    let guest = t.guest();
    let record = upload(&guest, PAPERS, "p00000000000001", "a.txt");
    let other = upload(&guest, PAPERS, "p00000000000002", "a.txt");
    let mine = first(&record);
    let theirs = first(&other);
    let mut rows = Vec::new();
    for tail in [
        format!("p00000000000001/{theirs}"),
        format!("p00000000000001/..%2fp00000000000002%2f{theirs}"),
        format!("p00000000000001/..%5c{mine}"),
        format!("p00000000000001/%252e%252e%252f{mine}"),
        format!("p00000000000001/{mine}.attrs"),
        format!("p00000000000001/{mine}%00"),
        format!("p00000000000001/{}", mine.to_uppercase()),
        format!("P00000000000001/{mine}"),
        format!("p0000000000000/{mine}"),
        "..%2f..%2fdata.db/x".to_owned(),
        "p00000000000001/title".to_owned(),
    ] {
        let path = format!("/api/files/papers/{tail}");
        rows.push(row("F02", path.clone(), &guest, get(&path), Is(404)));
        let thumb = format!("{path}?thumb=100x100");
        rows.push(row("F02", thumb.clone(), &guest, get(&thumb), Is(404)));
    }
    hold(&t, rows);
    for path in [
        "/../secret",
        "/..%2fsecret",
        "/%2e%2e/secret",
        "/..%5csecret",
        "/link",
        "/.hidden",
        "/%00",
        "//etc/passwd",
        "/..;/secret",
        "/_/../../secret",
        "/_/..%2f..%2fsecret",
        "/_/%2e%2e%2fCargo.toml",
        "/./../data/data.db",
    ] {
        let text = guest.get(path).text();
        assert!(
            !text.contains("secret") && !text.contains("hidden") && !text.contains("root:"),
            "F03 {path}: {text}"
        );
    }
}

/// F16: a file belongs to the record that it was uploaded to; no text makes it another's.
#[test]
fn texts_in_place_of_files_take_nothing_over() {
    let t = TestApp::new();
    papers(&t);
    let guest = t.guest();
    let record = upload(&guest, PAPERS, "p00000000000001", "a.txt");
    let mine = first(&record).to_owned();
    let theirs = first(&upload(&guest, PAPERS, "p00000000000002", "b.txt")).to_owned();
    let own = format!("{PAPERS}/p00000000000001");
    let mut rows = Vec::new();
    for text in [
        theirs.as_str(),
        "../p00000000000002/b.txt",
        "/etc/passwd",
        "data:text/plain;base64,eA==",
        "http://127.0.0.1/x",
        "file:///etc/passwd",
        "a.txt",
    ] {
        for body in [
            json!({"doc": [mine, text]}),
            json!({"doc": text}),
            json!({"doc+": text}),
        ] {
            rows.push(row(
                "F16",
                body.to_string(),
                &guest,
                patch(&own, &body),
                OneOf(&[400]),
            ));
        }
    }
    hold(&t, rows);
    // One that was let go cannot be taken back.
    guest.send(patch(&own, &json!({"doc-": mine}))).ok();
    let back = guest.send(patch(&own, &json!({"doc": [mine]})));
    assert_eq!(back.code("doc"), "validation_invalid_file", "F16");
    let storage = t.dir().join("storage/pbc_papers/p00000000000002");
    assert_eq!(
        files_below(&storage)
            .iter()
            .filter(|name| **name == theirs)
            .count(),
        1
    );
}

/// F17: with a record goes its own folder, and no other whose name begins alike.
#[test]
fn with_a_record_goes_its_own_folder_alone() {
    let t = TestApp::new();
    papers(&t);
    let guest = t.guest();
    let storage = |id: &str| t.dir().join("storage/pbc_papers").join(id);
    upload(&guest, PAPERS, "p00000000000001", "a.txt");
    upload(&guest, PAPERS, "p00000000000002", "a.txt");
    // An id of another length, as the field's owner may allow.
    let fields = t.superuser().get("/api/collections/papers").ok()["fields"].clone();
    let mut fields = fields;
    fields[0]["min"] = json!(1);
    fields[0]["max"] = json!(40);
    fields[0]["pattern"] = json!("");
    let sue = t.signed_in("_superusers", "root@example.com");
    sue.patch("/api/collections/papers", &json!({ "fields": fields }))
        .ok();
    upload(&guest, PAPERS, "p0000000000000", "a.txt");
    let mut rows = Vec::new();
    for id in [
        "a/b", "../x", "..", ".", "a\\b", "a*", "a\u{0}b", "con", "a b/", "NUL", "a:b",
    ] {
        let request =
            Request::new("POST", PAPERS).multipart(&[("id", id)], &[("doc", "a.txt", b"x")]);
        rows.push(row(
            "F17",
            format!("{id:?}"),
            &guest,
            request,
            OneOf(&[200, 400]),
        ));
    }
    hold(&t, rows);
    let outside = |path: &Path| files_below(path).len();
    assert_eq!(outside(&t.root.join("x")), 0);

    assert_eq!(
        guest.delete(&format!("{PAPERS}/p0000000000000")).status,
        204
    );

    eventually(|| files_below(&storage("p0000000000000")).is_empty());
    assert!(!files_below(&storage("p00000000000001")).is_empty());
    assert!(!files_below(&storage("p00000000000002")).is_empty());
}

/// F04, F05, F06, I11: what might run is saved, not shown; headers are ours alone.
#[test]
fn nothing_that_was_uploaded_runs() {
    let t = TestApp::new();
    papers(&t);
    let guest = t.guest();
    for (name, content) in [
        ("a.html", "<script>alert(1)</script>"),
        (
            "a.svg",
            "<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>",
        ),
        ("a.svgz", "<svg onload=alert(1)>"),
        (
            "a.xht",
            "<html xmlns=\"http://www.w3.org/1999/xhtml\"><script/></html>",
        ),
        ("a.xml", "<?xml version=\"1.0\"?><x/>"),
        (
            "a.mht",
            "MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n",
        ),
        ("a.js", "alert(1)"),
        ("a.mjs", "alert(1)"),
        ("a.png", "<html><script>alert(1)</script></html>"),
        ("a.html.png", "<script>alert(1)</script>"),
        ("a.png.HTML", "<script>alert(1)</script>"),
        ("a\"; filename=b.html", "<script>alert(1)</script>"),
        ("a.pdf", "<script>alert(1)</script>"),
        ("a.swf", "FWS"),
        ("a", "#!/bin/sh"),
    ] {
        let request = Request::new("POST", PAPERS).body(
            "multipart/form-data; boundary=XX",
            format!(
                "--XX\r\nContent-Disposition: form-data; name=\"doc\"; filename=\"{}\"\r\nContent-Type: image/png\r\n\r\n{content}\r\n--XX--\r\n",
                name.replace('"', "%22")
            ),
        );
        let record = guest.send(request).ok();
        let at = format!(
            "/api/files/papers/{}/{}",
            record["id"].as_str().unwrap(),
            first(&record)
        );
        let reply = guest.get(&at);
        let shown = reply.header("content-disposition").to_owned();
        assert!(
            shown.starts_with("attachment; filename=\""),
            "F04 {name}: {shown}"
        );
        assert_eq!(shown.matches('"').count(), 2, "I11 {name}: {shown}");
        assert_eq!(
            reply.header("x-content-type-options"),
            "nosniff",
            "F04 {name}"
        );
        assert!(
            reply.header("content-security-policy").contains("sandbox"),
            "F04 {name}"
        );
        assert_ne!(reply.header("content-type"), "image/png", "F05 {name}");
    }
    // A file of the same origin is no script of the dashboard's: its own carry a word that nobody can know before.
    let policies = [guest.get("/_/"), guest.get("/_/index.html")].map(|page| {
        assert_eq!(page.header("cache-control"), "no-store", "F06");
        page.header("content-security-policy").to_owned()
    });
    for policy in &policies {
        let scripts = policy
            .split(';')
            .find(|part| part.trim().starts_with("script-src"));
        let words: Vec<&str> = scripts.unwrap_or("").split_whitespace().collect();
        assert!(words.contains(&"'strict-dynamic'"), "F06 {policy}");
        assert!(
            words
                .iter()
                .any(|word| word.starts_with("'nonce-") && word.len() > 30),
            "F06 {policy}"
        );
        for source in ["'unsafe-inline'", "'unsafe-eval'", "*", "https:", "data:"] {
            assert!(!words.contains(&source), "F06 {policy}");
        }
    }
    assert_ne!(policies[0], policies[1], "F06");
}
