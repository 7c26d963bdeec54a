//! A caller and a call.

use std::net::IpAddr;
use std::sync::Arc;

use compact_str::CompactString;

use super::key::{Key, Reach};
use crate::kit::json::JsonMap;
use crate::kit::time::Timestamp;
use crate::schema::{Action, Collection, Record};

/// The identity of a caller.
#[derive(Clone, Debug, Default)]
pub enum Actor {
    /// No valid token.
    #[default]
    Guest,
    /// A record of an auth collection.
    Auth(Arc<Identity>),
}

/// A signed-in record.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The record as it was when the token was last checked.
    pub record: Record,
    /// When the token ends; `None` never.
    pub expires: Option<Timestamp>,
    /// Whether `auth-refresh` mints a new token.
    pub refreshable: bool,
    /// The session that the token belongs to; tokens of PocketBase name none.
    pub session: Option<CompactString>,
    /// The API key that stands for the record here: less than the record itself may is what it may.
    pub key: Option<Arc<Key>>,
}

impl Actor {
    /// Whether this caller may do everything: a superuser, and no key of one that reaches less.
    #[must_use]
    pub fn is_superuser(&self) -> bool {
        self.is_above_rules() && self.key().is_none_or(|key| key.reach == Reach::Superuser)
    }

    /// Whether rules do not bind this caller where they may act at all: a superuser, or any key of one. What a key
    /// reaches is asked of [`Actor::may`].
    #[must_use]
    pub fn is_above_rules(&self) -> bool {
        match self {
            Self::Guest => false,
            Self::Auth(identity) => identity.record.collection().is_superusers(),
        }
    }

    /// The API key that the caller came with.
    #[must_use]
    pub fn key(&self) -> Option<&Arc<Key>> {
        match self {
            Self::Guest => None,
            Self::Auth(identity) => identity.key.as_ref(),
        }
    }

    /// The key, where it reaches only some collections.
    #[must_use]
    pub fn scoped_key(&self) -> Option<&Arc<Key>> {
        self.key().filter(|key| key.reach != Reach::Superuser)
    }

    /// Whether the caller's key, if they came with one, reaches that far. Rules are asked besides.
    #[must_use]
    pub fn may(&self, collection: &Collection, action: Action) -> bool {
        self.key().is_none_or(|key| key.reaches(collection, action))
    }

    /// The signed-in record.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Guest => None,
            Self::Auth(identity) => Some(&identity.record),
        }
    }

    /// Whether this caller is the record `id` of the collection `collection_id`.
    #[must_use]
    pub fn is(&self, collection_id: &str, id: &str) -> bool {
        self.record().is_some_and(|record| {
            record.collection().id.as_str() == collection_id && record.id() == id
        })
    }
}

/// `@request.context`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Context {
    /// An ordinary request.
    #[default]
    Default,
    /// Sign-in by OAuth2.
    OAuth2,
    /// Sign-in by mailed code.
    Otp,
    /// Sign-in by password.
    Password,
    /// A realtime message.
    Realtime,
    /// A protected file.
    ProtectedFile,
    /// A relation followed for `expand`.
    Expand,
    /// A request inside a batch.
    Batch,
}

impl Context {
    /// The text that rules see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::OAuth2 => "oauth2",
            Self::Otp => "otp",
            Self::Password => "password",
            Self::Realtime => "realtime",
            Self::ProtectedFile => "protectedFile",
            Self::Expand => "expand",
            Self::Batch => "batch",
        }
    }
}

/// One request as services and rules see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who asks.
    pub actor: Actor,
    /// When; one instant for the whole request.
    pub now: Timestamp,
    /// `@request.context`.
    pub context: Context,
    /// `@request.method`.
    pub method: CompactString,
    /// `@request.query`: first value of each name.
    pub query: Arc<Vec<(CompactString, CompactString)>>,
    /// `@request.headers`: names lower-cased with `_` for `-`, first values.
    pub headers: Arc<Vec<(CompactString, CompactString)>>,
    /// `@channel.name` in rules of channels; else empty.
    pub channel: CompactString,
    /// `@request.body`: what was submitted, modifiers resolved, hidden fields removed for non-superusers.
    pub body: Arc<JsonMap>,
    /// The caller's address, seen through trusted proxies.
    pub client_ip: IpAddr,
    /// Address of the other end of the connection.
    pub remote_ip: IpAddr,
    /// `User-Agent`, for sign-in alerts.
    pub user_agent: CompactString,
}

impl Call {
    /// A call by `actor` at `now` with nothing submitted: for services that ask on somebody's behalf.
    #[must_use]
    pub fn new(actor: Actor, now: Timestamp) -> Self {
        let nowhere = IpAddr::from([0, 0, 0, 0]);
        Self {
            actor,
            now,
            context: Context::Default,
            method: CompactString::const_new("GET"),
            query: Arc::default(),
            headers: Arc::default(),
            channel: CompactString::const_new(""),
            body: Arc::default(),
            client_ip: nowhere,
            remote_ip: nowhere,
            user_agent: CompactString::const_new(""),
        }
    }

    /// The same call in another context.
    #[must_use]
    pub fn in_context(&self, context: Context) -> Self {
        Self {
            context,
            ..self.clone()
        }
    }

    /// A header, by its name in lower case with `_` for `-`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of a query parameter.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}
