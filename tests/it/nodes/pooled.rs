//! Behind a pooler that shares connections between transactions: Debian's PgBouncer.

use std::process::{Child, Command, Stdio};

use burrow::kit::secret::Secret;
use serde_json::json;

use crate::realtime::ears::{Socket, is};
use crate::realtime::world::{collection, create, relation};
use crate::support::postgres::{self, Folder, free_port};
use crate::support::{TestApp, until};

/// A pooler in front of the PostgreSQL of the tests, with four connections of its own for everybody.
struct Pooler {
    child: Child,
    port: u16,
    _dir: Folder,
}

impl Pooler {
    fn start() -> Self {
        let (dir, port) = (Folder::new(), free_port());
        let file = dir.0.join("pgbouncer.ini");
        // As in docs/postgres.md.
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 8\n\
             max_client_conn = 500\nignore_startup_parameters = extra_float_digits\nserver_reset_query =\n",
            postgres::shared().port()
        );
        std::fs::write(&file, text.replace("* = host", "* = user=burrow host")).unwrap();
        let mut command = Command::new("setpriv");
        if postgres::is_root() {
            command.args(["--reuid=nobody", "--regid=65534", "--clear-groups"]);
        }
        let child = command
            .arg("/usr/sbin/pgbouncer")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pooler = Self {
            child,
            port,
            _dir: dir,
        };
        until("the pooler listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        pooler
    }

    /// The address of a database through it.
    fn address(&self, direct: &str) -> String {
        let name = direct.rsplit_once('/').unwrap().1;
        format!("postgres://burrow@127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn servers_work_behind_a_pooler_of_transactions() {
    let pooler = Pooler::start();
    let direct = postgres::fresh_database();
    let pooled = pooler.address(&direct);
    let files = Folder::new();
    let a = TestApp::configured(|config| {
        config.database = Some(Secret::new(pooled));
        config.database_listen = Some(Secret::new(direct.clone()));
        config.files_dir = Some(files.0.clone());
    });
    let b = a
        .try_beside(|config| config.database_listen = Some(Secret::new(direct.clone())))
        .unwrap();
    collection(&a, "teams", Some(""), &[]);
    let team = relation(&a, "team", "teams", false);
    let more = [
        team,
        json!({"type": "bool", "name": "done"}),
        json!({"type": "json", "name": "meta"}),
    ];
    collection(
        &a,
        "tasks",
        Some("team.n > 0 || @request.auth.id != ''"),
        &more,
    );
    a.collection(&json!({
        "name": "totals", "type": "view", "listRule": "", "viewRule": "",
        "viewQuery": "SELECT team AS id, count(*) AS n FROM tasks GROUP BY team",
    }));
    let sue = a.superuser();
    let mut socket = Socket::of(&b, &sue);
    socket.subscribe("tasks/*");

    let red = create(&sue, "teams", &json!({"title": "red", "n": 2}));
    for n in 0..20 {
        let task = json!({"title": format!("t{n}"), "n": n, "team": red, "done": n % 2 == 0, "meta": {"n": n}});
        create(&sue, "tasks", &task);
    }

    for n in 0..20 {
        assert_eq!(socket.event(), is("create", &format!("t{n}")));
    }
    for node in [&a, &b] {
        // More at once than the pooler has connections.
        std::thread::scope(|scope| {
            for n in 0..12 {
                scope.spawn(move || {
                    let filter = "done%20%3D%20true%20%26%26%20meta.n%20%3E%203.5";
                    let path = format!(
                        "/api/collections/tasks/records?filter={filter}&expand=team&sort=-n&perPage={}",
                        5 + n
                    );
                    let listed = node.guest().get(&path).ok();
                    assert_eq!(listed["totalItems"], 8);
                    assert_eq!(listed["items"][0]["title"], "t18");
                    assert_eq!(listed["items"][0]["expand"]["team"]["title"], "red");
                });
            }
        });
        let totals = node.guest().get("/api/collections/totals/records").ok();
        assert_eq!(totals["items"][0]["n"], 20);
    }
    let rows = sue
        .post(
            "/api/sql",
            &json!({"query": "SELECT count(*) AS n FROM tasks"}),
        )
        .ok();
    assert_eq!(rows["rows"], json!([["20"]]), "{rows}");
    drop((b, a));
    postgres::drop_database(&direct);
}

#[test]
fn a_pooler_that_nobody_speaks_of_is_found_out() {
    let pooler = Pooler::start();
    let direct = postgres::fresh_database();
    let pooled = pooler.address(&direct);
    let a = TestApp::node();
    let refused = a
        .try_beside(|config| config.database = Some(Secret::new(pooled)))
        .err()
        .unwrap();
    let text = refused.to_string();
    assert!(text.contains("--database-listen"), "{text}");
    postgres::drop_database(&direct);
}

#[test]
fn a_server_opens_no_more_connections_than_it_may() {
    let a = TestApp::node();
    let most = 14;
    let b = a
        .try_beside(|config| config.database_connections = most)
        .unwrap();
    collection(&a, "posts", Some(""), &[]);
    let sue = a.superuser();
    create(&sue, "posts", &json!({"title": "one"}));
    let mut socket = Socket::open(&b);
    socket.subscribe("posts/*");
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'burrow'";
    let open = || {
        let answer = sue.post("/api/sql", &json!({"query": count})).ok();
        answer["rows"][0][0]
            .as_str()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };

    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let id = "/api/collections/posts/records?sort=title&filter=title!='x'";
                    let reply = b.guest().get(&id.replace('\'', "%27"));
                    assert!([200, 503].contains(&reply.status));
                }
            });
        }
    });

    let of_both = open();
    let of_a = a.app.config.database_connections;
    assert!(of_both <= most + of_a, "{of_both}");
    drop(socket);
}
