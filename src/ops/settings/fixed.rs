//! Settings that whoever starts the process has decided: by variables named after them (`smtp.host` is `BURROW_SMTP_HOST`),
//! or by files that variables name (`BURROW_SMTP_PASSWORD_FILE`). They hold whatever is stored, and nobody changes them
//! over the wire.

use super::document::Document;
use super::{merge, validate};
use crate::kit::json::{self, Json};
use crate::kit::secret::Secret;
use crate::ops::Error;
use crate::schema::{FieldError, FieldErrors};

/// What every name of ours begins with.
const PREFIX: &str = "BURROW_";

/// Settings by their path, with their values. The values may be secret: `Debug` tells the paths only.
#[derive(Clone, Default)]
pub struct Fixed(Vec<(Vec<String>, Secret<Json>)>);

impl std::fmt::Debug for Fixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}

impl Fixed {
    /// From variables and their texts; those that name no setting are given back.
    ///
    /// # Errors
    /// [`Error::Fixed`] when a text is not of its setting's type, or the result does not hold.
    pub fn of(variables: &[(String, Secret<String>)]) -> Result<(Self, Vec<String>), Error> {
        let known = merge::whole(&Document::defaults())?;
        let mut paths = Vec::new();
        leaves(&known, &mut Vec::new(), &mut paths);
        let mut fixed = Vec::new();
        let mut unknown = Vec::new();
        for (name, text) in variables {
            match paths.iter().find(|path| variable(path) == *name) {
                None => unknown.push(name.clone()),
                Some(path) => {
                    let like = at(&known, path).unwrap_or(&Json::Null);
                    let value = value(like, text.reveal())
                        .ok_or_else(|| Error::Fixed(format!("{name} must be {}", kind(like))))?;
                    fixed.push((path.clone(), Secret::new(value)));
                }
            }
        }
        fixed.sort_by(|a, b| a.0.cmp(&b.0));
        let fixed = Self(fixed);
        let document = fixed.over(&Document::defaults())?;
        let errors = validate::errors(&document);
        if !errors.is_empty() {
            return Err(Error::Fixed(format!(
                "the settings in the environment do not hold: {}",
                json::to_text(&errors.to_json())
            )));
        }
        Ok((fixed, unknown))
    }

    /// Paths of all of them, as `smtp.host`.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.0.iter().map(|(path, _)| path.join(".")).collect()
    }

    /// The settings of a directory that has none, with these laid over them.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn alone(&self) -> Result<Document, Error> {
        self.over(&Document::defaults())
    }

    /// `document` with these laid over it.
    pub(super) fn over(&self, document: &Document) -> Result<Document, Error> {
        if self.0.is_empty() {
            return Ok(document.clone());
        }
        let mut whole = merge::whole(document)?;
        for (path, value) in &self.0 {
            put(&mut whole, path, value.reveal().clone());
        }
        serde_json::from_value(whole).map_err(|_| Error::UnreadableSettings)
    }

    /// `patch` without these; those that it would change are errors.
    pub(super) fn spare(&self, patch: &Json) -> Result<Json, FieldErrors> {
        let mut rest = patch.clone();
        let mut errors = FieldErrors::new();
        for (path, value) in &self.0 {
            let Some(asked) = take(&mut rest, path) else {
                continue;
            };
            // Forms send what they were shown, and secrets as empty texts.
            let is_same = asked == *value.reveal() || asked == "";
            if !is_same {
                add(&mut errors, path);
            }
        }
        if errors.is_empty() {
            Ok(rest)
        } else {
            Err(errors)
        }
    }
}

fn add(errors: &mut FieldErrors, path: &[String]) {
    let Some((last, groups)) = path.split_last() else {
        return;
    };
    let error = FieldError::new(
        "validation_fixed",
        "Is set by the environment of the server and cannot be changed here.",
    );
    let mut nested = FieldErrors::one(last.as_str(), error);
    for group in groups.iter().rev() {
        let mut outer = FieldErrors::new();
        outer.nest(group.as_str(), nested);
        nested = outer;
    }
    errors.merge(nested);
}

/// Every value that is no group.
fn leaves(node: &Json, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let Json::Object(map) = node else {
        found.push(path.clone());
        return;
    };
    for (key, below) in map {
        path.push(key.clone());
        leaves(below, path, found);
        path.pop();
    }
}

/// The variable of a path.
fn variable(path: &[String]) -> String {
    let words: Vec<String> = path.iter().map(|key| screaming(key)).collect();
    format!("{PREFIX}{}", words.join("_"))
}

/// `appURL` as `APP_URL`.
fn screaming(key: &str) -> String {
    let mut out = String::new();
    let mut was_small = false;
    for c in key.chars() {
        if c.is_ascii_uppercase() && was_small {
            out.push('_');
        }
        was_small = !c.is_ascii_uppercase();
        out.push(c.to_ascii_uppercase());
    }
    out
}

fn at<'a>(node: &'a Json, path: &[String]) -> Option<&'a Json> {
    path.iter().try_fold(node, |node, key| node.get(key))
}

fn put(node: &mut Json, path: &[String], value: Json) {
    let slot = path.iter().try_fold(node, |node, key| node.get_mut(key));
    if let Some(slot) = slot {
        *slot = value;
    }
}

/// Takes what stands at `path` out, letters in any case.
fn take(node: &mut Json, path: &[String]) -> Option<Json> {
    let (first, rest) = path.split_first()?;
    let map = node.as_object_mut()?;
    let key = map
        .keys()
        .find(|key| key.eq_ignore_ascii_case(first))?
        .clone();
    if rest.is_empty() {
        return map.remove(&key);
    }
    take(map.get_mut(&key)?, rest)
}

/// A text as a value of the kind that `like` is.
fn value(like: &Json, text: &str) -> Option<Json> {
    match like {
        Json::Bool(_) => match text {
            "true" | "1" => Some(Json::Bool(true)),
            "false" | "0" => Some(Json::Bool(false)),
            _ => None,
        },
        Json::Number(_) => text.parse::<i64>().ok().map(Json::from),
        Json::String(_) => Some(Json::from(text)),
        Json::Array(_) if text.trim_start().starts_with('[') => {
            json::parse(text).ok().filter(Json::is_array)
        }
        Json::Array(_) => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Some(items.map(Json::from).collect())
        }
        Json::Object(_) | Json::Null => None,
    }
}

fn kind(like: &Json) -> &'static str {
    match like {
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a whole number",
        Json::Array(_) => "a list: texts separated by commas, or JSON",
        Json::String(_) | Json::Object(_) | Json::Null => "a text",
    }
}

/// The document as it is answered: with the paths of what cannot be changed, where there are any.
#[derive(serde::Serialize)]
pub struct Answered {
    #[serde(flatten)]
    document: Document,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixed: Vec<String>,
}

impl Answered {
    pub(super) fn new(document: Document, fixed: &Fixed) -> Self {
        Self {
            document,
            fixed: fixed.keys(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<(Fixed, Vec<String>), Error> {
        let pairs: Vec<(String, Secret<String>)> = pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Secret::new((*text).to_owned())))
            .collect();
        Fixed::of(&pairs)
    }

    #[test]
    fn names_follow_the_keys() {
        for (key, name) in [
            ("appURL", "APP_URL"),
            ("superuserIPs", "SUPERUSER_IPS"),
            ("useLeftmostIP", "USE_LEFTMOST_IP"),
            ("s3", "S3"),
            ("accessKey", "ACCESS_KEY"),
        ] {
            assert_eq!(screaming(key), name);
        }
    }

    #[test]
    fn texts_take_the_kind_of_their_setting() {
        let (fixed, unknown) = of(&[
            ("BURROW_META_APP_NAME", "Mine"),
            ("BURROW_SMTP_PORT", "2525"),
            ("BURROW_BACKUPS_S3_FORCE_PATH_STYLE", "1"),
            ("BURROW_TRUSTED_PROXY_HEADERS", "X-Forwarded-For, X-Real-IP"),
            ("BURROW_NOTHING", "x"),
        ])
        .unwrap();
        let document = fixed.over(&Document::defaults()).unwrap();
        assert_eq!(document.meta.app_name, "Mine");
        assert_eq!(document.smtp.port, 2525);
        assert!(document.backups.s3.force_path_style);
        assert_eq!(
            document.trusted_proxy.headers,
            ["X-Forwarded-For", "X-Real-IP"]
        );
        assert_eq!(unknown, ["BURROW_NOTHING"]);
        for (name, text) in [
            ("BURROW_SMTP_PORT", "many"),
            ("BURROW_SMTP_ENABLED", "yes please"),
            ("BURROW_META_APP_URL", ""),
        ] {
            assert!(of(&[(name, text)]).is_err(), "{name}");
        }
    }
}
