//! Whether an object is what somebody has: by its size and its tag, which is a digest in most stores; where it is none,
//! by reading the object.

use futures_util::TryStreamExt;
use md5::{Digest, Md5};

use super::client::Bucket;
use super::put::part_bytes;
use super::{BucketError, Source};
use crate::kit::limits::BUCKET_PUT_BYTES_MAX;

impl Bucket {
    /// Whether the object is there and has this content.
    ///
    /// # Errors
    /// Whatever hinders.
    pub async fn holds(&self, key: &str, content: &Source) -> Result<bool, BucketError> {
        let facts = match self.look(key).await {
            Err(BucketError::Missing) => return Ok(false),
            facts => facts?,
        };
        if facts.size != content.length() {
            return Ok(false);
        }
        if facts.etag.trim_matches('"') == tag(content).await? {
            return Ok(true);
        }
        // Another tag says nothing: the store may encrypt, or somebody has put it in parts of another size.
        Ok(self.digest(key).await? == content.md5().await?)
    }

    /// The MD5 of an object, by reading it.
    ///
    /// # Errors
    /// Whatever hinders.
    pub async fn digest(&self, key: &str) -> Result<[u8; 16], BucketError> {
        let mut pieces = std::pin::pin!(self.open(key).await?.pieces());
        let mut digest = Md5::new();
        while let Some(piece) = pieces.try_next().await? {
            digest.update(&piece);
        }
        Ok(digest.finalize().into())
    }
}

/// The digest that a tag is, where it is one: of an object that was put in one request.
#[must_use]
pub fn digest_of_tag(tag: &str) -> Option<[u8; 16]> {
    let tag = tag.trim_matches('"');
    if tag.len() != 32 || !tag.is_ascii() {
        return None;
    }
    let mut digest = [0; 16];
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&tag[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(digest)
}

/// The tag that a store gives to what we put.
async fn tag(content: &Source) -> std::io::Result<String> {
    let whole = content.length();
    if whole <= BUCKET_PUT_BYTES_MAX {
        return Ok(hex(&content.md5().await?));
    }
    let size = part_bytes(whole);
    let mut digest = Md5::new();
    let mut parts = 0;
    while parts * size < whole {
        digest.update(content.part(parts * size, size).md5().await?);
        parts += 1;
    }
    let digest: [u8; 16] = digest.finalize().into();
    Ok(format!("{}-{parts}", hex(&digest)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_digests_or_not() {
        let digest = digest_of_tag("\"d41d8cd98f00b204e9800998ecf8427e\"").unwrap();
        assert_eq!(hex(&digest), "d41d8cd98f00b204e9800998ecf8427e");
        for other in ["", "\"d41d8cd98f00b204e9800998ecf8427e-2\"", "xx", "\u{e9}"] {
            assert_eq!(digest_of_tag(other), None, "{other}");
        }
    }
}
