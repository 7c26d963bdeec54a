//! What a migration's file says.
//!
//! JSON: `{"up": [step, ...], "down": [step, ...]}`; without `down` there is no way back. A step is one of
//! `{"create": {collection}}`, `{"update": "name", "id": "id", "set": {changed keys}}`, `{"delete": ["name", ...]}`,
//! `{"import": [collection, ...]}` (many at once, as `PUT /api/collections/import` takes them), `{"sql": "..."}`.
//!
//! SQL: everything is the way forward, unless a line `-- migrate:down` parts it from the way back; a line `-- migrate:up`
//! may stand at the top.

use crate::kit::json::{self, Json, JsonMap};

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A new collection.
    Create(JsonMap),
    /// Other values for some keys of a collection.
    Update {
        /// Its name, for people and where no collection has the id.
        name: String,
        /// Its id.
        id: String,
        /// The keys that change.
        set: JsonMap,
    },
    /// Collections go, with their records.
    Delete(Vec<String>),
    /// Many collections at once, which may point to each other.
    Import(Vec<JsonMap>),
    /// Statements.
    Sql(String),
}

/// A parsed file.
#[derive(Clone, Debug, PartialEq)]
pub struct Migration {
    /// Forward.
    pub up: Vec<Step>,
    /// Back; `None` when there is no way back.
    pub down: Option<Vec<Step>>,
}

impl Migration {
    /// Reads a file by the end of its name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        if has_end(name, "sql") {
            return Ok(Self::of_sql(text));
        }
        let Json::Object(map) = json::parse(text.trim()).map_err(|error| error.to_string())? else {
            return Err("it is not an object with \"up\" and \"down\"".to_owned());
        };
        if let Some(key) = map
            .keys()
            .find(|key| !matches!(key.as_str(), "up" | "down"))
        {
            return Err(format!("{key:?} is neither \"up\" nor \"down\""));
        }
        let up = map.get("up").ok_or("\"up\" is missing")?;
        Ok(Self {
            up: steps(up)?,
            down: match map.get("down") {
                None | Some(Json::Null) => None,
                Some(down) => Some(steps(down)?),
            },
        })
    }

    fn of_sql(text: &str) -> Self {
        let mut parts = [String::new(), String::new()];
        let (mut at, mut parted) = (0, false);
        for line in text.lines() {
            match line.trim().to_ascii_lowercase().as_str() {
                "-- migrate:up" => at = 0,
                "-- migrate:down" => (at, parted) = (1, true),
                _ => {
                    parts[at].push_str(line);
                    parts[at].push('\n');
                }
            }
        }
        let [up, down] = parts;
        let step = |text: String| {
            if text.trim().is_empty() {
                Vec::new()
            } else {
                vec![Step::Sql(text)]
            }
        };
        Self {
            up: step(up),
            down: parted.then(|| step(down)),
        }
    }

    /// As a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let list = |steps: &[Step]| Json::Array(steps.iter().map(Step::to_json).collect());
        let mut map = JsonMap::new();
        map.insert("up".to_owned(), list(&self.up));
        if let Some(down) = &self.down {
            map.insert("down".to_owned(), list(down));
        }
        let mut text = serde_json::to_string_pretty(&Json::Object(map)).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// Whether a file's name ends so.
pub(super) fn has_end(name: &str, end: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, found)| found.eq_ignore_ascii_case(end))
}

fn steps(list: &Json) -> Result<Vec<Step>, String> {
    let Json::Array(items) = list else {
        return Err("steps are a list".to_owned());
    };
    items
        .iter()
        .enumerate()
        .map(|(at, item)| Step::parse(item).ok_or(at))
        .collect::<Result<_, _>>()
        .map_err(|at| format!("step {} is none: {}", at + 1, json::to_text(&items[at])))
}

impl Step {
    fn parse(item: &Json) -> Option<Self> {
        let map = item.as_object()?;
        let object = |key: &str| map.get(key)?.as_object().cloned();
        let text = |key: &str| map.get(key)?.as_str().map(str::to_owned);
        if map.contains_key("update") {
            return Some(Self::Update {
                name: text("update")?,
                id: text("id").unwrap_or_default(),
                set: object("set")?,
            });
        }
        let (key, value) = map.iter().next().filter(|_| map.len() == 1)?;
        match key.as_str() {
            "create" => Some(Self::Create(value.as_object()?.clone())),
            "delete" => {
                let names = value.as_array()?.iter();
                let names: Option<_> = names.map(|name| name.as_str().map(str::to_owned)).collect();
                Some(Self::Delete(names?))
            }
            "import" => {
                let items = value.as_array()?.iter();
                let items: Option<_> = items.map(|item| item.as_object().cloned()).collect();
                Some(Self::Import(items?))
            }
            "sql" => Some(Self::Sql(value.as_str()?.to_owned())),
            _ => None,
        }
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Create(collection) => serde_json::json!({ "create": collection }),
            Self::Update { name, id, set } => {
                serde_json::json!({ "update": name, "id": id, "set": set })
            }
            Self::Delete(names) => serde_json::json!({ "delete": names }),
            Self::Import(items) => serde_json::json!({ "import": items }),
            Self::Sql(text) => serde_json::json!({ "sql": text }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_the_same_after_it_was_written() {
        let set = JsonMap::from_iter([("listRule".to_owned(), Json::from(""))]);
        let migration = Migration {
            up: vec![
                Step::Update {
                    name: "posts".to_owned(),
                    id: "pbc_1".to_owned(),
                    set,
                },
                Step::Delete(vec!["a".to_owned()]),
                Step::Sql("SELECT 1".to_owned()),
            ],
            down: None,
        };
        let again = Migration::parse("1_a.json", &migration.to_text());
        assert_eq!(again, Ok(migration));
    }

    #[test]
    fn sql_is_parted_by_a_line_of_its_own() {
        let text = "-- migrate:up\nCREATE TABLE a (b);\n-- migrate:down\nDROP TABLE a;\n";
        let migration = Migration::parse("1_a.sql", text).unwrap();
        assert_eq!(
            migration.up,
            [Step::Sql("CREATE TABLE a (b);\n".to_owned())]
        );
        assert_eq!(
            migration.down,
            Some(vec![Step::Sql("DROP TABLE a;\n".to_owned())])
        );
        assert_eq!(Migration::parse("1_a.sql", "SELECT 1").unwrap().down, None);
    }

    #[test]
    fn what_is_no_step_is_named() {
        for (text, error) in [
            ("[]", "it is not an object with \"up\" and \"down\""),
            ("{}", "\"up\" is missing"),
            (
                r#"{"up":[],"dwon":[]}"#,
                "\"dwon\" is neither \"up\" nor \"down\"",
            ),
            (r#"{"up":[{"creat":{}}]}"#, "step 1 is none: {\"creat\":{}}"),
        ] {
            assert_eq!(Migration::parse("1.json", text), Err(error.to_owned()));
        }
    }
}
