//! Records in bulk: in from files and out to them, row errors told, nothing half done.

use serde_json::{Value as Json, json};

use crate::support::{Person, Reply, Request, TestApp};

const IMPORT: &str = "/api/collections/books/import";
const EXPORT: &str = "/api/collections/books/export";

fn library() -> (TestApp, Person) {
    let t = TestApp::new();
    let sue = t.superuser();
    t.collection(&json!({
        "name": "books",
        "indexes": ["CREATE UNIQUE INDEX idx_isbn ON books (isbn)"],
        "fields": [
            {"name": "isbn", "type": "text", "required": true},
            {"name": "title", "type": "text", "max": 20},
            {"name": "pages", "type": "number", "min": 1},
            {"name": "lent", "type": "bool"},
            {"name": "tags", "type": "select", "maxSelect": 3, "values": ["a", "b", "c"]},
            {"name": "extra", "type": "json"},
            {"name": "made", "type": "autodate", "onCreate": true},
        ],
    }));
    (t, sue)
}

fn csv(person: &Person, query: &str, body: &str) -> Reply {
    person.send(Request::new("POST", &format!("{IMPORT}{query}")).body("text/csv", body))
}

fn export(person: &Person, query: &str) -> String {
    let reply = person.get(&format!("{EXPORT}{query}"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text()
}

fn count(person: &Person) -> u64 {
    let list = person.get("/api/collections/books/records?perPage=1").ok();
    list["totalItems"].as_u64().unwrap()
}

#[test]
fn rows_become_records_and_each_refused_row_says_why() {
    let (_t, sue) = library();

    let report = csv(
        &sue,
        "",
        "isbn,title,pages,lent,tags,nobody\n\
         1,One,10,true,\"[\"\"a\"\",\"\"b\"\"]\",x\n\
         ,No number,10,,,\n\
         2,This title is far too long,-5,,d,\n\
         1,Twice,5,,,\n\
         3,\"Two\nlines\",7\n\
         4\n",
    )
    .ok();

    assert_eq!(
        (&report["rows"], &report["created"], &report["failed"]),
        (&json!(6), &json!(2), &json!(4)),
        "{report}"
    );
    let errors: Vec<String> = report["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            format!("{} {} {} {}", e["row"], e["line"], e["field"], e["code"]).replace('"', "")
        })
        .collect();
    assert_eq!(
        errors,
        [
            "2 3 isbn validation_required",
            "3 4 pages validation_min_number_constraint",
            "3 4 tags validation_invalid_value",
            "3 4 title validation_max_text_constraint",
            "4 5 isbn validation_not_unique",
            "6 8  import_columns",
        ]
    );
    assert_eq!(report["ignored"], json!(["nobody"]));
    assert_eq!(report["complete"], true);
    let one = sue
        .get("/api/collections/books/records?filter=isbn='1'")
        .ok();
    assert_eq!(one["items"][0]["tags"], json!(["a", "b"]));
    assert_eq!(one["items"][0]["lent"], true);
    assert_eq!(one["items"][0]["pages"], 10);
}

#[test]
fn what_goes_out_comes_in_again_as_it_was() {
    let (_t, sue) = library();
    for (isbn, title, extra) in [
        ("=1+1", "'quoted", json!({"a": [1, "x"]})),
        ("-5", "comma, \"mark\"\nline", json!("text")),
        ("@x", " space ", json!(null)),
    ] {
        let body =
            json!({"isbn": isbn, "title": title, "extra": extra, "tags": ["b"], "pages": 2.5});
        sue.create("books", &body);
    }
    for format in ["csv", "json", "ndjson"] {
        let before = export(&sue, &format!("?format={format}&sort=isbn"));
        let list = sue.get(
            "/api/collections/books/records?sort=isbn&fields=id,isbn,title,extra,tags,pages,lent",
        );
        sue.delete("/api/collections/books/truncate");

        let path = format!("{IMPORT}?format={format}");
        let report = sue
            .send(Request::new("POST", &path).body("application/octet-stream", before.clone()))
            .ok();

        assert_eq!(report["created"], 3, "{format}: {report}");
        let again = sue.get(
            "/api/collections/books/records?sort=isbn&fields=id,isbn,title,extra,tags,pages,lent",
        );
        assert_eq!(again.text(), list.text(), "{format}");
        if format == "csv" {
            // What a spreadsheet would take for a formula is marked.
            assert!(before.contains("'=1+1"), "{before}");
        }
    }
}

#[test]
fn a_dry_run_judges_everything_and_keeps_nothing() {
    let (_t, sue) = library();
    let rows = "isbn,title\n1,a\n2,b\n1,c\n";

    let dry = csv(&sue, "?dryRun=true", rows).ok();

    assert_eq!(
        (
            &dry["created"],
            &dry["failed"],
            &dry["dryRun"],
            &dry["errors"][0]["code"]
        ),
        (
            &json!(2),
            &json!(1),
            &json!(true),
            &json!("validation_not_unique")
        )
    );
    assert_eq!(count(&sue), 0);
    let wet = csv(&sue, "", rows).ok();
    assert_eq!((&wet["created"], &wet["failed"]), (&json!(2), &json!(1)));
    assert_eq!(count(&sue), 2);
}

#[test]
fn one_refused_row_may_stop_the_import_or_undo_it() {
    let (_t, sue) = library();
    let rows = "isbn,title\n1,a\n,b\n3,c\n";

    let undone = csv(&sue, "?onError=undo", rows).ok();
    let nothing = count(&sue);
    let stopped = csv(&sue, "?onError=stop", rows).ok();

    assert_eq!((&undone["undone"], nothing), (&json!(true), 0));
    assert_eq!(
        (&stopped["complete"], &stopped["created"], count(&sue)),
        (&json!(false), &json!(1), 1)
    );
}

#[test]
fn rows_change_the_records_that_they_name() {
    let (_t, sue) = library();
    csv(&sue, "", "isbn,title,pages\n1,a,10\n2,b,20\n").ok();

    let report = csv(
        &sue,
        "?upsert=isbn",
        "isbn,title,pages+\n2,B,5\n3,c,1\n,d,1\n",
    )
    .ok();

    assert_eq!(
        (&report["created"], &report["updated"], &report["failed"]),
        (&json!(1), &json!(1), &json!(1)),
        "{report}"
    );
    assert_eq!(
        export(&sue, "?fields=isbn,title,pages&sort=isbn"),
        "isbn,title,pages\r\n1,a,10\r\n2,B,25\r\n3,c,1\r\n"
    );
    for field in ["title", "nobody"] {
        let refused = csv(&sue, &format!("?upsert={field}"), "isbn\n1\n");
        assert_eq!(refused.code("upsert"), "validation_import");
    }
}

#[test]
fn columns_may_have_other_names_than_fields() {
    let (_t, sue) = library();
    let mapping = r#"{"Number":"isbn","Name of it":"title","title":null}"#;
    let fields = [("mapping", mapping), ("onError", "undo")];
    let file = b"Number;Name of it;title\n7;real;not this\n".as_slice();

    let report = sue
        .send(Request::new("POST", IMPORT).multipart(&fields, &[("file", "list.csv", file)]))
        .ok();

    assert_eq!(report["created"], 1, "{report}");
    assert_eq!(
        export(&sue, "?format=ndjson&fields=isbn,title"),
        "{\"isbn\":\"7\",\"title\":\"real\"}\n"
    );
    for mapping in [
        r#"{"Number":"nobody"}"#,
        r#"{"absent":"isbn"}"#,
        r#"{"a":"isbn"}"#,
        "[]",
    ] {
        let file = b"Number,isbn,a\n1,2,3\n".as_slice();
        let refused = sue.send(
            Request::new("POST", IMPORT)
                .multipart(&[("mapping", mapping)], &[("file", "list.csv", file)]),
        );
        assert_eq!(refused.code("mapping"), "validation_import", "{mapping}");
    }
}

#[test]
fn progress_is_told_line_by_line_when_asked_for() {
    let (_t, sue) = library();
    let rows: String = (0..1_200)
        .map(|n| format!("{{\"isbn\":\"{n}\"}}\n"))
        .collect();
    let request = |body: &str| {
        Request::new("POST", IMPORT)
            .header("Accept", "application/x-ndjson")
            .body("application/x-ndjson", body)
    };

    let reply = sue.send(request(&rows));
    let refused = sue.send(
        Request::new("POST", IMPORT)
            .header("Accept", "application/x-ndjson")
            .body("text/plain", "x"),
    );

    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    let lines: Vec<Json> = reply
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["type"], "progress");
    assert_eq!(lines[0]["bytesTotal"], rows.len());
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["type"], &last["created"]),
        (&json!("report"), &json!(1_200))
    );
    assert_eq!(count(&sue), 1_200);
    assert_eq!(refused.status, 400, "{}", refused.text());
}

#[test]
fn accounts_come_with_their_passwords_or_with_none_that_anybody_knows() {
    let t = TestApp::new();
    let sue = t.superuser();
    let path = "/api/collections/users/import?upsert=email";
    let rows =
        "email,password\nann@example.com,1234567890\nbob@example.com,\nbad@example.com,123\n";

    let report = sue
        .send(Request::new("POST", path).body("text/csv", rows))
        .ok();
    let again = sue
        .send(Request::new("POST", path).body("text/csv", "email,name\nann@example.com,Ann\n"))
        .ok();

    assert_eq!(
        (&report["created"], &report["failed"]),
        (&json!(2), &json!(1)),
        "{report}"
    );
    assert_eq!(report["errors"][0]["field"], "password");
    assert!(
        !report.to_string().contains("123,"),
        "no value is told: {report}"
    );
    assert_eq!(again["updated"], 1, "{again}");
    let body = json!({"identity": "ann@example.com", "password": "1234567890"});
    let signed_in = t
        .guest()
        .post("/api/collections/users/auth-with-password", &body);
    assert_eq!(signed_in.ok()["record"]["name"], "Ann");
    let out = sue.get("/api/collections/users/export").text();
    assert!(out.contains("bob@example.com"));
    assert!(!out.contains("password") && !out.contains("tokenKey") && !out.contains("$argon2"));
}

#[test]
fn nobody_else_may_and_broken_files_are_refused() {
    let (t, sue) = library();
    let ann = t.user("ann");
    for (person, status) in [(&ann, 403), (&t.guest(), 401)] {
        assert_eq!(csv(person, "", "isbn\n1\n").status, status);
        assert_eq!(person.get(EXPORT).status, status);
    }
    let deep = format!("[{{\"extra\":{}", "[".repeat(200_000));
    for (kind, body, status) in [
        ("text/csv", String::new(), 400),
        ("text/csv", "nobody,knows\n1,2\n".to_owned(), 400),
        ("text/csv", "isbn,isbn\n1,2\n".to_owned(), 400),
        ("application/json", "{}".to_owned(), 400),
        ("application/json", "[{\"isbn\":\"1\"}".to_owned(), 200),
        ("application/json", deep, 200),
        (
            "application/x-ndjson",
            "{\"isbn\":\n[]\n{\"isbn\":1}".to_owned(),
            200,
        ),
    ] {
        let reply = sue.send(Request::new("POST", IMPORT).body(kind, body.clone()));
        assert_eq!(
            reply.status,
            status,
            "{kind} {:.60}: {}",
            body,
            reply.text()
        );
        if status == 200 {
            let report = reply.json();
            let honest = report["complete"] == false || report["failed"].as_u64() > Some(0);
            assert!(honest, "{report}");
        }
    }
    let mut open = b"isbn\n\"".to_vec();
    open.resize((16 << 20) + 200_000, b'x');
    let endless = sue
        .send(Request::new("POST", IMPORT).body("text/csv", open))
        .ok();
    assert_eq!(
        endless["complete"], false,
        "a quotation mark that is not closed: {endless}"
    );
    assert_eq!(sue.get(&format!("{EXPORT}?format=xml")).status, 400);
    assert_eq!(sue.get(&format!("{EXPORT}?sort=@random")).status, 400);
    assert_eq!(sue.get(&format!("{EXPORT}?fields=isbn,nobody")).status, 400);
}

#[test]
fn an_import_is_told_to_those_who_listen_and_stands_in_the_change_log() {
    let (t, sue) = library();
    let before = t.app.store.head().position.0;

    csv(&sue, "", "isbn\n1\n2\n3\n").ok();

    assert_eq!(t.app.store.head().position.0 - before, 3);
}

#[test]
fn many_pages_of_an_export_hold_every_record_once() {
    let (_t, sue) = library();
    let rows: String = (0..2_500).map(|n| format!("{n:04},{}\n", n % 7)).collect();
    csv(
        &sue,
        "",
        &format!("isbn,pages\n{}", rows.replace(",0\n", ",9\n")),
    )
    .ok();

    let out = export(&sue, "?fields=isbn&sort=-isbn");
    let some = export(&sue, "?fields=isbn&filter=pages=3&format=json");

    let lines: Vec<&str> = out.lines().skip(1).collect();
    assert_eq!(lines.len(), 2_500);
    assert!(lines.is_sorted_by(|a, b| a > b));
    let some: Vec<Json> = serde_json::from_str(&some).unwrap();
    assert_eq!(some.len(), 357);
}
