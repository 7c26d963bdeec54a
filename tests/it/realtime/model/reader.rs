//! Somebody who reads: does what the protocol says a client does, and holds what comes of it.

use serde_json::{Value as Json, json};

use super::house::House;
use super::wire::{Broken, Wire};
use crate::support::Person;

/// What somebody wants to know.
#[derive(Clone, Copy, Debug)]
pub(super) enum Want {
    /// `subscribe` with a filter, and the list that it follows.
    Topic(&'static str),
    /// `live`: its message, and the list request that must answer the same.
    Live(&'static str, &'static str),
}

/// Everything that readers ask for.
pub(super) const WANTS: [Want; 9] = [
    Want::Topic(""),
    Want::Topic("n > 3"),
    Want::Topic("title = 'red'"),
    Want::Live(
        r#"{"collection":"notes","sort":"n","limit":5}"#,
        "notes/records?sort=n,@rowid&perPage=5",
    ),
    Want::Live(
        r#"{"collection":"notes","filter":"n > 3"}"#,
        "notes/records?filter=n%3E3&sort=@rowid&perPage=100",
    ),
    Want::Live(
        r#"{"collection":"notes","filter":"title != 'blue'","sort":"-title,n","limit":30,"fields":"id,title,n"}"#,
        "notes/records?filter=title!=%27blue%27&sort=-title,n,@rowid&perPage=30&fields=id,title,n",
    ),
    Want::Live(
        r#"{"collection":"tasks","expand":"team","sort":"-n"}"#,
        "tasks/records?expand=team&sort=-n,@rowid&perPage=100",
    ),
    Want::Live(
        r#"{"collection":"tasks","filter":"team.title = 'red'","limit":3}"#,
        "tasks/records?filter=team.title=%27red%27&sort=@rowid&perPage=3",
    ),
    Want::Live(
        r#"{"collection":"totals","sort":"id"}"#,
        "totals/records?sort=id&perPage=100",
    ),
];

impl Want {
    fn path(self) -> String {
        match self {
            Self::Topic("") => "/api/collections/notes/records?sort=id&perPage=1000".to_owned(),
            Self::Topic(filter) => {
                let filter = filter
                    .replace(' ', "%20")
                    .replace('\'', "%27")
                    .replace('>', "%3E");
                format!("/api/collections/notes/records?sort=id&perPage=1000&filter={filter}")
            }
            Self::Live(_, path) => format!("/api/collections/{path}"),
        }
    }
}

#[derive(Debug)]
struct Sub {
    want: Want,
    /// The message that asked for it, while there is no answer.
    ask: Option<u64>,
    name: Option<String>,
    cursor: Option<String>,
    held: Vec<Json>,
    /// Whether what is held may be newer than the cursor: then it cannot be resumed from there.
    is_ahead: bool,
}

/// A client with its subscriptions.
pub(super) struct Reader {
    pub(super) number: usize,
    token: Option<String>,
    wire: Option<Box<dyn Wire>>,
    subs: Vec<Sub>,
    asked: u64,
    signing_in: Option<u64>,
    pinged: Option<u64>,
}

impl Reader {
    pub(super) fn new(number: usize, token: Option<String>, wants: Vec<Want>) -> Self {
        let sub = |want| Sub {
            want,
            ask: None,
            name: None,
            cursor: None,
            held: Vec::new(),
            is_ahead: true,
        };
        Self {
            number,
            token,
            wire: None,
            subs: wants.into_iter().map(sub).collect(),
            asked: 0,
            signing_in: None,
            pinged: None,
        }
    }

    /// The connection breaks off.
    pub(super) fn go_away(&mut self) {
        self.wire = None;
        self.signing_in = None;
        self.pinged = None;
        for sub in &mut self.subs {
            sub.name = None;
            sub.ask = None;
        }
    }

    /// Becomes somebody else on the same connection.
    pub(super) fn sign_in(&mut self, token: Option<String>) {
        self.token = token;
        // What is held was seen by another.
        for sub in &mut self.subs {
            sub.is_ahead = true;
        }
        if self.wire.is_some() {
            self.send_token();
        }
    }

    fn send_token(&mut self) {
        let token = self.token.clone().unwrap_or_default();
        self.signing_in = self.say(json!({"type": "auth", "token": token}));
    }

    fn say(&mut self, mut message: Json) -> Option<u64> {
        self.asked += 1;
        message["id"] = json!(self.asked);
        match self.wire.as_mut()?.say(&message) {
            Ok(()) => Some(self.asked),
            Err(Broken) => {
                self.go_away();
                None
            }
        }
    }

    /// Connects where that is needed, asks for what is not asked for, and takes what has come; whether anything has.
    pub(super) fn read(&mut self, house: &House) -> bool {
        if self.wire.is_none() {
            let Some(wire) = house.dial() else {
                return false;
            };
            self.wire = Some(wire);
            if self.token.is_some() {
                self.send_token();
            }
        }
        if self.signing_in.is_none() {
            self.ask();
        }
        let frames = match self.wire.as_mut().map(|wire| wire.hear()) {
            Some(Ok(frames)) => frames,
            Some(Err(Broken)) => {
                self.go_away();
                return false;
            }
            None => return false,
        };
        for frame in &frames {
            self.take(house, frame);
        }
        !frames.is_empty()
    }

    fn ask(&mut self) {
        for at in 0..self.subs.len() {
            let sub = &mut self.subs[at];
            if sub.name.is_some() || sub.ask.is_some() {
                continue;
            }
            let message = match sub.want {
                Want::Topic(filter) => {
                    let mut message =
                        json!({"type": "subscribe", "topic": "notes/*", "filter": filter});
                    if sub.is_ahead {
                        sub.cursor = None;
                    }
                    if let Some(cursor) = &sub.cursor {
                        message["since"] = json!(cursor);
                    }
                    message
                }
                Want::Live(question, _) => {
                    let mut message: Json = serde_json::from_str(question).unwrap();
                    message["type"] = json!("live");
                    message
                }
            };
            let ask = self.say(message);
            match self.subs.get_mut(at) {
                Some(sub) if ask.is_some() => sub.ask = ask,
                _ => return,
            }
        }
    }

    fn person(&self, house: &House) -> Person {
        house.person(self.token.as_deref())
    }

    fn take(&mut self, house: &House, frame: &Json) {
        if let Some(id) = frame["id"].as_u64() {
            return self.answered(house, id, frame);
        }
        if frame["type"] == "signedOut" {
            panic!("reader {}: nobody's token ends here", self.number);
        }
        let Some(name) = frame["sub"].as_str() else {
            return;
        };
        let Some(at) = self
            .subs
            .iter()
            .position(|sub| sub.name.as_deref() == Some(name))
        else {
            return;
        };
        let person = self.person(house);
        let sub = &mut self.subs[at];
        if let Some(cursor) = frame["cursor"].as_str() {
            sub.cursor = Some(cursor.to_owned());
        }
        match frame["type"].as_str().unwrap() {
            "event" => sub.happened(frame),
            "reset" => sub.fetch(house, &person),
            "snapshot" => sub.held = frame["items"].as_array().unwrap().clone(),
            "diff" => sub.change(frame),
            other => panic!("reader {}: {other} {frame}", self.number),
        }
    }

    fn answered(&mut self, house: &House, id: u64, frame: &Json) {
        assert_eq!(frame["type"], "ok", "reader {}: {frame}", self.number);
        let person = self.person(house);
        if self.signing_in == Some(id) {
            self.signing_in = None;
            for sub in self.subs.iter_mut().filter(|sub| sub.name.is_some()) {
                sub.fetch(house, &person);
            }
        } else if self.pinged == Some(id) {
            self.pinged = None;
        } else if let Some(sub) = self.subs.iter_mut().find(|sub| sub.ask == Some(id)) {
            sub.ask = None;
            sub.name = Some(frame["sub"].as_str().unwrap().to_owned());
            let is_resumed = sub.cursor.is_some();
            sub.cursor = frame["cursor"].as_str().map(str::to_owned);
            if !is_resumed {
                sub.fetch(house, &person);
            }
        }
    }

    /// Asks for a sign of life, after everything that is on its way.
    pub(super) fn ping(&mut self) {
        self.pinged = self.say(json!({"type": "ping"}));
    }

    pub(super) fn waits_for_ping(&self) -> bool {
        self.pinged.is_some()
    }

    /// What differs from the database, if anything.
    pub(super) fn differs(&self, house: &House) -> Option<String> {
        let person = self.person(house);
        for sub in &self.subs {
            let expected = house.listed(&person, &sub.want.path());
            let mut held = sub.held.clone();
            if let Want::Topic(_) = sub.want {
                held.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
            }
            if sub.name.is_none() || expected.as_ref() != Ok(&held) {
                return Some(format!(
                    "reader {} ({:?}) holds of {sub:?}\nand the list is {expected:?}",
                    self.number, self.token
                ));
            }
        }
        None
    }

    /// What is held is what the database holds, and nothing more is on its way.
    pub(super) fn is_level(&mut self) {
        for sub in &mut self.subs {
            sub.is_ahead = false;
        }
    }
}

impl Sub {
    /// Fetches the list; a live query brings it by itself.
    fn fetch(&mut self, house: &House, person: &Person) {
        if let Want::Topic(_) = self.want {
            self.is_ahead = true;
            if let Ok(items) = house.listed(person, &self.want.path()) {
                self.held = items;
            }
        }
    }

    fn happened(&mut self, frame: &Json) {
        let record = &frame["record"];
        let known = self.held.iter().position(|item| item["id"] == record["id"]);
        match (frame["action"].as_str().unwrap(), known) {
            ("create" | "update", Some(at)) => self.held[at] = record.clone(),
            ("create" | "update", None) => self.held.push(record.clone()),
            ("delete" | "leave", Some(at)) => drop(self.held.remove(at)),
            _ => {}
        }
    }

    fn change(&mut self, frame: &Json) {
        for change in frame["changes"].as_array().unwrap() {
            let at = usize::try_from(change["index"].as_u64().unwrap_or(0)).unwrap();
            if change["op"] != "add" {
                let known = self.held.iter().position(|item| item["id"] == change["id"]);
                self.held
                    .remove(known.unwrap_or_else(|| panic!("{change} is not in {self:?}")));
            }
            if change["op"] != "remove" {
                assert!(at <= self.held.len(), "{change} is outside of {self:?}");
                self.held.insert(at, change["record"].clone());
            }
        }
    }
}
