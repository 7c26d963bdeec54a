//! Who somebody is: tokens of every kind at every door, mutations of them, and accounts that others try to take over.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use burrow::auth::token::{Claims, Purpose, sign};
use burrow::kit::value::Value;
use burrow::schema::Record;
use burrow::store::{ReadTx, StoreError};
use serde_json::{Value as Json, json};

use super::rows::Answer::{Code, Is, OneOf, Total};
use super::rows::{get, hold, patch, post, row};
use crate::support::{Person, Reply, Request, TestApp};

const RIGHT: &str = "1234567890";

fn record(t: &TestApp, collection: &str, email: &str) -> Record {
    let collection = t.app.store.catalog().find(collection).unwrap().clone();
    let email = Value::text(email);
    let find =
        |tx: &ReadTx<'_>| -> Result<_, StoreError> { tx.find_by(&collection, "email", &email) };
    t.app.store.read_now(find).unwrap().unwrap()
}

fn users(who: &Person, action: &str, body: &Json) -> Reply {
    who.post(&format!("/api/collections/users/{action}"), body)
}

fn sign_in(who: &Person, email: &str, password: &str) -> Reply {
    let body = json!({"identity": email, "password": password});
    users(who, "auth-with-password", &body)
}

fn is_signed_in(who: &Person) -> bool {
    who.post("/api/files/token", &json!({})).status == 200
}

/// A token of `purpose` for `record`, with more said in it.
fn token_of(t: &TestApp, record: &Record, purpose: Purpose) -> String {
    let mut claims = Claims::of(record, purpose, t.clock.now(), None);
    let email = record.text("email").to_owned();
    match purpose {
        Purpose::Auth => claims.refreshable = Some(true),
        Purpose::File | Purpose::PasswordReset => {}
        Purpose::Verification => claims.email = Some(email),
        Purpose::EmailChange => {
            claims.email = Some(email);
            claims.new_email = Some("new@example.com".to_owned());
        }
    }
    sign(record, purpose, &claims).unwrap()
}

const PURPOSES: [Purpose; 5] = [
    Purpose::Auth,
    Purpose::File,
    Purpose::Verification,
    Purpose::PasswordReset,
    Purpose::EmailChange,
];

/// Every kind of credential at every door: only the pair that belongs together opens it.
#[test]
fn each_credential_opens_its_own_door_alone() {
    let t = TestApp::new();
    let file = json!({"name": "paper", "type": "file", "maxSelect": 1, "protected": true});
    t.collection(&json!({
        "name": "papers", "fields": [file], "viewRule": "@request.auth.id != ''", "createRule": "",
    }));
    let ann = t.user("ann");
    let upload = Request::new("POST", "/api/collections/papers/records")
        .multipart(&[], &[("paper", "a.txt", b"text")]);
    let paper = t.guest().send(upload).ok();
    let at = format!(
        "/api/files/papers/{}/{}",
        paper["id"].as_str().unwrap(),
        paper["paper"].as_str().unwrap()
    );
    let record = record(&t, "users", "ann@example.com");
    let key = json!({"name": "key", "password": RIGHT, "scopes": {"papers": "*"}});
    let key = users(&ann, "api-keys", &key).ok()["key"].clone();
    let otp = json!({"otp": {"enabled": true, "duration": 300, "length": 8}});
    t.superuser().patch("/api/collections/users", &otp).ok();
    let mut credentials: Vec<(String, String)> = PURPOSES
        .iter()
        .map(|purpose| (format!("{purpose:?}"), token_of(&t, &record, *purpose)))
        .collect();
    credentials.push(("key".to_owned(), key.as_str().unwrap().to_owned()));
    credentials.push(("id".to_owned(), record.id().to_owned()));
    credentials.push(("token key".to_owned(), record.text("tokenKey").to_owned()));

    let mut wrong = Vec::new();
    for (name, credential) in &credentials {
        let bearer = t.guest().with_token(credential);
        let confirm = |action: &str| {
            let body = json!({"token": credential, "password": RIGHT, "passwordConfirm": RIGHT});
            users(&t.guest(), action, &body).status == 204
        };
        // What opens a door for good is tried where it must not.
        let doors = [
            ("Auth", "header", is_signed_in(&bearer) && name != "key"),
            ("key", "header", is_signed_in(&bearer) && name == "key"),
            (
                "Auth",
                "refresh",
                users(&bearer, "auth-refresh", &json!({})).status == 200,
            ),
            (
                "File",
                "file",
                t.guest().get(&format!("{at}?token={credential}")).status == 200,
            ),
            (
                "nobody",
                "query",
                t.guest()
                    .post(&format!("/api/files/token?token={credential}"), &json!({}))
                    .status
                    == 200,
            ),
            (
                "Verification",
                "verification",
                name != "Verification" && confirm("confirm-verification"),
            ),
            (
                "PasswordReset",
                "reset",
                name != "PasswordReset" && confirm("confirm-password-reset"),
            ),
            (
                "EmailChange",
                "change",
                name != "EmailChange" && confirm("confirm-email-change"),
            ),
            ("nobody", "code", {
                let body = json!({"otpId": credential, "password": "12345678"});
                users(&t.guest(), "auth-with-otp", &body).status == 200
            }),
            ("nobody", "second factor", {
                let body = json!({"identity": "ann@example.com", "password": "wrong", "mfaId": credential});
                users(&t.guest(), "auth-with-password", &body).status == 200
            }),
            ("nobody", "cursor", {
                let path = format!("/api/collections/papers/records?cursor={credential}");
                t.superuser_again().get(&path).status == 200
            }),
        ];
        for (owner, door, opened) in doors {
            let expected = owner == name && !["verification", "reset", "change"].contains(&door);
            if opened != expected {
                wrong.push(format!("{name} at {door}: {opened}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The links do open theirs, and each once.
    for (purpose, action) in [
        (Purpose::Verification, "confirm-verification"),
        (Purpose::EmailChange, "confirm-email-change"),
    ] {
        let body = json!({"token": token_of(&t, &record, purpose), "password": RIGHT});
        assert_eq!(users(&t.guest(), action, &body).status, 204, "{action}");
    }
}

#[test]
fn a_token_that_was_touched_is_nobodys() {
    let t = TestApp::new();
    let ann = t.user("ann");
    t.user("bob");
    let good = ann.token().to_owned();
    let parts: Vec<&str> = good.split('.').collect();
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let with_head = |head: &str| format!("{}.{}.{}", encode(head), parts[1], parts[2]);
    let payload = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let bob = record(&t, "users", "bob@example.com");
    let as_bob = payload.replace(&ann.id, bob.id());
    let as_superuser = payload.replace("_pb_users_auth_", "pbc_3142635823");
    let later = payload.replace("\"exp\":1", "\"exp\":9");
    let with_payload = |payload: &str| format!("{}.{}.{}", parts[0], encode(payload), parts[2]);
    let huge = "x".repeat(64 << 10);
    let texts = vec![
        with_head(r#"{"alg":"none","typ":"JWT"}"#),
        with_head(r#"{"alg":"None"}"#),
        with_head(r#"{"alg":"HS384","typ":"JWT"}"#),
        with_head(r#"{"alg":"RS256","typ":"JWT"}"#),
        with_head(r#"{"typ":"JWT"}"#),
        with_head(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}"#),
        format!("{}.{}.", encode(r#"{"alg":"none"}"#), parts[1]),
        with_payload(&as_bob),
        with_payload(&as_superuser),
        with_payload(&later),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        good[..good.len() - 2].to_owned(),
        format!("{good}a"),
        format!("{good}.x"),
        format!("{good}, {good}"),
        format!("Bearer  {good}"),
        format!("Basic {good}"),
        format!("{}.{}.{}", parts[0], huge, parts[2]),
        "null".to_owned(),
        "Bearer".to_owned(),
    ];
    for text in &texts {
        let shown: String = text.chars().take(80).collect();
        assert!(!is_signed_in(&t.guest().with_token(text)), "{shown}");
        assert_eq!(
            t.guest().with_token(text).get("/api/health").status,
            200,
            "{shown}"
        );
    }
    for request in [
        Request::new("POST", "/api/files/token").header("Cookie", &format!("pb_auth={good}")),
        Request::new("POST", &format!("/api/files/token?Authorization={good}")),
        Request::new("POST", "/api/files/token").header("X-Authorization", &good),
    ] {
        assert_eq!(t.guest().send(request).status, 401);
    }
    assert!(is_signed_in(&ann));
}

#[test]
fn rows_that_let_somebody_in_are_made_and_changed_by_nobody_else() {
    let t = TestApp::new();
    let (ann, bob, sue, guest) = (t.user("ann"), t.user("bob"), t.superuser(), t.guest());
    let of_ann = json!({
        "collectionRef": "_pb_users_auth_", "recordRef": ann.id, "method": "password", "provider": "google",
        "providerId": "x", "fingerprint": "f", "password": "12345678", "name": "n", "prefix": "burrow_00000000",
        "expires": "", "superuser": true,
    });
    let names = [
        "_apiKeys",
        "_authOrigins",
        "_externalAuths",
        "_mfas",
        "_otps",
        "_passkeys",
        "_sessions",
        "_totps",
    ];
    let mut rows = Vec::new();
    for name in names {
        let all = format!("/api/collections/{name}/records");
        let made = sue.create(name, &of_ann);
        let one = format!("{all}/{}", made["id"].as_str().unwrap());
        for (who, seen) in [(&ann, 200), (&bob, 404), (&guest, 404)] {
            rows.push(row(
                "A31",
                format!("{name}: make"),
                who,
                post(&all, &of_ann),
                Is(403),
            ));
            rows.push(row(
                "A31",
                format!("{name}: change"),
                who,
                patch(&one, &of_ann),
                Is(403),
            ));
            rows.push(row(
                "A31",
                format!("{name}: view"),
                who,
                get(&one),
                Is(seen),
            ));
            rows.push(row(
                "A31",
                format!("{name}: truncate"),
                who,
                Request::new("DELETE", &format!("/api/collections/{name}/truncate")),
                OneOf(&[401, 403]),
            ));
        }
        for who in [&bob, &guest] {
            rows.push(row(
                "A31",
                format!("{name}: end"),
                who,
                Request::new("DELETE", &one),
                OneOf(&[403, 404]),
            ));
            rows.push(row(
                "A31",
                format!("{name}: list"),
                who,
                // Of his own there may be some.
                get(&format!("{all}?filter=recordRef%3D%27{}%27", ann.id)),
                Total(0),
            ));
        }
    }
    hold(&t, rows);
}

#[test]
fn a_superuser_is_always_left_and_none_is_weakened() {
    let t = TestApp::new();
    let (sue, ann) = (t.superuser(), t.user("ann"));
    let at = format!("/api/collections/_superusers/records/{}", sue.id);
    let delete = || Request::new("DELETE", &at);
    let definition = "/api/collections/_superusers";
    let batch = json!({"requests": [{"method": "DELETE", "url": at}]});
    sue.patch("/api/settings", &json!({"batch": {"enabled": true}}))
        .ok();
    let import = |change: &Json| {
        let mut collection = json!({"name": "_superusers", "type": "auth"});
        for (key, value) in change.as_object().unwrap() {
            collection[key] = value.clone();
        }
        Request::new("PUT", "/api/collections/import").json(&json!({"collections": [collection]}))
    };
    hold(
        &t,
        vec![
            row("A38", "by API", &sue, delete(), Is(400)),
            row(
                "A38",
                "in a batch",
                &sue,
                post("/api/batch", &batch),
                Is(400),
            ),
            row(
                "A38",
                "by truncating",
                &sue,
                Request::new("DELETE", "/api/collections/_superusers/truncate"),
                Is(400),
            ),
            row(
                "A38",
                "with its collection",
                &sue,
                Request::new("DELETE", definition),
                Is(400),
            ),
            row("A38", "by a user", &ann, delete(), Is(403)),
            row(
                "A39",
                "OAuth2",
                &sue,
                patch(definition, &json!({"oauth2": {"enabled": true}})),
                Is(200),
            ),
            row(
                "A39",
                "no passwords",
                &sue,
                patch(definition, &json!({"passwordAuth": {"enabled": false}})),
                Is(200),
            ),
            row(
                "A39",
                "codes alone",
                &sue,
                patch(definition, &json!({"otp": {"enabled": true}})),
                Is(200),
            ),
            row(
                "A39",
                "another name",
                &sue,
                patch(definition, &json!({"name": "people"})),
                OneOf(&[200, 400]),
            ),
            row(
                "A39",
                "open rules",
                &sue,
                patch(definition, &json!({"listRule": "", "createRule": ""})),
                Is(400),
            ),
            row(
                "A39",
                "import of open rules",
                &sue,
                import(&json!({"listRule": "", "createRule": ""})),
                OneOf(&[200, 400]),
            ),
            row(
                "A39",
                "a user changes it",
                &ann,
                patch(definition, &json!({"listRule": ""})),
                Is(403),
            ),
            row(
                "A39",
                "joined by a guest",
                &t.guest(),
                post(
                    &format!("{definition}/records"),
                    &json!({"email": "m@example.com", "password": RIGHT, "passwordConfirm": RIGHT}),
                ),
                Is(403),
            ),
            row(
                "A39",
                "joined by a forged collection",
                &ann,
                post(
                    "/api/collections/users/records",
                    &json!({"email": "m@example.com", "password": RIGHT, "passwordConfirm": RIGHT, "collectionName": "_superusers", "collectionId": "pbc_3142635823"}),
                ),
                Is(200),
            ),
        ],
    );
    let now = sue.get(definition).ok();
    assert_eq!(now["name"], "_superusers");
    assert_eq!(now["oauth2"]["enabled"], false);
    assert_eq!(now["passwordAuth"]["enabled"], true);
    assert_eq!(now["mfa"]["enabled"], true, "codes are never enough alone");
    for rule in [
        "listRule",
        "viewRule",
        "createRule",
        "updateRule",
        "deleteRule",
    ] {
        assert!(now[rule].is_null(), "{rule}: {}", now[rule]);
    }
    assert_eq!(
        sue.get(&format!("{definition}/records")).ok()["totalItems"],
        1
    );

    // Two who delete each other at once.
    let sam = t.superuser_again();
    let of = |who: &Person| format!("/api/collections/_superusers/records/{}", who.id);
    std::thread::scope(|scope| {
        scope.spawn(|| sue.delete(&of(&sam)));
        scope.spawn(|| sam.delete(&of(&sue)));
    });
    let catalog = t.app.store.catalog();
    let superusers = catalog.find("_superusers").unwrap().clone();
    let left = [&sue, &sam].into_iter().filter(|who| {
        let find = |tx: &ReadTx<'_>| -> Result<_, StoreError> { tx.find(&superusers, &who.id) };
        t.app.store.read_now(find).unwrap().is_some()
    });
    assert_eq!(left.count(), 1, "one always remains");
}

#[test]
fn whoever_manages_accounts_manages_those_of_the_rule_and_no_more() {
    let t = TestApp::new();
    let sue = t.superuser();
    let (max, ann, bob) = (t.user("max"), t.user("ann"), t.user("bob"));
    let of = |who: &Person| format!("/api/collections/users/records/{}", who.id);
    sue.patch(
        "/api/collections/users",
        &json!({
            "fields": [{"name": "name", "type": "text"}],
            "manageRule": "@request.auth.name = 'max'",
            "updateRule": "id = @request.auth.id || name = 'open'",
            "viewRule": "",
        }),
    )
    .ok();
    sue.patch(&of(&max), &json!({"name": "max"})).ok();
    sue.patch(&of(&ann), &json!({"name": "open"})).ok();
    let changed = json!({"email": "moved@example.com", "verified": true, "password": "changed-it", "passwordConfirm": "changed-it", "tokenKey": "x".repeat(50)});
    let before = record(&t, "users", "ann@example.com")
        .text("tokenKey")
        .to_owned();
    let (sues, reset) = (
        format!("/api/collections/_superusers/records/{}", sue.id),
        json!({"password": "changed-it", "passwordConfirm": "changed-it"}),
    );
    hold(
        &t,
        vec![
            row(
                "A41",
                "a user who does not manage",
                &bob,
                patch(&of(&ann), &json!({"email": "b@example.com"})),
                Is(400),
            ),
            row(
                "A41",
                "a record that the update rule denies",
                &max,
                patch(&of(&bob), &changed),
                Is(404),
            ),
            row("A41", "a superuser", &max, patch(&sues, &reset), Is(403)),
            row(
                "A41",
                "an account that it opens",
                &max,
                patch(&of(&ann), &changed),
                Is(200),
            ),
            row(
                "A41",
                "everybody, by an empty rule",
                &sue,
                patch("/api/collections/users", &json!({"manageRule": ""})),
                Code("manageRule", "validation_nil_or_not_empty_required"),
            ),
        ],
    );
    let after = record(&t, "users", "moved@example.com");
    assert_ne!(after.text("tokenKey"), before);
    assert_ne!(after.text("tokenKey"), "x".repeat(50));
    assert!(!is_signed_in(&ann), "her tokens end");
    sign_in(&t.guest(), "moved@example.com", "changed-it").ok();
}

#[test]
fn tokens_of_others_link_move_and_renew_nothing() {
    let t = TestApp::new();
    t.collection(&json!({"name": "clients", "type": "auth", "createRule": ""}));
    let (ann, wim) = (t.user("ann"), t.signed_in("clients", "wim@example.com"));
    let email = json!({"newEmail": "x@example.com"});
    let at = |action: &str| format!("/api/collections/users/{action}");
    let id = json!({"id": ann.id, "email": "w@example.com", "password": RIGHT, "passwordConfirm": RIGHT});
    let named = |name: &str| json!({"id": name, "email": "n@example.com", "password": RIGHT, "passwordConfirm": RIGHT});
    hold(
        &t,
        vec![
            row(
                "A33",
                "refresh",
                &wim,
                post(&at("auth-refresh"), &json!({})),
                Is(403),
            ),
            row(
                "A33",
                "change of address",
                &wim,
                post(&at("request-email-change"), &email),
                Is(403),
            ),
            row(
                "A33",
                "other sessions",
                &wim,
                post(&at("end-other-sessions"), &json!({})),
                Is(403),
            ),
            row(
                "A33",
                "authenticator",
                &wim,
                post(&at("totp/setup"), &json!({"password": RIGHT})),
                Is(403),
            ),
            row(
                "A33",
                "key",
                &wim,
                post(
                    &at("api-keys"),
                    &json!({"name": "x", "password": RIGHT, "scopes": {"users": "*"}}),
                ),
                Is(403),
            ),
            row(
                "A33",
                "an id that somebody has in another collection",
                &t.guest(),
                post("/api/collections/clients/records", &id),
                Code("id", "validation_invalid_auth_id"),
            ),
            row(
                "A33",
                "an id that looks like a rule",
                &t.guest(),
                post(
                    "/api/collections/clients/records",
                    &named("@request.auth.i"),
                ),
                Is(400),
            ),
            row(
                "A33",
                "an id that looks like a role",
                &t.guest(),
                post(
                    "/api/collections/clients/records",
                    &named("superuser000000"),
                ),
                Is(200),
            ),
        ],
    );
    // The same id in two collections at once: one wins.
    let id = "samesamesame000";
    let make = |collection: &str| {
        let email = format!("{collection}@example.com");
        let body = json!({"id": id, "email": email, "password": RIGHT, "passwordConfirm": RIGHT});
        let path = format!("/api/collections/{collection}/records");
        t.guest().post(&path, &body).status
    };
    let made = std::thread::scope(|scope| {
        let one = scope.spawn(|| make("users"));
        let other = scope.spawn(|| make("clients"));
        [one.join().unwrap(), other.join().unwrap()]
    });
    let mut sorted = made;
    sorted.sort_unstable();
    assert_eq!(sorted, [200, 400]);
}

#[test]
fn passwords_past_their_length_are_refused_before_they_are_hashed() {
    let t = TestApp::new();
    let guest = t.guest();
    let all = "/api/collections/users/records";
    let new = |n: usize, password: &str| json!({"email": format!("p{n}@example.com"), "password": password, "passwordConfirm": password});
    let long = |n: usize| "a".repeat(n);
    hold(
        &t,
        vec![
            row("A34", "71", &guest, post(all, &new(1, &long(71))), Is(200)),
            row(
                "A34",
                "72",
                &guest,
                post(all, &new(2, &long(72))),
                Code("password", "validation_max_text_constraint"),
            ),
            row("A34", "73", &guest, post(all, &new(3, &long(73))), Is(400)),
            row(
                "A34",
                "4 KB",
                &guest,
                post(all, &new(4, &long(4096))),
                Is(400),
            ),
            row(
                "A34",
                "1 MB",
                &guest,
                post(all, &new(5, &long(1 << 20))),
                Is(400),
            ),
            row("A34", "7", &guest, post(all, &new(6, &long(7))), Is(400)),
            row(
                "A34",
                "signing in with 256",
                &guest,
                post(
                    "/api/collections/users/auth-with-password",
                    &json!({"identity": "p1@example.com", "password": long(256)}),
                ),
                Code("password", "validation_length_out_of_range"),
            ),
            row(
                "A34",
                "1 MB as a password",
                &guest,
                post(
                    "/api/collections/users/auth-with-password",
                    &json!({"identity": "p1@example.com", "password": long(1 << 20)}),
                ),
                Code("password", "validation_length_out_of_range"),
            ),
        ],
    );
    sign_in(&guest, "p1@example.com", &long(71)).ok();
    assert_eq!(
        sign_in(&guest, "p1@example.com", &long(72)).status,
        400,
        "no prefix is enough"
    );
    assert_eq!(sign_in(&guest, "p1@example.com", &long(70)).status, 400);

    // A field that takes more compares all of it.
    let sue = t.superuser();
    let collection = sue.get("/api/collections/users").ok();
    let mut fields = collection["fields"].clone();
    for field in fields.as_array_mut().unwrap() {
        if field["name"] == "password" {
            field["max"] = json!(200);
        }
    }
    sue.patch("/api/collections/users", &json!({ "fields": fields }))
        .ok();
    guest.post(all, &new(7, &format!("{}x", long(150)))).ok();
    assert_eq!(
        sign_in(&guest, "p7@example.com", &format!("{}y", long(150))).status,
        400
    );
    sign_in(&guest, "p7@example.com", &format!("{}x", long(150))).ok();
}

#[test]
fn mails_lead_to_the_configured_place_and_to_the_stored_address() {
    let (t, server, sue) = TestApp::with_mail();
    let app = json!({"meta": {"appURL": "https://app.example.com"}});
    sue.patch("/api/settings", &app).ok();
    t.user("ann");
    let ask = |email: &str| {
        let body = json!({ "email": email });
        let request = Request::new("POST", "/api/collections/users/request-password-reset")
            .header("X-Forwarded-Host", "evil.example.net")
            .header("X-Forwarded-Proto", "http")
            .header("Forwarded", "host=evil.example.net")
            .header("Origin", "https://evil.example.net")
            .header("Referer", "https://evil.example.net/")
            .json(&body);
        assert_eq!(t.guest().send(request).status, 204);
    };
    ask("ann@example.com");
    let mail = server.next();
    assert!(
        mail.text
            .contains("https://app.example.com/_/#/auth/confirm-password-reset/"),
        "{}",
        mail.text
    );
    assert!(!mail.text.contains("evil.example.net"), "{}", mail.text);
    assert_eq!(mail.to, ["ann@example.com"]);
    t.clock.advance(Duration::from_secs(200));
    for other in [
        "ANN@example.com",
        "ann@EXAMPLE.com",
        "ánn@example.com",
        "ａnn@example.com",
    ] {
        ask(other);
    }
    ask("ann@example.com");
    assert_eq!(server.next().to, ["ann@example.com"]);
    assert_eq!(server.waiting(), 0, "nobody else has an account");
}

#[test]
fn the_first_of_two_changes_of_address_ends_the_other() {
    let (t, server, _sue) = TestApp::with_mail();
    let ann = t.user("ann");
    let ask = |email: &str| {
        assert_eq!(
            users(&ann, "request-email-change", &json!({"newEmail": email})).status,
            204
        );
        server.next().token()
    };
    let (first, second) = (ask("one@example.com"), ask("two@example.com"));
    let confirm = |token: &str| {
        let body = json!({"token": token, "password": RIGHT});
        users(&t.guest(), "confirm-email-change", &body)
    };
    assert_eq!(confirm(&second).status, 204);
    assert_eq!(confirm(&first).code("token"), "validation_invalid_token");
    sign_in(&t.guest(), "two@example.com", RIGHT).ok();
    // One that was asked for before another password is none either.
    let bob = t.user("bob");
    let asked = users(
        &bob,
        "request-email-change",
        &json!({"newEmail": "three@example.com"}),
    );
    assert_eq!(asked.status, 204);
    let token = loop {
        let mail = server.next();
        if mail.to == ["three@example.com"] {
            break mail.token();
        }
    };
    let path = format!("/api/collections/users/records/{}", bob.id);
    let change =
        json!({"oldPassword": RIGHT, "password": "another-one", "passwordConfirm": "another-one"});
    bob.patch(&path, &change).ok();
    let body = json!({"token": token, "password": "another-one"});
    let late = users(&t.guest(), "confirm-email-change", &body);
    assert_eq!(late.code("token"), "validation_invalid_token");
    // Which addresses are taken is not asked by the thousand.
    let cid = t.user("cid");
    let mut statuses = Vec::new();
    for _ in 0..25 {
        let body = json!({"newEmail": "two@example.com"});
        statuses.push(users(&cid, "request-email-change", &body).status);
    }
    assert!(
        statuses.starts_with(&[400; 20]) && statuses.ends_with(&[429; 5]),
        "{statuses:?}"
    );
    let asks = json!({"newEmail": "two@example.com"});
    assert_eq!(users(&t.guest(), "request-email-change", &asks).status, 401);
}

/// What Mal prepares on an address that is not his: keys, apps and rows of passkeys.
fn plant(t: &TestApp, mal: &Person) -> Person {
    let sue = t.superuser_again();
    let key = json!({"name": "x", "password": RIGHT, "scopes": {"users": "*"}});
    let key = users(mal, "api-keys", &key).ok()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let row = json!({"collectionRef": "_pb_users_auth_", "recordRef": mal.id, "confirmed": true, "secret": "SEALED"});
    sue.create("_totps", &row);
    let row = json!({"collectionRef": "_pb_users_auth_", "recordRef": mal.id, "name": "x", "credentialId": "y", "credential": "12345678"});
    sue.create("_passkeys", &row);
    t.guest().with_token(&key)
}

#[test]
fn nothing_that_was_planted_outlives_the_proof_of_an_address() {
    for by_code in [true, false] {
        let (t, server, sue) = TestApp::with_mail();
        let otp = json!({"otp": {"enabled": true, "duration": 300, "length": 8}});
        sue.patch("/api/collections/users", &otp).ok();
        let mal = t.user("ann");
        let key = plant(&t, &mal);
        assert!(is_signed_in(&key) && is_signed_in(&mal));
        let next = |to: &str| loop {
            let mail = server.next();
            let subject = mail.header("Subject");
            if mail.to == [to] && !subject.contains("API key") {
                return mail;
            }
        };
        if by_code {
            let asked = users(
                &t.guest(),
                "request-otp",
                &json!({"email": "ann@example.com"}),
            )
            .ok();
            let code = next("ann@example.com").code();
            let path = "/api/collections/_otps/records?filter=sentTo!=''";
            let admin = t.superuser_again();
            crate::support::until("it is noted", || admin.get(path).ok()["totalItems"] == 1);
            let body = json!({"otpId": asked["otpId"], "password": code});
            users(&t.guest(), "auth-with-otp", &body).ok();
        } else {
            users(
                &t.guest(),
                "request-password-reset",
                &json!({"email": "ann@example.com"}),
            );
            let token = next("ann@example.com").token();
            let body =
                json!({"token": token, "password": "hers-alone", "passwordConfirm": "hers-alone"});
            assert_eq!(
                users(&t.guest(), "confirm-password-reset", &body).status,
                204
            );
            sign_in(&t.guest(), "ann@example.com", "hers-alone").ok();
        }
        assert!(!is_signed_in(&mal), "by code {by_code}");
        assert!(!is_signed_in(&key), "by code {by_code}");
        assert_eq!(sign_in(&t.guest(), "ann@example.com", RIGHT).status, 400);
        let sue = t.superuser_again();
        for name in ["_apiKeys", "_totps", "_passkeys"] {
            let left = sue.get(&format!("/api/collections/{name}/records")).ok();
            assert_eq!(left["totalItems"], 0, "{name}, by code {by_code}");
        }
    }
}

#[test]
fn a_second_factor_is_one_and_follows_its_own_first() {
    let t = TestApp::new();
    let sue = t.superuser();
    let (ann, bob) = (t.user("ann"), t.user("bob"));
    let on = json!({"mfa": {"enabled": true, "duration": 600, "rule": ""}, "otp": {"enabled": true, "duration": 300, "length": 8}});
    sue.patch("/api/collections/users", &on).ok();
    let code = |who: &Person, password: &str| {
        let body =
            json!({"collectionRef": "_pb_users_auth_", "recordRef": who.id, "password": password});
        sue.create("_otps", &body)["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = |email: &str| {
        let answer = sign_in(&t.guest(), email, RIGHT);
        assert_eq!(answer.status, 401);
        answer.json()["mfaId"].as_str().unwrap().to_owned()
    };
    let second = |otp: &str, password: &str, mfa: &str| {
        users(
            &t.guest(),
            "auth-with-otp",
            &json!({"otpId": otp, "password": password, "mfaId": mfa}),
        )
    };
    // Bob's first factor is not Ann's.
    let of_bob = first("bob@example.com");
    let otp = code(&ann, "12345678");
    second(&otp, "12345678", &of_bob).is(400, "Invalid MFA session.");
    // A first factor is no token: not to renew, not for files, not on a socket.
    for id in [&of_bob, &first("ann@example.com")] {
        let bearer = t.guest().with_token(id);
        assert!(!is_signed_in(&bearer));
        assert_eq!(users(&bearer, "auth-refresh", &json!({})).status, 401);
        let mut socket = crate::realtime::ears::Socket::open(&t);
        assert_eq!(socket.ask("auth", json!({"token": id}))["status"], 401);
    }
    // Sent many times at once, it lets in once.
    let of_ann = first("ann@example.com");
    let codes: Vec<(String, String)> = (0..4)
        .map(|n| format!("1234567{n}"))
        .map(|password| (code(&ann, &password), password))
        .collect();
    let done = std::thread::scope(|scope| {
        let running: Vec<_> = codes
            .iter()
            .map(|(otp, password)| scope.spawn(|| second(otp, password, &of_ann).status))
            .collect();
        let statuses = running.into_iter().map(|thread| thread.join().unwrap());
        statuses.filter(|status| *status == 200).count()
    });
    assert_eq!(done, 1);
    assert!(is_signed_in(&bob), "older tokens go on");
}
