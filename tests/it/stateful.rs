//! A random client beside a simple model of the server: whatever sequence of good and bad calls different people make, each
//! answer's status, what each of them sees, and what is stored are what the model says. A second one makes up calls from
//! the description of the API. A few thousand calls here; `BURROW_CALLS=50000` makes it as many.

use std::collections::BTreeMap;
use std::time::Duration;

use burrow::kit::id;
use serde_json::{Value as Json, json};

use crate::support::{Person, Reply, Request, TestApp};

const POSTS: &str = "/api/collections/posts/records";

#[expect(
    clippy::disallowed_methods,
    reason = "how long a test runs is no setting of the product"
)]
fn calls(usual: usize) -> usize {
    let wanted = std::env::var("BURROW_CALLS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Numbers that a failure can be repeated with.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        Self(u64::from(id::below(u32::MAX)) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound.max(1)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// A post as it has to be stored.
#[derive(Clone, Debug, PartialEq)]
struct Post {
    title: String,
    n: f64,
    public: bool,
    owner: String,
}

impl Post {
    fn of(record: &Json) -> Self {
        Self {
            title: record["title"].as_str().unwrap().to_owned(),
            n: record["n"].as_f64().unwrap(),
            public: record["public"].as_bool().unwrap(),
            owner: record["owner"].as_str().unwrap().to_owned(),
        }
    }
}

/// Somebody who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Guest,
    Ann,
    Bob,
    Sue,
}

const EVERYBODY: [Who; 4] = [Who::Guest, Who::Ann, Who::Bob, Who::Sue];

struct Play {
    chance: Chance,
    people: Vec<Person>,
    posts: BTreeMap<String, Post>,
    gone: Vec<String>,
    said: Vec<String>,
}

/// What somebody submits, and what comes of it over `before`; nothing when it is refused for its values.
struct Submission {
    body: Json,
    after: Option<Post>,
}

impl Play {
    fn person(&self, who: Who) -> &Person {
        &self.people[who as usize]
    }

    fn sees(&self, who: Who, post: &Post) -> bool {
        who == Who::Sue || post.public || self.owns(who, post)
    }

    fn owns(&self, who: Who, post: &Post) -> bool {
        matches!(who, Who::Ann | Who::Bob) && post.owner == self.person(who).id
    }

    fn expect(&mut self, what: &str, reply: &Reply, status: u16) {
        self.said.push(format!("{what} -> {}", reply.status));
        let last: Vec<&String> = self.said.iter().rev().take(12).collect();
        assert_eq!(reply.status, status, "{} after {last:#?}", reply.text());
    }

    /// An id: mostly of a post that is there, else of one that is gone or never was.
    fn some_id(&mut self) -> String {
        let kind = self.chance.below(8);
        let nth = self.chance.below(self.posts.len().max(1));
        match self.posts.keys().nth(nth) {
            Some(id) if kind > 1 => id.clone(),
            _ if kind == 0 && !self.gone.is_empty() => self.chance.of(&self.gone.clone()),
            _ => id::record_id().into(),
        }
    }

    /// Values to submit over what is there.
    fn values(&mut self, before: Option<&Post>) -> Submission {
        let mut after = before.cloned().unwrap_or(Post {
            title: String::new(),
            n: 0.0,
            public: false,
            owner: String::new(),
        });
        let (mut body, mut valid) = (json!({}), true);
        if before.is_none() || self.chance.one_in(2) {
            let title = self.chance.of(&[
                "a",
                "Ünï 🐚",
                "x' OR 1=1 --",
                "",
                "%_\\",
                "<b>",
                "a".repeat(40).as_str(),
                "b".repeat(41).as_str(),
            ]
            .map(str::to_owned));
            valid &= !title.is_empty() && title.chars().count() <= 40;
            body["title"] = json!(title);
            after.title = title;
        }
        if self.chance.one_in(2) {
            // Numbers come as numbers or as texts that say one; past the bounds they are refused.
            let (given, n) = self.chance.of(&[
                (json!(3), 3.0),
                (json!("4.5"), 4.5),
                (json!(-7), -7.0),
                (json!(1001), 1001.0),
                (json!(true), 1.0),
                (Json::Null, 0.0),
            ]);
            valid &= n <= 1000.0;
            body["n"] = given;
            after.n = n;
        }
        if self.chance.one_in(2) {
            after.public = self.chance.one_in(2);
            body["public"] = json!(after.public);
        }
        if before.is_none() || self.chance.one_in(5) {
            let (ann, bob) = (
                self.person(Who::Ann).id.clone(),
                self.person(Who::Bob).id.clone(),
            );
            let owner = self.chance.of(&[
                ann.clone(),
                bob.clone(),
                ann,
                bob,
                String::new(),
                "nobodynobody123".to_owned(),
            ]);
            valid &= owner != "nobodynobody123";
            body["owner"] = json!(owner);
            after.owner = owner;
        }
        if self.chance.one_in(4) {
            body["surprise"] = json!([1, {"deep": null}]);
        }
        Submission {
            body,
            after: valid.then_some(after),
        }
    }

    fn create(&mut self, who: Who) {
        let Submission {
            mut body,
            mut after,
        } = self.values(None);
        let mut id = id::record_id().to_string();
        match self.chance.below(8) {
            0 => {
                id = self.some_id();
                if self.posts.contains_key(&id) {
                    after = None;
                }
                body["id"] = json!(id);
            }
            1 => {
                body["id"] = json!("Too short");
                after = None;
            }
            _ => body["id"] = json!(id),
        }
        let claims = body["owner"].as_str().unwrap_or("").to_owned();
        let may = match who {
            Who::Sue => true,
            Who::Guest => false,
            Who::Ann | Who::Bob => claims == self.person(who).id,
        };
        let reply = self.person(who).post(POSTS, &body);
        let done = may && after.is_some();
        self.expect(
            &format!("{who:?} creates {body}"),
            &reply,
            if done { 200 } else { 400 },
        );
        if let (true, Some(after)) = (done, after) {
            // The answer is what the caller may see of it.
            assert_eq!(Post::of(&reply.json()), after);
            self.gone.retain(|gone| *gone != id);
            self.posts.insert(id, after);
        }
    }

    fn update(&mut self, who: Who) {
        let id = self.some_id();
        let before = self.posts.get(&id).cloned();
        let Submission { body, after } = self.values(before.as_ref());
        let reply = self.person(who).patch(&format!("{POSTS}/{id}"), &body);
        let may = before
            .as_ref()
            .is_some_and(|post| who == Who::Sue || self.owns(who, post));
        let status = match (&after, may) {
            (_, false) => 404,
            (None, true) => 400,
            (Some(_), true) => 200,
        };
        self.expect(
            &format!("{who:?} changes {before:?} by {body}"),
            &reply,
            status,
        );
        if let (200, Some(after)) = (status, after) {
            assert_eq!(Post::of(&reply.json()), after);
            self.posts.insert(id, after);
        }
    }

    fn delete(&mut self, who: Who) {
        let id = self.some_id();
        let may = self
            .posts
            .get(&id)
            .is_some_and(|post| who == Who::Sue || self.owns(who, post));
        let reply = self.person(who).delete(&format!("{POSTS}/{id}"));
        self.expect(
            &format!("{who:?} deletes {id}"),
            &reply,
            if may { 204 } else { 404 },
        );
        if may {
            self.posts.remove(&id);
            self.gone.push(id);
        }
    }

    fn view(&mut self, who: Who) {
        let id = self.some_id();
        let seen = self
            .posts
            .get(&id)
            .filter(|post| self.sees(who, post))
            .cloned();
        let reply = self.person(who).get(&format!("{POSTS}/{id}"));
        self.expect(
            &format!("{who:?} views {id}"),
            &reply,
            if seen.is_some() { 200 } else { 404 },
        );
        if let Some(post) = seen {
            assert_eq!(Post::of(&reply.json()), post);
        }
    }

    /// Lists under a filter that the model can judge, and compares the whole of it.
    fn list(&mut self, who: Who) {
        type Judge = fn(&Post) -> bool;
        let (filter, judge): (&str, Judge) = self.chance.of(&[
            ("", (|_| true) as Judge),
            ("n>1", |post| post.n > 1.0),
            ("public=true&&n!=3", |post| post.public && post.n != 3.0),
            ("title~'a'", |post| post.title.to_lowercase().contains('a')),
            ("owner=''", |post| post.owner.is_empty()),
            ("owner.name='ann'||n<0", |_| true),
        ]);
        if filter.starts_with("owner.name") {
            // Users cannot be listed by others: a filter through them is refused or finds less, never more.
            let reply = self
                .person(who)
                .get(&format!("{POSTS}?perPage=1000&filter={}", escaped(filter)));
            assert!(
                reply.status == 200 || reply.status == 400,
                "{}",
                reply.text()
            );
            return;
        }
        let reply = self
            .person(who)
            .get(&format!("{POSTS}?perPage=1000&filter={}", escaped(filter)));
        self.expect(&format!("{who:?} lists {filter}"), &reply, 200);
        let page = reply.json();
        let found: BTreeMap<String, Post> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| (record["id"].as_str().unwrap().to_owned(), Post::of(record)))
            .collect();
        let mut expected = self.posts.clone();
        expected.retain(|_, post| judge(post) && self.sees(who, post));
        assert_eq!(page["totalItems"], expected.len(), "{who:?} {filter}");
        assert_eq!(found, expected, "{who:?} {filter}");
    }

    /// Two parts of which the second may fail: then the first leaves nothing.
    fn batch(&mut self, who: Who) {
        let me = self.person(who).id.clone();
        let first: String = id::record_id().into();
        let good = self.chance.one_in(2);
        let second = if good {
            id::record_id().to_string()
        } else {
            first.clone()
        };
        let part = |id: &str| json!({"method": "POST", "url": POSTS, "body": {"id": id, "title": "batch", "owner": me}});
        let reply = self.person(who).post(
            "/api/batch",
            &json!({"requests": [part(&first), part(&second)]}),
        );
        let done = good && (who == Who::Sue || matches!(who, Who::Ann | Who::Bob));
        // A superuser is no user: who owns a post has to be one.
        let done = done && who != Who::Sue;
        self.expect(
            &format!("{who:?} sends a batch"),
            &reply,
            if done { 200 } else { 400 },
        );
        if done {
            for id in [first, second] {
                let post = Post {
                    title: "batch".to_owned(),
                    n: 0.0,
                    public: false,
                    owner: me.clone(),
                };
                self.posts.insert(id, post);
            }
        }
    }

    /// What nobody should send.
    fn nonsense(&mut self, who: Who) {
        let known = self.some_id();
        let (method, path, body, status): (&str, String, &str, &[u16]) = self.chance.of(&[
            ("POST", POSTS.to_owned(), "{\"title\":", &[400][..]),
            ("POST", POSTS.to_owned(), "[1,2]", &[400]),
            ("PATCH", format!("{POSTS}/{known}"), "\"text\"", &[400, 404]),
            (
                "GET",
                "/api/collections/nothing/records".to_owned(),
                "",
                &[404],
            ),
            ("GET", format!("{POSTS}?filter=((("), "", &[400]),
            ("GET", format!("{POSTS}?sort=nothing"), "", &[400]),
            ("GET", format!("{POSTS}/%00"), "", &[404]),
            ("PUT", format!("{POSTS}/{known}"), "{}", &[404]),
            ("POST", "/api/batch".to_owned(), "{\"requests\":7}", &[400]),
            ("GET", "/api/nothing".to_owned(), "", &[404]),
        ]);
        let request = Request::new(method, &path).body("application/json", body);
        let reply = self.person(who).send(request);
        self.said.push(format!(
            "{who:?} {method} {path} {body} -> {}",
            reply.status
        ));
        assert!(
            status.contains(&reply.status),
            "{method} {path} {body}: {} {}",
            reply.status,
            reply.text()
        );
    }
}

fn escaped(text: &str) -> String {
    let byte = |b: u8| {
        if b.is_ascii_alphanumeric() {
            char::from(b).to_string()
        } else {
            format!("%{b:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

fn world() -> (TestApp, Vec<Person>) {
    let t = TestApp::new();
    let users = t
        .app
        .store
        .catalog()
        .find("users")
        .unwrap()
        .id
        .as_str()
        .to_owned();
    let mine = "owner = @request.auth.id && @request.auth.id != ''";
    t.collection(&json!({
        "name": "posts",
        "listRule": format!("public = true || ({mine})"),
        "viewRule": format!("public = true || ({mine})"),
        "createRule": mine,
        "updateRule": mine,
        "deleteRule": mine,
        "fields": [
            {"name": "title", "type": "text", "required": true, "max": 40},
            {"name": "n", "type": "number", "max": 1000},
            {"name": "public", "type": "bool"},
            {"name": "owner", "type": "relation", "collectionId": users, "maxSelect": 1},
        ]
    }));
    let people = vec![t.guest(), t.user("ann"), t.user("bob"), t.superuser()];
    (t, people)
}

#[test]
fn random_people_see_and_do_what_a_simple_model_says() {
    let (t, people) = world();
    let chance = Chance::new();
    eprintln!("seed {}", chance.0);
    let mut play = Play {
        chance,
        people,
        posts: BTreeMap::new(),
        gone: Vec::new(),
        said: Vec::new(),
    };
    for call in 0..calls(1_500) {
        // Empty answers to guesses are held back, but for those that come slowly.
        t.clock.advance(Duration::from_secs(1));
        let who = play.chance.of(&EVERYBODY);
        match play.chance.below(16) {
            0..=3 => play.create(who),
            4..=6 => play.update(who),
            7 => play.delete(who),
            8..=10 => play.view(who),
            11..=12 => play.list(who),
            13 => play.batch(who),
            _ => play.nonsense(who),
        }
        if play.posts.len() > 150 {
            // Small enough that a list shows all of it.
            play.delete(Who::Sue);
        }
        if call % 500 == 499 {
            play.list(Who::Sue);
        }
        if play.said.len() > 100 {
            play.said.drain(..50);
        }
    }
}

/// A value for a schema of the description, or something else.
fn made_up(schema: &Json, chance: &mut Chance) -> Json {
    if chance.one_in(4) {
        return chance.of(&[
            Json::Null,
            json!(-1.5e300),
            json!([]),
            json!({"a": {"b": []}}),
            json!("\u{0}'\";--"),
            json!("🐚".repeat(3000)),
            json!(true),
        ]);
    }
    if let Some(values) = schema["enum"].as_array() {
        return chance.of(values);
    }
    match schema["type"].as_str() {
        Some("string") => chance.of(&[
            json!(""),
            json!("text"),
            json!("a@example.com"),
            json!("2026-01-01 00:00:00.000Z"),
            json!("https://example.com"),
        ]),
        Some("number") => json!(chance.below(100)),
        Some("boolean") => json!(chance.one_in(2)),
        Some("array") => json!([made_up(&schema["items"], chance)]),
        Some("object") => {
            let properties = schema["properties"]
                .as_object()
                .cloned()
                .unwrap_or_default();
            let members = properties
                .iter()
                .map(|(name, schema)| (name.clone(), made_up(schema, chance)));
            Json::Object(members.collect())
        }
        _ => json!({"anything": 1}),
    }
}

#[test]
fn calls_made_up_from_the_description_are_answered_as_it_says() {
    let (_t, people) = world();
    let described = people[3].get("/api/openapi.json").ok();
    let paths = described["paths"].as_object().unwrap();
    let mut operations = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push((path.clone(), method.to_uppercase(), operation.clone()));
        }
    }
    assert!(operations.len() > 15, "{}", operations.len());
    let mut chance = Chance::new();
    eprintln!("seed {}", chance.0);
    for _ in 0..calls(800) {
        let (path, method, operation) = chance.of(&operations);
        let mut path = path;
        while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
            let part = chance.of(&[
                "abcdefghijklmno",
                "posts",
                "users",
                "..",
                "%F0%9F%90%9A",
                "0",
            ]);
            path.replace_range(from..=to, part);
        }
        let mut query = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "query" && chance.one_in(3) {
                let value = made_up(&parameter["schema"], &mut chance);
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                query.push(format!(
                    "{}={}",
                    parameter["name"].as_str().unwrap(),
                    escaped(&text)
                ));
            }
        }
        let full = if query.is_empty() {
            path
        } else {
            format!("{path}?{}", query.join("&"))
        };
        let mut request = Request::new(&method, &full);
        let content = &operation["requestBody"]["content"]["application/json"]["schema"];
        if content.is_object() {
            request = request.json(&made_up(content, &mut chance));
        }
        let reply = chance.of(&people).send(request);
        // A path that climbs is another path, and is sent on to it; an address can be too long for any operation.
        if (reply.status == 307 && full.contains("/..")) || reply.status == 414 {
            continue;
        }
        let expected = operation["responses"].as_object().unwrap();
        assert!(
            expected.contains_key(&reply.status.to_string()),
            "{method} {full}: {} {} is none of {:?}",
            reply.status,
            reply.text(),
            expected.keys().collect::<Vec<_>>()
        );
        if reply.header("content-type").starts_with("application/json") {
            reply.json();
        }
    }
}
