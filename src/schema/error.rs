//! Validation errors as the wire shows them: a tree of keys whose leaves are `{code, message, params?}`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::kit::json::{Json, JsonMap};

/// One error leaf. Codes are stable: clients match them.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// The contract's code, for instance `validation_required`.
    pub code: Cow<'static, str>,
    /// A sentence for people; the encoder capitalises it and ends it with a full stop.
    pub message: Cow<'static, str>,
    /// Named values of the message; left out of the answer when empty.
    pub params: JsonMap,
}

impl FieldError {
    /// An error without parameters.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            params: JsonMap::new(),
        }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    /// `validation_required`, "Cannot be blank."
    #[must_use]
    pub fn required() -> Self {
        Self::new("validation_required", "Cannot be blank.")
    }

    /// `validation_invalid_value`, "Invalid value.": the contract's answer to an error without a public code.
    #[must_use]
    pub fn invalid() -> Self {
        Self::new("validation_invalid_value", "Invalid value.")
    }

    /// `validation_length_out_of_range`, with the bounds.
    #[must_use]
    pub fn length_out_of_range(min: usize, max: usize) -> Self {
        Self::new(
            "validation_length_out_of_range",
            format!("The length must be between {min} and {max}."),
        )
        .with("min", min)
        .with("max", max)
    }

    /// A password that everybody tries first.
    #[must_use]
    pub fn common_password() -> Self {
        Self::new(
            "validation_common_password",
            "This is one of the most common passwords. Choose another one.",
        )
    }

    /// `validation_not_unique`, "Value must be unique."
    #[must_use]
    pub fn not_unique() -> Self {
        Self::new("validation_not_unique", "Value must be unique.")
    }
}

/// Errors by key; array positions are decimal keys.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FieldErrors(BTreeMap<String, Node>);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Leaf(FieldError),
    Branch(FieldErrors),
    Raw(Json),
}

impl FieldErrors {
    /// No errors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One error under one key.
    pub fn one(key: impl Into<String>, error: FieldError) -> Self {
        let mut errors = Self::new();
        errors.add(key, error);
        errors
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a leaf; the first error of a key stays.
    pub fn add(&mut self, key: impl Into<String>, error: FieldError) {
        self.0.entry(key.into()).or_insert(Node::Leaf(error));
    }

    /// Adds what a judgement found, if anything.
    pub fn extend(&mut self, key: &str, error: Option<FieldError>) {
        if let Some(error) = error {
            self.add(key, error);
        }
    }

    /// Adds all errors of another tree; the first error of a key stays.
    pub fn merge(&mut self, other: Self) {
        for (key, node) in other.0 {
            match (self.0.get_mut(&key), node) {
                (Some(Node::Branch(mine)), Node::Branch(theirs)) => mine.merge(theirs),
                (Some(_), _) => {}
                (None, node) => {
                    self.0.insert(key, node);
                }
            }
        }
    }

    /// The messages alone as indented JSON, in the words of a log: small first letter, no full stop, where the message
    /// is a phrase of ours and not a sentence with more in it.
    #[must_use]
    pub fn to_plain_text(&self) -> String {
        serde_json::to_string_pretty(&self.plain()).unwrap_or_default()
    }

    fn plain(&self) -> Json {
        let plain = |node: &Node| match node {
            Node::Leaf(error) => Json::from(phrase(error)),
            Node::Branch(branch) => branch.plain(),
            Node::Raw(json) => json.clone(),
        };
        Json::Object(
            self.0
                .iter()
                .map(|(key, node)| (key.clone(), plain(node)))
                .collect(),
        )
    }

    /// Adds a whole branch under a key; an empty one is nothing.
    pub fn nest(&mut self, key: impl Into<String>, errors: Self) {
        if errors.is_empty() {
            return;
        }
        match self
            .0
            .entry(key.into())
            .or_insert_with(|| Node::Branch(Self::new()))
        {
            Node::Branch(branch) => {
                for (k, node) in errors.0 {
                    branch.0.entry(k).or_insert(node);
                }
            }
            Node::Leaf(_) | Node::Raw(_) => {}
        }
    }

    /// Adds a ready-made JSON subtree (the batch answer carries an inner answer in its leaf).
    pub fn raw(&mut self, key: impl Into<String>, json: Json) {
        self.0.insert(key.into(), Node::Raw(json));
    }

    /// The error leaf of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&FieldError> {
        match self.0.get(key) {
            Some(Node::Leaf(error)) => Some(error),
            Some(Node::Branch(_) | Node::Raw(_)) | None => None,
        }
    }

    /// The `data` object of the error envelope.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut map = JsonMap::new();
        for (key, node) in &self.0 {
            let value = match node {
                Node::Leaf(error) => leaf_json(error),
                Node::Branch(branch) => branch.to_json(),
                Node::Raw(json) => json.clone(),
            };
            map.insert(key.clone(), value);
        }
        Json::Object(map)
    }
}

/// Codes of general judgements, whose messages are phrases.
const PHRASES: [&str; 18] = [
    "validation_required",
    "validation_nil_or_not_empty_required",
    "validation_nil",
    "validation_empty",
    "validation_length_out_of_range",
    "validation_length_too_long",
    "validation_length_too_short",
    "validation_match_invalid",
    "validation_in_invalid",
    "validation_not_in_invalid",
    "validation_min_greater_equal_than_required",
    "validation_max_less_equal_than_required",
    "validation_is_email",
    "validation_is_domain",
    "validation_is_url",
    "validation_date_invalid",
    "validation_date_out_of_range",
    "validation_invalid_regex",
];

fn phrase(error: &FieldError) -> String {
    if !PHRASES.contains(&error.code.as_ref()) {
        return error.message.to_string();
    }
    let mut letters = error.message.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().collect::<String>() + letters.as_str()
    })
}

fn leaf_json(error: &FieldError) -> Json {
    let mut leaf = JsonMap::new();
    leaf.insert("code".to_owned(), Json::from(error.code.as_ref()));
    leaf.insert("message".to_owned(), Json::from(sentence(&error.message)));
    if !error.params.is_empty() {
        leaf.insert("params".to_owned(), Json::Object(error.params.clone()));
    }
    Json::Object(leaf)
}

/// Trims, capitalises the first letter and ends with a full stop unless there is `.`, `?` or `!` (contract 1.4).
#[must_use]
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    let mut out: String = first.to_uppercase().collect();
    out.push_str(chars.as_str());
    if !out.ends_with(['.', '?', '!']) {
        out.push('.');
    }
    out
}
