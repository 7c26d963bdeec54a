//! One history: some rounds of writing and reading, a server that dies, and a reckoning after each round.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use burrow::kit::id;
use burrow::kit::secret::Secret;
use serde_json::json;

use super::chance::Chance;
use super::house::{House, PATIENCE, copy};
use super::reader::{Reader, WANTS};
use super::writer::Writer;
use crate::nodes::Program;
use crate::realtime::world::{collection, create, relation};
use crate::support::postgres::{self, Folder};
use crate::support::{Person, TestApp};

/// How servers die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kill {
    /// The next one goes on from a copy of the files.
    Image,
    /// SIGKILL, in the middle of writing.
    Process,
    /// The same, of one of several servers of a PostgreSQL.
    Node,
}

/// A directory with everything that histories begin with.
pub(super) struct Base {
    image: Image,
    /// Tokens of a guest (none), two users and a superuser, by the clock of tests.
    tokens: Vec<Option<String>>,
    people: Vec<String>,
    teams: Vec<String>,
}

enum Image {
    Directory(PathBuf),
    /// Address of a database.
    Database(String),
}

const EMAILS: [(&str, &str); 3] = [
    ("users", "ann@example.com"),
    ("users", "bob@example.com"),
    ("_superusers", "sue@example.com"),
];

impl Base {
    pub(super) fn new() -> Self {
        let t = TestApp::new();
        let (tokens, people, teams) = furnish(&t);
        let name = format!("burrow-model-{}", id::random(12, id::LOWER_ALNUM));
        let image = std::env::temp_dir().join(name);
        copy(t.dir(), &image);
        Self {
            image: Image::Directory(image),
            tokens,
            people,
            teams,
        }
    }

    /// The same in a PostgreSQL; its tokens are good by the clock of the system.
    pub(super) fn of_nodes() -> Self {
        let database = postgres::fresh_database();
        let address = Secret::new(database.clone());
        let t = TestApp::configured(|config| config.database = Some(address));
        let (_, people, teams) = furnish(&t);
        drop(t);
        let files = Folder::new();
        let program = Program::start(&database, &files.0);
        let tokens = EMAILS.map(|(collection, email)| {
            let path = format!("/api/collections/{collection}/auth-with-password");
            let body = json!({"identity": email, "password": "1234567890"});
            let answer = Person::at(program.address).post(&path, &body).ok();
            Some(answer["token"].as_str().unwrap().to_owned())
        });
        Self {
            image: Image::Database(database),
            tokens: std::iter::once(None).chain(tokens).collect(),
            people,
            teams,
        }
    }

    fn house(&self, kill: Kill) -> House {
        match (&self.image, kill) {
            (Image::Directory(image), Kill::Image | Kill::Node) => House::here(image),
            (Image::Directory(image), Kill::Process) => House::apart(image),
            (Image::Database(image), _) => House::several(image),
        }
    }
}

type Furniture = (Vec<Option<String>>, Vec<String>, Vec<String>);

/// Makes collections and people: tokens, ids of people and of teams.
fn furnish(t: &TestApp) -> Furniture {
    let mine = "owner = @request.auth.id || shared = true";
    let more = [
        json!({"type": "text", "name": "owner"}),
        json!({"type": "bool", "name": "shared"}),
        json!({"type": "text", "name": "body"}),
    ];
    collection(t, "notes", Some(mine), &more);
    collection(t, "teams", Some(""), &[]);
    let team = relation(t, "team", "teams", false);
    let ours = "team.n > 0 || team.title = @request.auth.name";
    collection(t, "tasks", Some(ours), &[team]);
    t.collection(&json!({
        "name": "totals", "type": "view", "listRule": "", "viewRule": "",
        "viewQuery": "SELECT team AS id, count(*) AS n, sum(n) AS total FROM tasks GROUP BY team",
    }));
    let people = EMAILS.map(|(collection, email)| t.signed_in(collection, email));
    let sue = &people[2];
    // Readers who are a little slow already go back to the log.
    sue.patch("/api/settings", &json!({"realtime": {"maxBacklog": 16}}))
        .ok();
    let teams = ["red", "green", "blue"]
        .map(|title| create(sue, "teams", &json!({"title": title, "n": 0})));
    let tokens = people.iter().map(|person| Some(person.token().to_owned()));
    (
        std::iter::once(None).chain(tokens).collect(),
        people[..2].iter().map(|person| person.id.clone()).collect(),
        teams.to_vec(),
    )
}

impl Drop for Base {
    fn drop(&mut self) {
        match &self.image {
            Image::Directory(image) => drop(std::fs::remove_dir_all(image)),
            Image::Database(image) => postgres::drop_database(image),
        }
    }
}

/// Lives the history of a seed; panics where a reader holds something else than the database shows.
pub(super) fn live(base: &Base, seed: u64, kill: Kill) {
    let mut chance = Chance::of(seed);
    let mut house = base.house(kill);
    // Tokens of the test's clock have run out by that of a real server.
    let tokens = match kill {
        Kill::Image | Kill::Node => base.tokens.clone(),
        Kill::Process => {
            let signed_in = EMAILS.map(|(collection, email)| Some(house.token(collection, email)));
            std::iter::once(None).chain(signed_in).collect()
        }
    };
    let mut readers: Vec<Reader> = (0..3 + chance.below(3))
        .map(|number| {
            let wants = (0..1 + chance.below(3))
                .map(|_| *chance.pick(&WANTS))
                .collect();
            Reader::new(number, chance.pick(&tokens).clone(), wants)
        })
        .collect();
    let mut writer = Writer::new(chance.fork(), base.teams.clone(), base.people.clone());
    settle(&house, &mut readers, seed);
    let mut dead = Vec::new();
    for _ in 0..2 + chance.below(2) {
        let sue = house.people(tokens[3].as_deref());
        let dies = chance.one_in(2);
        let writes = 8 + chance.below(24);
        thread::scope(|scope| {
            let writing = scope.spawn(|| writer.write(&sue, writes));
            let turns = 10 + chance.below(40);
            for turn in 0..turns {
                if dies && kill != Kill::Image && turn == turns / 2 {
                    house.kill();
                }
                meddle(&house, &mut readers, &mut chance, &tokens);
            }
            writing.join().unwrap();
        });
        if dies && kill == Kill::Image {
            readers.iter_mut().for_each(Reader::go_away);
            if let House::Here(app) = &house {
                dead.push(std::sync::Arc::clone(app));
            }
            house.kill();
        }
        settle(&house, &mut readers, seed);
    }
    drop(readers);
}

/// Something that a reader does, or leaves undone.
fn meddle(house: &House, readers: &mut [Reader], chance: &mut Chance, tokens: &[Option<String>]) {
    let at = chance.below(readers.len());
    let reader = &mut readers[at];
    match chance.below(12) {
        0 => reader.go_away(),
        1 => reader.sign_in(chance.pick(tokens).clone()),
        // Reads for a while, or not at all.
        2..5 => thread::yield_now(),
        _ => drop(reader.read(house)),
    }
}

/// Lets everybody read until they hold what there is, and nothing is on its way any more.
fn settle(house: &House, readers: &mut [Reader], seed: u64) {
    let begun = Instant::now();
    let late = |reader: &Reader| {
        if begun.elapsed() > PATIENCE {
            let differs = reader.differs(house);
            panic!(
                "seed {seed}: {}",
                differs.unwrap_or_else(|| "no answer".to_owned())
            );
        }
    };
    for round in 0..2 {
        for reader in readers.iter_mut() {
            // Nobody writes any more: what differs, differs until more is heard. An answer may have failed, though.
            const AGAIN: Duration = Duration::from_millis(250);
            let mut looked: Option<Instant> = None;
            loop {
                if reader.read(house) {
                    looked = None;
                }
                late(reader);
                let due = looked.is_none_or(|looked| looked.elapsed() > AGAIN);
                if due && !reader.waits_for_ping() {
                    if reader.differs(house).is_none() {
                        break;
                    }
                    looked = Some(Instant::now());
                } else {
                    thread::park_timeout(Duration::from_millis(1));
                }
            }
            if round == 0 {
                reader.ping();
            }
        }
    }
    readers.iter_mut().for_each(Reader::is_level);
}
