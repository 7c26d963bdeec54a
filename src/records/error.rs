//! What can go wrong with records, as the caller is told it.

use compact_str::CompactString;

use super::refusal::Refusal;
use crate::auth::password::HashError;
use crate::schema::FieldErrors;
use crate::store::StoreError;

/// A refused or failed request on records.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404: the path names no collection (create and update are told by the body limit, with other words).
    #[error("Missing collection context.")]
    UnknownCollection,
    /// 404: the path of a create or update names no collection.
    #[error("Missing or invalid collection context.")]
    UnknownCollectionToWrite,
    /// 400: views are read-only.
    #[error("Unsupported collection type.")]
    ReadOnly,
    /// 403: the rule is null.
    #[error("Only superusers can perform this action.")]
    SuperusersOnly(Box<Refusal>),
    /// 403: the rule might allow it, the API key does not.
    #[error("The API key does not allow this action.")]
    OutOfScope,
    /// 403: no rule decides here.
    #[error("Only superusers can perform this action.")]
    NotSuperuser,
    /// 403: a client's filter or sort holds one of the words of superusers.
    #[error("Only superusers can filter by {0}.")]
    SuperusersFilter(&'static str),
    /// 404: no such record, or not for this caller.
    #[error("record not found")]
    NotFound,
    /// 404, as [`Error::NotFound`]: the rule does not hold for the record.
    #[error("record not found")]
    Refused(Box<Refusal>),
    /// 400, as [`Error::Create`] without a word on the values: the rule does not hold for what was submitted.
    #[error("Failed to create record.")]
    CreateRefused(Box<Refusal>),
    /// 400: a parameter that cannot be read, or a rule or filter that does not resolve.
    #[error("bad query: {0}")]
    BadQuery(String),
    /// 400: the answer would be larger than one answer may be.
    #[error("The answer is too large, please ask for fewer records.")]
    TooLarge,
    /// 400: what was submitted for a new record does not do.
    #[error("Failed to create record.")]
    Create(FieldErrors),
    /// 400: what was submitted for a record does not do.
    #[error("Failed to update record.")]
    Update(FieldErrors),
    /// 400: a question about a rule names what does not exist.
    #[error("The question names something that does not exist.")]
    Question(FieldErrors),
    /// 400: an import or export that cannot begin.
    #[error("The import cannot begin.")]
    Import(FieldErrors),
    /// 412: the record is not in the state any more that the change was made for; as the caller sees it now.
    #[error("The record was changed meanwhile.")]
    Changed(Vec<u8>),
    /// 400: an order for many records that cannot be carried out.
    #[error("Invalid bulk request.")]
    Bulk(FieldErrors),
    /// A step of an order that cannot be taken back: its record, and why.
    #[error("{1}")]
    Step(CompactString, Box<Error>),
    /// 429: too many orders for many records are being carried out.
    #[error("Too many bulk requests are running, please try again later.")]
    BulkBusy,
    /// 400: the record cannot go.
    #[error(
        "Failed to delete record. Make sure that the record is not part of a required relation reference."
    )]
    Delete,
    /// 400: somebody must be left to administer.
    #[error("You can't delete the only existing superuser.")]
    LastSuperuser,
    /// 429: too many wrong passwords; seconds until the next try.
    #[error("Too many failed attempts, please try again later.")]
    Throttled(u64),
    /// 503: too many passwords are being hashed; or 400.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// 400 or 503: uploaded files could not be stored.
    #[error("files could not be stored: {0}")]
    Files(String),
    /// An upload past this server cannot be begun, or be taken, as it is.
    #[error("Failed to upload the file.")]
    Upload(FieldErrors),
    /// There is no bucket to upload to.
    #[error("Files are not kept in a bucket: send them with the record.")]
    NoBucket,
    /// The bucket that files are kept in cannot be used now.
    #[error("{0}")]
    Storage(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
