//! Blobs between being stored and being named by a commit, and blobs that a commit stopped naming. A note on the disk
//! lists both until it is settled; after a crash [`Files::sweep`] asks the database about those, and only those.

use std::io;
use std::path::PathBuf;

use super::{Files, Key, RecordKey, Upload};
use crate::kit::id;
use crate::kit::json::Json;
use crate::schema::{CollectionId, FieldKind, Record};
use crate::store::{Store, StoreError};

/// Stored blobs whose commit is not known yet. Say [`Pending::commit`] or [`Pending::rollback`]; dropped without
/// either (the request was cut off), nothing is touched, and the sweep of the next start finds out.
#[derive(Debug)]
#[must_use = "say whether the commit went well"]
pub struct Pending {
    files: Files,
    note: Option<PathBuf>,
    added: Vec<Key>,
    /// Uploads that had come past this server, and are copied to their places now.
    copied: Vec<Upload>,
    doomed: Vec<Key>,
}

impl Pending {
    pub(super) async fn begin(
        files: Files,
        added: Vec<(Key, Upload)>,
        doomed: Vec<Key>,
    ) -> io::Result<Self> {
        if added.is_empty() && doomed.is_empty() {
            return Ok(Self {
                files,
                note: None,
                added: Vec::new(),
                copied: Vec::new(),
                doomed,
            });
        }
        let owner = files.clone();
        let pending = owner
            .blocking(move |_| {
                let mut pending = Self {
                    files,
                    note: None,
                    added: Vec::new(),
                    copied: Vec::new(),
                    doomed,
                };
                let stored = pending.store(added);
                if stored.is_err() {
                    pending.forget_added();
                }
                stored.map(|()| pending)
            })
            .await?;
        Ok(pending)
    }

    fn store(&mut self, added: Vec<(Key, Upload)>) -> io::Result<()> {
        let keys = added.iter().map(|(key, _)| key);
        let lines: Vec<String> = keys.chain(&self.doomed).map(Key::to_text).collect();
        let folder = self.files.notes();
        std::fs::create_dir_all(folder)?;
        let note = folder.join(id::random(20, id::LOWER_ALNUM).as_str());
        std::fs::write(&note, lines.join("\n"))?;
        self.note = Some(note);
        for (key, upload) in added {
            self.added.push(key);
            if let Some(key) = self.added.last() {
                self.files.store(key, &upload)?;
            }
            if upload.place().is_some() {
                self.copied.push(upload);
            }
        }
        Ok(())
    }

    /// The commit names the added blobs and no longer the doomed ones, which are removed in the background.
    pub fn commit(mut self) {
        if self.note.is_none() {
            return;
        }
        let files = self.files.clone();
        files.in_background(move |files| {
            for key in &self.doomed {
                files.remove(key)?;
            }
            for upload in &self.copied {
                files.forget(upload)?;
            }
            self.remove_note()
        });
    }

    /// There was no commit: the added blobs go, in the background.
    pub fn rollback(mut self) {
        if self.note.is_none() {
            return;
        }
        let files = self.files.clone();
        files.in_background(move |_| {
            self.forget_added();
            Ok(())
        });
    }

    fn forget_added(&mut self) {
        for key in &self.added {
            if let Err(error) = self.files.remove(key) {
                // The note stays, and with it the chance of the next start.
                tracing::warn!(%error, key = key.to_text(), "a blob that nothing names stays behind");
                return;
            }
        }
        if let Err(error) = self.remove_note() {
            tracing::warn!(%error, "the note of a settled change stays behind");
        }
    }

    fn remove_note(&mut self) -> io::Result<()> {
        self.note.take().map_or(Ok(()), std::fs::remove_file)
    }
}

impl Files {
    /// Removes what a crash left behind: spooled uploads, the blobs of unsettled notes that no record names, and those that
    /// commits have stopped naming. Call it once, before anything is served.
    ///
    /// # Errors
    /// The store's own; what the disk refuses is logged and left for the next start.
    pub async fn sweep(&self, store: &Store) -> Result<(), StoreError> {
        self.sweep_log(store).await?;
        if let Ok(spooled) = std::fs::read_dir(self.spool()) {
            for entry in spooled.flatten() {
                let path = entry.path();
                std::fs::remove_file(&path)
                    .or_else(|_| std::fs::remove_dir_all(&path))
                    .ok();
            }
        }
        let Ok(notes) = std::fs::read_dir(self.notes()) else {
            return Ok(());
        };
        for note in notes.flatten().map(|entry| entry.path()) {
            let Ok(text) = std::fs::read_to_string(&note) else {
                continue;
            };
            let keys: Vec<String> = text.lines().map(str::to_owned).collect();
            let orphans = store.read(move |tx| {
                let mut orphans = Vec::new();
                for text in keys {
                    let Some((collection, record, name)) = parts(&text) else {
                        continue;
                    };
                    let named = match tx.catalog().by_id(&CollectionId::new(collection)) {
                        Some(collection) => tx
                            .find(collection, record)?
                            .is_some_and(|record| names(&record, name)),
                        None => false,
                    };
                    if !named {
                        orphans.extend(
                            RecordKey::new(collection, record).and_then(|key| key.blob(name)),
                        );
                    }
                }
                Ok::<_, StoreError>(orphans)
            });
            let orphans = orphans.await?;
            self.clean(move |files| {
                orphans.iter().try_for_each(|key| files.remove(key))?;
                std::fs::remove_file(&note)
            })
            .await;
        }
        Ok(())
    }
}

/// The parts of a key's text; `None` where an id was escaped, since its record could not be found by it.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let (collection, rest) = text.split_once('/')?;
    let (record, name) = rest.split_once('/')?;
    (!text.contains("__0x")).then_some((collection, record, name))
}

/// Whether a file field of `record` holds `name`.
fn names(record: &Record, name: &str) -> bool {
    named_by(record, name).is_some()
}

/// The position of the file field of `record` that holds `name`.
#[must_use]
pub fn named_by(record: &Record, name: &str) -> Option<usize> {
    let fields = &record.collection().fields;
    fields.iter().enumerate().position(|(at, field)| {
        matches!(field.kind, FieldKind::File(_))
            && record
                .cells()
                .get(at)
                .is_some_and(|cell| stored_names(cell.text_or_empty()).any(|n| n == name))
    })
}

/// The stored names of a file cell: one name, or a JSON array of them.
pub fn stored_names(cell: &str) -> impl Iterator<Item = String> + use<> {
    let names: Vec<String> = if cell.starts_with('[') {
        match serde_json::from_str::<Json>(cell) {
            Ok(Json::Array(items)) => items
                .into_iter()
                .filter_map(|item| match item {
                    Json::String(name) => Some(name),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    } else if cell.is_empty() {
        Vec::new()
    } else {
        vec![cell.to_owned()]
    };
    names.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Buckets, Want};

    fn files() -> (PathBuf, Files) {
        let dir = std::env::temp_dir().join(format!("burrow-files-{}", id::record_id()));
        let stored = dir.join("storage");
        let files = Files::new(&dir, stored, false, Buckets::never());
        (dir, files)
    }

    fn key(name: &str) -> Key {
        RecordKey::new("c", "r").unwrap().blob(name).unwrap()
    }

    #[tokio::test]
    async fn a_rolled_back_change_leaves_nothing() {
        let (dir, files) = files();
        let upload = Upload::from_bytes("a.txt", "x");
        let pending = files
            .begin(vec![(key("a.txt"), upload)], vec![])
            .await
            .unwrap();
        assert!(files.open(&key("a.txt"), Want::Content).await.is_ok());
        let mut pending = pending;
        pending.forget_added();
        assert!(files.open(&key("a.txt"), Want::Content).await.is_err());
        assert_eq!(std::fs::read_dir(files.notes()).unwrap().count(), 0);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[tokio::test]
    async fn an_unsettled_change_keeps_its_note() {
        let (dir, files) = files();
        let upload = Upload::from_bytes("a.txt", "x");
        let pending = files
            .begin(vec![(key("a.txt"), upload)], vec![key("b.txt")])
            .await
            .unwrap();
        drop(pending);
        let note = std::fs::read_dir(files.notes())
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        let text = std::fs::read_to_string(note.path()).unwrap();
        assert_eq!(text, "c/r/a.txt\nc/r/b.txt");
        assert!(files.open(&key("a.txt"), Want::Content).await.is_ok());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn file_cells_hold_one_name_or_a_list() {
        let names = |cell| stored_names(cell).collect::<Vec<_>>();
        assert_eq!(names(""), Vec::<String>::new());
        assert_eq!(names("a.txt"), ["a.txt"]);
        assert_eq!(names(r#"["a.txt","b.txt"]"#), ["a.txt", "b.txt"]);
        assert_eq!(names("[broken"), Vec::<String>::new());
    }
}
