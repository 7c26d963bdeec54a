//! What is to be done once is done once, however many servers there are.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::{MailServer, Security, TestApp, until};

#[test]
fn a_job_runs_once_in_its_minute() {
    let a = TestApp::node();
    let nodes = [a.beside(), a.beside()];
    let post = MailServer::start(Security::None);
    let sue = a.superuser();
    let mut settings = post.settings();
    // Backups are refused here, and a failed one is told to every superuser: each run is a letter.
    settings["backups"] = json!({"cron": "* * * * *"});
    sue.patch("/api/settings", &settings).ok();
    for node in &nodes {
        until("the other servers know the job", || {
            node.app.crons.list().len() == a.app.crons.list().len()
        });
    }

    for minute in 1..=3 {
        thread::scope(|scope| {
            for node in nodes.iter().chain([&a]) {
                scope.spawn(move || node.wait(async { node.app.crons.tick() }));
            }
        });
        assert_eq!(post.next().header("To"), "sue@example.com", "{minute}");
        a.clock.advance(Duration::from_secs(60));
    }
    // Any other letter would have been sent before the last one's was, or is on its way; both are found out by one more.
    sue.post(
        "/api/settings/test/email",
        &json!({"email": "last@example.com", "template": "otp"}),
    );
    assert_eq!(post.next().header("To"), "last@example.com");
}

#[test]
fn servers_that_start_together_on_an_empty_database_make_it_once() {
    let address = crate::support::postgres::fresh_database();
    let files = crate::support::postgres::Folder::new();
    let nodes: Vec<TestApp> = thread::scope(|scope| {
        let starting: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    TestApp::configured(|config| {
                        let address = address.clone();
                        config.database = Some(burrow::kit::secret::Secret::new(address));
                        config.files_dir = Some(files.0.clone());
                    })
                })
            })
            .collect();
        let started = starting.into_iter().map(|one| one.join().unwrap());
        started.collect()
    });

    let sue = nodes[0].superuser();
    for node in &nodes {
        let who = node.guest().with_token(sue.token());
        let collections = who.get("/api/collections?perPage=100").ok();
        let names: Vec<_> = collections["items"].as_array().unwrap().iter().collect();
        assert_eq!(names.len(), nodes[0].app.store.catalog().iter().count() - 4);
    }
    drop(nodes);
    crate::support::postgres::drop_database(&address);
}
