//! Keys for machines: they stand for a record, reach no further than they say, and are over when they are ended.

#![expect(clippy::too_many_lines, reason = "tables: one row a case")]
#![expect(clippy::needless_pass_by_value, reason = "written where it is sent")]

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::realtime::ears::{Socket, Stream};
use crate::support::{Person, Reply, TestApp};

const RIGHT: &str = "1234567890";
const ROWS: &str = "/api/collections/_apiKeys/records";

/// Notes that their owners read, a log that superusers alone read, and boxes that point to notes.
fn world() -> TestApp {
    let t = TestApp::new();
    let own = "owner = @request.auth.id";
    let text = |name: &str| json!({"name": name, "type": "text"});
    let hidden = json!({"name": "secret", "type": "text", "hidden": true});
    t.collection(&json!({
        "id": "pbc_notes", "name": "notes", "fields": [text("owner"), text("title"), hidden],
        "listRule": own, "viewRule": own, "createRule": own, "updateRule": own, "deleteRule": own,
    }));
    t.collection(&json!({"name": "audit", "fields": [text("line")]}));
    let note =
        json!({"name": "note", "type": "relation", "collectionId": "pbc_notes", "maxSelect": 1});
    t.collection(&json!({
        "name": "boxes", "fields": [note, text("title")], "listRule": "", "viewRule": "", "createRule": "",
    }));
    t
}

fn ask_for(who: &Person, collection: &str, mut wish: Json) -> Reply {
    if wish["name"].is_null() {
        wish["name"] = json!("machine");
    }
    if wish["password"].is_null() {
        wish["password"] = json!(RIGHT);
    }
    who.post(&format!("/api/collections/{collection}/api-keys"), &wish)
}

/// Whoever holds a new key of `who`.
fn bearer(t: &TestApp, who: &Person, collection: &str, wish: Json) -> (Person, Json) {
    let made = ask_for(who, collection, wish).ok();
    let person = t.guest().with_token(made["key"].as_str().unwrap());
    (person, made)
}

fn scoped(t: &TestApp, who: &Person, collection: &str, scopes: Json) -> Person {
    bearer(t, who, collection, json!({ "scopes": scopes })).0
}

fn list(who: &Person, collection: &str) -> Reply {
    who.get(&format!("/api/collections/{collection}/records"))
}

fn note(who: &Person, owner: &Person, title: &str) -> Reply {
    let body = json!({"owner": owner.id, "title": title});
    who.post("/api/collections/notes/records", &body)
}

fn end(who: &Person, made: &Json) -> Reply {
    who.delete(&format!("{ROWS}/{}", made["id"].as_str().unwrap()))
}

#[test]
fn a_key_is_shown_once_and_stands_for_its_record() {
    let t = world();
    let (ann, bob) = (t.user("ann"), t.user("bob"));
    note(&ann, &ann, "Ann's").ok();
    note(&bob, &bob, "Bob's").ok();

    let wish = json!({"name": " nightly ", "scopes": {"notes": ["list", "create"]}});
    let (machine, made) = bearer(&t, &ann, "users", wish);

    let (key, prefix) = (
        made["key"].as_str().unwrap(),
        made["prefix"].as_str().unwrap(),
    );
    assert!(
        key.starts_with(prefix) && key.len() > prefix.len() + 40,
        "{key}"
    );
    assert_eq!(made["name"], "nightly");
    assert_eq!(made["scopes"], json!({"pbc_notes": ["list", "create"]}));
    let seen = list(&machine, "notes").ok();
    assert_eq!(seen["totalItems"], 1, "rules hold as for Ann");
    assert_eq!(seen["items"][0]["title"], "Ann's");
    note(&machine, &ann, "by machine").ok();
    assert_eq!(
        note(&machine, &bob, "for Bob").status,
        400,
        "the create rule"
    );
    let with_scheme = t.guest().with_token(&format!("Bearer {key}"));
    list(&with_scheme, "notes").ok();

    let rows = ann.get(ROWS).ok();
    assert_eq!(rows["totalItems"], 1);
    assert_eq!(rows["items"][0]["prefix"], prefix);
    assert_eq!(bob.get(ROWS).ok()["totalItems"], 0);
    let digest = {
        use sha2::Digest as _;
        let bytes = sha2::Sha256::digest(key);
        bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()
    };
    for who in [&ann, &t.superuser()] {
        let text = who.get(ROWS).text();
        assert!(!text.contains(key) && !text.contains(&digest), "{text}");
    }
    if crate::support::on_postgres() {
        return;
    }
    let dump = std::fs::read(t.dir().join("data.db-wal")).unwrap();
    let has = |needle: &str| dump.windows(needle.len()).any(|w| w == needle.as_bytes());
    assert!(has(&digest) && !has(key), "only the digest is kept");
}

#[test]
fn a_key_reaches_as_far_as_it_says() {
    let t = world();
    let (ann, sue) = (t.user("ann"), t.superuser());
    let id = note(&ann, &ann, "one").ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    sue.patch(
        &format!("/api/collections/notes/records/{id}"),
        &json!({"secret": "x1"}),
    )
    .ok();
    sue.create("boxes", &json!({"note": id, "title": "box"}));
    sue.create("audit", &json!({"line": "something"}));
    let at = format!("/api/collections/notes/records/{id}");
    const REFUSAL: &str = "The API key does not allow this action.";

    let reader = scoped(&t, &ann, "users", json!({"notes": ["list", "view"]}));
    reader.get(&at).ok();
    reader.patch(&at, &json!({"title": "two"})).is(403, REFUSAL);
    reader.delete(&at).is(403, REFUSAL);
    note(&reader, &ann, "two").is(403, REFUSAL);
    list(&reader, "boxes").is(403, REFUSAL);
    list(&reader, "users").is(403, REFUSAL);
    list(&reader, "_sessions").is(403, REFUSAL);
    let batch = json!({"requests": [{"method": "DELETE", "url": at}]});
    assert_eq!(reader.post("/api/batch", &batch).status, 400);
    reader.get(&at).ok();

    // Of collections that it may not read nothing is told: not by expanding, not by filters or order.
    let boxes = scoped(&t, &ann, "users", json!({"boxes": ["list"]}));
    let found = boxes.get("/api/collections/boxes/records?expand=note").ok();
    assert_eq!(found["totalItems"], 1);
    assert!(found["items"][0]["expand"].is_null(), "{found}");
    for query in ["filter=note.title='one'", "sort=note.title"] {
        let path = format!("/api/collections/boxes/records?{query}");
        boxes.get(&path).is(403, REFUSAL);
        assert_eq!(ann.get(&path).ok()["totalItems"], 1, "Ann herself may");
    }
    let both = scoped(
        &t,
        &ann,
        "users",
        json!({"boxes": ["list"], "notes": ["list", "view"]}),
    );
    let found = both
        .get("/api/collections/boxes/records?expand=note&filter=note.title='one'")
        .ok();
    assert_eq!(found["items"][0]["expand"]["note"]["title"], "one");

    // Of a superuser: rules do not bind it, its scopes do.
    let auditor = scoped(
        &t,
        &sue,
        "_superusers",
        json!({"audit": ["list"], "notes": ["list"], "boxes": ["list"]}),
    );
    assert_eq!(list(&auditor, "audit").ok()["totalItems"], 1);
    assert_eq!(list(&auditor, "notes").ok()["items"][0]["secret"], "x1");
    auditor.get(&at).is(403, REFUSAL);
    list(&auditor, "users").is(403, REFUSAL);
    let found = auditor
        .get("/api/collections/boxes/records?expand=note")
        .ok();
    assert!(found["items"][0]["expand"].is_null(), "{found}");
    let oracle = "/api/collections/audit/records?filter=@collection.users.email~'ann'";
    assert_eq!(auditor.get(oracle).status, 403);
    for path in [
        "/api/collections",
        "/api/settings",
        "/api/logs",
        "/api/backups",
        "/api/crons",
    ] {
        assert_eq!(auditor.get(path).status, 403, "{path}");
    }
    assert_eq!(
        auditor.delete("/api/collections/audit/truncate").status,
        403
    );

    let star = scoped(&t, &sue, "_superusers", json!({"*": ["list"]}));
    list(&star, "audit").ok();
    list(&star, "users").ok();
    list(&star, "_superusers").is(403, REFUSAL);
    list(&star, "_apiKeys").is(403, REFUSAL);
}

#[test]
fn a_key_of_a_superuser_may_do_everything_but_make_ways_in() {
    let t = world();
    let (sue, ann) = (t.superuser(), t.user("ann"));
    let (root, _) = bearer(&t, &sue, "_superusers", json!({"superuser": true}));
    root.get("/api/collections").ok();
    root.get("/api/settings").ok();
    root.create("audit", &json!({"line": "x"}));
    root.create(
        "users",
        &json!({"email": "new@example.com", "password": RIGHT, "passwordConfirm": RIGHT}),
    );
    let lent = root
        .post(
            &format!("/api/collections/users/impersonate/{}", ann.id),
            &json!({}),
        )
        .ok();
    let lent = t.guest().with_token(lent["token"].as_str().unwrap());
    lent.post("/api/files/token", &json!({})).ok();

    let session = "The request requires a session of a sign-in.";
    for wish in [
        json!({"superuser": true}),
        json!({"scopes": {"audit": ["list"]}}),
    ] {
        ask_for(&root, "_superusers", wish).is(403, session);
    }
    ask_for(
        &root,
        "users",
        json!({"record": ann.id, "scopes": {"notes": "*"}}),
    )
    .is(403, session);
    let scopes = json!({"password": "", "scopes": {"notes": "*"}});
    assert_eq!(
        ask_for(&lent, "users", scopes).status,
        403,
        "what a key opened makes none"
    );
    let path = format!("/api/collections/_superusers/impersonate/{}", sue.id);
    root.post(&path, &json!({})).is(403, session);
    let own = |what: &str| format!("/api/collections/_superusers/{what}");
    for path in ["auth-refresh", "totp/setup", "end-other-sessions"] {
        assert_eq!(root.post(&own(path), &json!({})).status, 403, "{path}");
    }
    let sql = json!({"query": "SELECT 1"});
    root.post("/api/sql", &sql).is(403, session);
    sue.post("/api/sql", &sql).ok();
    root.post("/api/backups/x.zip/restore", &json!({}))
        .is(403, session);
    let twin = json!({"email": "twin@example.com", "password": RIGHT, "passwordConfirm": RIGHT});
    let refused = "The API key does not allow this action.";
    root.post(&own("records"), &twin).is(403, refused);
    let change = json!({"password": "changed-it", "passwordConfirm": "changed-it"});
    root.patch(&format!("{}/{}", own("records"), sue.id), &change)
        .is(403, refused);
    root.delete(&format!("{}/{}", own("records"), sue.id))
        .is(403, refused);
    root.post(ROWS, &json!({"collectionRef": "x"}))
        .is(403, refused);
    let otp =
        json!({"collectionRef": "pbc_3142635823", "recordRef": sue.id, "password": "12345678"});
    root.post("/api/collections/_otps/records", &otp)
        .is(403, refused);
    root.get(&own("records")).ok();
}

#[test]
fn a_key_that_is_ended_is_over_at_once_everywhere() {
    let t = world();
    let ann = t.user("ann");
    let (machine, made) = bearer(&t, &ann, "users", json!({"scopes": {"notes": "*"}}));
    list(&machine, "notes").ok();
    let mut socket = Socket::of(&t, &machine);
    socket.subscribe("notes/*");
    let mut stream = Stream::of(&t, &machine, &["notes/*", "boxes/*"]);
    note(&ann, &ann, "heard").ok();
    assert_eq!(socket.next()["record"]["title"], "heard");
    assert_eq!(stream.event().1, "heard", "of notes");

    assert_eq!(end(&ann, &made).status, 204);

    list(&machine, "notes").is(401, "The API key is unknown, or has ended.");
    assert_eq!(machine.get("/api/health").status, 401);
    assert_eq!(socket.next()["type"], "signedOut");
    note(&ann, &ann, "not heard").ok();
    ann.create("boxes", &json!({"title": "public"}));
    let mut fresh = Socket::open(&t);
    let refused = fresh.ask("auth", json!({"token": machine.token()}));
    assert_eq!(refused["status"], 401, "{refused}");
}

#[test]
fn realtime_reaches_as_far_as_the_key() {
    let t = world();
    let (ann, sue) = (t.user("ann"), t.superuser());
    let reader = scoped(&t, &ann, "users", json!({"boxes": ["list"]}));
    let mut socket = Socket::of(&t, &reader);
    for topic in ["notes/*", "boxes/abcdefghijklmno"] {
        let refused = socket.ask("subscribe", json!({ "topic": topic }));
        assert_eq!(refused["status"], 403, "{topic}: {refused}");
    }
    let live = json!({"collection": "notes"});
    assert_eq!(socket.ask("live", live)["status"], 403);
    let joined = socket.ask("join", json!({"channel": "room"}));
    assert_eq!(joined["status"], 403, "{joined}");

    // Two of the same account hear the same topic, and each what it may.
    let id = note(&ann, &ann, "one").ok()["id"].clone();
    let expanding = r#"boxes/*?options={"query":{"expand":"note"}}"#;
    let mut of_key = Stream::of(&t, &reader, &[expanding]);
    let mut of_ann = Stream::of(&t, &ann, &[expanding]);
    sue.create("boxes", &json!({"title": "box", "note": id}));
    assert!(of_key.message().1["record"]["expand"].is_null());
    assert_eq!(
        of_ann.message().1["record"]["expand"]["note"]["title"],
        "one"
    );

    // An event stream belongs to the key that subscribed, not to whoever has another token of the account.
    let taken = ann.post(
        "/api/realtime",
        &json!({"clientId": of_key.id, "subscriptions": ["notes/*"]}),
    );
    assert_eq!(taken.status, 403, "{}", taken.text());
}

#[test]
fn a_key_ends_with_its_time_and_with_its_owner() {
    let t = world();
    let (ann, bob, sue) = (t.user("ann"), t.user("bob"), t.superuser());
    let wish = json!({"scopes": {"notes": ["list"]}, "expires": "2026-01-02 04:00:00.000Z"});
    let (short, _) = bearer(&t, &ann, "users", wish);
    let long = scoped(&t, &bob, "users", json!({"notes": ["list"]}));
    let mut socket = Socket::of(&t, &short);
    list(&short, "notes").ok();
    t.clock.advance(Duration::from_secs(3600));
    assert_eq!(list(&short, "notes").status, 401);
    assert_eq!(socket.next()["type"], "signedOut");
    list(&long, "notes").ok();

    // A new password ends sessions; machines go on.
    let path = format!("/api/collections/users/records/{}", bob.id);
    let change = json!({"password": "another-one", "passwordConfirm": "another-one"});
    sue.patch(&path, &change).ok();
    list(&long, "notes").ok();
    assert_eq!(sue.delete(&path).status, 204);
    assert_eq!(list(&long, "notes").status, 401);
    assert_eq!(sue.get(ROWS).ok()["totalItems"], 1, "Ann's");
}

#[test]
fn a_key_is_good_at_listed_addresses_only() {
    let t = world();
    let ann = t.user("ann");
    let scopes = json!({"notes": ["list"]});
    let here = json!({"scopes": scopes, "addresses": ["10.0.0.0/8", "127.0.0.1"]});
    let (here, _) = bearer(&t, &ann, "users", here);
    let there = json!({"scopes": scopes, "addresses": ["203.0.113.0/24"]});
    let (there, _) = bearer(&t, &ann, "users", there);
    list(&here, "notes").ok();
    list(&there, "notes").is(403, "You are not allowed to perform this request.");
    assert_eq!(there.get("/api/health").status, 403);
    let mut socket = Socket::open(&t);
    let refused = socket.ask("auth", json!({"token": there.token()}));
    assert_eq!(refused["status"], 403, "{refused}");
}

#[test]
fn protected_files_are_had_by_a_key_that_may_view_their_records() {
    let t = TestApp::new();
    let sue = t.superuser();
    let file = json!({"name": "paper", "type": "file", "maxSelect": 1, "protected": true});
    t.collection(&json!({
        "name": "papers", "fields": [file], "viewRule": "@request.auth.id != ''", "createRule": "",
    }));
    let ann = t.user("ann");
    let upload = crate::support::Request::new("POST", "/api/collections/papers/records")
        .multipart(&[], &[("paper", "a.txt", b"text")]);
    let record = ann.send(upload).ok();
    let at = format!(
        "/api/files/papers/{}/{}",
        record["id"].as_str().unwrap(),
        record["paper"].as_str().unwrap()
    );
    let by = |who: &Person| {
        let token = who.post("/api/files/token", &json!({})).ok();
        let token = token["token"].as_str().unwrap().to_owned();
        (t.guest().get(&format!("{at}?token={token}")).status, token)
    };
    let (viewer, made) = bearer(&t, &ann, "users", json!({"scopes": {"papers": ["view"]}}));
    let lister = scoped(&t, &ann, "users", json!({"papers": ["list"]}));
    let (status, token) = by(&viewer);
    assert_eq!(status, 200);
    assert_eq!(by(&lister).0, 404);
    let key = viewer.token();
    assert_eq!(
        t.guest().get(&format!("{at}?token={key}")).status,
        404,
        "keys are for headers"
    );
    let (root, _) = bearer(&t, &sue, "_superusers", json!({"superuser": true}));
    assert_eq!(by(&root).0, 200);
    end(&ann, &made);
    assert_eq!(
        t.guest().get(&format!("{at}?token={token}")).status,
        404,
        "it went with its key"
    );
}

#[test]
fn making_a_key_takes_more_than_a_found_token_and_a_form_that_holds() {
    let t = world();
    let (ann, bob, sue) = (t.user("ann"), t.user("bob"), t.superuser());
    let good = json!({"scopes": {"notes": ["list"]}});
    let mut blind = good.clone();
    blind["password"] = json!("wrong-one");
    ask_for(&ann, "users", blind.clone())
        .is(403, "Sign in again, or send the password, to do this.");
    blind["password"] = json!("");
    assert_eq!(ask_for(&ann, "users", blind).status, 403);
    assert_eq!(ask_for(&t.guest(), "users", good.clone()).status, 401);
    assert_eq!(ask_for(&ann, "_superusers", good.clone()).status, 403);
    assert_eq!(ask_for(&ann, "notes", good.clone()).status, 404);
    let mut for_bob = good.clone();
    for_bob["record"] = json!(bob.id);
    assert_eq!(ask_for(&ann, "users", for_bob.clone()).status, 404);
    let (machine, made) = bearer(&t, &sue, "users", for_bob.clone());
    note(&bob, &bob, "Bob's").ok();
    assert_eq!(
        list(&machine, "notes").ok()["totalItems"],
        1,
        "a superuser makes it for Bob"
    );
    assert_eq!(bob.get(ROWS).ok()["items"][0]["id"], made["id"]);

    for (wish, field, code) in [
        (json!({}), "scopes", "validation_required"),
        (
            json!({"name": " ", "scopes": {"notes": "*"}}),
            "name",
            "validation_required",
        ),
        (
            json!({"name": "x".repeat(101), "scopes": {"notes": "*"}}),
            "name",
            "validation_length_out_of_range",
        ),
        (
            json!({"superuser": true}),
            "superuser",
            "validation_not_superuser",
        ),
        (
            json!({"scopes": {"gone": "*"}}),
            "scopes.gone",
            "validation_invalid_collection",
        ),
        (
            json!({"scopes": {"notes": ["fly"]}}),
            "scopes.notes",
            "validation_invalid_actions",
        ),
        (
            json!({"scopes": {"notes": []}}),
            "scopes.notes",
            "validation_invalid_actions",
        ),
        (
            json!({"scopes": {"_sessions": ["delete"]}}),
            "scopes._sessions",
            "validation_read_only_collection",
        ),
        (
            json!({"scopes": {"notes": "*"}, "addresses": ["nowhere"]}),
            "addresses.0",
            "validation_invalid_ip_or_subnet",
        ),
        (
            json!({"scopes": {"notes": "*"}, "expires": "yesterday"}),
            "expires",
            "validation_invalid_date",
        ),
        (
            json!({"scopes": {"notes": "*"}, "expires": "2020-01-01 00:00:00.000Z"}),
            "expires",
            "validation_invalid_date",
        ),
    ] {
        let reply = ask_for(&ann, "users", wish.clone());
        assert_eq!(reply.status, 400, "{wish}: {}", reply.text());
        let data = reply.json()["data"].clone();
        let leaf = field.split('.').fold(&data, |node, key| &node[key]);
        assert_eq!(leaf["code"], code, "{wish}: {data}");
    }
    let both = json!({"superuser": true, "scopes": {"notes": "*"}});
    assert_eq!(ask_for(&sue, "_superusers", both).status, 400);
    for odd in [
        json!({"scopes": []}),
        json!({"scopes": "*"}),
        json!({"superuser": 1}),
        json!({"addresses": "x"}),
    ] {
        assert_eq!(ask_for(&ann, "users", odd).status, 400);
    }
    assert_eq!(ann.get(ROWS).ok()["totalItems"], 0, "nothing half made");
}

#[test]
fn odd_keys_are_refused_whoever_made_them_up() {
    let t = world();
    let ann = t.user("ann");
    let (machine, made) = bearer(&t, &ann, "users", json!({"scopes": {"notes": ["list"]}}));
    let (key, prefix) = (machine.token().to_owned(), made["prefix"].as_str().unwrap());
    let other = key.chars().rev().collect::<String>();
    for text in [
        "burrow_".to_owned(),
        prefix.to_owned(),
        format!("{prefix}_"),
        format!("{prefix}_{}", "a".repeat(40)),
        format!("{key}x"),
        format!("burrow_{}", "x".repeat(5_000)),
        format!("burrow_{other}"),
    ] {
        let who = t.guest().with_token(&text);
        assert_eq!(list(&who, "notes").status, 401, "{text}");
    }
    // Rows that a superuser wrote or changed by hand open nothing that the form would not.
    let sue = t.superuser();
    let at = format!("{ROWS}/{}", made["id"].as_str().unwrap());
    sue.patch(&at, &json!({"superuser": true})).ok();
    list(&machine, "notes").ok();
    assert_eq!(machine.get("/api/settings").status, 403);
    sue.patch(&at, &json!({"scopes": {"pbc_notes": "everything"}}))
        .ok();
    assert_eq!(list(&machine, "notes").status, 403);
    sue.patch(&at, &json!({"expires": "2026-01-02 03:04:05.000Z"}))
        .ok();
    assert_eq!(list(&machine, "notes").status, 401);
    assert_eq!(ann.patch(&at, &json!({"expires": ""})).status, 403);
    let forged = json!({
        "collectionRef": "_pb_users_auth_", "recordRef": ann.id, "name": "forged", "superuser": true,
        "prefix": "burrow_forged00", "hash": "0123456789abcdef",
    });
    assert_eq!(ann.post(ROWS, &forged).status, 403);
}

#[test]
fn the_use_of_a_key_is_noted_now_and_then_and_its_owner_is_told_of_it() {
    let (t, server, _sue) = TestApp::with_mail();
    t.collection(&json!({"name": "notes", "listRule": ""}));
    let ann = t.user("ann");
    let machine = scoped(&t, &ann, "users", json!({"notes": ["list"]}));
    let mail = server.next();
    assert_eq!(mail.to, ["ann@example.com"]);
    assert!(mail.header("Subject").contains("API key"), "{}", mail.text);
    assert!(
        !mail.text.contains("burrow_"),
        "the key itself is not in it"
    );
    let last_used = || {
        t.wait(t.app.auth.flush_usage());
        ann.get(ROWS).ok()["items"][0]["lastUsed"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(last_used(), "");
    list(&machine, "notes").ok();
    assert_eq!(last_used(), "2026-01-02 03:04:05.678Z");
    t.clock.advance(Duration::from_secs(299));
    list(&machine, "notes").ok();
    assert_eq!(last_used(), "2026-01-02 03:04:05.678Z");
    t.clock.advance(Duration::from_secs(2));
    list(&machine, "notes").ok();
    assert_eq!(last_used(), "2026-01-02 03:09:06.678Z");
}
