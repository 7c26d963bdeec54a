//! Burrow's own group `accounts`: what is demanded of them beyond what PocketBase demands.

use serde::{Deserialize, Serialize};

use crate::schema::Collection;

/// What is demanded of accounts.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Accounts {
    /// Names or ids of the auth collections that refuse the most common ones.
    pub refuse_common_passwords: Vec<String>,
}

impl Accounts {
    /// Whether accounts of `collection` may not have a common one.
    #[must_use]
    pub fn refuses_common(&self, collection: &Collection) -> bool {
        self.refuse_common_passwords
            .iter()
            .any(|name| *name == collection.name || name == collection.id.as_str())
    }
}
