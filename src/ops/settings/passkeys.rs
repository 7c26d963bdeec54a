//! Burrow's own group `passkeys`: where passkeys are a way to sign in, and who we are to devices.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::kit::limits::PASSKEY_ORIGINS_MAX;
use crate::schema::{FieldError, FieldErrors};

/// Where passkeys are a way to sign in.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Passkeys {
    /// Names or ids of the auth collections.
    pub collections: Vec<String>,
    /// The domain that passkeys belong to; empty for the host of `meta.appURL`.
    pub rp_id: String,
    /// Where pages may ask for them, as `https://app.example.com`; none for `meta.appURL` alone.
    pub origins: Vec<String>,
}

/// Everything that is wrong with the group.
pub(super) fn errors(group: &Passkeys) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if group.origins.len() > PASSKEY_ORIGINS_MAX {
        let error = FieldError::new(
            "validation_length_too_long",
            format!("The length must be no more than {PASSKEY_ORIGINS_MAX}."),
        );
        errors.add("origins", error);
        return errors;
    }
    let mut items = FieldErrors::new();
    for (at, origin) in group.origins.iter().enumerate() {
        if !is_origin(origin) {
            let error = FieldError::new(
                "validation_invalid_origin",
                "Must be an origin such as https://app.example.com.",
            );
            items.add(at.to_string(), error);
        }
    }
    errors.nest("origins", items);
    errors
}

/// Whether browsers know passkeys there: over HTTPS, or on the machine itself.
fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let host = url.domain().unwrap_or("");
    let local = host == "localhost" || host.ends_with(".localhost");
    let secure = url.scheme() == "https" || (url.scheme() == "http" && local);
    secure && !host.is_empty() && url.origin().ascii_serialization() == text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_are_origins() {
        for (text, good) in [
            ("https://app.example.com", true),
            ("https://app.example.com:8443", true),
            ("http://localhost:5173", true),
            ("http://app.example.com", false),
            ("https://app.example.com/", false),
            ("https://app.example.com/path", false),
            ("https://192.0.2.1", false),
            ("app.example.com", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(is_origin(text), good, "{text}");
        }
    }
}
