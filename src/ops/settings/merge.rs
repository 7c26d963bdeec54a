//! Laying a submitted document over the present one: objects merge at any depth, lists are replaced, null is the zero
//! value, names match in any case, unknown ones are ignored, omitted secrets stay (contract-auth 5.3).

use serde_json::json;

use super::document::{Document, RateRule};
use crate::kit::json::{Json, JsonMap};
use crate::ops::Error;

/// `present` with `patch` laid over it.
///
/// # Errors
/// When a value is of another type than its key holds.
pub(super) fn merged(present: &Document, patch: &Json) -> Result<Document, Error> {
    let mut whole = whole(present)?;
    overlay(&mut whole, patch)?;
    if let Some(rules) = whole.pointer_mut("/rateLimits/rules") {
        complete_rules(rules)?;
    }
    for list in [
        "/superuserIPs",
        "/rateLimits/excludedIPs",
        "/trustedProxy/headers",
        "/trustedProxy/addresses",
    ] {
        if let Some(Json::Array(items)) = whole.pointer_mut(list) {
            let nulls = items.iter_mut().filter(|item| item.is_null());
            nulls.for_each(|item| *item = json!(""));
        }
    }
    let mut document: Document =
        serde_json::from_value(whole).map_err(|_| Error::UnreadableSettings)?;
    forget_moved_secrets(present, patch, &mut document);
    Ok(document)
}

/// A secret that was not typed again stays with the host that it was meant for: sent to another, it would be told to
/// whoever runs that.
fn forget_moved_secrets(present: &Document, patch: &Json, document: &mut Document) {
    let (smtp, was) = (&mut document.smtp, &present.smtp);
    if smtp.host != was.host && !was.host.is_empty() && !names(patch, &["smtp", "password"]) {
        smtp.password = Some(String::new());
    }
    let buckets = [
        (&mut document.s3, &present.s3, &["s3", "secret"][..]),
        (
            &mut document.backups.s3,
            &present.backups.s3,
            &["backups", "s3", "secret"][..],
        ),
    ];
    for (bucket, was, path) in buckets {
        if bucket.endpoint != was.endpoint && !was.endpoint.is_empty() && !names(patch, path) {
            bucket.secret.clear();
        }
    }
}

/// Whether a submitted document has something at `path`, letters in any case.
fn names(patch: &Json, path: &[&str]) -> bool {
    let found = path.iter().try_fold(patch, |node, name| {
        let (_, below) = node
            .as_object()?
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(below)
    });
    found.is_some()
}

/// The document with every key there is: those that are left out when empty, too.
pub(super) fn whole(document: &Document) -> Result<Json, Error> {
    let mut json = serde_json::to_value(document).map_err(|_| Error::UnreadableSettings)?;
    json["smtp"]["password"] = json!(document.smtp.password.as_deref().unwrap_or(""));
    json["s3"]["secret"] = json!(document.s3.secret);
    json["backups"]["s3"]["secret"] = json!(document.backups.s3.secret);
    Ok(json)
}

/// Only as deep as the document itself.
fn overlay(target: &mut Json, patch: &Json) -> Result<(), Error> {
    match (target, patch) {
        (target, Json::Null) => *target = zero(target),
        (Json::Object(known), Json::Object(patch)) => {
            for (name, value) in patch {
                if let Some(slot) = slot(known, name) {
                    overlay(slot, value)?;
                }
            }
        }
        (target @ Json::Array(_), Json::Array(items)) => *target = Json::Array(items.clone()),
        (target @ Json::Bool(_), Json::Bool(_))
        | (target @ Json::Number(_), Json::Number(_))
        | (target @ Json::String(_), Json::String(_)) => *target = patch.clone(),
        _ => return Err(Error::UnreadableSettings),
    }
    Ok(())
}

fn slot<'a>(known: &'a mut JsonMap, name: &str) -> Option<&'a mut Json> {
    let key = known
        .keys()
        .find(|key| key.eq_ignore_ascii_case(name))?
        .clone();
    known.get_mut(&key)
}

fn zero(value: &Json) -> Json {
    match value {
        Json::Null => Json::Null,
        Json::Bool(_) => json!(false),
        Json::Number(_) => json!(0),
        Json::String(_) => json!(""),
        Json::Array(_) => json!([]),
        Json::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), zero(value)))
            .collect(),
    }
}

/// Gives submitted rules every key: null items and keys become zero values, letters of names may be of any case.
fn complete_rules(rules: &mut Json) -> Result<(), Error> {
    let Json::Array(items) = rules else {
        return Err(Error::UnreadableSettings);
    };
    let blank = serde_json::to_value(RateRule::default()).map_err(|_| Error::UnreadableSettings)?;
    for item in items {
        let mut rule = blank.clone();
        overlay(&mut rule, item)?;
        *item = rule;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(text: &str) -> Result<Document, Error> {
        let mut present = Document::defaults();
        present.smtp.password = Some("hush".to_owned());
        present.s3.secret = "hush".to_owned();
        merged(&present, &serde_json::from_str(text).unwrap())
    }

    #[test]
    fn omitted_secrets_stay_and_empty_ones_clear() {
        let kept = patch(r#"{"smtp":{"port":1},"s3":{"bucket":"b"}}"#).unwrap();
        assert_eq!(kept.smtp.password.as_deref(), Some("hush"));
        assert_eq!(
            (kept.s3.secret.as_str(), kept.s3.bucket.as_str()),
            ("hush", "b")
        );
        let cleared = patch(r#"{"smtp":{"password":""},"s3":{"secret":""}}"#).unwrap();
        assert_eq!(cleared.smtp.password.as_deref(), Some(""));
        assert_eq!(cleared.s3.secret, "");
    }

    #[test]
    fn null_is_zero_lists_are_replaced_and_names_fold() {
        let doc = patch(
            r#"{"SMTP":null,"rateLimits":{"RULES":[{"LABEL":"a","Duration":1},null]},"nope":1}"#,
        )
        .unwrap();
        assert_eq!((doc.smtp.port, doc.smtp.host.as_str()), (0, ""));
        assert_eq!(doc.rate_limits.rules.len(), 2);
        assert_eq!(doc.rate_limits.rules[0].label, "a");
        assert!(
            patch(r#"{"rateLimits":{"rules":null}}"#)
                .unwrap()
                .rate_limits
                .rules
                .is_empty()
        );
    }

    #[test]
    fn values_of_another_type_are_refused() {
        for text in [
            r#"{"smtp":"x"}"#,
            r#"{"smtp":{"port":"1"}}"#,
            r#"{"smtp":{"port":1.5}}"#,
            r#"{"superuserIPs":[1]}"#,
            r#"{"superuserIPs":"x"}"#,
            r#"{"rateLimits":{"rules":[1]}}"#,
            r#"{"meta":{"appName":1}}"#,
            "[]",
        ] {
            assert!(patch(text).is_err(), "{text}");
        }
    }
}
