//! Events go out in order, to those who may see them, with what they may see.

use serde_json::json;

use super::ears::{Socket, Stream, is};
use super::world::{collection, create, delete, relation, update};
use crate::support::TestApp;

#[test]
fn what_several_people_write_at_once_arrives_in_one_order() {
    const EACH: usize = 40;
    let t = TestApp::new();
    collection(&t, "posts", Some(""), &[]);
    let sue = t.superuser();
    let mut socket = Socket::open(&t);
    socket.subscribe("posts/*");
    let mut stream = Stream::of(&t, &t.guest(), &["posts/*"]);

    std::thread::scope(|scope| {
        for writer in 0..4 {
            let sue = &sue;
            scope.spawn(move || {
                for n in 0..EACH {
                    sue.create("posts", &json!({"title": format!("{writer}"), "n": n}));
                }
            });
        }
    });

    let mut heard = Vec::new();
    let mut next = [0_u64; 4];
    for _ in 0..4 * EACH {
        let event = socket.next();
        let writer: usize = event["record"]["title"].as_str().unwrap().parse().unwrap();
        assert_eq!(event["record"]["n"], next[writer]);
        next[writer] += 1;
        heard.push(event["record"]["id"].clone());
    }
    for id in heard {
        assert_eq!(stream.message().1["record"]["id"], id);
    }
}

#[test]
fn a_rule_on_the_record_hides_others() {
    let t = TestApp::new();
    collection(&t, "posts", Some("n > 1 && @request.auth.id != ''"), &[]);
    let (sue, ann) = (t.superuser(), t.user("ann"));
    let mut stream = Stream::of(&t, &ann, &["posts/*"]);
    let mut socket = Socket::of(&t, &ann);
    socket.subscribe("posts/*");
    let mut guest = Stream::of(&t, &t.guest(), &["posts/*"]);

    create(&sue, "posts", &json!({"title": "hidden", "n": 1}));
    create(&sue, "posts", &json!({"title": "shown", "n": 2}));
    assert_eq!(stream.event(), is("create", "shown"));
    assert_eq!(socket.event(), is("create", "shown"));
    guest.submit(&ann, &["posts/*"]);
    create(&sue, "posts", &json!({"title": "last", "n": 3}));

    assert_eq!(guest.event(), is("create", "last"));
}

#[test]
fn rules_over_relations_and_other_collections_are_asked_of_the_database() {
    let t = TestApp::new();
    let owner = relation(&t, "owner", "users", false);
    collection(&t, "teams", Some(""), &[owner]);
    let team = relation(&t, "team", "teams", false);
    collection(&t, "posts", Some("team.owner = @request.auth.id"), &[team]);
    collection(&t, "open", Some(""), &[]);
    let listed = "@collection.open.title ?= title";
    collection(&t, "pages", Some(listed), &[]);
    let (sue, ann, bob) = (t.superuser(), t.user("ann"), t.user("bob"));
    let anns = create(&sue, "teams", &json!({"owner": ann.id}));
    let bobs = create(&sue, "teams", &json!({"owner": bob.id}));
    create(&sue, "open", &json!({"title": "known"}));
    let mut of_ann = Socket::of(&t, &ann);
    let mut of_bob = Socket::of(&t, &bob);
    for socket in [&mut of_ann, &mut of_bob] {
        socket.subscribe("posts/*");
        socket.subscribe("pages/*");
    }

    create(&sue, "posts", &json!({"title": "for Bob", "team": bobs}));
    create(&sue, "posts", &json!({"title": "for Ann", "team": anns}));
    create(&sue, "pages", &json!({"title": "unknown"}));
    create(&sue, "pages", &json!({"title": "known"}));

    assert_eq!(of_ann.event(), is("create", "for Ann"));
    assert_eq!(of_ann.event(), is("create", "known"));
    assert_eq!(of_bob.event(), is("create", "for Bob"));
    assert_eq!(of_bob.event(), is("create", "known"));
}

#[test]
fn hidden_fields_and_addresses_stay_hidden() {
    let t = TestApp::new();
    collection(
        &t,
        "posts",
        Some(""),
        &[json!({"type": "text", "name": "secret", "hidden": true})],
    );
    t.app.store.catalog().find("users").unwrap();
    let (sue, ann, bob) = (t.superuser(), t.user("ann"), t.user("bob"));
    super::world::edit(&sue, "users", &json!({"listRule": ""}));
    let mut of_sue = Socket::of(&t, &sue);
    let mut of_ann = Socket::of(&t, &ann);
    let mut of_bob = Socket::of(&t, &bob);
    for socket in [&mut of_sue, &mut of_ann, &mut of_bob] {
        socket.subscribe("posts/*");
        socket.subscribe("users/*");
    }

    create(&sue, "posts", &json!({"title": "a", "secret": "s"}));
    update(&sue, "users", &ann.id, &json!({"name": "Ann"}));

    assert_eq!(of_sue.next()["record"]["secret"], "s");
    assert!(of_ann.next()["record"].get("secret").is_none());
    of_bob.next();
    assert_eq!(of_sue.next()["record"]["email"], "ann@example.com");
    assert_eq!(of_ann.next()["record"]["email"], "ann@example.com");
    let seen = of_bob.next();
    assert!(seen["record"].get("email").is_none(), "{seen}");
    assert!(seen["record"].get("tokenKey").is_none(), "{seen}");
}

#[test]
fn a_topic_may_filter_expand_and_pick() {
    let t = TestApp::new();
    collection(&t, "shops", Some(""), &[]);
    let shop = relation(&t, "shop", "shops", false);
    collection(&t, "sales", Some(""), &[shop]);
    let sue = t.superuser();
    let corner = create(&sue, "shops", &json!({"title": "Corner"}));
    let options = "%7B%22query%22%3A%7B%22filter%22%3A%22n%3E1%22%2C%22expand%22%3A%22shop%22%2C%22fields%22%3A%22n%2Cexpand.shop.title%22%7D%7D";
    let topic = format!("sales/*?options={options}");
    let mut stream = Stream::of(&t, &t.guest(), &[&topic]);

    create(&sue, "sales", &json!({"n": 1, "shop": corner}));
    create(&sue, "sales", &json!({"n": 2, "shop": corner}));

    let (name, data) = stream.message();
    assert_eq!(name, topic);
    assert_eq!(
        data["record"],
        json!({"n": 2, "expand": {"shop": {"title": "Corner"}}})
    );
}

#[test]
fn a_filter_on_what_is_hidden_is_mute() {
    let t = TestApp::new();
    let secret = json!({"type": "text", "name": "secret", "hidden": true});
    collection(&t, "posts", Some(""), &[secret]);
    let sue = t.superuser();
    let mut socket = Socket::open(&t);

    let refused = socket.ask(
        "subscribe",
        json!({"topic": "posts/*", "filter": "secret != ''"}),
    );

    assert_eq!(refused["status"], 400, "{refused}");
    let options = "%7B%22query%22%3A%7B%22filter%22%3A%22secret!%3D%27%27%22%7D%7D";
    let topic = format!("posts/*?options={options}");
    let mut stream = Stream::of(&t, &t.guest(), &[&topic, "posts/*"]);
    create(&sue, "posts", &json!({"title": "a", "secret": "s"}));
    create(&sue, "posts", &json!({"title": "b", "secret": "s"}));
    assert_eq!(stream.message().0, "posts/*");
    assert_eq!(stream.message().0, "posts/*");
}

#[test]
fn a_record_that_leaves_the_rule_is_told_to_sockets_without_its_content() {
    let t = TestApp::new();
    collection(&t, "posts", Some("n > 0"), &[]);
    let sue = t.superuser();
    let mut socket = Socket::open(&t);
    socket.subscribe("posts/*");
    let mut stream = Stream::of(&t, &t.guest(), &["posts/*"]);

    let id = create(&sue, "posts", &json!({"title": "a", "n": 1}));
    update(&sue, "posts", &id, &json!({"n": 0, "title": "gone"}));
    update(&sue, "posts", &id, &json!({"title": "unseen"}));
    delete(&sue, "posts", &id);
    create(&sue, "posts", &json!({"title": "b", "n": 1}));

    assert_eq!(socket.event(), is("create", "a"));
    let left = socket.next();
    assert_eq!(left["action"], "leave");
    let mut keys: Vec<_> = left["record"].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["collectionId", "collectionName", "id"]);
    assert_eq!(left["record"]["id"], id.as_str());
    assert_eq!(socket.event(), is("create", "b"));
    assert_eq!(stream.event(), is("create", "a"));
    assert_eq!(stream.event(), is("create", "b"));
}

#[test]
fn what_a_deletion_drags_along_is_judged_by_the_world_before_it() {
    let t = TestApp::new();
    let owner = relation(&t, "owner", "users", false);
    collection(&t, "boards", Some("owner = @request.auth.id"), &[owner]);
    let board = relation(&t, "board", "boards", true);
    collection(
        &t,
        "notes",
        Some("board.owner = @request.auth.id"),
        &[board],
    );
    let (sue, ann, bob) = (t.superuser(), t.user("ann"), t.user("bob"));
    let plan = create(&sue, "boards", &json!({"title": "plan", "owner": ann.id}));
    create(&sue, "notes", &json!({"title": "note", "board": plan}));
    let mut of_ann = Socket::of(&t, &ann);
    let mut of_bob = Socket::of(&t, &bob);
    for socket in [&mut of_ann, &mut of_bob] {
        socket.subscribe("boards/*");
        socket.subscribe("notes/*");
    }

    delete(&sue, "boards", &plan);
    create(&sue, "boards", &json!({"title": "Bob's", "owner": bob.id}));

    let mut heard = [of_ann.event(), of_ann.event()];
    heard.sort();
    assert_eq!(heard, [is("delete", "note"), is("delete", "plan")]);
    assert_eq!(of_bob.event(), is("create", "Bob's"));
}
