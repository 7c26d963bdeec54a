//! Collections as superusers manage them: what may be said, what happens to rows, what is never told.

use serde_json::{Value as Json, json};

use crate::support::TestApp;

const COLLECTIONS: &str = "/api/collections";

fn at(name: &str) -> String {
    format!("{COLLECTIONS}/{name}")
}

fn records(name: &str) -> String {
    format!("{COLLECTIONS}/{name}/records?sort=id")
}

fn text(name: &str, id: &str) -> Json {
    json!({"name": name, "type": "text", "id": id})
}

fn choice(max_select: u8) -> Json {
    json!({"name": "s", "id": "s_id", "type": "select", "values": ["x", "y", "z"], "maxSelect": max_select})
}

#[test]
fn only_superusers_manage_collections() {
    let t = TestApp::new();
    let (guest, ann) = (t.guest(), t.user("ann"));

    for path in [
        COLLECTIONS.to_owned(),
        at("users"),
        at("meta/scaffolds"),
        at("meta/oauth2-providers"),
    ] {
        guest.get(&path).is(
            401,
            "The request requires valid record authorization token.",
        );
        ann.get(&path).is(
            403,
            "The authorized record is not allowed to perform this action.",
        );
    }
    for reply in [
        guest.post(COLLECTIONS, &json!({"name": "x"})),
        guest.patch(&at("users"), &json!({"name": "x"})),
        guest.delete(&at("users")),
        guest.delete(&at("users/truncate")),
    ] {
        assert_eq!(reply.status, 401);
    }
}

#[test]
fn rules_that_are_not_given_lock_the_collection() {
    let t = TestApp::new();
    let sue = t.superuser();

    let made = sue.post(COLLECTIONS, &json!({"name": "art"})).ok();

    assert_eq!(made["id"], "pbc_4078160933");
    for rule in [
        "listRule",
        "viewRule",
        "createRule",
        "updateRule",
        "deleteRule",
    ] {
        assert_eq!(made[rule], Json::Null, "{rule}");
    }
    t.guest()
        .get(&records("art"))
        .is(403, "Only superusers can perform this action.");
}

#[test]
fn every_error_of_a_definition_has_its_place() {
    let t = TestApp::new();
    let sue = t.superuser();

    let reply = sue.post(
        COLLECTIONS,
        &json!({
            "name": "a b",
            "listRule": "nope = 1",
            "fields": [
                {"name": "n", "type": "number", "min": 5, "max": 4},
                {"name": "expand", "type": "text", "pattern": "("},
                {"name": "r", "type": "relation", "collectionId": "nope"},
            ],
        }),
    );

    assert_eq!(reply.status, 400);
    let data = &reply.json()["data"];
    assert_eq!(data["name"]["code"], "validation_match_invalid");
    assert_eq!(data["listRule"]["code"], "validation_invalid_rule");
    let fields = &data["fields"];
    assert_eq!(
        fields["1"]["max"]["code"],
        "validation_min_number_constraint"
    );
    assert_eq!(fields["2"]["name"]["code"], "validation_not_in_invalid");
    assert_eq!(fields["2"]["pattern"]["code"], "validation_invalid_regex");
    assert_eq!(
        fields["3"]["collectionId"]["code"],
        "validation_field_relation_missing_collection"
    );
    assert_eq!(sue.get(&at("a%20b")).status, 404);
}

#[test]
fn rows_follow_renames_swaps_and_changes_of_number() {
    let t = TestApp::new();
    let sue = t.superuser();
    let fields = json!([text("a", "a_id"), text("b", "b_id"), choice(1)]);
    sue.post(COLLECTIONS, &json!({"name": "things", "fields": fields}))
        .ok();
    sue.create(
        "things",
        &json!({"id": "thing0000000001", "a": "A", "b": "B", "s": "x"}),
    );
    sue.create("things", &json!({"id": "thing0000000002"}));

    let fields = json!([text("b", "a_id"), text("a", "b_id"), choice(2)]);
    sue.patch(&at("things"), &json!({"name": "stuff", "fields": fields}))
        .ok();

    assert_eq!(sue.get(&records("things")).status, 404);
    let items = sue.get(&records("stuff")).ok()["items"].clone();
    assert_eq!((&items[0]["a"], &items[0]["b"]), (&json!("B"), &json!("A")));
    assert_eq!(
        (&items[0]["s"], &items[1]["s"]),
        (&json!(["x"]), &json!([]))
    );

    sue.patch(
        "/api/collections/stuff/records/thing0000000001",
        &json!({"s": ["x", "y"]}),
    )
    .ok();
    let fields = json!([text("a", "b_id"), choice(1), {"name": "n", "type": "number"}]);
    sue.patch(&at("stuff"), &json!({"fields": fields})).ok();
    let items = sue.get(&records("stuff")).ok()["items"].clone();
    assert_eq!((&items[0]["s"], &items[1]["s"]), (&json!("y"), &json!("")));
    assert_eq!(items[0]["n"], 0);
    assert_eq!(items[0].get("b"), None);
}

#[test]
fn a_change_that_cannot_be_made_changes_nothing() {
    let t = TestApp::new();
    let sue = t.superuser();
    let before = sue
        .post(
            COLLECTIONS,
            &json!({"name": "pairs", "fields": [text("a", "a_id")]}),
        )
        .ok();
    for _ in 0..2 {
        sue.create("pairs", &json!({"a": "same"}));
    }

    let reply = sue.patch(
        &at("pairs"),
        &json!({
            "name": "twins",
            "fields": [text("b", "a_id")],
            "indexes": ["CREATE UNIQUE INDEX twins_b ON twins (b)"],
        }),
    );

    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.json()["data"]["indexes"]["0"]["code"],
        "validation_invalid_index_expression"
    );
    assert_eq!(sue.get(&at("twins")).status, 404);
    assert_eq!(sue.get(&at("pairs")).ok(), before);
    assert_eq!(sue.get(&records("pairs")).ok()["items"][0]["a"], "same");
}

#[test]
fn indexes_hold_one_statement_over_their_own_table() {
    let t = TestApp::new();
    let sue = t.superuser();

    for index in [
        "CREATE INDEX i ON x (a); DROP TABLE users",
        "CREATE INDEX i ON x (a) WHERE 1; DELETE FROM users",
        "CREATE INDEX i ON x (a) -- )",
        "DROP TABLE users",
    ] {
        let body = json!({"name": "x", "fields": [text("a", "a_id")], "indexes": [index]});
        let reply = sue.post(COLLECTIONS, &body);
        assert_eq!(
            reply.json()["data"]["indexes"]["0"]["code"],
            "validation_invalid_index_expression",
            "{index}"
        );
    }
    let body = json!({"name": "x", "fields": [text("a", "a_id")], "indexes": ["create index i on users (a)"]});
    let made = sue.post(COLLECTIONS, &body).ok();
    assert_eq!(made["indexes"], json!(["CREATE INDEX `i` ON `x` (`a`)"]));
}

#[test]
fn a_view_takes_its_fields_from_its_query() {
    let t = TestApp::new();
    let sue = t.superuser();
    t.user("ann");

    let made = sue
        .post(
            COLLECTIONS,
            &json!({
                "name": "people",
                "type": "view",
                "viewQuery": "SELECT (ROW_NUMBER() OVER()) as id, email, id as person, count(id) as n FROM users;",
            }),
        )
        .ok();

    let kinds: Vec<&Json> = made["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["type"])
        .collect();
    assert_eq!(kinds, ["text", "email", "relation", "number"]);
    let item = sue.get(&records("people")).ok()["items"][0].clone();
    assert_eq!((&item["id"], &item["n"]), (&json!("1"), &json!(1)));
    assert_eq!(sue.delete(&at("users")).status, 400);
    assert_eq!(sue.delete(&at("people")).status, 204);
}

#[test]
fn view_queries_read_and_do_nothing_else() {
    let t = TestApp::new();
    let sue = t.superuser();

    for query in [
        "DELETE FROM users",
        "SELECT 1 as id; DELETE FROM users",
        "WITH x AS (DELETE FROM users RETURNING id) SELECT id FROM x",
        "SELECT id FROM users) UNION SELECT name FROM sqlite_master --",
        "PRAGMA table_info(users)",
        "ATTACH 'x' AS y",
        "SELECT id, lower(password) AS p FROM users",
        "SELECT id, k FROM (SELECT id, tokenKey AS k FROM users)",
    ] {
        let body = json!({"name": "v", "type": "view", "viewQuery": query});
        let reply = sue.post(COLLECTIONS, &body);
        assert_eq!(reply.status, 400, "{query}");
        let tried = sue.post(&at("meta/dry-run-view"), &json!({"query": query}));
        assert_eq!(tried.status, 400, "{query}");
    }
    let body = json!({"name": "v", "type": "view", "listRule": "", "viewQuery": "SELECT id, tokenKey FROM users"});
    assert_eq!(
        sue.post(COLLECTIONS, &body).ok()["fields"][1]["hidden"],
        true
    );
}

#[test]
fn secrets_are_never_answered_and_a_new_auth_rule_ends_sessions() {
    let t = TestApp::new();
    let (sue, ann) = (t.superuser(), t.user("ann"));
    let mine = format!("/api/collections/users/records/{}", ann.id);
    ann.get(&mine).ok();

    let shown = sue.get(&at("users")).text();
    assert!(!shown.contains("secret\""), "{shown}");
    sue.patch(&at("users"), &json!({"authRule": "verified = true"}))
        .ok();

    assert_eq!(ann.get(&mine).status, 404);
}

#[test]
fn an_import_is_all_or_nothing() {
    let t = TestApp::new();
    let sue = t.superuser();
    let import = |body: Json| {
        sue.send(crate::support::Request::new("PUT", "/api/collections/import").json(&body))
    };

    let reply = import(json!({"collections": [
        {"name": "one", "fields": [text("a", "a_id")]},
        {"name": "two", "fields": [{"name": "r", "type": "relation", "collectionId": "nope"}]},
    ]}));
    assert_eq!(
        reply.json()["data"]["collections"]["code"],
        "validation_collections_import_failure"
    );
    assert_eq!(sue.get(&at("one")).status, 404);

    let both = json!({"collections": [
        {"id": "one", "name": "ones", "fields": [{"name": "r", "type": "relation", "collectionId": "two"}]},
        {"id": "two", "name": "twos", "fields": [{"name": "r", "type": "relation", "collectionId": "one"}]},
        {"name": "seen", "type": "view", "viewQuery": "select id, r from ones"},
    ]});
    assert_eq!(import(both).status, 204);
    let kept = json!({"collections": [{"id": "one", "name": "ones"}, {"name": "users"}], "deleteMissing": true});
    assert_eq!(import(kept).status, 204);
    assert_eq!(sue.get(&at("twos")).status, 404);
    assert_eq!(sue.get(&at("seen")).status, 404);
    assert_eq!(
        sue.get(&at("ones")).ok()["fields"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(sue.get(&at("_mfas")).status, 200);
}

#[test]
fn what_others_point_to_stays() {
    let t = TestApp::new();
    let sue = t.superuser();
    sue.post(COLLECTIONS, &json!({"id": "target", "name": "target"}))
        .ok();
    let relation = json!({"name": "r", "type": "relation", "collectionId": "target"});
    sue.post(
        COLLECTIONS,
        &json!({"name": "holder", "fields": [relation]}),
    )
    .ok();

    sue.delete(&at("target")).is(
        400,
        "Failed to delete collection probably due to existing reference in holder.",
    );
    sue.delete(&at("_superusers"))
        .is(400, "Failed to delete collection.");
    sue.delete(&at("_superusers/truncate")).is(
        400,
        "Failed to truncate collection (most likely due to required cascade delete record references).",
    );
    assert_eq!(sue.delete(&at("holder")).status, 204);
    assert_eq!(sue.delete(&at("target")).status, 204);
}

#[test]
fn lists_of_collections_are_filtered_by_six_fields() {
    let t = TestApp::new();
    let sue = t.superuser();
    let names = |query: &str| -> Vec<String> {
        let page = sue.get(&format!("{COLLECTIONS}?{query}")).ok();
        let items = page["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|c| c["name"].as_str().unwrap().to_owned())
            .collect()
    };

    assert_eq!(names("filter=type='auth'%26%26system=false"), ["users"]);
    assert_eq!(names("sort=-name&perPage=1"), ["users"]);
    for query in [
        "sort=fields",
        "filter=indexes='x'",
        "filter=@request.auth.id!=''",
        "page=x",
    ] {
        assert_eq!(
            sue.get(&format!("{COLLECTIONS}?{query}")).status,
            400,
            "{query}"
        );
    }
}

#[test]
fn rate_limits_follow_a_collection_to_its_new_name() {
    let t = TestApp::new();
    let sue = t.superuser();
    sue.post(COLLECTIONS, &json!({"name": "old"})).ok();
    let rule =
        |label: &str| json!({"label": label, "audience": "", "duration": 5, "maxRequests": 7});
    let rules = json!([rule("old:list"), rule("older:list"), rule("*:list")]);
    sue.patch("/api/settings", &json!({"rateLimits": {"rules": rules}}))
        .ok();

    let mut name = "old".to_owned();
    // Each rename also makes the settings be read again, which must not bring the last ones back.
    for new in ["new", "newer", "newest", "old", "new"].repeat(4) {
        sue.patch(&at(&name), &json!({"name": new})).ok();
        name = new.to_owned();

        let settings = sue.get("/api/settings").ok();
        let labels: Vec<_> = settings["rateLimits"]["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| rule["label"].as_str().unwrap().to_owned())
            .collect();
        let followed = format!("{new}:list");
        assert_eq!(labels, [followed.as_str(), "older:list", "*:list"]);
    }
}

/// The keys of a refusal's data down to the codes: `mfa.enabled validation_x`.
fn codes(data: &Json) -> Vec<String> {
    fn walk(node: &Json, path: &str, found: &mut Vec<String>) {
        if let Some(code) = node["code"].as_str() {
            found.push(format!("{path} {code}"));
        } else {
            for (key, inner) in node.as_object().into_iter().flatten() {
                let dot = if path.is_empty() { "" } else { "." };
                walk(inner, &format!("{path}{dot}{key}"), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(data, "", &mut found);
    found.sort();
    found
}

#[test]
fn options_are_judged_each_by_itself_and_then_together() {
    let t = TestApp::new();
    let sue = t.superuser();
    let few = "mfa.enabled validation_mfa_not_enough_auths";
    let short = "mfa.duration validation_min_greater_equal_than_required";
    let title = "passwordAuth.identityFields validation_missing_field";
    let both = json!({"enabled": true, "duration": 60, "rule": "nope = 1"});
    let by_title = json!({"enabled": true, "identityFields": ["title"]});
    for (options, wanted) in [
        (json!({"mfa": {"enabled": true, "duration": 60}}), vec![few]),
        (
            json!({"mfa": {"enabled": true, "duration": 5}}),
            vec![short],
        ),
        (
            json!({"mfa": {"enabled": true, "duration": 60}, "listRule": "nope = 1"}),
            vec!["listRule validation_invalid_rule", few],
        ),
        (
            json!({"mfa": {"enabled": true, "duration": 60}, "manageRule": "nope = 1"}),
            vec!["manageRule validation_invalid_rule"],
        ),
        (
            json!({"mfa": both, "otp": {"enabled": true}, "passwordAuth": by_title}),
            vec!["mfa.rule validation_invalid_rule"],
        ),
        (json!({"mfa": both, "passwordAuth": by_title}), vec![few]),
        (
            json!({"passwordAuth": by_title, "indexes": ["bad"]}),
            vec!["indexes.0 validation_invalid_index_expression", title],
        ),
    ] {
        let mut payload = json!({"name": "people", "type": "auth"});
        payload
            .as_object_mut()
            .unwrap()
            .extend(options.as_object().unwrap().clone());
        let refused = sue.post(COLLECTIONS, &payload);
        assert_eq!(refused.status, 400, "{options}");
        assert_eq!(codes(&refused.json()["data"]), wanted, "{options}");
    }
}

#[test]
fn blank_is_not_empty_and_a_missing_type_is_base() {
    let t = TestApp::new();
    let sue = t.superuser();
    sue.post(COLLECTIONS, &json!({"name": "art"})).ok();
    sue.post(COLLECTIONS, &json!({"name": "people", "type": "auth"}))
        .ok();

    for (payload, wanted) in [
        (json!({"name": " "}), "name validation_match_invalid"),
        (
            json!({"name": "x", "fields": [{"type": "text", "name": " "}]}),
            "fields.1.name validation_match_invalid",
        ),
        (
            json!({"name": "x", "id": "_superusers"}),
            "id validation_invalid_or_existing_id",
        ),
        (
            json!({"name": "x", "fields": [{"type": "text", "name": "t", "pattern": "a{2,1001}"}]}),
            "fields.1.pattern validation_invalid_regex",
        ),
        (
            json!({"name": "x", "type": "view", "viewQuery": "select id, name as a_via_b from users"}),
            "viewQuery validation_invalid_view_query",
        ),
    ] {
        let refused = sue.post(COLLECTIONS, &payload);
        assert_eq!(refused.status, 400, "{payload}");
        let codes = codes(&refused.json()["data"]);
        assert!(codes.iter().any(|code| code == wanted), "{codes:?}");
    }
    let file = json!({"name": "f", "type": "file", "thumbs": [""]});
    sue.post(COLLECTIONS, &json!({"name": "pics", "fields": [file]}))
        .ok();
    sue.patch(&at("art"), &json!({"type": ""})).ok();
    let refused = sue.patch(&at("people"), &json!({"type": null}));
    assert_eq!(
        codes(&refused.json()["data"]),
        ["type validation_collection_type_change"]
    );
}

#[test]
fn a_refused_deletion_names_the_views_that_point_there_too() {
    let t = TestApp::new();
    let sue = t.superuser();
    let users = sue.get(&at("users")).ok()["id"].clone();
    let owner = json!({"name": "owner", "type": "relation", "collectionId": users});
    sue.post(COLLECTIONS, &json!({"name": "art", "fields": [owner]}))
        .ok();
    let query = "SELECT id, owner FROM art";
    sue.post(
        COLLECTIONS,
        &json!({"name": "shown", "type": "view", "viewQuery": query}),
    )
    .ok();

    sue.delete(&at("users")).is(
        400,
        "Failed to delete collection probably due to existing reference in art, shown.",
    );
}

#[test]
fn columns_of_views_are_found_in_any_case() {
    let t = TestApp::new();
    let sue = t.superuser();

    let view = |query: &str| json!({"name": "v", "type": "view", "viewQuery": query});
    let made = sue
        .post(
            COLLECTIONS,
            &view("SELECT id, NAME, TokenKey AS k FROM users"),
        )
        .ok();
    assert_eq!(made["fields"][1]["type"], "text");
    assert_eq!(made["fields"][2]["hidden"], true);
    sue.delete(&at("v")).ok();
    let refused = sue.post(
        COLLECTIONS,
        &view("SELECT id, lower(TOKENKEY) AS k FROM users"),
    );
    assert_eq!(
        codes(&refused.json()["data"]),
        ["viewQuery validation_invalid_view_query"]
    );
}

#[test]
fn each_refused_index_is_named() {
    let t = TestApp::new();
    let sue = t.superuser();

    let refused = sue.post(
        COLLECTIONS,
        &json!({"name": "art", "indexes": [
            "CREATE INDEX a ON art (nope)", "CREATE INDEX b ON art (id)", "CREATE INDEX c ON art (no)"
        ]}),
    );

    assert_eq!(
        codes(&refused.json()["data"]),
        [
            "indexes.0 validation_invalid_index_expression",
            "indexes.2 validation_invalid_index_expression",
        ]
    );
    assert_eq!(sue.get(&at("art")).status, 404);
}

#[test]
fn options_of_other_types_must_have_their_shape_too() {
    let t = TestApp::new();
    let sue = t.superuser();

    for options in [
        json!({"authRule": 5}),
        json!({"viewQuery": 5}),
        json!({"oauth2": 5}),
        json!({"otp": {"duration": "x"}}),
        json!({"otp": ["x"]}),
        json!({"type": "auth", "authToken": ["x", 60]}),
        json!({"type": "auth", "authAlert": {"emailTemplate": ["x", "y"]}}),
        json!({"type": "auth", "oauth2": {"providers": [["google"]]}}),
        json!({"updated": 5}),
    ] {
        let mut payload = json!({"name": "art"});
        payload
            .as_object_mut()
            .unwrap()
            .extend(options.as_object().unwrap().clone());
        sue.post(COLLECTIONS, &payload).is(
            400,
            "Failed to load the submitted data due to invalid formatting.",
        );
    }
    sue.post(
        COLLECTIONS,
        &json!({"name": "art", "otp": null, "authRule": "x"}),
    )
    .ok();
}

#[test]
fn the_rules_of_system_collections_stay_as_they_are() {
    let t = TestApp::new();
    let sue = t.superuser();
    let made =
        json!({"name": "staff", "type": "auth", "system": true, "authRule": "verified = true"});
    sue.post(COLLECTIONS, &made).ok();
    let fixed = "validation_collection_system_rule_change";

    for (change, wanted) in [
        (json!({"listRule": "id = ''"}), format!("listRule {fixed}")),
        (
            json!({"listRule": "nope = 1"}),
            "listRule validation_invalid_rule".to_owned(),
        ),
        (json!({"authRule": ""}), format!("authRule {fixed}")),
        (
            json!({"manageRule": "id = ''"}),
            format!("manageRule {fixed}"),
        ),
        (
            json!({"mfa": {"enabled": true, "duration": 60, "rule": "id = ''"}, "otp": {"enabled": true}}),
            format!("mfa.rule {fixed}"),
        ),
    ] {
        let refused = sue.patch(&at("staff"), &change);
        assert_eq!(codes(&refused.json()["data"]), [wanted], "{change}");
    }
}
