//! Files of the public directory and the dashboard: canonical paths, ranges, and no way out of the directory.

use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::{Value as Json, json};

use crate::support::{Reply, Request, TestApp};

fn with_public() -> TestApp {
    TestApp::configured(|config| {
        let public = config.dir.parent().unwrap().join("public");
        std::fs::create_dir_all(public.join("dir")).unwrap();
        std::fs::write(public.join("index.html"), "home").unwrap();
        std::fs::write(public.join("dir/index.html"), "dir").unwrap();
        std::fs::write(public.join("a.txt"), "0123456789").unwrap();
        std::fs::write(config.dir.parent().unwrap().join("secret.txt"), "secret").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("../secret.txt", public.join("link.txt")).unwrap();
        config.public_dir = Some(public);
    })
}

#[test]
fn files_have_one_path_each() {
    let t = with_public();
    let guest = t.guest();

    assert_eq!(guest.get("/").text(), "home");
    assert_eq!(guest.get("/a.txt").text(), "0123456789");
    assert_eq!(guest.get("/dir/").text(), "dir");
    for (path, location) in [
        ("/dir", "/dir/"),
        ("/dir?x=1", "/dir/?x=1"),
        ("/dir/index.html", "/dir/"),
        ("/index.html", "/"),
        ("/a.txt/", "/a.txt"),
    ] {
        let reply = guest.get(path);
        assert_eq!(
            (reply.status, reply.header("location")),
            (301, location),
            "{path}"
        );
    }
}

#[test]
fn nothing_outside_the_directory_is_served() {
    let t = with_public();

    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/dir/..%2f..%2fsecret.txt",
        "/%2e%2e%5csecret.txt",
        "//etc/passwd",
        "/link.txt",
        "/a.txt%00",
        "/dir/%2fetc/passwd",
        "//evil.example.com/dir",
        "/%5cevil.example.com/dir",
    ] {
        let reply = t.guest().get(path);
        assert!(
            !reply.text().contains("secret") && !reply.text().contains("root:"),
            "{path}"
        );
        assert!(
            matches!(reply.status, 200 | 307 | 404),
            "{path} {}",
            reply.status
        );
        // Whoever is sent on stays on this host.
        assert!(!reply.header("location").starts_with("//"), "{path}");
    }
}

#[test]
fn what_is_missing_is_the_index_or_a_404() {
    let t = with_public();
    assert_eq!(t.guest().get("/no/such/page").text(), "home");
    assert_eq!(t.guest().get("/api/no").text(), "home");
    t.guest()
        .delete("/no")
        .is(404, "The requested resource wasn't found.");

    let bare = TestApp::new();
    bare.guest().get("/no").is(404, "File not found.");
    bare.guest().get("/api/no").is(404, "File not found.");
}

#[test]
fn parts_and_heads_are_served() {
    let t = with_public();

    let part = t
        .guest()
        .send(Request::new("GET", "/a.txt").header("Range", "bytes=2-4"));
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    let head = t.guest().send(Request::new("HEAD", "/a.txt"));
    assert_eq!((head.status, head.header("content-length")), (200, "10"));
    assert!(head.body.is_empty());
    let since = head.header("last-modified").to_owned();
    let known = t
        .guest()
        .send(Request::new("GET", "/a.txt").header("If-Modified-Since", &since));
    assert_eq!(known.status, 304);
}

#[test]
fn the_dashboard_answers_even_when_it_was_not_built() {
    let t = TestApp::new();

    let page = t.guest().get("/_/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(t.guest().get("/_").status, 307);
    assert_eq!(t.guest().get("/_/extensions.js").status, 200);
    let cleaned = t.guest().get("/_/../../Cargo.toml");
    assert_eq!(
        (cleaned.status, cleaned.header("location")),
        (307, "/Cargo.toml")
    );
    assert_eq!(t.guest().get("/Cargo.toml").status, 404);
    t.guest().get("/_/missing.js").is(404, "File not found.");
}

fn ask(t: &TestApp, path: &str, accept: &str) -> Reply {
    let request = Request::new("GET", path).header("accept-encoding", accept);
    t.guest().send(request)
}

fn unpacked(packed: &Reply) -> String {
    let mut text = String::new();
    GzDecoder::new(&packed.body[..])
        .read_to_string(&mut text)
        .unwrap();
    text
}

#[test]
fn texts_leave_compressed_to_who_takes_it() {
    let t = TestApp::configured(|config| {
        let public = config.dir.parent().unwrap().join("public");
        std::fs::create_dir_all(public.join("assets")).unwrap();
        std::fs::write(public.join("index.html"), "<p>hello</p>".repeat(500)).unwrap();
        std::fs::write(public.join("small.txt"), "hello").unwrap();
        std::fs::write(public.join("dots.png"), [0; 5_000]).unwrap();
        std::fs::write(
            public.join("assets/app-B7xk2_Qz.js"),
            "let x = 1;".repeat(500),
        )
        .unwrap();
        config.public_dir = Some(public);
    });
    let ask = |path: &str, accept: &str| ask(&t, path, accept);

    for (accept, expected) in [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("", ""),
        ("identity", ""),
    ] {
        let reply = ask("/", accept);
        assert_eq!(reply.header("content-encoding"), expected, "{accept}");
        assert!(reply.header("vary").contains("ccept-"), "{accept}");
        let small = reply.body.len() < 1_000;
        assert_eq!(
            small,
            !expected.is_empty(),
            "{accept}: {}",
            reply.body.len()
        );
    }
    assert_eq!(unpacked(&ask("/", "gzip")), "<p>hello</p>".repeat(500));

    // Not what is small, what does not shrink, or parts of a file.
    assert_eq!(ask("/small.txt", "br").header("content-encoding"), "");
    assert_eq!(ask("/dots.png", "br").header("content-encoding"), "");
    let part = Request::new("GET", "/")
        .header("accept-encoding", "br")
        .header("range", "bytes=0-3");
    let part = t.guest().send(part);
    assert_eq!((part.status, part.text().as_str()), (206, "<p>h"));

    // Files named after their content are kept; pages are asked for again.
    assert!(
        ask("/assets/app-B7xk2_Qz.js", "")
            .header("cache-control")
            .contains("immutable")
    );
    assert_eq!(ask("/", "").header("cache-control"), "no-cache");
}

#[test]
fn long_json_leaves_compressed_and_short_does_not() {
    let t = TestApp::new();
    let admin = t.superuser();
    t.collection(
        &json!({"name": "notes", "type": "base", "fields": [{"type": "text", "name": "body"}]}),
    );
    for n in 0..20 {
        let body = json!({"body": format!("{n} {}", "lorem ipsum ".repeat(100))});
        admin.create("notes", &body);
    }
    let list =
        Request::new("GET", "/api/collections/notes/records").header("accept-encoding", "gzip");
    let packed = admin.send(list);
    assert_eq!(packed.header("content-encoding"), "gzip");
    let plain = admin.get("/api/collections/notes/records").ok();
    let list: Json = serde_json::from_str(&unpacked(&packed)).unwrap();
    assert_eq!(list, plain);
    let short = Request::new("GET", "/api/health").header("accept-encoding", "gzip");
    assert_eq!(admin.send(short).header("content-encoding"), "");
}
