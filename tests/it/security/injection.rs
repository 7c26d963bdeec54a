//! Injection: whatever stands in a name, a key, a value or an expression stays what it is and becomes nothing else.

use serde_json::{Value as Json, json};

use super::rows::Answer::{Code, Is, OneOf, Total};
use super::rows::{escape, filtered, get, hold, patch, post, row};
use crate::support::{Person, Request, TestApp, on_postgres};

const COLLECTIONS: &str = "/api/collections";
const NOTES: &str = "/api/collections/notes/records";

fn notes(t: &TestApp) {
    t.collection(&json!({
        "id": "pbc_notes", "name": "notes",
        "listRule": "", "viewRule": "", "createRule": "", "updateRule": "", "deleteRule": "",
        "fields": [
            {"name": "title", "type": "text", "max": 100_000},
            {"name": "n", "type": "number"},
            {"name": "meta", "type": "json"},
            {"name": "at", "type": "geoPoint"},
            {"name": "when", "type": "date"},
            {"name": "up", "type": "relation", "collectionId": "pbc_notes", "maxSelect": 50_000},
        ],
    }));
}

/// Everything that stands in the database besides the request log.
fn tables(sue: &Person) -> Json {
    let query = if on_postgres() {
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' \
         UNION ALL SELECT indexname, tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
    } else {
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
    };
    sue.post("/api/sql", &json!({"query": query})).ok()["rows"].clone()
}

#[test]
fn names_of_collections_fields_and_indexes_are_words() {
    let t = TestApp::new();
    let sue = t.superuser();
    notes(&t);
    let long = "a".repeat(300);
    let bad = [
        "a b",
        "a\"b",
        "a`b",
        "a'b",
        "a;b",
        "a--b",
        "a\u{0}b",
        "b\u{e4}r",
        "a.b",
        "a/b",
        "../a",
        "$a",
        "1 OR 1",
        &long,
        "sqlite_master",
        "_burrow_changes",
        "_collections",
        "users",
        "NOTES",
    ];
    let before = tables(&sue);
    let import = |items: Json| {
        Request::new("PUT", "/api/collections/import").json(&json!({"collections": items}))
    };
    let mut rows = Vec::new();
    for name in bad {
        let body = json!({"name": name});
        rows.push(row(
            "I01",
            format!("collection {name:?}"),
            &sue,
            post(COLLECTIONS, &body),
            Is(400),
        ));
        if !["users", "NOTES", "_collections"].contains(&name) {
            let body = json!([{"name": name, "fields": [{"name": "a", "type": "text"}]}]);
            rows.push(row(
                "I01",
                format!("import of {name:?}"),
                &sue,
                import(body),
                Is(400),
            ));
        }
    }
    for name in [
        "a b",
        "a\"b",
        "a`b",
        "a'b",
        "a;b",
        "a\u{0}b",
        "b\u{e4}r",
        "a.b",
        &long,
        "expand",
        "collectionId",
        "_rowid_",
        "",
    ] {
        let body = json!({"name": "fresh", "fields": [{"name": name, "type": "text"}]});
        rows.push(row(
            "I01",
            format!("field {name:?}"),
            &sue,
            post(COLLECTIONS, &body),
            Is(400),
        ));
        let query = format!(
            "SELECT id, title AS \"{}\" FROM notes",
            name.replace('"', "\"\"")
        );
        let body = json!({"name": "fresh", "type": "view", "viewQuery": query});
        rows.push(row(
            "I01",
            format!("column {name:?}"),
            &sue,
            post(COLLECTIONS, &body),
            Is(400),
        ));
    }
    for index in [
        "CREATE INDEX a ON notes (title); DROP TABLE notes",
        "CREATE INDEX a ON users (email)",
        "CREATE INDEX a ON notes (gone)",
        "CREATE INDEX a ON notes ((SELECT password FROM users))",
        "CREATE INDEX a ON notes (title) WHERE title IN (SELECT tokenKey FROM users)",
        "CREATE INDEX a ON notes (random())",
        "CREATE INDEX a ON notes (load_extension('x'))",
        "CREATE INDEX a ON notes (title) -- x\n; DELETE FROM users",
        "DROP TABLE notes",
        "CREATE TRIGGER x AFTER INSERT ON notes BEGIN DELETE FROM users; END",
    ] {
        let body = json!({"indexes": [index]});
        rows.push(row(
            "I05",
            index,
            &sue,
            patch("/api/collections/notes", &body),
            Is(400),
        ));
    }
    hold(&t, rows);
    assert_eq!(tables(&sue), before);

    // Words of SQL are names like any other.
    let mut rows = Vec::new();
    for name in ["select", "order", "group", "values", "table"] {
        let body = json!({
            "name": name, "listRule": format!("{name} != 'x'"), "createRule": "",
            "fields": [{"name": name, "type": "text"}],
            "indexes": [format!("CREATE INDEX `idx_{name}` ON `{name}` (`{name}`)")],
        });
        rows.push(row("I01", name, &sue, post(COLLECTIONS, &body), Is(200)));
        let records = format!("/api/collections/{name}/records");
        rows.push(row(
            "I01",
            name,
            &sue,
            post(&records, &json!({name: "a"})),
            Is(200),
        ));
        rows.push(row(
            "I01",
            name,
            &sue,
            filtered(name, &format!("{name} = 'a'")),
            Total(1),
        ));
        rows.push(row(
            "I01",
            name,
            &sue,
            get(&format!("{records}?sort=-{name}")),
            Total(1),
        ));
    }
    hold(&t, rows);
}

#[test]
fn keys_and_values_of_bodies_stay_data() {
    let t = TestApp::new();
    let sue = t.superuser();
    notes(&t);
    let guest = t.guest();
    let raw = |body: &[u8]| Request::new("POST", NOTES).body("application/json", body);
    let mut rows = Vec::new();
    for key in [
        "title\" = 'x', \"n",
        "title`",
        "n); DROP TABLE notes; --",
        "n+; x",
        "meta.a'b",
        "n.x",
        "title:lower",
        "+title\"",
        "collectionId",
        "collectionName",
        "expand",
        "__proto__",
        "constructor",
        "@request",
        "rowid",
        "_rowid_",
    ] {
        rows.push(row(
            "I02",
            key,
            &guest,
            post(NOTES, &json!({key: "1"})),
            Is(200),
        ));
    }
    for body in [
        "{\"n\":1e400}",
        "{\"title\":\"\\ud800\"}",
        "{\"n\":NaN}",
        "{\"n\":0x10}",
        "{\"n\":+1}",
        "{\"title\":\"\u{1}\"}",
    ] {
        rows.push(row("I08", body, &guest, raw(body.as_bytes()), Is(400)));
    }
    rows.push(row(
        "I08",
        "bytes that are no text",
        &guest,
        raw(b"{\"title\":\"\xc3\x28\"}"),
        Is(400),
    ));
    for filter in [
        "title = '\u{0}'",
        "title ~ '\u{0}%'",
        "n = 9007199254740993",
        "n = 18446744073709551616",
        "n > 1e400",
        "n = -1e999",
        "title = '\u{202e}'",
    ] {
        rows.push(row(
            "I08",
            filter,
            &guest,
            filtered("notes", filter),
            OneOf(&[200, 400]),
        ));
    }
    rows.push(row(
        "I08",
        "a query that is no text",
        &guest,
        get(&format!("{NOTES}?filter=title%3D%27%FF%FE%27")),
        OneOf(&[200, 400]),
    ));
    hold(&t, rows);

    // Numbers and texts come back as what was sent, or as the nearest double: never wrapped, never cut.
    for (sent, back) in [
        (
            json!({"n": 9_007_199_254_740_993_i64}),
            json!(9_007_199_254_740_992_i64),
        ),
        (
            json!({"n": 18_446_744_073_709_551_615_u64}),
            json!(18_446_744_073_709_552_000_f64),
        ),
        (json!({"n": -0.1}), json!(-0.1)),
    ] {
        let made = guest.create("notes", &sent);
        assert_eq!(made["n"].as_f64(), back.as_f64(), "I08 {sent}");
    }
    for title in [
        "a\u{0}b",
        "'; DROP TABLE notes; --",
        "\u{202e}x",
        "%_\\",
        "{:p}",
        "?1",
    ] {
        if on_postgres() && title.contains('\0') {
            // No text of PostgreSQL holds one.
            assert_eq!(
                guest.send(post(NOTES, &json!({"title": title}))).status,
                400
            );
            continue;
        }
        let made = guest.create("notes", &json!({"title": title}));
        assert_eq!(made["title"], title, "I08");
        let quoted = title.replace('\'', "\\'");
        if !title.contains('\\') {
            let found = guest
                .send(filtered("notes", &format!("title = '{quoted}'")))
                .ok();
            assert_eq!(found["totalItems"], 1, "I08 {title:?}");
        }
    }
    // The account of the superuser and the rows are all still there.
    assert!(sue.get(NOTES).ok()["totalItems"].as_u64().unwrap() > 20);
}

#[test]
fn odd_expressions_are_understood_or_refused() {
    let t = TestApp::new();
    let sue = t.superuser();
    notes(&t);
    sue.create("notes", &json!({"title": "100%_a\\b", "meta": {"a'b": 1, "a": [{"b": 2}]}, "at": {"lon": 10, "lat": 20}}));
    let guest = t.guest();
    let mut rows = Vec::new();
    for filter in [
        "meta.a'b = 1",
        "meta.$[0] = 1",
        "meta.\"a\" = 1",
        "meta.a[0] = 1",
        "meta.a.0.b' = 2",
        "meta..a = 1",
        "meta. = 1",
        "title; = 1",
        "title = 'a' -- x",
        "title = 'a' /* x */",
        "title = 'a'; DELETE FROM notes",
        "title = \"a' OR '1'='1",
        "title = 'a\\'",
        "1 = 1 OR 1 = 1",
        "title LIKE 'a'",
        "notes_via_up.title' = 1",
        "@collection.notes:x'.n = 1",
        "geoDistance(at.lon, at.lat, 'x', 1) > 0",
        "geoDistance(at.lon) > 0",
        "geoDistance(at.lon, at.lat, 1, 1, 1) > 0",
        "geoDistance(at.lon, at.lat, 1, 1); --",
        "strftime('%Y' || '%m', when) = 1",
        "strftime('%\u{0}', when) = 'x'",
        "strftime('%Y', when, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j') = 1",
        "load_extension('x') = 1",
        "(title",
        "title)",
        "&&",
        "",
        "n = 1 && ",
        "n ! = 1",
        "title ?~? 'x'",
    ] {
        rows.push(row(
            "I03",
            filter,
            &guest,
            filtered("notes", filter),
            OneOf(&[200, 400, 403]),
        ));
        rows.push(row(
            "I03",
            filter,
            &sue,
            filtered("notes", filter),
            OneOf(&[200, 400]),
        ));
    }
    for parameter in ["sort", "expand", "fields"] {
        for text in [
            "meta.a'b",
            "meta.$[0]",
            "a`b",
            "title DESC; DROP TABLE notes",
            "-title,+n,@random,@rowid,x'",
            ",,,,",
            ".",
            "....",
            "title:x'",
            "up.up.up.up.up.up.up.up.up",
            "title:excerpt(1",
            "title:excerpt(9999999999999999999999)",
            "*:excerpt(-1)",
        ] {
            let path = format!("{NOTES}?{parameter}={}", escape(text));
            rows.push(row(
                "I03",
                format!("{parameter}={text}"),
                &guest,
                get(&path),
                OneOf(&[200, 400, 403]),
            ));
        }
    }
    let long = |count: usize| format!("title = '{}'", "a".repeat(count));
    rows.push(row(
        "I03",
        "as long as it may be",
        &guest,
        filtered("notes", &long(3_490)),
        Is(200),
    ));
    rows.push(row(
        "I03",
        "too long",
        &guest,
        filtered("notes", &long(3_491)),
        Is(400),
    ));
    // LIKE: what is a wildcard and what is not.
    for (filter, total) in [
        ("title ~ '100%'", 1),
        ("title ~ '100\\%_'", 1),
        ("title ~ '100x'", 0),
        ("title ~ 'a\\\\b'", 1),
        ("title ~ '1%0%b'", 1),
        ("title !~ '%'", 0),
    ] {
        rows.push(row(
            "I09",
            filter,
            &guest,
            filtered("notes", filter),
            Total(total),
        ));
    }
    let wildcards = format!("title ~ '{}'", "%a".repeat(1_700));
    rows.push(row(
        "I09",
        "thousands of wildcards",
        &guest,
        filtered("notes", &wildcards),
        OneOf(&[200, 400]),
    ));
    hold(&t, rows);

    // Random words of the language, and random bytes, are never more than a refusal.
    let words = [
        "title",
        "n",
        "meta.a",
        "'",
        "\"",
        "(",
        ")",
        "&&",
        "||",
        "=",
        "?~",
        "~",
        "!",
        "@now",
        "@request.",
        ":each",
        ".",
        "1e9",
        "\\",
        "//",
        "\u{0}",
        "strftime(",
        ",",
        "%",
        "\u{e4}",
    ];
    let mut state = 0x9e37_79b9_u32;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below
    };
    let mut rows = Vec::new();
    for _ in 0..300 {
        let text: String = (0..1 + draw(20))
            .map(|_| words[draw(words.len())])
            .collect();
        rows.push(row(
            "I03",
            text.clone(),
            &guest,
            filtered("notes", &text),
            OneOf(&[200, 400, 403]),
        ));
    }
    hold(&t, rows);
}

#[test]
fn queries_of_views_read_and_nothing_else() {
    let t = TestApp::configured(|config| config.query_timeout = std::time::Duration::from_secs(1));
    let sue = t.superuser();
    notes(&t);
    let before = tables(&sue);
    let mut rows = Vec::new();
    for query in [
        "PRAGMA writable_schema = 1",
        "ATTACH 'x.db' AS x",
        "VACUUM INTO 'x.db'",
        "DELETE FROM notes RETURNING id",
        "WITH x AS (SELECT 1) DELETE FROM notes",
        "WITH x AS (INSERT INTO notes (id) VALUES ('a') RETURNING id) SELECT id FROM x",
        "SELECT id FROM notes /* ; */; DELETE FROM notes",
        "SELECT ';' AS id; DELETE FROM notes",
        "SELECT id FROM notes); DELETE FROM notes; --",
        "SELECT load_extension('x') AS id",
        "SELECT readfile('/etc/passwd') AS id",
        "SELECT writefile('x', 'y') AS id",
        "SELECT id FROM notes UNION SELECT tokenKey FROM users",
        "SELECT id, (SELECT password FROM users LIMIT 1) AS p FROM notes",
        "CREATE TABLE x (id)",
        "",
        "  ",
        "-- nothing",
        "SELECT",
        "SELECT id FROM nowhere",
        "EXPLAIN SELECT 1",
        "VALUES (1)",
        "WITH RECURSIVE x(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM x) SELECT max(id) AS id FROM x",
    ] {
        let body = json!({"name": "v", "type": "view", "viewQuery": query});
        rows.push(row("I06", query, &sue, post(COLLECTIONS, &body), Is(400)));
        let body = json!({"query": query});
        let path = "/api/collections/meta/dry-run-view";
        rows.push(row(
            "I06",
            format!("try {query}"),
            &sue,
            post(path, &body),
            Is(400),
        ));
    }
    hold(&t, rows);
    assert_eq!(tables(&sue), before);
    assert!(!t.dir().join("x.db").exists());
}

#[test]
fn an_import_is_bounded_and_cannot_touch_what_is_ours() {
    let t = TestApp::new();
    let sue = t.superuser();
    notes(&t);
    let before = tables(&sue);
    let import = |items: Json| {
        Request::new("PUT", "/api/collections/import").json(&json!({"collections": items}))
    };
    let guest = t.guest();
    let field = |more: Json| json!([{"name": "fresh", "fields": [more]}]);
    let many: Vec<Json> = (0..10_000)
        .map(|n| json!({"name": format!("c{n}")}))
        .collect();
    let rows = vec![
        row(
            "I07",
            "ten thousand",
            &sue,
            import(json!(many)),
            Code("collections", "validation_collections_import_failure"),
        ),
        row(
            "I07",
            "none",
            &sue,
            import(json!([])),
            Code("collections", "validation_required"),
        ),
        row("I07", "no list", &sue, import(json!({"a": 1})), Is(400)),
        row(
            "I07",
            "no objects",
            &sue,
            import(json!([1, "x", null])),
            Is(400),
        ),
        row(
            "I07",
            "the same name twice",
            &sue,
            import(json!([{"name": "one"}, {"name": "one"}])),
            Is(400),
        ),
        row(
            "I07",
            "the same id twice",
            &sue,
            import(json!([{"id": "one", "name": "one"}, {"id": "one", "name": "two"}])),
            Is(400),
        ),
        row(
            "I07",
            "a table of ours",
            &sue,
            import(json!([{"name": "_burrow_meta"}])),
            Is(400),
        ),
        row(
            "I07",
            "a system table",
            &sue,
            import(json!([{"name": "_params"}])),
            Is(400),
        ),
        row(
            "I07",
            "a broken pattern",
            &sue,
            import(field(
                json!({"name": "a", "type": "text", "pattern": "(a+"}),
            )),
            Is(400),
        ),
        row(
            "D09",
            "a pattern that explodes",
            &sue,
            import(field(
                json!({"name": "a", "type": "text", "pattern": "((a{1,1000}){1,1000}){1,1000}"}),
            )),
            Is(400),
        ),
        row(
            "D09",
            "a generator of a million letters",
            &sue,
            import(field(
                json!({"name": "a", "type": "text", "autogeneratePattern": "[a-z]{1000000}"}),
            )),
            Is(400),
        ),
        row(
            "D01",
            "a rule of a megabyte",
            &sue,
            import(
                json!([{"name": "fresh", "listRule": format!("id != '{}'", "a".repeat(1 << 20))}]),
            ),
            Is(400),
        ),
        row(
            "D01",
            "a rule of brackets",
            &sue,
            import(json!([{"name": "fresh", "listRule": "(".repeat(100_000)}])),
            Is(400),
        ),
        row(
            "I07",
            "one bad item among good ones",
            &sue,
            import(json!([{"name": "good"}, {"name": "a b"}])),
            Is(400),
        ),
        row(
            "I07",
            "a guest",
            &guest,
            import(json!([{"name": "good"}])),
            Is(401),
        ),
    ];
    hold(&t, rows);
    assert_eq!(tables(&sue), before);
    // What is not listed stays unless it is asked for.
    assert_eq!(sue.get("/api/collections/notes").status, 200);
}

#[test]
fn values_past_what_the_database_binds_are_told_in_parts() {
    const LINKS: usize = 40_000;
    let t = TestApp::new();
    let sue = t.superuser();
    notes(&t);
    let first = sue.create("notes", &json!({"title": "first"}));
    // Straight into the table: no request is that patient.
    let (numbers, all) = if on_postgres() {
        (
            format!(
                "SELECT 'n' || lpad(i::text, 14, '0'), 'x' FROM generate_series(1, {LINKS}) AS i"
            ),
            "json_agg(id)::text",
        )
    } else {
        let numbers = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {LINKS}) \
             SELECT printf('n%014d', i), 'x' FROM n"
        );
        (numbers, "json_group_array(id)")
    };
    let query = format!("INSERT INTO notes (id, title) {numbers}");
    sue.post("/api/sql", &json!({ "query": query })).ok();
    let query = format!(
        "UPDATE notes SET up = (SELECT {all} FROM notes WHERE title = 'x') WHERE id = '{}'",
        first["id"].as_str().unwrap()
    );
    sue.post("/api/sql", &json!({ "query": query })).ok();
    let one = format!("{NOTES}/{}", first["id"].as_str().unwrap());
    let rows = vec![
        row(
            "I10",
            "expand of forty thousand",
            &sue,
            get(&format!("{one}?expand=up&fields=id,expand.up.id")),
            Is(200),
        ),
        row(
            "I10",
            "a filter over forty thousand",
            &sue,
            filtered("notes", "up.title ?= 'x'"),
            Total(1),
        ),
        row(
            "I10",
            "a count of them",
            &sue,
            filtered("notes", &format!("up:length = {LINKS}")),
            Total(1),
        ),
        row(
            "I10",
            "one more",
            &sue,
            patch(&one, &json!({"up+": "n00000000000001"})),
            Is(200),
        ),
    ];
    hold(&t, rows);
}

#[test]
fn what_is_logged_cannot_write_lines_of_its_own() {
    let t = TestApp::new();
    let sue = t.superuser();
    let nasty = Request::new("GET", "/api/nope?x=%0d%0a%1b%5b31mred%e2%80%ae")
        .header("User-Agent", "a\u{9b}31m\tred")
        .header("Referer", "http://a.example/\u{202e}");
    t.guest().send(nasty);
    t.wait(t.app.logs.flush());
    let lines = sue.get("/api/logs?filter=data.url~'nope'").ok();
    assert_eq!(lines["totalItems"], 1, "I12");
    let url = lines["items"][0]["data"]["url"].as_str().unwrap();
    assert!(!url.contains(['\r', '\n', '\u{1b}']), "I12 {url:?}");
}
