//! What each listener is told is what a GET would have shown: random histories, rules and people (R28).

use serde_json::{Value as Json, json};

use super::ears::Socket;
use super::world::{collection, create, delete, edit, relation, update};
use crate::support::{Person, TestApp};

/// Rules of the collection that is listened to; each is both list and view rule.
const RULES: &[&str] = &[
    "",
    "n > 1",
    "owner = @request.auth.id",
    "owner = @request.auth.id || n = 3",
    "@request.auth.id != '' && title != 'b'",
    "owner.name = 'ann' || owner = ''",
    "@collection.doors.open ?= n",
    "@request.auth.name = 'bob' && n < 3",
    "owner.notes_via_owner.n ?> 2",
];

/// Draws numbers; the same ones for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(all.len() as u64)).unwrap();
        &all[at]
    }
}

/// Somebody who listens.
struct Listener<'a> {
    name: &'static str,
    who: &'a Person,
    socket: Socket,
}

impl Listener<'_> {
    /// The record as a GET shows it now.
    fn sees(&self, id: &str) -> Option<Json> {
        let reply = self
            .who
            .get(&format!("/api/collections/notes/records/{id}"));
        (reply.status == 200).then(|| reply.json())
    }

    /// What they heard before the bell that has just been rung.
    fn heard(&mut self) -> Vec<Json> {
        let mut heard = Vec::new();
        loop {
            let frame = self.socket.next();
            if frame["record"]["collectionName"] == "bell" {
                return heard;
            }
            heard.push(json!({"action": frame["action"], "record": frame["record"]}));
        }
    }
}

fn stub(seen: &Json) -> Json {
    json!({"id": seen["id"], "collectionId": seen["collectionId"], "collectionName": seen["collectionName"]})
}

/// What a listener hears of one change, from what they saw before and see after it.
fn told(action: &str, before: Option<Json>, after: Option<Json>) -> Option<Json> {
    match (action, before, after) {
        ("delete", Some(before), _) => Some(json!({"action": "delete", "record": before})),
        ("create" | "update", _, Some(after)) => Some(json!({"action": action, "record": after})),
        ("update", Some(before), None) => Some(json!({"action": "leave", "record": stub(&before)})),
        _ => None,
    }
}

/// A server with notes under `rule`, and what the rule may read.
fn world(rule: &str) -> TestApp {
    let t = TestApp::new();
    let secret = json!({"name": "secret", "type": "text", "hidden": true});
    let owner = relation(&t, "owner", "users", false);
    collection(&t, "notes", Some(""), &[secret, owner]);
    collection(
        &t,
        "doors",
        None,
        &[json!({"name": "open", "type": "number"})],
    );
    collection(&t, "bell", Some(""), &[]);
    let rules = json!({"listRule": rule, "viewRule": rule});
    edit(&t.superuser(), "notes", &rules);
    t
}

/// What happens in one step: to a note, or to what rules read.
enum Deed {
    Door(u64),
    Name(&'static str),
    Note(&'static str, String),
}

fn deed(dice: &mut Dice, step: usize, there: &[String]) -> Deed {
    let id = |dice: &mut Dice| dice.of(there).clone();
    match dice.below(10) {
        0 => Deed::Door(dice.below(4)),
        1 => Deed::Name(dice.of::<&str>(&["ann", "bob", "eve"])),
        2..=4 if !there.is_empty() => Deed::Note("update", id(dice)),
        5..=6 if !there.is_empty() => Deed::Note("delete", id(dice)),
        _ => Deed::Note("create", format!("n{step:014}")),
    }
}

fn history(rule: &str, seed: u64, steps: usize) {
    let t = world(rule);
    let (ann, bob, guest) = (t.user("ann"), t.user("bob"), t.guest());
    let sue = t.signed_in("_superusers", "root@example.com");
    let door = create(&sue, "doors", &json!({"open": 1}));
    let people = [
        ("guest", &guest),
        ("ann", &ann),
        ("bob", &bob),
        ("sue", &sue),
    ];
    let mut listeners = people.map(|(name, who)| {
        let mut socket = match name {
            "guest" => Socket::open(&t),
            _ => Socket::of(&t, who),
        };
        socket.subscribe("notes/*");
        socket.subscribe("bell/*");
        Listener { name, who, socket }
    });
    let mut dice = Dice(seed);
    let mut there: Vec<String> = Vec::new();
    for step in 0..steps {
        let mut expected = vec![None; listeners.len()];
        match deed(&mut dice, step, &there) {
            Deed::Door(open) => update(&sue, "doors", &door, &json!({ "open": open })),
            Deed::Name(name) => update(&sue, "users", &ann.id, &json!({ "name": name })),
            Deed::Note(action, id) => {
                let before = listeners.each_ref().map(|listener| listener.sees(&id));
                let owner = *dice.of(&["", ann.id.as_str(), bob.id.as_str()]);
                let title = *dice.of(&["a", "b", "c"]);
                let values = json!({
                    "id": id, "n": dice.below(4), "title": title, "owner": owner, "secret": "hush",
                });
                match action {
                    "create" => there.push(create(&sue, "notes", &values)),
                    "update" => update(&sue, "notes", &id, &values),
                    _ => {
                        delete(&sue, "notes", &id);
                        there.retain(|other| *other != id);
                    }
                }
                for ((listener, before), expected) in
                    listeners.iter().zip(before).zip(&mut expected)
                {
                    *expected = told(action, before, listener.sees(&id));
                }
            }
        }
        create(&sue, "bell", &json!({}));
        for (listener, expected) in listeners.iter_mut().zip(expected) {
            let heard = listener.heard();
            let name = listener.name;
            assert_eq!(
                heard,
                Vec::from_iter(expected),
                "{name}, step {step}, rule {rule:?}, seed {seed}"
            );
            assert!(name == "sue" || !heard.iter().any(|event| event.to_string().contains("hush")));
        }
    }
}

#[test]
fn events_are_what_a_get_would_show() {
    for (at, rule) in RULES.iter().enumerate() {
        history(rule, 0x9e37_79b9_7f4a_7c15 ^ at as u64, 40);
    }
}
