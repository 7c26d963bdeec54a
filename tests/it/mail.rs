//! How mails leave: by real SMTP on loopback, by `sendmail`, later, or not at all.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::support::{MailServer, Person, Reply, Request, Security, TestApp, until};

fn test_mail(sue: &Person, body: &Json) -> Reply {
    sue.post("/api/settings/test/email", body)
}

fn otp_to(address: &str) -> Json {
    json!({"email": address, "template": "otp"})
}

/// A server that trusts the mail server's certificate and sends to it.
fn trusting(security: Security) -> (TestApp, MailServer, Person) {
    let post = MailServer::start(security);
    let file = std::env::temp_dir().join(format!("burrow-it-ca-{}.pem", post.port()));
    post.write_certificate(&file);
    let t = TestApp::configured(|config| config.mail_ca = Some(file.clone()));
    std::fs::remove_file(file).unwrap();
    let sue = t.superuser();
    sue.patch("/api/settings", &post.settings()).ok();
    (t, post, sue)
}

#[test]
fn every_template_can_be_tried() {
    let (_t, post, sue) = TestApp::with_mail();
    for (template, subject, content) in [
        (
            "verification",
            "Verify your Acme email",
            "/_/#/auth/confirm-verification/ey",
        ),
        (
            "password-reset",
            "Reset your Acme password",
            "/_/#/auth/confirm-password-reset/ey",
        ),
        (
            "email-change",
            "Confirm your Acme new email address",
            "/_/#/auth/confirm-email-change/ey",
        ),
        ("otp", "OTP for Acme", "123456"),
        (
            "login-alert",
            "Login from a new location",
            "TEST_IP TEST_USER_AGENT",
        ),
    ] {
        let body = json!({"email": "x@example.com", "template": template, "collection": "users"});
        assert_eq!(test_mail(&sue, &body).status, 204, "{template}");

        let mail = post.next();
        assert_eq!(mail.to, ["x@example.com"]);
        assert_eq!(mail.header("Subject"), subject);
        assert_eq!(mail.header("From"), "Support <support@example.com>");
        assert!(mail.header("Message-ID").ends_with("@example.com>"));
        assert!(mail.text.contains(content), "{}", mail.text);
        assert!(mail.text.contains("text/plain") && mail.text.contains("text/html"));
    }
}

#[test]
fn a_test_mail_that_cannot_be_asked_for_is_refused_by_key() {
    let (t, post, sue) = TestApp::with_mail();
    for (body, field, code) in [
        (json!({"template": "otp"}), "email", "validation_required"),
        (
            json!({"template": "otp", "email": "x"}),
            "email",
            "validation_is_email",
        ),
        (
            json!({"email": "x@example.com"}),
            "template",
            "validation_required",
        ),
        (
            json!({"email": "x@example.com", "template": "x"}),
            "template",
            "validation_in_invalid",
        ),
        (
            json!({"email": "x@example.com", "template": "otp", "collection": "_mfas"}),
            "collection",
            "validation_invalid_auth_collection",
        ),
    ] {
        let reply = test_mail(&sue, &body);
        reply.is(400, "Failed to send the test email.");
        assert_eq!(reply.code(field), code, "{body}");
    }
    let ann = t.user("ann");
    assert_eq!(test_mail(&ann, &otp_to("x@example.com")).status, 403);
    assert_eq!(test_mail(&t.guest(), &otp_to("x@example.com")).status, 401);
    assert_eq!(post.waiting(), 0);
}

#[test]
fn tls_is_used_from_the_first_byte_or_where_the_server_offers_it() {
    for (security, secure) in [
        (Security::Tls, true),
        (Security::StartTls, true),
        (Security::None, false),
    ] {
        let (_t, post, sue) = trusting(security);
        let reply = test_mail(&sue, &otp_to("x@example.com"));
        assert_eq!(reply.status, 204, "{security:?} {}", reply.text());
        assert_eq!(post.next().secure, secure, "{security:?}");
    }
}

#[test]
fn a_certificate_of_nobody_known_is_refused() {
    for security in [Security::Tls, Security::StartTls] {
        let post = MailServer::start(security);
        let t = TestApp::new();
        let sue = t.superuser();
        sue.patch("/api/settings", &post.settings()).ok();
        let reply = test_mail(&sue, &otp_to("x@example.com"));
        assert_eq!(reply.status, 400, "{security:?}");
        assert_eq!(post.waiting(), 0);
    }
}

#[test]
fn who_has_a_password_signs_in_with_it() {
    for (method, expected) in [("", "PLAIN"), ("PLAIN", "PLAIN"), ("LOGIN", "LOGIN")] {
        let (_t, post, sue) = trusting(Security::StartTls);
        let smtp = json!({"username": "postman", "password": "s3cret", "authMethod": method});
        sue.patch("/api/settings", &json!({"smtp": smtp})).ok();

        let reply = test_mail(&sue, &otp_to("x@example.com"));

        assert_eq!(reply.status, 204, "{}", reply.text());
        let login = (
            expected.to_owned(),
            "postman".to_owned(),
            "s3cret".to_owned(),
        );
        assert_eq!(post.next().login, Some(login));
    }
}

#[test]
fn a_password_does_not_cross_a_network_in_the_clear() {
    // The name is not one of this machine's, though it leads here.
    let (_t, post, sue) = TestApp::with_mail();
    let smtp = json!({"host": "127.0.0.2", "username": "postman", "password": "s3cret"});
    sue.patch("/api/settings", &json!({"smtp": smtp})).ok();
    let reply = test_mail(&sue, &otp_to("x@example.com"));
    assert_eq!(reply.status, 400);
    assert_eq!(post.waiting(), 0);
}

#[test]
fn without_smtp_the_local_program_is_used() {
    let t = TestApp::new();
    let sue = t.superuser();
    // A machine that has the program would really send.
    if !t.app.config.sendmail.iter().any(|path| path.exists()) {
        let reply = test_mail(&sue, &otp_to("x@example.com"));
        reply.is(
            400,
            "Failed to send the test email. Raw error: \nfailed to locate a sendmail executable path.",
        );
    }
    drop(t);

    let root = std::env::temp_dir().join(format!("burrow-it-sendmail-{}", std::process::id()));
    std::fs::create_dir_all(&root).unwrap();
    let (program, written) = (root.join("sendmail"), root.join("mail"));
    let script = format!(
        "#!/bin/sh\necho \"$@\" > {0}\ncat >> {0}\n",
        written.display()
    );
    std::fs::write(&program, script).unwrap();
    std::process::Command::new("chmod")
        .arg("+x")
        .arg(&program)
        .status()
        .unwrap();
    let t = TestApp::configured(|config| config.sendmail = vec![program]);
    let sue = t.superuser();

    let reply = test_mail(&sue, &otp_to("x@example.com"));

    assert_eq!(reply.status, 204, "{}", reply.text());
    let mail = std::fs::read_to_string(written).unwrap();
    assert!(mail.contains("x@example.com") && mail.contains("Subject: OTP for Acme"));
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let (t, post, sue) = TestApp::with_mail();
    t.user("ann");
    let ask = || {
        let body = json!({"email": "ann@example.com"});
        let path = "/api/collections/users/request-password-reset";
        t.guest().post(path, &body)
    };

    post.refuse(&["451 try again later"]);
    assert_eq!(ask().status, 204);
    assert_eq!(post.next().to, ["ann@example.com"]);

    t.clock.advance(Duration::from_secs(121));
    post.refuse(&["550 never"]);
    assert_eq!(ask().status, 204);
    post.has_refused(2);
    let failures = || {
        t.wait(t.app.logs.flush());
        sue.get("/api/logs?filter=data.type%3D%22mail%22").ok()
    };
    until("the log tells", || failures()["totalItems"] == 1);
    let failed = failures()["items"][0].clone();
    assert_eq!(failed["level"], 8);
    assert_eq!(failed["message"], "Failed to send the password reset mail.");
    let text = failed.to_string();
    assert!(
        text.contains("never") && !text.contains("ann@example.com"),
        "{text}"
    );
    assert!(!text.contains("eyJ"), "no token is in the log");

    // Nothing was sent, and so the next request is not too early.
    assert_eq!(ask().status, 204);
    assert_eq!(post.next().to, ["ann@example.com"]);
}

#[test]
fn placeholders_are_filled_once_and_values_are_escaped() {
    let (t, post, sue) = TestApp::with_mail();
    let template = json!({
        "subject": "{RECORD:name} {RECORD:tokenKey} {RECORD:nothing} {OTP}",
        "body": "<p>{APP_NAME} {APP_URL} {RECORD:email} {RECORD:verified} {RECORD:password} {RECORD:name}</p>{TOKEN}",
    });
    let change = json!({"verificationTemplate": template});
    sue.patch("/api/collections/users", &change).ok();
    let odd = json!({
        "email": "odd@example.com", "password": "1234567890", "passwordConfirm": "1234567890",
        "name": "<i>{TOKEN}</i>\r\nBcc: x@example.com",
    });
    t.guest().create("users", &odd);

    let body = json!({"email": "odd@example.com"});
    let request = Request::new("POST", "/api/collections/users/request-verification")
        .header("Origin", "http://evil.example")
        .header("X-Forwarded-Host", "evil.example")
        .json(&body);
    let asked = t.guest().send(request);
    assert_eq!(asked.status, 204);

    let mail = post.next();
    assert_eq!(mail.to, ["odd@example.com"]);
    assert_eq!(
        mail.header("Subject"),
        "&lt;i&gt;{TOKEN}&lt;/i&gt; Bcc: x@example.com {RECORD:tokenKey} {RECORD:nothing} {OTP}"
    );
    let shown = "Acme http://localhost:8090 odd@example.com false {RECORD:password} &lt;i&gt;{TOKEN}&lt;/i&gt;";
    assert!(mail.text.contains(shown), "{}", mail.text);
    assert!(
        !mail.text.contains("evil.example"),
        "links lead to the configured address"
    );
}
