//! Sessions: every sign-in is listed, and can be ended, at once and everywhere.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::support::{Person, Reply, Request, TestApp};

const RIGHT: &str = "1234567890";
const LIST: &str = "/api/collections/_sessions/records?sort=created";

fn sign_in_with(t: &TestApp, agent: &str, email: &str) -> Person {
    let body = json!({"identity": email, "password": RIGHT});
    let request = Request::new("POST", "/api/collections/users/auth-with-password")
        .header("User-Agent", agent)
        .json(&body);
    let answer = t.guest().send(request).ok();
    as_told(t, &answer)
}

fn as_told(t: &TestApp, answer: &Json) -> Person {
    let mut person = t.guest().with_token(answer["token"].as_str().unwrap());
    answer["record"]["id"]
        .as_str()
        .unwrap()
        .clone_into(&mut person.id);
    person
}

fn is_signed_in(who: &Person) -> bool {
    who.post("/api/files/token", &json!({})).status == 200
}

fn sessions(who: &Person) -> Vec<Json> {
    who.get(LIST).ok()["items"].as_array().unwrap().clone()
}

fn end(who: &Person, session: &Json) -> Reply {
    let id = session["id"].as_str().unwrap();
    who.delete(&format!("/api/collections/_sessions/records/{id}"))
}

fn end_others(who: &Person) -> Reply {
    who.post("/api/collections/users/end-other-sessions", &json!({}))
}

#[test]
fn each_sign_in_is_listed_with_its_device_address_and_time() {
    let t = TestApp::new();
    t.user("ann");
    t.user("bob");
    let phone = sign_in_with(&t, "phone", "ann@example.com");
    t.clock.advance(Duration::from_secs(60));
    sign_in_with(&t, "desk", "ann@example.com");
    let bob = sign_in_with(&t, "tablet", "bob@example.com");

    let listed = sessions(&phone);

    assert_eq!(listed.len(), 2, "of Ann, and nobody else's");
    let first = &listed[0];
    assert_eq!(first["device"], "phone");
    assert_eq!(first["address"], "127.0.0.1");
    assert_eq!(first["method"], "password");
    assert_eq!(first["lastUsed"], "2026-01-02 03:04:05.678Z");
    assert_eq!(first["expires"], "2026-01-07 03:04:05.000Z");
    assert_eq!(listed[1]["device"], "desk");
    assert_eq!(sessions(&t.guest()).len(), 0);
    assert_eq!(end(&bob, first).status, 404, "Bob does not even see it");
    let change = json!({"expires": "2030-01-01 00:00:00.000Z"});
    let path = format!(
        "/api/collections/_sessions/records/{}",
        first["id"].as_str().unwrap()
    );
    assert_eq!(phone.patch(&path, &change).status, 403);
    assert_eq!(
        phone
            .post("/api/collections/_sessions/records", first)
            .status,
        403
    );
}

#[test]
fn a_session_that_is_ended_is_over_at_once_and_the_others_go_on() {
    let t = TestApp::new();
    t.user("ann");
    let phone = sign_in_with(&t, "phone", "ann@example.com");
    let desk = sign_in_with(&t, "desk", "ann@example.com");
    let files = phone.post("/api/files/token", &json!({})).ok();
    assert!(is_signed_in(&desk));

    assert_eq!(end(&desk, &sessions(&desk)[0]).status, 204);

    assert!(!is_signed_in(&phone));
    assert!(is_signed_in(&desk));
    let renewed = phone.post("/api/collections/users/auth-refresh", &json!({}));
    assert_eq!(renewed.status, 401);
    // A file token goes with the session that asked for it.
    let by_file = t.guest().with_token(files["token"].as_str().unwrap());
    assert!(!is_signed_in(&by_file));
    let resolved = t.wait(
        t.app
            .auth
            .resolve_file(files["token"].as_str().unwrap(), t.clock.now()),
    );
    assert!(resolved.unwrap().record().is_none());
}

#[test]
fn a_renewed_token_stays_in_its_session() {
    let t = TestApp::new();
    t.user("ann");
    let phone = sign_in_with(&t, "phone", "ann@example.com");
    t.clock.advance(Duration::from_secs(3600));

    let renewed = phone
        .post("/api/collections/users/auth-refresh", &json!({}))
        .ok();

    let phone = as_told(&t, &renewed);
    let listed = sessions(&phone);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["expires"], "2026-01-07 04:04:05.000Z");
    end(&phone, &listed[0]);
    assert!(!is_signed_in(&phone));
}

#[test]
fn all_others_end_together_and_the_caller_goes_on_with_a_new_token() {
    let t = TestApp::new();
    let old = t.user("ann");
    let phone = sign_in_with(&t, "phone", "ann@example.com");
    let desk = sign_in_with(&t, "desk", "ann@example.com");
    assert!(is_signed_in(&old), "a token that names no session is good");

    let told = end_others(&desk).ok();

    for ended in [&old, &phone, &desk] {
        assert!(!is_signed_in(ended));
    }
    let desk = as_told(&t, &told);
    let listed = sessions(&desk);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["device"], "desk");
    assert_eq!(end_others(&t.guest()).status, 401);
    let sue = t.superuser();
    assert_eq!(end_others(&sue).status, 403);
    let path = format!("/api/collections/users/impersonate/{}", desk.id);
    let lent = sue.post(&path, &json!({})).ok();
    end_others(&as_told(&t, &lent)).is(403, "The request requires a session of a sign-in.");
}

#[test]
fn older_sign_ins_are_one_session_that_ends_with_the_token_key() {
    let t = TestApp::new();
    let old = t.user("ann");
    let phone = sign_in_with(&t, "phone", "ann@example.com");
    assert!(is_signed_in(&old));
    t.wait(t.app.auth.flush_usage());

    let listed = sessions(&phone);
    let older = listed.iter().find(|row| row["method"] == "older").unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(end(&phone, older).status, 204);

    assert!(!is_signed_in(&old));
    assert!(!is_signed_in(&phone), "a new key ends every token");
    let again = sign_in_with(&t, "phone", "ann@example.com");
    assert_eq!(sessions(&again).len(), 1);
}

#[test]
fn a_renewed_older_sign_in_becomes_a_session_of_its_own() {
    let t = TestApp::new();
    let old = t.user("ann");
    let renewed = old
        .post("/api/collections/users/auth-refresh", &json!({}))
        .ok();
    let new = as_told(&t, &renewed);
    let listed = sessions(&new);
    let own = listed
        .iter()
        .find(|row| row["method"] == "refresh")
        .unwrap();
    end(&new, own);
    assert!(!is_signed_in(&new));
}

#[test]
fn a_password_that_changes_leaves_no_session_behind() {
    let t = TestApp::new();
    t.user("ann");
    let phone = sign_in_with(&t, "phone", "ann@example.com");
    let sue = t.superuser();
    let path = format!("/api/collections/users/records/{}", phone.id);
    let change = json!({"password": "another-one", "passwordConfirm": "another-one"});
    sue.patch(&path, &change).ok();

    assert!(!is_signed_in(&phone));
    assert_eq!(sessions(&sue).len(), 0);
}

#[test]
fn the_use_of_a_session_is_noted_now_and_then() {
    let t = TestApp::new();
    t.user("ann");
    let phone = sign_in_with(&t, "phone", "ann@example.com");
    let last_used = || {
        t.wait(t.app.auth.flush_usage());
        sessions(&phone)[0]["lastUsed"].as_str().unwrap().to_owned()
    };
    assert_eq!(last_used(), "2026-01-02 03:04:05.678Z");
    t.clock.advance(Duration::from_secs(299));
    assert_eq!(last_used(), "2026-01-02 03:04:05.678Z");
    t.clock.advance(Duration::from_secs(2));
    is_signed_in(&phone);
    assert_eq!(last_used(), "2026-01-02 03:09:06.678Z");
}

#[test]
fn a_session_of_somebody_else_or_of_nobody_is_none() {
    let t = TestApp::new();
    t.user("ann");
    t.user("bob");
    let bob = sign_in_with(&t, "tablet", "bob@example.com");
    let bobs = sessions(&bob)[0]["id"].clone();
    let catalog = t.app.store.catalog();
    let users = catalog.find("users").unwrap().clone();
    let email = burrow::kit::value::Value::text("ann@example.com");
    let find = |tx: &burrow::store::ReadTx<'_>| -> Result<_, burrow::store::StoreError> {
        tx.find_by(&users, "email", &email)
    };
    let ann = t.app.store.read_now(find).unwrap().unwrap();
    for sid in ["missing", bobs.as_str().unwrap()] {
        use burrow::auth::token::{Claims, Purpose, sign};
        let mut claims = Claims::of(&ann, Purpose::Auth, t.clock.now(), None);
        claims.refreshable = Some(true);
        claims.sid = Some(sid.into());
        let token = sign(&ann, Purpose::Auth, &claims).unwrap();
        assert!(!is_signed_in(&t.guest().with_token(&token)), "{sid}");
    }
}

#[test]
fn own_collections_are_seen_when_asked_for() {
    let t = TestApp::new();
    let sue = t.superuser();
    let names = |query: &str| {
        let list = sue
            .get(&format!("/api/collections?perPage=100{query}"))
            .ok();
        let items = list["items"].as_array().unwrap().clone();
        assert_eq!(list["totalItems"], items.len());
        items
            .iter()
            .any(|collection| collection["name"] == "_sessions")
    };
    assert!(!names(""));
    assert!(!names("&filter=system%3Dtrue"));
    assert!(names("&own=1"));
    sue.get("/api/collections/_sessions").ok();
    assert_eq!(sue.delete("/api/collections/_sessions").status, 400);
}

#[test]
fn sessions_whose_tokens_have_ended_are_swept() {
    let t = TestApp::new();
    t.user("ann");
    sign_in_with(&t, "phone", "ann@example.com");
    t.clock.advance(Duration::from_secs(6 * 24 * 3600));
    let sue = t.superuser();
    assert_eq!(sessions(&sue).len(), 1);
    sue.post("/api/crons/__pbMFACleanup__", &json!({})).ok();
    crate::support::until("it is gone", || sessions(&sue).is_empty());
}
