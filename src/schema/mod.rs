//! Collections and records as values: what a schema is, what a record of it is, and how both change. No I/O.

pub mod check;
pub mod collection;
mod draft;
pub mod error;
pub mod field;
pub mod index;
pub mod layout;
pub mod provider;
pub mod record;
mod set;
mod stored;
pub mod system;
mod templates;
mod upgrade;
pub mod view;

pub use collection::{Action, AuthOptions, Collection, CollectionId, Kind, Rules, ViewOptions};
pub use draft::{Draft, DraftError};
pub use error::{FieldError, FieldErrors};
pub use field::{Field, FieldKind};
pub use record::{Record, RecordId};
pub use set::{SUPERUSERS, Schema};
pub use stored::{StoredCollection, StoredError, write_json};
pub use upgrade::with_present_alert;
