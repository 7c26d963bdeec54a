//! What a settings document must satisfy, with the contract's codes (contract-auth 5.4).

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::document::{Document, RateLimits, RateRule, S3, Smtp};
use super::{maps, passkeys, realtime};
use crate::expr::Catalog;
use crate::ops::cron::Expression;
use crate::schema::field::{is_email, is_url};
use crate::schema::{FieldError, FieldErrors};

/// Everything that is wrong with `document`.
pub(super) fn errors(document: &Document) -> FieldErrors {
    let mut errors = FieldErrors::new();
    errors.nest("superuserIPs", networks(&document.superuser_ips));
    errors.nest("smtp", smtp(&document.smtp));
    errors.nest("backups", backups(document));
    errors.nest("s3", s3(&document.s3));
    errors.nest("meta", meta(document));
    rate_limits(&document.rate_limits, &mut errors);
    let mut proxy = FieldErrors::new();
    proxy.nest("addresses", networks(&document.trusted_proxy.addresses));
    errors.nest("trustedProxy", proxy);
    errors.nest("batch", batch(document));
    errors.nest("logs", logs(document));
    errors.nest("realtime", realtime::errors(&document.realtime));
    errors.nest("passkeys", passkeys::errors(&document.passkeys));
    errors.nest("maps", maps::errors(&document.maps));
    errors
}

/// Rules of channels that do not resolve under `catalog`, where they differ from those in force.
pub(super) fn channel_rules(
    catalog: &Catalog,
    document: &Document,
    present: &Document,
) -> FieldErrors {
    let mut channels = FieldErrors::new();
    for (at, channel) in document.realtime.channels.iter().enumerate() {
        // One that has stopped to resolve must not keep everything else from being saved.
        if present.realtime.channels.contains(channel) {
            continue;
        }
        let mut own = FieldErrors::new();
        for (key, rule) in [
            ("joinRule", &channel.join_rule),
            ("publishRule", &channel.publish_rule),
        ] {
            let text = rule.as_deref().unwrap_or("");
            if text.is_empty() {
                continue;
            }
            if let Err(error) = catalog.channel_rule(text) {
                let message = format!("Invalid rule. Raw error: {error}");
                own.add(key, FieldError::new("validation_invalid_rule", message));
            }
        }
        channels.nest(at.to_string(), own);
    }
    let mut group = FieldErrors::new();
    group.nest("channels", channels);
    let mut errors = FieldErrors::new();
    errors.nest("realtime", group);
    errors
}

/// An address or network as settings write it.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn networks(texts: &[String]) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (at, text) in texts.iter().enumerate() {
        if text.is_empty() {
            errors.add(at.to_string(), FieldError::required());
        } else if network(text).is_none() {
            // The code is misspelt in the contract.
            let error = FieldError::new(
                "validation_invlaid_ip_or_subnet",
                "Invalid IP or CIDR subnet.",
            );
            errors.add(at.to_string(), error);
        }
    }
    errors
}

fn smtp(smtp: &Smtp) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if smtp.enabled && smtp.host.is_empty() {
        errors.add("host", FieldError::required());
    } else if !smtp.host.is_empty() && !is_host(&smtp.host) {
        errors.add("host", bad_host());
    }
    if smtp.enabled {
        required_number("port", smtp.port, &mut errors);
    }
    at_least("port", smtp.port, 0, &mut errors);
    if !matches!(smtp.auth_method.as_str(), "" | "PLAIN" | "LOGIN") {
        errors.add("authMethod", not_in_list());
    }
    if !smtp.local_name.is_empty() && !is_host(&smtp.local_name) {
        errors.add("localName", bad_host());
    }
    errors
}

fn backups(document: &Document) -> FieldErrors {
    let backups = &document.backups;
    let mut errors = FieldErrors::new();
    if !backups.cron.is_empty() {
        if Expression::parse(&backups.cron).is_none() {
            let error = FieldError::new(
                "validation_invalid_cron",
                "Invalid cron expression - must be a valid macro or to have exactly 5 space separated segments.",
            );
            errors.add("cron", error);
        }
        required_number("cronMaxKeep", backups.cron_max_keep, &mut errors);
    }
    if backups.cron_max_keep != 0 {
        at_least("cronMaxKeep", backups.cron_max_keep, 1, &mut errors);
    }
    errors.nest("s3", s3(&backups.s3));
    errors
}

fn s3(s3: &S3) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if s3.enabled {
        for (key, value) in [
            ("endpoint", &s3.endpoint),
            ("bucket", &s3.bucket),
            ("region", &s3.region),
            ("accessKey", &s3.access_key),
            ("secret", &s3.secret),
        ] {
            required_text(key, value, &mut errors);
        }
    }
    if !s3.endpoint.is_empty() && !is_url(&s3.endpoint) {
        errors.add("endpoint", bad_url());
    }
    errors
}

fn meta(document: &Document) -> FieldErrors {
    let meta = &document.meta;
    let mut errors = FieldErrors::new();
    let color = &meta.accent_color;
    if !color.is_empty() && color.chars().count() != 7 {
        let error = FieldError::new("validation_length_invalid", "The length must be exactly 7.")
            .with("min", 7)
            .with("max", 7);
        errors.add("accentColor", error);
    } else if !color.is_empty() && !is_hex_color(color) {
        let error = FieldError::new(
            "validation_is_hex_color",
            "Must be a valid hexadecimal color code.",
        );
        errors.add("accentColor", error);
    }
    for (key, value) in [
        ("appName", &meta.app_name),
        ("senderName", &meta.sender_name),
    ] {
        required_text(key, value, &mut errors);
        if value.chars().count() > 255 {
            let error = FieldError::new(
                "validation_length_out_of_range",
                "The length must be between 1 and 255.",
            )
            .with("min", 1)
            .with("max", 255);
            errors.add(key, error);
        }
    }
    required_text("appURL", &meta.app_url, &mut errors);
    if !is_url(&meta.app_url) {
        errors.add("appURL", bad_url());
    }
    required_text("senderAddress", &meta.sender_address, &mut errors);
    if !is_email(&meta.sender_address) {
        let error = FieldError::new("validation_is_email", "Must be a valid email address.");
        errors.add("senderAddress", error);
    }
    errors
}

fn batch(document: &Document) -> FieldErrors {
    let batch = &document.batch;
    let mut errors = FieldErrors::new();
    if batch.enabled {
        required_number("maxRequests", batch.max_requests, &mut errors);
        required_number("timeout", batch.timeout, &mut errors);
    }
    at_least("maxRequests", batch.max_requests, 0, &mut errors);
    at_least("timeout", batch.timeout, 0, &mut errors);
    at_least("maxBodySize", batch.max_body_size, 0, &mut errors);
    errors
}

fn logs(document: &Document) -> FieldErrors {
    let mut errors = FieldErrors::new();
    at_least("maxDays", document.logs.max_days, 0, &mut errors);
    at_least("maxDataSize", document.logs.max_data_size, 0, &mut errors);
    at_least("maxPerSecond", document.logs.max_per_second, 0, &mut errors);
    at_least("maxSize", document.logs.max_size, 0, &mut errors);
    errors
}

fn rate_limits(limits: &RateLimits, errors: &mut FieldErrors) {
    let mut own = FieldErrors::new();
    own.nest("excludedIPs", networks(&limits.excluded_ips));
    if limits.enabled && limits.rules.is_empty() {
        own.add("rules", FieldError::required());
    }
    let mut rules = FieldErrors::new();
    for (at, rule) in limits.rules.iter().enumerate() {
        rules.nest(at.to_string(), rate_rule(rule));
    }
    // Conflicts are looked for only among rules that hold by themselves.
    if rules.is_empty() {
        rules = conflicts(&limits.rules);
    }
    own.nest("rules", rules);
    errors.nest("rateLimits", own);
}

fn rate_rule(rule: &RateRule) -> FieldErrors {
    let mut errors = FieldErrors::new();
    required_text("label", &rule.label, &mut errors);
    if !is_rate_label(&rule.label) {
        errors.add(
            "label",
            FieldError::new("validation_match_invalid", "Must be in a valid format."),
        );
    }
    required_number("maxRequests", rule.max_requests, &mut errors);
    at_least("maxRequests", rule.max_requests, 1, &mut errors);
    required_number("duration", rule.duration, &mut errors);
    at_least("duration", rule.duration, 1, &mut errors);
    if !matches!(rule.audience.as_str(), "" | "@guest" | "@auth") {
        errors.add("audience", not_in_list());
    }
    errors
}

fn conflicts(rules: &[RateRule]) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let mut seen: HashMap<&str, Vec<&str>> = HashMap::new();
    for (at, rule) in rules.iter().enumerate() {
        let audiences = seen.entry(&rule.label).or_default();
        let clash = audiences
            .iter()
            .any(|other| other.is_empty() || rule.audience.is_empty() || *other == rule.audience);
        if clash {
            let message = format!(
                "Rate limit rule configuration with label {} already exists or conflicts with another rule.",
                rule.label
            );
            let error = FieldError::new("validation_conflicting_rate_limit_rule", message)
                .with("label", rule.label.as_str());
            errors.nest(at.to_string(), FieldErrors::one("label", error));
            // The contract stops at the first.
            break;
        }
        audiences.push(&rule.audience);
    }
    errors
}

/// `METHOD /path`, `/path`, `word:word`, `*:word` or a word.
fn is_rate_label(label: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let path = |text: &str| {
        text.starts_with('/')
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'/' | b'-'))
    };
    if let Some((method, rest)) = label.split_once(' ') {
        return word(method) && path(rest);
    }
    if let Some((collection, action)) = label.split_once(':') {
        return (collection == "*" || word(collection)) && word(action);
    }
    path(label) || word(label)
}

fn required_text(key: &str, value: &str, errors: &mut FieldErrors) {
    if value.is_empty() {
        errors.add(key, FieldError::required());
    }
}

fn required_number(key: &str, value: i64, errors: &mut FieldErrors) {
    if value == 0 {
        errors.add(key, FieldError::required());
    }
}

fn at_least(key: &str, value: i64, least: i64, errors: &mut FieldErrors) {
    if value < least {
        let error = FieldError::new(
            "validation_min_greater_equal_than_required",
            format!("Must be no less than {least}."),
        )
        .with("threshold", least);
        errors.add(key, error);
    }
}

fn not_in_list() -> FieldError {
    FieldError::new("validation_in_invalid", "Must be a valid value.")
}

fn bad_host() -> FieldError {
    FieldError::new(
        "validation_is_host",
        "Must be a valid IP address or DNS name.",
    )
}

fn bad_url() -> FieldError {
    FieldError::new("validation_is_url", "Must be a valid URL.")
}

fn is_hex_color(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// An address, or a DNS name of at most 255 bytes with labels of at most 63.
fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_dns_name(text)
}

fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= 255 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold() {
        assert!(errors(&Document::defaults()).is_empty());
    }

    #[test]
    fn labels_are_paths_words_or_actions() {
        for (label, expected) in [
            ("/api/", true),
            ("GET /api/x-y", true),
            ("*:create", true),
            ("posts:list", true),
            ("word", true),
            ("a.b", false),
            ("/api/{id}", false),
            ("GET /a b", false),
            ("*", false),
        ] {
            assert_eq!(is_rate_label(label), expected, "{label}");
        }
    }

    #[test]
    fn two_rules_for_the_same_callers_conflict() {
        let rule = |audience: &str| RateRule {
            label: "a:b".to_owned(),
            audience: audience.to_owned(),
            duration: 1,
            max_requests: 1,
        };
        assert!(conflicts(&[rule("@guest"), rule("@auth")]).is_empty());
        assert!(!conflicts(&[rule(""), rule("@auth")]).is_empty());
        assert!(!conflicts(&[rule("@guest"), rule("@guest")]).is_empty());
    }
}
