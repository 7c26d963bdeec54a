//! From the directory to PostgreSQL, while the server goes on, and back.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burrow::kit::secret::Secret;
use burrow::store::{Graduated, StoreError, back, graduate};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};

use crate::faults::Server;
use crate::realtime::ears::{Socket, is};
use crate::realtime::world::{collection, create, delete, update};
use crate::support::postgres::{Folder, fresh_database, shared};
use crate::support::{Person, TestApp, until};

const EMAIL: &str = "sue@example.com";
const PASSWORD: &str = "1234567890";

/// A server whose data is in its directory, whatever this run is about.
fn embedded() -> TestApp {
    TestApp::configured(|config| {
        config.database = None;
        config.files_dir = None;
    })
}

fn posts() -> TestApp {
    let t = embedded();
    let number = json!({"type": "number", "name": "n"});
    let flag = json!({"type": "bool", "name": "flag"});
    let extra = json!({"type": "json", "name": "extra"});
    collection(&t, "posts", Some(""), &[number, flag, extra]);
    t
}

fn bring_over(t: &TestApp, address: &str) -> Result<Graduated, StoreError> {
    graduate(
        t.dir(),
        &Secret::new(address.to_owned()),
        false,
        false,
        &mut |_| {},
    )
}

fn titles(who: &Person) -> Vec<String> {
    let path = "/api/collections/posts/records?perPage=1000&sort=@rowid&fields=title&skipTotal=1";
    let items = who.get(path).ok();
    let titles = items["items"].as_array().unwrap().iter();
    titles
        .map(|item| item["title"].as_str().unwrap().to_owned())
        .collect()
}

fn complaint(result: Result<Graduated, StoreError>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn everything_is_there_again_and_cursors_stay_good() {
    let mut t = posts();
    let sue = t.superuser();
    let user = t.user("ann");
    let body =
        json!({"title": "one\t\\N\n\u{8}ü", "n": -1.5e-7, "flag": true, "extra": {"a": [1, null]}});
    let one = create(&sue, "posts", &body);
    let gone = create(&sue, "posts", &json!({"title": "gone"}));
    let mut socket = Socket::open(&t);
    socket.subscribe("posts/*");
    create(
        &sue,
        "posts",
        &json!({"title": "two", "n": 9_007_199_254_740_991_i64}),
    );
    let cursor = socket.next()["cursor"].clone();
    delete(&sue, "posts", &gone);
    let path = format!("/api/collections/posts/records/{one}");
    let before = sue.get(&path).ok();

    let done = bring_over(&t, &fresh_database()).unwrap();

    assert!(
        done.tables
            .iter()
            .any(|table| table.name == "posts" && table.sum.rows == 2)
    );
    let refused = sue.post("/api/collections/posts/records", &json!({"title": "late"}));
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(sue.get(&path).ok(), before, "what is read is still there");

    t.restart();
    assert!(!t.app.store.is_embedded());
    let sue = sue.at_address(t.address());
    assert_eq!(sue.get(&path).ok(), before);
    assert_eq!(
        user.at_address(t.address())
            .get("/api/collections/users/records")
            .ok()["totalItems"],
        1
    );
    create(&sue, "posts", &json!({"title": "three"}));
    let mut again = Socket::open(&t);
    again.subscribe_with(json!({"topic": "posts/*", "since": cursor}));
    assert_eq!(again.event(), is("delete", "gone"));
    assert_eq!(again.event(), is("create", "three"));
    assert_eq!(titles(&sue).last().unwrap(), "three");
}

#[test]
fn what_was_written_in_postgresql_comes_back() {
    let mut t = posts();
    let sue = t.superuser();
    let one = create(
        &sue,
        "posts",
        &json!({"title": "one", "n": 5, "extra": [5]}),
    );
    let address = fresh_database();
    bring_over(&t, &address).unwrap();
    t.restart();
    let sue = sue.at_address(t.address());
    update(&sue, "posts", &one, &json!({"title": "One", "n": 1e300}));
    create(&sue, "posts", &json!({"title": "two"}));
    let view = json!({"name": "seen", "type": "view", "viewQuery": "SELECT id, title FROM posts"});
    sue.post("/api/collections", &view).ok();
    let path = format!("/api/collections/posts/records/{one}");
    let before = sue.get(&path).ok();
    let secret = Secret::new(address.clone());

    let busy = complaint(back(t.dir(), &secret, false, &mut |_| {}));
    assert!(busy.contains("another server"), "{busy}");
    t.restart_after(|t| {
        let done = back(t.dir(), &secret, false, &mut |_| {}).unwrap();
        assert!(
            done.tables
                .iter()
                .any(|table| table.name == "posts" && table.sum.rows == 2)
        );
        let again = complaint(back(t.dir(), &secret, false, &mut |_| {}));
        assert!(again.contains("come back before"), "{again}");
        // As after an interruption at the very end.
        std::fs::write(t.dir().join(".burrow/database"), &address).unwrap();
        back(t.dir(), &secret, false, &mut |_| {}).unwrap();
    });

    assert!(t.app.store.is_embedded());
    let sue = sue.at_address(t.address());
    assert_eq!(sue.get(&path).ok(), before);
    assert_eq!(titles(&sue), ["One", "two"]);
    assert_eq!(
        sue.get("/api/collections/seen/records").ok()["totalItems"],
        2
    );
    let left = complaint(bring_over(&t, &address));
    assert!(left.contains("--anew"), "{left}");
    let anew = graduate(t.dir(), &secret, false, true, &mut |_| {}).unwrap();
    assert_eq!(anew.left_out, Vec::<String>::new());
}

#[test]
fn what_happens_meanwhile_is_followed() {
    let mut t = posts();
    let sue = t.superuser();
    let unique = json!({"indexes": ["CREATE UNIQUE INDEX one_n ON posts (n) WHERE n > 0"]});
    sue.patch("/api/collections/posts", &unique).ok();
    let one = create(&sue, "posts", &json!({"title": "one", "n": 1}));
    let two = create(&sue, "posts", &json!({"title": "two", "n": 2}));
    let three = create(&sue, "posts", &json!({"title": "three", "n": 3}));
    let mut steps = 0;

    let secret = Secret::new(fresh_database());
    let done = graduate(t.dir(), &secret, false, false, &mut |step| {
        if step.what != "posts" {
            return;
        }
        steps += 1;
        if steps == 1 {
            // The first state is being copied: unique values change hands, one record goes and comes again.
            update(&sue, "posts", &one, &json!({"n": 30}));
            update(&sue, "posts", &two, &json!({"n": 1}));
            delete(&sue, "posts", &three);
            create(
                &sue,
                "posts",
                &json!({"id": three, "title": "again", "n": 2}),
            );
            collection(&t, "late", Some(""), &[]);
            create(&sue, "late", &json!({"title": "late"}));
            let field = json!({"type": "text", "name": "more"});
            let posts = sue.get("/api/collections/posts").ok();
            let mut fields = posts["fields"].as_array().unwrap().clone();
            fields.push(field);
            sue.patch("/api/collections/posts", &json!({"fields": fields}))
                .ok();
        } else if steps == 3 {
            sue.post(
                "/api/sql",
                &json!({"query": "UPDATE posts SET more = 'touched'"}),
            )
            .ok();
        }
    });

    let done = done.unwrap();
    assert!(done.followed >= 6, "{done:?}");
    t.restart();
    let sue = sue.at_address(t.address());
    assert_eq!(titles(&sue), ["one", "two", "again"]);
    let path = "/api/collections/posts/records?filter=more='touched'%26%26n<30";
    assert_eq!(sue.get(path).ok()["totalItems"], 2);
    assert_eq!(
        sue.get("/api/collections/late/records").ok()["totalItems"],
        1
    );
    let taken = sue.post(
        "/api/collections/posts/records",
        &json!({"title": "x", "n": 1}),
    );
    assert_eq!(taken.status, 400, "the index is there");
}

#[test]
fn a_target_or_a_value_that_will_not_do_is_named_and_nothing_has_changed() {
    let t = posts();
    let sue = t.superuser();
    let one = create(&sue, "posts", &json!({"title": "one"}));
    let foreign = fresh_database();
    let name = foreign.rsplit_once('/').unwrap().1;
    shared().query(name, "CREATE TABLE theirs (a int)").unwrap();
    let used = fresh_database();
    let other = TestApp::configured(|config| config.database = Some(Secret::new(used.clone())));
    let free = fresh_database();
    let nobody = "postgres://burrow@127.0.0.1:1/x";

    assert!(complaint(bring_over(&t, &foreign)).contains("theirs"));
    assert!(complaint(bring_over(&t, &used)).contains("already holds"));
    assert!(complaint(bring_over(&t, nobody)).contains("cannot be reached"));
    let mut second = String::new();
    let secret = Secret::new(free.clone());
    let view = json!({"name": "odd", "type": "view", "viewQuery": "SELECT id, typeof(title) AS kind FROM posts"});
    sue.post("/api/collections", &view).ok();
    let refused = complaint(bring_over(&t, &free));
    assert!(
        refused.contains("odd") && refused.contains("typeof"),
        "{refused}"
    );
    let nul = "UPDATE posts SET title = 'a' || char(0)";
    sue.post("/api/sql", &json!({ "query": nul })).ok();
    let refused = complaint(graduate(t.dir(), &secret, true, false, &mut |_| {
        if second.is_empty() {
            second = complaint(graduate(t.dir(), &secret, true, false, &mut |_| {}));
        }
    }));
    assert!(
        refused.contains(&one) && refused.contains("NUL"),
        "{refused}"
    );
    assert!(second.contains("somebody else"), "{second}");
    let served = Command::new(env!("CARGO_BIN_EXE_burrow"))
        .args([
            "serve",
            "--http",
            "127.0.0.1:0",
            "--database",
            &free,
            "--dir",
        ])
        .arg(t.dir().join("elsewhere"))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&served.stderr).contains("on its way"));

    update(&sue, "posts", &one, &json!({"title": "mended"}));
    let done = graduate(t.dir(), &secret, true, false, &mut |_| {}).unwrap();
    assert_eq!(done.left_out, ["odd"]);
    drop(other);
}

fn burrow(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_burrow"));
    command.args(arguments).arg("--dir").arg(dir);
    command.env_remove("BURROW_TEST_DATABASE");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn done(output: &Output) -> Json {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(text.trim()).unwrap()
}

fn count(address: &str, table: &str, expected: usize) {
    let name = address.rsplit_once('/').unwrap().1;
    let text = format!("DO $$ BEGIN ASSERT (SELECT count(*) FROM {table}) = {expected}; END $$");
    shared().query(name, &text).unwrap();
}

fn all_titles(guest: &Person) -> Vec<String> {
    let path = "/api/collections/posts/records?perPage=1000&fields=title&sort=@rowid&page=";
    let mut there: Vec<String> = Vec::new();
    for page in 1.. {
        let items = guest.get(&format!("{path}{page}")).ok();
        let items = items["items"].as_array().unwrap();
        there.extend(
            items
                .iter()
                .map(|item| item["title"].as_str().unwrap().to_owned()),
        );
        if items.len() < 1000 {
            break;
        }
    }
    there
}

#[test]
fn a_server_that_runs_goes_on_in_postgresql_and_no_answered_write_is_lost() {
    let home = Folder::new();
    let dir = home.0.join("data");
    let made = burrow(&dir, &["superuser", "upsert", EMAIL, PASSWORD])
        .output()
        .unwrap();
    assert!(made.status.success());
    let server = Server::start(&dir);
    let guest = Person::at(server.address);
    let credentials = json!({"identity": EMAIL, "password": PASSWORD});
    let signed_in = guest.post(
        "/api/collections/_superusers/auth-with-password",
        &credentials,
    );
    let sue = guest.with_token(signed_in.ok()["token"].as_str().unwrap());
    let posts = json!({
        "name": "posts", "type": "base", "createRule": "", "listRule": "",
        "fields": [{"type": "text", "name": "title"}],
    });
    sue.post("/api/collections", &posts).ok();
    let address = fresh_database();
    let (answered, stop) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let write = |writer: usize| {
        for n in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let title = format!("{writer} {n}");
            let body = json!({"title": title});
            match guest.try_send("POST", "/api/collections/posts/records", Some(&body)) {
                Some(_) => answered.lock().push(title),
                // The moment of the switch.
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    };
    let more = |than: usize| until("they have written on", || answered.lock().len() > than + 50);
    let moved = std::thread::scope(|scope| {
        for writer in 0..3 {
            scope.spawn(move || write(writer));
        }
        more(0);
        let output = burrow(&dir, &["graduate", "--json", "--to", &address]).output();
        let moved = done(&output.unwrap());
        let so_far = answered.lock().len();
        more(so_far);
        stop.store(true, Ordering::Relaxed);
        moved
    });

    assert!(moved["followed"].as_u64().unwrap() > 0, "{moved}");
    let there = all_titles(&guest);
    let answered = answered.into_inner();
    for title in &answered {
        assert_eq!(
            there.iter().filter(|known| *known == title).count(),
            1,
            "{title}"
        );
    }
    count(&address, "posts", there.len());
}

#[test]
fn a_move_that_is_killed_is_finished_by_the_same_command() {
    let home = Folder::new();
    let dir = home.0.join("data");
    let file = home.0.join("posts.ndjson");
    let rows = 30_000;
    let lines: String = (0..rows)
        .map(|n| format!("{{\"title\":\"title {n}\"}}\n"))
        .collect();
    std::fs::write(&file, lines).unwrap();
    let posts = home.0.join("posts.json");
    let definition =
        json!([{"name": "posts", "type": "base", "fields": [{"type": "text", "name": "title"}]}]);
    std::fs::write(&posts, definition.to_string()).unwrap();
    let import = |arguments: &[&str]| {
        let output = burrow(&dir, arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    import(&["import", "collections", posts.to_str().unwrap()]);
    import(&["import", file.to_str().unwrap(), "--into", "posts"]);
    let address = fresh_database();
    let mut kills = 0;

    for delay in (20..).step_by(25) {
        let mut child = burrow(&dir, &["graduate", "--json", "--to", &address])
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        if child.try_wait().unwrap().is_some() {
            done(&child.wait_with_output().unwrap());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }

    assert!(kills > 2, "it was not interrupted");
    count(&address, "posts", rows);
    let server = Server::start(&dir);
    assert_eq!(Person::at(server.address).get("/api/health").status, 200);
    let again = burrow(&dir, &["graduate", "--json", "--to", &address])
        .output()
        .unwrap();
    assert_eq!(done(&again)["rows"], 0);
}
