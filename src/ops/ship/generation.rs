//! A base and what follows it, by its names in a place.

use std::collections::BTreeMap;
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
    segments: Vec<String>,
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

    /// All that have a base, the oldest first.
    ///
    /// # Errors
    /// The place's own.
    pub async fn all(place: &Place) -> io::Result<Vec<Self>> {
        let found = Self::found(place).await?;
        let whole = found.into_iter().filter(|(_, is_whole)| *is_whole);
        Ok(whole.map(|(generation, _)| generation).collect())
    }

    /// All there are, the oldest first, and whether each has a base.
    pub(super) async fn found(place: &Place) -> io::Result<Vec<(Self, bool)>> {
        let mut found: BTreeMap<String, (Self, bool)> = BTreeMap::new();
        for name in place.list().await? {
            let Some((folder, file)) = name.split_once('/') else {
                continue;
            };
            let millis = folder.split('-').next().and_then(|text| text.parse().ok());
            let Some(millis) = millis else {
                continue;
            };
            let (generation, is_whole) = found.entry(folder.to_owned()).or_insert_with(|| {
                let generation = Self {
                    begun: Timestamp::from_millis(millis),
                    folder: format!("{folder}/"),
                    segments: Vec::new(),
                };
                (generation, false)
            });
            if file == BASE {
                *is_whole = true;
            } else if file.ends_with(SEGMENT) {
                generation.segments.push(name);
            }
        }
        let mut found: Vec<_> = found.into_values().collect();
        found.sort_by_key(|(generation, _)| generation.begun);
        Ok(found)
    }

    /// Names of its parts of the log, none of which may be missing before another.
    ///
    /// # Errors
    /// When one is.
    pub(super) fn without_gap(&self) -> io::Result<&[String]> {
        let mut numbered = self.segments.iter().zip(0..);
        if numbered.all(|(name, nth)| *name == self.segment(nth)) {
            return Ok(&self.segments);
        }
        let text = "a part of what was shipped is missing";
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }
}
