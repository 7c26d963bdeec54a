//! A base and what follows it, by its names in a place.

use std::io;

use super::place::Place;
use crate::kit::id;
use crate::kit::time::Timestamp;

/// What every part of a segment begins with.
pub(super) const MAGIC: &[u8; 8] = b"BURROWS1";
/// Name of the base: compressed, whole, and put last of what a generation begins with.
const BASE: &str = "base.db.gz";
/// Ending of parts of the log.
const SEGMENT: &str = ".log";

/// A generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The moment of its base.
    pub begun: Timestamp,
    folder: String,
    /// Names of its parts of the log, in order.
    pub(super) segments: Vec<String>,
}

impl Generation {
    pub(super) fn new(begun: Timestamp) -> Self {
        let unique = id::random(6, id::LOWER_ALNUM);
        Self {
            begun,
            // As many digits as sort for some centuries.
            folder: format!("{:015}-{unique}/", begun.as_millis().max(0)),
            segments: Vec::new(),
        }
    }

    /// Where it is: ends with a slash.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    pub(super) fn base(&self) -> String {
        format!("{}{BASE}", self.folder)
    }

    pub(super) fn segment(&self, nth: u64) -> String {
        format!("{}{nth:010}{SEGMENT}", self.folder)
    }

    /// All that are whole, the oldest first.
    ///
    /// # Errors
    /// The place's own.
    pub async fn all(place: &Place) -> io::Result<Vec<Self>> {
        let names = place.list("").await?;
        let mut found: Vec<Self> = Vec::new();
        for name in &names {
            let Some(folder) = name.strip_suffix(BASE) else {
                continue;
            };
            let millis = folder.split('-').next().and_then(|text| text.parse().ok());
            let Some(millis) = millis.filter(|_| folder.ends_with('/')) else {
                continue;
            };
            let own = names
                .iter()
                .filter(|name| name.starts_with(folder) && name.ends_with(SEGMENT));
            found.push(Self {
                begun: Timestamp::from_millis(millis),
                folder: folder.to_owned(),
                segments: own.cloned().collect(),
            });
        }
        found.sort_by_key(|generation| generation.begun);
        Ok(found)
    }
}
