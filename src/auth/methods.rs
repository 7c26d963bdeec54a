//! Which ways to sign in a collection offers (contract-auth 2.1), in the order of the wire.

use serde::Serialize;

use super::provider::Offer;
use crate::schema::{AuthOptions, Collection};

/// The answer of `auth-methods`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Methods {
    password: PasswordMethod,
    oauth2: OAuth2Method,
    mfa: TimedMethod,
    otp: TimedMethod,
    /// The same as `oauth2.providers`, for old clients.
    auth_providers: Vec<Offer>,
    username_password: bool,
    email_password: bool,
    /// Not PocketBase's: told to whoever asks for what is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    passkey: Option<PasskeyMethod>,
}

#[derive(Clone, Debug, Serialize)]
struct PasskeyMethod {
    enabled: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PasswordMethod {
    identity_fields: Vec<String>,
    enabled: bool,
}

#[derive(Clone, Debug, Serialize)]
struct OAuth2Method {
    providers: Vec<Offer>,
    enabled: bool,
}

#[derive(Clone, Debug, Serialize)]
struct TimedMethod {
    enabled: bool,
    duration: i64,
}

impl TimedMethod {
    fn new(enabled: bool, duration: i64) -> Self {
        let duration = if enabled { duration } else { 0 };
        Self { enabled, duration }
    }
}

impl Methods {
    /// What `collection` offers; `None` when it has no accounts.
    #[must_use]
    pub fn of(collection: &Collection) -> Option<Self> {
        collection.auth().map(Self::new)
    }

    /// The same, and whether passkeys are a way.
    #[must_use]
    pub fn with_passkeys(self, enabled: bool) -> Self {
        Self {
            passkey: Some(PasskeyMethod { enabled }),
            ..self
        }
    }

    fn new(auth: &AuthOptions) -> Self {
        let password = &auth.password_auth;
        let fields = if password.enabled {
            password.identity_fields.clone()
        } else {
            Vec::new()
        };
        let by = |name: &str| fields.iter().any(|field| field == name);
        let oauth2 = &auth.oauth2;
        let offered = oauth2.providers.iter().filter(|_| oauth2.enabled);
        let providers: Vec<Offer> = offered.filter_map(Offer::of).collect();
        let auth_providers = providers.iter().map(Offer::plain).collect();
        Self {
            username_password: by("username"),
            email_password: by("email"),
            passkey: None,
            password: PasswordMethod {
                identity_fields: fields,
                enabled: password.enabled,
            },
            oauth2: OAuth2Method {
                providers,
                enabled: oauth2.enabled,
            },
            mfa: TimedMethod::new(auth.mfa.enabled, auth.mfa.duration),
            otp: TimedMethod::new(auth.otp.enabled, auth.otp.duration),
            auth_providers,
        }
    }
}
