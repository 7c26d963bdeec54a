//! Versions of records: what an `ETag` names, and what `If-Match` holds a change or removal to, so that nobody's change is
//! lost to somebody who had not seen it.

use sha2::{Digest, Sha256};

use super::{Error, Sight};
use crate::call::Call;
use crate::schema::Record;
use crate::store::ReadTx;

/// Bytes of the digest that a version is made of.
const BYTES: usize = 16;

/// The entity tag of a record that was written as `encoded`, without relations. Made from what the caller sees and nothing
/// else, so that it tells nothing of hidden fields.
#[must_use]
pub fn tag(encoded: &[u8]) -> String {
    let digest = Sha256::digest(encoded);
    let mut tag = String::with_capacity(2 * BYTES + 2);
    tag.push('"');
    for byte in digest.iter().take(BYTES) {
        for half in [byte >> 4, byte & 15] {
            tag.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
    }
    tag.push('"');
    tag
}

/// Refuses when the call was made for another state of `record` than the present one.
///
/// # Errors
/// [`Error::Changed`] with the record as it is.
pub(super) fn check(tx: &ReadTx<'_>, call: &Call, record: &Record) -> Result<(), Error> {
    let Some(wanted) = call.header("if_match") else {
        return Ok(());
    };
    let mut encoded = Vec::with_capacity(1 << 10);
    Sight::new(tx, call)
        .lens(record.collection())
        .write(record, None, &mut encoded);
    let present = tag(&encoded);
    let mut wanted = wanted.split(',').map(str::trim);
    if wanted.any(|one| one == "*" || one == present) {
        return Ok(());
    }
    Err(Error::Changed(encoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_quoted_text_of_its_own_for_each_state() {
        let tag_of = |text: &str| tag(text.as_bytes());
        assert_eq!(tag_of("{}").len(), 34);
        assert_eq!(tag_of("{}"), tag_of("{}"));
        assert_ne!(tag_of("{}"), tag_of("{ }"));
    }
}
