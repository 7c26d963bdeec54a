//! Files of the public directory and the dashboard: canonical paths, ranges, and no way out of the directory.

use crate::support::{Request, TestApp};

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
