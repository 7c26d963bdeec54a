//! Where blobs are kept, as names: the same in the storage folder and in a bucket (contract-auth 8.6). No name that comes
//! in can lead outside the folder it is meant for.

use std::path::{Path, PathBuf};

/// Ending of side files; no blob may have it.
pub(super) const ATTRS: &str = ".attrs";
/// Prefix of the folder that holds the thumbs of one file.
const THUMBS: &str = "thumbs_";

/// Where a blob is kept: under a record, or as a thumb of such a blob. Every part is a plain name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    record: RecordKey,
    name: String,
    thumb: Option<String>,
}

/// The folder of one record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey {
    collection: String,
    record: String,
}

impl RecordKey {
    /// The folder of `record`; `None` when either part cannot be a folder's name.
    #[must_use]
    pub fn new(collection: &str, record: &str) -> Option<Self> {
        Some(Self {
            collection: plain(collection)?,
            record: plain(record)?,
        })
    }

    /// The blob called `name` in it; `None` when that cannot be a blob's name.
    #[must_use]
    pub fn blob(&self, name: &str) -> Option<Key> {
        if name.ends_with(ATTRS) {
            return None;
        }
        Some(Key {
            record: self.clone(),
            name: plain(name)?,
            thumb: None,
        })
    }

    /// Its place relative to the storage folder, with a slash at its end: no other record's begins with it.
    pub(super) fn prefix(&self) -> String {
        format!("{}/{}/", self.collection, self.record)
    }

    /// Its folder below `root`.
    pub(super) fn path(&self, root: &Path) -> PathBuf {
        root.join(&self.collection).join(&self.record)
    }
}

impl Key {
    /// The thumb of this blob in `format`.
    #[must_use]
    pub fn thumb(&self, format: &str) -> Option<Self> {
        Some(Self {
            thumb: Some(plain(format)?),
            ..self.clone()
        })
    }

    /// Its place relative to the storage folder, `/` between the parts.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self {
            record,
            name,
            thumb,
        } = self;
        let RecordKey {
            collection,
            record: id,
        } = record;
        match thumb {
            None => format!("{collection}/{id}/{name}"),
            Some(format) => format!("{collection}/{id}/{THUMBS}{name}/{format}_{name}"),
        }
    }

    /// The folder that it is in.
    pub(super) fn record(&self) -> &RecordKey {
        &self.record
    }

    /// The folder of its thumbs relative to the storage folder, with a slash at its end; `None` where it is a thumb itself.
    pub(super) fn thumbs(&self) -> Option<String> {
        let folder = self.record.prefix();
        let thumbs = || format!("{folder}{THUMBS}{}/", self.name);
        self.thumb.is_none().then(thumbs)
    }

    /// Its file below `root`.
    pub(super) fn path(&self, root: &Path) -> PathBuf {
        let folder = self.record.path(root);
        match &self.thumb {
            None => folder.join(&self.name),
            Some(format) => folder
                .join(format!("{THUMBS}{}", self.name))
                .join(format!("{format}_{}", self.name)),
        }
    }
}

/// One component of a path, control characters escaped as PocketBase escapes them. `None` for what is no plain name.
pub(super) fn plain(part: &str) -> Option<String> {
    if part.is_empty() || part == "." || part == ".." || part.contains(['/', '\\', '\0']) {
        return None;
    }
    if !part.bytes().any(|b| b < 32) {
        return Some(part.to_owned());
    }
    let mut out = String::new();
    for c in part.chars() {
        if u32::from(c) < 32 {
            out.push_str(&format!("__0x{:x}__", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_plain_names_only() {
        for bad in ["", ".", "..", "a/b", "../x", "a\\b", "nul\0"] {
            assert_eq!(RecordKey::new("c", bad), None, "{bad:?}");
            assert_eq!(RecordKey::new(bad, "r"), None, "{bad:?}");
            let record = RecordKey::new("c", "r").unwrap();
            assert_eq!(record.blob(bad), None, "{bad:?}");
        }
        let record = RecordKey::new("c", "r\u{1}").unwrap();
        assert_eq!(record.blob("x.attrs"), None);
        let key = record.blob("a.txt").unwrap();
        assert_eq!(key.to_text(), "c/r__0x1__/a.txt");
        let thumb = key.thumb("100x100").unwrap();
        assert_eq!(thumb.to_text(), "c/r__0x1__/thumbs_a.txt/100x100_a.txt");
        assert_eq!(key.thumbs().unwrap(), "c/r__0x1__/thumbs_a.txt/");
        assert_eq!(thumb.thumbs(), None);
    }
}
