//! Accounts and their mails: proving an address, forgetting a password, moving to another address, codes by mail. The
//! people are an owner of an account, and a stranger who wants it.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use burrow::auth::token::{Claims, Purpose, sign};
use burrow::kit::value::Value;
use burrow::schema::Record;
use burrow::store::{ReadTx, StoreError};
use serde_json::{Value as Json, json};

use crate::support::{Person, Reply, Request, TestApp, until};

const RIGHT: &str = "1234567890";
const NEW: &str = "a-newer-secret";

fn users(who: &Person, action: &str, body: &Json) -> Reply {
    who.post(&format!("/api/collections/users/{action}"), body)
}

fn sign_in(who: &Person, email: &str, password: &str) -> Reply {
    let body = json!({"identity": email, "password": password});
    users(who, "auth-with-password", &body)
}

fn ask(who: &Person, action: &str, email: &str) -> Reply {
    users(who, action, &json!({"email": email}))
}

fn confirm(who: &Person, action: &str, token: &str) -> Reply {
    let body = json!({"token": token, "password": NEW, "passwordConfirm": NEW});
    users(who, action, &body)
}

fn account(t: &TestApp, collection: &str, email: &str) -> Record {
    let found = t.app.store.catalog().find(collection).unwrap().clone();
    let find = |tx: &ReadTx<'_>| -> Result<_, StoreError> {
        tx.find_by(&found, "email", &Value::text(email))
    };
    t.app.store.read_now(find).unwrap().unwrap()
}

fn is_signed_in(who: &Person) -> bool {
    who.post("/api/files/token", &json!({})).status == 200
}

/// How many of the answers to requests at the same time have this status.
fn at_once(count: usize, status: u16, ask: impl Fn() -> Reply + Sync) -> usize {
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..count).map(|_| scope.spawn(|| ask().status)).collect();
        let statuses = all.into_iter().map(|one| one.join().unwrap());
        statuses.filter(|got| *got == status).count()
    })
}

#[test]
fn the_link_proves_the_address_and_sessions_go_on() {
    let (t, post, sue) = TestApp::with_mail();
    let ann = t.user("ann");
    assert_eq!(
        ask(&t.guest(), "request-verification", "ann@example.com").status,
        204
    );
    let token = post.next().token();

    assert_eq!(
        confirm(&t.guest(), "confirm-verification", &token).status,
        204
    );

    let path = format!("/api/collections/users/records/{}", ann.id);
    assert_eq!(sue.get(&path).ok()["verified"], true);
    assert!(is_signed_in(&ann), "proving an address ends nothing");
    assert_eq!(
        confirm(&t.guest(), "confirm-verification", &token).status,
        204
    );
}

#[test]
fn a_proven_address_ends_the_links_and_sessions_that_were_there_before() {
    let (t, post, sue) = TestApp::with_mail();
    let mal = t.user("ann");
    let link = json!({"collectionRef": "_pb_users_auth_", "recordRef": mal.id,
        "provider": "github", "providerId": "mal"});
    sue.create("_externalAuths", &link);
    ask(&t.guest(), "request-verification", "ann@example.com");

    confirm(&t.guest(), "confirm-verification", &post.next().token());

    let links = sue.get("/api/collections/_externalAuths/records").ok();
    assert_eq!(links["totalItems"], 0);
    assert!(!is_signed_in(&mal));
}

#[test]
fn where_nobody_has_a_password_a_proven_address_ends_the_one_there_was() {
    let (t, post, sue) = TestApp::with_mail();
    let ann = t.user("ann");
    ask(&t.guest(), "request-verification", "ann@example.com");
    let off = json!({"passwordAuth": {"enabled": false}});
    sue.patch("/api/collections/users", &off).ok();

    confirm(&t.guest(), "confirm-verification", &post.next().token());

    assert!(!is_signed_in(&ann));
    let on = json!({"passwordAuth": {"enabled": true, "identityFields": ["email"]}});
    sue.patch("/api/collections/users", &on).ok();
    assert_eq!(sign_in(&t.guest(), "ann@example.com", RIGHT).status, 400);
}

#[test]
fn a_forgotten_password_is_replaced_once_and_everything_older_ends() {
    let (t, post, sue) = TestApp::with_mail();
    let ann = t.user("ann");
    sign_in(&t.guest(), "ann@example.com", RIGHT).ok();
    ask(&t.guest(), "request-password-reset", "ann@example.com");
    let token = post.next().token();

    let done = at_once(8, 204, || {
        confirm(&t.guest(), "confirm-password-reset", &token)
    });

    assert_eq!(
        done, 1,
        "a link serves once, however often it is sent at a time"
    );
    assert!(!is_signed_in(&ann));
    assert_eq!(sign_in(&t.guest(), "ann@example.com", RIGHT).status, 400);
    let answer = sign_in(&t.guest(), "ann@example.com", NEW).ok();
    assert_eq!(
        answer["record"]["verified"], true,
        "the mail reached its owner"
    );
    let again = confirm(&t.guest(), "confirm-password-reset", &token);
    assert_eq!(again.code("token"), "validation_invalid_token");
    let devices = sue.get("/api/collections/_authOrigins/records").ok();
    assert_eq!(
        devices["totalItems"], 1,
        "the devices before it are forgotten"
    );
}

#[test]
fn what_is_wrong_with_a_new_password_is_told_at_once() {
    let (t, _post, _sue) = TestApp::with_mail();
    t.user("ann");
    let record = account(&t, "users", "ann@example.com");
    let claims = Claims::of(&record, Purpose::PasswordReset, t.clock.now(), None);
    let token = sign(&record, Purpose::PasswordReset, &claims).unwrap();
    let try_it = |token: &str, password: &str, again: &str| {
        let body = json!({"token": token, "password": password, "passwordConfirm": again});
        users(&t.guest(), "confirm-password-reset", &body)
    };

    let nothing = try_it("", "", "");
    for field in ["token", "password", "passwordConfirm"] {
        assert_eq!(nothing.code(field), "validation_required");
    }
    let odd = try_it("x", "short", "other");
    assert_eq!(odd.code("token"), "validation_invalid_token");
    assert_eq!(odd.code("password"), "validation_length_out_of_range");
    assert_eq!(odd.code("passwordConfirm"), "validation_values_mismatch");
    let long = "x".repeat(256);
    assert_eq!(
        try_it(&token, &long, &long).code("password"),
        "validation_length_out_of_range"
    );
    let unhashable = "x".repeat(73);
    let refused = try_it(&token, &unhashable, &unhashable);
    refused.is(400, "Failed to set new password.");
    assert_eq!(refused.code("password"), "validation_invalid_value");
}

#[test]
fn a_new_address_needs_its_owner_and_the_password() {
    let (t, post, _sue) = TestApp::with_mail();
    let ann = t.user("ann");
    t.user("bob");
    let move_to = |email: &str| users(&ann, "request-email-change", &json!({"newEmail": email}));
    for (email, code) in [
        ("", "validation_required"),
        ("x", "validation_is_email"),
        ("ann@example.com", "validation_not_in_invalid"),
        ("bob@example.com", "validation_invalid_new_email"),
    ] {
        assert_eq!(move_to(email).code("newEmail"), code, "{email}");
    }
    assert_eq!(post.waiting(), 0);

    assert_eq!(move_to("new@example.com").status, 204);
    let mail = post.next();
    assert_eq!(
        mail.to,
        ["new@example.com"],
        "the mail goes to the new address"
    );
    let token = mail.token();
    assert_eq!(move_to("other@example.com").status, 204);
    let other = post.next().token();
    let confirm = |token: &str, password: &str| {
        let body = json!({"token": token, "password": password});
        users(&t.guest(), "confirm-email-change", &body)
    };
    let wrong = confirm(&token, "wrong");
    assert_eq!(wrong.code("password"), "validation_invalid_password");
    assert!(wrong.json()["data"].get("token").is_none());
    let done = at_once(6, 204, || confirm(&token, RIGHT));

    assert_eq!(done, 1);
    assert!(!is_signed_in(&ann), "the session ends with the address");
    let answer = sign_in(&t.guest(), "new@example.com", RIGHT).ok();
    assert_eq!(answer["record"]["verified"], true);
    assert_eq!(
        confirm(&other, RIGHT).code("token"),
        "validation_invalid_token"
    );
    assert_eq!(
        confirm(&token, RIGHT).code("token"),
        "validation_invalid_token"
    );
}

#[test]
fn an_address_that_was_taken_meanwhile_is_not_given_twice() {
    let (t, post, _sue) = TestApp::with_mail();
    let ann = t.user("ann");
    users(
        &ann,
        "request-email-change",
        &json!({"newEmail": "bob@example.com"}),
    );
    let token = post.next().token();
    t.user("bob");

    let body = json!({"token": token, "password": RIGHT});
    let late = users(&t.guest(), "confirm-email-change", &body);

    assert_eq!(late.code("token"), "validation_invalid_token_email");
    assert!(is_signed_in(&ann));
}

#[test]
fn a_change_of_address_that_cannot_be_mailed_is_told() {
    let (t, post, sue) = TestApp::with_mail();
    let ann = t.user("ann");
    post.refuse(&["550 never"]);
    users(
        &ann,
        "request-email-change",
        &json!({"newEmail": "new@example.com"}),
    )
    .is(400, "Failed to request email change.");
    let own = |who: &Person, to: &str| {
        let path = format!("/api/collections/{to}/request-email-change");
        who.post(&path, &json!({"newEmail": "new@example.com"}))
    };
    own(&t.guest(), "users").is(
        401,
        "The request requires valid record authorization token.",
    );
    own(&sue, "users").is(
        403,
        "The request requires auth record from _superusers collection.",
    );
    own(&sue, "_superusers").is(400, "All superusers can change their emails directly.");
    own(&ann, "nothing").is(404, "Missing or invalid collection context.");
}

#[test]
fn guessing_the_password_of_a_change_of_address_is_slowed_down_with_the_sign_in() {
    let (t, post, _sue) = TestApp::with_mail();
    let ann = t.user("ann");
    users(
        &ann,
        "request-email-change",
        &json!({"newEmail": "new@example.com"}),
    );
    let token = post.next().token();
    let guess = || {
        let body = json!({"token": token, "password": "wrong"});
        users(&t.guest(), "confirm-email-change", &body).status
    };
    for _ in 0..10 {
        assert_eq!(guess(), 400);
    }
    assert_eq!(guess(), 429);
    assert_eq!(sign_in(&t.guest(), "ann@example.com", RIGHT).status, 429);
}

/// Every token at every confirmation but its own, and its own after time, key and claims went wrong.
#[test]
fn only_the_right_token_confirms() {
    let (t, _post, _sue) = TestApp::with_mail();
    t.user("ann");
    let record = account(&t, "users", "ann@example.com");
    let made = |purpose: Purpose, change: &dyn Fn(&mut Claims)| {
        let mut claims = Claims::of(&record, purpose, t.clock.now(), None);
        claims.email = Some("ann@example.com".to_owned());
        claims.new_email = Some("new@example.com".to_owned());
        change(&mut claims);
        sign(&record, purpose, &claims).unwrap()
    };
    let right = |purpose| made(purpose, &|_| {});
    let unsigned = |purpose| {
        let token = right(purpose);
        let (_, rest) = token.split_once('.').unwrap();
        let (payload, _) = rest.split_once('.').unwrap();
        let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        format!("{header}.{payload}.")
    };
    let consumers = [
        (Purpose::Verification, "confirm-verification"),
        (Purpose::PasswordReset, "confirm-password-reset"),
        (Purpose::EmailChange, "confirm-email-change"),
    ];
    for (own, action) in consumers {
        let mut tokens: Vec<(String, String)> = Vec::new();
        for other in [
            Purpose::Auth,
            Purpose::File,
            Purpose::Verification,
            Purpose::PasswordReset,
            Purpose::EmailChange,
        ] {
            if other != own {
                tokens.push((format!("{other:?}"), right(other)));
            }
        }
        let past = |claims: &mut Claims| claims.exp = 1_700_000_000;
        let kind = |claims: &mut Claims| claims.kind = "auth".into();
        let nobody = |claims: &mut Claims| claims.id = "nobody".into();
        let elsewhere = |claims: &mut Claims| claims.collection_id = "_superusers".into();
        tokens.push(("ended".to_owned(), made(own, &past)));
        tokens.push(("of another type".to_owned(), made(own, &kind)));
        tokens.push(("of nobody".to_owned(), made(own, &nobody)));
        tokens.push(("of another collection".to_owned(), made(own, &elsewhere)));
        tokens.push(("without a signature".to_owned(), unsigned(own)));
        let whole = right(own);
        tokens.push(("cut".to_owned(), whole[..whole.len() - 3].to_owned()));
        tokens.push(("doubled".to_owned(), format!("{whole}.{whole}")));
        tokens.push((
            "enormous".to_owned(),
            format!("{whole}{}", "A".repeat(100_000)),
        ));
        tokens.push(("odd".to_owned(), "\u{e9}.\u{0}.x".to_owned()));
        for (name, token) in tokens {
            let body = json!({"token": token, "password": RIGHT, "passwordConfirm": RIGHT});
            let reply = users(&t.guest(), action, &body);
            assert_eq!(reply.status, 400, "{action} {name}");
            assert!(
                reply.code("token").starts_with("validation_invalid_token"),
                "{action} {name}"
            );
        }
    }
    let after = account(&t, "users", "ann@example.com");
    assert_eq!(after.cells(), record.cells(), "nothing has changed");
}

#[test]
fn a_token_of_another_collection_confirms_nothing() {
    let (t, _post, _sue) = TestApp::with_mail();
    t.collection(&json!({"name": "clients", "type": "auth"}));
    t.user("ann");
    let record = account(&t, "users", "ann@example.com");
    for (purpose, action) in [
        (Purpose::Verification, "confirm-verification"),
        (Purpose::PasswordReset, "confirm-password-reset"),
        (Purpose::EmailChange, "confirm-email-change"),
    ] {
        let mut claims = Claims::of(&record, purpose, t.clock.now(), None);
        claims.email = Some("ann@example.com".to_owned());
        claims.new_email = Some("new@example.com".to_owned());
        let token = sign(&record, purpose, &claims).unwrap();
        let body = json!({"token": token, "password": RIGHT, "passwordConfirm": RIGHT});
        let path = format!("/api/collections/clients/{action}");
        let reply = t.guest().post(&path, &body);
        assert_eq!(
            reply.code("token"),
            "validation_token_collection_mismatch",
            "{action}"
        );
    }
    assert_eq!(
        account(&t, "users", "ann@example.com").cells(),
        record.cells()
    );
}

/// Known, unknown, proven and throttled addresses: the same answer, and the log alone tells them apart.
#[test]
fn requests_for_mails_tell_nothing_of_the_address() {
    let (t, post, sue) = TestApp::with_mail();
    t.user("ann");
    let bob = t.user("bob");
    let path = format!("/api/collections/users/records/{}", bob.id);
    sue.patch(&path, &json!({"verified": true})).ok();
    for action in ["request-verification", "request-password-reset"] {
        for email in [
            "ann@example.com",
            "ann@example.com",
            "nobody@example.com",
            "bob@example.com",
        ] {
            let reply = ask(&t.guest(), action, email);
            assert_eq!(
                (reply.status, reply.body.len()),
                (204, 0),
                "{action} {email}"
            );
        }
        for (email, code) in [
            ("", "validation_required"),
            ("x", "validation_is_email"),
            (
                &format!("{}@example.com", "x".repeat(250)),
                "validation_length_out_of_range",
            ),
        ] {
            assert_eq!(
                ask(&t.guest(), action, email).code("email"),
                code,
                "{action}"
            );
        }
        assert_eq!(post.next().to, ["ann@example.com"], "{action}");
    }
    assert_eq!(
        post.next().to,
        ["bob@example.com"],
        "a proven address may forget its password"
    );
    assert_eq!(post.waiting(), 0);
    t.wait(t.app.logs.flush());
    let logs = sue
        .get("/api/logs?filter=data.error%3D%22Unknown%20address.%22")
        .ok();
    assert_eq!(logs["totalItems"], 2);
    assert_eq!(logs["items"][0]["data"]["status"], 204);
}

#[test]
fn many_requests_at_once_send_one_mail_in_a_while() {
    let (t, post, _sue) = TestApp::with_mail();
    t.user("ann");
    let request = || ask(&t.guest(), "request-password-reset", "ann@example.com");

    assert_eq!(at_once(20, 204, request), 20);
    post.next();
    t.clock.advance(Duration::from_secs(119));
    assert_eq!(request().status, 204);
    t.clock.advance(Duration::from_secs(2));
    assert_eq!(request().status, 204);
    post.next();

    assert_eq!(post.waiting(), 0);
}

#[test]
fn one_address_cannot_ask_for_mails_without_end() {
    let (t, _post, _sue) = TestApp::with_mail();
    let refused = at_once(130, 429, || {
        ask(&t.guest(), "request-password-reset", "nobody@example.com")
    });
    assert_eq!(refused, 10);
    let last = ask(&t.guest(), "request-verification", "nobody@example.com");
    assert_eq!(last.header("retry-after"), "300");
}

#[test]
fn superusers_are_verified_and_move_by_themselves() {
    let (t, post, _sue) = TestApp::with_mail();
    for (action, message) in [
        (
            "request-verification",
            "All superusers are verified by default.",
        ),
        (
            "confirm-verification",
            "All superusers are verified by default.",
        ),
        (
            "confirm-email-change",
            "All superusers can change their emails directly.",
        ),
    ] {
        let path = format!("/api/collections/_superusers/{action}");
        t.guest().post(&path, &json!({})).is(400, message);
    }
    let path = "/api/collections/_superusers/request-password-reset";
    let asked = t.guest().post(path, &json!({"email": "sue@example.com"}));
    assert_eq!(asked.status, 204);
    assert_eq!(
        post.next().to,
        ["sue@example.com"],
        "passwords are forgotten by everybody"
    );
}

#[test]
fn where_passwords_are_off_none_is_replaced() {
    let (t, _post, sue) = TestApp::with_mail();
    let off = json!({"passwordAuth": {"enabled": false}});
    sue.patch("/api/collections/users", &off).ok();
    ask(&t.guest(), "request-password-reset", "ann@example.com").is(
        400,
        "The collection is not configured to allow password authentication.",
    );
}

fn codes_on(sue: &Person) {
    let on = json!({"otp": {"enabled": true, "duration": 300, "length": 8}});
    sue.patch("/api/collections/users", &on).ok();
}

fn by_code(who: &Person, id: &str, code: &str) -> Reply {
    users(
        who,
        "auth-with-otp",
        &json!({"otpId": id, "password": code}),
    )
}

fn promised(reply: &Reply) -> String {
    reply.ok()["otpId"].as_str().unwrap().to_owned()
}

#[test]
fn a_code_that_was_mailed_signs_in_and_proves_the_address() {
    let (t, post, sue) = TestApp::with_mail();
    codes_on(&sue);
    let mal = t.user("ann");

    let id = promised(&ask(&t.guest(), "request-otp", "ann@example.com"));
    let mail = post.next();
    assert_eq!(mail.to, ["ann@example.com"]);
    let code = mail.code();
    assert_eq!(code.len(), 8);
    // The server notes where it was sent once it was taken.
    let path =
        format!("/api/collections/_otps/records?filter=id%3D%22{id}%22%26%26sentTo!%3D%22%22");
    until("it is noted", || sue.get(&path).ok()["totalItems"] == 1);
    let answer = by_code(&t.guest(), &id, &code).ok();

    assert_eq!(answer["record"]["verified"], true);
    assert!(!is_signed_in(&mal), "what a stranger prepared ends");
    assert_eq!(sign_in(&t.guest(), "ann@example.com", RIGHT).status, 400);
    by_code(&t.guest(), &id, &code).is(400, "Invalid or expired OTP.");
}

#[test]
fn a_code_that_cannot_be_mailed_is_not_kept() {
    let (t, post, sue) = TestApp::with_mail();
    codes_on(&sue);
    t.user("ann");
    post.refuse(&["550 never"]);
    ask(&t.guest(), "request-otp", "ann@example.com").ok();
    post.has_refused(1);
    until("the code is gone", || {
        sue.get("/api/collections/_otps/records").ok()["totalItems"] == 0
    });
}

/// The same number of requests and tries for an address that is known and one that is not.
#[test]
fn codes_of_unknown_people_behave_as_real_ones() {
    let (t, post, sue) = TestApp::with_mail();
    codes_on(&sue);
    t.user("ann");
    let course = |email: &str| {
        let ids: Vec<String> = (0..12)
            .map(|_| promised(&ask(&t.guest(), "request-otp", email)))
            .collect();
        let repeats: Vec<usize> = ids
            .iter()
            .map(|id| ids.iter().position(|other| other == id).unwrap())
            .collect();
        // Tries are spread over the codes of one person.
        let tries: Vec<u16> = (0..7)
            .map(|n| by_code(&t.guest(), &ids[n % 3], "00000000").status)
            .collect();
        (repeats, tries)
    };

    let known = course("ann@example.com");

    assert_eq!(known.0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9]);
    assert_eq!(known.1, [400, 400, 400, 400, 400, 429, 429]);
    assert_eq!(course("nobody@example.com"), known);
    for _ in 0..10 {
        assert_eq!(post.next().to, ["ann@example.com"]);
    }
    assert_eq!(post.waiting(), 0);
}

#[test]
fn known_and_unknown_addresses_take_the_same_time() {
    let (t, _post, sue) = TestApp::with_mail();
    codes_on(&sue);
    t.user("ann");
    for action in [
        "request-otp",
        "request-verification",
        "request-password-reset",
    ] {
        for email in ["ann@example.com", "nobody@example.com"] {
            let started = std::time::Instant::now();
            ask(&t.guest(), action, email).ok();
            let floor = Duration::from_millis(burrow::kit::limits::FAILURE_MILLIS_MIN);
            assert!(started.elapsed() >= floor, "{action} {email}");
        }
    }
}

#[test]
fn a_sign_in_from_a_new_device_is_told_and_one_that_could_not_be_told_is_told_again() {
    let (t, post, sue) = TestApp::with_mail();
    t.user("ann");
    let from = |agent: &str| {
        let body = json!({"identity": "ann@example.com", "password": RIGHT});
        let request = Request::new("POST", "/api/collections/users/auth-with-password");
        t.guest()
            .send(request.header("User-Agent", agent).json(&body))
            .ok();
    };
    from("phone");
    assert_eq!(post.waiting(), 0, "the first device ever is no news");
    from("<b>desk</b>");
    let mail = post.next();
    assert_eq!(mail.header("Subject"), "Login from a new location");
    let line = "2026-01-02 03:04:05.678Z - 127.0.0.1 &lt;b&gt;desk&lt;/b&gt;";
    assert!(mail.text.contains(line), "{}", mail.text);
    from("phone");
    assert_eq!(post.waiting(), 0);

    post.refuse(&["550 never"]);
    from("tablet");
    until("the device is forgotten", || {
        sue.get("/api/collections/_authOrigins/records").ok()["totalItems"] == 2
    });
    from("tablet");
    assert!(post.next().text.contains("tablet"));
}
