//! The client secret that Apple wants for sign-in with it: a token signed with the developer's own key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

use crate::kit::secret::Secret;
use crate::kit::time::Timestamp;
use crate::ops::Error;
use crate::schema::{FieldError, FieldErrors};

/// Seconds that Apple lets a secret live: six months.
const LIFE_SECS_MAX: i64 = 15_777_000;
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
const ID_CHARS: usize = 10;
const AUDIENCE: &str = "https://appleid.apple.com";

/// What a secret is made of, as submitted.
#[derive(Clone, Debug)]
pub struct AppleKey {
    /// Identifier of the service.
    pub client_id: String,
    /// Identifier of the developer's team.
    pub team_id: String,
    /// Identifier of the key.
    pub key_id: String,
    /// The key, PEM.
    pub private_key: Secret<String>,
    /// Seconds that the secret is good for.
    pub duration: i64,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'static str,
    exp: i64,
    iat: i64,
    iss: &'a str,
    sub: &'a str,
}

/// Makes a secret that is good from `now` on.
///
/// # Errors
/// [`Error::Invalid`] by key, [`Error::Raw`] when the key cannot sign.
pub fn secret(key: &AppleKey, now: Timestamp) -> Result<String, Error> {
    let data = errors(key);
    if !data.is_empty() {
        return Err(Error::Invalid {
            message: "Invalid client secret data.",
            data,
        });
    }
    let failed = |raw: &str| Error::Raw {
        message: "Failed to generate client secret.",
        gap: " ",
        raw: raw.to_owned(),
    };
    let pem = key.private_key.reveal().trim();
    let bad_key = || failed("invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key");
    let signer = EncodingKey::from_ec_der(&der(pem).ok_or_else(bad_key)?);
    let header = Header {
        kid: Some(key.key_id.clone()),
        ..Header::new(Algorithm::ES256)
    };
    let claims = Claims {
        aud: AUDIENCE,
        exp: now.as_secs().saturating_add(key.duration),
        iat: now.as_secs(),
        iss: &key.team_id,
        sub: &key.client_id,
    };
    encode(&header, &claims, &signer).map_err(|_| bad_key())
}

/// The bytes between the lines of a PEM text.
fn der(pem: &str) -> Option<Vec<u8>> {
    let inner = pem.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let packed: String = inner.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(packed).ok()
}

fn errors(key: &AppleKey) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if key.client_id.is_empty() {
        errors.add("clientId", FieldError::required());
    }
    for (name, value) in [("teamId", &key.team_id), ("keyId", &key.key_id)] {
        if value.is_empty() {
            errors.add(name, FieldError::required());
        } else if value.chars().count() != ID_CHARS {
            let error = FieldError::new(
                "validation_length_invalid",
                "The length must be exactly 10.",
            )
            .with("min", ID_CHARS)
            .with("max", ID_CHARS);
            errors.add(name, error);
        }
    }
    let pem = key.private_key.reveal().trim();
    if pem.is_empty() {
        errors.add("privateKey", FieldError::required());
    } else if !pem.starts_with(BEGIN) || !pem.ends_with(END) {
        let error = FieldError::new("validation_match_invalid", "Must be in a valid format.");
        errors.add("privateKey", error);
    }
    if let Some(error) = duration_error(key.duration) {
        errors.add("duration", error);
    }
    errors
}

fn duration_error(duration: i64) -> Option<FieldError> {
    if duration == 0 {
        return Some(FieldError::required());
    }
    if duration < 1 {
        let code = "validation_min_greater_equal_than_required";
        return Some(FieldError::new(code, "Must be no less than 1.").with("threshold", 1));
    }
    (duration > LIFE_SECS_MAX).then(|| {
        FieldError::new(
            "validation_max_less_equal_than_required",
            format!("Must be no greater than {LIFE_SECS_MAX}."),
        )
        .with("threshold", LIFE_SECS_MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(private_key: &str) -> AppleKey {
        AppleKey {
            client_id: "123".to_owned(),
            team_id: "1234567890".to_owned(),
            key_id: "1234567891".to_owned(),
            private_key: Secret::new(private_key.to_owned()),
            duration: 1,
        }
    }

    #[test]
    fn a_key_of_the_right_kind_signs() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBMFwkVsij8c7aHZK\n\
            hUzOj4dtYiIb97X/nJp0gYWksOGhRANCAATh4YGk02F/9d3FyNMtD+fSwBzkwd8J\n\
            yi2OZGKO37b8VcwLSF8kOJ1glxYf77MpdiAdWsUQUuRI7Uq+jP8xjkG9\n-----END PRIVATE KEY-----\n";
        let token = secret(&key(pem), Timestamp::from_millis(0)).unwrap();
        assert_eq!(token.split('.').count(), 3);
        for bad in [
            "-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----",
            "x",
        ] {
            assert!(secret(&key(bad), Timestamp::from_millis(0)).is_err());
        }
    }
}
