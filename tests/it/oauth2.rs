//! Sign-in by OAuth2 with a provider that lies, stumbles and is replayed: what must leave no session, link or account.

use serde_json::{Value as Json, json};

use crate::realtime::ears::Stream;
use crate::support::{FakeProvider, Person, Reply, Request, Said, TestApp};

const URL: &str = "/api/collections/members/auth-with-oauth2";
/// A picture of one pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\
    \xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

struct World {
    t: TestApp,
    provider: FakeProvider,
}

impl World {
    fn new() -> Self {
        Self::over(TestApp::new(), &json!({}))
    }

    fn over(t: TestApp, more: &Json) -> Self {
        let provider = FakeProvider::start();
        let mut config = provider.config();
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        t.collection(&json!({
            "type": "auth", "name": "members",
            "listRule": "", "viewRule": "", "createRule": "", "updateRule": "id = @request.auth.id",
            "fields": [
                // Some providers tell no address.
                {"name": "email", "type": "email", "required": false},
                {"name": "name", "type": "text"},
                {"name": "nick", "type": "text", "pattern": "^[a-z]*$", "autogeneratePattern": "m[a-z]{6}"},
                {"name": "role", "type": "text", "hidden": true},
                {"name": "picture", "type": "file", "maxSize": 1000},
            ],
            "oauth2": {
                "enabled": true,
                "mappedFields": {"name": "name", "username": "nick", "avatarURL": "picture"},
                "providers": [config],
            },
        }));
        Self { t, provider }
    }

    #[expect(clippy::needless_pass_by_value, reason = "written where it is sent")]
    fn come(&self, who: &Person, body: Json) -> Reply {
        let mut form = json!({"provider": "oidc", "code": "c"});
        for (key, value) in body.as_object().unwrap() {
            form[key] = value.clone();
        }
        who.post(URL, &form)
    }

    /// Accounts and links.
    fn left(&self) -> (u64, u64) {
        let admin = self.t.superuser_again();
        let count = |collection: &str| {
            admin
                .get(&format!("/api/collections/{collection}/records"))
                .ok()["totalItems"]
                .as_u64()
                .unwrap()
        };
        (count("members"), count("_externalAuths"))
    }
}

fn ann() -> Json {
    json!({"sub": "ann", "name": "Ann", "preferred_username": "annie", "email": "ann@example.com", "email_verified": true})
}

#[test]
fn a_new_person_gets_an_account_of_what_the_provider_says() {
    let world = World::new();
    world.provider.visitor(&ann());

    let answer = world
        .come(
            &world.t.guest(),
            json!({"codeVerifier": "v", "redirectURL": "http://back"}),
        )
        .ok();

    assert_eq!(answer["record"]["email"], "ann@example.com");
    assert_eq!(answer["record"]["verified"], true);
    assert_eq!(answer["record"]["name"], "Ann");
    assert_eq!(answer["record"]["nick"], "annie");
    assert_eq!(answer["meta"]["isNew"], true);
    assert_eq!(answer["meta"]["rawUser"], ann());
    assert_eq!(answer["meta"]["accessToken"], "t");
    assert_eq!(answer["meta"]["expiry"], "");
    let asked = world.provider.asked();
    assert_eq!(asked.len(), 2);
    let (head, form) = &asked[0];
    assert!(
        head.to_lowercase()
            .contains("authorization: basic awq6c2vjcmv0"),
        "{head}"
    );
    assert_eq!(
        form,
        "code=c&code_verifier=v&grant_type=authorization_code&redirect_uri=http%3A%2F%2Fback"
    );
    assert!(
        asked[1]
            .0
            .to_lowercase()
            .contains("authorization: bearer t")
    );
    assert_eq!(world.left(), (1, 1));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list: one entry an answer")]
fn forged_and_broken_answers_leave_nothing_behind() {
    let world = World::new();
    let guest = world.t.guest();
    let html = || Said::new("text/html", "<script>alert(1)</script>");
    let token = json!({"access_token": "t"});
    for (path, said, message) in [
        ("/token", Said::json(&json!({})), "token"),
        ("/token", Said::json(&json!({"access_token": ""})), "token"),
        (
            "/token",
            Said::json(&json!({"access_token": ["t"]})),
            "token",
        ),
        ("/token", Said::json(&json!([token])), "token"),
        ("/token", Said::json(&token).status(400), "token"),
        (
            "/token",
            Said::json(&token)
                .status(302)
                .header("Location", &world.provider.url("/other")),
            "token",
        ),
        (
            "/token",
            Said::json(&json!({"error": "invalid_grant"})).status(400),
            "token",
        ),
        ("/token", html(), "token"),
        (
            "/token",
            Said::new("application/json", "x".repeat(2 << 20)),
            "token",
        ),
        (
            "/token",
            Said::json(&token).header("Content-Encoding", "gzip"),
            "token",
        ),
        ("/user", html(), "user"),
        ("/user", Said::json(&ann()).status(401), "user"),
        ("/user", Said::json(&json!({"name": "Nobody"})), "user"),
        ("/user", Said::json(&json!({"sub": ""})), "user"),
        ("/user", Said::json(&json!({"sub": null})), "user"),
        ("/user", Said::json(&json!({"sub": {"id": 1}})), "user"),
        ("/user", Said::json(&json!([ann()])), "user"),
        (
            "/user",
            Said::new("application/json", vec![b'['; 1 << 19]),
            "user",
        ),
        (
            "/user",
            Said::json(&ann()).header("Content-Encoding", "br"),
            "user",
        ),
        (
            "/user",
            Said::json(&ann())
                .status(302)
                .header("Location", "file:///etc/passwd"),
            "user",
        ),
        (
            "/user",
            Said::json(&ann())
                .status(302)
                .header("Location", &world.provider.url("/user")),
            "user",
        ),
    ] {
        world.provider.say("/token", Said::json(&token));
        world.provider.visitor(&ann());
        world.provider.say(path, said);
        let reply = world.come(&guest, json!({}));
        reply.is(400, &format!("Failed to fetch OAuth2 {message}."));
        assert_eq!(reply.json()["data"], json!({}));
    }
    assert_eq!(world.left(), (0, 0));
}

#[test]
fn forms_that_do_not_hold_ask_nobody() {
    let world = World::over(
        TestApp::new(),
        &json!({"extra": {"redirectURLs": ["https://app.example.com/back"]}}),
    );
    let guest = world.t.guest();
    world.provider.visitor(&ann());
    let good = "https://app.example.com/back";
    for (form, path, code) in [
        (
            json!({"provider": "", "redirectURL": good}),
            "provider",
            "validation_required",
        ),
        (
            json!({"code": "", "redirectURL": good}),
            "code",
            "validation_required",
        ),
        (
            json!({"provider": "github", "redirectURL": good}),
            "provider",
            "validation_invalid_provider",
        ),
        (json!({}), "redirectURL", "validation_in_invalid"),
        (
            json!({"redirectURL": "https://app.example.com/back/"}),
            "redirectURL",
            "validation_in_invalid",
        ),
        (
            json!({"redirectUrl": "https://evil.example.com"}),
            "redirectURL",
            "validation_in_invalid",
        ),
    ] {
        let reply = world.come(&guest, form);
        reply.is(400, "An error occurred while loading the submitted data.");
        assert_eq!(reply.code(path), code);
    }
    world
        .come(&guest, json!({"createData": "x"}))
        .is(400, "An error occurred while loading the submitted data.");
    assert!(world.provider.asked().is_empty());
    world.come(&guest, json!({"redirectURL": good})).ok();
}

#[test]
fn submitted_values_are_those_of_the_callers_own_create() {
    let world = World::new();
    let guest = world.t.guest();
    let admin = world.t.superuser();
    world.provider.visitor(&ann());
    let mine = "x".repeat(50);

    let refused = world.come(&guest, json!({"createData": {"verified": true}}));
    assert_eq!(refused.code("verified"), "validation_values_mismatch");
    let short = world.come(
        &guest,
        json!({"createData": {"password": "short", "passwordConfirm": "short"}}),
    );
    assert_eq!(short.code("password"), "validation_min_text_constraint");
    let unlike = world.come(
        &guest,
        json!({"createData": {"password": "1234567890", "passwordConfirm": "other"}}),
    );
    assert_eq!(unlike.code("passwordConfirm"), "validation_values_mismatch");
    let odd = world.come(&guest, json!({"createData": {"picture": "planted.png"}}));
    assert_eq!(odd.code("picture"), "validation_invalid_file");
    assert_eq!(world.left(), (0, 0));

    let data =
        json!({"email": "other@example.com", "tokenKey": mine, "role": "admin", "nick": "chosen"});
    let made = world.come(&guest, json!({"createData": data})).ok();

    // The provider vouches for its own address, not for the submitted one.
    assert_eq!(made["record"]["verified"], false);
    assert_eq!(made["record"]["email"], "other@example.com");
    assert_eq!(made["record"]["nick"], "chosen");
    let id = made["record"]["id"].as_str().unwrap();
    let seen = admin
        .get(&format!("/api/collections/members/records/{id}"))
        .ok();
    assert_eq!(seen["role"], "");
    let members = world.t.app.store.catalog().find("members").unwrap().clone();
    let id = id.to_owned();
    let read = world
        .t
        .app
        .store
        .read_now(move |tx| -> Result<_, burrow::store::StoreError> { tx.find(&members, &id) });
    assert_ne!(read.unwrap().unwrap().text("tokenKey"), mine);
}

#[test]
fn the_create_rule_sees_the_context_and_a_locked_one_takes_nobody() {
    let world = World::new();
    let admin = world.t.superuser();
    world.provider.visitor(&ann());
    let rule = |rule: Json| {
        admin
            .patch("/api/collections/members", &json!({ "createRule": rule }))
            .ok();
    };

    rule(Json::Null);
    world
        .come(&world.t.guest(), json!({}))
        .is(403, "Only superusers can perform this action.");
    rule(json!("@request.context != 'oauth2'"));
    world
        .come(&world.t.guest(), json!({}))
        .is(400, "Failed to create record.");
    assert_eq!(world.left(), (0, 0));
    rule(json!(
        "@request.context = 'oauth2' && @request.body.name = 'Ann'"
    ));
    world.come(&world.t.guest(), json!({})).ok();
}

#[test]
fn whoever_did_not_prove_the_address_is_out_with_everything_they_planted() {
    let world = World::new();
    let admin = world.t.superuser();
    let mal = world.t.signed_in("members", "ann@example.com");
    let members = world
        .t
        .app
        .store
        .catalog()
        .find("members")
        .unwrap()
        .id
        .as_str()
        .to_owned();
    for (collection, more) in [
        (
            "_externalAuths",
            json!({"provider": "github", "providerId": "mal"}),
        ),
        ("_otps", json!({"password": "12345678"})),
        ("_mfas", json!({"method": "password"})),
        ("_authOrigins", json!({"fingerprint": "f"})),
    ] {
        let mut row = json!({"collectionRef": members, "recordRef": mal.id});
        for (key, value) in more.as_object().unwrap() {
            row[key] = value.clone();
        }
        admin.create(collection, &row);
    }
    mal.post("/api/files/token", &json!({})).ok();
    world.provider.visitor(&ann());

    let answer = world.come(&world.t.guest(), json!({})).ok();

    assert_eq!(answer["record"]["id"], mal.id.as_str());
    assert_eq!(answer["record"]["verified"], true);
    assert_eq!(answer["meta"]["isNew"], false);
    assert_eq!(mal.post("/api/files/token", &json!({})).status, 401);
    let by_password = json!({"identity": "ann@example.com", "password": "1234567890"});
    mal.post("/api/collections/members/auth-with-password", &by_password)
        .is(400, "Failed to authenticate.");
    for (collection, left) in [
        ("_externalAuths", 1),
        ("_otps", 0),
        ("_mfas", 0),
        ("_authOrigins", 1),
    ] {
        let list = admin
            .get(&format!("/api/collections/{collection}/records"))
            .ok();
        assert_eq!(list["totalItems"], left, "{collection}");
    }
    let links = admin.get("/api/collections/_externalAuths/records").ok();
    assert_eq!(links["items"][0]["provider"], "oidc");
}

#[test]
fn an_account_that_was_proven_is_only_linked() {
    let world = World::new();
    let admin = world.t.superuser();
    let owner = world.t.signed_in("members", "ann@example.com");
    let path = format!("/api/collections/members/records/{}", owner.id);
    admin.patch(&path, &json!({"verified": true})).ok();
    world.provider.visitor(&ann());

    world.come(&world.t.guest(), json!({})).ok();

    owner.post("/api/files/token", &json!({})).ok();
    let by_password = json!({"identity": "ann@example.com", "password": "1234567890"});
    owner
        .post("/api/collections/members/auth-with-password", &by_password)
        .ok();
}

#[test]
fn one_account_takes_one_person_of_a_provider() {
    let world = World::new();
    let ann_here = world.t.signed_in("members", "here@example.com");
    let path = format!("/api/collections/members/records/{}", ann_here.id);
    let admin = world.t.superuser();
    admin.patch(&path, &json!({"verified": true})).ok();
    world.provider.visitor(&json!({"sub": "one"}));
    world.come(&ann_here, json!({})).ok();
    world.provider.visitor(&json!({"sub": "two"}));

    let reply = world.come(&ann_here, json!({}));

    reply.is(400, "Failed to authenticate.");
    for field in ["collectionRef", "provider", "recordRef"] {
        assert_eq!(reply.code(field), "validation_not_unique");
    }
    assert_eq!(world.left(), (1, 1));
    // Somebody else's person does not become theirs either.
    let bob = world.t.signed_in("members", "bob@example.com");
    world.provider.visitor(&json!({"sub": "one"}));
    let answer = world.come(&bob, json!({})).ok();
    assert_eq!(answer["record"]["id"], ann_here.id.as_str());
    assert_eq!(world.left(), (2, 1));
}

#[test]
fn only_a_sign_in_of_ones_own_links_a_person() {
    let world = World::new();
    let (t, sue) = (&world.t, world.t.superuser());
    let here = t.signed_in("members", "here@example.com");
    let lent = sue.post(
        &format!("/api/collections/members/impersonate/{}", here.id),
        &json!({}),
    );
    let lent = lent.ok()["token"].as_str().unwrap().to_owned();
    let files = here.post("/api/files/token", &json!({})).ok()["token"].clone();
    let wish = json!({"name": "key", "password": "1234567890", "scopes": {"members": "*"}});
    let key = here.post("/api/collections/members/api-keys", &wish).ok()["key"].clone();
    let elsewhere = t.user("ann");
    for (n, token) in [
        lent.as_str(),
        files.as_str().unwrap(),
        key.as_str().unwrap(),
        elsewhere.token(),
    ]
    .into_iter()
    .enumerate()
    {
        world
            .provider
            .visitor(&json!({"sub": format!("person {n}")}));
        let answer = world.come(&t.guest().with_token(token), json!({}));
        // Whoever comes is somebody new, or nobody: never who the token is of.
        if answer.status == 200 {
            assert_ne!(answer.json()["record"]["id"], here.id.as_str(), "{n}");
        }
    }
    world.provider.visitor(&json!({"sub": "the right one"}));
    let linked = world.come(&here, json!({})).ok();
    assert_eq!(linked["record"]["id"], here.id.as_str());
}

#[test]
fn a_person_who_comes_many_times_at_once_gets_one_account() {
    let world = World::new();
    for claims in [ann(), json!({"sub": "quiet"})] {
        let before = world.left();
        world.provider.visitor(&claims);
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    let status = world.come(&world.t.guest(), json!({})).status;
                    assert!(status == 200 || status == 400, "{status}");
                });
            }
        });
        assert_eq!(world.left(), (before.0 + 1, before.1 + 1));
        world.come(&world.t.guest(), json!({})).ok();
    }
}

#[test]
fn pictures_come_from_out_in_the_world_or_not_at_all() {
    let world = World::new();
    let guest = world.t.guest();
    let port = world.provider.address.port();
    world.provider.say("/p.png", Said::new("image/png", PNG));
    for (n, url) in [
        world.provider.url("/p.png"),
        format!("http://localhost:{port}/p.png"),
        format!("http://localhost.:{port}/p.png"),
        format!("http://2130706433:{port}/p.png"),
        format!("http://0177.0.0.1:{port}/p.png"),
        format!("http://0x7f.1:{port}/p.png"),
        format!("http://0.0.0.0:{port}/p.png"),
        format!("http://[::ffff:127.0.0.1]:{port}/p.png"),
        format!("http://[::1]:{port}/p.png"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
        "no url".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        world.provider.asked();
        world
            .provider
            .visitor(&json!({"sub": format!("{n}"), "picture": url}));
        let made = world.come(&guest, json!({})).ok();
        assert_eq!(made["record"]["picture"], "", "{url}");
        assert_eq!(world.provider.asked().len(), 2, "{url}");
    }
}

#[test]
fn only_pictures_that_the_field_takes_are_kept() {
    let open = "127.0.0.0/8".parse().unwrap();
    let t = TestApp::configured(|config| config.open_networks = vec![open]);
    let world = World::over(t, &json!({}));
    let guest = world.t.guest();
    let to = |path: &str| {
        Said::new("text/plain", "")
            .status(302)
            .header("Location", path)
    };
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    for (n, (said, kept)) in [
        (Said::new("image/png", PNG), true),
        (Said::new("application/octet-stream", PNG), true),
        (to("/again.png"), true),
        (Said::new("image/png", "<!doctype html><p>hi"), false),
        (Said::new("image/svg+xml", svg), false),
        (Said::new("image/png", [PNG, &[0; 1000]].concat()), false),
        (
            Said::new("image/png", PNG).header("Content-Encoding", "gzip"),
            false,
        ),
        (Said::new("image/png", PNG).status(404), false),
        (to("/p.png"), false),
        (to("http://169.254.169.254/"), false),
        (to("http://10.0.0.1/"), false),
        (to("file:///etc/passwd"), false),
        (to("http://[fe80::1]/"), false),
    ]
    .into_iter()
    .enumerate()
    {
        world
            .provider
            .say("/again.png", Said::new("image/png", PNG));
        world.provider.say("/p.png", said);
        let picture = world.provider.url("/p.png");
        world
            .provider
            .visitor(&json!({"sub": format!("{n}"), "picture": picture}));
        let made = world.come(&guest, json!({})).ok();
        let name = made["record"]["picture"].as_str().unwrap();
        assert_eq!(!name.is_empty(), kept, "row {n}");
        if kept {
            let id = made["record"]["id"].as_str().unwrap();
            let file = guest.get(&format!("/api/files/members/{id}/{name}"));
            assert_eq!(file.body, PNG);
        }
    }
}

#[test]
fn a_second_factor_is_asked_for_after_the_provider_too() {
    let world = World::new();
    let admin = world.t.superuser();
    admin
        .patch(
            "/api/collections/members",
            &json!({"mfa": {"enabled": true}}),
        )
        .ok();
    world.provider.visitor(&ann());
    let data = json!({"password": "1234567890", "passwordConfirm": "1234567890"});

    let first = world.come(&world.t.guest(), json!({"createData": data}));
    assert_eq!(first.status, 401);
    let id = first.json()["mfaId"].as_str().unwrap().to_owned();

    world
        .come(&world.t.guest(), json!({"mfaId": id}))
        .is(400, "A different authentication method is required.");
    let by_password = json!({"identity": "ann@example.com", "password": "1234567890", "mfaId": id});
    let path = "/api/collections/members/auth-with-password";
    world.t.guest().post(path, &by_password).ok();
}

#[test]
fn a_collection_that_wants_no_providers_has_none() {
    let world = World::new();
    let admin = world.t.superuser();
    let off = json!({"oauth2": {"enabled": false}});
    admin.patch("/api/collections/members", &off).ok();
    let message = "The collection is not configured to allow OAuth2 authentication.";
    world.come(&world.t.guest(), json!({})).is(403, message);
    let path = "/api/collections/_superusers/auth-with-oauth2";
    world.t.guest().post(path, &json!({})).is(403, message);
    assert!(world.provider.asked().is_empty());
}

/// Comes back by a link, and gives status and where one is sent.
fn back(who: &Person, query: &str) -> (u16, String) {
    let reply = who.get(&format!("/api/oauth2-redirect?{query}"));
    assert!(reply.body.is_empty());
    (reply.status, reply.header("location").to_owned())
}

#[test]
fn coming_back_reaches_the_connection_that_began_and_no_other() {
    let t = TestApp::new();
    let guest = t.guest();
    let failed = (307, "../_/#/auth/oauth2-redirect-failure".to_owned());
    let good = (307, "../_/#/auth/oauth2-redirect-success".to_owned());
    let deaf = Stream::of(&t, &guest, &["users/*"]);
    let mut waits = Stream::of(&t, &guest, &["users/*", "@oauth2"]);
    for query in [
        String::new(),
        "code=1".to_owned(),
        "state=&code=1".to_owned(),
        "state=unknown&code=1".to_owned(),
        format!("state={}&code=1", deaf.id),
        format!("state={}&code=1", waits.id.to_lowercase()),
        "state=%3Cscript%3E&code=%0d%0aSet-Cookie:x&error=%3Cb%3E".to_owned(),
    ] {
        assert_eq!(back(&guest, &query), failed, "{query}");
    }

    assert_eq!(
        back(&guest, &format!("state={}&code=a%0ab", waits.id)),
        good
    );

    let (name, told) = waits.message();
    assert_eq!(name, "@oauth2");
    assert_eq!(told, json!({"state": waits.id, "code": "a\nb"}));
    // Good once.
    assert_eq!(back(&guest, &format!("state={}&code=1", waits.id)), failed);
    // The other topics go on.
    assert_eq!(waits.submit(&guest, &["@oauth2"]).status, 204);
    let markup = format!("state={}&code=1&error=%3Cscript%3E", waits.id);
    assert_eq!(back(&guest, &markup), failed);
    let (_, told) = waits.message();
    assert_eq!(
        told,
        json!({"state": waits.id, "code": "", "error": "<script>"})
    );
}

#[test]
fn coming_back_from_elsewhere_reaches_nobody() {
    let t = TestApp::new();
    let admin = t.superuser();
    let proxy = json!({"trustedProxy": {"headers": ["X-Real"], "useLeftmostIP": false}});
    admin.patch("/api/settings", &proxy).ok();
    let guest = t.guest();
    let mut waits = Stream::of(&t, &guest, &["@oauth2"]);
    let path = format!("/api/oauth2-redirect?state={}&code=1", waits.id);
    let other = guest.send(Request::new("GET", &path).header("X-Real", "203.0.113.9"));
    assert!(other.header("location").ends_with("failure"));
    assert!(guest.get(&path).header("location").ends_with("success"));
    assert_eq!(waits.message().1["code"], "1");
}

#[test]
fn who_posts_back_is_sent_on_by_get() {
    let t = TestApp::new();
    let guest = t.guest();
    let mut waits = Stream::of(&t, &guest, &["@oauth2"]);
    let post = |body: String| {
        guest.send(
            Request::new("POST", "/api/oauth2-redirect")
                .body("application/x-www-form-urlencoded", body),
        )
    };
    let unknown = post("state=x&code=1".to_owned());
    assert_eq!(unknown.status, 303);
    assert!(unknown.header("location").ends_with("failure"));
    let good = post(format!(
        "state={}&code=1&user=%7B%22name%22%3A%5B%5D%7D",
        waits.id
    ));
    assert_eq!(good.status, 303);
    assert!(good.header("location").ends_with("success"));
    assert_eq!(waits.message().1["code"], "1");
    let huge = post("x=".to_owned() + &"y".repeat(100_000));
    assert!(huge.header("location").ends_with("failure"));
}
