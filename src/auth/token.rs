//! Session and link tokens: JWTs with the claims and signing key of the contract (contract-auth 3), so that tokens
//! which PocketBase made stay valid here and ours there. Pure: no database, no clock of its own.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use compact_str::CompactString;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;

use crate::kit::json::{Json, JsonMap};
use crate::kit::limits::TOKEN_BYTES_MAX;
use crate::kit::time::Timestamp;
use crate::schema::collection::{AuthOptions, TokenOptions};
use crate::schema::{Collection, Record};

/// What a token is for; each is accepted by its own consumers only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A session.
    Auth,
    /// Protected files and backups.
    File,
    /// The link that proves an address.
    Verification,
    /// The link that sets a new password.
    PasswordReset,
    /// The link that moves to another address.
    EmailChange,
}

impl Purpose {
    /// The `type` claim.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::File => "file",
            Self::Verification => "verification",
            Self::PasswordReset => "passwordReset",
            Self::EmailChange => "emailChange",
        }
    }

    /// Secret and life of such tokens in a collection.
    #[must_use]
    pub fn options(self, auth: &AuthOptions) -> &TokenOptions {
        match self {
            Self::Auth => &auth.auth_token,
            Self::File => &auth.file_token,
            Self::Verification => &auth.verification_token,
            Self::PasswordReset => &auth.password_reset_token,
            Self::EmailChange => &auth.email_change_token,
        }
    }
}

/// What a token says. The fields are in the order of the wire: alphabetical.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// Id (in foreign tokens perhaps the name) of the record's collection.
    pub collection_id: CompactString,
    /// The address that a link was sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// When it ends, in seconds since the Unix epoch.
    pub exp: i64,
    /// The record.
    pub id: CompactString,
    /// The API key that asked for it; file tokens only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<CompactString>,
    /// The address to move to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_email: Option<String>,
    /// Whether `auth-refresh` mints a new one; session tokens only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshable: Option<bool>,
    /// The session; session and file tokens only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<CompactString>,
    /// The purpose.
    #[serde(rename = "type")]
    pub kind: CompactString,
}

impl Claims {
    /// Claims for `record`, for the life that its collection gives such tokens, or for `life_secs`.
    #[must_use]
    pub fn of(record: &Record, purpose: Purpose, now: Timestamp, life_secs: Option<i64>) -> Self {
        let configured = record
            .collection()
            .auth()
            .map_or(0, |auth| purpose.options(auth).duration);
        let life = life_secs.filter(|&secs| secs > 0).unwrap_or(configured);
        Self {
            collection_id: record.collection().id.as_str().into(),
            email: None,
            exp: now.as_secs().saturating_add(life),
            id: record.id().into(),
            key: None,
            new_email: None,
            refreshable: None,
            sid: None,
            kind: purpose.as_str().into(),
        }
    }

    /// When the token ends.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        Timestamp::from_millis(self.exp.saturating_mul(1000))
    }
}

/// The token of `claims`, signed for `record`; `None` when the record cannot sign in at all.
#[must_use]
pub fn sign(record: &Record, purpose: Purpose, claims: &Claims) -> Option<String> {
    let key = signing_key(record, record.collection(), purpose)?;
    let header = Header::new(Algorithm::HS256);
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&key)).ok()
}

/// A text that `token` claims, believed by nobody yet, whether the token has ended or not; `None` when it is missing or
/// empty.
#[must_use]
pub fn unproven_text(token: &str, claim: &str) -> Option<String> {
    let map = unproven(token)?;
    let text = map.get(claim)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn unproven(token: &str) -> Option<JsonMap> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    match serde_json::from_slice(&payload).ok()? {
        Json::Object(map) => Some(map),
        _ => None,
    }
}

/// What `token` claims, believed by nobody yet: well-formed, of one of `purposes` and not ended. `None` otherwise.
#[must_use]
pub fn read_unproven(token: &str, purposes: &[Purpose], now: Timestamp) -> Option<Claims> {
    let map = unproven(token)?;
    let claims = claims_of(&map)?;
    // A time that is not a whole number is no time.
    for not_before in ["nbf", "iat"] {
        if map
            .get(not_before)
            .is_some_and(|from| from.as_i64().is_none_or(|from| from > now.as_secs()))
        {
            return None;
        }
    }
    let wanted = purposes.iter().any(|p| p.as_str() == claims.kind);
    (wanted && claims.exp > now.as_secs()).then_some(claims)
}

fn claims_of(map: &JsonMap) -> Option<Claims> {
    let text = |name: &str| match map.get(name) {
        Some(Json::String(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    // A session or key that cannot be read is none that stands.
    let named = |name: &str| match map.get(name) {
        None => Some(None),
        Some(_) => Some(Some(CompactString::from(text(name)?))),
    };
    let (sid, key) = (named("sid")?, named("key")?);
    Some(Claims {
        collection_id: text("collectionId")?.into(),
        email: text("email"),
        // Without an end a token would live for ever: deliberately refused, though PocketBase takes it.
        exp: map.get("exp")?.as_i64()?,
        id: text("id")?.into(),
        key,
        new_email: text("newEmail"),
        refreshable: map.get("refreshable").and_then(Json::as_bool),
        sid,
        kind: text("type")?.into(),
    })
}

/// Whether `token` was signed for `record`. Only HS256 counts, and no header member may ask for more.
#[must_use]
pub fn is_signed(token: &str, record: &Record, purpose: Purpose) -> bool {
    let Some(key) = signing_key(record, record.collection(), purpose) else {
        return false;
    };
    if !has_plain_header(token) {
        return false;
    }
    let mut validation = Validation::new(Algorithm::HS256);
    // Times were checked against our own clock; there is no audience.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(&key);
    jsonwebtoken::decode::<serde::de::IgnoredAny>(token, &key, &validation).is_ok()
}

/// Whether the header has no `crit` member, which would ask for extensions that we do not know.
fn has_plain_header(token: &str) -> bool {
    token
        .split('.')
        .next()
        .and_then(|header| BASE64_URL_SAFE_NO_PAD.decode(header).ok())
        .and_then(|bytes| serde_json::from_slice::<JsonMap>(&bytes).ok())
        .is_some_and(|header| !header.contains_key("crit"))
}

/// The record's `tokenKey` followed by the secret of its collection; `None` where either is missing, so that an empty
/// key never signs anything.
fn signing_key(record: &Record, collection: &Collection, purpose: Purpose) -> Option<Vec<u8>> {
    let token_key = record.text("tokenKey");
    let secret = purpose.options(collection.auth()?).secret.as_str();
    if token_key.is_empty() || secret.is_empty() {
        return None;
    }
    Some([token_key.as_bytes(), secret.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kit::value::Value;
    use crate::schema::{CollectionId, Kind};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn ann() -> Record {
        let mut collection = Collection::scaffold(Kind::Auth(Box::new(AuthOptions::fresh())));
        collection.id = CollectionId::new("people");
        collection.name = "people".into();
        let cells = vec![Value::Null; collection.fields.len()];
        let mut record = Record::from_cells(Arc::new(collection), cells);
        record.set("id", "ann");
        record.set("tokenKey", "k".repeat(50).as_str());
        record
    }

    fn forged(record: &Record, header: &str, payload: &str) -> String {
        use jsonwebtoken::crypto::sign;
        let message = format!(
            "{}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(header),
            BASE64_URL_SAFE_NO_PAD.encode(payload)
        );
        let key = signing_key(record, record.collection(), Purpose::Auth).unwrap();
        let signature = sign(
            message.as_bytes(),
            &EncodingKey::from_secret(&key),
            Algorithm::HS256,
        )
        .unwrap();
        format!("{message}.{signature}")
    }

    #[test]
    fn a_session_token_has_the_contracts_claims_in_order() {
        let ann = ann();
        let mut claims = Claims::of(&ann, Purpose::Auth, NOW, None);
        claims.refreshable = Some(true);
        let token = sign(&ann, Purpose::Auth, &claims).unwrap();
        let payload = token.split('.').nth(1).unwrap();
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        let exp = NOW.as_secs() + ann.collection().auth().unwrap().auth_token.duration;
        assert_eq!(
            text,
            format!(
                r#"{{"collectionId":"people","exp":{exp},"id":"ann","refreshable":true,"type":"auth"}}"#
            )
        );
        assert_eq!(read_unproven(&token, &[Purpose::Auth], NOW), Some(claims));
        assert!(is_signed(&token, &ann, Purpose::Auth));
        assert!(!is_signed(&token, &ann, Purpose::File));
        assert_eq!(read_unproven(&token, &[Purpose::File], NOW), None);
        let later = NOW.plus_millis(1000 * 100_000_000);
        assert_eq!(read_unproven(&token, &[Purpose::Auth], later), None);
    }

    #[test]
    fn another_key_proves_nothing() {
        let ann = ann();
        let token = sign(
            &ann,
            Purpose::Auth,
            &Claims::of(&ann, Purpose::Auth, NOW, None),
        )
        .unwrap();
        let mut changed = ann.clone();
        changed.set("tokenKey", "other");
        assert!(!is_signed(&token, &changed, Purpose::Auth));
        changed.set("tokenKey", "");
        assert!(!is_signed(&token, &changed, Purpose::Auth));
    }

    #[test]
    fn odd_headers_prove_nothing() {
        let ann = ann();
        let payload = r#"{"collectionId":"people","exp":1800000000,"id":"ann","type":"auth"}"#;
        for (header, good) in [
            (r#"{"alg":"HS256"}"#, true),
            (r#"{"alg":"HS256","typ":"JWT"}"#, true),
            (r#"{"alg":"none"}"#, false),
            (r#"{"alg":"HS384"}"#, false),
            (r#"{"alg":"RS256"}"#, false),
            (r#"{"typ":"JWT"}"#, false),
            (r#"{"alg":"HS256","crit":["x"]}"#, false),
            ("not json", false),
        ] {
            let token = forged(&ann, header, payload);
            assert_eq!(is_signed(&token, &ann, Purpose::Auth), good, "{header}");
        }
        let token = forged(&ann, r#"{"alg":"HS256"}"#, payload);
        let unsigned = &token[..=token.rfind('.').unwrap()];
        assert!(!is_signed(unsigned, &ann, Purpose::Auth));
    }

    #[test]
    fn odd_claims_are_no_claims() {
        let ann = ann();
        for (payload, good) in [
            (
                r#"{"collectionId":"people","exp":1800000000,"id":"ann","type":"auth"}"#,
                true,
            ),
            (
                r#"{"collectionId":"people","exp":1800000000,"id":"ann","type":"auth","iat":1600000000}"#,
                true,
            ),
            (
                r#"{"collectionId":"people","id":"ann","type":"auth"}"#,
                false,
            ),
            (
                r#"{"collectionId":"people","exp":"1800000000","id":"ann","type":"auth"}"#,
                false,
            ),
            (
                r#"{"collectionId":"people","exp":-1,"id":"ann","type":"auth"}"#,
                false,
            ),
            (
                r#"{"collectionId":"people","exp":1800000000.5,"id":"ann","type":"auth"}"#,
                false,
            ),
            (
                r#"{"collectionId":"people","exp":1e30,"id":"ann","type":"auth"}"#,
                false,
            ),
            (
                r#"{"collectionId":"people","exp":1800000000,"id":"ann","type":"auth","nbf":1800000000}"#,
                false,
            ),
            (
                r#"{"collectionId":"people","exp":1800000000,"id":"ann","type":"auth","iat":"now"}"#,
                false,
            ),
            (
                r#"{"collectionId":"","exp":1800000000,"id":"ann","type":"auth"}"#,
                false,
            ),
            (
                r#"{"collectionId":"people","exp":1800000000,"id":5,"type":"auth"}"#,
                false,
            ),
            ("[]", false),
        ] {
            let token = forged(&ann, r#"{"alg":"HS256"}"#, payload);
            assert_eq!(
                read_unproven(&token, &[Purpose::Auth], NOW).is_some(),
                good,
                "{payload}"
            );
        }
        for odd in ["", ".", "..", "a.b.c.d", "a.b", "\u{e9}.\u{e9}.\u{e9}"] {
            assert_eq!(read_unproven(odd, &[Purpose::Auth], NOW), None, "{odd}");
        }
        assert_eq!(
            read_unproven(&"x".repeat(70_000), &[Purpose::Auth], NOW),
            None
        );
    }
}
