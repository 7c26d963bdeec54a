//! Sign-in, sessions and what ends them.

use std::time::Duration;

use burrow::kit::value::Value;
use burrow::schema::Record;
use burrow::store::{ReadTx, StoreError};
use serde_json::{Value as Json, json};

use crate::support::{Person, Reply, TestApp};

const RIGHT: &str = "1234567890";

fn sign_in(who: &Person, collection: &str, identity: &str, password: &str) -> Reply {
    who.post(
        &format!("/api/collections/{collection}/auth-with-password"),
        &json!({"identity": identity, "password": password}),
    )
}

fn token(answer: &Json) -> &str {
    answer["token"].as_str().unwrap()
}

fn account(t: &TestApp, email: &str) -> Record {
    let users = t.app.store.catalog().find("users").unwrap().clone();
    let find = |tx: &ReadTx<'_>| -> Result<_, StoreError> {
        tx.find_by(&users, "email", &Value::text(email))
    };
    t.app.store.read_now(find).unwrap().unwrap()
}

fn set_password_hash(t: &TestApp, email: &str, hash: &str) {
    let before = account(t, email);
    let mut after = before.clone();
    after.set("password", hash);
    let write = t.app.store.write(move |tx| tx.update(&before, &after));
    t.wait(write).unwrap();
}

#[test]
fn the_right_password_gives_the_record_with_its_address_and_a_working_token() {
    let t = TestApp::new();
    let ann = t.user("ann");

    let answer = sign_in(&t.guest(), "users", "ann@example.com", RIGHT).ok();

    assert_eq!(answer["record"]["id"], ann.id.as_str());
    assert_eq!(answer["record"]["email"], "ann@example.com");
    assert!(answer["record"].get("password").is_none());
    assert!(answer["record"].get("tokenKey").is_none());
    let again = ann.with_token(token(&answer));
    again.post("/api/files/token", &json!({})).ok();
    let bearer = t.guest().send(
        crate::support::Request::new("POST", "/api/files/token")
            .header("Authorization", &format!("bEARER {}", token(&answer))),
    );
    assert_eq!(bearer.status, 200);
}

#[test]
fn unknown_names_and_wrong_passwords_are_told_alike() {
    let t = TestApp::new();
    t.user("ann");
    let guest = t.guest();
    let long = "x".repeat(200);
    for (identity, password) in [
        ("ann@example.com", "wrong"),
        ("nobody@example.com", RIGHT),
        ("ANN@example.com", RIGHT),
        ("not an address", RIGHT),
        ("ann@example.com", &long),
    ] {
        let reply = sign_in(&guest, "users", identity, password);
        reply.is(400, "Failed to authenticate.");
        assert_eq!(reply.json()["data"], json!({}));
    }
    sign_in(&guest, "_mfas", "a", "b").is(404, "Missing or invalid auth collection context.");
    sign_in(&guest, "nothing", "a", "b").is(404, "Missing or invalid collection context.");
    let form = sign_in(&guest, "users", "", &"x".repeat(256));
    form.is(
        400,
        "An error occurred while validating the submitted data.",
    );
    assert_eq!(form.code("identity"), "validation_required");
    assert_eq!(form.code("password"), "validation_length_out_of_range");
}

#[test]
fn stored_hashes_of_any_kind_do_no_harm_and_bcrypt_is_upgraded() {
    let t = TestApp::new();
    t.user("ann");
    let guest = t.guest();
    for broken in [
        "",
        "plain",
        "$2a$",
        "$2a$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\u{e9}",
    ] {
        set_password_hash(&t, "ann@example.com", broken);
        sign_in(&guest, "users", "ann@example.com", RIGHT).is(400, "Failed to authenticate.");
    }

    // bcrypt of cost 4, as an old PocketBase may have left it.
    let old = bcrypt::hash(RIGHT, 4).unwrap();
    set_password_hash(&t, "ann@example.com", &old);
    let key = account(&t, "ann@example.com").text("tokenKey").to_owned();
    sign_in(&guest, "users", "ann@example.com", "wrong").is(400, "Failed to authenticate.");
    assert_eq!(account(&t, "ann@example.com").text("password"), old);
    sign_in(&guest, "users", "ann@example.com", RIGHT).ok();

    let after = account(&t, "ann@example.com");
    assert!(
        after
            .text("password")
            .starts_with("$argon2id$v=19$m=19456,t=2,p=1$")
    );
    assert_eq!(after.text("tokenKey"), key);
    sign_in(&guest, "users", "ann@example.com", RIGHT).ok();
}

#[test]
fn a_session_ends_with_its_time_the_password_the_record_and_the_secret() {
    let t = TestApp::new();
    let sue = t.superuser();
    let works = |who: &Person| who.post("/api/files/token", &json!({})).status == 200;

    let ann = t.user("ann");
    assert!(works(&ann));
    let at = format!("/api/collections/users/records/{}", ann.id);
    let change = json!({"password": "another-one", "passwordConfirm": "another-one"});
    sue.patch(&at, &change).ok();
    assert!(!works(&ann), "a changed password ends sessions");

    let bob = t.user("bob");
    assert!(works(&bob));
    sue.delete(&format!("/api/collections/users/records/{}", bob.id))
        .ok();
    assert!(!works(&bob), "a removed record ends sessions");

    let carl = t.user("carl");
    assert!(works(&carl));
    sue.patch(
        "/api/collections/users",
        &json!({"authToken": {"secret": "x".repeat(40)}}),
    )
    .ok();
    assert!(!works(&carl), "another secret ends sessions");

    let dora = t.user("dora");
    assert!(works(&dora));
    t.clock.advance(Duration::from_secs(5 * 24 * 3600 + 1));
    assert!(!works(&dora), "time ends sessions");
}

#[test]
fn a_stale_token_is_a_guests_never_an_error() {
    let t = TestApp::new();
    for odd in [
        "garbage",
        "a.b.c",
        "Bearer ",
        "Basic YTpi",
        &"x".repeat(20_000),
    ] {
        let who = t.guest().with_token(odd);
        assert_eq!(who.get("/api/health").status, 200, "{odd:.20}");
        who.post("/api/collections/users/auth-refresh", &json!({}))
            .is(
                401,
                "The request requires valid record authorization token.",
            );
    }
}

#[test]
fn refresh_renews_sessions_but_not_those_made_by_impersonation() {
    let t = TestApp::new();
    let (ann, sue) = (t.user("ann"), t.superuser());
    let refresh = |who: &Person| who.post("/api/collections/users/auth-refresh", &json!({}));

    t.clock.advance(Duration::from_secs(60));
    let renewed = refresh(&ann).ok();
    assert_ne!(token(&renewed), ann.token());
    assert_eq!(renewed["record"]["email"], "ann@example.com");

    refresh(&sue).is(
        403,
        "The request requires auth record from _superusers collection.",
    );

    let path = format!("/api/collections/users/impersonate/{}", ann.id);
    let borrowed = sue.post(&path, &json!({"duration": 100})).ok();
    let as_ann = ann.with_token(token(&borrowed));
    t.clock.advance(Duration::from_secs(60));
    assert_eq!(token(&refresh(&as_ann).ok()), as_ann.token());
    t.clock.advance(Duration::from_secs(60));
    refresh(&as_ann).is(
        401,
        "The request requires valid record authorization token.",
    );
}

#[test]
fn only_superusers_impersonate() {
    let t = TestApp::new();
    let (ann, bob, sue) = (t.user("ann"), t.user("bob"), t.superuser());
    let path = format!("/api/collections/users/impersonate/{}", ann.id);

    t.guest().post(&path, &json!({})).is(
        401,
        "The request requires valid record authorization token.",
    );
    bob.post(&path, &json!({})).is(
        403,
        "The authorized record is not allowed to perform this action.",
    );
    sue.post("/api/collections/users/impersonate/nobody", &json!({}))
        .is(404, "The requested resource wasn't found.");
    let negative = sue.post(&path, &json!({"duration": -1}));
    assert_eq!(
        negative.code("duration"),
        "validation_min_greater_equal_than_required"
    );
    sue.post(&path, &json!({"duration": "x"}))
        .is(400, "An error occurred while loading the submitted data.");
}

#[test]
fn the_auth_rule_decides_who_gets_a_session() {
    let t = TestApp::new();
    let (ann, sue, guest) = (t.user("ann"), t.superuser(), t.guest());
    let refused = "The request doesn't satisfy the collection requirements to authenticate.";
    let rule = |rule: Json| {
        sue.patch("/api/collections/users", &json!({"authRule": rule}))
            .ok();
    };

    rule(json!("verified = true"));
    sign_in(&guest, "users", "ann@example.com", RIGHT).is(403, refused);
    let at = format!("/api/collections/users/records/{}", ann.id);
    sue.patch(&at, &json!({"verified": true})).ok();
    sign_in(&guest, "users", "ann@example.com", RIGHT).ok();

    rule(json!("@request.context = 'password'"));
    let answer = sign_in(&guest, "users", "ann@example.com", RIGHT).ok();
    ann.with_token(token(&answer))
        .post("/api/collections/users/auth-refresh", &json!({}))
        .is(403, refused);

    rule(Json::Null);
    sign_in(&guest, "users", "ann@example.com", RIGHT).is(403, refused);
    sign_in(&sue, "users", "ann@example.com", RIGHT).ok();
}

#[test]
fn with_two_factors_a_password_alone_gives_no_token() {
    let t = TestApp::new();
    let sue = t.superuser();
    t.user("ann");
    let on = json!({"mfa": {"enabled": true, "duration": 600, "rule": ""}, "otp": {"enabled": true, "duration": 300, "length": 8}});
    sue.patch("/api/collections/users", &on).ok();

    let first = sign_in(&t.guest(), "users", "ann@example.com", RIGHT);
    assert_eq!(first.status, 401);
    let id = first.json()["mfaId"].as_str().unwrap().to_owned();
    assert_eq!(first.json(), json!({"mfaId": id}));

    let second = |id: &str| {
        let body = json!({"identity": "ann@example.com", "password": RIGHT, "mfaId": id});
        t.guest()
            .post("/api/collections/users/auth-with-password", &body)
    };
    second(&id).is(400, "A different authentication method is required.");
    second("nothing").is(400, "Invalid or expired MFA session.");
    t.clock.advance(Duration::from_secs(601));
    second(&id).is(400, "Invalid or expired MFA session.");
    assert_eq!(
        sue.get("/api/collections/_mfas/records").ok()["totalItems"],
        0
    );
}

#[test]
fn devices_are_remembered_once_each() {
    let (t, post, sue) = TestApp::with_mail();
    let ann = t.user("ann");
    let from = |agent: &str| {
        let body = json!({"identity": "ann@example.com", "password": RIGHT});
        let request =
            crate::support::Request::new("POST", "/api/collections/users/auth-with-password");
        t.guest()
            .send(request.header("User-Agent", agent).json(&body))
            .ok();
    };
    for agent in ["one", "one", "two", "three", "four", "five", "six"] {
        t.clock.advance(Duration::from_secs(1));
        from(agent);
    }
    let told: Vec<String> = (0..5).map(|_| post.next().text).collect();
    for agent in ["two", "three", "four", "five", "six"] {
        let line = format!(" - 127.0.0.1 {agent}\n");
        assert!(told.iter().any(|text| text.contains(&line)), "{agent}");
    }
    let devices = sue.get("/api/collections/_authOrigins/records").ok();
    assert_eq!(devices["totalItems"], 5);
    assert_eq!(devices["items"][0]["recordRef"], ann.id.as_str());
}

#[test]
fn guessing_is_slowed_down_and_known_devices_are_not_shut_out() {
    let t = TestApp::new();
    t.user("ann");
    t.user("bob");
    let guest = t.guest();
    sign_in(&guest, "users", "bob@example.com", RIGHT).ok();

    let guess = |name: &str| sign_in(&guest, "users", name, "wrong").status;
    for _ in 0..10 {
        assert_eq!(guess("ann@example.com"), 400);
        assert_eq!(guess("bob@example.com"), 400);
    }

    let refused = sign_in(&guest, "users", "ann@example.com", RIGHT);
    refused.is(429, "Too many failed attempts, please try again later.");
    assert_eq!(refused.header("retry-after"), "300");
    sign_in(&guest, "users", "bob@example.com", RIGHT).ok();
    t.clock.advance(Duration::from_secs(301));
    sign_in(&guest, "users", "ann@example.com", RIGHT).ok();
}

#[test]
fn neither_a_restart_nor_saved_settings_hand_out_new_tries() {
    let mut t = TestApp::new();
    t.user("ann");
    let sue = t.superuser();
    for _ in 0..10 {
        let reply = sign_in(&t.guest(), "users", "ann@example.com", "wrong");
        assert_eq!(reply.status, 400);
    }
    sue.patch("/api/settings", &json!({"meta": {"appName": "another"}}))
        .ok();
    assert_eq!(
        sign_in(&t.guest(), "users", "ann@example.com", RIGHT).status,
        429
    );

    t.restart();

    assert_eq!(
        sign_in(&t.guest(), "users", "ann@example.com", RIGHT).status,
        429
    );
    t.clock.advance(Duration::from_secs(301));
    t.restart();
    sign_in(&t.guest(), "users", "ann@example.com", RIGHT).ok();
}

#[test]
fn old_passwords_are_guessed_in_as_few_tries() {
    let t = TestApp::new();
    let (ann, bob) = (t.user("ann"), t.user("bob"));
    let path = format!("/api/collections/users/records/{}", ann.id);
    let change = |who: &Person, old: &str| {
        let new = "another password";
        let body = json!({"oldPassword": old, "password": new, "passwordConfirm": new});
        who.patch(&path, &body)
    };

    // Whoever may not change the record is told so, and uses nobody's tries up.
    for _ in 0..12 {
        assert_eq!(change(&bob, "guess").status, 404);
        assert_eq!(change(&t.guest(), "guess").status, 404);
    }
    for _ in 0..9 {
        let wrong = change(&ann, "guess");
        assert_eq!(wrong.code("oldPassword"), "validation_invalid_old_password");
    }
    assert_eq!(
        sign_in(&t.guest(), "users", "ann@example.com", "guess").status,
        400
    );

    let refused = change(&ann, RIGHT);
    refused.is(429, "Too many failed attempts, please try again later.");
    assert_eq!(refused.header("retry-after"), "300");
    t.clock.advance(Duration::from_secs(301));
    change(&ann, RIGHT).ok();
}

#[test]
fn ways_to_sign_in_are_listed() {
    let t = TestApp::new();
    let expected = json!({
        "password": {"identityFields": ["email"], "enabled": true},
        "oauth2": {"providers": [], "enabled": false},
        "mfa": {"enabled": false, "duration": 0},
        "otp": {"enabled": false, "duration": 0},
        "authProviders": [],
        "usernamePassword": false,
        "emailPassword": true,
    });
    let methods = t.guest().get("/api/collections/users/auth-methods").ok();
    assert_eq!(methods, expected);
    t.guest()
        .get("/api/collections/_mfas/auth-methods")
        .is(404, "Missing or invalid auth collection context.");
}

/// A code as the mail would bring it: its id.
fn code_for(sue: &Person, person: &Person, password: &str) -> String {
    let body =
        json!({"collectionRef": "_pb_users_auth_", "recordRef": person.id, "password": password});
    sue.create("_otps", &body)["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn sign_in_by_code(who: &Person, id: &str, password: &str) -> Reply {
    let body = json!({"otpId": id, "password": password});
    who.post("/api/collections/users/auth-with-otp", &body)
}

fn codes_on() -> (TestApp, Person) {
    let t = TestApp::new();
    let sue = t.superuser();
    let on = json!({"otp": {"enabled": true, "duration": 300, "length": 8}});
    sue.patch("/api/collections/users", &on).ok();
    (t, sue)
}

#[test]
fn a_code_serves_once_and_for_a_while() {
    let (t, sue) = codes_on();
    let (ann, guest) = (t.user("ann"), t.guest());
    let refused = "Invalid or expired OTP.";

    let code = code_for(&sue, &ann, "12345678");
    sign_in_by_code(&guest, &code, "87654321").is(400, refused);
    let answer = sign_in_by_code(&guest, &code, "12345678").ok();
    assert_eq!(answer["record"]["id"], ann.id.as_str());
    assert_eq!(answer["record"]["verified"], false, "it was not mailed");
    sign_in_by_code(&guest, &code, "12345678").is(400, refused);

    let late = code_for(&sue, &ann, "12345678");
    t.clock.advance(Duration::from_secs(301));
    sign_in_by_code(&guest, &late, "12345678").is(400, refused);
}

#[test]
fn one_code_sent_many_times_at_once_opens_one_session() {
    let (t, sue) = codes_on();
    let (ann, guest) = (t.user("ann"), t.guest());
    let code = code_for(&sue, &ann, "12345678");

    let opened = std::thread::scope(|scope| {
        let all: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| sign_in_by_code(&guest, &code, "12345678").status))
            .collect();
        all.into_iter()
            .map(|one| one.join().unwrap())
            .filter(|status| *status == 200)
            .count()
    });

    assert_eq!(opened, 1);
}

#[test]
fn tries_of_codes_are_few_whether_the_code_exists_or_not() {
    let (t, sue) = codes_on();
    let (ann, guest) = (t.user("ann"), t.guest());
    let code = code_for(&sue, &ann, "12345678");
    for id in [code.as_str(), "nothing"] {
        for _ in 0..5 {
            sign_in_by_code(&guest, id, "wrong").is(400, "Invalid or expired OTP.");
        }
        sign_in_by_code(&guest, id, "12345678").is(
            429,
            "Too many attempts, please try again later with a new OTP.",
        );
    }
}

#[test]
fn a_mailed_code_verifies_the_address_and_ends_what_a_stranger_prepared() {
    let (t, sue) = codes_on();
    let (ann, guest) = (t.user("ann"), t.guest());
    let code = code_for(&sue, &ann, "12345678");
    let at = format!("/api/collections/_otps/records/{code}");
    sue.patch(&at, &json!({"sentTo": "ann@example.com"})).ok();

    let answer = sign_in_by_code(&guest, &code, "12345678").ok();

    assert_eq!(answer["record"]["verified"], true);
    ann.with_token(token(&answer))
        .post("/api/files/token", &json!({}))
        .ok();
    sign_in(&guest, "users", "ann@example.com", RIGHT).is(400, "Failed to authenticate.");
    assert_eq!(ann.post("/api/files/token", &json!({})).status, 401);
}

#[test]
fn asking_for_a_code_tells_nothing_of_the_address() {
    let (t, _sue) = codes_on();
    t.user("ann");
    for email in ["ann@example.com", "nobody@example.com"] {
        let ask = json!({"email": email});
        let answer = t
            .guest()
            .post("/api/collections/users/request-otp", &ask)
            .ok();
        assert_eq!(answer["otpId"].as_str().unwrap().len(), 15, "{email}");
    }
    let odd = t
        .guest()
        .post("/api/collections/users/request-otp", &json!({"email": "x"}));
    assert_eq!(odd.code("email"), "validation_is_email");
}
