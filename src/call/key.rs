//! What an API key reaches: everything its owner may, or some actions on some collections. A key only ever takes away.

use std::net::IpAddr;

use compact_str::CompactString;
use ipnet::IpNet;

use crate::kit::json::{self, Json, JsonMap};
use crate::schema::{Action, Collection, system};

/// The collection that stands for all that are not the system's own.
const ALL: &str = "*";

/// An API key that stands for a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Id of its row in `_apiKeys`.
    pub id: CompactString,
    /// How far it reaches.
    pub reach: Reach,
    /// Where it may be used from; empty is everywhere.
    pub networks: Vec<IpNet>,
}

/// How far a key reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// As far as the superuser that it belongs to.
    Superuser,
    /// To these.
    Scopes(Scopes),
}

/// Actions by collection.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Scopes(Vec<(CompactString, Vec<Action>)>);

/// Why scopes cannot be used: the name of the collection, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeError {
    /// There is no such collection.
    UnknownCollection(String),
    /// It is no list of actions.
    BadActions(String),
    /// No key makes or changes what belongs to the system.
    ReadOnly(String),
}

impl Key {
    /// Whether the key lets its bearer do that. What lets somebody in is made and changed by people: no key does, and
    /// none ends keys and superusers.
    #[must_use]
    pub fn reaches(&self, collection: &Collection, action: Action) -> bool {
        let writes = matches!(action, Action::Create | Action::Update);
        if collection.system && writes {
            return false;
        }
        match &self.reach {
            Reach::Superuser => {
                action != Action::Delete
                    || !(collection.is_superusers() || collection.name == system::API_KEYS)
            }
            Reach::Scopes(scopes) => scopes.hold(collection, action),
        }
    }

    /// Whether it may be used from there.
    #[must_use]
    pub fn admits(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&from))
    }
}

impl Scopes {
    /// Those that were asked for, by the ids of the collections that `find` knows by name or id.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn asked<'c>(
        map: &JsonMap,
        find: impl Fn(&str) -> Option<&'c Collection>,
    ) -> Result<Self, ScopeError> {
        let mut scopes = Self::default();
        for (name, wanted) in map {
            let bad = || ScopeError::BadActions(name.clone());
            let actions = actions(wanted).filter(|actions| !actions.is_empty());
            let actions = actions.ok_or_else(bad)?;
            let id = if name == ALL {
                CompactString::const_new(ALL)
            } else {
                let unknown = || ScopeError::UnknownCollection(name.clone());
                let collection = find(name).ok_or_else(unknown)?;
                let reads = |action: &Action| matches!(action, Action::List | Action::View);
                if collection.system && !actions.iter().all(reads) {
                    return Err(ScopeError::ReadOnly(name.clone()));
                }
                collection.id.as_str().into()
            };
            scopes.0.push((id, actions));
        }
        Ok(scopes)
    }

    /// As they are kept; what cannot be read gives nothing.
    #[must_use]
    pub fn kept(text: &str) -> Self {
        let Ok(Json::Object(map)) = json::parse(text) else {
            return Self::default();
        };
        let read = |(id, wanted): (&String, &Json)| Some((id.as_str().into(), actions(wanted)?));
        Self(map.iter().filter_map(read).collect())
    }

    /// As they are kept and shown.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let entry = |(id, actions): &(CompactString, Vec<Action>)| {
            let actions: Vec<Json> = actions.iter().map(|a| Json::from(a.as_str())).collect();
            (id.to_string(), Json::Array(actions))
        };
        Json::Object(self.0.iter().map(entry).collect())
    }

    /// Whether they say nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn hold(&self, collection: &Collection, action: Action) -> bool {
        self.0.iter().any(|(id, actions)| {
            let here = id == collection.id.as_str() || (id == ALL && !collection.system);
            here && actions.contains(&action)
        })
    }
}

/// A list of names of actions, or `"*"` for all.
fn actions(wanted: &Json) -> Option<Vec<Action>> {
    match wanted {
        Json::String(all) if all == ALL => Some(Action::ALL.to_vec()),
        Json::Array(names) => {
            let mut found = Vec::new();
            for name in names {
                match name.as_str()? {
                    ALL => return Some(Action::ALL.to_vec()),
                    name => {
                        let action = Action::ALL.into_iter().find(|a| a.as_str() == name)?;
                        if !found.contains(&action) {
                            found.push(action);
                        }
                    }
                }
            }
            Some(found)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::time::Timestamp;
    use crate::schema::{AuthOptions, CollectionId, Kind, SUPERUSERS};

    fn collection(name: &str) -> Collection {
        let mut made = Collection::scaffold(Kind::Base);
        made.id = CollectionId::new(format!("id_{name}"));
        made.name = name.into();
        made
    }

    fn system(name: &str) -> Collection {
        let now = Timestamp::from_millis(0);
        let mut all = system::fresh(now);
        all.extend(system::own(now));
        all.into_iter().find(|c| c.name == name).unwrap()
    }

    fn key(reach: Reach) -> Key {
        Key {
            id: "key".into(),
            reach,
            networks: Vec::new(),
        }
    }

    fn asked(text: &str) -> Result<Scopes, ScopeError> {
        let known = [collection("posts"), system("_sessions")];
        let Ok(Json::Object(map)) = json::parse(text) else {
            panic!("an object: {text}");
        };
        Scopes::asked(&map, |name| {
            known
                .iter()
                .find(|c| c.name == name || c.id.as_str() == name)
        })
    }

    #[test]
    fn scopes_are_kept_by_id_and_read_back() {
        let scopes = asked(r#"{"posts":["view","list","view"],"*":["view"]}"#).unwrap();
        let kept = scopes.to_json().to_string();
        assert_eq!(Scopes::kept(&kept), scopes);
        let key = key(Reach::Scopes(scopes));
        assert!(key.reaches(&collection("posts"), Action::List));
        assert!(!key.reaches(&collection("posts"), Action::Create));
        assert!(key.reaches(&collection("notes"), Action::View));
        assert!(!key.reaches(&collection("notes"), Action::List));
        assert!(!key.reaches(&system("_sessions"), Action::View), "no star");
        assert!(!key.reaches(&system(SUPERUSERS), Action::View));
    }

    #[test]
    fn what_cannot_be_read_gives_nothing() {
        for text in [
            "",
            "null",
            "[]",
            r#"{"posts":"list"}"#,
            r#"{"posts":["fly"]}"#,
        ] {
            assert!(Scopes::kept(text).is_empty(), "{text}");
        }
        assert!(asked("{}").unwrap().is_empty());
        for (text, error) in [
            (r#"{"posts":[]}"#, ScopeError::BadActions("posts".into())),
            (
                r#"{"posts":["fly"]}"#,
                ScopeError::BadActions("posts".into()),
            ),
            (r#"{"posts":5}"#, ScopeError::BadActions("posts".into())),
            (
                r#"{"gone":["list"]}"#,
                ScopeError::UnknownCollection("gone".into()),
            ),
            (
                r#"{"_sessions":["delete"]}"#,
                ScopeError::ReadOnly("_sessions".into()),
            ),
            (
                r#"{"_sessions":"*"}"#,
                ScopeError::ReadOnly("_sessions".into()),
            ),
        ] {
            assert_eq!(asked(text), Err(error), "{text}");
        }
    }

    #[test]
    fn no_key_makes_a_way_in() {
        let all = key(Reach::Superuser);
        let mut people = Collection::scaffold(Kind::Auth(Box::new(AuthOptions::fresh())));
        people.name = "people".into();
        assert!(all.reaches(&people, Action::Create));
        for name in [SUPERUSERS, system::API_KEYS, "_otps", "_sessions"] {
            assert!(all.reaches(&system(name), Action::List), "{name}");
            assert!(!all.reaches(&system(name), Action::Create), "{name}");
            assert!(!all.reaches(&system(name), Action::Update), "{name}");
        }
        assert!(all.reaches(&system("_sessions"), Action::Delete));
        assert!(!all.reaches(&system(SUPERUSERS), Action::Delete));
        assert!(!all.reaches(&system(system::API_KEYS), Action::Delete));
    }

    #[test]
    fn addresses_are_judged_in_their_plain_form() {
        let mut key = key(Reach::Superuser);
        assert!(key.admits("203.0.113.9".parse().unwrap()));
        key.networks = vec![
            "203.0.113.0/24".parse().unwrap(),
            "::1/128".parse().unwrap(),
        ];
        assert!(key.admits("203.0.113.9".parse().unwrap()));
        assert!(key.admits("::ffff:203.0.113.9".parse().unwrap()));
        assert!(!key.admits("203.0.114.9".parse().unwrap()));
        assert!(!key.admits("::2".parse().unwrap()));
    }
}
