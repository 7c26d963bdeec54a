//! Signed statements about a person. Times are judged by our own clock, with leeway for the provider's.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use crate::kit::json::{self, Json, JsonMap};
use crate::kit::limits::ID_TOKEN_LEEWAY_SECS;
use crate::kit::time::Timestamp;

/// Signatures that count. None that whoever knows a public key could make.
const ALGORITHMS: [(KeyAlgorithm, Algorithm); 9] = [
    (KeyAlgorithm::RS256, Algorithm::RS256),
    (KeyAlgorithm::RS384, Algorithm::RS384),
    (KeyAlgorithm::RS512, Algorithm::RS512),
    (KeyAlgorithm::PS256, Algorithm::PS256),
    (KeyAlgorithm::PS384, Algorithm::PS384),
    (KeyAlgorithm::PS512, Algorithm::PS512),
    (KeyAlgorithm::ES256, Algorithm::ES256),
    (KeyAlgorithm::ES384, Algorithm::ES384),
    (KeyAlgorithm::EdDSA, Algorithm::EdDSA),
];

/// For whom a statement must be, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// Our id at the provider.
    pub(super) client_id: &'a str,
    /// Who may have made it; anybody where empty.
    pub(super) issuers: &'a [String],
    /// When it is judged.
    pub(super) now: Timestamp,
}

/// What a statement claims, if it is for us, of now and by an accepted issuer. The signature is not looked at: for
/// statements that came straight from the provider, whose connection proves them (OpenID Connect Core 3.1.3.7).
pub(super) fn claims(token: &str, expected: Expected<'_>) -> Option<JsonMap> {
    let payload = token.split('.').nth(1)?;
    let payload = BASE64_URL_SAFE_NO_PAD
        .decode(payload.trim_end_matches('='))
        .ok()?;
    let Ok(Json::Object(claims)) = json::parse_first(&payload) else {
        return None;
    };
    (is_for(&claims, expected) && is_now(&claims, expected.now)).then_some(claims)
}

/// The same, signed by one of `keys`.
pub(super) fn proven_claims(token: &str, keys: &JwkSet, expected: Expected<'_>) -> Option<JsonMap> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let id = header.kid?;
    let is_right = |key: &&Jwk| {
        key.common.key_id.as_deref() == Some(id.as_str())
            && key
                .common
                .key_algorithm
                .is_some_and(|own| ALGORITHMS.contains(&(own, header.alg)))
    };
    let key = keys.keys.iter().find(is_right)?;
    let key = DecodingKey::from_jwk(key).ok()?;
    let mut validation = Validation::new(header.alg);
    // Times, audience and issuer are checked below, against our own clock.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<serde::de::IgnoredAny>(token, &key, &validation).ok()?;
    claims(token, expected)
}

fn is_for(claims: &JsonMap, expected: Expected<'_>) -> bool {
    let ours = |value: &Json| value == expected.client_id;
    let audience = match claims.get("aud") {
        Some(Json::Array(items)) => items.iter().any(ours),
        Some(value) => ours(value),
        None => false,
    };
    let issuer = claims.get("iss").and_then(Json::as_str).unwrap_or("");
    audience
        && (expected.issuers.is_empty() || expected.issuers.iter().any(|known| known == issuer))
}

fn is_now(claims: &JsonMap, now: Timestamp) -> bool {
    let leeway = i64::try_from(ID_TOKEN_LEEWAY_SECS).unwrap_or(0);
    let now = now.as_secs();
    let secs = |name: &str| {
        let value = claims.get(name)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a time out of range is far in the past or the future all the same"
        )]
        value.as_i64().or_else(|| value.as_f64().map(|f| f as i64))
    };
    let begun = |name: &str| match (claims.get(name), secs(name)) {
        (None, _) => true,
        (Some(_), Some(from)) => from <= now.saturating_add(leeway),
        (Some(_), None) => false,
    };
    secs("exp").is_some_and(|end| now.saturating_sub(leeway) < end) && begun("iat") && begun("nbf")
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const SECS: i64 = 1_700_000_000;
    /// The key pair of RFC 8037, appendix A.
    const PRIVATE: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
    const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn plain(claims: &Json) -> String {
        format!("x.{}.x", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn expected(issuers: &[String]) -> Expected<'_> {
        Expected {
            client_id: "me",
            issuers,
            now: NOW,
        }
    }

    #[test]
    fn statements_must_be_for_us_of_now_and_by_whom_we_know() {
        let issuers = ["https://a".to_owned()];
        for (stated, issuers, good) in [
            (json!({"aud": "me", "exp": SECS + 1}), &[][..], true),
            (json!({"aud": ["you", "me"], "exp": SECS + 1}), &[], true),
            (json!({"aud": "me", "exp": SECS - 299}), &[], true),
            (json!({"aud": "me", "exp": SECS - 300}), &[], false),
            (json!({"aud": "me"}), &[], false),
            (json!({"aud": "me", "exp": "never"}), &[], false),
            (json!({"aud": "you", "exp": SECS + 1}), &[], false),
            (json!({"aud": [], "exp": SECS + 1}), &[], false),
            (json!({"exp": SECS + 1}), &[], false),
            (
                json!({"aud": "me", "exp": SECS + 900, "iat": SECS + 300}),
                &[],
                true,
            ),
            (
                json!({"aud": "me", "exp": SECS + 900, "iat": SECS + 301}),
                &[],
                false,
            ),
            (
                json!({"aud": "me", "exp": SECS + 900, "nbf": SECS + 301}),
                &[],
                false,
            ),
            (
                json!({"aud": "me", "exp": SECS + 900, "iat": "now"}),
                &[],
                false,
            ),
            (
                json!({"aud": "me", "exp": SECS + 1, "iss": "https://a"}),
                &issuers[..],
                true,
            ),
            (
                json!({"aud": "me", "exp": SECS + 1, "iss": "https://b"}),
                &issuers[..],
                false,
            ),
            (json!({"aud": "me", "exp": SECS + 1}), &issuers[..], false),
            (json!(["aud"]), &[], false),
        ] {
            let found = claims(&plain(&stated), expected(issuers));
            assert_eq!(found.is_some(), good, "{stated}");
        }
        assert!(claims("", expected(&[])).is_none());
        assert!(claims("a.b", expected(&[])).is_none());
    }

    fn signed(header: &Header) -> String {
        let key = match header.alg {
            Algorithm::EdDSA => EncodingKey::from_ed_der(&BASE64_STANDARD.decode(PRIVATE).unwrap()),
            // What somebody would do who takes a public key for a shared secret.
            _ => EncodingKey::from_secret(PUBLIC.as_bytes()),
        };
        let claims = json!({"aud": "me", "exp": SECS + 1, "sub": "ann"});
        jsonwebtoken::encode(header, &claims, &key).unwrap()
    }

    fn keys(change: impl FnOnce(&mut Json)) -> JwkSet {
        let mut key =
            json!({"kty": "OKP", "crv": "Ed25519", "x": PUBLIC, "kid": "1", "alg": "EdDSA"});
        change(&mut key);
        serde_json::from_value(json!({"keys": [key]})).unwrap()
    }

    #[test]
    fn only_signatures_of_known_keys_count() {
        let header = |alg: Algorithm, kid: &str| Header {
            kid: Some(kid.to_owned()),
            ..Header::new(alg)
        };
        let good = signed(&header(Algorithm::EdDSA, "1"));
        let holds =
            |token: &str, keys: &JwkSet| proven_claims(token, keys, expected(&[])).is_some();
        assert!(holds(&good, &keys(|_| {})));
        assert!(!holds(
            &signed(&header(Algorithm::EdDSA, "2")),
            &keys(|_| {})
        ));
        assert!(!holds(
            &signed(&Header::new(Algorithm::EdDSA)),
            &keys(|_| {})
        ));
        assert!(!holds(
            &signed(&header(Algorithm::HS256, "1")),
            &keys(|_| {})
        ));
        assert!(!holds(&good, &keys(|key| key["alg"] = json!("RS256"))));
        assert!(!holds(
            &good,
            &keys(|key| drop(key.as_object_mut().unwrap().remove("alg")))
        ));
        assert!(!holds(&good, &JwkSet { keys: Vec::new() }));
        let (rest, _) = good.rsplit_once('.').unwrap();
        assert!(!holds(&format!("{rest}."), &keys(|_| {})));
        let stripped = format!(
            "{}.{}.",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"1"}"#),
            good.split('.').nth(1).unwrap()
        );
        assert!(!holds(&stripped, &keys(|_| {})));
    }
}
