//! Blobs on the local disk, laid out as PocketBase lays them out (contract-auth 8.6): the content under
//! `storage/<collection>/<record>/<name>`, what is known of it in a side file `<name>.attrs`. Synchronous: callers
//! bring their own thread.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};

use super::key::{ATTRS, plain};
use super::{Blob, Key, RecordKey, Upload, sniff};
use crate::kit::id;
use crate::kit::json::{self, Json};

/// Ending of files that are being written.
pub(super) const DRAFT: &str = ".tmp";
/// Bytes of a side file that are read; ours have about 300.
const ATTRS_BYTES_MAX: u64 = 64 << 10;

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

    fn write(
        &self,
        key: &Key,
        mime: &str,
        original_name: Option<&str>,
        fill: impl FnOnce(&mut File) -> io::Result<Md5>,
    ) -> io::Result<()> {
        let mut draft = Draft::of(key.path(&self.root))?;
        let digest = fill(&mut draft.file)?.finalize().into();
        self.settle(draft, mime, original_name, digest)
    }

    /// A file that will be the one at `relative`, in which [`Local::settle`] puts it. Half a file of before, whose writer
    /// was killed, is written over.
    pub(super) fn draft(&self, relative: &str) -> io::Result<Draft> {
        Draft::again(self.root.join(relative))
    }

    /// Gives what was written its name, so that nobody ever reads half a file; the side file comes first, since a reader
    /// that finds the blob wants its type.
    pub(super) fn settle(
        &self,
        mut draft: Draft,
        mime: &str,
        original_name: Option<&str>,
        md5: [u8; 16],
    ) -> io::Result<()> {
        draft.file.flush()?;
        let beside = with_suffix(&draft.path, ATTRS);
        let known = attrs(mime, original_name, &BASE64_STANDARD.encode(md5));
        fs::write(&beside, known)?;
        if self.durable {
            draft.file.sync_all()?;
            File::open(&beside)?.sync_all()?;
        }
        fs::rename(&draft.part, &draft.path)?;
        if self.durable {
            self.sync_folders(&draft.path)?;
        }
        Ok(())
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
        if let Some(thumbs) = key.thumbs() {
            gone(fs::remove_dir_all(self.root.join(thumbs)))?;
            // Fails, as it should, while other files are there.
            fs::remove_dir(key.record().path(&self.root)).ok();
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

    /// The folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Removes the file at `relative` with its side file, and the folders that are empty without it.
    pub(super) fn delete_file(&self, relative: &str) -> io::Result<()> {
        let path = self.root.join(relative);
        gone(fs::remove_file(&path))?;
        gone(fs::remove_file(with_suffix(&path, ATTRS)))?;
        let folders = path.ancestors().skip(1);
        for folder in folders.take_while(|folder| *folder != self.root) {
            // Fails, as it should, while something is there.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// A file that is being written beside its place; it goes when it is dropped, and finds nothing to go when it is settled.
#[derive(Debug)]
pub(super) struct Draft {
    part: PathBuf,
    path: PathBuf,
    pub(super) file: File,
}

impl Draft {
    fn of(path: PathBuf) -> io::Result<Self> {
        let unique = u64::from_le_bytes(id::random_bytes::<8>());
        let part = with_suffix(&path, &format!(".{unique:x}{DRAFT}"));
        Self::at(path, part)
    }

    /// For a writer that is alone: its name is always the same, so that a later try takes the place of an earlier one.
    fn again(path: PathBuf) -> io::Result<Self> {
        let part = with_suffix(&path, &format!(".moved{DRAFT}"));
        Self::at(path, part)
    }

    fn at(path: PathBuf, part: PathBuf) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::create(&part)?;
        Ok(Self { part, path, file })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        fs::remove_file(&self.part).ok();
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
    known(path).0
}

/// The media type and the name that the uploader gave, of the blob at `path`.
pub(super) fn known_of(path: &Path) -> (String, Option<String>) {
    known(&with_suffix(path, ATTRS))
}

fn known(path: &Path) -> (String, Option<String>) {
    let read = || -> io::Result<Json> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(ATTRS_BYTES_MAX)
            .read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    };
    let attrs = read().unwrap_or(Json::Null);
    let text = |pointer: &str| Some(attrs.pointer(pointer)?.as_str()?.to_owned());
    let mime = text("/user.content_type").unwrap_or_else(|| sniff::UNKNOWN.mime.to_owned());
    (mime, text("/user.metadata/original-filename"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
