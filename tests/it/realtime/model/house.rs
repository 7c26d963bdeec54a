//! Where a history takes place: a server in this process, which dies by going on from a copy of its files, or the real
//! program, which is killed; or several of it, of which one is.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use burrow::kit::id;
use serde_json::{Value as Json, json};

use super::wire::{Direct, Wire, Wired};
use crate::nodes::Program;
use crate::support::postgres::{self, Folder};
use crate::support::{Person, Request, TestApp, try_exchange};

/// How long something may take before it counts as never.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A server at some address.
pub(super) enum House {
    Here(Arc<TestApp>),
    Apart(Apart),
    Several(Several),
}

/// Servers of one PostgreSQL.
pub(super) struct Several {
    database: String,
    files: Folder,
    programs: Vec<Program>,
    /// Whose turn it is to be asked.
    turn: AtomicUsize,
}

impl Several {
    const COUNT: usize = 3;

    fn start(&self) -> Program {
        Program::start(&self.database, &self.files.0)
    }
}

impl Drop for Several {
    fn drop(&mut self) {
        self.programs.clear();
        postgres::drop_database(&self.database);
    }
}

/// The real program.
pub(super) struct Apart {
    root: std::path::PathBuf,
    address: SocketAddr,
    child: Child,
}

/// Copies the files of a data directory as they are at this moment.
pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl House {
    pub(super) fn here(image: &Path) -> Self {
        Self::Here(Arc::new(TestApp::configured(|config| {
            copy(image, &config.dir)
        })))
    }

    pub(super) fn apart(image: &Path) -> Self {
        let name = format!("burrow-model-{}", id::random(12, id::LOWER_ALNUM));
        let root = std::env::temp_dir().join(name);
        copy(image, &root.join("data"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let child = start(&root, address);
        Self::Apart(Apart {
            root,
            address,
            child,
        })
    }

    /// Servers of a copy of the database `image`.
    pub(super) fn several(image: &str) -> Self {
        let mut several = Several {
            database: postgres::copied_database(image),
            files: Folder::new(),
            programs: Vec::new(),
            turn: AtomicUsize::new(0),
        };
        for _ in 0..Several::COUNT {
            several.programs.push(several.start());
        }
        Self::Several(several)
    }

    /// Dies without a word, and lives on from what is on the disk. Of several, one dies and another one comes.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Several(several) => {
                let at = several.turn.load(Ordering::Relaxed) % several.programs.len();
                several.programs.remove(at);
                several.programs.push(several.start());
            }
            Self::Here(app) => {
                let dir = app.dir().to_owned();
                *self = Self::here(&dir);
            }
            Self::Apart(apart) => {
                apart.child.kill().unwrap();
                apart.child.wait().unwrap();
                apart.child = start(&apart.root, apart.address);
            }
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Here(app) => app.address(),
            Self::Apart(apart) => apart.address,
            Self::Several(several) => {
                let turn = several.turn.fetch_add(1, Ordering::Relaxed);
                several.programs[turn % several.programs.len()].address
            }
        }
    }

    /// Those whom a writer may ask.
    pub(super) fn people(&self, token: Option<&str>) -> Vec<Person> {
        let count = match self {
            Self::Several(several) => several.programs.len(),
            Self::Here(_) | Self::Apart(_) => 1,
        };
        (0..count).map(|_| self.person(token)).collect()
    }

    /// Somebody with a token, or a guest with none.
    pub(super) fn person(&self, token: Option<&str>) -> Person {
        let guest = Person::at(self.address());
        token.map_or_else(|| guest.clone(), |token| guest.with_token(token))
    }

    /// Signs in by password.
    pub(super) fn token(&self, collection: &str, email: &str) -> String {
        let path = format!("/api/collections/{collection}/auth-with-password");
        let body = json!({"identity": email, "password": "1234567890"});
        let answer = self.person(None).post(&path, &body).ok();
        answer["token"].as_str().unwrap().to_owned()
    }

    /// Opens a connection.
    pub(super) fn dial(&self) -> Option<Box<dyn Wire>> {
        match self {
            Self::Here(app) => Some(Box::new(Direct::open(app))),
            Self::Apart(_) | Self::Several(_) => {
                Wired::open(self.address()).map(|wire| Box::new(wire) as _)
            }
        }
    }

    /// What a list request answers.
    pub(super) fn listed(&self, who: &Person, path: &str) -> Result<Vec<Json>, u16> {
        // Empty answers in quick succession are held back (contract 5.2): here they are not in quick succession.
        if let Self::Here(app) = self {
            app.clock.advance(Duration::from_secs(1));
        }
        match who.try_send("GET", path, None) {
            Some(answer) => Ok(answer["items"].as_array().unwrap().clone()),
            None => Err(503),
        }
    }
}

fn start(root: &Path, address: SocketAddr) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_burrow"));
    command.arg("serve").arg("--dir").arg(root.join("data"));
    command.arg("--http").arg(address.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    let is_well = || {
        let health = try_exchange(address, &Request::new("GET", "/api/health"));
        health.is_some_and(|health| health.status == 200)
    };
    while !is_well() {
        if begun.elapsed() > PATIENCE {
            child.kill().ok();
            child.wait().ok();
            panic!("the server does not start");
        }
        std::thread::yield_now();
    }
    child
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.root).ok();
    }
}
