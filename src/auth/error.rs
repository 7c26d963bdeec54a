//! What can go wrong with signing in, as the caller is told it.

use super::password::HashError;
use crate::mail;
use crate::records;
use crate::schema::FieldErrors;
use crate::store::StoreError;

/// A refused or failed request of somebody who wants to be known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404: the path names no collection.
    #[error("Missing or invalid collection context.")]
    UnknownCollection,
    /// 404: the collection has no accounts.
    #[error("Missing or invalid auth collection context.")]
    NoAccounts,
    /// 404: no such record.
    #[error("record not found")]
    NotFound,
    /// 401: a valid token is needed.
    #[error("The request requires valid record authorization token.")]
    Unauthorized,
    /// 403: the token is of another collection than the path.
    #[error("The request requires auth record from {0} collection.")]
    OtherCollection(String),
    /// 403: this way of signing in is off.
    #[error("The collection is not configured to allow {0} authentication.")]
    MethodOff(&'static str),
    /// 400: the form does not hold.
    #[error("An error occurred while validating the submitted data.")]
    Form(FieldErrors),
    /// 403: the token is not of a sign-in of one's own.
    #[error("The request requires a session of a sign-in.")]
    NoSession,
    /// 400: superusers need no such mail.
    #[error("{0}")]
    Superusers(&'static str),
    /// 400: a forgotten password cannot be replaced where there are none.
    #[error("The collection is not configured to allow password authentication.")]
    NoPasswords,
    /// 400: what a mail confirmed could not be saved.
    #[error("{0}")]
    Save(&'static str, FieldErrors),
    /// 400: the mail that was to be sent at once did not leave; the cause is for the log.
    #[error("{0}")]
    Mail(&'static str, mail::Error),
    /// 400: the test mail did not leave; superusers see the cause.
    #[error("Failed to send the test email. Raw error: \n{0}")]
    TestMail(mail::Error),
    /// 400: the form of a test mail does not hold.
    #[error("Failed to send the test email.")]
    TestForm(FieldErrors),
    /// 400: unknown identity and wrong password alike.
    #[error("Failed to authenticate.")]
    Failed,
    /// 403: a superuser from a place that is not listed.
    #[error("superuser from an address that is not listed")]
    Address,
    /// 403: `authRule`.
    #[error("The request doesn't satisfy the collection requirements to authenticate.")]
    Rule(Box<records::Refusal>),
    /// 400: the second factor does not follow the first.
    #[error("{0}")]
    SecondFactor(&'static str),
    /// 400: the code of an authenticator, or the recovery code, is not good, or not any more; or there is none.
    #[error("Invalid or used code.")]
    Factor,
    /// 400: what a device made is no passkey for us, or its challenge is not, or not any more, good.
    #[error("The passkey was not accepted.")]
    Passkey,
    /// 400: the settings do not say who we are to devices.
    #[error("Passkeys need an application URL with a host name.")]
    RelyingParty,
    /// 403: it takes more than a token.
    #[error("Sign in again, or send the password, to do this.")]
    Stale,
    /// 500: a secret cannot be kept or read.
    #[error("a secret cannot be kept or read: {0}")]
    Secret(String),
    /// 400: the code is not, or not any more, good.
    #[error("Invalid or expired OTP.")]
    Code,
    /// 400: the form of a sign-in by OAuth2 does not hold.
    #[error("An error occurred while loading the submitted data.")]
    OAuth2Form(FieldErrors),
    /// 400: the provider does not confirm who this is.
    #[error("{message}")]
    Provider {
        /// What the caller is told.
        message: &'static str,
        /// Why, for the log.
        cause: String,
    },
    /// 400: the account or the person is tied to another one.
    #[error("Failed to authenticate.")]
    Link(FieldErrors),
    /// 429: too many failures; seconds until the next try.
    #[error("Too many failed attempts, please try again later.")]
    Throttled(u64),
    /// 429: too many tries of codes; seconds until the next one.
    #[error("Too many attempts, please try again later with a new OTP.")]
    CodeThrottled(u64),
    /// 503: too many passwords are being checked; or 500.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The answer could not be encoded.
    #[error(transparent)]
    Records(#[from] records::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
