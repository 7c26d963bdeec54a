//! The one way errors leave: the contract's envelope `{"data", "message", "status"}` (contract 1.4).

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;

use crate::auth;
use crate::auth::password::HashError;
use crate::collections;
use crate::kit::json::{self, Json};
use crate::kit::limits::RETRY_SECS;
use crate::ops;
use crate::realtime;
use crate::records;
use crate::schema::FieldErrors;
use crate::schema::error::sentence;
use crate::store::StoreError;

/// An answer that is an error. What is internal stays in `cause`, which only the log sees.
#[derive(Debug)]
pub struct Fault {
    status: StatusCode,
    message: Cow<'static, str>,
    data: FieldErrors,
    cause: Option<String>,
    refusal: Option<Box<records::Refusal>>,
    retry_after_secs: Option<u64>,
    /// The present state of a record that a change was refused for, encoded.
    record: Option<Box<[u8]>>,
}

/// What the request log keeps of a [`Fault`]; travels in the answer's extensions.
#[derive(Clone, Debug)]
pub struct FaultLog {
    /// The message that the client saw.
    pub message: String,
    /// The cause, else the validation errors, else null.
    pub details: Json,
    /// The rule that said no, if one did.
    pub refusal: Option<Box<records::Refusal>>,
}

impl FaultLog {
    /// The line of a request that was answered as if all had gone well, though it had not.
    pub(super) fn hushed(why: &'static str) -> Self {
        Self {
            message: sentence(why),
            details: Json::Null,
            refusal: None,
        }
    }
}

impl Fault {
    /// `status` with the contract's default message for it.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        let message = match status {
            StatusCode::UNAUTHORIZED => "Missing or invalid authentication.",
            StatusCode::FORBIDDEN => "You are not allowed to perform this request.",
            StatusCode::NOT_FOUND => "The requested resource wasn't found.",
            StatusCode::PAYLOAD_TOO_LARGE => "Request entity too large.",
            StatusCode::TOO_MANY_REQUESTS => "Too Many Requests.",
            StatusCode::SERVICE_UNAVAILABLE => "The server is busy, please try again.",
            _ => "Something went wrong while processing your request.",
        };
        Self {
            status,
            message: Cow::Borrowed(message),
            data: FieldErrors::new(),
            cause: None,
            refusal: None,
            retry_after_secs: None,
            record: None,
        }
    }

    /// 400.
    #[must_use]
    pub fn bad_request() -> Self {
        Self::new(StatusCode::BAD_REQUEST)
    }

    /// 401.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED)
    }

    /// 403.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN)
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND)
    }

    /// 413.
    #[must_use]
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// 429.
    #[must_use]
    pub fn too_many_requests() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS)
    }

    /// 429 of a rate limit; seconds until the next window.
    #[must_use]
    pub fn limited(secs: i64) -> Self {
        Self {
            retry_after_secs: Some(u64::try_from(secs).unwrap_or(0).max(1)),
            ..Self::too_many_requests()
        }
    }

    /// 503 of a server that has no room for one more.
    #[must_use]
    pub fn busy() -> Self {
        Self {
            retry_after_secs: Some(RETRY_SECS),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE)
        }
    }

    /// 500, the cause for the log only.
    #[must_use]
    pub fn internal(cause: impl ToString) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR).caused_by(cause)
    }

    /// 503 of files that are in a bucket which cannot be used now; why is for the log only.
    #[must_use]
    pub fn storage(cause: impl ToString) -> Self {
        Self {
            retry_after_secs: Some(RETRY_SECS),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE)
                .with_message("The file storage cannot be used at the moment.")
                .caused_by(cause)
        }
    }

    /// 401 of routes that need a signed-in record.
    #[must_use]
    pub fn auth_required() -> Self {
        Self::unauthorized().with_message("The request requires valid record authorization token.")
    }

    /// 401 of an API key that stands for nobody.
    #[must_use]
    pub fn unknown_key() -> Self {
        Self::unauthorized().with_message("The API key is unknown, or has ended.")
    }

    /// 400 of a form whose values have wrong types.
    #[must_use]
    pub fn unreadable_form() -> Self {
        Self::bad_request().with_message("An error occurred while loading the submitted data.")
    }

    /// The same with another message; the encoder makes it a sentence.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// The same with errors by field.
    #[must_use]
    pub fn with_data(mut self, data: FieldErrors) -> Self {
        self.data = data;
        self
    }

    /// The same with a cause for the log.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers hand over what they have caught"
    )]
    pub fn caused_by(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// The same with the rule that said no, for the log.
    #[must_use]
    fn refused(mut self, refusal: &records::Refusal) -> Self {
        self.refusal = Some(Box::new(refusal.clone()));
        self
    }

    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The envelope as JSON, for answers inside answers (batch).
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut envelope = serde_json::json!({
            "data": self.data.to_json(),
            "message": sentence(&self.message),
            "status": self.status.as_u16(),
        });
        if let Some(record) = &self.record {
            envelope["record"] = json::parse_first(record).unwrap_or(Json::Null);
        }
        envelope
    }

    /// Status, message and data apart, for protocols that are not HTTP.
    #[must_use]
    pub fn parts(&self) -> (u16, String, Json) {
        (
            self.status.as_u16(),
            sentence(&self.message),
            self.data.to_json(),
        )
    }

    fn log(&self) -> FaultLog {
        let details = match &self.cause {
            Some(cause) => Json::from(cause.as_str()),
            None if self.data.is_empty() => Json::Null,
            None => self.data.to_json(),
        };
        FaultLog {
            message: sentence(&self.message),
            details,
            refusal: self.refusal.clone(),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response<Body> {
        let log = self.log();
        // The keys of the envelope are in alphabetical order already.
        let body = json::to_text(&self.to_json());
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let tag = self.record.as_deref().map(records::version::tag);
        if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(&tag).ok()) {
            headers.insert(header::ETAG, tag);
        }
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response.extensions_mut().insert(log);
        response
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Closed | StoreError::Away(_) => Self {
                retry_after_secs: Some(1),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE).caused_by(error)
            },
            StoreError::Gone => Self::not_found().caused_by(error),
            StoreError::Elsewhere => Self::bad_request().with_message(
                "Not available with PostgreSQL: use its own backups (see docs/postgres.md).",
            ),
            StoreError::NotUnique { .. }
            | StoreError::Refused
            | StoreError::Timeout
            | StoreError::Full
            | StoreError::Taken { .. }
            | StoreError::Directory(_)
            | StoreError::Unstorable
            | StoreError::Postgres(_)
            | StoreError::Sqlite(_) => Self::bad_request().caused_by(error),
        }
    }
}

impl From<realtime::Error> for Fault {
    fn from(error: realtime::Error) -> Self {
        use realtime::Error as E;
        let status = match error {
            E::UnknownClient | E::UnknownSubscription => StatusCode::NOT_FOUND,
            E::OtherAddress | E::TooMany | E::BadCursor => StatusCode::BAD_REQUEST,
            E::OtherIdentity => StatusCode::FORBIDDEN,
            E::Crowd => StatusCode::TOO_MANY_REQUESTS,
            E::Full | E::Unreadable => {
                let busy = Self::new(StatusCode::SERVICE_UNAVAILABLE);
                return Self {
                    retry_after_secs: Some(1),
                    ..busy
                };
            }
            E::Refused(refusal) => {
                StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST)
            }
        };
        Self::new(status).with_message(error.to_string())
    }
}

impl From<realtime::ChannelRefused> for Fault {
    fn from(error: realtime::ChannelRefused) -> Self {
        use realtime::ChannelRefused as E;
        let status = match error {
            E::Forbidden => StatusCode::FORBIDDEN,
            E::Joined | E::Outside | E::Full | E::TooMany | E::BadCursor => StatusCode::BAD_REQUEST,
            E::Exhausted => StatusCode::SERVICE_UNAVAILABLE,
            E::Store(error) => return error.into(),
        };
        Self::new(status).with_message(error.to_string())
    }
}

impl From<realtime::Unanswered> for Fault {
    fn from(error: realtime::Unanswered) -> Self {
        match error {
            realtime::Unanswered::Hub(error) => error.into(),
            realtime::Unanswered::Query(error) => error.into(),
        }
    }
}

impl From<ops::Error> for Fault {
    fn from(error: ops::Error) -> Self {
        match error {
            ops::Error::InvalidSettings(data) => Self::bad_request()
                .with_message("An error occurred while saving the new settings.")
                .with_data(data),
            ops::Error::UnreadableSettings => Self::unreadable_form(),
            ops::Error::NotFound("") => Self::not_found(),
            ops::Error::NotFound(message) => Self::not_found().with_message(message),
            ops::Error::Invalid { message, data } => {
                Self::bad_request().with_message(message).with_data(data)
            }
            ops::Error::Refused(message) => Self::bad_request().with_message(message),
            ops::Error::Raw { .. } => Self::bad_request().with_message(error.to_string()),
            ops::Error::BadQuery("") => Self::bad_request(),
            ops::Error::BadQuery(message) => Self::bad_request().with_message(message),
            ops::Error::Encryption(_) | ops::Error::Fixed(_) => Self::internal(error),
            ops::Error::Store(store) => store.into(),
        }
    }
}

impl From<collections::Error> for Fault {
    fn from(error: collections::Error) -> Self {
        use collections::Error;
        match error {
            Error::NotFound => Self::not_found(),
            Error::BadQuery(_) => Self::bad_request().caused_by(error),
            Error::UnreadableKind
            | Error::Unreadable
            | Error::CreateRaw(_)
            | Error::UpdateRaw(_)
            | Error::Delete
            | Error::Referenced(_)
            | Error::TruncateView
            | Error::Truncate
            | Error::View(_) => Self::bad_request().with_message(error.to_string()),
            Error::Create(ref data)
            | Error::Update(ref data)
            | Error::Form(ref data)
            | Error::Import(ref data) => Self::bad_request()
                .with_message(error.to_string())
                .with_data(data.clone()),
            Error::Store(store) => store.into(),
        }
    }
}

impl From<records::Error> for Fault {
    fn from(error: records::Error) -> Self {
        use records::Error;
        match error {
            Error::UnknownCollection | Error::UnknownCollectionToWrite => {
                Self::not_found().with_message(error.to_string())
            }
            Error::OutOfScope | Error::SuperusersFilter(_) | Error::NotSuperuser => {
                Self::forbidden().with_message(error.to_string())
            }
            Error::SuperusersOnly(ref refusal) => Self::forbidden()
                .with_message(error.to_string())
                .refused(refusal),
            Error::NotFound => Self::not_found(),
            Error::Refused(ref refusal) => Self::not_found().refused(refusal),
            Error::CreateRefused(ref refusal) => Self::bad_request()
                .with_message(error.to_string())
                .refused(refusal),
            Error::BadQuery(_) | Error::Files(_) => Self::bad_request().caused_by(error),
            Error::Storage(_) => Self::storage(error),
            Error::ReadOnly
            | Error::TooLarge
            | Error::Delete
            | Error::LastSuperuser
            | Error::NoBucket => Self::bad_request().with_message(error.to_string()),
            Error::Create(ref data)
            | Error::Update(ref data)
            | Error::Question(ref data)
            | Error::Import(ref data)
            | Error::Upload(ref data)
            | Error::Bulk(ref data) => Self::bad_request()
                .with_message(error.to_string())
                .with_data(data.clone()),
            Error::Changed(ref record) => Self {
                record: Some(record.clone().into_boxed_slice()),
                ..Self::new(StatusCode::PRECONDITION_FAILED).with_message(error.to_string())
            },
            Error::Step(_, error) => Self::from(*error),
            Error::BulkBusy => Self::too_many_requests().with_message(error.to_string()),
            Error::Throttled(secs) => Self {
                retry_after_secs: Some(secs),
                ..Self::too_many_requests().with_message(error.to_string())
            },
            Error::Hash(HashError::Busy) => Self::from(StoreError::Busy),
            Error::Hash(HashError::Failed) => Self::internal(error),
            Error::Store(store) => store.into(),
        }
    }
}

impl From<auth::Error> for Fault {
    fn from(error: auth::Error) -> Self {
        use auth::Error;
        match error {
            Error::UnknownCollection | Error::NoAccounts => {
                Self::not_found().with_message(error.to_string())
            }
            Error::NotFound => Self::not_found(),
            Error::Unauthorized => Self::auth_required(),
            Error::Rule(ref refusal) => Self::forbidden()
                .with_message(error.to_string())
                .refused(refusal),
            Error::Address => Self::forbidden().caused_by(error),
            Error::OtherCollection(_) | Error::MethodOff(_) | Error::Stale | Error::NoSession => {
                Self::forbidden().with_message(error.to_string())
            }
            Error::Form(ref data)
            | Error::TestForm(ref data)
            | Error::Save(_, ref data)
            | Error::OAuth2Form(ref data)
            | Error::Link(ref data) => Self::bad_request()
                .with_message(error.to_string())
                .with_data(data.clone()),
            Error::Provider { message, cause } => {
                Self::bad_request().with_message(message).caused_by(cause)
            }
            Error::Mail(_, ref cause) => Self::bad_request()
                .with_message(error.to_string())
                .caused_by(cause),
            Error::Secret(_) => Self::internal(error),
            Error::Failed
            | Error::SecondFactor(_)
            | Error::Factor
            | Error::Passkey
            | Error::RelyingParty
            | Error::Code
            | Error::Superusers(_)
            | Error::NoPasswords
            | Error::TestMail(_) => Self::bad_request().with_message(error.to_string()),
            Error::Throttled(secs) | Error::CodeThrottled(secs) => Self {
                retry_after_secs: Some(secs),
                ..Self::too_many_requests().with_message(error.to_string())
            },
            Error::Hash(HashError::Busy) => Self::from(StoreError::Busy),
            Error::Hash(HashError::Failed) => Self::internal(error),
            Error::Records(error) => error.into(),
            Error::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::FieldError;

    #[test]
    fn the_envelope_is_the_contracts() {
        let fault = Fault::bad_request()
            .with_message("failed to create record")
            .with_data(FieldErrors::one("title", FieldError::required()));
        assert_eq!(
            json::to_text(&fault.to_json()),
            r#"{"data":{"title":{"code":"validation_required","message":"Cannot be blank."}},"message":"Failed to create record.","status":400}"#
        );
    }
}
