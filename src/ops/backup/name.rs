//! Names of backups (contract-auth 6.3).

use crate::kit::limits::{BACKUP_APP_CHARS_MAX, BACKUP_NAME_CHARS_MAX};
use crate::kit::time::Timestamp;
use crate::schema::FieldError;

/// What begins the names of backups that were made by the clock.
pub(super) const AUTO: &str = "@auto_pb_backup_";
/// What begins the names of others that were made without a name.
pub(super) const MANUAL: &str = "pb_backup_";

/// A name after the application and the time.
pub(super) fn generated(start: &str, app: &str, now: Timestamp) -> String {
    let mut snake = String::new();
    for c in app.chars() {
        if c.is_ascii_alphanumeric() {
            snake.push(c.to_ascii_lowercase());
        } else if !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        if snake.len() >= BACKUP_APP_CHARS_MAX {
            break;
        }
    }
    let snake = snake.trim_end_matches('_');
    let stamp: String = now
        .to_text()
        .chars()
        .filter(char::is_ascii_digit)
        .take(14)
        .collect();
    format!("{start}{snake}_{stamp}.zip")
}

/// What is wrong with a name that somebody chose.
pub(super) fn check(name: &str) -> Option<FieldError> {
    if name.chars().count() > BACKUP_NAME_CHARS_MAX {
        return Some(FieldError::length_out_of_range(1, BACKUP_NAME_CHARS_MAX));
    }
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'_' | b'-');
    let base = name.strip_suffix(".zip").unwrap_or("");
    (base.is_empty() || !base.bytes().all(fits))
        .then(|| FieldError::new("validation_match_invalid", "Must be in a valid format."))
}

/// The name under which an upload is kept: the client's, without what could lead out of the folder or hide there.
pub(super) fn uploaded(client: &str) -> String {
    let safe: String = client
        .chars()
        .map(|c| match c {
            '.' | '-' | '_' | '@' | ' ' => c,
            c if c.is_alphanumeric() => c,
            _ => '_',
        })
        .take(BACKUP_NAME_CHARS_MAX)
        .collect();
    let safe = safe.trim().trim_start_matches('.');
    let side_file = safe.len() >= ATTRS.len() && safe.is_char_boundary(safe.len() - ATTRS.len());
    match side_file.then(|| safe.split_at(safe.len() - ATTRS.len())) {
        Some((base, end)) if end.eq_ignore_ascii_case(ATTRS) => format!("{base}_attrs"),
        _ if safe.is_empty() => "backup.zip".to_owned(),
        _ => safe.to_owned(),
    }
}

/// Ending of the side files that PocketBase keeps next to backups.
pub(super) const ATTRS: &str = ".attrs";

/// Whether a key can name a backup.
pub(super) fn is_key(key: &str) -> bool {
    !key.is_empty()
        && !key.starts_with('.')
        && !key.ends_with(ATTRS)
        && !key.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_the_application_and_the_time() {
        let now = Timestamp::from_millis(0);
        for (app, wanted) in [
            ("Acme", "pb_backup_acme_19700101000000.zip"),
            ("My  own / App!", "pb_backup_my_own_app_19700101000000.zip"),
            ("", "pb_backup__19700101000000.zip"),
        ] {
            assert_eq!(generated(MANUAL, app, now), wanted);
        }
        assert!(generated(AUTO, &"x".repeat(99), now).len() < 100);
    }

    #[test]
    fn chosen_names_are_plain() {
        assert!(check("a-b_1.zip").is_none());
        for bad in [
            "A.zip",
            "a b.zip",
            "../a.zip",
            "a",
            ".zip",
            "a.zip.zip.",
            "\u{e4}.zip",
        ] {
            assert!(check(bad).is_some(), "{bad}");
        }
        assert!(check(&format!("{}.zip", "a".repeat(147))).is_some());
    }

    #[test]
    fn uploads_keep_their_names_inside_the_folder() {
        for (client, kept) in [
            ("a b@c.zip", "a b@c.zip"),
            ("test", "test"),
            ("..\\x.zip", "_x.zip"),
            ("$(x);y.zip", "__x__y.zip"),
            ("...", "backup.zip"),
            ("x.zip.attrs", "x.zip_attrs"),
        ] {
            assert_eq!(uploaded(client), kept, "{client}");
            assert!(is_key(kept));
        }
        for key in [
            "",
            "..",
            "../data.db",
            "a/b",
            "a\\b",
            ".hidden",
            "a.zip.attrs",
        ] {
            assert!(!is_key(key), "{key}");
        }
    }
}
