//! Who somebody is, and how often they may try to be: the same on all servers.

use serde_json::json;

use crate::realtime::ears::{Socket, Stream, is};
use crate::realtime::world::{collection, create};
use crate::support::{Person, TestApp, until};

const RIGHT: &str = "1234567890";

fn sign_in(who: &Person, password: &str) -> crate::support::Reply {
    let body = json!({"identity": "ann@example.com", "password": password});
    who.post("/api/collections/users/auth-with-password", &body)
}

fn is_signed_in(who: &Person) -> bool {
    who.post("/api/files/token", &json!({})).status == 200
}

#[test]
fn a_token_is_good_on_every_server_and_its_session_ends_on_all() {
    let a = TestApp::node();
    let b = a.beside();
    a.user("ann");
    let signed_in = sign_in(&a.guest(), RIGHT).ok();
    let token = signed_in["token"].as_str().unwrap();
    let (here, there) = (a.guest().with_token(token), b.guest().with_token(token));
    assert!(is_signed_in(&there));
    let mut socket = Socket::of(&b, &there);

    let sessions = here.get("/api/collections/_sessions/records").ok();
    let id = sessions["items"][0]["id"].as_str().unwrap();
    let gone = here.delete(&format!("/api/collections/_sessions/records/{id}"));
    assert_eq!(gone.status, 204);

    assert!(!is_signed_in(&here), "where it was ended, at once");
    until("the session has ended on the other server", || {
        !is_signed_in(&there)
    });
    let news = socket.next();
    assert_eq!(news["type"], "signedOut", "{news}");
}

#[test]
fn guesses_on_all_servers_count_together() {
    let a = TestApp::node();
    let b = a.beside();
    a.user("ann");
    for n in 0..10 {
        let node = if n % 2 == 0 { &a } else { &b };
        assert_eq!(sign_in(&node.guest(), "wrong wrong").status, 400);
    }
    for node in [&a, &b] {
        let refused = sign_in(&node.guest(), RIGHT);
        assert_eq!(refused.status, 429);
        assert_eq!(refused.header("retry-after"), "300");
    }
    let c = a.beside();
    assert_eq!(
        sign_in(&c.guest(), RIGHT).status,
        429,
        "also of one that came later"
    );
    a.clock.advance(std::time::Duration::from_secs(301));
    assert_eq!(sign_in(&b.guest(), RIGHT).status, 200);
}

#[test]
fn a_right_password_is_forgiven_on_all_servers() {
    let a = TestApp::node();
    let b = a.beside();
    a.user("ann");
    for _ in 0..3 {
        for _ in 0..8 {
            assert_eq!(sign_in(&a.guest(), "wrong wrong").status, 400);
        }
        assert_eq!(sign_in(&b.guest(), RIGHT).status, 200);
    }
}

#[test]
fn limits_of_signing_in_are_counted_together_and_others_apart() {
    let a = TestApp::node();
    let b = a.beside();
    collection(&a, "posts", Some(""), &[]);
    a.user("ann");
    let sue = a.superuser();
    let rules = json!([
        {"label": "*:auth", "duration": 60, "maxRequests": 3},
        {"label": "posts:list", "duration": 60, "maxRequests": 3},
    ]);
    let limits = json!({"rateLimits": {"enabled": true, "rules": rules}});
    sue.patch("/api/settings", &limits).ok();
    let there = b.guest().with_token(sue.token());
    until("the other server knows the limits", || {
        there.get("/api/settings").ok()["rateLimits"]["enabled"] == true
    });

    for node in [&a, &b, &a] {
        assert_eq!(sign_in(&node.guest(), RIGHT).status, 200);
    }
    for node in [&a, &b] {
        assert_eq!(sign_in(&node.guest(), RIGHT).status, 429);
        for _ in 0..3 {
            let listed = node.guest().get("/api/collections/posts/records");
            assert_eq!(listed.status, 200);
        }
    }
}

#[test]
fn a_code_that_one_server_mailed_signs_in_on_another() {
    let a = TestApp::node();
    let b = a.beside();
    let post = crate::support::MailServer::start(crate::support::Security::None);
    let sue = a.superuser();
    sue.patch("/api/settings", &post.settings()).ok();
    let on = json!({"otp": {"enabled": true, "duration": 300, "length": 8}});
    sue.patch("/api/collections/users", &on).ok();
    a.user("ann");
    let ask = |node: &TestApp, email: &str| {
        let body = json!({"email": email});
        let path = "/api/collections/users/request-otp";
        let answer = node.guest().post(path, &body).ok();
        answer["otpId"].as_str().unwrap().to_owned()
    };
    let id = ask(&a, "ann@example.com");
    let code = post.next().code();

    let body = json!({"otpId": id, "password": code});
    let path = "/api/collections/users/auth-with-otp";
    assert_eq!(b.guest().post(path, &body).status, 200);

    // Somebody whom nobody knows is promised the same codes by all servers.
    let promised: Vec<String> = (0..12)
        .map(|n| ask(if n % 2 == 0 { &a } else { &b }, "nobody@example.com"))
        .collect();
    assert_ne!(promised[9], promised[8]);
    assert_eq!(
        promised[11], promised[9],
        "enough are good: the newest again"
    );
}

#[test]
fn a_stream_of_one_server_is_subscribed_through_another() {
    let a = TestApp::node();
    let b = a.beside();
    collection(&a, "posts", Some("@request.auth.id != ''"), &[]);
    let ann = a.user("ann");
    let there = b.guest().with_token(ann.token());
    let mut stream = Stream::open(&a);

    assert_eq!(stream.submit(&there, &["posts/*"]).status, 204);

    create(
        &b.guest().with_token(a.superuser().token()),
        "posts",
        &json!({"title": "one"}),
    );
    assert_eq!(stream.event(), is("create", "one"));
    let bob = b.guest().with_token(a.user("bob").token());
    assert_eq!(stream.submit(&bob, &["posts/*"]).status, 403, "it is Ann's");
    let unknown = json!({"clientId": "x".repeat(40), "subscriptions": ["posts/*"]});
    assert_eq!(there.post("/api/realtime", &unknown).status, 404);
}
