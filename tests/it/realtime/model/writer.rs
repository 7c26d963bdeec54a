//! Somebody who writes at random.

use serde_json::{Value as Json, json};

use super::chance::Chance;
use crate::support::Person;

/// Knows what is there, as far as a writer can.
pub(super) struct Writer {
    chance: Chance,
    notes: Vec<String>,
    tasks: Vec<String>,
    teams: Vec<String>,
    people: Vec<String>,
}

impl Writer {
    pub(super) fn new(chance: Chance, teams: Vec<String>, people: Vec<String>) -> Self {
        Self {
            chance,
            notes: Vec::new(),
            tasks: Vec::new(),
            teams,
            people,
        }
    }

    /// Writes `count` times, through one server after the other. What a server that dies did not answer may or may not
    /// have been done.
    pub(super) fn write(&mut self, who: &[Person], count: usize) {
        for turn in 0..count {
            self.once(&who[turn % who.len()]);
        }
    }

    fn once(&mut self, who: &Person) {
        match self.chance.below(20) {
            0..5 => {
                let note = self.note();
                make(who, "notes", &note, &mut self.notes);
            }
            5..10 => {
                let note = self.note();
                self.change(who, "notes", &note);
            }
            10..12 => self.remove(who, "notes"),
            12..14 => {
                let team = self.chance.pick(&self.teams).clone();
                let task = json!({"title": self.word(), "n": self.chance.below(10), "team": team});
                make(who, "tasks", &task, &mut self.tasks);
            }
            14 => {
                let task = json!({"n": self.chance.below(10)});
                self.change(who, "tasks", &task);
            }
            15 => self.remove(who, "tasks"),
            16 => {
                let team = self.chance.pick(&self.teams).clone();
                let body = json!({"n": self.chance.below(3), "title": self.word()});
                change(who, "teams", &team, &body);
            }
            17 => {
                let person = self.chance.pick(&self.people).clone();
                change(who, "users", &person, &json!({"name": self.word()}));
            }
            _ => self.together(who),
        }
    }

    fn word(&mut self) -> String {
        (*self.chance.pick(&["red", "green", "blue"])).to_owned()
    }

    fn note(&mut self) -> Json {
        let owner = self.chance.pick(&self.people).clone();
        json!({
            "title": self.word(), "n": self.chance.below(8), "owner": owner,
            "shared": self.chance.one_in(3), "body": "x".repeat(self.chance.below(200)),
        })
    }

    fn change(&mut self, who: &Person, collection: &str, body: &Json) {
        let known = if collection == "notes" {
            &self.notes
        } else {
            &self.tasks
        };
        if !known.is_empty() {
            let id = self.chance.pick(known).clone();
            change(who, collection, &id, body);
        }
    }

    fn remove(&mut self, who: &Person, collection: &str) {
        let known = if collection == "notes" {
            &mut self.notes
        } else {
            &mut self.tasks
        };
        if known.is_empty() {
            return;
        }
        let id = known.swap_remove(self.chance.below(known.len()));
        who.try_send(
            "DELETE",
            &format!("/api/collections/{collection}/records/{id}"),
            None,
        );
    }

    /// Several in one transaction.
    fn together(&mut self, who: &Person) {
        let mut requests = Vec::new();
        for _ in 0..2 + self.chance.below(4) {
            let note = self.note();
            requests.push(if self.notes.is_empty() || self.chance.one_in(3) {
                json!({"method": "POST", "url": "/api/collections/notes/records", "body": note})
            } else {
                let id = self.chance.pick(&self.notes);
                json!({"method": "PATCH", "url": format!("/api/collections/notes/records/{id}"), "body": note})
            });
        }
        who.try_send("POST", "/api/batch", Some(&json!({"requests": requests})));
    }
}

fn make(who: &Person, collection: &str, body: &Json, known: &mut Vec<String>) {
    let path = format!("/api/collections/{collection}/records");
    if let Some(made) = who.try_send("POST", &path, Some(body))
        && let Some(id) = made["id"].as_str()
    {
        known.push(id.to_owned());
    }
}

fn change(who: &Person, collection: &str, id: &str, body: &Json) {
    who.try_send(
        "PATCH",
        &format!("/api/collections/{collection}/records/{id}"),
        Some(body),
    );
}
