//! A collection: its fields, rules, indexes and the options of its kind.

use compact_str::CompactString;

use super::field::Field;

/// The id of a collection; immutable for its life.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CollectionId(CompactString);

impl CollectionId {
    /// From text known to be an id.
    pub fn new(text: impl Into<CompactString>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a caller wants to do with the records of a collection: one rule each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read many.
    List,
    /// Read one.
    View,
    /// Make one.
    Create,
    /// Change one.
    Update,
    /// Remove one.
    Delete,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::List,
        Self::View,
        Self::Create,
        Self::Update,
        Self::Delete,
    ];

    /// As API keys name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::View => "view",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// The five API rules as their owner wrote them: `None` is locked (superusers only), empty text is public.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rules {
    /// `listRule`
    pub list: Option<String>,
    /// `viewRule`
    pub view: Option<String>,
    /// `createRule`
    pub create: Option<String>,
    /// `updateRule`
    pub update: Option<String>,
    /// `deleteRule`
    pub delete: Option<String>,
}

impl Rules {
    /// The rule of `action`.
    #[must_use]
    pub fn of(&self, action: Action) -> Option<&str> {
        match action {
            Action::List => self.list.as_deref(),
            Action::View => self.view.as_deref(),
            Action::Create => self.create.as_deref(),
            Action::Update => self.update.as_deref(),
            Action::Delete => self.delete.as_deref(),
        }
    }
}

/// A valid collection. Made by `schema::collection` parsing and validation, or from a stored row.
#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    /// Immutable id.
    pub id: CollectionId,
    /// Present name; unique without regard to case.
    pub name: CompactString,
    /// Cannot be deleted or renamed.
    pub system: bool,
    /// Kind and the options that belong to it.
    pub kind: Kind,
    /// Fields in declaration order; a record's cells have the same order.
    pub fields: Vec<Field>,
    /// `CREATE INDEX` statements as stored.
    pub indexes: Vec<String>,
    /// API rules.
    pub rules: Rules,
    /// Creation time, contract text form.
    pub created: CompactString,
    /// Time of the last change, contract text form.
    pub updated: CompactString,
}

impl Collection {
    /// The position of the field called `name` (case-sensitive).
    #[must_use]
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// The field called `name` (case-sensitive).
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The auth options, when this is an auth collection.
    #[must_use]
    pub fn auth(&self) -> Option<&AuthOptions> {
        match &self.kind {
            Kind::Auth(options) => Some(options),
            Kind::Base | Kind::View(_) => None,
        }
    }

    /// Whether this is an auth collection.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        matches!(self.kind, Kind::Auth(_))
    }

    /// Whether this is a view collection.
    #[must_use]
    pub fn is_view(&self) -> bool {
        matches!(self.kind, Kind::View(_))
    }

    /// Whether this is the collection of superusers.
    #[must_use]
    pub fn is_superusers(&self) -> bool {
        self.name == super::set::SUPERUSERS
    }
}

/// Kind of collection.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Plain records.
    Base,
    /// Records that can sign in.
    Auth(Box<AuthOptions>),
    /// A read-only query.
    View(ViewOptions),
}

impl Kind {
    /// `base`, `auth` or `view`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Auth(_) => "auth",
            Self::View(_) => "view",
        }
    }
}

/// Options of a view collection.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ViewOptions {
    /// The SELECT as its owner wrote it.
    pub view_query: String,
}

/// Options of an auth collection, in the contract's order (contract-auth 1.2). Secrets are stored, never answered.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthOptions {
    /// Who may sign in: `None` nobody, empty anybody. A stored row without it lets nobody in.
    #[serde(default)]
    pub auth_rule: Option<String>,
    /// Who manages other people's accounts.
    pub manage_rule: Option<String>,
    /// Mail on sign-in from a new place.
    pub auth_alert: AuthAlert,
    /// OAuth2 providers.
    #[serde(rename = "oauth2")]
    pub oauth2: OAuth2Options,
    /// Sign-in by password.
    pub password_auth: PasswordAuth,
    /// Second factor.
    pub mfa: MfaOptions,
    /// Sign-in by mailed code.
    pub otp: OtpOptions,
    /// Session tokens.
    pub auth_token: TokenOptions,
    /// Password reset links.
    pub password_reset_token: TokenOptions,
    /// E-mail change links.
    pub email_change_token: TokenOptions,
    /// Verification links.
    pub verification_token: TokenOptions,
    /// Tokens for protected files.
    pub file_token: TokenOptions,
    /// Mail template.
    pub verification_template: MailTemplate,
    /// Mail template.
    pub reset_password_template: MailTemplate,
    /// Mail template.
    pub confirm_email_change_template: MailTemplate,
}

/// Mail on sign-in from a new place.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthAlert {
    /// On or off.
    pub enabled: bool,
    /// The mail.
    pub email_template: MailTemplate,
}

/// Subject and body with placeholders.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct MailTemplate {
    /// Subject line.
    pub subject: String,
    /// HTML body.
    pub body: String,
}

/// OAuth2 settings.
#[derive(Clone, Debug, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OAuth2Options {
    /// Providers in the order shown to people.
    #[serde(deserialize_with = "null_is_default")]
    pub providers: Vec<OAuth2Provider>,
    /// Which record fields receive what the provider tells.
    pub mapped_fields: MappedFields,
    /// On or off.
    pub enabled: bool,
}

/// Record fields that receive provider data; empty means none.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct MappedFields {
    /// Provider user id.
    pub id: String,
    /// Display name.
    pub name: String,
    /// User name.
    pub username: String,
    /// Picture.
    #[serde(rename = "avatarURL")]
    pub avatar_url: String,
}

/// One configured provider.
#[derive(Clone, Debug, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OAuth2Provider {
    /// `None` keeps the provider's default.
    pub pkce: Option<bool>,
    /// Registered provider name.
    pub name: String,
    /// Client id.
    pub client_id: String,
    /// Client secret; never answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_secret: String,
    /// Authorization endpoint, empty for the provider's own.
    #[serde(rename = "authURL")]
    pub auth_url: String,
    /// Token endpoint.
    #[serde(rename = "tokenURL")]
    pub token_url: String,
    /// User info endpoint.
    #[serde(rename = "userInfoURL")]
    pub user_info_url: String,
    /// Label shown to people.
    pub display_name: String,
    /// Provider-specific extras.
    #[serde(deserialize_with = "null_is_default")]
    pub extra: crate::kit::json::JsonMap,
}

/// Sign-in by password.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PasswordAuth {
    /// On or off.
    pub enabled: bool,
    /// Fields that identify a person, each with a unique index.
    #[serde(deserialize_with = "null_is_default")]
    pub identity_fields: Vec<String>,
}

/// Second factor.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct MfaOptions {
    /// On or off.
    pub enabled: bool,
    /// Seconds between the two factors.
    pub duration: i64,
    /// Whom it applies to; empty everybody.
    pub rule: String,
}

/// Sign-in by mailed code.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OtpOptions {
    /// On or off.
    pub enabled: bool,
    /// Seconds a code is valid.
    pub duration: i64,
    /// Digits of a code.
    pub length: i64,
    /// The mail.
    pub email_template: MailTemplate,
}

/// Secret and life of one kind of token.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct TokenOptions {
    /// Second half of the signing key; never answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret: String,
    /// Seconds.
    pub duration: i64,
}

/// Rows of older versions hold null for empty lists and objects.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default,
{
    <Option<T> as serde::Deserialize>::deserialize(deserializer).map(Option::unwrap_or_default)
}
