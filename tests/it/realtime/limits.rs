//! The settings group `realtime`, the limits it sets, and what superusers are told of connections.

use serde_json::json;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, client};

use super::ears::{Socket, Stream, dial, is};
use super::world::{collection, create};
use crate::support::{Person, TestApp};

fn set(sue: &Person, group: &serde_json::Value) {
    sue.patch("/api/settings", &json!({"realtime": group})).ok();
}

#[test]
fn the_group_is_kept_in_a_row_of_its_own() {
    let t = TestApp::new();
    let sue = t.superuser();
    let channels = json!([{"pattern": "room:*", "joinRule": "@request.auth.id != ''"}]);

    let changed = sue
        .patch(
            "/api/settings",
            &json!({"realtime": {"maxBacklog": 64, "channels": channels}}),
        )
        .ok();

    assert_eq!(changed["realtime"]["maxBacklog"], 64);
    assert_eq!(changed["realtime"]["maxSubscriptions"], 1_000);
    assert_eq!(
        changed["realtime"]["channels"],
        json!([{"pattern": "room:*", "joinRule": "@request.auth.id != ''", "publishRule": null, "presence": true}])
    );
    let row = |id: &str| {
        let rows = sue
            .post(
                "/api/sql",
                &json!({"query": format!("SELECT CAST(value AS TEXT) AS v FROM _params WHERE id = '{id}'")}),
            )
            .ok();
        rows.to_string()
    };
    assert!(row("burrow").contains("maxBacklog"), "{}", row("burrow"));
    assert!(!row("settings").contains("maxBacklog"));
    assert!(t.wait(t.app.settings.reload()).unwrap());
    assert_eq!(sue.get("/api/settings").ok(), changed);
}

#[test]
fn what_does_not_hold_is_refused() {
    let t = TestApp::new();
    let sue = t.superuser();
    for (group, path, code) in [
        (
            json!({"maxConnections": 0}),
            "realtime.maxConnections",
            "validation_out_of_range",
        ),
        (
            json!({"maxMessageBytes": 5}),
            "realtime.maxMessageBytes",
            "validation_out_of_range",
        ),
        (
            json!({"channels": [{"pattern": "a b"}]}),
            "realtime.channels.0.pattern",
            "validation_match_invalid",
        ),
        (
            json!({"channels": [{"pattern": ""}]}),
            "realtime.channels.0.pattern",
            "validation_required",
        ),
        (
            json!({"channels": [{"pattern": "a"}, {"pattern": "a"}]}),
            "realtime.channels.1.pattern",
            "validation_not_unique",
        ),
        (
            json!({"channels": [{"pattern": "a", "joinRule": "nobody = 1"}]}),
            "realtime.channels.0.joinRule",
            "validation_invalid_rule",
        ),
        (
            json!({"channels": [{"pattern": "a", "publishRule": "@channel.topic = 1"}]}),
            "realtime.channels.0.publishRule",
            "validation_invalid_rule",
        ),
    ] {
        let refused = sue.patch("/api/settings", &json!({"realtime": group}));
        assert_eq!(refused.status, 400, "{group}");
        assert_eq!(refused.code(path), code, "{group}");
    }
}

#[test]
fn a_channel_is_no_name_in_other_rules() {
    let t = TestApp::new();
    let sue = t.superuser();
    collection(&t, "posts", Some(""), &[]);

    let refused = sue.patch(
        "/api/collections/posts",
        &json!({"listRule": "@channel.name = 'x'"}),
    );

    assert_eq!(refused.status, 400);
}

#[test]
fn the_limits_of_the_settings_bind() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    set(
        &sue,
        &json!({"maxSubscriptions": 2, "maxMessageBytes": 2_000}),
    );
    let mut socket = Socket::open(&t);

    socket.subscribe("posts/*");
    socket.subscribe("posts/*");

    assert_eq!(
        socket.ask("subscribe", json!({"topic": "posts/*"}))["status"],
        400
    );
    let topics = ["posts/a", "posts/b", "posts/c"];
    assert_eq!(Stream::open(&t).submit(&t.guest(), &topics).status, 400);
    socket.say(&" ".repeat(2_001));
    assert_eq!(socket.close_code(), 1009);
}

#[test]
fn guests_do_not_use_up_the_places_of_people() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    set(&sue, &json!({"maxConnections": 2}));
    let mut first = Socket::open(&t);
    let mut ann = Socket::of(&t, &t.user("ann"));

    let bob = Socket::of(&t, &t.user("bob"));

    assert_eq!(first.close_code(), 1013);
    ann.subscribe("posts/*");
    create(&sue, "posts", &json!({"title": "on"}));
    assert_eq!(ann.event(), is("create", "on"));
    drop(bob);
}

#[test]
fn a_server_full_of_people_refuses() {
    let t = TestApp::new();
    set(&t.superuser(), &json!({"maxConnections": 1}));
    let _ann = Socket::of(&t, &t.user("ann"));

    assert_eq!(t.guest().get("/api/realtime").status, 503);
}

#[test]
fn one_address_holds_only_so_many() {
    let t = TestApp::new();
    let sue = t.superuser();
    sue.patch(
        "/api/settings",
        &json!({
            "realtime": {"maxConnectionsPerAddress": 1},
            "trustedProxy": {"headers": ["X-Real-IP"]},
        }),
    )
    .ok();
    let knock = |from: &str| {
        let uri = format!("ws://{}/api/realtime", t.address());
        let request =
            ClientRequestBuilder::new(uri.parse().unwrap()).with_header("X-Real-IP", from);
        client(request, dial(&t)).ok()
    };

    let first = knock("2001:db8::1");

    assert!(first.is_some());
    assert!(knock("2001:db8::2").is_none(), "the same /64");
    assert!(knock("2001:db8:0:1::1").is_some());
    let (here, also_here) = (Socket::open(&t), Socket::open(&t));
    drop((here, also_here));
}

#[test]
fn messages_count_as_requests_do() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let mut socket = Socket::open(&t);
    let rules = json!([{"label": "/api/realtime", "duration": 100, "maxRequests": 2}]);

    sue.patch(
        "/api/settings",
        &json!({"rateLimits": {"enabled": true, "rules": rules}}),
    )
    .ok();

    let mut ask = || socket.ask("subscribe", json!({"topic": "posts/*"}));
    assert_eq!(ask()["type"], "ok");
    assert_eq!(ask()["type"], "ok");
    assert_eq!(ask()["status"], 429);
    assert_eq!(t.guest().post("/api/realtime", &json!({})).status, 429);
}

#[test]
fn superusers_sign_in_only_from_their_addresses() {
    let t = TestApp::new();
    let sue = t.superuser();
    // Ann may still be asked; whoever changes this locks himself out, as over HTTP.
    sue.patch("/api/settings", &json!({"superuserIPs": ["127.0.0.1"]}))
        .ok();
    let mut near = Socket::of(&t, &sue);
    assert_eq!(near.ask("ping", json!({}))["type"], "ok");
    t.wait(t.app.settings.edit(|settings| {
        settings.superuser_ips = vec!["10.0.0.1".to_owned()];
    }))
    .unwrap();
    let mut far = Socket::open(&t);

    let refused = far.ask("auth", json!({"token": sue.token()}));

    assert_eq!(refused["status"], 403, "{refused}");
}

#[test]
fn only_superusers_see_the_numbers_and_no_secret_is_among_them() {
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let (sue, ann) = (t.superuser(), t.user("ann"));
    let mut socket = Socket::of(&t, &ann);
    socket.subscribe("posts/*");
    socket.subscribe("posts/abc");
    let mut stream = Stream::of(&t, &t.guest(), &["posts/*"]);
    create(&sue, "posts", &json!({"title": "one"}));
    assert_eq!(socket.event(), is("create", "one"));
    assert_eq!(stream.event(), is("create", "one"));

    assert_eq!(t.guest().get("/api/realtime/stats").status, 401);
    assert_eq!(ann.get("/api/realtime/stats").status, 403);
    let stats = sue.get("/api/realtime/stats").ok();

    assert_eq!(stats["connections"]["webSocket"], 1);
    assert_eq!(stats["connections"]["sse"], 1);
    assert_eq!(stats["connections"]["signedIn"], 1);
    assert_eq!(stats["subscriptions"]["total"], 3);
    assert_eq!(
        stats["subscriptions"]["topics"][0],
        json!({"topic": "posts/*", "subscriptions": 2})
    );
    assert_eq!(stats["totals"]["events"], 1);
    assert_eq!(stats["lag"]["changes"], 0);
    let latest = stats["connections"]["latest"].as_array().unwrap();
    assert!(
        latest
            .iter()
            .any(|seen| seen["recordId"] == ann.id.as_str())
    );
    let text = stats.to_string();
    assert!(!text.contains(&stream.id));
    assert!(!text.contains(socket.hello["clientId"].as_str().unwrap()));
}
