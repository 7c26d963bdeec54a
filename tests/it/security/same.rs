//! Pairs of requests whose answers must not differ: whoever asks learns nothing from which of the two it was.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::rows::{escape, filtered, get, patch, post};
use crate::support::{Person, Reply, Request, TestApp};

/// Two requests that are to be answered alike.
struct Pair<'a> {
    label: &'static str,
    what: String,
    who: &'a Person,
    requests: [Request; 2],
}

fn pair<'a>(
    label: &'static str,
    what: impl Into<String>,
    who: &'a Person,
    requests: [Request; 2],
) -> Pair<'a> {
    Pair {
        label,
        what: what.into(),
        who,
        requests,
    }
}

fn seen(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    let headers = reply
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"))
        .cloned()
        .collect();
    (reply.status, headers, reply.text())
}

#[track_caller]
fn alike(pairs: Vec<Pair<'_>>) {
    for Pair {
        label,
        what,
        who,
        requests: [one, other],
    } in pairs
    {
        let (one, other) = (who.send(one), who.send(other));
        assert_eq!(seen(&one), seen(&other), "{label} {what}");
    }
}

/// Books of authors of whom most hide, and what each of them hides.
fn library(t: &TestApp) -> Person {
    t.collection(&json!({
        "id": "pbc_authors", "name": "authors",
        "listRule": "public = true", "viewRule": "public = true", "updateRule": "public = true",
        "fields": [
            {"name": "code", "type": "text", "required": true, "pattern": "^[0-9]+$"},
            {"name": "public", "type": "bool"},
        ],
        "indexes": ["CREATE UNIQUE INDEX idx_code ON authors (code)"],
    }));
    t.collection(&json!({
        "name": "books", "listRule": "", "viewRule": "", "createRule": "title = 'allowed'",
        "fields": [
            {"name": "title", "type": "text"},
            {"name": "author", "type": "relation", "collectionId": "pbc_authors", "maxSelect": 1},
            {"name": "editors", "type": "relation", "collectionId": "pbc_authors", "maxSelect": 9},
        ],
        "indexes": ["CREATE UNIQUE INDEX idx_title ON books (title) WHERE title != ''"],
    }));
    let sue = t.superuser();
    let author = |id: &str, code: &str, public: bool| {
        sue.create(
            "authors",
            &json!({"id": id, "code": code, "public": public}),
        );
    };
    author("a00000000000001", "1234", false);
    author("a00000000000002", "9876", false);
    author("a00000000000003", "5555", true);
    for (n, author) in ["a00000000000001", "a00000000000002", "a00000000000003", ""]
        .iter()
        .enumerate()
    {
        let editors: &[&str] = if author.is_empty() { &[] } else { &[author] };
        let id = format!("b0000000000000{n}");
        sue.create(
            "books",
            &json!({"id": id, "author": author, "editors": editors}),
        );
    }
    sue
}

#[test]
fn a_guess_that_is_right_is_answered_like_a_wrong_one() {
    let t = TestApp::new();
    let sue = library(&t);
    let (guest, ann) = (t.guest(), t.user("ann"));
    let hidden_author = "/api/collections/authors/records/a00000000000001";
    let no_author = "/api/collections/authors/records/a00000000000009";
    let mut pairs = Vec::new();
    for who in [&guest, &ann] {
        for [right, wrong] in [
            ["author.code ~ '1%'", "author.code ~ '7%'"],
            [
                "author.code ~ '1%' || id != ''",
                "author.code ~ '7%' || id != ''",
            ],
            [
                "editors.code ?~ '1%' || id != ''",
                "editors.code ?~ '7%' || id != ''",
            ],
            ["editors.code ?= '1234'", "editors.code ?= '1235'"],
            [
                "author.code > '1000' && author.code < '1300'",
                "author.code > '1300' && author.code < '1400'",
            ],
            [
                "author.code = author.code && author.id = 'a00000000000001' && author.code ~ '12'",
                "author.code = author.code && author.id = 'a00000000000001' && author.code ~ '77'",
            ],
        ] {
            let requests = [filtered("books", right), filtered("books", wrong)];
            pairs.push(pair("R07", right, who, requests));
        }
        let sorted = |sort: &str| {
            get(&format!(
                "/api/collections/books/records?filter={}&sort={sort}",
                escape("author != 'a00000000000003'")
            ))
        };
        pairs.push(pair(
            "R07",
            "the order by what is hidden",
            who,
            [sorted("author.code"), sorted("-author.code")],
        ));
        let create = |title: &str| post("/api/collections/books/records", &json!({"title": title}));
        pairs.push(pair(
            "R17",
            "a title that is taken",
            who,
            [create("taken"), create("free")],
        ));
        pairs.push(pair(
            "R17",
            "values of an invisible record",
            who,
            [
                patch(hidden_author, &json!({"code": "9876"})),
                patch(hidden_author, &json!({"code": "not a code"})),
            ],
        ));
        pairs.push(pair(
            "R17",
            "an invisible record and none",
            who,
            [
                patch(hidden_author, &json!({"code": "1"})),
                patch(no_author, &json!({"code": "1"})),
            ],
        ));
        pairs.push(pair(
            "R17",
            "an invisible record and none, looked at",
            who,
            [get(hidden_author), get(no_author)],
        ));
    }
    sue.create("books", &json!({"title": "taken"}));
    alike(pairs);

    // A row without an author matches by other branches, and so does one whose author may be seen; the others are gone.
    let all = guest.send(filtered("books", "author.code ~ '1%' || id ~ 'b000'"));
    assert_eq!(all.ok()["totalItems"], 2);
    let visible = guest.send(filtered("books", "author.code = '5555'"));
    assert_eq!(visible.ok()["totalItems"], 1);
}

#[test]
fn sign_in_tells_nothing_of_the_account() {
    let t = TestApp::new();
    let sue = t.superuser();
    t.user("ann");
    let other = json!({"name": "members", "type": "auth"});
    sue.post("/api/collections", &other).ok();
    let guest = t.guest();
    let at = |collection: &str, identity: &str| {
        let body = json!({"identity": identity, "password": "wrong password"});
        post(
            &format!("/api/collections/{collection}/auth-with-password"),
            &body,
        )
    };

    alike(vec![
        pair(
            "A01",
            "an account and none",
            &guest,
            [
                at("users", "ann@example.com"),
                at("users", "eve@example.com"),
            ],
        ),
        pair(
            "A01",
            "a collection without accounts",
            &guest,
            [
                at("users", "eve@example.com"),
                at("members", "eve@example.com"),
            ],
        ),
        pair(
            "A01",
            "an identity that is no address",
            &guest,
            [at("users", "eve@example.com"), at("users", "' OR 1=1 --")],
        ),
    ]);
}

/// R29: from the fourth empty answer in a row on, answers under a rule wait for a random while.
#[test]
fn empty_answers_to_guesses_are_held_back() {
    const GUESSES: u32 = 14;
    let t = TestApp::new();
    library(&t);
    let spent = |who: &Person, collection: &str, filter: &str| {
        let begun = Instant::now();
        for _ in 0..GUESSES {
            let page = who.send(filtered(collection, filter)).ok();
            assert_eq!(page["totalItems"], 0);
        }
        begun.elapsed()
    };

    let free = spent(&t.guest(), "books", "title = 'none'");
    let held = spent(&t.guest(), "authors", "code = 'none'");

    // Eleven waits of up to half a second each: less than this is less likely than one in ten thousand.
    assert!(
        held > free + Duration::from_millis(900),
        "{free:?} {held:?}"
    );
    let found = t.guest().send(filtered("authors", "code = '5555'")).ok();
    assert_eq!(found["items"][0]["id"], Json::from("a00000000000003"));
}
