//! What a change of collections is as steps, forward and back.

use std::sync::Arc;

use super::file::{Migration, Step};
use crate::kit::json::{self, Json, JsonMap};
use crate::schema::{Collection, Schema, write_json};

/// Keys that no step sets: the server does.
const OWN_KEYS: [&str; 2] = ["created", "updated"];

/// A collection as migrations hold it: without dates, and without providers, whose secrets must not lie in files.
pub(super) fn shown(collection: &Collection) -> JsonMap {
    let mut out = Vec::new();
    write_json(collection, &mut out);
    let Ok(Json::Object(mut map)) = json::parse_first(&out) else {
        return JsonMap::new();
    };
    for key in OWN_KEYS {
        map.remove(key);
    }
    if collection.is_view() {
        // They are what its query says, and their ids are drawn at random.
        map.remove("fields");
    }
    if let Some(Json::Object(oauth2)) = map.get_mut("oauth2") {
        oauth2.remove("providers");
    }
    map
}

/// The change from `before` to `after` among the collections that `concerned` tells; `None` when nothing changed that a
/// file would hold.
pub(super) fn between(
    before: &Schema,
    after: &Schema,
    concerned: impl Fn(&Collection) -> bool,
) -> Option<Migration> {
    let mut made = Vec::new();
    let mut changed = Vec::new();
    for new in after.iter().filter(|c| concerned(c)) {
        match before.by_id(&new.id) {
            None => made.push(new),
            Some(old) => changed.extend(update(old, new)),
        }
    }
    let gone: Vec<&Arc<Collection>> = before
        .iter()
        .filter(|old| concerned(old) && after.by_id(&old.id).is_none())
        .collect();
    let mut up = creation(&made);
    let mut down = creation(&gone);
    for (forward, back) in changed {
        up.push(forward);
        down.insert(0, back);
    }
    up.extend(deletion(&gone));
    down.extend(deletion(&made));
    (!up.is_empty()).then_some(Migration {
        up,
        down: Some(down),
    })
}

fn creation(collections: &[&Arc<Collection>]) -> Vec<Step> {
    match collections {
        [] => Vec::new(),
        [one] => vec![Step::Create(shown(one))],
        many => vec![Step::Import(many.iter().map(|one| shown(one)).collect())],
    }
}

fn deletion(collections: &[&Arc<Collection>]) -> Option<Step> {
    let names: Vec<String> = collections.iter().map(|one| one.name.to_string()).collect();
    (!names.is_empty()).then_some(Step::Delete(names))
}

/// The keys that differ, forward and back.
fn update(old: &Collection, new: &Collection) -> Option<(Step, Step)> {
    let (before, after) = (shown(old), shown(new));
    let differing = |from: &JsonMap, to: &JsonMap| -> JsonMap {
        to.iter()
            .filter(|(key, value)| from.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let (set, unset) = (differing(&before, &after), differing(&after, &before));
    if set.is_empty() && unset.is_empty() {
        return None;
    }
    let step = |name: &Collection, set| Step::Update {
        name: name.name.to_string(),
        id: name.id.as_str().to_owned(),
        set,
    };
    Some((step(old, set), step(new, unset)))
}
