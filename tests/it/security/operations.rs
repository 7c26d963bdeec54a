//! What runs beside the application: the console, the log, limits, settings with secrets, the first superuser.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use super::rows::Answer::{Is, OneOf};
use super::rows::{get, hold, post, row};
use crate::support::{Request, TestApp, try_exchange, until};

const RIGHT: &str = "1234567890";

#[test]
fn doors_of_operators_are_shut_to_everybody_else() {
    let t = TestApp::new();
    let (guest, ann, sue) = (t.guest(), t.user("ann"), t.superuser());
    let query = json!({"query": "select 1"});
    let form = Request::new("POST", "/api/sql")
        .header("Origin", "http://evil.example")
        .body("application/x-www-form-urlencoded", "query=select+1");
    let batch = json!({"requests": [{"method": "POST", "url": "/api/sql", "body": query}]});
    sue.patch("/api/settings", &json!({"batch": {"enabled": true}}))
        .ok();
    let mut rows = vec![
        row(
            "O10",
            "a console over GET",
            &sue,
            get("/api/sql?query=select+1"),
            Is(404),
        ),
        row(
            "O10",
            "a console in a batch",
            &sue,
            post("/api/batch", &batch),
            Is(400),
        ),
        row("O10", "a form of another site", &guest, form, Is(401)),
    ];
    for (person, status) in [(&guest, 401), (&ann, 403)] {
        rows.push(row(
            "O10",
            "a console",
            person,
            post("/api/sql", &query),
            Is(status),
        ));
        rows.push(row("O08", "the log", person, get("/api/logs"), Is(status)));
        rows.push(row(
            "O08",
            "its figures",
            person,
            get("/api/logs/stats"),
            Is(status),
        ));
        let filter = get("/api/logs?filter=data.auth!=''");
        rows.push(row("O08", "the log, filtered", person, filter, Is(status)));
        let all = Request::new("DELETE", "/api/logs");
        rows.push(row("O08", "its end", person, all, OneOf(&[401, 403, 404])));
        let mail = json!({"email": "x@example.com", "template": "otp", "collection": "users"});
        let mail = post("/api/settings/test/email", &mail);
        rows.push(row("O03", "a test mail", person, mail, Is(status)));
        let storage = post("/api/settings/test/s3", &json!({"filesystem": "storage"}));
        rows.push(row("O03", "a test of S3", person, storage, Is(status)));
    }
    hold(&t, rows);
}

/// Client ids and secrets by provider, as they are stored.
fn secrets(t: &TestApp) -> Vec<(String, String)> {
    let users = t.app.store.catalog().find("users").unwrap().clone();
    let providers = &users.auth().unwrap().oauth2.providers;
    providers
        .iter()
        .map(|one| (one.name.clone(), one.client_secret.clone()))
        .collect()
}

#[test]
fn a_secret_follows_the_name_of_its_provider_and_no_place_in_a_list() {
    let t = TestApp::new();
    let sue = t.superuser();
    let save = |providers: Json| {
        let body = json!({"oauth2": {"enabled": true, "providers": providers}});
        sue.patch("/api/collections/users", &body).ok();
    };
    let pair = |name: &str, secret: &str| (name.to_owned(), secret.to_owned());
    save(json!([
        {"name": "google", "clientId": "g", "clientSecret": "of-google"},
        {"name": "github", "clientId": "h", "clientSecret": "of-github"},
    ]));

    // O02: turned round, with the secrets left out as the dashboard does.
    save(json!([{"name": "github", "clientId": "h"}, {"name": "google", "clientId": "g"}]));
    assert_eq!(
        secrets(&t),
        [pair("github", "of-github"), pair("google", "of-google")]
    );

    // One goes, the other takes its place.
    save(json!([{"name": "google", "clientId": "g"}]));
    assert_eq!(secrets(&t), [pair("google", "of-google")]);
    let other = json!([{"name": "gitlab", "clientId": "g"}]);
    let body = json!({"oauth2": {"enabled": true, "providers": other}});
    let reply = sue.patch("/api/collections/users", &body);
    assert_eq!(
        reply.status, 400,
        "another provider gets no secret of an old one"
    );
    assert_eq!(secrets(&t), [pair("google", "of-google")]);
}

#[test]
fn one_thing_has_one_count_however_it_is_asked_for() {
    let t = TestApp::new();
    let (sue, guest) = (t.superuser(), t.guest());
    t.collection(&json!({"name": "notes", "listRule": "", "fields": []}));
    let id = sue.get("/api/collections/notes").ok()["id"].clone();
    let id = id.as_str().unwrap();
    let rules = json!([{"label": "notes:list", "duration": 60, "maxRequests": 5}]);
    let on = json!({"rateLimits": {"enabled": true, "rules": rules}});
    sue.patch("/api/settings", &on).ok();

    // O19: by name, by id, with noise, escaped, as HEAD.
    for path in [
        "/api/collections/notes/records".to_owned(),
        format!("/api/collections/{id}/records"),
        "/api/collections/notes/records?email=x@example.com&a=1".to_owned(),
        "/api/collections/n%6ftes/records".to_owned(),
    ] {
        assert_eq!(guest.get(&path).status, 200, "{path}");
    }
    let head = guest.send(Request::new("HEAD", "/api/collections/notes/records"));
    assert_eq!(head.status, 200);

    for path in [
        "/api/collections/notes/records".to_owned(),
        format!("/api/collections/{id}/records?x=2"),
        "/api/collections/not%65s/records".to_owned(),
    ] {
        guest.get(&path).is(429, "Too Many Requests.");
    }
}

#[test]
fn the_setup_link_works_for_the_first_and_for_nobody_after() {
    let root = std::env::temp_dir().join(format!("burrow-it-setup-{}", std::process::id()));
    let mut server = Command::new(env!("CARGO_BIN_EXE_burrow"))
        .args(["serve", "--http", "127.0.0.1:0", "--json", "--dir"])
        .arg(root.join("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut told = || -> Json { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let address = told()["http"].as_str().unwrap().parse().unwrap();
    let link = told()["url"].as_str().unwrap().to_owned();
    let token = link.rsplit('/').next().unwrap().to_owned();
    let ask = |token: &str, request: Request| {
        try_exchange(address, &request.header("Authorization", token)).unwrap()
    };
    let records = "/api/collections/_superusers/records";
    let person = |email: &str| {
        let body = json!({"email": email, "password": RIGHT, "passwordConfirm": RIGHT});
        Request::new("POST", records).json(&body)
    };

    // O09: nobody without the link, no way back into the account that stands in, no guess at its password.
    assert_eq!(ask("", person("mal@example.com")).status, 403);
    let installer = json!({"email": "__pbinstaller@example.com"});
    let reset = Request::new(
        "POST",
        "/api/collections/_superusers/request-password-reset",
    );
    assert_eq!(ask("", reset.json(&installer)).status, 204);
    let guess = json!({"identity": "__pbinstaller@example.com", "password": RIGHT});
    let guess =
        Request::new("POST", "/api/collections/_superusers/auth-with-password").json(&guess);
    assert_eq!(ask("", guess).status, 400);

    assert_eq!(ask(&token, person("sue@example.com")).status, 200);
    // Used once: it opens nothing any more.
    assert_eq!(ask(&token, person("mal@example.com")).status, 403);
    assert_eq!(ask(&token, Request::new("GET", records)).status, 403);

    // O24: a password that the command line changes ends what was signed in, on the running server.
    let own = json!({"identity": "sue@example.com", "password": RIGHT});
    let own = Request::new("POST", "/api/collections/_superusers/auth-with-password").json(&own);
    let signed_in = ask("", own).ok()["token"].as_str().unwrap().to_owned();
    let settings = || ask(&signed_in, Request::new("GET", "/api/settings")).status;
    assert_eq!(settings(), 200);
    let changed = Command::new(env!("CARGO_BIN_EXE_burrow"))
        .args([
            "superuser",
            "update",
            "sue@example.com",
            "another-password",
            "--dir",
        ])
        .arg(root.join("data"))
        .status();
    assert!(changed.unwrap().success());
    until("the old sign-in has ended", || settings() == 401);

    server.kill().unwrap();
    server.wait().unwrap();
    std::fs::remove_dir_all(root).unwrap();
}
