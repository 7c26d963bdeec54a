//! People who write without a pause, and what they know afterwards: which states of each thing are possible.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use burrow::kit::id;
use parking_lot::Mutex;
use rusqlite::Connection;
use serde_json::{Value as Json, json};
use zip::ZipArchive;

use crate::support::{Reply, Request, try_exchange};

/// A kind of write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Update,
    Delete,
    Batch,
    Upload,
    Schema,
    Import,
    Backup,
}

pub(super) const KINDS: [Kind; 8] = [
    Kind::Create,
    Kind::Update,
    Kind::Delete,
    Kind::Batch,
    Kind::Upload,
    Kind::Schema,
    Kind::Import,
    Kind::Backup,
];

/// The titles that a record may have now, `None` for being away: one where the last answer came, two where it did not.
type Fate = Vec<Option<String>>;

/// What may be there.
#[derive(Default)]
struct Model {
    notes: BTreeMap<String, Fate>,
    /// Records of batches that were not answered: all of one are there, or none.
    batches: Vec<Vec<String>>,
    fields: BTreeSet<String>,
    imported: BTreeSet<String>,
    backups: BTreeSet<String>,
}

/// Writers at one server and what they know.
pub(super) struct Work {
    address: SocketAddr,
    token: String,
    model: Mutex<Model>,
    stop: AtomicBool,
    /// Writes that were answered well.
    pub(super) acknowledged: AtomicUsize,
}

impl Work {
    /// Over a server with nothing in it yet.
    pub(super) fn prepare(address: SocketAddr, token: &str) -> Self {
        let work = Self {
            address,
            token: token.to_owned(),
            model: Mutex::default(),
            stop: AtomicBool::new(false),
            acknowledged: AtomicUsize::new(0),
        };
        for name in ["notes", "shape"] {
            let fields = json!([
                {"name": "title", "type": "text"}, {"name": "paper", "type": "file", "maxSize": 200_000}
            ]);
            let made = json!({"name": name, "type": "base", "fields": fields});
            let reply = work.send("POST", "/api/collections", Some(&made));
            assert_eq!(reply.map(|reply| reply.status), Some(200));
        }
        work
    }

    /// The server is at another place now.
    pub(super) fn moved_to(&mut self, address: SocketAddr) {
        self.address = address;
        *self.stop.get_mut() = false;
    }

    fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, path).header("Authorization", &self.token)
    }

    fn send(&self, method: &str, path: &str, body: Option<&Json>) -> Option<Reply> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        try_exchange(self.address, &request)
    }

    /// Begins to write, two of each kind where records are concerned.
    pub(super) fn begin(self: &Arc<Self>, kinds: &[Kind]) -> Vec<std::thread::JoinHandle<()>> {
        let twice = kinds
            .iter()
            .filter(|kind| !matches!(kind, Kind::Schema | Kind::Import | Kind::Backup));
        kinds
            .iter()
            .chain(twice)
            .map(|&kind| {
                let work = Arc::clone(self);
                std::thread::spawn(move || {
                    while !work.stop.load(Ordering::Relaxed) {
                        if !work.one(kind) {
                            return;
                        }
                    }
                })
            })
            .collect()
    }

    /// Ends them.
    pub(super) fn end(&self, writers: Vec<std::thread::JoinHandle<()>>) {
        self.stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().unwrap();
        }
    }

    /// One write; whether there was an answer of any kind.
    fn one(&self, kind: Kind) -> bool {
        let answer = match kind {
            Kind::Create => self.put(None),
            Kind::Update | Kind::Delete => self.change(kind),
            Kind::Batch => self.batch(),
            Kind::Upload => self.upload(),
            Kind::Schema => self.schema(),
            Kind::Import => self.import(),
            Kind::Backup => self.backup(),
        };
        if let Some(true) = answer {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        answer.is_some()
    }

    fn fate(&self, id: &str, fate: Fate) {
        self.model.lock().notes.insert(id.to_owned(), fate);
    }

    /// Makes a record, with a file where one is given.
    fn put(&self, content: Option<&[u8]>) -> Option<bool> {
        let (id, title) = (id::record_id(), id::random(30, id::ALNUM));
        self.fate(&id, vec![None, Some(title.to_string())]);
        let path = "/api/collections/notes/records";
        let reply = match content {
            None => self.send("POST", path, Some(&json!({"id": id, "title": title}))),
            Some(content) => {
                let texts = [("id", id.as_str()), ("title", title.as_str())];
                let request = self.request("POST", path);
                let request = request.multipart(&texts, &[("paper", "paper.txt", content)]);
                try_exchange(self.address, &request)
            }
        };
        let done = reply?.status == 200;
        if done {
            self.fate(&id, vec![Some(title.into())]);
        }
        Some(done)
    }

    fn upload(&self) -> Option<bool> {
        let length = 1 + id::below(100_000) as usize;
        self.put(Some(&paper(length)))
    }

    /// Changes or removes a record that nobody else changes meanwhile.
    fn change(&self, kind: Kind) -> Option<bool> {
        let taken = {
            let mut model = self.model.lock();
            let settled = model
                .notes
                .iter()
                .filter(|(_, fate)| fate.len() == 1 && fate[0].is_some());
            let nth = id::below(64) as usize;
            let id = settled.map(|(id, _)| id.clone()).nth(nth);
            id.map(|id| {
                let fate = model.notes.remove(&id).unwrap_or_default();
                (id, fate)
            })
        };
        let Some((id, before)) = taken else {
            return self.put(None);
        };
        let title = id::random(30, id::ALNUM).to_string();
        let path = format!("/api/collections/notes/records/{id}");
        let (after, reply) = match kind {
            Kind::Delete => (None, self.send("DELETE", &path, None)),
            _ => {
                let body = json!({"title": title});
                (Some(title), self.send("PATCH", &path, Some(&body)))
            }
        };
        let done = reply.as_ref().is_some_and(|reply| reply.status < 300);
        let fate = if done {
            vec![after]
        } else {
            vec![before[0].clone(), after]
        };
        self.fate(&id, fate);
        reply.map(|_| done)
    }

    fn batch(&self) -> Option<bool> {
        let made: Vec<(String, String)> = (0..4)
            .map(|_| (id::record_id().into(), id::random(30, id::ALNUM).into()))
            .collect();
        let requests: Vec<Json> = made
            .iter()
            .map(|(id, title)| {
                json!({"method": "POST", "url": "/api/collections/notes/records",
                       "body": {"id": id, "title": title}})
            })
            .collect();
        for (id, title) in &made {
            // Empty for the time being: nobody changes what may not be there.
            self.fate(id, vec![None, Some(title.clone())]);
        }
        let reply = self.send("POST", "/api/batch", Some(&json!({"requests": requests})));
        let done = reply.as_ref().is_some_and(|reply| reply.status == 200);
        let mut model = self.model.lock();
        if done {
            for (id, title) in made {
                model.notes.insert(id, vec![Some(title)]);
            }
        } else {
            model
                .batches
                .push(made.into_iter().map(|(id, _)| id).collect());
        }
        drop(model);
        reply.map(|_| done)
    }

    /// Adds a field, which rebuilds what is stored of the collection.
    fn schema(&self) -> Option<bool> {
        let shape = self.send("GET", "/api/collections/shape", None)?;
        let mut fields = shape.json()["fields"].as_array()?.clone();
        let name = format!("f{}", id::random(8, id::LOWER_ALNUM));
        fields.retain(|field| {
            field["name"]
                .as_str()
                .is_some_and(|name| !name.starts_with('f'))
                || id::below(8) > 0
        });
        let gone: Vec<String> = {
            let kept: Vec<&str> = fields
                .iter()
                .filter_map(|field| field["name"].as_str())
                .collect();
            let model = self.model.lock();
            model
                .fields
                .iter()
                .filter(|name| !kept.contains(&name.as_str()))
                .cloned()
                .collect()
        };
        fields.push(json!({"name": name, "type": "text"}));
        {
            // Whether they are still there is open until the answer.
            let mut model = self.model.lock();
            for name in &gone {
                model.fields.remove(name);
            }
        }
        let reply = self.send(
            "PATCH",
            "/api/collections/shape",
            Some(&json!({"fields": fields})),
        );
        let done = reply.as_ref().is_some_and(|reply| reply.status == 200);
        if done {
            self.model.lock().fields.insert(name);
        }
        reply.map(|_| done)
    }

    fn import(&self) -> Option<bool> {
        let names: Vec<String> = (0..2)
            .map(|_| format!("i{}", id::random(8, id::LOWER_ALNUM)))
            .collect();
        let collections: Vec<Json> = names
            .iter()
            .map(|name| json!({"name": name, "type": "base", "fields": [{"name": "title", "type": "text"}]}))
            .collect();
        let body = json!({"collections": collections, "deleteMissing": false});
        let reply = self.send("PUT", "/api/collections/import", Some(&body))?;
        let done = reply.status < 300;
        if done {
            self.model.lock().imported.extend(names);
        }
        Some(done)
    }

    fn backup(&self) -> Option<bool> {
        let name = format!("{}.zip", id::random(10, id::LOWER_ALNUM));
        let reply = self.send("POST", "/api/backups", Some(&json!({"name": name})))?;
        let done = reply.status == 204;
        if done {
            self.model.lock().backups.insert(name);
        }
        Some(done)
    }

    /// Fails unless what is there is what may be there; from then on that is what was there.
    pub(super) fn check(&mut self, dir: &Path) {
        let database = Connection::open(dir.join("data.db")).unwrap();
        let said: String = database
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(said, "ok");
        let notes = self.check_notes(&database);
        self.check_log(&database, &notes);
        self.check_files(dir, &database);
        self.check_schema(&database);
        self.check_backups(dir);
    }

    fn check_notes(&mut self, database: &Connection) -> BTreeMap<String, String> {
        let mut query = database.prepare("SELECT id, title FROM notes").unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let rows: Result<_, _> = rows.unwrap().collect();
        let there: BTreeMap<String, String> = rows.unwrap();
        let model = self.model.get_mut();
        for (id, fate) in &mut model.notes {
            let found = there.get(id).cloned();
            assert!(
                fate.contains(&found),
                "{id} is {found:?} and not one of {fate:?}"
            );
            *fate = vec![found];
        }
        assert!(there.keys().all(|id| model.notes.contains_key(id)));
        for batch in model.batches.drain(..) {
            let found = batch.iter().filter(|id| there.contains_key(*id)).count();
            assert!(
                found == 0 || found == batch.len(),
                "half a batch is there: {batch:?}"
            );
        }
        there
    }

    /// Each record that is there has its entry in the change log, and the log has no holes.
    fn check_log(&self, database: &Connection, notes: &BTreeMap<String, String>) {
        let (first, last, count): (i64, i64, i64) = database
            .query_row(
                "SELECT min(position), max(position), count(*) FROM _burrow_changes",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert_eq!(last - first + 1, count, "the log has a hole");
        let mut query = database
            .prepare("SELECT DISTINCT record FROM _burrow_changes WHERE record IS NOT NULL")
            .unwrap();
        let told: Result<BTreeSet<String>, _> =
            query.query_map([], |row| row.get(0)).unwrap().collect();
        let told = told.unwrap();
        let untold: Vec<&String> = notes.keys().filter(|id| !told.contains(*id)).collect();
        assert!(untold.is_empty(), "the log knows nothing of {untold:?}");
    }

    /// Each named file is there, whole; no other is.
    fn check_files(&self, dir: &Path, database: &Connection) {
        let collection: String = database
            .query_row(
                "SELECT id FROM _collections WHERE name = 'notes'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        let storage = dir.join("storage").join(&collection);
        let mut query = database
            .prepare("SELECT id, paper FROM notes WHERE paper != ''")
            .unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let rows: Result<Vec<(String, String)>, _> = rows.unwrap().collect();
        let mut named = BTreeSet::new();
        for (record, name) in rows.unwrap() {
            let path = storage.join(&record).join(&name);
            let content = std::fs::read(&path).unwrap_or_default();
            assert_eq!(
                content,
                paper(content.len().max(1)),
                "{} is not whole",
                path.display()
            );
            named.insert(record);
        }
        let found = std::fs::read_dir(&storage).into_iter().flatten().flatten();
        for entry in found {
            let record = entry.file_name().to_string_lossy().into_owned();
            let files = std::fs::read_dir(entry.path())
                .into_iter()
                .flatten()
                .count();
            assert!(
                files == 0 || named.contains(&record),
                "a file of {record} was left behind"
            );
        }
    }

    /// Collections are what their tables are.
    fn check_schema(&self, database: &Connection) {
        let mut query = database
            .prepare("SELECT name, fields FROM _collections WHERE type = 'base'")
            .unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let rows: Result<Vec<(String, String)>, _> = rows.unwrap().collect();
        let model = self.model.lock();
        let mut names = BTreeSet::new();
        for (name, fields) in rows.unwrap() {
            let fields: Json = serde_json::from_str(&fields).unwrap();
            let fields = fields.as_array().unwrap().iter();
            let fields: BTreeSet<String> = fields
                .map(|field| field["name"].as_str().unwrap().to_owned())
                .collect();
            let mut query = database
                .prepare("SELECT name FROM pragma_table_info(?)")
                .unwrap();
            let columns: Result<BTreeSet<String>, _> = query
                .query_map([&name], |row| row.get(0))
                .unwrap()
                .collect();
            assert_eq!(fields, columns.unwrap(), "{name} is not its table");
            if name == "shape" {
                assert!(model.fields.is_subset(&fields), "a field is lost");
            }
            names.insert(name);
        }
        assert!(
            model.imported.is_subset(&names),
            "an imported collection is lost"
        );
    }

    /// Backups that are listed are whole.
    fn check_backups(&self, dir: &Path) {
        let folder = std::fs::read_dir(dir.join("backups"))
            .into_iter()
            .flatten()
            .flatten();
        let mut names = BTreeSet::new();
        for entry in folder {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".zip") {
                let archive = ZipArchive::new(std::fs::File::open(entry.path()).unwrap());
                assert!(archive.unwrap().by_name("data.db").is_ok(), "{name}");
                names.insert(name);
            }
        }
        assert!(
            self.model.lock().backups.is_subset(&names),
            "a backup is lost"
        );
    }
}

/// What the files hold: to be known by its length alone.
fn paper(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + (at % 23) as u8).collect()
}
