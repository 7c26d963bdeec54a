//! Blobs on the local disk, laid out as PocketBase lays them out (contract-auth 8.6): the content under
//! `storage/<collection>/<record>/<name>`, what is known of it in a side file `<name>.attrs`. Synchronous: callers
//! bring their own thread. No name that comes in can lead outside the folder it is meant for.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};

use super::{Upload, sniff};
use crate::kit::id;
use crate::kit::json::{self, Json};
use crate::kit::limits::FILE_CHUNK_BYTES;

/// Ending of side files; no blob may have it.
const ATTRS: &str = ".attrs";
/// Prefix of the folder that holds the thumbs of one file.
const THUMBS: &str = "thumbs_";
/// Bytes of a side file that are read; ours have about 300.
const ATTRS_BYTES_MAX: u64 = 64 << 10;

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

    fn path(&self, root: &Path) -> PathBuf {
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

    fn path(&self, root: &Path) -> PathBuf {
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
fn plain(part: &str) -> Option<String> {
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

/// A blob opened for reading.
#[derive(Debug)]
pub struct Blob {
    /// The content.
    pub content: Content,
    /// Bytes.
    pub size: u64,
    /// When it was stored.
    pub modified: SystemTime,
    /// Media type, as sniffed when it was stored.
    pub mime: String,
}

/// The content of a blob: small ones are read where they are opened, which saves further trips to a blocking thread.
#[derive(Debug)]
pub enum Content {
    /// All of it.
    Whole(Bytes),
    /// Still to be read.
    File(File),
}

impl Blob {
    /// Opens the file at `path`, which holds what `mime` says.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn open(path: &Path, mime: impl Into<String>) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let size = metadata.len();
        let content = if size <= FILE_CHUNK_BYTES as u64 {
            Content::Whole(read(file, size)?)
        } else {
            Content::File(file)
        };
        Ok(Self {
            size,
            modified: metadata.modified()?,
            mime: mime.into(),
            content,
        })
    }

    /// The whole content, when it has at most `most` bytes.
    ///
    /// # Errors
    /// When it has more, or cannot be read.
    pub fn read(self, most: u64) -> io::Result<Bytes> {
        match self.content {
            _ if self.size > most => Err(io::ErrorKind::FileTooLarge.into()),
            Content::Whole(bytes) => Ok(bytes),
            Content::File(file) => read(file, self.size),
        }
    }
}

fn read(file: File, size: u64) -> io::Result<Bytes> {
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(size).read_to_end(&mut content)?;
    Ok(content.into())
}

/// The storage folder.
#[derive(Clone, Debug)]
pub(super) struct Local {
    root: PathBuf,
    /// Whether what is stored is on the disk, and not only with the operating system, when that is told.
    durable: bool,
}

impl Local {
    pub(super) fn new(root: PathBuf, durable: bool) -> Self {
        Self { root, durable }
    }

    /// Stores an upload under `key`.
    pub(super) fn put(&self, key: &Key, upload: &Upload) -> io::Result<()> {
        self.write(key, upload.kind().mime, Some(&upload.name), |out| {
            copy(&mut upload.open()?, out)
        })
    }

    /// Stores bytes of ours under `key`.
    pub(super) fn put_bytes(&self, key: &Key, content: &[u8]) -> io::Result<()> {
        let mime = sniff::sniff(content).mime;
        self.write(key, mime, None, |out| copy(&mut &content[..], out))
    }

    /// Writes beside the final place and renames, so that nobody ever reads half a file; the side file comes first,
    /// since a reader that finds the blob wants its type.
    fn write(
        &self,
        key: &Key,
        mime: &str,
        original_name: Option<&str>,
        fill: impl FnOnce(&mut File) -> io::Result<Md5>,
    ) -> io::Result<()> {
        let path = key.path(&self.root);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let unique = u64::from_le_bytes(id::random_bytes::<8>());
        let part = with_suffix(&path, &format!(".{unique:x}.tmp"));
        let written = (|| {
            let mut file = File::create_new(&part)?;
            let digest = fill(&mut file)?.finalize();
            file.flush()?;
            let beside = with_suffix(&path, ATTRS);
            let known = attrs(mime, original_name, &BASE64_STANDARD.encode(digest));
            fs::write(&beside, known)?;
            if self.durable {
                file.sync_all()?;
                File::open(&beside)?.sync_all()?;
            }
            fs::rename(&part, &path)?;
            if self.durable {
                self.sync_folders(&path)?;
            }
            Ok(())
        })();
        if written.is_err() {
            // The error is what counts; a part that stays behind is nobody's blob.
            fs::remove_file(&part).ok();
        }
        written
    }

    /// Makes the names on the way to `path` durable, as far up as they may be new.
    fn sync_folders(&self, path: &Path) -> io::Result<()> {
        let folders = path.ancestors().skip(1);
        for folder in folders.take_while(|folder| folder.starts_with(&self.root)) {
            sync_folder(folder)?;
        }
        self.root.parent().map_or(Ok(()), sync_folder)
    }

    /// Opens the blob under `key`; `NotFound` when there is none.
    pub(super) fn open(&self, key: &Key) -> io::Result<Blob> {
        let path = key.path(&self.root);
        Blob::open(&path, content_type(&with_suffix(&path, ATTRS)))
    }

    /// Removes the blob under `key` with its side file and thumbs. What is gone already is fine.
    pub(super) fn delete(&self, key: &Key) -> io::Result<()> {
        let path = key.path(&self.root);
        gone(fs::remove_file(&path))?;
        gone(fs::remove_file(with_suffix(&path, ATTRS)))?;
        if key.thumb.is_none() {
            let folder = key.record.path(&self.root);
            gone(fs::remove_dir_all(
                folder.join(format!("{THUMBS}{}", key.name)),
            ))?;
            // Fails, as it should, while other files are there.
            fs::remove_dir(&folder).ok();
        }
        Ok(())
    }

    /// Removes a record's folder.
    pub(super) fn delete_record(&self, record: &RecordKey) -> io::Result<()> {
        gone(fs::remove_dir_all(record.path(&self.root)))
    }

    /// Removes a collection's folder.
    pub(super) fn delete_collection(&self, collection: &str) -> io::Result<()> {
        match plain(collection) {
            Some(name) => gone(fs::remove_dir_all(self.root.join(name))),
            None => Ok(()),
        }
    }
}

/// Makes the names in a folder durable. Only Unix opens folders as files; elsewhere they are with their files.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn copy(from: &mut dyn Read, to: &mut File) -> io::Result<Md5> {
    let mut digest = Md5::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(digest);
        }
        digest.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn attrs(mime: &str, original_name: Option<&str>, md5: &str) -> Vec<u8> {
    let text = |text: &str, out: &mut Vec<u8>| json::write_str(text, out);
    let mut out = br#"{"user.cache_control":"","user.content_disposition":"","user.content_encoding":"","user.content_language":"","user.content_type":"#.to_vec();
    text(mime, &mut out);
    out.extend_from_slice(br#","user.metadata":{"#);
    if let Some(name) = original_name {
        out.extend_from_slice(br#""original-filename":"#);
        text(name, &mut out);
    }
    out.extend_from_slice(br#"},"md5":"#);
    text(md5, &mut out);
    out.push(b'}');
    out
}

/// The media type of a side file; what cannot be read is unknown content.
fn content_type(path: &Path) -> String {
    let read = || -> io::Result<Json> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(ATTRS_BYTES_MAX)
            .read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    };
    read()
        .ok()
        .and_then(|attrs| Some(attrs.get("user.content_type")?.as_str()?.to_owned()))
        .unwrap_or_else(|| sniff::UNKNOWN.mime.to_owned())
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
    }

    #[test]
    fn a_blob_is_kept_with_its_side_file_until_it_is_deleted() {
        let root = std::env::temp_dir().join(format!("burrow-local-{}", id::record_id()));
        let local = Local::new(root.clone(), true);
        let key = RecordKey::new("c", "r").unwrap().blob("a_1.txt").unwrap();
        let upload = Upload::from_bytes("A.txt", "hello");

        local.put(&key, &upload).unwrap();

        let blob = local.open(&key).unwrap();
        assert_eq!(blob.size, 5);
        assert_eq!(blob.mime, "text/plain; charset=utf-8");
        assert_eq!(&blob.read(5).unwrap()[..], b"hello");
        assert_eq!(
            fs::read_to_string(root.join("c/r/a_1.txt.attrs")).unwrap(),
            r#"{"user.cache_control":"","user.content_disposition":"","user.content_encoding":"","user.content_language":"","user.content_type":"text/plain; charset=utf-8","user.metadata":{"original-filename":"A.txt"},"md5":"XUFAKrxLKna5cZ2REBfFkg=="}"#
        );

        local.put_bytes(&key.thumb("1x1").unwrap(), b"x").unwrap();
        local.delete(&key).unwrap();
        local.delete(&key).unwrap();
        assert!(local.open(&key).is_err());
        assert!(!root.join("c/r").exists());
        fs::remove_dir_all(root).unwrap();
    }
}
