//! Too much of everything: refused, cut or worked off in bounds, while others are served.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::rows::Answer::{Is, OneOf};
use super::rows::{escape, filtered, get, hold, post, row};
use crate::realtime::ears::Socket;
use crate::support::{Person, Request, TestApp, on_postgres};

const NOTES: &str = "/api/collections/notes/records";

fn notes(t: &TestApp) {
    t.collection(&json!({
        "id": "pbc_notes", "name": "notes",
        "listRule": "", "viewRule": "", "createRule": "", "updateRule": "", "deleteRule": "",
        "fields": [
            {"name": "title", "type": "text"},
            {"name": "body", "type": "editor"},
            {"name": "n", "type": "number"},
            {"name": "when", "type": "date"},
            {"name": "meta", "type": "json"},
            {"name": "up", "type": "relation", "collectionId": "pbc_notes", "maxSelect": 2_000},
        ],
    }));
}

/// Fills a table, straight into the database.
fn fill(sue: &Person, rows: usize) {
    let numbers = if on_postgres() {
        format!(
            "SELECT 'n' || lpad(i::text, 14, '0'), 'x' || i, i FROM generate_series(1, {rows}) AS i"
        )
    } else {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
             SELECT printf('n%014d', i), 'x' || i, i FROM n"
        )
    };
    let query = format!("INSERT INTO notes (id, title, n) {numbers}");
    sue.post("/api/sql", &json!({ "query": query })).ok();
}

/// The ids of a set of rows as the value of a field.
fn ids() -> &'static str {
    if on_postgres() {
        "json_agg(id)::text"
    } else {
        "json_group_array(id)"
    }
}

/// Does `work` while a second client asks for something small; how long that one waited at most.
fn meanwhile(t: &TestApp, work: impl FnOnce()) -> Duration {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            let guest = t.guest();
            while !done.load(Ordering::SeqCst) {
                let begun = Instant::now();
                assert_eq!(
                    guest.get(&format!("{NOTES}?perPage=1&skipTotal=1")).status,
                    200
                );
                longest = longest.max(begun.elapsed());
            }
            longest
        });
        let worked = catch_unwind(AssertUnwindSafe(work));
        done.store(true, Ordering::SeqCst);
        let longest = watcher.join().unwrap();
        worked.unwrap_or_else(|panic| resume_unwind(panic));
        longest
    })
}

/// How long somebody may wait whom the load does not concern: generous, since tests run side by side.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn expressions_and_numbers_past_their_bounds_are_cut_or_refused() {
    let t = TestApp::new();
    let sue = t.superuser();
    notes(&t);
    let guest = t.guest();
    let deep = |count: usize| format!("{}id != ''{}", "(".repeat(count), ")".repeat(count));
    let mut rows = vec![
        row(
            "D01",
            "a thousand brackets",
            &guest,
            filtered("notes", &deep(1_000)),
            Is(200),
        ),
        row(
            "D01",
            "brackets to the brim",
            &guest,
            filtered("notes", &deep(1_745)),
            OneOf(&[200, 400]),
        ),
        row(
            "D01",
            "open brackets",
            &guest,
            filtered("notes", &"(".repeat(3_400)),
            Is(400),
        ),
        row(
            "D01",
            "closed brackets",
            &guest,
            filtered("notes", &")".repeat(3_400)),
            Is(400),
        ),
        row(
            "D01",
            "nested functions",
            &guest,
            filtered(
                "notes",
                &format!("{}1{} = 1", "strftime('%Y',".repeat(200), ")".repeat(200)),
            ),
            Is(400),
        ),
        row(
            "D01",
            "a flood of comments",
            &guest,
            filtered("notes", &format!("id != ''{}", "\n//(x".repeat(600))),
            OneOf(&[200, 400]),
        ),
        row(
            "D01",
            "a flood of signs",
            &guest,
            filtered("notes", &"&&||".repeat(800)),
            Is(400),
        ),
        row(
            "D01",
            "two hundred and one comparisons",
            &guest,
            filtered("notes", &vec!["n=1"; 201].join("||")),
            Is(400),
        ),
        row(
            "D01",
            "two hundred comparisons",
            &guest,
            filtered("notes", &vec!["n=1"; 200].join("||")),
            Is(200),
        ),
        row(
            "D06",
            "a huge page",
            &guest,
            get(&format!("{NOTES}?page=9000000000000000000")),
            Is(200),
        ),
        row(
            "D06",
            "a page past all numbers",
            &guest,
            get(&format!("{NOTES}?page=99999999999999999999")),
            OneOf(&[200, 400]),
        ),
        row(
            "D06",
            "a page below zero",
            &guest,
            get(&format!("{NOTES}?page=-5&perPage=-1")),
            Is(200),
        ),
        row(
            "D06",
            "the last page of the longest kind",
            &guest,
            get(&format!("{NOTES}?page=9223372036854775807&perPage=1000")),
            Is(200),
        ),
        row(
            "D06",
            "a year too far",
            &guest,
            post(NOTES, &json!({"when": "1000000000-01-01 00:00:00Z"})),
            OneOf(&[200, 400]),
        ),
        row(
            "D06",
            "a year before all",
            &guest,
            filtered("notes", "when > '-999999999-01-01'"),
            Is(200),
        ),
        row(
            "D06",
            "four hundred digits",
            &guest,
            Request::new("POST", NOTES)
                .body("application/json", format!("{{\"n\":{}}}", "9".repeat(400))),
            OneOf(&[200, 400]),
        ),
        row(
            "D06",
            "a text of digits",
            &guest,
            post(NOTES, &json!({"n": "9".repeat(400)})),
            OneOf(&[200, 400]),
        ),
        row(
            "D06",
            "a long life",
            &sue,
            post(
                "/api/collections/_superusers/impersonate/nobody",
                &json!({"duration": 1e30}),
            ),
            OneOf(&[400, 404]),
        ),
        row(
            "D06",
            "long modifiers of a date",
            &guest,
            filtered(
                "notes",
                &format!("strftime('{}', when) = 1", "%Y".repeat(1_500)),
            ),
            OneOf(&[200, 400]),
        ),
        row(
            "D06",
            "a date of comments",
            &guest,
            post(
                NOTES,
                &json!({"when": format!("{}2024{}", "(".repeat(5_000), ")".repeat(5_000))}),
            ),
            OneOf(&[200, 400]),
        ),
        row(
            "D06",
            "an excerpt of nested tags",
            &guest,
            post(
                &format!("{NOTES}?fields=body:excerpt(10,true)"),
                &json!({"body": "<b>".repeat(1_500_000)}),
            ),
            Is(200),
        ),
        row(
            "D13",
            "nine keys of order",
            &guest,
            get(&format!("{NOTES}?sort={}", ["n"; 9].join(","))),
            Is(400),
        ),
        row(
            "D13",
            "a long key of order",
            &guest,
            get(&format!("{NOTES}?sort={}", "n".repeat(300))),
            Is(400),
        ),
        row(
            "D13",
            "seven steps along relations",
            &guest,
            filtered("notes", "up.up.up.up.up.up.up.n = 1"),
            Is(400),
        ),
        row(
            "D13",
            "ten thousand fields to pick",
            &guest,
            get(&format!("{NOTES}?fields={}", "a,".repeat(10_000))),
            Is(200),
        ),
        row(
            "D13",
            "ten thousand paths to expand",
            &guest,
            get(&format!("{NOTES}?expand={}", "up,".repeat(10_000))),
            Is(200),
        ),
        row(
            "D13",
            "a head of two megabytes",
            &guest,
            get(&format!("{NOTES}?a={}", "b".repeat(2 << 20))),
            OneOf(&[400, 414, 431]),
        ),
        row(
            "D13",
            "many fields",
            &sue,
            post(
                "/api/collections",
                &json!({"name": "wide", "fields": (0..3_000).map(|n| json!({"name": format!("f{n}"), "type": "text"})).collect::<Vec<_>>()}),
            ),
            Is(400),
        ),
        row(
            "D12",
            "another protocol",
            &guest,
            Request::new("PRI", "*"),
            OneOf(&[400, 404]),
        ),
    ];
    for cursor in ["", "x", "AAAA", "../..", &"A".repeat(5_000)] {
        let path = format!("{NOTES}?cursor={cursor}");
        let answer = if cursor.is_empty() { Is(200) } else { Is(400) };
        rows.push(row(
            "D07",
            cursor.chars().take(10).collect::<String>(),
            &guest,
            get(&path),
            answer,
        ));
    }
    let deep_json =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    for (what, path, method) in [
        ("a body", NOTES, "POST"),
        ("an import", "/api/collections/import", "PUT"),
        ("settings", "/api/settings", "PATCH"),
        ("a batch", "/api/batch", "POST"),
        (
            "a sign-in",
            "/api/collections/users/auth-with-password",
            "POST",
        ),
    ] {
        for body in [
            deep_json("[", "]"),
            deep_json("{\"a\":", "}"),
            format!("{{\"meta\":{}}}", deep_json("[", "]")),
        ] {
            let request = Request::new(method, path).body("application/json", body);
            rows.push(row("D02", format!("{what}, deep"), &sue, request, Is(400)));
        }
    }
    let text = json!({"meta": deep_json("[", "]")});
    rows.push(row(
        "D02",
        "a text that is deep JSON",
        &guest,
        post(NOTES, &text),
        OneOf(&[200, 400]),
    ));
    hold(&t, rows);
}

#[test]
fn a_costly_question_ends_at_its_deadline_and_hinders_nobody() {
    let t = TestApp::configured(|config| config.query_timeout = Duration::from_secs(2));
    let sue = t.superuser();
    notes(&t);
    fill(&sue, 3_000);
    let query = format!(
        "UPDATE notes SET up = (SELECT {} FROM (SELECT id FROM notes LIMIT 400) AS some) WHERE n < 400",
        ids()
    );
    sue.post("/api/sql", &json!({ "query": query })).ok();
    let terms: Vec<String> = (0..100)
        .map(|n| format!("up.up.up.up.up.n > {n}"))
        .collect();
    let costly = [
        filtered("notes", &terms.join("||")),
        filtered(
            "notes",
            "notes_via_up.notes_via_up.notes_via_up.title !~ 'x' && up.up.up.up.title !~ 'x'",
        ),
        get(&format!(
            "{NOTES}?sort=up.up.up.title,@random&filter={}",
            escape("up.up.up.n != -1")
        )),
    ];

    let begun = Instant::now();
    let longest = meanwhile(&t, || {
        let guest = t.guest();
        for (at, request) in costly.into_iter().enumerate() {
            let reply = guest.send(request);
            assert!(
                [200, 400, 503].contains(&reply.status),
                "D03 {at}: {} {}",
                reply.status,
                reply.text()
            );
        }
    });

    assert!(
        begun.elapsed() < Duration::from_secs(40),
        "D03 {:?}",
        begun.elapsed()
    );
    assert!(longest < PATIENCE, "D03 somebody else waited {longest:?}");
}

#[test]
fn expanding_the_same_a_thousand_times_reads_it_once() {
    let t = TestApp::new();
    let sue = t.superuser();
    notes(&t);
    fill(&sue, 1_000);
    let query = format!(
        "UPDATE notes SET up = (SELECT {} FROM notes WHERE n <= 20)",
        ids()
    );
    sue.post("/api/sql", &json!({ "query": query })).ok();
    let body = format!(
        "UPDATE notes SET body = '{}' WHERE n <= 20",
        "x".repeat(4_000)
    );
    sue.post("/api/sql", &json!({ "query": body })).ok();

    let mut rows = Vec::new();
    let guest = t.guest();
    for expand in [
        "up",
        "up.up",
        "up.up.up.up.up.up.up",
        "up,up,up.up,up",
        "notes_via_up",
        "notes_via_up.notes_via_up",
    ] {
        let path = format!("{NOTES}?perPage=1000&fields=id,expand.up.id&expand={expand}");
        // Past the bound of one answer it is refused; never is the memory of the server at stake.
        rows.push(row("D05", expand, &guest, get(&path), OneOf(&[200, 400])));
    }
    hold(&t, rows);
}

#[test]
fn passwords_by_the_thousand_leave_room_for_others() {
    const AT_ONCE: usize = 200;
    let t = TestApp::new();
    let sue = t.superuser();
    notes(&t);
    sue.patch("/api/collections/users", &json!({"createRule": ""}))
        .ok();
    let guest = t.guest();
    let longest = meanwhile(&t, || {
        std::thread::scope(|scope| {
            for n in 0..AT_ONCE {
                let guest = &guest;
                scope.spawn(move || {
                    let reply = if n % 2 == 0 {
                        let body = json!({"identity": format!("u{n}@example.com"), "password": "wrong password"});
                        guest.post("/api/collections/users/auth-with-password", &body)
                    } else {
                        let password = "1234567890";
                        let body = json!({"email": format!("u{n}@example.com"), "password": password, "passwordConfirm": password});
                        guest.post("/api/collections/users/records", &body)
                    };
                    assert!([200, 400, 429, 503].contains(&reply.status), "D08 {}", reply.text());
                });
            }
        });
    });

    assert!(longest < PATIENCE, "D08 somebody else waited {longest:?}");
}

#[test]
fn many_batches_at_once_take_turns() {
    let t = TestApp::new();
    let sue = t.superuser();
    notes(&t);
    sue.patch(
        "/api/settings",
        &json!({"batch": {"enabled": true, "timeout": 3}}),
    )
    .ok();
    let parts: Vec<Json> = (0..50)
        .map(|n| json!({"method": "POST", "url": NOTES, "body": {"title": format!("{n}"), "body": "x".repeat(10_000)}}))
        .collect();
    let body = json!({ "requests": parts });
    let longest = meanwhile(&t, || {
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let reply = t.guest().post("/api/batch", &body);
                    assert!(
                        [200, 400, 503].contains(&reply.status),
                        "D15 {}",
                        reply.text()
                    );
                });
            }
            let begun = Instant::now();
            let body = json!({"email": "ann@example.com", "password": "1234567890", "passwordConfirm": "1234567890"});
            // A queue that does not move is not made longer: whoever is told so comes again.
            while t
                .guest()
                .post("/api/collections/users/records", &body)
                .status
                == 503
            {
                std::thread::yield_now();
            }
            assert!(
                begun.elapsed() < 2 * PATIENCE,
                "D15 a sign-up waited {:?}",
                begun.elapsed()
            );
        });
    });

    assert!(longest < PATIENCE, "D15 somebody else waited {longest:?}");
    let total = sue.get(NOTES).ok()["totalItems"].as_u64().unwrap();
    assert_eq!(total % 50, 0, "D15 half a batch");
}

/// D16: a parent with more children than one transaction should hold images of, and a table of as many.
#[test]
fn a_cascade_of_thousands_is_whole_and_told_from_the_log() {
    const CHILDREN: usize = 6_000;
    let t = TestApp::new();
    let sue = t.superuser();
    notes(&t);
    t.collection(&json!({
        "id": "pbc_leaves", "name": "leaves", "listRule": "", "viewRule": "",
        "fields": [
            {"name": "of", "type": "relation", "collectionId": "pbc_notes", "maxSelect": 1, "cascadeDelete": true},
            {"name": "text", "type": "text"},
        ],
    }));
    let plant = |parent: &str| {
        let numbers = if on_postgres() {
            format!(
                "SELECT 'n' || lpad(i::text, 14, '0'), '{parent}', repeat('x', 2000) \
                 FROM generate_series(1, {CHILDREN}) AS i"
            )
        } else {
            format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {CHILDREN}) \
                 SELECT printf('n%014d', i), '{parent}', printf('%.2000c', 'x') FROM n"
            )
        };
        let query = format!("INSERT INTO leaves (id, of, text) {numbers}");
        sue.post("/api/sql", &json!({ "query": query })).ok();
    };
    let parent = sue.create("notes", &json!({"title": "parent"}));
    let parent = parent["id"].as_str().unwrap();
    plant(parent);
    let mut socket = Socket::open(&t);
    socket.subscribe("leaves/n00000000000001");
    // The first note of a sign-in without a session makes a row, some seconds later: it comes before the count.
    t.wait(t.app.auth.flush_usage());
    let before = t.app.store.head().position.0;

    let longest = meanwhile(&t, || {
        assert_eq!(t.guest().delete(&format!("{NOTES}/{parent}")).status, 204);
    });

    assert!(longest < PATIENCE, "D16 somebody else waited {longest:?}");
    assert_eq!(
        sue.get("/api/collections/leaves/records").ok()["totalItems"],
        0
    );
    let entries = t.app.store.head().position.0 - before;
    assert_eq!(entries, CHILDREN as u64 + 1, "D16 entries in the log");
    // Their images were too many for memory: whoever listens hears of them from the log.
    let event = socket.next();
    assert_eq!(
        (&event["action"], &event["record"]["id"]),
        (&json!("delete"), &json!("n00000000000001"))
    );

    plant(parent);
    let before = t.app.store.head().position.0;
    let truncated = sue.delete("/api/collections/leaves/truncate");
    assert_eq!(truncated.status, 204, "{}", truncated.text());
    assert_eq!(
        sue.get("/api/collections/leaves/records").ok()["totalItems"],
        0
    );
    assert_eq!(t.app.store.head().position.0 - before, CHILDREN as u64);
}

#[test]
fn whoever_hangs_up_frees_what_was_held() {
    use std::io::Write;
    let t = TestApp::new();
    let sue = t.superuser();
    notes(&t);
    fill(&sue, 2_000);
    // Large answers that nobody reads, and questions that are left in the middle.
    let held: Vec<std::net::TcpStream> = (0..60)
        .map(|n| {
            let mut stream = std::net::TcpStream::connect(t.address()).unwrap();
            let head = if n % 2 == 0 {
                format!("GET {NOTES}?perPage=1000 HTTP/1.1\r\nHost: test\r\n\r\n")
            } else {
                format!("POST {NOTES} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{{")
            };
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();

    let guest = t.guest();
    for n in 0..50 {
        let begun = Instant::now();
        guest.create("notes", &json!({"n": n}));
        assert_eq!(guest.get(&format!("{NOTES}?perPage=5")).status, 200);
        assert!(begun.elapsed() < PATIENCE, "D04, D11");
    }
    drop(held);
    sue.patch(&format!("{NOTES}/n00000000000001"), &json!({"n": 1}))
        .ok();
}

#[test]
fn bodies_that_lie_about_themselves_are_refused() {
    let t = TestApp::new();
    notes(&t);
    let guest = t.guest();
    let multipart = |head: &str, end: &str| {
        Request::new("POST", NOTES).body(
            "multipart/form-data; boundary=XX",
            format!("--XX\r\n{head}\r\n\r\nx\r\n{end}"),
        )
    };
    let disposition = "Content-Disposition: form-data; name=\"title\"";
    let rows = vec![
        row(
            "D10",
            "two lengths",
            &guest,
            Request::new("POST", NOTES)
                .header("Content-Length", "5")
                .json(&json!({})),
            Is(400),
        ),
        row(
            "D10",
            "a length below zero",
            &guest,
            Request::new("POST", NOTES).header("Content-Length", "-1"),
            Is(400),
        ),
        row(
            "D10",
            "a length that is no number",
            &guest,
            Request::new("POST", NOTES).header("Content-Length", "1e3"),
            Is(400),
        ),
        row(
            "D10",
            "a length past all",
            &guest,
            Request::new("POST", NOTES)
                .header("Content-Length", "99999999999")
                .header("Content-Type", "application/json"),
            Is(413),
        ),
        row(
            "D10",
            "packed",
            &guest,
            Request::new("POST", NOTES)
                .header("Content-Encoding", "gzip")
                .body("application/json", vec![0x1f, 0x8b, 8, 0]),
            OneOf(&[400, 415]),
        ),
        row("D10", "no end", &guest, multipart(disposition, ""), Is(400)),
        row(
            "D10",
            "a megabyte of part headers",
            &guest,
            multipart(
                &format!("{disposition}\r\nX-A: {}", "a".repeat(1 << 20)),
                "--XX--\r\n",
            ),
            OneOf(&[200, 400]),
        ),
        row(
            "D10",
            "a body where nobody listens",
            &guest,
            post("/api/nowhere", &json!({"a": "b".repeat(1 << 20)})),
            Is(404),
        ),
        row(
            "D10",
            "a body on a GET",
            &guest,
            get(NOTES).json(&json!({"a": 1})),
            OneOf(&[200, 400]),
        ),
        row(
            "D10",
            "files for fields that are none",
            &guest,
            Request::new("POST", NOTES).multipart(&[], &[("nothing", "a.txt", &[b'x'; 400_000])]),
            Is(200),
        ),
    ];
    hold(&t, rows);
    let spool = t.dir().join(".burrow/tmp");
    crate::support::eventually(|| crate::support::files_below(&spool).is_empty());
    let storage = t.dir().join("storage");
    assert!(
        crate::support::files_below(&storage).is_empty(),
        "D10 something was stored"
    );
}
