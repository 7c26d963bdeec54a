//! The request log: what gets a line, who reads it, what it never says.

use serde_json::json;

use crate::support::{Person, TestApp};

#[test]
fn requests_leave_lines_that_superusers_filter() {
    let t = TestApp::new();
    let (sue, guest) = (t.superuser(), t.guest());
    guest.get("/api/health?a=1");
    guest.get("/api/collections");

    t.wait(t.app.logs.flush());
    let failed = sue
        .get("/api/logs?filter=data.status>=400&sort=-created")
        .ok();

    assert_eq!(failed["totalItems"], 1);
    let line = &failed["items"][0];
    assert_eq!(line["message"], "GET /api/collections");
    assert_eq!(line["level"], 8);
    assert_eq!(line["data"]["status"], 401);
    assert_eq!(line["data"]["userIP"], "127.0.0.1");
    let id = line["id"].as_str().unwrap();
    assert_eq!(&sue.get(&format!("/api/logs/{id}")).ok(), line);
    let stats = sue.get("/api/logs/stats?filter=data.url~'health'").ok();
    assert_eq!(
        stats,
        json!([{"date": "2026-01-02 03:00:00.000Z", "total": 1}])
    );
}

#[test]
fn bad_questions_are_400_and_missing_lines_404() {
    let t = TestApp::new();
    let sue = t.superuser();

    sue.get("/api/logs?filter=nope=1")
        .is(400, "Something went wrong while processing your request.");
    sue.get("/api/logs/stats?filter=nope=1")
        .is(400, "Invalid filter format.");
    sue.get("/api/logs?page=x")
        .is(400, "Something went wrong while processing your request.");
    sue.get("/api/logs/missing")
        .is(404, "The requested resource wasn't found.");
    t.user("ann").get("/api/logs").is(
        403,
        "The authorized record is not allowed to perform this action.",
    );
    t.guest().delete("/api/logs").is(
        401,
        "The request requires valid record authorization token.",
    );
}

#[test]
fn secrets_in_urls_and_unwanted_addresses_stay_out() {
    let t = TestApp::new();
    let sue = t.superuser();
    sue.patch("/api/settings", &json!({"logs": {"logIP": false}}))
        .ok();
    t.guest().get("/api/files/a/b/c?token=hush&thumb=1x1");

    t.wait(t.app.logs.flush());
    let lines = sue.get("/api/logs?filter=data.url~'thumb'").ok();

    let data = &lines["items"][0]["data"];
    assert_eq!(data["url"], "/api/files/a/b/c?token=***&thumb=1x1");
    assert!(data.get("userIP").is_none());
    assert!(!lines.to_string().contains("hush"));
}

#[test]
fn logs_are_deleted_by_hand_by_age_and_by_level() {
    let t = TestApp::new();
    let (sue, guest) = (t.superuser(), t.guest());
    let total = |who: &Person| {
        t.wait(t.app.logs.flush());
        who.get("/api/logs").ok()["totalItems"].clone()
    };
    guest.get("/api/health");
    assert_eq!(total(&sue), 1);

    assert_eq!(sue.delete("/api/logs").status, 204);
    assert_eq!(total(&sue), 0);

    guest.get("/api/health");
    t.clock
        .advance(std::time::Duration::from_secs(6 * 24 * 60 * 60));
    t.wait(t.app.logs.flush());
    t.wait(t.app.logs.prune()).unwrap();
    let later = t.signed_in("_superusers", "later@example.com");
    assert_eq!(total(&later), 0);
}

#[test]
fn the_console_reads_writes_and_reaches_for_nothing_else() {
    let t = TestApp::new();
    let sue = t.superuser();
    let run = |query: &str| sue.post("/api/sql", &json!({ "query": query }));

    let answer = run("create table t(id int primary key);insert into t(id) values(1)").ok();
    assert_eq!(answer["affectedRows"], 1);
    assert_eq!(answer["columns"], json!([]));
    let answer = run("select 1; select id, null as n, 1.5 as f from t").ok();
    assert_eq!(answer["rows"], json!([["1", null, "1.5"]]));
    assert_eq!(
        answer["columns"][0],
        json!({"name": "id", "type": "INT", "nullable": true})
    );
    run("bad").is(
        400,
        "Failed to execute query. Raw error:\nSQL logic error: near \"bad\": syntax error (1).",
    );

    for refused in [
        "with x as (select 1) delete from t",
        "-- hi\ndelete from t",
        "attach database '/tmp/burrow-it.db' as x",
        "vacuum into '/tmp/burrow-it.db'",
        "pragma writable_schema = 1",
        "pragma query_only = 0",
        "select load_extension('x')",
        "delete from _burrow_changes",
        "insert into t values (2); commit",
    ] {
        assert_eq!(run(refused).status, 400, "{refused}");
    }
    assert_eq!(run("select count(*) from t").ok()["rows"], json!([["1"]]));
    assert_eq!(
        t.guest()
            .post("/api/sql", &json!({"query": "select 1"}))
            .status,
        401
    );
}

#[test]
fn what_the_console_changes_is_seen_by_the_next_request() {
    let t = TestApp::new();
    let (sue, ann) = (t.superuser(), t.user("ann"));
    let me = format!("/api/collections/users/records/{}", ann.id);
    assert_eq!(ann.get(&me).status, 200);
    let run = |query: &str| sue.post("/api/sql", &json!({ "query": query })).ok();

    run("update users set \"tokenKey\" = 'x' || \"tokenKey\"");
    assert_eq!(ann.get(&me).status, 404);

    run("update _collections set \"viewRule\" = '' where name = 'users'");
    assert_eq!(ann.get(&me).status, 200);
}

#[test]
fn jobs_are_listed_and_run_by_name() {
    let t = TestApp::new();
    let sue = t.superuser();

    let jobs = sue.get("/api/crons").ok();
    assert_eq!(
        jobs[0],
        json!({"id": "__pbDBOptimize__", "expression": "0 0 * * *"})
    );
    assert_eq!(jobs.as_array().unwrap().len(), 4);
    for job in jobs.as_array().unwrap() {
        let path = format!("/api/crons/{}", job["id"].as_str().unwrap());
        assert_eq!(
            sue.send(crate::support::Request::new("POST", &path)).status,
            204
        );
    }
    sue.post("/api/crons/missing", &json!({}))
        .is(404, "Missing or invalid cron job.");
}
