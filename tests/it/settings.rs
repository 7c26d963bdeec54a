//! The settings document: who sees it, how it changes, what it never tells.

use serde_json::json;

use crate::support::TestApp;

#[test]
fn only_superusers_see_and_change_settings() {
    let t = TestApp::new();
    let (guest, ann) = (t.guest(), t.user("ann"));

    for reply in [
        guest.get("/api/settings"),
        guest.patch("/api/settings", &json!({})),
    ] {
        reply.is(
            401,
            "The request requires valid record authorization token.",
        );
    }
    for reply in [
        ann.get("/api/settings"),
        ann.patch("/api/settings", &json!({})),
    ] {
        reply.is(
            403,
            "The authorized record is not allowed to perform this action.",
        );
    }
}

#[test]
fn a_patch_merges_objects_replaces_lists_and_folds_names() {
    let t = TestApp::new();
    let sue = t.superuser();

    let changed = sue
        .patch(
            "/api/settings",
            &json!({
                "META": {"AppName": "New"},
                "rateLimits": {"rules": [{"LABEL": "/api/", "duration": 1, "maxRequests": 5}]},
                "unknown": 1,
            }),
        )
        .ok();

    assert_eq!(changed["meta"]["appName"], "New");
    assert_eq!(changed["meta"]["senderName"], "Support");
    assert_eq!(changed["rateLimits"]["rules"].as_array().unwrap().len(), 1);
    assert_eq!(sue.get("/api/settings").ok(), changed);
    let zeroed = sue.patch("/api/settings", &json!({"smtp": null})).ok();
    assert_eq!(zeroed["smtp"]["port"], 0);
}

#[test]
fn secrets_are_kept_when_omitted_and_never_answered() {
    let t = TestApp::new();
    let sue = t.superuser();
    let secrets = json!({
        "smtp": {"password": "hush-smtp"},
        "s3": {"secret": "hush-s3"},
        "backups": {"s3": {"secret": "hush-backups"}},
    });

    let answer = sue.patch("/api/settings", &secrets).text();
    assert!(!answer.contains("hush") && !answer.contains("password") && !answer.contains("secret"));
    sue.patch("/api/settings", &json!({"meta": {"appName": "x"}}))
        .ok();

    let kept = t.app.settings.current();
    assert_eq!(kept.smtp.password.as_deref(), Some("hush-smtp"));
    assert_eq!(kept.s3.secret, "hush-s3");
    assert!(!sue.get("/api/settings").text().contains("hush"));
}

#[test]
fn maps_widen_the_policy_by_one_origin_for_pictures() {
    let t = TestApp::new();
    let sue = t.superuser();
    let policy = || {
        let page = t.guest().get("/_/");
        page.header("content-security-policy").to_owned()
    };
    assert!(!policy().contains("http"), "{}", policy());

    let set = |tiles: &str| sue.patch("/api/settings", &json!({"maps": {"tiles": tiles}}));
    for bad in [
        "https://tiles.example.com/{z}/{x}.png",
        "https://tiles.example.com;script-src */{z}/{x}/{y}",
        "javascript:{z}/{x}/{y}",
    ] {
        let reply = set(bad);
        assert_eq!(reply.status, 400, "{bad}");
        assert_eq!(
            reply.json()["data"]["maps"]["tiles"]["code"],
            "validation_invalid_tiles"
        );
    }
    set("https://tiles.example.com/{z}/{x}/{y}.png").ok();
    let told = policy();
    let parts: Vec<&str> = told.split(';').map(str::trim).collect();
    assert!(
        parts.contains(&"img-src 'self' data: blob: https://tiles.example.com"),
        "{told}"
    );
    assert_eq!(told.matches("http").count(), 1, "{told}");
    set("").ok();
    assert!(!policy().contains("http"));
}

#[test]
fn a_secret_does_not_follow_to_another_host() {
    let t = TestApp::new();
    let sue = t.superuser();
    let smtp = json!({"smtp": {"host": "a.example.com", "password": "hush"}});
    sue.patch("/api/settings", &smtp).ok();

    sue.patch(
        "/api/settings",
        &json!({"smtp": {"host": "evil.example.com"}}),
    )
    .ok();

    assert_eq!(t.app.settings.current().smtp.password.as_deref(), Some(""));
}

#[test]
fn what_does_not_hold_is_refused_by_key_and_changes_nothing() {
    let t = TestApp::new();
    let sue = t.superuser();
    let before = sue.get("/api/settings").ok();

    for (patch, path, code) in [
        (
            json!({"superuserIPs": ["x"]}),
            "superuserIPs.0",
            "validation_invlaid_ip_or_subnet",
        ),
        (
            json!({"meta": {"accentColor": "red"}}),
            "meta.accentColor",
            "validation_length_invalid",
        ),
        (
            json!({"meta": {"appName": ""}}),
            "meta.appName",
            "validation_required",
        ),
        (
            json!({"meta": {"appURL": "::"}}),
            "meta.appURL",
            "validation_is_url",
        ),
        (
            json!({"smtp": {"enabled": true, "port": -1}}),
            "smtp.port",
            "validation_min_greater_equal_than_required",
        ),
        (
            json!({"s3": {"enabled": true}}),
            "s3.bucket",
            "validation_required",
        ),
        (
            json!({"backups": {"cron": "* * * *"}}),
            "backups.cron",
            "validation_invalid_cron",
        ),
        (
            json!({"logs": {"maxDays": -1}}),
            "logs.maxDays",
            "validation_min_greater_equal_than_required",
        ),
        (
            json!({"rateLimits": {"enabled": true, "rules": []}}),
            "rateLimits.rules",
            "validation_required",
        ),
    ] {
        let reply = sue.patch("/api/settings", &patch);
        reply.is(400, "An error occurred while saving the new settings.");
        assert_eq!(reply.code(path), code);
    }
    for patch in [
        json!({"smtp": "x"}),
        json!({"smtp": {"port": 1.5}}),
        json!([]),
    ] {
        sue.patch("/api/settings", &patch)
            .is(400, "An error occurred while loading the submitted data.");
    }

    assert_eq!(sue.get("/api/settings").ok(), before);
}

#[test]
fn superusers_come_only_from_listed_addresses() {
    let t = TestApp::new();
    let sue = t.superuser();
    let body = json!({"superuserIPs": ["10.1.2.0/24"], "trustedProxy": {"headers": ["X-Real-IP"]}});
    sue.patch("/api/settings", &body).ok();

    sue.get("/api/health")
        .is(403, "You are not allowed to perform this request.");
    assert_eq!(t.guest().get("/api/health").status, 200);
    let listed = crate::support::Request::new("GET", "/api/health").header("X-Real-IP", "10.1.2.3");
    assert_eq!(sue.send(listed).status, 200);
}

#[test]
fn limits_count_exactly_and_survive_unrelated_changes() {
    let t = TestApp::new();
    let (sue, guest) = (t.superuser(), t.guest());
    let rules = json!([{"label": "/api/health", "duration": 60, "maxRequests": 2}]);
    let on = json!({"rateLimits": {"enabled": true, "rules": rules}});
    sue.patch("/api/settings", &on).ok();

    assert_eq!(guest.get("/api/health").status, 200);
    assert_eq!(guest.get("/api/health?x=1").status, 200);
    sue.patch("/api/settings", &json!({"meta": {"appName": "x"}}))
        .ok();
    guest.get("/api/health").is(429, "Too Many Requests.");
    assert_eq!(sue.get("/api/health").status, 200);

    t.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(guest.get("/api/health").status, 200);
}

#[test]
fn common_passwords_are_refused_where_the_settings_say_so() {
    let t = TestApp::new();
    let (sue, guest) = (t.superuser(), t.guest());
    let new = |n: usize, password: &str| {
        let body = json!({"email": format!("p{n}@example.com"), "password": password, "passwordConfirm": password});
        guest.post("/api/collections/users/records", &body)
    };
    let made = new(1, "iloveyou").ok();
    let on = json!({"accounts": {"refuseCommonPasswords": ["users"]}});
    sue.patch("/api/settings", &on).ok();

    let refused = new(2, "password");
    assert_eq!(refused.code("password"), "validation_common_password");
    new(3, "an uncommon one").ok();
    let path = format!(
        "/api/collections/users/records/{}",
        made["id"].as_str().unwrap()
    );
    let change = json!({"password": "princess", "passwordConfirm": "princess"});
    assert_eq!(
        sue.patch(&path, &change).code("password"),
        "validation_common_password"
    );
    sue.patch(&path, &json!({"name": "still there"})).ok();
    let signed_in = json!({"identity": "p1@example.com", "password": "iloveyou"});
    guest
        .post("/api/collections/users/auth-with-password", &signed_in)
        .ok();

    let check = |password: &str| {
        let body = json!({ "password": password });
        sue.post("/api/passwords/check", &body).ok()["common"].clone()
    };
    assert_eq!(check("iloveyou"), true);
    assert_eq!(check("an uncommon one"), false);
    assert_eq!(guest.post("/api/passwords/check", &json!({})).status, 401);
}
