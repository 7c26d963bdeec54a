//! Many writes in one transaction.

use serde_json::{Value as Json, json};

use crate::support::{Request, TestApp};

fn world(t: &TestApp) {
    t.collection(&json!({
        "name": "notes", "listRule": "", "viewRule": "", "createRule": "", "updateRule": "", "deleteRule": "",
        "fields": [
            {"name": "title", "type": "text", "required": true},
            {"name": "n", "type": "number"},
            {"name": "doc", "type": "file"},
        ],
    }));
    t.superuser()
        .patch(
            "/api/settings",
            &json!({"batch": {"enabled": true, "maxRequests": 10}}),
        )
        .ok();
}

const NOTES: &str = "/api/collections/notes/records";

fn total(t: &TestApp) -> Json {
    t.guest().get(NOTES).ok()["totalItems"].clone()
}

#[test]
fn later_requests_see_earlier_ones() {
    let t = TestApp::new();
    world(&t);

    let answers = t
        .guest()
        .post(
            "/api/batch",
            &json!({"requests": [
                {"method": "POST", "url": format!("{NOTES}?fields=id"), "body": {"id": "n00000000000001", "title": "a"}},
                {"method": "PUT", "url": format!("{NOTES}?fields=n"), "body": {"id": "n00000000000001", "n+": 5}},
                {"method": "PATCH", "url": format!("{NOTES}/n00000000000001?fields=n,title"), "body": {"n+": 2}},
                {"method": "DELETE", "url": format!("{NOTES}/n00000000000001")},
            ]}),
        )
        .ok();

    assert_eq!(
        answers,
        json!([
            {"body": {"id": "n00000000000001"}, "status": 200},
            {"body": {"n": 5}, "status": 200},
            {"body": {"n": 7, "title": "a"}, "status": 200},
            {"body": null, "status": 204},
        ])
    );
    assert_eq!(total(&t), 0);
}

#[test]
fn the_first_failure_undoes_everything_and_is_the_only_one_named() {
    let t = TestApp::new();
    world(&t);

    let reply = t.guest().send(
        Request::new("POST", "/api/batch").multipart(
            &[(
                "@jsonPayload",
                &json!({"requests": [
                    {"method": "POST", "url": NOTES, "body": {"title": "a"}},
                    {"method": "POST", "url": NOTES, "body": {}},
                    {"method": "GET", "url": NOTES},
                ]})
                .to_string(),
            )],
            &[("requests.0.doc", "a.txt", b"content")],
        ),
    );

    reply.is(400, "Batch transaction failed.");
    let requests = &reply.json()["data"]["requests"];
    assert_eq!(requests.as_object().unwrap().len(), 1);
    assert_eq!(requests["1"]["code"], "batch_request_failed");
    assert_eq!(
        requests["1"]["response"]["data"]["title"]["code"],
        "validation_required"
    );
    assert_eq!(total(&t), 0);
}

#[test]
fn an_inner_header_does_not_say_who_asks() {
    let t = TestApp::new();
    world(&t);
    t.collection(&json!({"name": "locked", "fields": [{"name": "title", "type": "text"}]}));
    let sue = t.signed_in("_superusers", "root@example.com");

    let reply = t.guest().post(
        "/api/batch",
        &json!({"requests": [{
            "method": "POST", "url": "/api/collections/locked/records", "body": {"title": "x"},
            "headers": {"Authorization": sue.token()},
        }]}),
    );

    reply.is(400, "Batch transaction failed.");
    assert_eq!(
        reply.json()["data"]["requests"]["0"]["response"]["status"],
        403
    );
}

#[test]
fn the_envelope_is_checked_before_anything_is_done() {
    let t = TestApp::new();
    world(&t);
    let guest = t.guest();
    let ask = |requests: Json| guest.post("/api/batch", &json!({"requests": requests}));

    ask(json!([])).is(400, "Invalid batch request data.");
    let errors = ask(json!([{"method": "post", "url": ""}])).json();
    assert_eq!(
        errors["data"]["requests"]["0"]["method"]["code"],
        "validation_in_invalid"
    );
    assert_eq!(
        errors["data"]["requests"]["0"]["url"]["code"],
        "validation_required"
    );
    let many: Vec<Json> = (0..11)
        .map(|_| json!({"method": "POST", "url": NOTES}))
        .collect();
    let errors = ask(Json::from(many)).json();
    assert_eq!(
        errors["data"]["requests"]["code"],
        "validation_length_too_long"
    );
    ask(json!([1])).is(400, "Failed to read the submitted batch data.");
    for url in [
        "http://x/api/collections/notes/records",
        "/api/collections/notes/records/",
        "/api/settings",
    ] {
        let reply = ask(json!([{"method": "POST", "url": url, "body": {"title": "a"}}]));
        assert_eq!(reply.status, 400, "{url}");
    }
    assert_eq!(total(&t), 0);
}

#[test]
fn a_password_set_by_a_batch_can_be_proven_in_it() {
    let t = TestApp::new();
    world(&t);
    let sue = t.superuser_again();
    let open = json!({"createRule": "", "updateRule": ""});
    sue.patch("/api/collections/users", &open).ok();
    let users = "/api/collections/users/records";
    let one = format!("{users}/u00000000000001");
    let change = |old: &str, new: &str| {
        let body = json!({"oldPassword": old, "password": new, "passwordConfirm": new});
        json!({"method": "PATCH", "url": one, "body": body})
    };
    let create = json!({"method": "POST", "url": users, "body": {
        "id": "u00000000000001", "email": "new@example.com",
        "password": "first password", "passwordConfirm": "first password",
    }});
    let ask = |requests: Json| t.guest().post("/api/batch", &json!({"requests": requests}));

    let wrong = ask(json!([
        create,
        change("another password", "second password")
    ]));
    let reply = &wrong.json()["data"]["requests"]["1"]["response"];
    assert_eq!(
        reply["data"]["oldPassword"]["code"],
        "validation_invalid_old_password"
    );
    let steps = [
        create.clone(),
        change("first password", "second password"),
        change("second password", "third password"),
    ];
    ask(json!(steps)).ok();

    let body = json!({"identity": "new@example.com", "password": "third password"});
    t.guest()
        .post("/api/collections/users/auth-with-password", &body)
        .ok();
    let stale = ask(json!([change("second password", "fourth password")]));
    assert_eq!(stale.status, 400);
    ask(json!([change("third password", "fourth password")])).ok();
}
