//! Authenticator apps: set up, asked for, lost, and attacked.

use std::time::Duration;

use burrow::kit::secret::Secret as Hidden;
use burrow::store::StoreError;
use serde_json::{Value as Json, json};
use totp_rs::{Builder, Secret};

use crate::support::{FakeProvider, Person, Reply, TestApp};

const RIGHT: &str = "1234567890";
const USED: &str = "Invalid or used code.";

/// An app on somebody's phone.
struct App {
    secret: String,
    recovery: Vec<String>,
}

impl App {
    /// What it shows, so many steps from now.
    fn shows(&self, t: &TestApp, steps: i64) -> String {
        let secret = Secret::try_from_base32(&self.secret).unwrap();
        let totp = Builder::new().with_secret(secret).build().unwrap();
        let at = t.clock.now().as_secs() + steps * 30;
        totp.generate(u64::try_from(at).unwrap()).to_string()
    }
}

fn step(t: &TestApp) {
    t.clock.advance(Duration::from_secs(30));
}

fn post(who: &Person, what: &str, body: &Json) -> Reply {
    who.post(&format!("/api/collections/users/{what}"), body)
}

fn by_password(t: &TestApp, name: &str) -> Reply {
    let body = json!({"identity": format!("{name}@example.com"), "password": RIGHT});
    post(&t.guest(), "auth-with-password", &body)
}

/// The id under which the second factor is expected.
fn begin(t: &TestApp, name: &str) -> String {
    let reply = by_password(t, name);
    assert_eq!(reply.status, 401, "{}", reply.text());
    reply.json()["mfaId"].as_str().unwrap().to_owned()
}

fn finish(t: &TestApp, id: &str, code: &str) -> Reply {
    post(
        &t.guest(),
        "auth-with-totp",
        &json!({"mfaId": id, "code": code}),
    )
}

/// Somebody with an app in use.
fn with_app(t: &TestApp, name: &str) -> (Person, App) {
    let person = t.user(name);
    let setup = post(&person, "totp/setup", &json!({"password": RIGHT})).ok();
    let mut app = App {
        secret: setup["secret"].as_str().unwrap().to_owned(),
        recovery: Vec::new(),
    };
    let confirmed = post(&person, "totp/confirm", &json!({"code": app.shows(t, 0)})).ok();
    app.recovery = serde_json::from_value(confirmed["recoveryCodes"].clone()).unwrap();
    step(t);
    (person, app)
}

#[test]
fn who_has_set_an_app_up_is_asked_for_its_code() {
    let t = TestApp::new();
    let ann = t.user("ann");

    let setup = post(&ann, "totp/setup", &json!({"password": RIGHT})).ok();
    assert!(setup["qr"].as_str().unwrap().starts_with("<svg"));
    let url = setup["url"].as_str().unwrap();
    assert!(
        url.starts_with("otpauth://totp/Acme:ann%40example%2Ecom?secret="),
        "{url}"
    );
    // Not in use before it has shown a code.
    by_password(&t, "ann").ok();
    let app = App {
        secret: setup["secret"].as_str().unwrap().to_owned(),
        recovery: Vec::new(),
    };
    post(&ann, "totp/confirm", &json!({"code": "000000"})).is(400, USED);
    by_password(&t, "ann").ok();
    let confirmed = post(&ann, "totp/confirm", &json!({"code": app.shows(&t, 0)})).ok();
    assert_eq!(confirmed["recoveryCodes"].as_array().unwrap().len(), 10);
    step(&t);

    let first = by_password(&t, "ann");
    assert_eq!(first.status, 401);
    assert_eq!(first.json()["methods"], json!(["totp"]));
    let id = first.json()["mfaId"].as_str().unwrap().to_owned();
    let answer = finish(&t, &id, &app.shows(&t, 0)).ok();
    assert_eq!(answer["record"]["id"], ann.id.as_str());
    // What was signed in stays so.
    ann.post("/api/files/token", &json!({})).ok();
    let token = answer["token"].as_str().unwrap();
    ann.with_token(token)
        .post("/api/files/token", &json!({}))
        .ok();
}

#[test]
fn only_a_code_of_now_that_was_never_used_is_good() {
    let t = TestApp::new();
    let (_, app) = with_app(&t, "ann");
    let (_, other) = with_app(&t, "bob");
    let id = begin(&t, "ann");
    for code in [
        "000000".to_owned(),
        "x".repeat(100_000),
        app.shows(&t, -2),
        app.shows(&t, 2),
        other.shows(&t, 0),
        other.recovery[0].clone(),
        // The code that the app was confirmed with.
        app.shows(&t, -2),
    ] {
        finish(&t, &id, &code).is(400, USED);
    }
    let blank = finish(&t, &id, "");
    assert_eq!(blank.code("code"), "validation_required");
    let nothing = post(
        &t.guest(),
        "auth-with-totp",
        &json!({"code": app.shows(&t, 0)}),
    );
    assert_eq!(nothing.code("mfaId"), "validation_required");

    t.clock.advance(Duration::from_secs(301));
    let good = app.shows(&t, 0);
    finish(&t, &id, &good).ok();

    finish(&t, &id, &good).is(400, "Invalid or expired MFA session.");
    let again = begin(&t, "ann");
    finish(&t, &again, &good).is(400, USED);
    finish(&t, &again, &app.shows(&t, -1)).is(400, USED);
    t.clock.advance(Duration::from_secs(300));
    finish(&t, &again, &app.shows(&t, 0)).ok();
}

#[test]
fn a_code_that_comes_many_times_at_once_lets_in_once() {
    let t = TestApp::new();
    let (_, app) = with_app(&t, "ann");
    for code in [app.shows(&t, 0), app.recovery[0].clone()] {
        t.clock.advance(Duration::from_secs(600));
        let code = if code.len() == 6 {
            app.shows(&t, 0)
        } else {
            code
        };
        let ids: Vec<String> = (0..8).map(|_| begin(&t, "ann")).collect();
        let entered = std::thread::scope(|scope| {
            let tries: Vec<_> = ids
                .iter()
                .map(|id| scope.spawn(|| finish(&t, id, &code).status))
                .collect();
            let statuses = tries.into_iter().map(|one| one.join().unwrap());
            statuses.filter(|status| *status == 200).count()
        });
        assert_eq!(entered, 1);
    }
}

#[test]
fn guessing_is_slowed_down_for_the_account_from_wherever_it_comes() {
    let t = TestApp::new();
    let (_, app) = with_app(&t, "ann");
    t.clock.advance(Duration::from_secs(600));
    let id = begin(&t, "ann");
    let mut wrong = 0;
    let reply = loop {
        let reply = finish(&t, &id, "000000");
        if reply.status != 400 {
            break reply;
        }
        wrong += 1;
        assert!(wrong <= 10);
    };
    assert_eq!((wrong, reply.status), (10, 429));
    assert!(!reply.header("retry-after").is_empty());
    assert_eq!(finish(&t, &id, &app.shows(&t, 0)).status, 429);
    t.clock.advance(Duration::from_secs(301));
    finish(&t, &id, &app.shows(&t, 0)).ok();
}

#[test]
fn no_other_factor_stands_in_for_the_app() {
    let t = TestApp::new();
    let admin = t.superuser();
    let otp = json!({"otp": {"enabled": true}, "mfa": {"enabled": true}});
    admin.patch("/api/collections/users", &otp).ok();
    let (ann, app) = with_app(&t, "ann");
    let row =
        json!({"collectionRef": "_pb_users_auth_", "recordRef": ann.id, "password": "24681012"});
    let mailed = admin.create("_otps", &row);
    let id = begin(&t, "ann");

    let body = json!({"otpId": mailed["id"], "password": "24681012", "mfaId": id});
    post(&t.guest(), "auth-with-otp", &body)
        .is(400, "A different authentication method is required.");

    finish(&t, &id, &app.shows(&t, 0)).ok();
}

#[test]
fn a_token_alone_sets_nothing_up_and_takes_nothing_away() {
    let t = TestApp::new();
    let stale = "Sign in again, or send the password, to do this.";
    let found = t.user("ann");
    post(&found, "totp/setup", &json!({})).is(403, stale);
    post(&found, "totp/setup", &json!({"password": "wrong-one"})).is(403, stale);
    // Neither does a token that was made from it.
    let refreshed = post(&found, "auth-refresh", &json!({})).ok();
    let refreshed = found.with_token(refreshed["token"].as_str().unwrap());
    post(&refreshed, "totp/setup", &json!({})).is(403, stale);
    let sue = t.superuser();
    let path = format!("/api/collections/users/impersonate/{}", found.id);
    let lent = sue.post(&path, &json!({})).ok();
    let lent = found.with_token(lent["token"].as_str().unwrap());
    post(&lent, "totp/setup", &json!({})).is(403, stale);

    // Who has just signed in has proven enough, for a while.
    let answer = by_password(&t, "ann").ok();
    let ann = found.with_token(answer["token"].as_str().unwrap());
    post(&ann, "totp/setup", &json!({})).ok();
    t.clock.advance(Duration::from_secs(601));
    post(&ann, "totp/setup", &json!({})).is(403, stale);

    post(&t.guest(), "totp/setup", &json!({})).is(
        401,
        "The request requires valid record authorization token.",
    );
    post(&sue, "totp/setup", &json!({})).is(
        403,
        "The request requires auth record from _superusers collection.",
    );
    let (bob, app) = with_app(&t, "bob");
    let again = post(&bob, "totp/setup", &json!({"password": RIGHT}));
    assert_eq!(again.code("code"), "validation_authenticator_exists");
    for code in ["", "000000", RIGHT] {
        post(
            &bob,
            "totp/remove",
            &json!({"code": code, "password": RIGHT}),
        )
        .is(400, USED);
        post(&bob, "totp/recovery-codes", &json!({"code": code})).is(400, USED);
    }
    begin(&t, "bob");
    assert_eq!(
        post(&bob, "totp/remove", &json!({"code": app.shows(&t, 0)})).status,
        204
    );
    by_password(&t, "bob").ok();
}

#[test]
fn who_lost_the_app_has_codes_that_are_good_once() {
    let t = TestApp::new();
    let (ann, app) = with_app(&t, "ann");
    let used = &app.recovery[2];
    let id = begin(&t, "ann");
    finish(&t, &id, &used.to_uppercase()).ok();
    let id = begin(&t, "ann");
    finish(&t, &id, used).is(400, USED);
    finish(&t, &id, &app.recovery[3]).ok();

    let fresh = post(
        &ann,
        "totp/recovery-codes",
        &json!({"code": app.shows(&t, 0)}),
    )
    .ok();

    let id = begin(&t, "ann");
    finish(&t, &id, &app.recovery[4]).is(400, USED);
    let fresh = fresh["recoveryCodes"][0].as_str().unwrap();
    finish(&t, &id, fresh).ok();
    assert_eq!(
        post(&ann, "totp/remove", &json!({"code": app.recovery[5]})).status,
        400
    );
}

#[test]
fn a_set_up_that_was_not_confirmed_ends() {
    let t = TestApp::new();
    let ann = t.user("ann");
    let setup = post(&ann, "totp/setup", &json!({"password": RIGHT})).ok();
    let app = App {
        secret: setup["secret"].as_str().unwrap().to_owned(),
        recovery: Vec::new(),
    };
    t.clock.advance(Duration::from_secs(601));
    post(&ann, "totp/confirm", &json!({"code": app.shows(&t, 0)})).is(400, USED);
    by_password(&t, "ann").ok();
}

#[test]
fn secrets_leave_by_no_way_and_rows_are_changed_by_nobody_else() {
    let t = TestApp::configured(|config| {
        config.encryption_key = Some(Hidden::new("k".repeat(32)));
    });
    let (ann, app) = with_app(&t, "ann");
    let bob = t.user("bob");
    let sue = t.superuser();
    let list = "/api/collections/_totps/records";
    for who in [&ann, &sue] {
        let seen = who.get(list).ok();
        assert_eq!(seen["totalItems"], 1);
        let text = seen.to_string();
        assert!(
            !text.contains(&app.secret) && !text.contains("sealed:"),
            "{text}"
        );
        assert!(
            seen["items"][0]
                .get("recovery")
                .is_none_or(|cell| cell == "")
        );
        assert_eq!(seen["items"][0]["confirmed"], true);
    }
    assert_eq!(bob.get(list).ok()["totalItems"], 0);
    let row = ann.get(list).ok()["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("{list}/{row}");
    for who in [&ann, &bob] {
        assert_eq!(who.patch(&path, &json!({"confirmed": false})).status, 403);
        assert_eq!(who.delete(&path).status, 403);
        assert_eq!(who.post(list, &json!({"recordRef": ann.id})).status, 403);
    }
    let rows = t.app.store.catalog().find("_totps").unwrap().clone();
    let stored = t
        .app
        .store
        .read_now(move |tx| -> Result<_, StoreError> { tx.find(&rows, &row) });
    assert!(
        stored
            .unwrap()
            .unwrap()
            .text("secret")
            .starts_with("sealed:")
    );
    // Clients of PocketBase do not see the collection.
    let names = |query: &str| {
        sue.get(&format!("/api/collections?perPage=100{query}"))
            .ok()
            .to_string()
    };
    assert!(!names("").contains("_totps"));
    assert!(!names("&filter=system=true").contains("_totps"));
    assert!(names("&own=1").contains("\"_totps\""));
    // With the account its authenticator goes.
    sue.delete(&format!("/api/collections/users/records/{}", ann.id));
    assert_eq!(sue.get(list).ok()["totalItems"], 0);
}

#[test]
fn an_app_on_an_account_of_somebody_elses_address_keeps_nobody_out() {
    let t = TestApp::new();
    let provider = FakeProvider::start();
    let oauth2 = json!({"oauth2": {"enabled": true, "providers": [provider.config()]}});
    t.superuser().patch("/api/collections/users", &oauth2).ok();
    let (mal, _) = with_app(&t, "ann");
    provider.visitor(&json!({"sub": "ann", "email": "ann@example.com", "email_verified": true}));

    let answer = post(
        &t.guest(),
        "auth-with-oauth2",
        &json!({"provider": "oidc", "code": "c"}),
    )
    .ok();

    assert_eq!(answer["record"]["id"], mal.id.as_str());
    assert!(!answer["token"].as_str().unwrap().is_empty());
}

#[test]
fn superusers_have_apps_too() {
    let t = TestApp::new();
    let sue = t.superuser();
    let path = |what: &str| format!("/api/collections/_superusers/{what}");
    let setup = sue
        .post(&path("totp/setup"), &json!({"password": RIGHT}))
        .ok();
    let app = App {
        secret: setup["secret"].as_str().unwrap().to_owned(),
        recovery: Vec::new(),
    };
    sue.post(&path("totp/confirm"), &json!({"code": app.shows(&t, 0)}))
        .ok();
    step(&t);
    let body = json!({"identity": "sue@example.com", "password": RIGHT});
    let first = t.guest().post(&path("auth-with-password"), &body);
    assert_eq!(first.status, 401);
    let body = json!({"mfaId": first.json()["mfaId"], "code": app.shows(&t, 0)});
    t.guest().post(&path("auth-with-totp"), &body).ok();
}

#[test]
fn the_owner_hears_of_what_was_changed() {
    let (t, post_office, _) = TestApp::with_mail();
    let (ann, app) = with_app(&t, "ann");
    assert_eq!(
        post_office.next().header("Subject"),
        "An authenticator app was set up for your Acme account"
    );
    let renew = json!({"code": app.shows(&t, 0)});
    post(&ann, "totp/recovery-codes", &renew).ok();
    assert_eq!(
        post_office.next().header("Subject"),
        "New recovery codes were made for your Acme account"
    );
    step(&t);
    let remove = json!({"code": app.shows(&t, 0)});
    assert_eq!(post(&ann, "totp/remove", &remove).status, 204);
    assert_eq!(
        post_office.next().header("Subject"),
        "The authenticator app was removed for your Acme account"
    );
}
